import { greatest, least, smaller } from './least.js';
import { RECORDING_EVENTS } from './read-recording.js';
import type { RecordingReading } from './reading.js';

/** The truth about one whiteboard recording: semantics.md "Recordings", with the readings that docs/DESIGN.md lists as agreed, from all its deliveries. */

export interface RecordingInput {
  reading: RecordingReading;
  received_at: number;
}

export interface TruthRecording {
  task_id: string;
  room_id: string;
  group_id: string;
  record_user_id: string;
  status: 'recording' | 'paused' | 'stopped' | 'finished' | 'failed';
  started_at: number | null;
  stopped_at: number | null;
  total_ms: number;
  finish_reason: string;
  exceptions: number;
  error_code: string;
  error_message: string;
  pauses: number;
  videos: RecordingReading['videos'];
  omitted: RecordingReading['omitted'];
}

/** One distinct event: all its deliveries merged. */
interface Told extends RecordingReading {
  at: number;
}

export function truthOfRecording(inputs: readonly RecordingInput[]): TruthRecording {
  const events = distinct(inputs);
  const named = (...names: string[]) => events.filter((e) => names.includes(e.event));
  const first = (field: 'room_id' | 'group_id' | 'user_id') => events.find((e) => e[field] !== '')?.[field] ?? '';
  const finished = named('OnlineRecordFinished').at(-1);
  const stops = named('OnlineRecordStopped', 'OnlineRecordLongPauseForceStopped');
  const pauses = named('OnlineRecordLongPauseWarning');
  let status: TruthRecording['status'] = 'recording';
  if (finished !== undefined) status = finished.failed || finished.reason === 'exception' ? 'failed' : 'finished';
  else if (stops.length > 0) status = 'stopped';
  else if (pauses.includes(events.at(-1)!)) status = 'paused';
  return {
    task_id: events[0]!.task_id,
    room_id: first('room_id'),
    group_id: first('group_id'),
    record_user_id: first('user_id'),
    status,
    started_at: least(events.map((e) => e.record_start)) ?? named('OnlineRecordStarted')[0]?.at ?? null,
    stopped_at:
      greatest(events.map((e) => e.record_stop)) ?? greatest(events.map((e) => e.forced_stop)) ?? stops.at(-1)?.at ?? finished?.at ?? null,
    total_ms: finished?.total_ms ?? 0,
    finish_reason: finished?.reason ?? '',
    exceptions: finished?.exceptions ?? 0,
    error_code: finished?.error_code ?? '',
    error_message: finished?.error_message ?? '',
    pauses: pauses.length,
    videos: finished?.videos ?? [],
    omitted: finished?.omitted ?? [],
  };
}

/** Same event = equal (event, timestamp), differing bodies merge; in the order of time, where an unknown time is the smallest arrival. */
function distinct(inputs: readonly RecordingInput[]): Told[] {
  const byIdentity = new Map<string, Told>();
  for (const { reading, received_at } of inputs) {
    const identity = JSON.stringify([reading.event, reading.event_at]);
    const one = { ...reading, at: reading.event_at ?? received_at };
    const other = byIdentity.get(identity);
    byIdentity.set(identity, other === undefined ? one : merged(other, one));
  }
  const rank = (e: Told) => RECORDING_EVENTS.indexOf(e.event);
  return [...byIdentity.values()].sort(
    (a, b) => a.at - b.at || rank(a) - rank(b) || Number(a.event_at === null) - Number(b.event_at === null),
  );
}

function merged(a: Told, b: Told): Told {
  return {
    ...a,
    at: Math.min(a.at, b.at),
    room_id: smaller(a.room_id, b.room_id),
    group_id: smaller(a.group_id, b.group_id),
    user_id: smaller(a.user_id, b.user_id),
    record_start: least([a.record_start, b.record_start]),
    record_stop: greatest([a.record_stop, b.record_stop]),
    forced_stop: greatest([a.forced_stop, b.forced_stop]),
    total_ms: Math.max(a.total_ms, b.total_ms),
    reason: smaller(a.reason, b.reason),
    exceptions: Math.max(a.exceptions, b.exceptions),
    failed: a.failed || b.failed,
    error_code: smaller(a.error_code, b.error_code),
    error_message: smaller(a.error_message, b.error_message),
    videos: smallerList(a.videos, b.videos),
    omitted: smallerList(a.omitted, b.omitted),
  };
}

/** The one whose JSON is smaller, with the fields in the order of the relation's column; an empty list is none. */
function smallerList<T>(a: T[], b: T[]): T[] {
  const [first] = [a, b].filter((list) => list.length > 0).sort((x, y) => (JSON.stringify(x) < JSON.stringify(y) ? -1 : 1));
  return first ?? [];
}
