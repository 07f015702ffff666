import { z } from 'zod';
import { MISSED_UNRETURNED, type RowOf, rowOf } from '../../clickhouse/relations.js';
import { DEFINITIONS } from '../definitions.js';
import { pageOf } from '../page.js';
import { app, DAY, decodeCursor, id, paging, range } from '../params.js';
import { invalidParameter } from '../problem.js';
import { Conditions, num, type Row, run, type Statement } from '../query.js';
import { asOf, count, MISSED_PAIR, nextCursor, period } from '../records.js';
import { route } from '../route.js';

/*
 * Missed calls that nobody has returned. The rule is that of relation `missed_unreturned`, over the calls that began in a period: what is asked of a hundred days
 * need not read years, and calls before the period can neither return a miss of it nor be one.
 */

const filter = {
  ...range,
  ...app,
  caller: id.optional().describe('Misses of this caller only.'),
  callee: id.optional().describe('Misses of this callee only.'),
  user: id.optional().describe('Misses with this user on either side.'),
};
type Filter = z.output<z.ZodObject<typeof filter>>;

interface Period {
  from: number;
  to: number;
}

const WEEK = 7 * DAY;

/** Seven days up to now, unless asked for otherwise. */
function periodOf({ from, to, window }: Filter, now: number): Period {
  if (from !== undefined && window !== undefined) throw invalidParameter('window', 'cannot be combined with from');
  const end = to ?? now;
  const start = from ?? end - (window ?? WEEK);
  if (start >= end) throw invalidParameter('from', 'must be before to');
  return { from: start, to: end };
}

/** ClickHouse may compile conditions that it puts together, and then fails at what is true of a value in a dictionary. */
const text = (column: string): string => `CAST(${column} AS String)`;

/**
 * The pairs with misses: their FROM. A call is one of the misses when it began in [from, to); it returns one whenever it began, up to now.
 * Either side of a pair may call: both directions are one group, in which the last talk decides. A number is the moment of a call and what it was: times 4,
 * and 0 for a talk, 1 for a miss by the greater of the two, 2 for one by the other.
 */
function pairsOf(wanted: Filter, { from, to }: Period): Statement {
  const calls = new Conditions()
    .started({ from })
    .add(`t.caller != '' AND ${text('t.end_reason')} != 'merged' AND ${text('role')} = 'callee'`)
    .app(wanted);
  const missed =
    "at < {to:Int64} AND status = 'ended' AND (outcome IN ('no_answer', 'busy') OR (outcome = 'cancelled' AND ring_ms >= 5000))";
  const sides = new Conditions().equal('p.caller', 'caller', wanted.caller).equal('p.callee', 'callee', wanted.callee);
  if (wanted.user !== undefined) sides.add('p.caller = {user:String} OR p.callee = {user:String}', { user: wanted.user });
  return {
    sql: `FROM
      (
        SELECT app_id, way.1 AS caller, way.2 AS callee, arrayFilter(m -> m % 4 = way.3, unreturned) AS misses,
          length(misses) AS missed_count, intDiv(arrayMin(misses), 4) AS first_missed_at, intDiv(arrayMax(misses), 4) AS last_missed_at
        FROM
        (
          SELECT app_id, arrayJoin([(low, high, 1), (high, low, 2)]) AS way, arrayFilter(m -> m % 4 > 0 AND m >= spoke, moments) AS unreturned
          FROM
          (
            SELECT app_id, low, high, groupArray(4 * at + what) AS moments, arrayMax(m -> if(m % 4 = 0, m, 0), moments) AS spoke
            FROM
            (
              SELECT app_id, at, least(caller, callee) AS low, greatest(caller, callee) AS high,
                multiIf(outcome = 'answered', 0, ${missed}, if(caller = low, 1, 2), 3) AS what
              FROM
              (
                SELECT t.app_id AS app_id, t.caller AS caller, toUnixTimestamp64Milli(t.started_at) AS at, t.status AS status, t.ring_ms AS ring_ms, callee, outcome
                FROM calls_latest AS t FINAL ARRAY JOIN t.legs.user_id AS callee, t.legs.role AS role, t.legs.outcome AS outcome
                WHERE ${calls.sql}
              )
              WHERE what < 3
            )
            GROUP BY app_id, low, high
            HAVING arrayExists(m -> m % 4 > 0 AND m >= spoke, moments)
          )
        )
        WHERE notEmpty(misses)
      ) AS p WHERE ${sides.sql}`,
    params: { ...calls.params, ...sides.params, to },
  };
}

const POSITION = z.tuple([z.number().int(), z.string(), z.string(), z.string()]);

const PAIR = Object.keys(MISSED_UNRETURNED)
  .map((name) => `p.${name} AS ${name}`)
  .join(', ');

export function pairsStatement(wanted: Filter, within: Period, after: z.output<typeof POSITION> | null, limit: number): Statement {
  const pairs = pairsOf(wanted, within);
  const page = new Conditions();
  if (after !== null)
    page.add(
      '(p.last_missed_at, p.app_id, p.caller, p.callee) < ({at:Int64}, {afterApp:String}, {afterCaller:String}, {afterCallee:String})',
      {
        at: after[0],
        afterApp: after[1],
        afterCaller: after[2],
        afterCallee: after[3],
      },
    );
  return {
    sql: `SELECT ${PAIR} ${pairs.sql} AND ${page.sql} ORDER BY p.last_missed_at DESC, p.app_id DESC, p.caller DESC, p.callee DESC LIMIT {limit:UInt32}`,
    params: { ...pairs.params, ...page.params, limit },
  };
}

const list = route({
  path: '/api/v1/missed',
  operation: 'listMissed',
  summary: 'Missed calls that nobody has returned, the latest first.',
  description: `${DEFINITIONS.missed_unreturned.definition} Seven days when neither \`from\` nor \`window\` is given. The age of a row is \`as_of\` minus \`first_missed_at\`.`,
  params: z.strictObject({ ...filter, ...paging }),
  answer: z.strictObject({ as_of: asOf, ...period, missed: z.array(MISSED_PAIR), next_cursor: nextCursor }),
  async read({ query, now }, { cursor, limit, ...params }) {
    const within = periodOf(params, now);
    const rows = await run(query, pairsStatement(params, within, decodeCursor(POSITION, cursor), limit + 1));
    const pairs = rows.map((row): RowOf<typeof MISSED_UNRETURNED> => rowOf(MISSED_UNRETURNED, row));
    const page = pageOf(pairs, limit, (row) => [row.last_missed_at, row.app_id, row.caller, row.callee]);
    return { as_of: now, ...within, missed: page.rows, next_cursor: page.next_cursor };
  },
});

const TOP = 100;

/** Each row has the totals of all callees beside its own numbers: the pairs are found once. */
export function calleesStatement(wanted: Filter, within: Period): Statement {
  const pairs = pairsOf(wanted, within);
  return {
    sql:
      'SELECT p.app_id AS app_id, p.callee AS callee, count() AS callers, sum(p.missed_count) AS missed_count, ' +
      'min(p.first_missed_at) AS first_missed_at, max(p.last_missed_at) AS last_missed_at, ' +
      'sum(callers) OVER () AS all_pairs, sum(missed_count) OVER () AS all_calls, min(first_missed_at) OVER () AS oldest ' +
      `${pairs.sql} GROUP BY p.app_id, p.callee ORDER BY missed_count DESC, last_missed_at DESC, app_id, callee LIMIT ${TOP}`,
    params: pairs.params,
  };
}

const summary = route({
  path: '/api/v1/missed/callees',
  operation: 'readMissedCallees',
  summary: 'Who has missed most without calling back, and how much there is of it.',
  description: `${DEFINITIONS.missed_unreturned.definition} Seven days when neither \`from\` nor \`window\` is given. Missed calls by hour are in \`readHeatmap\`.`,
  params: z.strictObject(filter),
  answer: z.strictObject({
    as_of: asOf,
    ...period,
    pairs: count.describe(DEFINITIONS.missed_unreturned.definition),
    calls: count.describe('Missed calls of these pairs.'),
    oldest: z.int().nullable().describe('Start of the first of them, epoch milliseconds; null when there is none.'),
    callees: z
      .array(
        z.strictObject({
          app_id: z.string(),
          callee: z.string(),
          callers: count.describe('How many wait for a call back.'),
          missed_count: count,
          first_missed_at: z.int(),
          last_missed_at: z.int(),
        }),
      )
      .describe(`The ${TOP} with most missed calls, most first.`),
  }),
  async read({ query, now }, params) {
    const within = periodOf(params, now);
    const callees = await run(query, calleesStatement(params, within));
    const [totals] = callees;
    const shown = (row: Row) => ({
      app_id: String(row.app_id),
      callee: String(row.callee),
      callers: num(row.callers),
      missed_count: num(row.missed_count),
      first_missed_at: num(row.first_missed_at),
      last_missed_at: num(row.last_missed_at),
    });
    return {
      as_of: now,
      ...within,
      pairs: num(totals?.all_pairs),
      calls: num(totals?.all_calls),
      oldest: totals === undefined ? null : num(totals.oldest),
      callees: callees.map(shown),
    };
  },
});

export const MISSED = [list, summary];
