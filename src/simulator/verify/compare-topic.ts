import { getOrMake } from '../maps.js';
import { callKey } from '../truth/deliveries.js';
import { type Comparison, nameOf } from './compare.js';
import type { VerifyDeps } from './ports.js';

/** callstream.calls, read_committed: every (call, revision) once, revisions 1..n without a gap, the last one in ClickHouse. Returns the number of revisions of own calls. */
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
  for (const [key, own] of c.calls) {
    const seen = published.get(key);
    if (seen === undefined) {
      c.differences.add('unpublished call', nameOf(own));
      continue;
    }
    const last = Math.max(...seen);
    for (let revision = 1; revision <= last; revision++) {
      if (!seen.has(revision)) c.differences.add('revision gap', `${nameOf(own)} has no revision ${revision} of ${last}`);
    }
    const row = c.revisions?.get(key);
    if (row !== undefined && row !== last)
      c.differences.add('stale row', `${nameOf(own)}: the topic has revision ${last}, ClickHouse ${row}`);
  }
  return revisions;
}
