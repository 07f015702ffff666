import { afterAll, beforeAll, expect, it } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import type { Recording } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { recordingKey } from '../../src/domain/recording.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { decodeMeta } from '../../src/stream/task-meta.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { RecordingsWorker } from '../../src/workers/recordings/worker.js';
import { type Broker, startBroker, until } from './stream-kit.js';

const GROUP = 'callstream-recordings';
const SINK = 'callstream-sink';
const RETENTION = 1_500;
const codecs = { raw: localCodec(TOPICS.rawTiw), recording: localCodec(TOPICS.recordings), deadLetter: localCodec(TOPICS.deadLetters) };
const logger = silentLogger();
let broker: Broker;
let admin: TopicAdmin;
let producer: DurableProducer;
const published: { offset: number; recording: Recording; value: Buffer }[] = [];
/** What ClickHouse would have: the records that the sink's group has read. */
let stored = 0;
const asked: string[] = [];

beforeAll(async () => {
  broker = await startBroker();
  const kafka = { brokers: [broker.address] };
  admin = new TopicAdmin({ kafka, logger });
  await admin.migrate({ partitions: 1, groups: { recordings: GROUP, sink: SINK } });
  producer = new DurableProducer({ kafka, logger });
  const reader = broker.kafka.consumer({ groupId: 'test-reader', readUncommitted: false });
  await reader.connect();
  await reader.subscribe({ topics: [TOPICS.recordings.name], fromBeginning: true });
  await reader.run({
    eachMessage: async ({ message }) => {
      const value = message.value!;
      published.push({ offset: Number(message.offset), recording: codecs.recording.decode(value), value });
    },
  });
  return () => reader.disconnect();
});
afterAll(async () => {
  await producer?.close();
  await admin?.close();
  await broker?.stop();
});

async function send(EventType: string, second: number, data: object = {}): Promise<void> {
  const body = { EventType, Timestamp: 1_700_000_000 + second, SdkAppId: 1, EventData: { TaskId: 't', RoomId: 7, ...data } };
  const event = { id: `${second}`, source: 'tiw', app_id: '1', received_at: Date.now(), auth: 'app', remote_addr: '', query: '' };
  const value = codecs.raw.encode({ ...event, body: Buffer.from(JSON.stringify(body)) });
  await producer.send([{ topic: TOPICS.rawTiw.name, partition: 0, key: 'tencent:1:t', value }]);
}

/** The sink has stored, and committed, everything that is published so far. */
async function sinkAll(): Promise<void> {
  stored = published.length;
  const client = broker.kafka.admin();
  await client.connect();
  const offset = String((published.at(-1)?.offset ?? -1) + 1);
  await client.setOffsets({ groupId: SINK, topic: TOPICS.recordings.name, partitions: [{ partition: 0, offset }] });
  await client.disconnect();
}

const metaOf = async () => {
  const committed = await broker.offsets.committed(GROUP, [TOPICS.recordings.name]);
  return decodeMeta(committed.get(TOPICS.recordings.name)?.[0]?.metadata ?? null);
};

async function start() {
  const metrics = createMetrics();
  const fatal: unknown[] = [];
  const worker = new RecordingsWorker({
    kafka: { brokers: [broker.address] },
    groupId: GROUP,
    sinkGroupId: SINK,
    partitions: 1,
    retention: RETENTION,
    codecs,
    lookup: async (keys) => {
      const wanted = keys.map(recordingKey);
      asked.push(...wanted);
      const found = published.slice(0, stored).filter((p) => wanted.includes(recordingKey({ ...p.recording, provider: 'tencent' })));
      return new Map(found.map((p) => [recordingKey({ ...p.recording, provider: 'tencent' }), p.value]));
    },
    logger,
    metrics,
    onFatal: (error) => fatal.push(error),
  });
  await worker.start();
  return { worker, metrics, fatal };
}

const last = () => published.at(-1)?.recording;

it('goes on where the last member was, lets go of what is stored, commits that, and takes it back', async () => {
  const one = await start();
  await send('OnlineRecordStarted', 0);
  await until('the first revision', () => last()?.status === 'recording');
  expect(one.worker.problems()).toEqual([]);
  await one.worker.stop();

  const two = await start();
  await send('OnlineRecordLongPauseWarning', 60);
  await until('the second revision', () => last()?.status === 'paused');
  expect(last()).toMatchObject({ revision: 2, pauses: 1, inputs: { length: 2 } });
  expect(await metaOf()).toMatchObject({ horizon: null });
  expect((await metaOf())?.restoreFrom).not.toBeNull();
  await sinkAll();
  // Nothing else comes: that nothing is left to restore is committed all the same.
  await until('the departure', async () => (await metaOf())?.restoreFrom === null);
  expect((await metaOf())?.horizon).toBeGreaterThan(0);
  expect(asked).toEqual([]);
  await two.worker.stop();

  const three = await start();
  await send('OnlineRecordFinished', 120, { FinishReason: 'AUTO', TotalTime: 119_000 });
  await until('the third revision', () => last()?.status === 'finished');
  expect(asked).toEqual(['tencent:1:t']);
  expect(last()).toMatchObject({ revision: 3, total_ms: 119_000, pauses: 1, inputs: { length: 3 } });
  expect(published.map((p) => p.recording.revision)).toEqual([1, 2, 3]);
  expect((await three.metrics.callstream_recordings_taken_back_total.get()).values[0]?.value).toBe(1);
  await three.worker.stop();
  expect([...one.fatal, ...two.fatal, ...three.fatal]).toEqual([]);
});
