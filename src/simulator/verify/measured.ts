import { getOrMake } from '../maps.js';
import { callKey } from '../truth/deliveries.js';
import type { Paired } from '../truth/pairs.js';
import type { Measured } from '../truth/rollups.js';
import { type Comparison, sessionKey } from './comparison.js';
import { standingsOf } from './fate.js';
import { callRows, legRows } from './rows.js';

/** A call or a session of a channel, with all that any relation counts of it. */
export interface MeasuredCall extends Measured, Paired {
  /** No callback of it has arrived, only records that were polled. */
  recordsOnly: boolean;
}

/**
 * The truth about the run's own calls and sessions, and the rows of all others of the apps as they are. Whether a timeout that strikes just now has struck
 * already is taken from the call's row: the rollups must agree with it, if need be a moment later.
 */
export async function measuredCalls(c: Comparison, from: number): Promise<MeasuredCall[]> {
  const others = new Map<string, MeasuredCall>();
  const statuses = new Map<string, string>();
  for await (const page of callRows(c.query, c.apps)) {
    for (const row of page) {
      const key = callKey(row.app_id, row.call_id);
      const session = sessionKey(row.app_id, row.room_id, row.started_at);
      if (c.calls.has(key)) statuses.set(key, row.status);
      else if (row.end_reason === 'merged') continue;
      else if (row.call_type === 'channel' && c.sessions.has(session)) statuses.set(session, row.status);
      else others.set(key, { ...row, legs: [], recordsOnly: isRecordsOnly(c.deliveries.allCalls.get(key) ?? new Set(row.sources)) });
    }
  }
  if (others.size > 0) await addLegs(c, others);
  const to = c.clock.now();
  const own: MeasuredCall[] = [];
  for (const [key, call] of c.calls) {
    const standings = standingsOf(call.fate, c.settle, from, to);
    const { truth } = standings.find((s) => s.truth.status === statuses.get(key)) ?? standings[0]!;
    own.push({ app_id: call.app_id, ...truth, recordsOnly: isRecordsOnly(c.deliveries.allCalls.get(key)) });
  }
  for (const [key, session] of c.sessions) {
    const standings = standingsOf(session.fate, c.settle, from, to);
    const { truth } = standings.find((s) => s.truth.status === statuses.get(key)) ?? standings[0]!;
    own.push({ app_id: session.app_id, call_id: key, ...truth, recordsOnly: false });
  }
  return [...own, ...others.values()];
}

/** By the kinds of its inputs; of a call that the raw topics no longer know, by the sources in its row. */
const isRecordsOnly = (kinds: ReadonlySet<string> = new Set()): boolean =>
  kinds.has('record') && !['event', 'status', 'channel'].some((kind) => kinds.has(kind));

async function addLegs(c: Comparison, calls: ReadonlyMap<string, MeasuredCall>): Promise<void> {
  const legs = new Map<string, MeasuredCall['legs'][number][]>();
  for await (const page of legRows(c.query, c.apps))
    for (const row of page) {
      const key = callKey(row.app_id, row.call_id);
      if (calls.has(key)) getOrMake(legs, key, () => []).push(row);
    }
  for (const [key, call] of calls) call.legs = legs.get(key) ?? [];
}
