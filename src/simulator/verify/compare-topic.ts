import { getOrMake } from '../maps.js';
import { callKey } from '../truth/deliveries.js';
import { isOwnChannel } from './compare-sessions.js';
import { type Comparison, channelNamed, nameOf } from './comparison.js';
import type { VerifyDeps } from './ports.js';
import { callRevisions } from './rows.js';

/** So long ClickHouse may be behind the topic before a row counts as stale. */
const SINK_MS = 30_000;

interface Named {
  app_id: string;
  call_id: string;
}

/**
 * callstream.calls, read_committed: every (call, revision) once, revisions 1..n without a gap, the last one in ClickHouse; so for every name that a channel
 * has had. Returns the number of revisions of what is the run's own. The rows were read before the topic and are read again after it, because calls may
 * be published again meanwhile.
 */
export async function compareTopic(c: Comparison, readCalls: VerifyDeps['readCalls']): Promise<number> {
  const published = new Map<string, { name: Named; revisions: Set<number> }>();
  let revisions = 0;
  await readCalls((record) => {
    const key = callKey(record.app_id, record.call_id);
    const channel = channelNamed(record.call_id);
    if (!c.calls.has(key) && (channel === null || !isOwnChannel(c, record.app_id, channel))) return;
    revisions++;
    const seen = getOrMake(published, key, () => ({ name: record, revisions: new Set<number>() })).revisions;
    if (seen.has(record.revision)) c.differences.add('double revision', `${nameOf(record)} revision ${record.revision}`);
    seen.add(record.revision);
  });
  for (const [key, own] of c.calls) if (!published.has(key)) c.differences.add('unpublished call', nameOf(own));
  for (const [key] of c.named) if (!published.has(key)) c.differences.add('unpublished call', key);
  const last = new Map<string, { name: Named; newest: number }>();
  for (const [key, { name, revisions: seen }] of published) {
    const newest = Math.max(...seen);
    for (let revision = 1; revision <= newest; revision++) {
      if (!seen.has(revision)) c.differences.add('revision gap', `${nameOf(name)} has no revision ${revision} of ${newest}`);
    }
    // A call without a row has been told of already; a channel's name without one has not.
    const row = c.revisions.get(key) ?? (c.calls.has(key) ? newest : 0);
    if (row > newest)
      c.differences.add('unpublished revision', `${nameOf(name)}: ClickHouse has revision ${row}, the topic ends at ${newest}`);
    if (row < newest) last.set(key, { name, newest });
  }
  await waitForRows(c, last);
  for (const { name, newest } of last.values())
    c.differences.add('stale row', `${nameOf(name)}: the topic has revision ${newest}, ClickHouse an older one or none`);
  return revisions;
}

/** Takes those calls out of `behind` whose row has the revision by now. */
async function waitForRows(c: Comparison, behind: Map<string, { newest: number }>): Promise<void> {
  const deadline = c.clock.now() + SINK_MS;
  while (behind.size > 0 && c.clock.now() < deadline) {
    for (const row of await callRevisions(c.query, c.apps, c.begin_at)) {
      const key = callKey(row.app_id, row.call_id);
      if (row.revision >= (behind.get(key)?.newest ?? Number.POSITIVE_INFINITY)) behind.delete(key);
    }
    if (behind.size > 0) await c.sleep(500);
  }
}
