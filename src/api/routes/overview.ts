import { z } from 'zod';
import { type MeasureName, SUMMARY } from '../definitions.js';
import { OUTCOMES, oneOf, range, type Scope, scope, zoned } from '../params.js';
import { bucketOf, inBuckets, type Plan, planBefore, planRange, stepped } from '../plan.js';
import { Conditions, num, type Query, type Row, ratio, run, type Statement } from '../query.js';
import { asOf, count, MEASURE, period, rate } from '../records.js';
import { route } from '../route.js';
import { Zone } from '../zone.js';

/*
 * Numbers of periods, from the rolled minutes: of a minute's groups only the arrays that are needed are read, which the relations metrics_* cannot do.
 */

/** What the rolled minutes count, by group. */
const COUNTS = ['calls', ...OUTCOMES, 'missed', 'missed_inclusive', 'talk_ms_sum'] as const;
type Count = (typeof COUNTS)[number];

const SUMS = COUNTS.map((name) => `sum(${name}) AS ${name}`).join(', ');

/** The groups of the rolled minutes of a plan, narrowed to a scope: FROM and WHERE. @param columns of a group that are needed, by their paths */
function groupsOf(columns: readonly string[], plan: Plan, wanted: Scope): Statement {
  const where: Conditions = inBuckets(plan).app(wanted).equal('call_type', 'type', wanted.type).equal('media_type', 'media', wanted.media);
  const filters = [...(wanted.type === undefined ? [] : ['call_type']), ...(wanted.media === undefined ? [] : ['media_type'])];
  const arrays = [...columns, ...filters].map((path) => `t.groups.${path} AS ${path.replace('.', '_')}`);
  return { sql: `FROM metrics_minutes AS t FINAL ARRAY JOIN ${arrays.join(', ')} WHERE ${where.sql}`, params: where.params };
}

export function countsStatement(plan: Plan, wanted: Scope): Statement {
  const from = groupsOf(COUNTS, plan, wanted);
  return { sql: `SELECT ${SUMS} ${from.sql}`, params: from.params };
}

export function seriesStatement(plan: Plan, wanted: Scope): Statement {
  const from = groupsOf(COUNTS, plan, wanted);
  const bucket = bucketOf('toUnixTimestamp(t.bucket)', plan);
  return { sql: `SELECT ${bucket.sql} AS at, ${SUMS} ${from.sql} GROUP BY at`, params: { ...from.params, ...bucket.params } };
}

/** The value of a bin of the rolled minutes, ms: as the relations metrics_* show it. */
const binValue = (bin: string): string => `if(${bin} <= 256, ${bin}, round(256 * pow(1.015, ${bin} - 256) * 2 / 2.015))`;

/** Nearest rank over the bins: the weighted aggregate takes the smallest value with rank >= p·n. A value is at most 1% off. */
export function percentilesStatement(measure: 'ring' | 'talk', plan: Plan, wanted: Scope): Statement {
  const from = groupsOf([`${measure}_bins.1`, `${measure}_bins.2`], plan, wanted);
  return {
    sql:
      `SELECT sum(weight) AS n, arrayMap(b -> ${binValue('b')}, quantilesExactWeighted(0.5, 0.95)(bin, weight)) AS percentiles ` +
      `FROM (SELECT ${measure}_bins_1 AS bins, ${measure}_bins_2 AS weights ${from.sql}) ARRAY JOIN bins AS bin, weights AS weight`,
    params: from.params,
  };
}

/** Calls that are not over stand in no rollup; they are few, and the table knows where. */
export function openStatement(plan: Plan, wanted: Scope): Statement {
  const where = new Conditions().during('t.started_at', plan).scope(wanted).add("t.status != 'ended'");
  return {
    sql: `SELECT countIf(t.status = 'ringing') AS ringing, countIf(t.status = 'active') AS active FROM calls AS t WHERE ${where.sql}`,
    params: where.params,
  };
}

const countsOf = (row: Row): Record<Count, number> =>
  Object.fromEntries(COUNTS.map((name) => [name, num(row[name])])) as Record<Count, number>;

/** Rates of contract §5. */
const ratesOf = (c: Record<Count, number>) => ({
  asr: ratio(c.answered, c.calls),
  ner: ratio(c.answered + c.no_answer + c.rejected + c.busy + c.cancelled, c.calls),
  acd_ms: ratio(c.talk_ms_sum, c.answered),
});

async function readSummary(query: Query, plan: Plan, wanted: Scope) {
  const [[counts = {}], [ring = {}], [talk = {}], [open = {}]] = await Promise.all([
    run(query, countsStatement(plan, wanted)),
    run(query, percentilesStatement('ring', plan, wanted)),
    run(query, percentilesStatement('talk', plan, wanted)),
    run(query, openStatement(plan, wanted)),
  ]);
  const c = countsOf(counts);
  const rates = ratesOf(c);
  const percentile = ({ n, percentiles }: Row, index: number): [number | null, number] => [
    num(n) === 0 ? null : num((percentiles as unknown[])[index]),
    num(n),
  ];
  const notOver = num(open.ringing) + num(open.active);
  const values: Record<MeasureName, [value: number | null, n: number]> = {
    calls: [c.calls, c.calls],
    answered: [c.answered, c.calls],
    asr: [rates.asr, c.calls],
    ner: [rates.ner, c.calls],
    acd_ms: [rates.acd_ms, c.answered],
    ring_p50_ms: percentile(ring, 0),
    ring_p95_ms: percentile(ring, 1),
    talk_p50_ms: percentile(talk, 0),
    talk_p95_ms: percentile(talk, 1),
    missed: [c.missed, c.calls],
    missed_inclusive: [c.missed_inclusive, c.calls],
    ringing: [num(open.ringing), notOver],
    active: [num(open.active), notOver],
  };
  const names = Object.keys(SUMMARY) as MeasureName[];
  const measures = Object.fromEntries(
    names.map((name) => [name, { value: values[name][0], n: values[name][1], ...SUMMARY[name] }]),
  ) as Record<MeasureName, z.input<typeof MEASURE>>;
  return { from: plan.from, to: plan.to, measures };
}

const compare = {
  compare: oneOf(['previous']).optional().describe('`previous`: the same for as many buckets that end where the period begins.'),
};

const measured = { ...period, measures: z.record(z.enum(Object.keys(SUMMARY) as [MeasureName, ...MeasureName[]]), MEASURE) };

const summary = route({
  path: '/api/v1/summary',
  operation: 'readSummary',
  summary: 'Key figures of a period: calls, ASR, NER, ACD, ring and talk time, missed.',
  description: 'Percentiles are nearest rank, at most 1% off. Rates are null when there is nothing to take them over.',
  params: z.strictObject({ ...range, ...scope, ...stepped, ...zoned, ...compare }),
  answer: z.strictObject({
    as_of: asOf,
    ...measured,
    previous: z.strictObject(measured).nullable().describe('Null unless asked for with `compare`.'),
  }),
  async read({ query, now }, params) {
    const plan = planRange(params, now);
    const [current, previous] = await Promise.all([
      readSummary(query, plan, params),
      params.compare === undefined ? null : readSummary(query, planBefore(plan, params), params),
    ]);
    return { as_of: now, ...current, previous };
  },
});

const COLUMNS = ['calls', 'missed', 'missed_inclusive'] as const;

async function readSeries(query: Query, plan: Plan, wanted: Scope) {
  const rows = new Map((await run(query, seriesStatement(plan, wanted))).map((row) => [num(row.at) * 1000, row]));
  const counts = plan.at.map((at) => countsOf(rows.get(at) ?? {}));
  const rates = counts.map(ratesOf);
  const column = (name: Count): number[] => counts.map((c) => c[name]);
  return {
    from: plan.from,
    to: plan.to,
    at: plan.at,
    calls: column('calls'),
    outcomes: Object.fromEntries(OUTCOMES.map((name) => [name, column(name)])) as Record<(typeof OUTCOMES)[number], number[]>,
    missed: column('missed'),
    missed_inclusive: column('missed_inclusive'),
    asr: rates.map((r) => r.asr),
    ner: rates.map((r) => r.ner),
    acd_ms: rates.map((r) => r.acd_ms),
  };
}

const points = z.array(count);
const lines = {
  ...period,
  at: z.array(z.int()).describe('Start of each bucket, epoch milliseconds; every other list has one number for each.'),
  ...(Object.fromEntries(COLUMNS.map((name) => [name, points.describe(SUMMARY[name].definition)])) as Record<
    (typeof COLUMNS)[number],
    typeof points
  >),
  outcomes: z.record(z.enum(OUTCOMES), points).describe('Calls that are over, by outcome; they add up to `calls`.'),
  asr: z.array(rate).describe(SUMMARY.asr.definition),
  ner: z.array(rate).describe(SUMMARY.ner.definition),
  acd_ms: z.array(rate).describe(SUMMARY.acd_ms.definition),
};

const series = route({
  path: '/api/v1/series',
  operation: 'readSeries',
  summary: 'Calls over time: by outcome, missed, ASR, NER, ACD.',
  description: 'Every bucket of the period is there, also those without calls.',
  params: z.strictObject({ ...range, ...scope, ...stepped, ...zoned, ...compare }),
  answer: z.strictObject({
    as_of: asOf,
    step: z.string(),
    step_ms: z.int().describe('Length of a bucket, milliseconds; of a day, 24 hours.'),
    ...lines,
    previous: z.strictObject(lines).nullable().describe('Null unless asked for with `compare`.'),
  }),
  async read({ query, now }, params) {
    const plan = planRange(params, now);
    const [current, previous] = await Promise.all([
      readSeries(query, plan, params),
      params.compare === undefined ? null : readSeries(query, planBefore(plan, params), params),
    ]);
    return { as_of: now, step: plan.step, step_ms: plan.stepMs, ...current, previous };
  },
});

const HEATED = ['calls', 'answered', 'missed', 'missed_inclusive'] as const;
const QUARTER = 900;
const QUARTERS_PER_WEEK = 672;

/**
 * Sums by stretch of one UTC offset and quarter of an hour of the week in UTC: enough to put every call into its local hour, for no zone's offset is finer,
 * and never more than some hundred rows a stretch.
 */
export function weekStatement(plan: Plan, wanted: Scope, stretches: readonly { from: number }[]): Statement {
  const from = groupsOf(HEATED, plan, wanted);
  return {
    sql:
      `SELECT roundDown(toUnixTimestamp(t.bucket), {stretches:Array(UInt32)}) AS stretch, ` +
      `intDiv(toUnixTimestamp(t.bucket), ${QUARTER}) % ${QUARTERS_PER_WEEK} AS quarter, ${HEATED.map((name) => `sum(${name}) AS ${name}`).join(', ')} ` +
      `${from.sql} GROUP BY stretch, quarter`,
    params: { ...from.params, stretches: stretches.map((stretch) => Math.floor(stretch.from / 1000)) },
  };
}

/** 1970-01-01 was a Thursday, the fourth day of a week that begins on Monday. */
const EPOCH_WEEKDAY = 3;

const week = z.array(points.length(24)).length(7);

const heatmap = route({
  path: '/api/v1/heatmap',
  operation: 'readHeatmap',
  summary: 'Calls by hour of the day and weekday.',
  description: 'Seven lists, Monday first, of 24 hours each, on the clock of `tz`.',
  params: z.strictObject({ ...range, ...scope, ...zoned }),
  answer: z.strictObject({
    as_of: asOf,
    ...period,
    tz: z.string(),
    ...(Object.fromEntries(HEATED.map((name) => [name, week.describe(SUMMARY[name].definition)])) as Record<
      (typeof HEATED)[number],
      typeof week
    >),
    asr: z.array(z.array(rate).length(24)).length(7).describe(SUMMARY.asr.definition),
  }),
  async read({ query, now }, params) {
    const zone = params.tz ?? new Zone('UTC');
    const plan = planRange(params, now);
    const stretches = zone.offsets(plan.from, plan.to);
    const rows = await run(query, weekStatement(plan, params, stretches));
    const offsets = new Map(stretches.map(({ from, offset }) => [Math.floor(from / 1000), offset / 1000]));
    const cells = HEATED.map((name) => [name, Array.from({ length: 7 }, () => new Array<number>(24).fill(0))] as const);
    for (const row of rows) {
      const local = num(row.quarter) * QUARTER + (offsets.get(num(row.stretch)) ?? 0);
      const hours = Math.floor(local / 3600) + 7 * 24;
      const weekday = (Math.floor(hours / 24) + EPOCH_WEEKDAY) % 7;
      for (const [name, grid] of cells) grid[weekday]![hours % 24]! += num(row[name]);
    }
    const grids = Object.fromEntries(cells) as Record<(typeof HEATED)[number], number[][]>;
    const asr = grids.calls.map((day, i) => day.map((calls, hour) => ratio(grids.answered[i]![hour]!, calls)));
    return { as_of: now, from: plan.from, to: plan.to, tz: zone.name, ...grids, asr };
  },
});

export const OVERVIEW = [summary, series, heatmap];
