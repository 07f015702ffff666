import { type Cell, cellKey, concurrency, minuteKey, rollup } from '../truth/rollups.js';
import { compareDeliveries } from './compare-deliveries.js';
import { compareMissedPairs, compareOverlaps } from './compare-pairs.js';
import type { Compared } from './compared.js';
import type { Comparison } from './comparison.js';
import { Differences, show } from './differences.js';
import { type MeasuredCall, measuredCalls } from './measured.js';
import { concurrencyRows, metricsRows } from './rows-rollups.js';
import { sparing } from './sparing.js';

const MINUTE = 60_000;
const WIDTHS = { metrics_1m: MINUTE, metrics_1h: 60 * MINUTE, metrics_1d: 1440 * MINUTE } as const;
/** The roller follows the sink; so long it may be behind before a cell counts as wrong. */
const ROLLER_MS = 60_000;
/** Calls that time out meanwhile give the roller new work, but not for ever. */
const ALL_MS = 600_000;
const AGAIN_MS = 1_000;

type Rolled = Pick<
  Compared,
  'rollup_cells' | 'concurrency_minutes' | 'missed_pairs' | 'delivery_minutes' | 'received' | 'folded' | 'duplicates' | 'dead'
> & { overlaps: number };

/**
 * Rollups, concurrency, what pairs calls, and delivery counts; again and again while they differ, until the roller has had its time since the last timeout of
 * a call. Each attempt judges anew which calls are over.
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
      missed_pairs: await compareMissedPairs(c, calls, found),
      overlaps: await compareOverlaps(c, calls, started, found),
      ...(await compareDeliveries(c, calls, found)),
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

async function compareMetrics(c: Comparison, calls: readonly MeasuredCall[], found: Differences): Promise<number> {
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
async function compareConcurrency(c: Comparison, calls: readonly MeasuredCall[], now: number, found: Differences): Promise<number> {
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
