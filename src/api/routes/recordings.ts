import { z } from 'zod';
import { RECORDINGS as COLUMNS, rowOf, selectOf } from '../../clickhouse/relations.js';
import { pageOf } from '../page.js';
import { app, commaList, decodeCursor, flag, id, paging, times } from '../params.js';
import { Conditions, run, type Statement } from '../query.js';
import { asOf, nextCursor, RECORDING } from '../records.js';
import { route } from '../route.js';

const STATUSES = ['recording', 'paused', 'stopped', 'finished', 'failed'] as const;

const filter = {
  ...times,
  ...app,
  status: commaList(STATUSES)
    .optional()
    .describe(`Recordings in one of these states, comma-separated: ${STATUSES.join(', ')}.`),
  exceptions: flag.optional().describe('`true`: only recordings with exceptions or an error; `false`: none of these.'),
  room: id.optional().describe('Recordings of this room.'),
  task: id.optional().describe('The recording of this task.'),
};
type Filter = z.output<z.ZodObject<typeof filter>>;

/** A recording of unknown start is the oldest. */
const START = "ifNull(t.started_at, toDateTime64(0, 3, 'UTC'))";
const POSITION = z.tuple([z.number().int(), z.string(), z.string()]);

export function recordingsStatement(wanted: Filter, after: z.output<typeof POSITION> | null, limit: number): Statement {
  const { from, to, status, exceptions, room, task } = wanted;
  const where = new Conditions()
    .app(wanted)
    .equal('t.room_id', 'room', room)
    .equal('t.task_id', 'task', task)
    .during('t.started_at', { from, to });
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

const list = route({
  path: '/api/v1/recordings',
  operation: 'listRecordings',
  summary: 'Whiteboard recordings, newest start first; those of unknown start come last.',
  params: z.strictObject({ ...filter, ...paging }),
  answer: z.strictObject({ as_of: asOf, recordings: z.array(RECORDING), next_cursor: nextCursor }),
  async read({ query, now }, { cursor, limit, ...params }) {
    const rows = await run(query, recordingsStatement(params, decodeCursor(POSITION, cursor), limit + 1));
    const page = pageOf(
      rows.map((row) => rowOf(COLUMNS, row)),
      limit,
      (row) => [row.started_at ?? 0, row.app_id, row.task_id],
    );
    return { as_of: now, recordings: page.rows, next_cursor: page.next_cursor };
  },
});

export const RECORDINGS = [list];
