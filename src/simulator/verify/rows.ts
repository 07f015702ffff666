import type { Cell, ConcurrencyMinute } from '../truth/rollups.js';
import type { Query } from './ports.js';

/** The relations of contract §5 as plain records: times in epoch ms, integers as numbers, booleans as booleans. */

const TIMEOUT_MS = 120_000;
const ms = (column: string): string => `toUnixTimestamp64Milli(toDateTime64(${column}, 3, 'UTC')) AS ${column}_ms`;

type Kind = 'text' | 'number' | 'time' | 'bool' | 'list';

function select(columns: Readonly<Record<string, Kind>>): string {
  return Object.entries(columns)
    .map(([name, kind]) => (kind === 'time' ? ms(name) : kind === 'number' || kind === 'bool' ? `${name} AS ${name}_v` : name))
    .join(', ');
}

function plain(columns: Readonly<Record<string, Kind>>, row: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(columns)) {
    const value = row[kind === 'time' ? `${name}_ms` : kind === 'number' || kind === 'bool' ? `${name}_v` : name];
    if (value === null || value === undefined) out[name] = null;
    else if (kind === 'time' || kind === 'number') out[name] = Number(value);
    else if (kind === 'bool') out[name] = value === true || value === 1 || value === '1' || value === 'true';
    else out[name] = value;
  }
  return out;
}

async function rows<T>(query: Query, columns: Readonly<Record<string, Kind>>, rest: string, params: Record<string, unknown>): Promise<T[]> {
  const found = await query<Record<string, unknown>>(`SELECT ${select(columns)} ${rest}`, params, TIMEOUT_MS);
  return found.map((row) => plain(columns, row) as T);
}

const CALL = {
  provider: 'text',
  app_id: 'text',
  call_id: 'text',
  room_id: 'text',
  call_type: 'text',
  media_type: 'text',
  caller: 'text',
  callees: 'list',
  total_users: 'number',
  status: 'text',
  outcome: 'text',
  end_reason: 'text',
  started_at: 'time',
  accepted_at: 'time',
  ended_at: 'time',
  ring_ms: 'number',
  talk_ms: 'number',
  missed: 'bool',
  missed_inclusive: 'bool',
  final: 'bool',
  sources: 'list',
  anomalies: 'list',
  first_seen_at: 'time',
  updated_at: 'time',
  revision: 'number',
} as const;

export interface CallRow {
  provider: string;
  app_id: string;
  call_id: string;
  room_id: string;
  call_type: string;
  media_type: string;
  caller: string;
  callees: string[];
  total_users: number;
  status: string;
  outcome: string;
  end_reason: string;
  started_at: number;
  accepted_at: number | null;
  ended_at: number | null;
  ring_ms: number;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
  final: boolean;
  sources: string[];
  anomalies: string[];
  first_seen_at: number;
  updated_at: number;
  revision: number;
}

const LEG = {
  app_id: 'text',
  call_id: 'text',
  user_id: 'text',
  role: 'text',
  outcome: 'text',
  rang_at: 'time',
  joined_at: 'time',
  left_at: 'time',
  talk_ms: 'number',
  missed: 'bool',
  missed_inclusive: 'bool',
  platform: 'text',
  media_joined_at: 'time',
  media_left_at: 'time',
  media_drops: 'number',
  call_started_at: 'time',
  revision: 'number',
} as const;

export interface LegRow {
  app_id: string;
  call_id: string;
  user_id: string;
  [field: string]: unknown;
}

const EVENT = {
  provider: 'text',
  app_id: 'text',
  call_id: 'text',
  room_id: 'text',
  user_id: 'text',
  role: 'text',
  event: 'text',
  event_at: 'time',
  received_at: 'time',
  source: 'text',
  platform: 'text',
  call_result: 'text',
  event_id: 'text',
  raw_topic: 'text',
  raw_partition: 'number',
  raw_offset: 'number',
} as const;

export interface EventRow {
  app_id: string;
  call_id: string;
  event_id: string;
  raw_partition: number;
  raw_offset: number;
  [field: string]: unknown;
}

export interface DeadLetterRow {
  stage: string;
  reason: string;
  error: string;
  source: string;
  app_id: string;
  received_at: number;
  sha1: string;
}

const PAGES = 16;

/** All rows of a relation of the apps, a sixteenth of the calls at a time. */
async function* paged<T>(
  query: Query,
  relation: string,
  columns: Readonly<Record<string, Kind>>,
  apps: readonly string[],
): AsyncGenerator<T[]> {
  for (let page = 0; page < PAGES; page++) {
    yield await rows<T>(
      query,
      columns,
      `FROM ${relation} WHERE app_id IN {apps:Array(String)} AND cityHash64(call_id) % ${PAGES} = ${page}`,
      { apps },
    );
  }
}

export const callRows = (query: Query, apps: readonly string[]) => paged<CallRow>(query, 'calls', CALL, apps);
export const legRows = (query: Query, apps: readonly string[]) => paged<LegRow>(query, 'call_legs', LEG, apps);
export const eventRows = (query: Query, apps: readonly string[]) => paged<EventRow>(query, 'call_events', EVENT, apps);

export async function deadLetterRows(query: Query, apps: readonly string[], since: number): Promise<DeadLetterRow[]> {
  const found = await query<Record<string, unknown>>(
    `SELECT stage, reason, error, source, app_id, ${ms('received_at')}, lower(hex(SHA1(body))) AS sha1
     FROM dead_letters WHERE app_id IN {apps:Array(String)} AND received_at >= fromUnixTimestamp64Milli({since:Int64})`,
    { apps, since },
    TIMEOUT_MS,
  );
  return found.map(({ received_at_ms, ...row }) => ({ ...row, received_at: Number(received_at_ms) }) as DeadLetterRow);
}

/** Ids of calls first seen since then that are not final. */
export async function unfinishedCalls(
  query: Query,
  apps: readonly string[],
  since: number,
): Promise<{ app_id: string; call_id: string; status: string }[]> {
  return query(
    `SELECT app_id, call_id, status FROM calls
     WHERE app_id IN {apps:Array(String)} AND first_seen_at >= fromUnixTimestamp64Milli({since:Int64}) AND NOT final`,
    { apps, since },
    TIMEOUT_MS,
  );
}

export async function countCalls(query: Query, apps: readonly string[], since: number): Promise<number> {
  const [row] = await query<{ n: number | string }>(
    `SELECT count() AS n FROM calls WHERE app_id IN {apps:Array(String)} AND first_seen_at >= fromUnixTimestamp64Milli({since:Int64})`,
    { apps, since },
    TIMEOUT_MS,
  );
  return Number(row?.n ?? 0);
}

/** The revision of every call first seen since then. */
export async function callRevisions(
  query: Query,
  apps: readonly string[],
  since: number,
): Promise<{ app_id: string; call_id: string; revision: number }[]> {
  const found = await query<{ app_id: string; call_id: string; revision: number | string }>(
    `SELECT app_id, call_id, revision FROM calls WHERE app_id IN {apps:Array(String)} AND first_seen_at >= fromUnixTimestamp64Milli({since:Int64})`,
    { apps, since },
    TIMEOUT_MS,
  );
  return found.map((row) => ({ ...row, revision: Number(row.revision) }));
}

const METRICS = {
  bucket: 'time',
  app_id: 'text',
  call_type: 'text',
  media_type: 'text',
  calls: 'number',
  answered: 'number',
  no_answer: 'number',
  rejected: 'number',
  busy: 'number',
  cancelled: 'number',
  failed: 'number',
  unknown: 'number',
  missed: 'number',
  missed_inclusive: 'number',
  ring_ms_sum: 'number',
  talk_ms_sum: 'number',
  asr: 'number',
  ner: 'number',
  acd_ms: 'number',
  ring_p50_ms: 'number',
  ring_p95_ms: 'number',
  talk_p50_ms: 'number',
  talk_p95_ms: 'number',
} as const;

export const metricsRows = (query: Query, relation: 'metrics_1m' | 'metrics_1h' | 'metrics_1d', apps: readonly string[]) =>
  rows<Cell>(query, METRICS, `FROM ${relation} WHERE app_id IN {apps:Array(String)}`, { apps });

export const concurrencyRows = (query: Query, apps: readonly string[]) =>
  rows<ConcurrencyMinute>(
    query,
    { bucket: 'time', app_id: 'text', peak: 'number', average: 'number' },
    'FROM concurrency_1m WHERE app_id IN {apps:Array(String)}',
    { apps },
  );

export interface HealthRow {
  bucket: number;
  app_id: string;
  received: number;
  duplicates: number;
}

export const healthRows = (query: Query, apps: readonly string[], from: number, to: number) =>
  rows<HealthRow>(
    query,
    { bucket: 'time', app_id: 'text', received: 'number', duplicates: 'number' },
    `FROM delivery_health WHERE app_id IN {apps:Array(String)} AND source = 'tuicallkit'
       AND bucket >= toDateTime({from:UInt32}, 'UTC') AND bucket <= toDateTime({to:UInt32}, 'UTC')`,
    { apps, from: from / 1000, to: to / 1000 },
  );

/** Rows of call_events or dead_letters whose (kept) delivery was received in [from, to). */
export async function receivedBetween(
  query: Query,
  relation: 'call_events' | 'dead_letters',
  apps: readonly string[],
  from: number,
  to: number,
): Promise<number> {
  const [row] = await query<{ n: number | string }>(
    `SELECT count() AS n FROM ${relation} WHERE app_id IN {apps:Array(String)}
       AND received_at >= fromUnixTimestamp64Milli({from:Int64}) AND received_at < fromUnixTimestamp64Milli({to:Int64})`,
    { apps, from, to },
    TIMEOUT_MS,
  );
  return Number(row?.n ?? 0);
}
