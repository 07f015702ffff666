import { getOrMake } from '../maps.js';
import type { TruthRecording } from './recording.js';

/** What the relations that pair calls with calls, or with recordings, ask of a call. */
export interface Paired {
  app_id: string;
  call_id: string;
  room_id: string;
  caller: string;
  status: string;
  end_reason: string;
  started_at: number;
  ended_at: number | null;
  ring_ms: number;
  legs: readonly { user_id: string; role: string; outcome: string }[];
}

/** One row of missed_unreturned. */
export interface MissedPair {
  app_id: string;
  caller: string;
  callee: string;
  missed_count: number;
  first_missed_at: number;
  last_missed_at: number;
}

export const pairKey = (p: Pick<MissedPair, 'app_id' | 'caller' | 'callee'>): string => JSON.stringify([p.app_id, p.caller, p.callee]);

/** A cancelled call is missed once it has rung so long. */
const RANG_MS = 5_000;

/**
 * semantics.md "Relations", missed_unreturned: misses of calls that are over and have a known caller, with no later call between the two, either way, in which
 * one is the caller and the other an answered leg.
 */
export function missedUnreturned(calls: Iterable<Paired>): Map<string, MissedPair> {
  const misses: { app_id: string; caller: string; callee: string; at: number }[] = [];
  const spoke = new Map<string, number>();
  const between = (app_id: string, a: string, b: string) => JSON.stringify([app_id, ...[a, b].sort()]);
  for (const call of calls) {
    if (call.caller === '' || call.end_reason === 'merged') continue;
    for (const { user_id: callee, role, outcome } of call.legs) {
      if (role !== 'callee') continue;
      const { app_id, caller, started_at: at } = call;
      const missed = outcome === 'no_answer' || outcome === 'busy' || (outcome === 'cancelled' && call.ring_ms >= RANG_MS);
      if (missed && call.status === 'ended') misses.push({ app_id, caller, callee, at });
      const key = between(app_id, caller, callee);
      if (outcome === 'answered') spoke.set(key, Math.max(at, spoke.get(key) ?? at));
    }
  }
  const pairs = new Map<string, MissedPair>();
  for (const { app_id, caller, callee, at } of misses) {
    if ((spoke.get(between(app_id, caller, callee)) ?? at) > at) continue;
    const pair = getOrMake(pairs, pairKey({ app_id, caller, callee }), () => ({
      app_id,
      caller,
      callee,
      missed_count: 0,
      first_missed_at: at,
      last_missed_at: at,
    }));
    pair.missed_count++;
    pair.first_missed_at = Math.min(pair.first_missed_at, at);
    pair.last_missed_at = Math.max(pair.last_missed_at, at);
  }
  return pairs;
}

/**
 * semantics.md "Relations", call_recordings: whether a call and a recording of its app belong together: equal non-empty room, half-open intervals that
 * overlap, an unknown end being now. What has no known start overlaps nothing.
 */
export function isRecordingOf(recording: TruthRecording, call: Paired, now: number): boolean {
  if (recording.room_id === '' || recording.room_id !== call.room_id || recording.started_at === null) return false;
  const from = Math.max(recording.started_at, call.started_at);
  return from < Math.min(recording.stopped_at ?? now, call.ended_at ?? now);
}
