import { z } from 'zod';
import { DEFINITIONS } from '../definitions.js';
import { app, DAY, id, range } from '../params.js';
import { bucketOf, type Plan, planRange, startedWithin, stepped } from '../plan.js';
import { invalidParameter } from '../problem.js';
import { Conditions, num, type Row, ratio, run, type Statement } from '../query.js';
import { asOf, count, period, rate } from '../records.js';
import { route } from '../route.js';

/*
 * Deliveries by source and time: what relation `delivery_minutes` says (a test holds the two against each other), asked so that only the period is read. Rows of one
 * delivery are alike but for `dead`, so the period may be cut out before they are put together.
 */

const filter = {
  ...app,
  source: id.optional().describe('Inputs of this source only: `tuicallkit`, `tiw`, `aliyun-rtc`, `call-record`, `user-event`.'),
};
type Filter = z.output<z.ZodObject<typeof filter>>;

const DELIVERY = 'raw_topic, raw_partition, raw_offset, raw_index';

const arrived = (plan: Plan, wanted: Filter): Conditions =>
  new Conditions().during('t.received_at', plan).app(wanted).equal('t.source', 'source', wanted.source);

/**
 * Received, dead, and the delays of each bucket and source; `whole`: of the whole period, where they do not add up. Nearly every delivery is one row, and is told by the
 * hash of its name; those that may be several, for they were stored twice or died after they had been understood, are put together first. Mostly there are none: then no name is read.
 */
export function receivedStatement(plan: Plan, wanted: Filter): Statement {
  const where = arrived(plan, wanted);
  const bucket = bucketOf('toUnixTimestamp(d.at)', plan);
  const name = `cityHash64(${DELIVERY})`;
  const repeated = `SELECT ${name} AS named FROM deliveries AS t WHERE ${where.sql} GROUP BY named HAVING count() > 1`;
  const rows = (dead: string, delay: string): string =>
    `SELECT t.app_id AS app_id, t.source AS source, t.received_at AS at, ${dead} = 1 AS died, if(died, NULL, ${delay}) AS delay FROM deliveries AS t WHERE ${where.sql}`;
  const quantiles = 'quantilesExactWeightedIf';
  return {
    sql:
      `WITH (SELECT groupArray(named) FROM (${repeated})) AS several ` +
      // Counted by bucket; what belongs to the whole period is put together from that, and not counted again.
      `SELECT grouping(b.at) = 1 AS whole, b.at AS bucket, b.app AS app_id, b.of AS source, sum(b.received) AS received, toUnixTimestamp64Milli(max(b.last)) AS last_at, sum(b.dead) AS dead, ` +
      `sum(b.delays) AS delays, ${quantiles}Merge(0.5, 0.95)(b.delay) AS delay FROM (` +
      `SELECT ${bucket.sql} AS at, d.app_id AS app, d.source AS of, count() AS received, max(d.at) AS last, countIf(d.died) AS dead, ` +
      `countIf(isNotNull(d.delay)) AS delays, ${quantiles}State(0.5, 0.95)(assumeNotNull(d.delay), 1, isNotNull(d.delay)) AS delay ` +
      `FROM (${rows('t.dead', 't.delay_ms')} AND (empty(several) OR ${name} NOT IN (SELECT arrayJoin(several))) ` +
      `UNION ALL ${rows('max(t.dead)', 'any(t.delay_ms)')} AND notEmpty(several) AND ${name} IN (SELECT arrayJoin(several)) GROUP BY app_id, source, at, ${DELIVERY}) AS d ` +
      'GROUP BY at, app, of) AS b GROUP BY GROUPING SETS ((b.at, b.app, b.of), (b.app, b.of))',
    params: { ...where.params, ...bucket.params },
  };
}

/** What column `event_hour` says of deliveries that were stored before there was one and do not tell. */
const UNKNOWN_HOUR = 0xffff_ffff;

/**
 * Repetitions by bucket and source, and the inputs that no push has brought, in that of their first delivery. Which delivery of an input is the first is told by all of them, whenever they came.
 * All are of one hour of the event, so only those hours are read that the period's deliveries speak of; and of these only the identities that came more than once are
 * compared, or that a vendor says it could not push.
 */
export function repeatedStatement(plan: Plan, wanted: Filter): Statement {
  const where = arrived(plan, wanted).add('t.dead = 0');
  const period = (column: string): string => `SELECT ${column} FROM deliveries AS t WHERE ${where.sql}`;
  const hours = `event_hour IN (${period('t.event_hour')}) OR event_hour = ${UNKNOWN_HOUR} OR (${period('max(t.event_hour)')}) = ${UNKNOWN_HOUR}`;
  const heard = new Conditions().add('dead = 0').equal('app_id', 'app', wanted.app).sql;
  const several =
    `SELECT event_hash FROM deliveries PREWHERE ${hours} WHERE ${heard} GROUP BY event_hash HAVING count() > 1 ` +
    `UNION ALL SELECT event_hash FROM deliveries PREWHERE ${hours} WHERE ${heard} AND undelivered = 1`;
  // An input of which a delivery came by this source may have come by another one first.
  const own = new Conditions().equal('delivery.2', 'source', wanted.source);
  const bucket = bucketOf('toUnixTimestamp(delivery.1)', plan);
  return {
    sql:
      `WITH (SELECT groupArray((app_id, event_id, undelivered, received_at, source, ${DELIVERY})) FROM deliveries PREWHERE (${hours}) AND event_hash IN (${several}) WHERE ${heard}) AS compared ` +
      `SELECT ${bucket.sql} AS bucket, app_id, delivery.2 AS source, countIf(nth > 1) AS repeated, countIf(nth = 1 AND unpushed) AS undelivered FROM (` +
      'SELECT d.1 AS app_id, arraySort(x -> (x.1, x.3, x.4, x.5, x.6), groupUniqArray((d.4, d.5, d.6, d.7, d.8, d.9))) AS delivered, min(d.3) = 1 AS unpushed ' +
      'FROM (SELECT arrayJoin(compared) AS d) ' +
      // What died later is the same delivery, at the same moment.
      `WHERE (d.6, d.7, d.8, d.9) NOT IN (SELECT ${DELIVERY} FROM deliveries WHERE received_at IN (SELECT arrayJoin(compared).4) AND dead = 1) GROUP BY app_id, d.2) ` +
      'ARRAY JOIN delivered AS delivery, arrayEnumerate(delivered) AS nth ' +
      `WHERE delivery.1 >= fromUnixTimestamp64Milli({from:Int64}) AND delivery.1 < fromUnixTimestamp64Milli({to:Int64}) AND ${own.sql} GROUP BY bucket, app_id, source`,
    params: { ...where.params, ...bucket.params },
  };
}

/** The source under which calls without callbacks stand. */
const RECORDS = 'call-record';

/** Calls known from records alone, and of the calls that are over all and those alone, by bucket and app. */
export function recordsOnlyStatement(plan: Plan, wanted: Filter): Statement {
  const where = startedWithin(plan).app(wanted).add("t.end_reason != 'merged'");
  const bucket = bucketOf('toUnixTimestamp(t.started_at)', plan);
  return {
    sql:
      `SELECT ${bucket.sql} AS bucket, t.app_id AS app_id, '${RECORDS}' AS source, countIf(t.records_only) AS calls, ` +
      "countIf(t.status = 'ended') AS over, countIf(t.status = 'ended' AND t.records_only) AS over_alone " +
      `FROM calls_latest AS t FINAL WHERE ${where.sql} GROUP BY bucket, app_id`,
    params: { ...where.params, ...bucket.params },
  };
}

export function reasonsStatement(plan: Plan, wanted: Filter): Statement {
  const where = arrived(plan, wanted);
  return {
    sql:
      'SELECT t.source AS source, t.stage AS stage, t.reason AS reason, count() AS n, toUnixTimestamp64Milli(max(t.received_at)) AS last_at ' +
      `FROM dead_letters AS t WHERE ${where.sql} GROUP BY source, stage, reason ORDER BY n DESC, source, stage, reason LIMIT 200`,
    params: where.params,
  };
}

const delayOf = (row: Row | undefined, index: number): number | null =>
  row === undefined || num(row.delays) === 0 ? null : num((row.delay as unknown[])[index]);

const NUMBERS = ['received', 'folded', 'duplicates', 'dead', 'calls_from_records_only', 'undelivered'] as const;

const MEANINGS: Record<(typeof NUMBERS)[number], string> = {
  received: DEFINITIONS.received.definition,
  folded: DEFINITIONS.folded.definition,
  duplicates: DEFINITIONS.duplicates.definition,
  dead: DEFINITIONS.dead.definition,
  calls_from_records_only: DEFINITIONS.calls_from_records_only.definition,
  undelivered: DEFINITIONS.undelivered.definition,
};

const health = {
  app_id: z.string(),
  source: z.string(),
  ...(Object.fromEntries(NUMBERS.map((name) => [name, count.describe(MEANINGS[name])])) as Record<(typeof NUMBERS)[number], typeof count>),
  delay_p50_ms: z.number().nullable().describe(`${DEFINITIONS.delay_p50_ms.definition} Null where none says.`),
  delay_p95_ms: z.number().nullable().describe(`${DEFINITIONS.delay_p95_ms.definition} Null where none says.`),
};

const LONGEST = 31 * DAY;

const read = route({
  path: '/api/v1/health',
  operation: 'readHealth',
  summary: 'What arrived, by source and time: received, new, duplicate, dead, and how late.',
  description:
    'received = folded + duplicates + dead, in every row. One minute is the finest step; rows without anything are left out. At most 31 days. ' +
    'Calls known from records alone stand under the source `call-record`, in the bucket of their start.',
  params: z.strictObject({ ...range, ...filter, ...stepped }),
  answer: z.strictObject({
    as_of: asOf,
    ...period,
    step: z.string(),
    sources: z
      .array(
        z.strictObject({
          ...health,
          last_at: z.int().nullable().describe('Arrival of the last one, epoch milliseconds; null when none came in this period.'),
        }),
      )
      .describe('The whole period, by app and source.'),
    coverage: z
      .array(z.strictObject({ app_id: z.string(), value: rate, n: count.describe(DEFINITIONS.callback_coverage.of) }))
      .describe(`${DEFINITIONS.callback_coverage.definition} Apps of which no record has arrived in this period are left out.`),
    buckets: z
      .array(z.strictObject({ at: z.int().describe('Start of the bucket, epoch milliseconds.'), ...health }))
      .describe('By time, app and source.'),
    dead_letters: z
      .array(
        z.strictObject({
          source: z.string(),
          stage: z.string(),
          reason: z.string(),
          count,
          last_at: z.int().describe('Arrival of the last one, epoch milliseconds.'),
        }),
      )
      .describe('Why inputs of the period could not be processed, most frequent first.'),
  }),
  async read({ query, now }, params) {
    const plan = planRange(params, now);
    if (plan.to - plan.from > LONGEST + 2 * DAY) throw invalidParameter('from', 'must be at most 31 days before to');
    const [received, repeated, recordsOnly, reasons] = await Promise.all([
      run(query, receivedStatement(plan, params)),
      run(query, repeatedStatement(plan, params)),
      run(query, recordsOnlyStatement(plan, params)),
      run(query, reasonsStatement(plan, params)),
    ]);
    const whole = received.filter((row) => num(row.whole) === 1);
    const withRecords = params.source === undefined || params.source === RECORDS ? recordsOnly : [];
    const buckets = joined(
      received.filter((row) => num(row.whole) === 0),
      repeated,
      withRecords.filter((row) => num(row.calls) > 0),
    );
    const sources = totalsOf(buckets, whole);
    return {
      as_of: now,
      from: plan.from,
      to: plan.to,
      step: plan.step,
      sources,
      coverage: coverageOf(withRecords, sources),
      buckets,
      dead_letters: reasons.map((row) => ({
        source: String(row.source),
        stage: String(row.stage),
        reason: String(row.reason),
        count: num(row.n),
        last_at: num(row.last_at),
      })),
    };
  },
});

type Health = z.output<z.ZodObject<typeof health>>;
type Totals = Health & { last_at: number | null };

const nothing = (row: Row): Health => ({
  app_id: String(row.app_id),
  source: String(row.source),
  ...(Object.fromEntries(NUMBERS.map((name) => [name, 0])) as Record<(typeof NUMBERS)[number], number>),
  delay_p50_ms: null,
  delay_p95_ms: null,
});

/** The answers of the three questions, put together by bucket, app and source. */
function joined(received: readonly Row[], repeated: readonly Row[], recordsOnly: readonly Row[]): (Health & { at: number })[] {
  const found = new Map<string, Health & { at: number }>();
  const at = (row: Row): Health & { at: number } => {
    const key = JSON.stringify([num(row.bucket), row.app_id, row.source]);
    const entry = found.get(key) ?? { at: num(row.bucket) * 1000, ...nothing(row) };
    found.set(key, entry);
    return entry;
  };
  for (const row of received)
    Object.assign(at(row), {
      received: num(row.received),
      dead: num(row.dead),
      folded: num(row.received) - num(row.dead),
      delay_p50_ms: delayOf(row, 0),
      delay_p95_ms: delayOf(row, 1),
    });
  for (const row of repeated) {
    const entry = at(row);
    entry.duplicates = num(row.repeated);
    entry.folded -= entry.duplicates;
    entry.undelivered = num(row.undelivered);
  }
  for (const row of recordsOnly) at(row).calls_from_records_only = num(row.calls);
  return [...found.values()].sort(
    (a, b) => a.at - b.at || (JSON.stringify([a.app_id, a.source]) < JSON.stringify([b.app_id, b.source]) ? -1 : 1),
  );
}

/** Counts add up over the buckets; percentiles do not, so they come from a question of their own. */
function totalsOf(buckets: readonly Health[], whole: readonly Row[]): Totals[] {
  const totals = new Map<string, Totals>();
  const keyOf = (row: { app_id: unknown; source: unknown }): string => JSON.stringify([row.app_id, row.source]);
  const delays = new Map(whole.map((row) => [keyOf({ app_id: row.app_id, source: row.source }), row]));
  for (const bucket of buckets) {
    const key = keyOf(bucket);
    const total = totals.get(key) ?? {
      ...nothing({ ...bucket }),
      delay_p50_ms: delayOf(delays.get(key), 0),
      delay_p95_ms: delayOf(delays.get(key), 1),
      last_at: delays.has(key) ? num(delays.get(key)?.last_at) : null,
    };
    for (const name of NUMBERS) total[name] += bucket[name];
    totals.set(key, total);
  }
  return [...totals.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, total]) => total);
}

function coverageOf(calls: readonly Row[], sources: readonly Totals[]): { app_id: string; value: number | null; n: number }[] {
  const polled = new Set(sources.flatMap(({ app_id, source, received }) => (source === RECORDS && received > 0 ? [app_id] : [])));
  return [...polled].map((app_id) => {
    const own = calls.filter((row) => row.app_id === app_id);
    const sum = (name: string): number => own.reduce((total, row) => total + num(row[name]), 0);
    return { app_id, value: ratio(sum('over') - sum('over_alone'), sum('over')), n: sum('over') };
  });
}

export const HEALTH = [read];
