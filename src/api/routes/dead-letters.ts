import { z } from 'zod';
import { type Columns, type RowOf, rowOf, selectOf } from '../../clickhouse/relations.js';
import { pageOf } from '../page.js';
import { app, decodeCursor, id, listTimes, paging, type times } from '../params.js';
import { listPeriod } from '../plan.js';
import { Conditions, type Query, run } from '../query.js';
import { asOf, nextCursor, recordOf } from '../records.js';
import { route } from '../route.js';

/** What relation `dead_letters` says, with the key under which the input came and its bytes as far as they are text. */
const COLUMNS = {
  stage: 'text',
  reason: 'text',
  error: 'text',
  source: 'text',
  app_id: 'text',
  received_at: 'time',
  origin: 'text',
  key: 'text',
  body: 'text',
  body_bytes: 'number',
} as const satisfies Columns;

const BODY_LIMIT = 16_384;
const ORIGIN =
  "concat(l.origin_topic, ':', toString(l.origin_partition), ':', toString(l.origin_offset), if(l.origin_index < 0, '', concat(':', toString(l.origin_index))))";

/** Bytes that are not UTF-8 cannot stand in JSON; the command line has them as they are. */
const LETTERS =
  `(SELECT l.stage AS stage, l.reason AS reason, l.error AS error, l.source AS source, l.app_id AS app_id, l.received_at AS received_at, ${ORIGIN} AS origin, ` +
  `l.key AS key, toValidUTF8(substring(l.body, 1, ${BODY_LIMIT})) AS body, length(l.body) AS body_bytes FROM dead_letter_rows AS l FINAL)`;

export const DEAD_LETTER = recordOf(
  'DeadLetter',
  `An input that could not be processed. \`body\` has its first ${BODY_LIMIT} bytes as text.`,
  COLUMNS,
);

const traits = {
  ...app,
  stage: id.optional().describe('Where it was given up: `parse`, `fold`, …'),
  reason: id.optional().describe('Why, as a stable word.'),
  source: id.optional().describe('Inputs of this source only.'),
};
type Filter = z.output<z.ZodObject<typeof traits & typeof times>> & { key?: string };

const POSITION = z.tuple([z.number().int(), z.string(), z.string()]);

/** Newest first. */
export async function readDeadLetters(
  query: Query,
  { from, to, stage, reason, source, key, ...scope }: Filter,
  after: z.output<typeof POSITION> | null,
  limit: number,
): Promise<RowOf<typeof COLUMNS>[]> {
  const where = new Conditions().app(scope).equal('t.stage', 'stage', stage).equal('t.reason', 'reason', reason);
  where.equal('t.source', 'source', source).equal('t.key', 'key', key).during('t.received_at', { from, to });
  if (after !== null)
    where.add('(t.received_at, t.origin, t.stage) < (fromUnixTimestamp64Milli({at:Int64}), {afterOrigin:String}, {afterStage:String})', {
      at: after[0],
      afterOrigin: after[1],
      afterStage: after[2],
    });
  const rows = await run(query, {
    sql: `SELECT ${selectOf(COLUMNS)} FROM ${LETTERS} AS t WHERE ${where.sql} ORDER BY t.received_at DESC, t.origin DESC, t.stage DESC LIMIT {limit:UInt32}`,
    params: { ...where.params, limit },
  });
  return rows.map((row) => rowOf(COLUMNS, row));
}

const list = route({
  path: '/api/v1/dead-letters',
  operation: 'listDeadLetters',
  summary: 'Inputs that could not be processed, newest first.',
  description: 'The command `callstream dead-letters replay` sends them through again.',
  params: z.strictObject({ ...listTimes, ...traits, ...paging }),
  answer: z.strictObject({ as_of: asOf, dead_letters: z.array(DEAD_LETTER), next_cursor: nextCursor }),
  async read({ query, now }, { cursor, limit, ...params }) {
    const rows = await readDeadLetters(query, listPeriod(params, now), decodeCursor(POSITION, cursor), limit + 1);
    const page = pageOf(rows, limit, (row) => [row.received_at, row.origin, row.stage]);
    return { as_of: now, dead_letters: page.rows, next_cursor: page.next_cursor };
  },
});

export const DEAD_LETTERS = [list];
