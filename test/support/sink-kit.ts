import { expect, vi } from 'vitest';
import type { ClickHouseOptions } from '../../src/clickhouse/client.js';
import { CALL_FIELDS, ClickHouse, migrateClickHouse } from '../../src/clickhouse/index.js';
import { localCodec } from '../../src/codec/codec.js';
import { TOPICS } from '../../src/codec/topics.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { type SinkOptions, SinkWorker } from '../../src/workers/sink/worker.js';
import { type Dice, randomDeadLetters, randomDeliveries, randomRevisions } from './clickhouse-model.js';
import type { Records } from './clickhouse-views.js';
import type { MemoryTopics } from './memory-source.js';

const DAY = 86_400_000;
const RETENTION = { calls: 400 * DAY, events: 90 * DAY, metrics: 1826 * DAY };
export const codecs = {
  call: localCodec(TOPICS.calls),
  recording: localCodec(TOPICS.recordings),
  callEvent: localCodec(TOPICS.callEvents),
  deadLetter: localCodec(TOPICS.deadLetters),
  alert: localCodec(TOPICS.alerts),
};
let databases = 0;
const clients: ClickHouse[] = [];

/** A database of its own with all tables; its client is closed by {@link closeDatabases}. */
export async function freshDatabase(url: string): Promise<ClickHouse> {
  const client = openDatabase({ url, database: `sink_${databases++}` });
  await migrateClickHouse(client, { retention: RETENTION });
  return client;
}

/** One more client, of a database that is there. */
export function openDatabase(options: Pick<ClickHouseOptions, 'url' | 'database' | 'requestTimeoutMs'>): ClickHouse {
  const client = new ClickHouse({ username: 'default', password: '', ...options });
  clients.push(client);
  return client;
}

export async function closeDatabases(): Promise<void> {
  for (const client of clients) await client.close();
}

export interface Member {
  worker: SinkWorker;
  /** Resolves with what the worker stopped for. */
  failed: Promise<unknown>;
  stop(): Promise<void>;
}

export function startSink(topics: MemoryTopics, clickhouse: ClickHouse, options: Partial<SinkOptions> = {}): Member {
  const source = topics.join();
  let report: (error: unknown) => void = () => {};
  const failed = new Promise<unknown>((resolve) => {
    report = resolve;
  });
  const worker = new SinkWorker({
    source,
    send: async () => {},
    clickhouse,
    readers: { ...codecs, call: codecs.call.only(...CALL_FIELDS) },
    keepCallsMs: RETENTION.calls,
    logger: silentLogger(),
    metrics: createMetrics(),
    onFatal: report,
    pace: { maxRecords: 40, maxBytes: 10_000_000, intervalMs: 5 },
    ...options,
  });
  worker.start();
  return {
    worker,
    failed,
    stop: async () => {
      await worker.stop();
      source.leave();
    },
  };
}

/** Random records, calls by partition as the topic would have them. */
export function fill(topics: MemoryTopics, dice: Dice): Records {
  const now = Date.now();
  const records = {
    calls: randomRevisions(dice, 60, now),
    events: randomDeliveries(dice, 60, now),
    dead: randomDeadLetters(dice, 15, now),
  };
  for (const c of records.calls) topics.append(TOPICS.calls.name, Number(c.call_id.length % 3), codecs.call.encode(c));
  for (const e of records.events) topics.append(TOPICS.callEvents.name, dice.int(3), codecs.callEvent.encode(e));
  for (const d of records.dead) topics.append(TOPICS.deadLetters.name, dice.int(3), codecs.deadLetter.encode(d));
  return records;
}

/** Every touched bucket is rolled. */
export const rolled = async (client: ClickHouse): Promise<void> => {
  await vi.waitFor(
    async () => {
      const [row] = await client.query<{ n: number }>(
        `SELECT count() AS n FROM (SELECT kind, app_id, bucket, sum(n) AS n FROM touched GROUP BY kind, app_id, bucket) AS t
         LEFT JOIN (SELECT 'metrics' AS kind, app_id, bucket, n FROM metrics_minutes FINAL UNION ALL SELECT 'concurrency', app_id, bucket, n FROM concurrency_minutes FINAL) AS r
           ON toString(t.kind) = r.kind AND t.app_id = r.app_id AND t.bucket = r.bucket WHERE t.n > r.n`,
      );
      expect(row?.n).toBe(0);
    },
    { timeout: 60_000, interval: 100 },
  );
};

/** Everything is stored and committed. */
export const drained = (topics: MemoryTopics): Promise<void> =>
  vi.waitFor(() => expect(topics.lag).toBe(0), { timeout: 60_000, interval: 20 });
