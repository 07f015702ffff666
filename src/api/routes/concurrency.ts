import { z } from 'zod';
import { DEFINITIONS } from '../definitions.js';
import { app, range, zoned } from '../params.js';
import { bucketOf, inBuckets, type Plan, planRange, stepped } from '../plan.js';
import { num, type Row, run, type Statement } from '../query.js';
import { asOf, count, period } from '../records.js';
import { route } from '../route.js';

const MINUTE = 60_000;

export function concurrencyStatement(plan: Plan, wanted: { app?: string | undefined }): Statement {
  const where = inBuckets(plan).app(wanted);
  const bucket = bucketOf('toUnixTimestamp(t.bucket)', plan);
  return {
    sql:
      `SELECT t.app_id AS app_id, ${bucket.sql} AS at, max(t.peak) AS peak, argMax(toUnixTimestamp(t.bucket), t.peak) AS peak_at, sum(t.average) AS minutes ` +
      `FROM concurrency_1m AS t WHERE ${where.sql} GROUP BY app_id, at`,
    params: { ...where.params, ...bucket.params },
  };
}

/** What the minutes of one app make of the buckets. A minute without calls in progress has no row, and counts as 0. */
function curveOf(app_id: string, rows: readonly Row[], { at, to }: Plan, now: number) {
  const found = new Map(rows.map((row) => [num(row.at) * 1000, row]));
  // The minute that is under way counts as a whole one, as in concurrency_1m.
  const end = Math.min(to, Math.ceil(now / MINUTE) * MINUTE);
  const passed = at.map((start, i) => Math.max(0, Math.min(at[i + 1] ?? to, end) - start) / MINUTE);
  const area = at.map((start) => num(found.get(start)?.minutes));
  const highest = rows.reduce<Row | null>((top, row) => (top === null || num(row.peak) > num(top.peak) ? row : top), null);
  const whole = passed.reduce((sum, minutes) => sum + minutes, 0);
  return {
    app_id,
    peak: num(highest?.peak),
    peak_at: highest === null ? null : num(highest.peak_at) * 1000,
    average: whole === 0 ? null : area.reduce((sum, minutes) => sum + minutes, 0) / whole,
    peaks: at.map((start) => num(found.get(start)?.peak)),
    averages: area.map((minutes, i) => (passed[i] === 0 ? null : minutes / passed[i]!)),
  };
}

const concurrency = route({
  path: '/api/v1/concurrency',
  operation: 'readConcurrency',
  summary: 'How many calls were in progress at once, by app.',
  description:
    'Exact, from every accept and every end. Averages of several apps add up, peaks do not: those of two apps need not be at one moment.',
  params: z.strictObject({ ...range, ...app, ...stepped, ...zoned }),
  answer: z.strictObject({
    as_of: asOf,
    ...period,
    step: z.string(),
    step_ms: z.int().describe('Length of a bucket, milliseconds; of a day, 24 hours.'),
    at: z.array(z.int()).describe('Start of each bucket, epoch milliseconds.'),
    apps: z
      .array(
        z.strictObject({
          app_id: z.string(),
          peak: count.describe(DEFINITIONS.peak_concurrency.definition),
          peak_at: z.int().nullable().describe('Start of the minute of the peak, epoch milliseconds; null without a call in progress.'),
          average: z.number().nullable().describe(DEFINITIONS.average_concurrency.definition),
          peaks: z.array(count).describe('Peak of each bucket.'),
          averages: z.array(z.number().nullable()).describe('Average of each bucket; null where it has not begun.'),
        }),
      )
      .describe('Apps with a call in progress in the period, highest peak first.'),
  }),
  async read({ query, now }, params) {
    const plan = planRange(params, now);
    const rows = await run(query, concurrencyStatement(plan, params));
    const apps = [...new Set(rows.map((row) => String(row.app_id)))].map((name) =>
      curveOf(
        name,
        rows.filter((row) => row.app_id === name),
        plan,
        now,
      ),
    );
    apps.sort((a, b) => b.peak - a.peak || (a.app_id < b.app_id ? -1 : 1));
    return { as_of: now, from: plan.from, to: plan.to, step: plan.step, step_ms: plan.stepMs, at: plan.at, apps };
  },
});

export const CONCURRENCY = [concurrency];
