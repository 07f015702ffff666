import { z } from 'zod';
import { CALLS, LEG, rowOf, selectOf } from '../../clickhouse/relations.js';
import { addAfter, NEWEST_FIRST, POSITION, positionOf, toCall, WITH_USER } from '../calls.js';
import { DEFINITIONS, type Measure, OF_USER } from '../definitions.js';
import { pageOf } from '../page.js';
import { decodeCursor, id, listTimes, paging, type times } from '../params.js';
import { listPeriod } from '../plan.js';
import { Conditions, num, run, type Statement } from '../query.js';
import { asOf, CALL, CALL_LEG, count, MEASURE, nextCursor } from '../records.js';
import { route } from '../route.js';

const user = { app: id.describe('App id.'), user: id.describe('User id, URL-encoded.') };
const named = { ...user, ...listTimes };
type Named = z.output<z.ZodObject<typeof user & typeof times>>;

/** The user's calls, each with the leg that is the user's: FROM and WHERE. */
function callsOf({ app, user, from, to }: Named): Conditions {
  const own = new Conditions().add(WITH_USER, { user });
  return new Conditions().app({ app }).few(own).add("t.end_reason != 'merged'").during('t.started_at', { from, to });
}

const FROM = 'FROM calls_latest AS t FINAL';
const OWN_LEG = 'arrayFirst(l -> l.user_id = {user:String}, t.legs)';

/** The fields of the own leg, prefixed, for a call has some of the same names. */
const LEG_FIELDS = Object.entries(LEG)
  .map(([name, kind]) => `${kind.startsWith('time') ? `toUnixTimestamp64Milli(own.${name})` : `own.${name}`} AS leg_${name}`)
  .join(', ');

export function historyStatement(wanted: Named, after: z.output<typeof POSITION> | null, limit: number): Statement {
  const where = addAfter(callsOf(wanted), after);
  return {
    sql: `SELECT ${selectOf(CALLS)}, ${OWN_LEG} AS own, ${LEG_FIELDS} ${FROM} WHERE ${where.sql} ${NEWEST_FIRST} LIMIT {limit:UInt32}`,
    params: { ...where.params, limit },
  };
}

export function totalsStatement(wanted: Named): Statement {
  const where = callsOf(wanted);
  return {
    sql:
      "SELECT count() AS calls, countIf(role = 'caller') AS placed, countIf(role = 'caller' AND outcome = 'answered') AS placed_answered, " +
      "countIf(role = 'callee') AS called, countIf(role = 'callee' AND outcome = 'answered') AS called_answered, countIf(outcome = 'answered') AS answered, " +
      'countIf(missed) AS missed, countIf(missed_inclusive) AS missed_inclusive, sum(talk_ms) AS talk_ms, min(started_at) AS first_call_at, max(started_at) AS last_call_at ' +
      `FROM (SELECT ${OWN_LEG} AS own, own.role AS role, own.outcome AS outcome, own.missed AS missed, own.missed_inclusive AS missed_inclusive, ` +
      `own.talk_ms AS talk_ms, toUnixTimestamp64Milli(t.started_at) AS started_at ${FROM} WHERE ${where.sql})`,
    params: where.params,
  };
}

/** Who was in calls with the user, and how long both were there. Whom they spoke with most often comes first; `total`: of all there are. */
export function contactsStatement(wanted: Named, limit: number): Statement {
  const where = callsOf(wanted);
  const both = (field: 'joined_at' | 'left_at'): string => `isNotNull(own.${field}) AND isNotNull(other.${field})`;
  return {
    sql:
      'SELECT user_id, count() AS calls, countIf(together) AS spoken, sum(ms) AS talk_ms, max(started_at) AS last_call_at, count() OVER () AS total ' +
      "FROM (SELECT other.user_id AS user_id, own.outcome = 'answered' AND other.outcome = 'answered' AS together, " +
      `if(together AND t.status = 'ended' AND ${both('joined_at')} AND ${both('left_at')}, ` +
      'greatest(0, toUnixTimestamp64Milli(least(assumeNotNull(own.left_at), assumeNotNull(other.left_at))) - ' +
      'toUnixTimestamp64Milli(greatest(assumeNotNull(own.joined_at), assumeNotNull(other.joined_at)))), 0) AS ms, ' +
      `toUnixTimestamp64Milli(t.started_at) AS started_at, ${OWN_LEG} AS own ${FROM} ARRAY JOIN t.legs AS other ` +
      `WHERE ${where.sql} AND other.user_id NOT IN ('', {user:String})) ` +
      'GROUP BY user_id ORDER BY spoken DESC, calls DESC, user_id LIMIT {limit:UInt32}',
    params: { ...where.params, limit },
  };
}

/** What each number is taken over. */
const TAKEN_OVER = {
  calls: 'calls',
  placed: 'calls',
  placed_answered: 'placed',
  called: 'calls',
  called_answered: 'called',
  missed: 'called',
  missed_inclusive: 'called',
  talk_ms: 'answered',
} as const satisfies Record<keyof typeof OF_USER, string>;

type NameOfUser = keyof typeof OF_USER;
const NAMES = Object.keys(OF_USER) as NameOfUser[];

const totals = route({
  path: '/api/v1/users/{app}/{user}',
  operation: 'readUser',
  summary: 'Totals of one user.',
  description: 'A user without calls has totals of 0: ids are compared exactly, and nobody keeps a list of users.',
  params: z.strictObject(named),
  answer: z.strictObject({
    as_of: asOf,
    app_id: z.string(),
    user_id: z.string(),
    measures: z.strictObject(Object.fromEntries(NAMES.map((name) => [name, MEASURE])) as Record<NameOfUser, typeof MEASURE>),
    first_call_at: z.int().nullable().describe('Start of the first call, epoch milliseconds; null without calls.'),
    last_call_at: z.int().nullable().describe('Start of the last call, epoch milliseconds; null without calls.'),
  }),
  async read({ query, now }, params) {
    const [row = {}] = await run(query, totalsStatement(listPeriod(params, now)));
    const found = num(row.calls) > 0;
    const measure = (name: NameOfUser): Measure => ({ value: num(row[name]), n: num(row[TAKEN_OVER[name]]), ...OF_USER[name] });
    return {
      as_of: now,
      app_id: params.app,
      user_id: params.user,
      measures: Object.fromEntries(NAMES.map((name) => [name, measure(name)])) as Record<NameOfUser, Measure>,
      first_call_at: found ? num(row.first_call_at) : null,
      last_call_at: found ? num(row.last_call_at) : null,
    };
  },
});

const history = route({
  path: '/api/v1/users/{app}/{user}/calls',
  operation: 'listUserCalls',
  summary: 'Calls of one user, newest start first, each with the user’s own leg.',
  params: z.strictObject({ ...named, ...paging }),
  answer: z.strictObject({
    as_of: asOf,
    calls: z.array(z.strictObject({ call: CALL, leg: CALL_LEG })),
    next_cursor: nextCursor,
  }),
  async read({ query, now }, { cursor, limit, ...params }) {
    const rows = await run(query, historyStatement(listPeriod(params, now), decodeCursor(POSITION, cursor), limit + 1));
    const calls = rows.map((row) => ({
      call: toCall(row),
      leg: rowOf(LEG, Object.fromEntries(Object.keys(LEG).map((name) => [name, row[`leg_${name}`]]))),
    }));
    const page = pageOf(calls, limit, ({ call }) => positionOf(call));
    return { as_of: now, calls: page.rows, next_cursor: page.next_cursor };
  },
});

const contacts = route({
  path: '/api/v1/users/{app}/{user}/contacts',
  operation: 'listContacts',
  summary: 'Who was in calls with one user, whom they spoke with most often first.',
  params: z.strictObject({ ...named, limit: paging.limit }),
  answer: z.strictObject({
    as_of: asOf,
    contacts: z.array(
      z.strictObject({
        user_id: z.string(),
        calls: count.describe(DEFINITIONS.contact_calls.definition),
        spoken: count.describe(DEFINITIONS.contact_spoken.definition),
        talk_ms: count.describe(DEFINITIONS.contact_talk_ms.definition),
        last_call_at: z.int().describe('Start of the last call with both, epoch milliseconds.'),
      }),
    ),
    total: count.describe('How many users there are of whom these are the first.'),
  }),
  async read({ query, now }, { limit, ...params }) {
    const rows = await run(query, contactsStatement(listPeriod(params, now), limit));
    return {
      as_of: now,
      contacts: rows.map((row) => ({
        user_id: String(row.user_id),
        calls: num(row.calls),
        spoken: num(row.spoken),
        talk_ms: num(row.talk_ms),
        last_call_at: num(row.last_call_at),
      })),
      total: num(rows[0]?.total),
    };
  },
});

export const USERS = [totals, history, contacts];
