import { getOrMake } from '../maps.js';
import { callKey } from '../truth/deliveries.js';
import { type Comparison, nameOf } from './compare.js';
import type { VerifyDeps } from './ports.js';
import { callRevisions } from './rows.js';

/** So long ClickHouse may be behind the topic before a row counts as stale. */
const SINK_MS = 30_000;

/**
 * callstream.calls, read_committed: every (call, revision) once, revisions 1..n without a gap, the last one in ClickHouse. Returns the number of revisions of
 * own calls. The rows were read before the topic and are read again after it, because calls may be published again meanwhile.
 */
export async function compareTopic(c: Comparison, readCalls: VerifyDeps['readCalls']): Promise<number> {
  const published = new Map<string, Set<number>>();
  let revisions = 0;
  await readCalls((record) => {
    const key = callKey(record.app_id, record.call_id);
    if (!c.calls.has(key)) return;
    revisions++;
    const seen = getOrMake(published, key, () => new Set());
    if (seen.has(record.revision)) c.differences.add('double revision', `${nameOf(record)} revision ${record.revision}`);
    seen.add(record.revision);
  });
  const last = new Map<string, number>();
  for (const [key, own] of c.calls) {
    const seen = published.get(key);
    if (seen === undefined) {
      c.differences.add('unpublished call', nameOf(own));
      continue;
    }
    const newest = Math.max(...seen);
    last.set(key, newest);
    for (let revision = 1; revision <= newest; revision++) {
      if (!seen.has(revision)) c.differences.add('revision gap', `${nameOf(own)} has no revision ${revision} of ${newest}`);
    }
    // A call without a row has been told of already.
    const row = c.revisions?.get(key) ?? newest;
    if (row > newest)
      c.differences.add('unpublished revision', `${nameOf(own)}: ClickHouse has revision ${row}, the topic ends at ${newest}`);
    if (row >= newest) last.delete(key);
  }
  await waitForRows(c, last);
  for (const [key, newest] of last)
    c.differences.add('stale row', `${nameOf(c.calls.get(key)!)}: the topic has revision ${newest}, ClickHouse an older one`);
  return revisions;
}

/** Takes those calls out of `behind` whose row has the revision by now. */
async function waitForRows(c: Comparison, behind: Map<string, number>): Promise<void> {
  const deadline = c.clock.now() + SINK_MS;
  while (behind.size > 0 && c.clock.now() < deadline) {
    for (const row of await callRevisions(c.query, c.apps, c.begin_at)) {
      const key = callKey(row.app_id, row.call_id);
      if (row.revision >= (behind.get(key) ?? Number.POSITIVE_INFINITY)) behind.delete(key);
    }
    if (behind.size > 0) await c.sleep(500);
  }
}
