import { CALLS, EVENT, LEG, type RowOf, rowOf, selectOf } from '../clickhouse/relations.js';
import { channelCallId } from '../domain/key.js';
import { DEFINITIONS, type Measure, type MeasureName } from './definitions.js';
import { type CallsParams, encodeCursor, OUTCOMES, type OutcomeName, type Plan, type Position, type Scope } from './params.js';
import { Conditions, type Query, type Row, type Statement } from './query.js';

/** A call as the API shows it: the columns of relation `calls`, times in epoch milliseconds, null where unknown. */
export type CallView = RowOf<typeof CALLS>;
/** One user of a call, without what is the call's own. */
export type LegView = RowOf<typeof LEG>;
/** One distinct input of a call, without what is the call's own. */
export type EventView = RowOf<typeof EVENT>;

export const toCall = (row: Row): CallView => rowOf(CALLS, row);

/** Numbers below 2^53 only: counts, milliseconds. ClickHouse may quote 64-bit integers. */
const num = (value: unknown): number => Number(value ?? 0);

const run = (query: Query, statement: Statement): Promise<Row[]> => query(statement.sql, statement.params);

function addScope(where: Conditions, scope: Scope): Conditions {
  if (scope.app !== undefined) where.add('t.app_id = {app:String}', { app: scope.app });
  if (scope.type !== undefined) where.add('t.call_type = {type:String}', { type: scope.type });
  if (scope.media !== undefined) where.add('t.media_type = {media:String}', { media: scope.media });
  return where;
}

const COUNTS = ['calls', ...OUTCOMES, 'missed', 'missed_inclusive', 'talk_ms_sum'] as const;
const SUMS = COUNTS.map((name) => `sum(t.${name}) AS ${name}`).join(', ');

const inBuckets = (plan: Plan): Conditions =>
  new Conditions().add('t.bucket >= fromUnixTimestamp64Milli({from:Int64}) AND t.bucket < fromUnixTimestamp64Milli({to:Int64})', {
    from: plan.from,
    to: plan.to,
  });

const startedWithin = (plan: Plan): Conditions =>
  new Conditions().add('t.started_at >= fromUnixTimestamp64Milli({from:Int64}) AND t.started_at < fromUnixTimestamp64Milli({to:Int64})', {
    from: plan.from,
    to: plan.to,
  });

export function countsStatement(plan: Plan, scope: Scope): Statement {
  const where = addScope(inBuckets(plan), scope);
  return { sql: `SELECT ${SUMS} FROM {relation:Identifier} AS t WHERE ${where.sql}`, params: { ...where.params, relation: plan.relation } };
}

export function seriesStatement(plan: Plan, scope: Scope): Statement {
  const where = addScope(inBuckets(plan), scope);
  return {
    sql:
      "SELECT toUnixTimestamp(toStartOfInterval(toDateTime(t.bucket, 'UTC'), toIntervalSecond({step:UInt32}))) AS at, " +
      `${SUMS} FROM {relation:Identifier} AS t WHERE ${where.sql} GROUP BY at ORDER BY at`,
    params: { ...where.params, relation: plan.relation, step: plan.stepMs / 1000 },
  };
}

/** Nearest-rank percentiles, exact: the weighted aggregate is the one that takes the smallest value with rank >= p·n. */
export function percentilesStatement(plan: Plan, scope: Scope): Statement {
  const where = addScope(startedWithin(plan), scope).add("t.end_reason != 'merged'");
  return {
    sql:
      "SELECT countIf(t.status = 'ringing') AS ringing, countIf(t.status = 'active') AS active, " +
      "countIf(t.status = 'ended') AS ring_n, countIf(t.status = 'ended' AND t.outcome = 'answered') AS talk_n, " +
      "quantilesExactWeightedIf(0.5, 0.95)(t.ring_ms, 1, t.status = 'ended') AS ring, " +
      "quantilesExactWeightedIf(0.5, 0.95)(t.talk_ms, 1, t.status = 'ended' AND t.outcome = 'answered') AS talk " +
      `FROM calls AS t WHERE ${where.sql}`,
    params: where.params,
  };
}

export interface Summary {
  from: number;
  to: number;
  measures: Record<MeasureName, Measure>;
}

/** Counts come from the rollups, percentiles from the calls themselves: both over exactly [from, to). */
export async function readSummary(query: Query, plan: Plan, scope: Scope): Promise<Summary> {
  const [counts = {}, shape = {}] = (
    await Promise.all([run(query, countsStatement(plan, scope)), run(query, percentilesStatement(plan, scope))])
  ).map((rows) => rows[0]);
  const c = Object.fromEntries(COUNTS.map((name) => [name, num(counts[name])])) as Record<(typeof COUNTS)[number], number>;
  const reached = c.answered + c.no_answer + c.rejected + c.busy + c.cancelled;
  const ratio = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);
  const quantile = (name: 'ring' | 'talk', index: number): [number | null, number] => {
    const n = num(shape[`${name}_n`]);
    return [n === 0 ? null : num((shape[name] as unknown[])[index]), n];
  };
  const values: Record<MeasureName, [value: number | null, n: number]> = {
    calls: [c.calls, c.calls],
    answered: [c.answered, c.calls],
    asr: [ratio(c.answered, c.calls), c.calls],
    ner: [ratio(reached, c.calls), c.calls],
    acd_ms: [ratio(c.talk_ms_sum, c.answered), c.answered],
    ring_p50_ms: quantile('ring', 0),
    ring_p95_ms: quantile('ring', 1),
    talk_p50_ms: quantile('talk', 0),
    talk_p95_ms: quantile('talk', 1),
    missed: [c.missed, c.calls],
    missed_inclusive: [c.missed_inclusive, c.calls],
    ringing: [num(shape.ringing), num(shape.ringing) + num(shape.active)],
    active: [num(shape.active), num(shape.ringing) + num(shape.active)],
  };
  const measures = Object.fromEntries(
    (Object.keys(DEFINITIONS) as MeasureName[]).map((name) => [name, { value: values[name][0], n: values[name][1], ...DEFINITIONS[name] }]),
  ) as Record<MeasureName, Measure>;
  return { from: plan.from, to: plan.to, measures };
}

export interface Series {
  from: number;
  to: number;
  step: string;
  step_ms: number;
  /** Start of each bucket, epoch ms: every bucket of the range, those without calls too. */
  at: number[];
  calls: number[];
  outcomes: Record<OutcomeName, number[]>;
}

export async function readSeries(query: Query, plan: Plan, scope: Scope): Promise<Series> {
  const rows = new Map((await run(query, seriesStatement(plan, scope))).map((row) => [num(row.at) * 1000, row]));
  const at = Array.from({ length: (plan.to - plan.from) / plan.stepMs }, (_, i) => plan.from + i * plan.stepMs);
  const column = (name: string): number[] => at.map((bucket) => num(rows.get(bucket)?.[name]));
  const outcomes = Object.fromEntries(OUTCOMES.map((name) => [name, column(name)])) as Record<OutcomeName, number[]>;
  return { from: plan.from, to: plan.to, step: plan.step, step_ms: plan.stepMs, at, calls: column('calls'), outcomes };
}

const ORDER = 'ORDER BY t.started_at DESC, t.provider DESC, t.app_id DESC, t.call_id DESC';

/** @param after the last row of the page before @param from lower bound of started_at, or null */
export function callsStatement(params: CallsParams, after: Position | null, from: number | null): Statement {
  const where = addScope(new Conditions().add("t.end_reason != 'merged'"), params);
  if (from !== null) where.add('t.started_at >= fromUnixTimestamp64Milli({from:Int64})', { from });
  if (params.to !== undefined) where.add('t.started_at < fromUnixTimestamp64Milli({to:Int64})', { to: params.to });
  if (params.outcome !== undefined)
    where.add("has({outcome:Array(String)}, t.outcome) AND t.status = 'ended'", { outcome: params.outcome });
  if (params.status !== undefined) where.add('has({status:Array(String)}, t.status)', { status: params.status });
  if (params.missed !== undefined) where.add('t.missed = {missed:Bool}', { missed: params.missed });
  if (params.user !== undefined) where.add('t.caller = {user:String} OR has(t.callees, {user:String})', { user: params.user });
  if (params.room !== undefined) where.add('t.room_id = {room:String}', { room: params.room });
  if (params.call !== undefined) where.add('t.call_id = {call:String}', { call: params.call });
  if (params.q !== undefined)
    where.add('t.call_id = {q:String} OR t.room_id = {q:String} OR t.caller = {q:String} OR has(t.callees, {q:String})', { q: params.q });
  if (after !== null) {
    const [at, provider, app, call] = after;
    where.add(
      't.started_at < fromUnixTimestamp64Milli({at:Int64}) OR (t.started_at = fromUnixTimestamp64Milli({at:Int64}) AND ' +
        '(t.provider, t.app_id, t.call_id) < ({afterProvider:String}, {afterApp:String}, {afterCall:String}))',
      { at, afterProvider: provider, afterApp: app, afterCall: call },
    );
  }
  return {
    sql: `SELECT ${selectOf(CALLS)} FROM calls AS t WHERE ${where.sql} ${ORDER} LIMIT {limit:UInt32}`,
    params: { ...where.params, limit: params.limit + 1 },
  };
}

const HOUR = 3_600_000;
/** How far back to look for a page of the newest calls, one after the other; the last is everything. */
const LOOK_BACK = [HOUR, 24 * HOUR, 30 * 24 * HOUR, null] as const;

export interface CallsPage {
  calls: CallView[];
  /** For the next (older) page, or null when this is the last. */
  next_cursor: string | null;
}

/**
 * Calls, newest start first. As the order is by time, a full page found within a short look-back is the page of the whole history, so
 * the search widens only while the page is not full and never sorts years of calls to show fifty.
 */
export async function readCalls(query: Query, params: CallsParams, after: Position | null, now: number): Promise<CallsPage> {
  const start = Math.min(after?.[0] ?? Number.POSITIVE_INFINITY, params.to ?? now);
  const rare = params.call !== undefined || params.q !== undefined || params.user !== undefined || params.room !== undefined;
  const floors = (rare ? [null] : LOOK_BACK).map((back) => (back === null ? null : start - back));
  let rows: Row[] = [];
  for (const floor of floors) {
    const whole = params.from !== undefined && (floor === null || floor <= params.from);
    rows = await run(query, callsStatement(params, after, whole ? params.from! : floor));
    if (rows.length > params.limit || whole) break;
  }
  const calls = rows.slice(0, params.limit).map(toCall);
  const last = calls.at(-1);
  const more = rows.length > params.limit && last !== undefined;
  return { calls, next_cursor: more ? encodeCursor([last.started_at, last.provider, last.app_id, last.call_id]) : null };
}

export interface CallDetail {
  call: CallView;
  legs: LegView[];
  /** Ordered by event time. */
  events: EventView[];
}

const OF_CALL = 't.provider = {provider:String} AND t.app_id = {app:String} AND t.call_id = {call:String}';

/** One call with its legs and inputs, or null when there is none of that name. */
export async function readCall(query: Query, provider: string, app: string, call: string): Promise<CallDetail | null> {
  const params = { provider, app, call };
  const [calls, legs, events] = await Promise.all([
    query(`SELECT ${selectOf(CALLS)} FROM calls AS t WHERE ${OF_CALL}`, params),
    query(`SELECT ${selectOf(LEG)} FROM call_legs AS t WHERE ${OF_CALL} ORDER BY t.role, t.user_id LIMIT 1000`, params),
    query(eventsWhere(OF_CALL), params),
  ]);
  if (calls[0] === undefined) return null;
  const found = toCall(calls[0]);
  const inputs = found.call_type === 'channel' ? await readChannel(query, found) : events;
  return { call: found, legs: legs.map((row) => rowOf(LEG, row)), events: inputs.map((row) => rowOf(EVENT, row)) };
}

const eventsWhere = (condition: string): string =>
  `SELECT ${selectOf(EVENT)} FROM call_events AS t WHERE ${condition} ORDER BY t.event_at, t.received_at, t.event, t.user_id LIMIT 5000`;

/** What happened in the channel of a session while it lasted: events stand under the channel. */
function readChannel(query: Query, { provider, app_id, room_id, started_at, ended_at }: CallView): Promise<Row[]> {
  const until = ended_at === null ? '' : ' AND t.event_at <= fromUnixTimestamp64Milli({to:Int64})';
  const during = `t.event_at >= fromUnixTimestamp64Milli({from:Int64})${until}`;
  const params = { provider, app: app_id, call: channelCallId(room_id), from: started_at, to: ended_at ?? 0 };
  return query(eventsWhere(`${OF_CALL} AND ${during}`), params);
}

export interface AppRef {
  provider: string;
  app_id: string;
}

/** The configured apps and those that have calls, sorted. */
export async function readApps(query: Query, configured: readonly AppRef[]): Promise<AppRef[]> {
  const rows = await query('SELECT DISTINCT t.provider AS provider, t.app_id AS app_id FROM metrics_1d AS t', {});
  const seen = rows.map((row): AppRef => ({ provider: String(row.provider), app_id: String(row.app_id) }));
  const all = new Map(
    [...configured, ...seen].map((app) => [`${app.provider}:${app.app_id}`, { provider: app.provider, app_id: app.app_id }]),
  );
  return [...all.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, app]) => app);
}

/** Calls changed since a moment, newest change first. `firstSeen` bounds the search to calls that are not long over. */
export function changesStatement(since: number, firstSeen: number, app: string | undefined, limit: number): Statement {
  const where = addScope(
    new Conditions().add(
      't.updated_at >= fromUnixTimestamp64Milli({since:Int64}) AND t.first_seen_at >= fromUnixTimestamp64Milli({firstSeen:Int64})',
      { since, firstSeen },
    ),
    app === undefined ? {} : { app },
  );
  return {
    sql: `SELECT ${selectOf(CALLS)} FROM calls AS t WHERE ${where.sql} ORDER BY t.updated_at DESC LIMIT {limit:UInt32}`,
    params: { ...where.params, limit },
  };
}
