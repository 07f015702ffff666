import { callKey, deliveryMinuteKey } from '../truth/deliveries.js';
import { type Cell, cellKey, concurrency, type Measured, minuteKey, rollup } from '../truth/rollups.js';
import type { Comparison } from './compare.js';
import { Differences, show } from './differences.js';
import { standingsOf } from './fate.js';
import type { Compared } from './ports.js';
import { callRows, concurrencyRows, deliveryRows, metricsRows } from './rows.js';
import { sparing } from './sparing.js';

const MINUTE = 60_000;
const WIDTHS = { metrics_1m: MINUTE, metrics_1h: 60 * MINUTE, metrics_1d: 1440 * MINUTE } as const;
/** The roller follows the sink; so long it may be behind before a cell counts as wrong. */
const ROLLER_MS = 60_000;
/** Calls that time out meanwhile give the roller new work, but not for ever. */
const ALL_MS = 600_000;
const AGAIN_MS = 1_000;

type Rolled = Pick<Compared, 'rollup_cells' | 'concurrency_minutes' | 'delivery_minutes' | 'received' | 'folded' | 'duplicates' | 'dead'>;

/**
 * Rollups, concurrency and delivery counts; again and again while they differ, until the roller has had its time since the last timeout of a call. Each attempt
 * judges anew which calls are over.
 */
export async function compareRollups(c: Comparison, say: (line: string) => void): Promise<Rolled> {
  const begun = c.clock.now();
  let deadline = begun + ROLLER_MS;
  let over: number | null = null;
  say('comparing rollups, concurrency and delivery counts');
  const tell = sparing(say, c.clock);
  for (;;) {
    const found = new Differences(c.differences.keep);
    const started = c.clock.now();
    const calls = await measuredCalls(c, started);
    const rolled: Rolled = {
      rollup_cells: await compareMetrics(c, calls, found),
      concurrency_minutes: await compareConcurrency(c, calls, started, found),
      ...(await compareDeliveries(c, found)),
    };
    const ended = calls.filter((call) => call.status === 'ended').length;
    if (over !== null && ended !== over) deadline = Math.min(c.clock.now() + ROLLER_MS, begun + ALL_MS);
    over = ended;
    if (found.total === 0 || c.clock.now() > deadline) {
      c.differences.merge(found);
      return rolled;
    }
    tell(`waiting for the roller: ${found.total} cells differ`);
    await c.sleep(AGAIN_MS);
  }
}

/**
 * The truth about the run's own calls, and the rows of all other calls of the apps as they are. Whether a timeout that strikes just now has struck already is
 * taken from the call's row: the rollups must agree with it, if need be a moment later.
 */
async function measuredCalls(c: Comparison, from: number): Promise<Measured[]> {
  const others: Measured[] = [];
  const statuses = new Map<string, string>();
  for await (const page of callRows(c.query, c.apps)) {
    for (const row of page) {
      const key = callKey(row.app_id, row.call_id);
      if (c.calls.has(key)) statuses.set(key, row.status);
      else others.push(row);
    }
  }
  const to = c.clock.now();
  const own = [...c.calls].map(([key, call]) => {
    const standings = standingsOf(call.fate, c.settle, from, to);
    const { truth } = standings.find((s) => s.truth.status === statuses.get(key)) ?? standings[0]!;
    return { app_id: call.app_id, ...truth };
  });
  return [...own, ...others];
}

const EXACT = [
  'calls',
  'answered',
  'no_answer',
  'rejected',
  'busy',
  'cancelled',
  'failed',
  'unknown',
  'missed',
  'missed_inclusive',
  'ring_ms_sum',
  'talk_ms_sum',
] as const;
const PERCENTILES = ['ring_p50_ms', 'ring_p95_ms', 'talk_p50_ms', 'talk_p95_ms'] as const;

async function compareMetrics(c: Comparison, calls: readonly Measured[], found: Differences): Promise<number> {
  let cells = 0;
  for (const [relation, width] of Object.entries(WIDTHS) as [keyof typeof WIDTHS, number][]) {
    const expected = rollup(calls, width);
    for (const row of await metricsRows(c.query, relation, c.apps)) {
      const key = cellKey(row);
      const truth = expected.get(key);
      if (truth === undefined) {
        found.add(`invented ${relation} cell`, `${key}: ${row.calls} calls`);
        continue;
      }
      expected.delete(key);
      cells++;
      const wrong = cellDifferences(truth, row);
      if (wrong.length > 0) found.add(`${relation} cell`, `${key}: ${wrong.join('; ')}`);
    }
    for (const key of expected.keys()) found.add(`missing ${relation} cell`, key);
  }
  return cells;
}

/** Counts and sums equal; rates to 1e-9 (acd to half a millisecond); percentiles to 1%, and half a millisecond for rounding. */
export function cellDifferences(truth: Cell, row: Cell): string[] {
  const wrong = (name: keyof Cell) => `${name} should be ${show(name, truth[name])} and is ${show(name, row[name])}`;
  const close = (a: number | null, b: number | null, slack: (expected: number) => number) =>
    a === null || b === null ? a === b : Math.abs(a - b) <= slack(a);
  return [
    ...EXACT.filter((name) => truth[name] !== row[name]),
    ...(['asr', 'ner'] as const).filter((name) => !close(truth[name], row[name], () => 1e-9)),
    ...(close(truth.acd_ms, row.acd_ms, () => 0.5) ? [] : (['acd_ms'] as const)),
    ...PERCENTILES.filter((name) => !close(truth[name], row[name], (expected) => expected * 0.01 + 0.5)),
  ].map(wrong);
}

/** Whole minutes only: the one under way still changes with every open call. */
async function compareConcurrency(c: Comparison, calls: readonly Measured[], now: number, found: Differences): Promise<number> {
  const expected = concurrency(calls, now);
  let minutes = 0;
  for (const row of await concurrencyRows(c.query, c.apps)) {
    if (row.bucket + MINUTE > now) continue;
    const key = minuteKey(row);
    const truth = expected.get(key);
    expected.delete(key);
    if (truth === undefined) {
      if (row.peak !== 0 || row.average !== 0) found.add('invented concurrency minute', `${key}: peak ${row.peak}, average ${row.average}`);
      continue;
    }
    minutes++;
    if (truth.peak !== row.peak) found.add('concurrency minute', `${key}: peak should be ${truth.peak} and is ${row.peak}`);
    if (Math.abs(truth.average - row.average) > 1e-6 * Math.max(1, truth.average)) {
      found.add('concurrency minute', `${key}: average should be ${truth.average} and is ${row.average}`);
    }
  }
  for (const [key, truth] of expected) if (truth.bucket + MINUTE <= now) found.add('missing concurrency minute', key);
  return minutes;
}

const COUNTS = ['received', 'folded', 'duplicates', 'dead'] as const;

/** delivery_minutes, minute by minute: received = folded + duplicates + dead (contract §7.2), and each of the four as the raw topic has it. */
async function compareDeliveries(c: Comparison, found: Differences): Promise<Omit<Rolled, 'rollup_cells' | 'concurrency_minutes'>> {
  const from = Math.floor(c.begin_at / MINUTE) * MINUTE;
  const expected = new Map([...c.deliveries.minutes].filter(([key]) => bucketOf(key) >= from));
  const to = Math.max(from, ...[...expected.keys()].map(bucketOf));
  const total = { delivery_minutes: 0, received: 0, folded: 0, duplicates: 0, dead: 0 };
  for (const row of await deliveryRows(c.query, c.apps, from, to)) {
    const key = deliveryMinuteKey(row.app_id, row.bucket);
    const truth = expected.get(key);
    expected.delete(key);
    for (const name of COUNTS) total[name] += row[name];
    if (row.received !== row.folded + row.duplicates + row.dead)
      found.add(
        'sum of deliveries',
        `${key}: received ${row.received} is not folded ${row.folded} + duplicates ${row.duplicates} + dead ${row.dead}`,
      );
    if (truth === undefined) {
      if (row.received > 0) found.add('invented delivery minute', key);
      continue;
    }
    total.delivery_minutes++;
    found.fields('delivery minute', key, truth, row);
  }
  for (const key of expected.keys()) found.add('missing delivery minute', key);
  return total;
}

const bucketOf = (key: string): number => Date.parse((JSON.parse(key) as [string, string])[0]);
