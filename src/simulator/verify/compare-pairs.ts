import { getOrMake } from '../maps.js';
import { callKey } from '../truth/deliveries.js';
import { isRecordingOf, missedUnreturned, pairKey } from '../truth/pairs.js';
import type { Comparison } from './comparison.js';
import type { Differences } from './differences.js';
import type { MeasuredCall } from './measured.js';
import { callRecordingRows } from './rows-recordings.js';
import { missedRows } from './rows-rollups.js';

/** missed_unreturned, pair by pair. Returns the number of pairs compared. */
export async function compareMissedPairs(c: Comparison, calls: readonly MeasuredCall[], found: Differences): Promise<number> {
  const expected = missedUnreturned(calls);
  let compared = 0;
  for (const row of await missedRows(c.query, c.apps)) {
    const key = pairKey(row);
    const truth = expected.get(key);
    expected.delete(key);
    if (truth === undefined) {
      found.add('invented missed pair', `${key}: ${row.missed_count}`);
      continue;
    }
    compared++;
    found.fields('missed pair', key, truth, row);
  }
  for (const key of expected.keys()) found.add('missing missed pair', key);
  return compared;
}

/** call_recordings of the run's own recordings. Returns the number of pairs compared. */
export async function compareOverlaps(c: Comparison, calls: readonly MeasuredCall[], now: number, found: Differences): Promise<number> {
  if (!c.sources.includes('tiw')) return 0;
  const byRoom = new Map<string, MeasuredCall[]>();
  for (const call of calls) getOrMake(byRoom, callKey(call.app_id, call.room_id), () => []).push(call);
  const expected = new Map<string, object>();
  const keyOf = (p: { app_id: string; task_id: string; call_id: string }) => JSON.stringify([p.app_id, p.task_id, p.call_id]);
  for (const { app_id, task_id, truth } of c.recordings.values()) {
    for (const call of byRoom.get(callKey(app_id, truth.room_id)) ?? []) {
      if (!isRecordingOf(truth, call, now)) continue;
      const { room_id, status, started_at, stopped_at, total_ms, finish_reason, videos } = truth;
      expected.set(keyOf({ app_id, task_id, call_id: call.call_id }), {
        provider: 'tencent',
        room_id,
        status,
        started_at,
        stopped_at,
        total_ms,
        finish_reason,
        videos,
        call_started_at: call.started_at,
        call_ended_at: call.ended_at,
      });
    }
  }
  let compared = 0;
  for (const row of await callRecordingRows(c.query, c.apps)) {
    if (!c.recordings.has(callKey(row.app_id, row.task_id))) continue;
    const key = keyOf(row);
    const truth = expected.get(key);
    expected.delete(key);
    if (truth === undefined) {
      found.add('invented call recording', key);
      continue;
    }
    compared++;
    found.fields('call recording', key, truth, row);
  }
  for (const key of expected.keys()) found.add('missing call recording', key);
  return compared;
}
