import { hash } from 'node:crypto';
import type { Call, PollTask } from '../../codec/generated.js';
import { joinKey } from '../../domain/key.js';
import type { Provider } from '../../domain/vocabulary.js';
import { AS_THEY_COME, type Users } from '../users.js';

/** What may be asked of the vendors' APIs about calls. */
export interface TaskSettings {
  /** Whether the app has a records API. */
  hasRecordsApi(appId: string): boolean;
  /** Whether the app has the API of media events. */
  hasMediaApi(appId: string): boolean;
  /** Calls whose media events are fetched; abnormal: failed, interrupted, timed out. */
  userEvents: 'off' | 'abnormal' | 'all';
  /** Share of the calls whose record is fetched though nothing looks wrong, from 0 to 1. */
  recordSample: number;
}

/** Time for the vendor to have the record of a call that ended without a word. */
const RECORD_DELAY_MS = 10_000;
/** Time for the vendor to have the media events of clients that have only just left; where it has none yet, the poller asks again. */
const MEDIA_DELAY_MS = 60_000;

/**
 * The tasks that a revision is the first to ask for, which it says of itself from then on: at most one for the record and one for the media events in the
 * life of a call. Vendors know users by their own ids, so tasks do. A record is fetched as soon as a timeout closes the call; all else, whenever it becomes final.
 */
export function takeTasks(call: Call, becameFinal: boolean, now: number, settings: TaskSettings, who: Users = AS_THEY_COME): PollTask[] {
  const tasks: PollTask[] = [];
  const reason = recordReason(call, becameFinal, settings);
  if (reason !== null) {
    call.record_task = true;
    tasks.push(taskOf(call, 'record', reason, now + RECORD_DELAY_MS, []));
  }
  if (becameFinal && wantsMedia(call, settings)) {
    const legs = call.legs.map((leg) => leg.user_id);
    const users = who.realIds(call.app_id, legs, call.sealed_users);
    if (users.length > 0) {
      call.media_task = true;
      tasks.push(taskOf(call, 'media', 'ended', now + MEDIA_DELAY_MS, users));
    }
  }
  return tasks;
}

/**
 * Why the record of the call should be fetched, or null. Its callbacks disagree when anything is odd about it: they contradict one another (record_conflict,
 * time_conflict, end_before_accept, accept_before_start), or what they tell of cannot have been all (missing_start, missing_accept, missing_end). A REST
 * record that is there already has said what there was to say.
 */
function recordReason(call: Call, becameFinal: boolean, settings: TaskSettings): 'timed_out' | 'conflict' | 'sample' | null {
  if (call.record_task || !settings.hasRecordsApi(call.app_id)) return null;
  if (call.end_reason === 'timed_out') return 'timed_out';
  if (!becameFinal || call.sources.includes('record')) return null;
  if (call.anomalies.length > 0) return 'conflict';
  return sampled(call, settings.recordSample) ? 'sample' : null;
}

function wantsMedia(call: Call, { userEvents, hasMediaApi }: TaskSettings): boolean {
  if (call.media_task || userEvents === 'off' || call.room_id === '' || call.legs.length === 0 || !hasMediaApi(call.app_id)) return false;
  return userEvents === 'all' || call.outcome === 'failed' || call.end_reason === 'interrupted' || call.end_reason === 'timed_out';
}

/** Chosen by the call alone, so that it is the same after every restart. */
function sampled({ provider, app_id, call_id }: Call, share: number): boolean {
  const digits = hash('sha256', joinKey({ provider: provider as Provider, app_id, call_id })).slice(0, 12);
  return Number.parseInt(digits, 16) < share * 16 ** digits.length;
}

function taskOf(call: Call, kind: 'record' | 'media', reason: string, due_at: number, users: string[]): PollTask {
  const { provider, app_id, call_id, room_id, started_at, ended_at } = call;
  return { kind, provider, app_id, call_id, room_id, user_id: '', started_at, ended_at, due_at, attempt: 0, reason, users };
}
