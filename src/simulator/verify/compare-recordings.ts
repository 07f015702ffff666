import { callKey } from '../truth/deliveries.js';
import { type Comparison, nameOf } from './comparison.js';
import { recordingRows } from './rows-recordings.js';

/** `recordings` row by row. Returns the number of recordings compared. */
export async function compareRecordings(c: Comparison): Promise<number> {
  const seen = new Set<string>();
  const what = (r: { app_id: string; task_id: string }) => nameOf({ app_id: r.app_id, call_id: r.task_id });
  for (const row of await recordingRows(c.query, c.apps)) {
    const key = callKey(row.app_id, row.task_id);
    const own = c.recordings.get(key);
    if (own === undefined) {
      if ((row.started_at ?? 0) >= c.begin_at && !c.deliveries.allRecordings.has(key)) c.differences.add('invented recording', what(row));
      continue;
    }
    if (seen.has(key)) c.differences.add('double recording', what(row));
    seen.add(key);
    c.differences.fields('recording', what(row), { provider: 'tencent', ...own.truth }, row);
    if (!(row.revision >= 1)) c.differences.add('recording', `${what(row)}: revision ${row.revision}`);
  }
  for (const [key, own] of c.recordings) if (!seen.has(key)) c.differences.add('missing recording', what(own));
  return seen.size;
}
