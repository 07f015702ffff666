import type { EventName } from '../../domain/vocabulary.js';

/**
 * What one element of a raw delivery says, as semantics.md "Inputs" and the vendors' pages have it. Strings are '' and times null when absent or unknown;
 * times are epoch ms.
 */
export type Reading = CallReading | RecordingReading | ChannelReading | DeadReading;
export type CallReading = EventReading | StatusReading | RecordReading | MediaReading;
export type CallbackReading = EventReading | StatusReading | DeadReading;

export interface DeadReading {
  kind: 'dead';
  why: 'not_json' | 'no_call_id' | 'no_task_id' | 'no_channel' | 'unknown_event' | 'nothing' | 'too_much';
}

export interface Common {
  call_id: string;
  user_id: string;
  role: 'caller' | 'callee' | '';
  room_id: string;
  media_type: string;
  call_type: string;
  call_result: string;
  event_at: number | null;
  start_at: number | null;
  accept_at: number | null;
  end_at: number | null;
  total: number;
  platform: string;
}

export interface EventReading extends Common {
  kind: 'event';
  event: EventName;
}

export interface StatusReading extends Common {
  kind: 'status';
  /** Users that the record lists beside its user_id: v4 lists all of them. */
  users?: string[];
}

/** A REST record. */
export interface RecordReading extends Omit<Common, 'role' | 'user_id' | 'platform'> {
  kind: 'record';
  caller: string;
  /** Everybody it lists, the caller too or not. */
  users: string[];
}

/** A poll of one user's media events. */
export interface MediaReading {
  kind: 'media';
  call_id: string;
  user_id: string;
  room_id: string;
  /** By the vendor's event ids; `one`: ParamOne. */
  events: { event: number; at: number; one: number }[];
}

export interface Video {
  user_id: string;
  video_id: string;
  type: string;
  format: string;
  url: string;
  play_time_ms: number;
  duration_ms: number;
  size_bytes: number;
  width: number;
  height: number;
}

export interface Omission {
  video_time_ms: number;
  pause_time_ms: number;
  resume_time_ms: number;
}

/** One event of a whiteboard recording. */
export interface RecordingReading {
  kind: 'recording';
  task_id: string;
  /** As the vendor spells it: `OnlineRecordStarted`. */
  event: string;
  event_at: number | null;
  room_id: string;
  group_id: string;
  user_id: string;
  record_start: number | null;
  record_stop: number | null;
  /** Of a forced stop. */
  forced_stop: number | null;
  total_ms: number;
  reason: string;
  exceptions: number;
  failed: boolean;
  error_code: string;
  error_message: string;
  videos: Video[];
  omitted: Omission[];
}

/** One event of a channel. */
export interface ChannelReading {
  kind: 'channel';
  channel_id: string;
  /** '' for an event of the channel itself. */
  user_id: string;
  session_id: string;
  /** Lower-cased. */
  event: string;
  event_at: number | null;
  /** MsgId of the push that told of it. */
  message_id: string;
}

export const dead = (why: DeadReading['why']): DeadReading => ({ kind: 'dead', why });
