import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import { type Ingest, kafkaOutlet, startIngest } from '../../src/ingest/index.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { partitionOf } from '../../src/stream/partition.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.js';
import { useStack } from '../support/stack.js';
import { APP, bodyOf, createRawTopic, PARTITIONS, PATH, readRawTopic, sequences, TOPIC } from './ingest-kit.js';

const servers = useStack(['kafka']);
let stop: (() => Promise<void>) | undefined;
let runs = 0;

beforeAll(() => createRawTopic(servers.brokers));
afterEach(async () => {
  await stop?.();
  stop = undefined;
});

async function start(): Promise<{ ingest: Ingest; metrics: Metrics; post: (call: string, n: number) => Promise<number> }> {
  const logger = silentLogger();
  const metrics = createMetrics();
  const producer = new DurableProducer({ kafka: { brokers: servers.brokers }, logger });
  const ingest = await startIngest(
    {
      host: '127.0.0.1',
      port: 0,
      apps: [{ provider: 'tencent', appId: APP }],
      truncateClientIp: true,
      spoolDir: join(servers.dataDir, `spool-${runs++}`),
    },
    {
      sources: tuicallkit.webhook ? [tuicallkit.webhook] : [],
      connect: async () => {
        await producer.connect();
        return kafkaOutlet({ producer, codecs: new Map([[TOPIC.name, localCodec(TOPIC)]]), partitions: PARTITIONS });
      },
      metrics,
      log: logger,
    },
  );
  stop = async () => {
    await ingest.close();
    await producer.close();
  };
  const post = async (call: string, n: number): Promise<number> =>
    (await fetch(`http://127.0.0.1:${ingest.port}${PATH}`, { method: 'POST', body: bodyOf(call, n) })).status;
  while (ingest.ready().problems.length > 0) await delay(5);
  return { ingest, metrics, post };
}

const ofCalls = async (prefix: string) => (await readRawTopic(servers.brokers)).filter(({ event }) => event.body.includes(prefix));

describe('ingest with a real broker', () => {
  it('has every callback in the topic when it answers 200: under its join key, in its partition, in order', async () => {
    const { post } = await start();
    const calls = Array.from({ length: 20 }, (_, i) => `durable-${i}`);
    for (let n = 0; n < 10; n++) expect(new Set(await Promise.all(calls.map((call) => post(call, n))))).toEqual(new Set([200]));
    const stored = await ofCalls('durable-');
    expect(stored).toHaveLength(200);
    expect(new Set(stored.map(({ event }) => event.id)).size).toBe(200);
    for (const { key, partition, event } of stored) {
      expect(key).toBe(`tencent:${APP}:${JSON.parse(event.body.toString()).CallId}`);
      expect(partition).toBe(partitionOf(key, PARTITIONS));
      expect(event).toMatchObject({ source: 'tuicallkit', app_id: APP, auth: 'app', remote_addr: '127.0.0.0' });
      expect(event.query).toBe(PATH.slice(PATH.indexOf('?') + 1).replace('clientip=127.0.0.1', 'clientip=127.0.0.0'));
    }
    for (const sequence of sequences(stored).values()) expect(sequence).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('goes on answering 200 while the broker is killed and restarted, loses nothing, and keeps the order of each call', async () => {
    const { ingest, post, metrics } = await start();
    const calls = Array.from({ length: 8 }, (_, i) => `outage-${i}`);
    let loading = true;
    const sent = new Map<string, number>();
    const load = calls.map(async (call) => {
      for (let n = 0; loading; n++) {
        expect(await post(call, n)).toBe(200);
        sent.set(call, n + 1);
        await delay(10);
      }
    });
    const all = Promise.all(load);
    const reach = async (count: number): Promise<void> => {
      while ([...sent.values()].reduce((a, b) => a + b, 0) < count) await Promise.race([delay(5), all]);
    };
    await reach(100);
    await servers.stack.kill('kafka', 'SIGKILL');
    await reach(400);
    expect(ingest.ready()).toMatchObject({ ok: true });
    await servers.stack.restart('kafka');
    while (ingest.ready().problems.length > 0) await Promise.race([delay(10), all]);
    await reach([...sent.values()].reduce((a, b) => a + b, 0) + 100);
    loading = false;
    await all;

    const found = sequences(await ofCalls('outage-'));
    for (const [call, count] of sent) expect(found.get(call)).toEqual(Array.from({ length: count }, (_, n) => n));
    expect((await metrics.callstream_spool_appended_total.get()).values[0]?.value).toBeGreaterThan(200);
    expect((await metrics.callstream_spool_events.get()).values[0]?.value).toBe(0);
  });
});
