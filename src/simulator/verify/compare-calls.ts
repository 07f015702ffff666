import { callKey } from '../truth/deliveries.js';
import { type CallRow, compareMerged, compareSession, isOwnChannel } from './compare-sessions.js';
import { type Comparison, nameOf, sessionKey } from './comparison.js';
import { standingsOf } from './fate.js';
import { callRows } from './rows.js';

/** `calls` row by row, those of channels too. Returns how many of each were compared. */
export async function compareCalls(c: Comparison): Promise<{ calls: number; sessions: number }> {
  const seen = new Set<string>();
  const sessions = new Set<string>();
  const from = c.clock.now();
  for await (const page of callRows(c.query, c.apps)) {
    const to = c.clock.now();
    for (const row of page) {
      if (row.call_type === 'channel') compareChannelRow(c, row, sessions, from, to);
      else compareCallRow(c, row, seen, from, to);
    }
  }
  for (const [key, own] of c.calls) if (!seen.has(key)) c.differences.add('missing call', nameOf(own));
  for (const [key, own] of c.sessions)
    if (!sessions.has(key)) c.differences.add('missing session', `${nameOf({ ...own, call_id: own.channel_id })} from ${key}`);
  return { calls: seen.size, sessions: sessions.size };
}

function compareCallRow(c: Comparison, row: CallRow, seen: Set<string>, from: number, to: number): void {
  const key = callKey(row.app_id, row.call_id);
  const own = c.calls.get(key);
  if (own === undefined) {
    if (row.first_seen_at >= c.begin_at && !c.deliveries.allCalls.has(key)) c.differences.add('invented call', nameOf(row));
    return;
  }
  if (seen.has(key)) c.differences.add('double call', nameOf(row));
  seen.add(key);
  c.revisions.set(key, row.revision);
  const expected = standingsOf(own.fate, c.settle, from, to).map(({ truth, final }) => {
    const { legs: _legs, times_out_at: _timesOutAt, ...facts } = truth;
    return { provider: 'tencent', ...facts, final };
  });
  c.differences.fields('call', nameOf(row), expected, { ...row, anomalies: [...row.anomalies].sort() });
  compareHistory(
    c,
    row,
    own.inputs.map((i) => i.received_at),
    to,
  );
}

function compareChannelRow(c: Comparison, row: CallRow, seen: Set<string>, from: number, to: number): void {
  if (!isOwnChannel(c, row.app_id, row.room_id)) {
    if (row.first_seen_at >= c.begin_at) c.differences.add('invented session', nameOf(row));
    return;
  }
  c.revisions.set(callKey(row.app_id, row.call_id), row.revision);
  if (row.end_reason === 'merged') {
    compareMerged(c, row);
    return;
  }
  const key = sessionKey(row.app_id, row.room_id, row.started_at);
  const own = c.sessions.get(key);
  if (own === undefined) {
    c.differences.add('invented session', `${nameOf(row)} from ${new Date(row.started_at).toISOString()}`);
    return;
  }
  if (seen.has(key)) c.differences.add('double session', nameOf(row));
  seen.add(key);
  c.named.set(callKey(row.app_id, row.call_id), own);
  compareSession(c, own, row, from, to);
  compareHistory(c, row, own.arrivals, to);
}

/** What depends on arrivals can only be plausible. */
function compareHistory(c: Comparison, row: CallRow, arrivals: readonly number[], to: number): void {
  if (!arrivals.includes(row.first_seen_at))
    c.differences.add('call', `${nameOf(row)}: first_seen_at ${row.first_seen_at} is no arrival of its inputs`);
  if (row.updated_at < row.first_seen_at || row.updated_at > to + 60_000)
    c.differences.add('call', `${nameOf(row)}: updated_at ${row.updated_at} is implausible`);
  if (!(row.revision >= 1)) c.differences.add('call', `${nameOf(row)}: revision ${row.revision}`);
}
