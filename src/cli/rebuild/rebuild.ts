import { setTimeout as delay } from 'node:timers/promises';
import {
  Chunk,
  type ClickHouse,
  endRebuilds,
  Flush,
  openRebuilds,
  type Retouched,
  type Roller,
  retouch,
  wantRebuild,
} from '../../clickhouse/index.js';
import { TOPICS } from '../../codec/topics.js';
import { CallstreamError } from '../../domain/errors.js';
import type { LogRange } from '../../stream/offsets.js';
import type { InputRecord } from '../../stream/types.js';
import { Backoff, turn } from '../../stream/wait.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { Intake } from '../../workers/sink/intake.js';
import type { ForgottenRecords } from './forgotten-records.js';
import { type Beginning, reachOf } from './reach.js';

/** Where a rebuild can be interrupted, before and after what it changes. */
export const REBUILD_FAULT_POINTS = [
  'rebuild:before-rows-insert',
  'rebuild:after-rows-insert',
  'rebuild:before-touched-insert',
  'rebuild:after-touched-insert',
] as const;
export type RebuildFaultPoint = (typeof REBUILD_FAULT_POINTS)[number];

export interface RebuildDeps {
  clickhouse: ClickHouse;
  /** Those that hold what the tables are made of. */
  topics: readonly string[];
  /** Where the logs of a topic start and end now. */
  ranges(topic: string): Promise<LogRange[]>;
  /** All committed records within the ranges, in order within each partition; waits for `take`. */
  read(topic: string, ranges: readonly LogRange[], take: (records: InputRecord[], offsets: number) => Promise<void>): Promise<void>;
  forgotten: Pick<ForgottenRecords, 'without' | 'takeLast'>;
  intake: Pick<Intake, 'resolve' | 'add'>;
  roller: Pick<Roller, 'pass'>;
  metrics: Metrics;
  /** Of this run. */
  id: string;
  /** Epoch ms. */
  now: number;
  /** Told how many of so many records, or minutes of rollups, are done. */
  onProgress(what: 'records' | 'minutes', done: number, total: number): void;
  /** Told what is waited for. */
  onWait(why: string): void;
  signal: AbortSignal;
  /** For tests. */
  fault?: ((point: RebuildFaultPoint) => void | Promise<void>) | undefined;
}

/** What a topic had. */
export interface Refilled {
  topic: string;
  /** Records that have their rows now. */
  stored: number;
  /** Records that can be no row: the sink has made dead letters of them. */
  unreadable: number;
  /** When its first record was written, epoch ms; null: it has none. */
  since: number | null;
}

export interface Rebuilt {
  topics: Refilled[];
  rollups: Retouched;
}

/** Rows that one insert holds are not more than these bytes of records. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Records that become rows without letting the event loop turn. */
const SLICE = 1_000;
/** What the environment makes fail is tried again for so long. */
const PATIENCE_MS = 120_000;
const ENVIRONMENT_CODES: ReadonlySet<string> = new Set(['REGISTRY_UNAVAILABLE', 'CLICKHOUSE_UNAVAILABLE']);

/**
 * Gives every record that the topics hold its row again, exactly as the sink does, and then makes the rollups anew. Rows replace each other by key, so it may run
 * beside the sink, be killed at any moment, and run again; nothing is deleted, for the tables keep what the topics no longer have. Until it has ended, workers
 * conclude nothing from what is not stored.
 * @throws CallstreamError STREAM_DEAD_LETTER_LIMIT; ClickHouse's, the registry's and Kafka's errors; the signal's reason
 */
export async function rebuild(deps: RebuildDeps): Promise<Rebuilt> {
  const { clickhouse, id, now, topics, ranges } = deps;
  await wantRebuild(clickhouse, id, now);
  // What was wanted before this began is done once this is.
  const open = await openRebuilds(clickhouse);
  const logs = await Promise.all(topics.map(async (topic) => ({ topic, ranges: await ranges(topic) })));
  const total = logs.flatMap((log) => log.ranges).reduce((sum, { low, end }) => sum + end - low, 0);
  let done = 0;
  const refilled: Refilled[] = [];
  let beginnings: Beginning[] = [];
  for (const log of logs) {
    const begins: Beginning[] = log.ranges.map(({ low }) => ({ low, first: null }));
    const topic = await refill(deps, log, begins, (offsets) => {
      done += offsets;
      deps.onProgress('records', done, total);
    });
    if (log.topic === TOPICS.calls.name) beginnings = begins;
    refilled.push(topic);
  }
  const rollups = await roll(deps, reachOf(beginnings) ?? now);
  await patiently(deps, () => endRebuilds(clickhouse, open));
  return { topics: refilled, rollups };
}

async function refill(
  deps: RebuildDeps,
  { topic, ranges }: { topic: string; ranges: readonly LogRange[] },
  begins: readonly Beginning[],
  onOffsets: (offsets: number) => void,
): Promise<Refilled> {
  const refilled: Refilled = { topic, stored: 0, unreadable: 0, since: null };
  const store = async (records: readonly InputRecord[]): Promise<void> => {
    for (const portion of portionsOf(records)) {
      deps.signal.throwIfAborted();
      const { stored, unreadable } = await patiently(deps, () => storeRows(deps, portion));
      refilled.stored += stored;
      refilled.unreadable += unreadable;
    }
  };
  await deps.read(topic, ranges, async (records, offsets) => {
    for (const { partition, timestamp } of records) begins[partition]!.first ??= timestamp;
    await store(records);
    onOffsets(offsets);
  });
  await store(deps.forgotten.takeLast());
  const firsts = begins.flatMap(({ first }) => first ?? []);
  return { ...refilled, since: firsts.length === 0 ? null : Math.min(...firsts) };
}

/** Who is forgotten is asked each time: an insert that takes longer than `forget-user` waits for is given up, and made anew. */
async function storeRows(
  { forgotten, intake, clickhouse, metrics, fault }: RebuildDeps,
  records: readonly InputRecord[],
): Promise<{ stored: number; unreadable: number }> {
  const shown = await forgotten.without(records);
  await intake.resolve(shown);
  const chunk = new Chunk();
  let unreadable = 0;
  for (let from = 0; from < shown.length; from += SLICE) {
    await turn();
    unreadable += intake.add(chunk, shown.slice(from, from + SLICE)).length;
  }
  const stored = chunk.records;
  await fault?.('rebuild:before-rows-insert');
  if (stored > 0) await new Flush(clickhouse, metrics, chunk).rows();
  await fault?.('rebuild:after-rows-insert');
  return { stored, unreadable };
}

async function roll(deps: RebuildDeps, reach: number): Promise<Retouched> {
  const { clickhouse, roller, onProgress, fault } = deps;
  await fault?.('rebuild:before-touched-insert');
  const rollups = await patiently(deps, () => retouch(clickhouse, reach));
  await fault?.('rebuild:after-touched-insert');
  let total: number | null = null;
  await patiently(deps, () =>
    roller.pass((left) => {
      total ??= left;
      onProgress('minutes', Math.max(0, total - left), total);
    }),
  );
  return rollups;
}

function* portionsOf(records: readonly InputRecord[]): Generator<InputRecord[]> {
  let portion: InputRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    portion.push(record);
    bytes += record.value?.length ?? 0;
    if (bytes < MAX_BYTES) continue;
    yield portion;
    portion = [];
    bytes = 0;
  }
  if (portion.length > 0) yield portion;
}

/** Repeats what the environment makes fail; everything here may be done again. */
async function patiently<T>({ signal, onWait }: RebuildDeps, work: () => Promise<T>): Promise<T> {
  const backoff = new Backoff(200, 10_000);
  const began = performance.now();
  for (;;) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      const waits = error instanceof CallstreamError && ENVIRONMENT_CODES.has(error.code) && performance.now() - began < PATIENCE_MS;
      if (!waits) throw error;
      onWait(error.message);
    }
    await delay(backoff.next(), undefined, { signal });
  }
}
