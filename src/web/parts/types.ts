/** What the query API answers (src/api): times are epoch milliseconds. */

export type Outcome = 'answered' | 'no_answer' | 'cancelled' | 'rejected' | 'busy' | 'failed' | 'unknown';

export interface Definition {
  label: string;
  unit: 'count' | 'ratio' | 'ms';
  /** What `n` counts. */
  of: string;
  definition: string;
}

export interface Measure extends Definition {
  value: number | null;
  n: number;
}

export interface Summary {
  as_of: number;
  from: number;
  to: number;
  measures: Record<string, Measure>;
  /** Of the period before, where it was asked for. */
  previous?: { from: number; to: number; measures: Record<string, Measure> } | null;
}

export interface Series {
  as_of: number;
  from: number;
  to: number;
  step_ms: number;
  at: number[];
  calls: number[];
  outcomes: Record<Outcome, number[]>;
}

export interface Call {
  provider: string;
  app_id: string;
  call_id: string;
  room_id: string;
  call_type: string;
  media_type: string;
  caller: string;
  callees: string[];
  total_users: number;
  status: 'ringing' | 'active' | 'ended';
  outcome: Outcome;
  end_reason: string;
  started_at: number;
  accepted_at: number | null;
  ended_at: number | null;
  ring_ms: number;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
  final: boolean;
  sources: string[];
  anomalies: string[];
  first_seen_at: number;
  updated_at: number;
  revision: number;
}

export interface Leg {
  user_id: string;
  role: 'caller' | 'callee';
  outcome: Outcome;
  rang_at: number | null;
  joined_at: number | null;
  left_at: number | null;
  talk_ms: number;
  missed: boolean;
  platform: string;
  media_joined_at: number | null;
  media_left_at: number | null;
  media_drops: number;
}

export interface CallEvent {
  event: string;
  user_id: string;
  role: string;
  event_at: number;
  received_at: number;
  source: string;
  platform: string;
  event_id: string;
  detail: string;
}

export interface CallsPage {
  as_of: number;
  calls: Call[];
  next_cursor: string | null;
}

export interface CallDetail {
  as_of: number;
  call: Call;
  legs: Leg[];
  events: CallEvent[];
  /** Oldest first; the last is `call`. */
  revisions: Call[];
  recordings: RecordingOfCall[];
  anomalies: { name: string; explanation: string }[];
  dead_letters: DeadLetter[];
}

export type RecordingStatus = 'recording' | 'paused' | 'stopped' | 'finished' | 'failed';

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

/** A recording that overlaps a call. */
export interface RecordingOfCall {
  task_id: string;
  room_id: string;
  status: RecordingStatus;
  started_at: number | null;
  stopped_at: number | null;
  total_ms: number;
  finish_reason: string;
  videos: Video[];
}

export interface Recording extends RecordingOfCall {
  provider: string;
  app_id: string;
  group_id: string;
  record_user_id: string;
  exceptions: number;
  error_code: string;
  error_message: string;
  pauses: number;
  omitted: { video_time_ms: number; pause_time_ms: number; resume_time_ms: number }[];
  revision: number;
}

export type CallOfRecording = Pick<
  Call,
  'provider' | 'app_id' | 'call_id' | 'caller' | 'callees' | 'status' | 'outcome' | 'started_at' | 'ended_at'
>;

/** A recording and the first of the calls that it overlaps. */
export interface RecordingRow {
  recording: Recording;
  calls_total: number;
  calls: CallOfRecording[];
}

export interface DeadLetter {
  stage: string;
  reason: string;
  error: string;
  source: string;
  app_id: string;
  received_at: number;
  origin: string;
  key: string;
  /** The beginning of it, as far as it is text. */
  body: string;
  body_bytes: number;
}

export interface UserTotals {
  as_of: number;
  measures: Record<string, Measure>;
  first_call_at: number | null;
  last_call_at: number | null;
}

/** Who was in calls with a user; `total`: of all there are. */
export interface ContactsAnswer {
  contacts: { user_id: string; calls: number; spoken: number; talk_ms: number; last_call_at: number }[];
  total: number;
}

/** A call of a user, with the user's own leg. */
export interface UserCall {
  call: Call;
  leg: Leg;
}

export interface MissedPair {
  app_id: string;
  caller: string;
  callee: string;
  missed_count: number;
  first_missed_at: number;
  last_missed_at: number;
}

export interface App {
  provider: string;
  app_id: string;
}
