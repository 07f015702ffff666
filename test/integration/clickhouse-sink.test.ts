import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { ClickHouse, migrateClickHouse } from '../../src/clickhouse/index.js';
import { localCodec } from '../../src/codec/codec.js';
import { TOPICS } from '../../src/codec/topics.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { partitionOf } from '../../src/stream/partition.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.js';
import { SINK_TOPICS } from '../../src/workers/sink/intake.js';
import { Sink } from '../../src/workers/sink/sink.js';
import { Dice, isOfDelivery, randomDeadLetters, randomDeliveries, randomRevisions } from '../support/clickhouse-model.js';
import { expectViews, type Records } from '../support/clickhouse-views.js';
import { useStack } from '../support/stack.js';

const DAY = 86_400_000;
const RETENTION = { calls: 400 * DAY, events: 90 * DAY, metrics: 1826 * DAY };
const PARTITIONS = 2;
const GROUP = 'test-sink';
const servers = useStack(['kafka', 'clickhouse']);
const codecs = {
  call: localCodec(TOPICS.calls),
  recording: localCodec(TOPICS.recordings),
  callEvent: localCodec(TOPICS.callEvents),
  deadLetter: localCodec(TOPICS.deadLetters),
  alert: localCodec(TOPICS.alerts),
};
const logger = silentLogger();
let clickhouse: ClickHouse;
let producer: DurableProducer;
let admin: TopicAdmin;

beforeAll(async () => {
  const kafka = { brokers: servers.brokers };
  admin = new TopicAdmin({ kafka, logger });
  await admin.migrate({ partitions: PARTITIONS, groups: { sink: GROUP } });
  producer = new DurableProducer({ kafka, logger });
  clickhouse = new ClickHouse({
    url: servers.clickhouseUrl,
    username: 'default',
    password: '',
    database: 'sink',
    requestTimeoutMs: 60_000,
  });
  await migrateClickHouse(clickhouse, { retention: RETENTION });
});

afterAll(async () => {
  await producer?.close();
  await admin?.close();
  await clickhouse?.close();
});

function startSink(): { sink: Sink; metrics: Metrics; fatal: unknown[] } {
  const metrics = createMetrics();
  const fatal: unknown[] = [];
  const sink = new Sink({
    kafka: { brokers: servers.brokers },
    groupId: GROUP,
    clickhouse,
    codecs,
    keepCallsMs: RETENTION.calls,
    logger,
    metrics,
    onFatal: (error) => fatal.push(error),
  });
  return { sink, metrics, fatal };
}

async function publish({ calls, events, dead }: Records): Promise<void> {
  const record = (topic: string, key: string, value: Buffer) => ({ topic, key, value, partition: partitionOf(key, PARTITIONS) });
  await producer.send([
    ...calls.map((c) => record(TOPICS.calls.name, c.call_id, codecs.call.encode(c))),
    ...events.map((e) => record(TOPICS.callEvents.name, e.call_id, codecs.callEvent.encode(e))),
    ...dead.map((d) => record(TOPICS.deadLetters.name, String(d.origin_offset), codecs.deadLetter.encode(d))),
  ]);
}

const count = async (table: string): Promise<number> =>
  (await clickhouse.query<{ n: number }>(`SELECT count() AS n FROM ${table} FINAL`))[0]!.n;

const rowsOf = async (metrics: Metrics): Promise<Record<string, number>> =>
  Object.fromEntries((await metrics.callstream_sink_rows_total.get()).values.map((v) => [v.labels.table, v.value]));

test('records of all topics and partitions reach the relations; a member that comes later goes on where the last one committed', async () => {
  const now = Date.now();
  const dice = new Dice(41);
  const made = (from: number): Records => ({
    calls: randomRevisions(dice, 40, now).map((c) => ({ ...c, call_id: `${from}-${c.call_id}` })),
    events: randomDeliveries(dice, 40, now).map((e) => ({
      ...e,
      event_id: `${from}-${e.event_id}`,
      raw_offset: e.raw_offset + from * 1_000_000_000_000,
    })),
    dead: randomDeadLetters(dice, 10, now).map((d) => ({ ...d, origin_offset: d.origin_offset + from * 100 })),
  });
  const first = made(1);
  await publish(first);
  const one = startSink();
  await one.sink.start();
  await vi.waitFor(async () => expect(await count('call_revisions')).toBe(first.calls.length), { timeout: 60_000 });
  expect(one.sink.problems()).toEqual([]);
  await one.sink.stop();

  const second = made(2);
  await publish(second);
  const two = startSink();
  await two.sink.start();
  const all = {
    calls: [...first.calls, ...second.calls],
    events: [...first.events, ...second.events],
    dead: [...first.dead, ...second.dead],
  };
  await vi.waitFor(
    async () => {
      expect(await count('call_revisions')).toBe(all.calls.length);
      expect(await count('dead_letter_rows')).toBe(all.dead.length);
      expect(await count('deliveries')).toBe(all.events.length + all.dead.filter(isOfDelivery).length);
    },
    { timeout: 60_000 },
  );
  // Touches come after the rows, and offsets are committed after the touches: before that, nothing looks dirty.
  await vi.waitFor(async () => expect([...(await admin.lag(GROUP, SINK_TOPICS)).values()]).toEqual(SINK_TOPICS.map(() => 0)), {
    timeout: 60_000,
  });
  await vi.waitFor(
    async () => {
      const dirty = await clickhouse.query(
        `SELECT app_id, bucket FROM touched WHERE kind = 'metrics' GROUP BY app_id, bucket
         HAVING (app_id, bucket, sum(n)) NOT IN (SELECT app_id, bucket, n FROM metrics_minutes)
         UNION ALL SELECT app_id, bucket FROM touched WHERE kind = 'concurrency' GROUP BY app_id, bucket
         HAVING (app_id, bucket, sum(n)) NOT IN (SELECT app_id, bucket, n FROM concurrency_minutes)`,
      );
      expect(dirty).toEqual([]);
    },
    { timeout: 60_000 },
  );
  await two.sink.stop();
  // What the first member committed was not stored again.
  expect((await rowsOf(two.metrics)).call_revisions).toBe(second.calls.length);
  expect([...one.fatal, ...two.fatal]).toEqual([]);
  await expectViews(clickhouse, all);
});
