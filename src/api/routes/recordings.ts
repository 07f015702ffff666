import { z } from 'zod';
import { CALL_ID, RECORDINGS as COLUMNS, type Columns, type RowOf, rowOf, selectOf } from '../../clickhouse/relations.js';
import { pageOf } from '../page.js';
import { app, commaList, decodeCursor, flag, id, listTimes, paging, type times } from '../params.js';
import { listPeriod } from '../plan.js';
import { Conditions, num, type Query, run, type Statement } from '../query.js';
import { asOf, count, nextCursor, RECORDING, recordOf } from '../records.js';
import { route } from '../route.js';

const STATUSES = ['recording', 'paused', 'stopped', 'finished', 'failed'] as const;

const traits = {
  ...app,
  status: commaList(STATUSES)
    .optional()
    .describe(`Recordings in one of these states, comma-separated: ${STATUSES.join(', ')}.`),
  exceptions: flag.optional().describe('`true`: only recordings with exceptions or an error; `false`: none of these.'),
  room: id.optional().describe('Recordings of this room.'),
  task: id.optional().describe('The recording of this task.'),
};
type Filter = z.output<z.ZodObject<typeof traits & typeof times>>;

/** A recording of unknown start is the oldest. */
const START = "ifNull(t.started_at, toDateTime64(0, 3, 'UTC'))";
const POSITION = z.tuple([z.number().int(), z.string(), z.string()]);

export function recordingsStatement(wanted: Filter, after: z.output<typeof POSITION> | null, limit: number): Statement {
  const { from, to, status, exceptions, room, task } = wanted;
  const where = new Conditions()
    .app(wanted)
    .equal('t.room_id', 'room', room)
    .equal('t.task_id', 'task', task)
    .during('ifNull(t.started_at, t.stopped_at)', { from, to });
  if (status !== undefined) where.add('has({status:Array(String)}, t.status)', { status });
  if (exceptions !== undefined)
    where.add("(t.exceptions > 0 OR t.status = 'failed' OR t.error_code != '') = {exceptions:Bool}", { exceptions });
  if (after !== null)
    where.add(`(${START}, t.app_id, t.task_id) < (fromUnixTimestamp64Milli({at:Int64}), {afterApp:String}, {afterTask:String})`, {
      at: after[0],
      afterApp: after[1],
      afterTask: after[2],
    });
  return {
    sql: `SELECT ${selectOf(COLUMNS)} FROM recordings AS t WHERE ${where.sql} ORDER BY ${START} DESC, t.app_id DESC, t.task_id DESC LIMIT {limit:UInt32}`,
    params: { ...where.params, limit },
  };
}

/** What a recording's list of calls says of each. */
const CALL_OF_RECORDING = {
  ...CALL_ID,
  caller: 'text',
  callees: 'texts',
  status: 'text',
  outcome: 'text',
  started_at: 'time',
  ended_at: 'time?',
} as const satisfies Columns;

/** Shown of each recording; there may be more. */
const MAX_CALLS = 20;

/**
 * Calls of the app and room of each recording that overlap it in time, by the rule of relation `call_recordings`, the first of each; `of_all` is how many
 * there are. The rooms pick the calls before anything is joined.
 */
export function callsOfStatement(recordings: readonly Recording[]): Statement {
  return {
    sql: `SELECT r.task_id AS task_id, count() OVER (PARTITION BY r.app_id, r.task_id) AS of_all, ${selectOf(CALL_OF_RECORDING)}
      FROM (SELECT * FROM calls AS c WHERE c.room_id IN {rooms:Array(String)} AND c.end_reason != 'merged') AS t
      INNER JOIN (SELECT provider, app_id, task_id, room_id, assumeNotNull(started_at) AS from_at, ifNull(stopped_at, now64(3, 'UTC')) AS to_at FROM recordings
        WHERE has({tasks:Array(String)}, task_id) AND room_id != '' AND isNotNull(started_at)) AS r
      ON t.provider = r.provider AND t.app_id = r.app_id AND t.room_id = r.room_id
      WHERE greatest(t.started_at, r.from_at) < least(ifNull(t.ended_at, now64(3, 'UTC')), r.to_at)
      ORDER BY started_at, call_id LIMIT ${MAX_CALLS} BY app_id, task_id`,
    params: { rooms: [...new Set(recordings.map(({ room_id }) => room_id))], tasks: recordings.map(({ task_id }) => task_id) },
  };
}

type Recording = RowOf<typeof COLUMNS>;
type CallOfRecording = RowOf<typeof CALL_OF_RECORDING>;

/** Every recording with its calls. */
async function withCalls(query: Query, recordings: readonly Recording[]) {
  const rows = recordings.some(({ room_id }) => room_id !== '') ? await run(query, callsOfStatement(recordings)) : [];
  const nameOf = (app: unknown, task: unknown): string => JSON.stringify([app, task]);
  const found = new Map<string, { calls_total: number; calls: CallOfRecording[] }>();
  for (const row of rows) {
    const name = nameOf(row.app_id, row.task_id);
    const of = found.get(name) ?? { calls_total: num(row.of_all), calls: [] };
    of.calls.push(rowOf(CALL_OF_RECORDING, row));
    found.set(name, of);
  }
  return recordings.map((recording) => ({
    recording,
    ...(found.get(nameOf(recording.app_id, recording.task_id)) ?? { calls_total: 0, calls: [] }),
  }));
}

const list = route({
  path: '/api/v1/recordings',
  operation: 'listRecordings',
  summary: 'Whiteboard recordings with the calls that they overlap, newest start first; those of unknown start come last.',
  description: 'A recording of unknown start belongs to the period in which it stopped. It overlaps no call.',
  params: z.strictObject({ ...listTimes, ...traits, ...paging }),
  answer: z.strictObject({
    as_of: asOf,
    recordings: z.array(
      z.strictObject({
        recording: RECORDING,
        calls_total: count.describe('Calls of the same app and room that overlap the recording in time.'),
        calls: z
          .array(recordOf('CallOfRecording', 'A call that overlaps a recording.', CALL_OF_RECORDING))
          .describe(`The first ${MAX_CALLS} of these calls.`),
      }),
    ),
    next_cursor: nextCursor,
  }),
  async read({ query, now }, { cursor, limit, ...params }) {
    const rows = await run(query, recordingsStatement(listPeriod(params, now), decodeCursor(POSITION, cursor), limit + 1));
    const page = pageOf(
      rows.map((row) => rowOf(COLUMNS, row)),
      limit,
      (row) => [row.started_at ?? 0, row.app_id, row.task_id],
    );
    return { as_of: now, recordings: await withCalls(query, page.rows), next_cursor: page.next_cursor };
  },
});

export const RECORDINGS = [list];
