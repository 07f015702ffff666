import { z } from 'zod';
import { ALERTS as COLUMNS, rowOf, selectOf } from '../../clickhouse/relations.js';
import { pageOf } from '../page.js';
import { app, commaList, decodeCursor, id, listTimes, paging, type times } from '../params.js';
import { listPeriod } from '../plan.js';
import { Conditions, run, type Statement } from '../query.js';
import { ALERT, asOf, nextCursor } from '../records.js';
import { route } from '../route.js';

const traits = {
  ...app,
  rule: id.optional().describe('Alerts of this rule only.'),
  state: commaList(['firing', 'resolved']).optional().describe('Alerts in one of these states, comma-separated: firing, resolved.'),
};
type Filter = z.output<z.ZodObject<typeof traits & typeof times>>;

const POSITION = z.tuple([z.number().int(), z.string(), z.string()]);

export function alertsStatement(wanted: Filter, after: z.output<typeof POSITION> | null, limit: number): Statement {
  const where = new Conditions().app(wanted).equal('t.rule', 'rule', wanted.rule).during('t.fired_at', wanted);
  if (wanted.state !== undefined) where.add('has({state:Array(String)}, t.state)', { state: wanted.state });
  if (after !== null)
    where.add('(t.fired_at, t.app_id, t.rule) < (fromUnixTimestamp64Milli({at:Int64}), {afterApp:String}, {afterRule:String})', {
      at: after[0],
      afterApp: after[1],
      afterRule: after[2],
    });
  return {
    sql: `SELECT ${selectOf(COLUMNS)} FROM alerts AS t WHERE ${where.sql} ORDER BY t.fired_at DESC, t.app_id DESC, t.rule DESC LIMIT {limit:UInt32}`,
    params: { ...where.params, limit },
  };
}

const list = route({
  path: '/api/v1/alerts',
  operation: 'listAlerts',
  summary: 'Alerts, the last fired first.',
  params: z.strictObject({ ...listTimes, ...traits, ...paging }),
  answer: z.strictObject({ as_of: asOf, alerts: z.array(ALERT), next_cursor: nextCursor }),
  async read({ query, now }, { cursor, limit, ...params }) {
    const rows = await run(query, alertsStatement(listPeriod(params, now), decodeCursor(POSITION, cursor), limit + 1));
    const page = pageOf(
      rows.map((row) => rowOf(COLUMNS, row)),
      limit,
      (row) => [row.fired_at, row.app_id, row.rule],
    );
    return { as_of: now, alerts: page.rows, next_cursor: page.next_cursor };
  },
});

export const ALERTS = [list];
