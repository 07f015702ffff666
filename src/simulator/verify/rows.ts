import { CALL_EVENTS, CALL_LEGS, CALLS, type Columns, type RowOf, rowOf, selectOf } from '../../clickhouse/relations.js';
import type { Query } from './ports.js';

/** The relations of contract §5 as plain records: times in epoch ms, integers as numbers, booleans as booleans. */

export const TIMEOUT_MS = 120_000;

/** @param from everything after the select list; the relation's alias is `t` */
export async function rows<C extends Columns>(
  query: Query,
  columns: C,
  from: string,
  params: Record<string, unknown>,
): Promise<RowOf<C>[]> {
  const found = await query<Record<string, unknown>>(`SELECT ${selectOf(columns)} ${from}`, params, TIMEOUT_MS);
  return found.map((row) => rowOf(columns, row));
}

const PAGES = 16;

/** All rows of a relation of the apps, a sixteenth of the calls at a time. */
async function* paged<C extends Columns>(query: Query, relation: string, columns: C, apps: readonly string[]): AsyncGenerator<RowOf<C>[]> {
  for (let page = 0; page < PAGES; page++) {
    yield await rows(
      query,
      columns,
      `FROM ${relation} AS t WHERE t.app_id IN {apps:Array(String)} AND cityHash64(t.call_id) % ${PAGES} = ${page}`,
      { apps },
    );
  }
}

// The bodies' other fields are large, and the truth has none.
const { detail: _detail, ...EVENTS } = CALL_EVENTS;

export type EventRow = RowOf<typeof EVENTS>;

export const callRows = (query: Query, apps: readonly string[]) => paged(query, 'calls', CALLS, apps);
export const legRows = (query: Query, apps: readonly string[]) => paged(query, 'call_legs', CALL_LEGS, apps);
export const eventRows = (query: Query, apps: readonly string[]) => paged(query, 'call_events', EVENTS, apps);

const DEAD_LETTER = { stage: 'text', reason: 'text', error: 'text', source: 'text', app_id: 'text', received_at: 'time' } as const;

/** The body as its digest. */
export type DeadLetterRow = RowOf<typeof DEAD_LETTER> & { sha1: string };

export async function deadLetterRows(query: Query, apps: readonly string[], since: number): Promise<DeadLetterRow[]> {
  const found = await query<Record<string, unknown> & { sha1: string }>(
    `SELECT ${selectOf(DEAD_LETTER)}, lower(hex(SHA1(t.body))) AS sha1
     FROM dead_letters AS t WHERE t.app_id IN {apps:Array(String)} AND t.received_at >= fromUnixTimestamp64Milli({since:Int64})`,
    { apps, since },
    TIMEOUT_MS,
  );
  return found.map((row) => ({ ...rowOf(DEAD_LETTER, row), sha1: row.sha1 }));
}

const FIRST_SEEN = 'FROM calls AS t WHERE t.app_id IN {apps:Array(String)} AND t.first_seen_at >= fromUnixTimestamp64Milli({since:Int64})';
const UNFINISHED = { app_id: 'text', call_id: 'text', call_type: 'text', room_id: 'text', started_at: 'time' } as const;

/** Calls and sessions first seen since then that are not final. */
export const unfinishedCalls = (query: Query, apps: readonly string[], since: number) =>
  rows(query, UNFINISHED, `${FIRST_SEEN} AND NOT t.final AND t.end_reason != 'merged'`, { apps, since });

/** Calls, and sessions of channels, first seen since then. */
export async function countCalls(query: Query, apps: readonly string[], since: number): Promise<{ calls: number; sessions: number }> {
  const [row] = await query<{ calls: number | string; sessions: number | string }>(
    `SELECT countIf(t.call_type != 'channel') AS calls, countIf(t.call_type = 'channel' AND t.end_reason != 'merged') AS sessions ${FIRST_SEEN}`,
    { apps, since },
    TIMEOUT_MS,
  );
  return { calls: Number(row?.calls ?? 0), sessions: Number(row?.sessions ?? 0) };
}

/** The revision of every call first seen since then. */
export const callRevisions = (query: Query, apps: readonly string[], since: number) =>
  rows(query, { app_id: 'text', call_id: 'text', revision: 'number' }, FIRST_SEEN, { apps, since });
