import { z } from 'zod';
import { CALLS, type RowOf, rowOf, selectOf } from '../clickhouse/relations.js';
import { pageOf } from './page.js';
import { commaList, EARLIEST, flag, id, LATEST, listTimes, OUTCOMES, scope, type times } from './params.js';
import { Conditions, KEY, num, type Query, type Row, run, type Statement } from './query.js';

/*
 * Calls, newest start first: a page of them, all of them, how many there are, and what has changed.
 */

/** A call as the API shows it: the columns of relation `calls`, times in epoch milliseconds, null where unknown. */
export type CallView = RowOf<typeof CALLS>;

export const toCall = (row: Row): CallView => rowOf(CALLS, row);

/** Which calls are meant, beside their time; absent: any. */
const traits = {
  ...scope,
  outcome: commaList(OUTCOMES)
    .optional()
    .describe(`Calls that are over with one of these outcomes, comma-separated: ${OUTCOMES.join(', ')}.`),
  status: commaList(['ringing', 'active', 'ended'])
    .optional()
    .describe('Calls in one of these states, comma-separated: ringing, active, ended.'),
  missed: flag.optional().describe('`true`: only missed calls; `false`: none.'),
  user: id.optional().describe('Calls with this user, as caller or callee. Ids are compared exactly.'),
  with: id.optional().describe('Calls with this user too, as caller or callee: together with `user`, calls between the two.'),
  room: id.optional().describe('Calls in this room or channel.'),
  call: id.optional().describe('Calls of this id.'),
  q: id.optional().describe('Calls of which this is the id, the room or a user.'),
};
/** As parameters of a route. */
export const callFilter = { ...listTimes, ...traits };
/** As a question: a period has become moments (`listPeriod`). */
export type CallFilter = z.output<z.ZodObject<typeof traits & typeof times>>;

/** Where a page of calls ended: the sort key of its last row. */
export const POSITION = z.tuple([z.number().int(), z.string(), z.string(), z.string()]);
export type Position = z.output<typeof POSITION>;

export const positionOf = ({ started_at, provider, app_id, call_id }: CallView): Position => [started_at, provider, app_id, call_id];

/** Calls with the user that a parameter names, on either side. */
const withUser = (name: 'user' | 'with' | 'q'): string => `t.caller = {${name}:String} OR has(t.callees, {${name}:String})`;
export const WITH_USER = withUser('user');

interface Period {
  from: number | undefined;
  to: number | undefined;
}

/** Conditions of a filter, but for the period, which narrows as a search looks back step by step. @param few whether few calls meet them */
function conditionsOf(filter: CallFilter, period: Period, few: boolean): Conditions {
  const where = new Conditions().add("t.end_reason != 'merged'").scope(filter);
  if (filter.outcome !== undefined) where.add("t.outcome IN {outcome:Array(String)} AND t.status = 'ended'", { outcome: filter.outcome });
  if (filter.status !== undefined) where.add('t.status IN {status:Array(String)}', { status: filter.status });
  if (filter.missed !== undefined) where.add('t.missed = {missed:Bool}', { missed: filter.missed });
  if (filter.user !== undefined) where.add(WITH_USER, { user: filter.user });
  if (filter.with !== undefined) where.add(withUser('with'), { with: filter.with });
  where.equal('t.room_id', 'room', filter.room).equal('t.call_id', 'call', filter.call);
  if (filter.q !== undefined) where.add(`t.call_id = {q:String} OR t.room_id = {q:String} OR ${withUser('q')}`, { q: filter.q });
  return few ? new Conditions().few(where.during('t.started_at', period)) : where.started(period);
}

export const NEWEST_FIRST = 'ORDER BY t.started_at DESC, t.provider DESC, t.app_id DESC, t.call_id DESC';

/** Adds what makes a page begin after the row of a cursor. */
export function addAfter(where: Conditions, after: Position | null): Conditions {
  if (after === null) return where;
  const [at, provider, app, call] = after;
  return where.add(
    't.started_at < fromUnixTimestamp64Milli({at:Int64}) OR (t.started_at = fromUnixTimestamp64Milli({at:Int64}) AND ' +
      '(t.provider, t.app_id, t.call_id) < ({afterProvider:String}, {afterApp:String}, {afterCall:String}))',
    { at, afterProvider: provider, afterApp: app, afterCall: call },
  );
}

/** @param after the last row of the page before @param from lower bound of started_at, or null @param few whether few calls are expected */
export function callsStatement(
  filter: CallFilter,
  after: Position | null,
  from: number | null,
  limit: number,
  few = isRare(filter),
): Statement {
  // What comes after the row of a cursor has begun no later.
  const to = after === null ? filter.to : Math.min(filter.to ?? LATEST, after[0] + 1);
  const where = addAfter(conditionsOf(filter, { from: from ?? undefined, to }, few), after);
  const page = `WHERE ${where.sql} ${NEWEST_FIRST} LIMIT {limit:UInt32}`;
  // Which calls, first: of all others no column is read that no condition names.
  return {
    sql: `SELECT ${selectOf(CALLS)} FROM calls_latest AS t FINAL PREWHERE (${KEY}) IN (SELECT ${KEY} FROM calls_latest AS t FINAL ${page}) ${page}`,
    params: { ...where.params, limit },
  };
}

export function countStatement(filter: CallFilter): Statement {
  const where = conditionsOf(filter, { from: filter.from, to: filter.to }, isRare(filter));
  return { sql: `SELECT count() AS n FROM calls AS t WHERE ${where.sql}`, params: where.params };
}

export async function countCalls(query: Query, filter: CallFilter): Promise<number> {
  const [row] = await run(query, countStatement(filter));
  return num(row?.n);
}

const HOUR = 3_600_000;
/** How far back to look for a page of the newest calls, one after the other; the last is everything. A page that a day does not fill is one of few calls. */
const LOOK_BACK = [
  { back: HOUR, few: false },
  { back: 24 * HOUR, few: false },
  { back: 30 * 24 * HOUR, few: true },
  { back: Number.POSITIVE_INFINITY, few: true },
] as const;
const EVERYTHING = LOOK_BACK.slice(-1);

/** Of these, few calls at most: looking for them step by step would only look several times. */
const isRare = ({ call, q, user, with: other, room }: CallFilter): boolean =>
  [call, q, user, other, room].some((value) => value !== undefined);

export interface CallsPage {
  calls: CallView[];
  /** For the next (older) page, or null when this is the last. */
  next_cursor: string | null;
}

/**
 * Calls, newest start first. As the order is by time, a full page found within a short look-back is the page of the whole history, so
 * the search widens only while the page is not full and never sorts years of calls to show fifty.
 */
export async function readCalls(
  query: Query,
  { limit, ...filter }: CallFilter & { limit: number },
  after: Position | null,
  now: number,
): Promise<CallsPage> {
  const start = Math.min(after?.[0] ?? Number.POSITIVE_INFINITY, filter.to ?? now);
  let rows: Row[] = [];
  for (const { back, few } of isRare(filter) ? EVERYTHING : LOOK_BACK) {
    const floor = Math.max(start - back, filter.from ?? Number.NEGATIVE_INFINITY);
    rows = await run(query, callsStatement(filter, after, Number.isFinite(floor) ? floor : null, limit + 1, few));
    if (rows.length > limit || floor === filter.from) break;
  }
  const page = pageOf(rows.map(toCall), limit, positionOf);
  return { calls: page.rows, next_cursor: page.next_cursor };
}

const WALK_ROWS = 5_000;
/** Where a walk goes from one stretch of time to the next, longer one. */
const LONGER = 4;

/**
 * Every call of a filter, newest start first, some thousand at a time: each piece is a question of its own with the usual limits, asked when the one before has
 * been taken, so that neither side ever holds more than that, however slow the reader is.
 */
export async function* walkCalls(query: Query, filter: CallFilter, now: number): AsyncGenerator<CallView[]> {
  const floor = filter.from ?? EARLIEST;
  let length = isRare(filter) ? Number.POSITIVE_INFINITY : HOUR;
  // A vendor's clock may be ahead: without an end, the first stretch has none.
  let to = filter.to ?? LATEST;
  let from = Math.max(floor, (filter.to ?? now) - length);
  let after: Position | null = null;
  for (;;) {
    const calls: CallView[] = (await run(query, callsStatement({ ...filter, to }, after, from, WALK_ROWS))).map(toCall);
    if (calls.length > 0) yield calls;
    if (calls.length === WALK_ROWS) {
      after = positionOf(calls.at(-1)!);
      continue;
    }
    if (from <= floor) return;
    length *= LONGER;
    to = from;
    from = Math.max(floor, to - length);
  }
}

/** Calls changed since a moment, newest change first. `firstSeen` bounds the search to calls that are not long over. */
export function changesStatement(since: number, firstSeen: number, app: string | undefined, limit: number): Statement {
  const where = new Conditions()
    .add('t.updated_at >= fromUnixTimestamp64Milli({since:Int64}) AND t.first_seen_at >= fromUnixTimestamp64Milli({firstSeen:Int64})', {
      since,
      firstSeen,
    })
    .app({ app });
  return {
    sql: `SELECT ${selectOf(CALLS)} FROM calls AS t WHERE ${where.sql} ORDER BY t.updated_at DESC LIMIT {limit:UInt32}`,
    params: { ...where.params, limit },
  };
}
