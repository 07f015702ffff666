// Generated from schemas/avro by `npm run generate`. Do not edit.

/** Until when no webhook tells of the alerts of a rule. The newest of a key counts. */
export interface AlertSilence {
  /** Name of the rule. */
  rule: string;
  /** The vendor's application id; empty: every app. */
  app_id: string;
  /** The end of the silence; it may have passed. Epoch milliseconds. */
  until: number;
  /** Why, or empty. */
  comment: string;
  /** When this was written. Epoch milliseconds. */
  updated_at: number;
}

/** An alert that fires, or resolves: one record for each of the two. */
export interface Alert {
  /** The same in the record that fires and in the one that resolves. */
  alert_id: string;
  /** Name of the rule. */
  rule: string;
  /** tencent or aliyun. */
  provider: string;
  /** The vendor's application id. */
  app_id: string;
  /** firing or resolved. */
  state: string;
  /** What is measured. */
  metric: string;
  /** The metric when this was written: a share, a count, or milliseconds; where nothing was known of it any more, as it was last known. */
  value: number;
  /** How many things the value is about. */
  n: number;
  /** The rule's threshold, in the unit of the value. */
  threshold: number;
  /** The window that the metric looks at, in milliseconds. */
  window_ms: number;
  /** When it fired. Epoch milliseconds. */
  fired_at: number;
  /** When it resolved. Epoch milliseconds, or null. */
  resolved_at: number | null;
  /** The rule was silenced for the app: no webhook tells of this record. */
  silenced: boolean;
}

/** One delivery of one canonical event of a call. Equal event_id: the same event, delivered again. */
export interface CallEvent {
  /** tencent or aliyun. */
  provider: string;
  /** The vendor's application id. */
  app_id: string;
  /** Call id. */
  call_id: string;
  /** Room id, or empty. */
  room_id: string;
  /** User, or empty. */
  user_id: string;
  /** caller, callee or empty. */
  role: string;
  /** Canonical event name; record for a record or status callback, media for a media poll. */
  event: string;
  /** When it happened, as the vendor says. Epoch milliseconds, or null. */
  event_at: number | null;
  /** When it arrived. Epoch milliseconds. */
  received_at: number;
  /** Name of the source. */
  source: string;
  /** Client platform, or empty. */
  platform: string;
  /** CallResult: the canonical spelling of a known one, any other lower-cased; or empty. */
  call_result: string;
  /** Deterministic id of the event: equal for every delivery of it. */
  event_id: string;
  /** Topic of the raw delivery. */
  raw_topic: string;
  /** Partition of the raw delivery. */
  raw_partition: number;
  /** Offset of the raw delivery. */
  raw_offset: number;
  /** Position of the element within the delivery. */
  raw_index: number;
  /** JSON object of every other field of the body: with the columns, enough to re-fold the call. */
  detail: string;
  /** Of a source that is pushed too: this delivery was asked for, so its arrival says nothing of the vendor's delay. */
  polled: boolean;
  /** The vendor's own log says that its push of this event failed. */
  undelivered: boolean;
}

/** One user of the call. */
export interface CallLeg {
  /** User. */
  user_id: string;
  /** caller or callee. */
  role: string;
  /** Outcome of this leg. */
  outcome: string;
  /** When it rang. Epoch milliseconds, or null. */
  rang_at: number | null;
  /** When the user joined. Epoch milliseconds, or null. */
  joined_at: number | null;
  /** When the user left. Epoch milliseconds, or null. */
  left_at: number | null;
  /** left_at - joined_at. */
  talk_ms: number;
  /** A callee who did not answer. */
  missed: boolean;
  /** Also busy or cancelled. */
  missed_inclusive: boolean;
  /** Client platform, or empty. */
  platform: string;
  /** First entry of the media room. Epoch milliseconds, or null. */
  media_joined_at: number | null;
  /** Last exit of the media room. Epoch milliseconds, or null. */
  media_left_at: number | null;
  /** Connection losses of the media path. */
  media_drops: number;
}

/** A distinct callback event. Strings are positions in `strings`; 0 is the empty string. */
export interface EventEntry {
  /** user_id. */
  user: number;
  /** Position in the list of canonical events. */
  event: number;
  /** 0 unknown, 1 caller, 2 callee. */
  role: number;
  /** EventTime. Epoch milliseconds, or null. */
  event_at: number | null;
  /** Smallest arrival. Epoch milliseconds. */
  received_at: number;
  /** StartCallTs. Epoch milliseconds, or null. */
  start_call_ts: number | null;
  /** AcceptTs. Epoch milliseconds, or null. */
  accept_ts: number | null;
  /** EndTs. Epoch milliseconds, or null. */
  end_ts: number | null;
  /** TotalNum. */
  total_num: number;
  /** room_id. */
  room: number;
  /** media_type. */
  media_type: number;
  /** call_type. */
  call_type: number;
  /** call_result. */
  call_result: number;
  /** platform. */
  platform: number;
}

/** A distinct record: a REST record or a status callback. */
export interface RecordEntry {
  /** record or status. */
  origin: string;
  /** The exact source text. */
  text: string;
  /** Smallest arrival. Epoch milliseconds. */
  received_at: number;
}

/** A distinct media poll of one user. */
export interface MediaEntry {
  /** User. */
  user_id: string;
  /** The exact source text. */
  text: string;
  /** Smallest arrival. Epoch milliseconds. */
  received_at: number;
}

/** A distinct Join or Leave of a channel session. Strings are positions in `strings`. */
export interface ChannelEntry {
  /** user_id. */
  user: number;
  /** The vendor's SessionId. */
  session: number;
  /** 0 Join, 1 Leave. */
  event: number;
  /** Timestamp. Epoch milliseconds, or null. */
  event_at: number | null;
  /** Smallest arrival. Epoch milliseconds. */
  received_at: number;
}

/** One revision of one call: its measures, and the distinct inputs they were derived from. */
export interface Call {
  /** tencent or aliyun. */
  provider: string;
  /** The vendor's application id. */
  app_id: string;
  /** Call id. */
  call_id: string;
  /** 1 for the first publication of a call, one more for each further one. */
  revision: number;
  /** True when the call is over and nothing changed for the settle time. */
  final: boolean;
  /** Room id, or empty. */
  room_id: string;
  /** single, group, channel or empty. */
  call_type: string;
  /** audio, video or empty. */
  media_type: string;
  /** User id of the caller, or empty. */
  caller: string;
  /** The other users, sorted. */
  callees: string[];
  /** Number of users. */
  total_users: number;
  /** ringing, active or ended. */
  status: string;
  /** answered, no_answer, rejected, busy, cancelled, failed or unknown. */
  outcome: string;
  /** Why it ended; empty while it is not over. */
  end_reason: string;
  /** When the call started. Epoch milliseconds. */
  started_at: number;
  /** When it was answered. Epoch milliseconds, or null. */
  accepted_at: number | null;
  /** When it ended. Epoch milliseconds, or null. */
  ended_at: number | null;
  /** Ring time in milliseconds. */
  ring_ms: number;
  /** Talk time in milliseconds. */
  talk_ms: number;
  /** Over and not answered by anyone in time. */
  missed: boolean;
  /** Also cancelled or busy. */
  missed_inclusive: boolean;
  /** Kinds of inputs used: event, status, record, media, channel. */
  sources: string[];
  /** What is odd about the inputs. */
  anomalies: string[];
  /** Smallest arrival of the inputs known at the first revision; never changes. Epoch milliseconds. */
  first_seen_at: number;
  /** When this revision was made. Epoch milliseconds. */
  updated_at: number;
  /** One per user, sorted by user_id. */
  legs: CallLeg[];
  /** Stream time of the last change of the inputs. Epoch milliseconds. */
  last_change_at: number;
  /** Latest of min(event time, arrival, append time) of the inputs: what the horizon becomes when the call leaves the state. Epoch milliseconds. */
  latest_at: number;
  /** A timeout has closed the call. */
  timed_out: boolean;
  /** Stream time at which a timeout closes the call unless a further event comes; null when it is over. Epoch milliseconds, or null. */
  deadline_at: number | null;
  /** A task to fetch the record of the call has been emitted. */
  record_task: boolean;
  /** A task to fetch the media events of the call has been emitted. */
  media_task: boolean;
  /** Outcome of the latest final revision before this one; empty: none was final. */
  final_outcome: string;
  /** Every minute (epoch ms, start of the minute) of started_at the call was ever published under, for rollups. */
  published_minutes: number[];
  /** Earliest accepted_at ever published for the call when over, for concurrency. Epoch milliseconds, or null. */
  span_from: number | null;
  /** Latest ended_at ever published for the call when over, for concurrency. Epoch milliseconds, or null. */
  span_to: number | null;
  /** String table of the events; position 0 is the empty string. */
  strings: string[];
  /** Distinct callback events. */
  events: EventEntry[];
  /** Distinct records and status callbacks. */
  records: RecordEntry[];
  /** Distinct media polls. */
  media: MediaEntry[];
  /** Of a channel session, the distinct events that make it, and Leaves whose Join has not come; empty when it was folded into another. */
  channel_events: ChannelEntry[];
  /** Where users go by pseudonyms and a vendor is asked about them: `<pseudonym>:<id, encrypted>` of each, sorted. Nobody without privacy.key can read them. */
  sealed_users: string[];
}

/** An input that could not be processed, with what is needed to send it through again. */
export interface DeadLetter {
  /** Where it failed: decode, parse, fold, row, or webhook:<name>. */
  stage: string;
  /** Stable code of the reason. */
  reason: string;
  /** Explanation for people. */
  error: string;
  /** Name of the source, or empty. */
  source: string;
  /** Application id, or empty. */
  app_id: string;
  /** When it arrived. Epoch milliseconds. */
  received_at: number;
  /** Topic of the input. */
  origin_topic: string;
  /** Partition of the input. */
  origin_partition: number;
  /** Offset of the input. */
  origin_offset: number;
  /** Position of the element within the delivery; -1: the whole delivery. */
  origin_index: number;
  /** Key of the input. */
  key: string;
  /** The original bytes: the body, or the whole record value at stage decode. */
  body: Buffer;
}

/** How far a vendor API has been swept. The newest of a key counts. */
export interface PollCursor {
  /** Name of the source. */
  source: string;
  /** The vendor's application id. */
  app_id: string;
  /** Which sweep of the source: trailing, deep, or backfill:<from>-<to> in epoch milliseconds. */
  sweep: string;
  /** What is swept: a subscription id, or empty for the whole app. */
  scope: string;
  /** Everything that the vendor had up to here is on the raw topic. Epoch milliseconds. */
  swept_to: number;
  /** When this was written. Epoch milliseconds. */
  updated_at: number;
}

/** What to fetch from a vendor about one call. */
export interface PollTask {
  /** record or media. */
  kind: string;
  /** tencent or aliyun. */
  provider: string;
  /** The vendor's application id. */
  app_id: string;
  /** Call id. */
  call_id: string;
  /** Room id, or empty. */
  room_id: string;
  /** User to fetch, or empty: all of `users`. */
  user_id: string;
  /** Start of the call. Epoch milliseconds, or null. */
  started_at: number | null;
  /** End of the call. Epoch milliseconds, or null. */
  ended_at: number | null;
  /** Not before. Epoch milliseconds. */
  due_at: number;
  /** 0 for the first attempt. */
  attempt: number;
  /** Why: timed_out, conflict, ended, sample. */
  reason: string;
  /** Users of the call whose media are to be fetched; empty for a record. */
  users: string[];
}

/** One delivery of a vendor, untouched: a callback, or one element of a polled page. */
export interface RawEvent {
  /** Unique id of the delivery; an equal id is a repeat of the same delivery. */
  id: string;
  /** Name of the source, for example tuicallkit. */
  source: string;
  /** The vendor's application id. */
  app_id: string;
  /** When it arrived. Epoch milliseconds. */
  received_at: number;
  /** How it was authenticated: secret, signature, address, app, or polled. */
  auth: string;
  /** Address of the sender; empty when polled. */
  remote_addr: string;
  /** The query string as received, without the question mark and without secrets. */
  query: string;
  /** The untouched bytes. */
  body: Buffer;
}

/** One file of a recording. */
export interface RecordingVideo {
  /** User whose stream it is; empty for the whiteboard. */
  user_id: string;
  /** The vendor's id of the file. */
  video_id: string;
  /** camera, screen, whiteboard, mixed, audio, or the digits of another code. */
  type: string;
  /** File format, for example mp4. */
  format: string;
  /** Where the file is. */
  url: string;
  /** When in the replay it begins, in milliseconds. */
  play_time_ms: number;
  /** Length in milliseconds. */
  duration_ms: number;
  /** Size in bytes. */
  size_bytes: number;
  /** Width in pixels, or 0. */
  width: number;
  /** Height in pixels, or 0. */
  height: number;
}

/** A stretch that a concatenated video leaves out. */
export interface RecordingOmission {
  /** Where in the video, in milliseconds. */
  video_time_ms: number;
  /** When recording paused, in milliseconds, as the vendor says. */
  pause_time_ms: number;
  /** When recording went on, in milliseconds, as the vendor says. */
  resume_time_ms: number;
}

/** A distinct event of a recording. */
export interface RecordingEntry {
  /** EventType. */
  event: string;
  /** Timestamp. Epoch milliseconds, or null. */
  event_at: number | null;
  /** Smallest arrival. Epoch milliseconds. */
  received_at: number;
  /** RoomId. */
  room_id: string;
  /** GroupId. */
  group_id: string;
  /** RecordUserId. */
  record_user_id: string;
  /** RecordStartTime. Epoch milliseconds, or null. */
  record_start_at: number | null;
  /** RecordStopTime. Epoch milliseconds, or null. */
  record_stop_at: number | null;
  /** PauseTime. Epoch milliseconds, or null. */
  pause_at: number | null;
  /** EstimateStopTime. Epoch milliseconds, or null. */
  estimate_stop_at: number | null;
  /** StopTime. Epoch milliseconds, or null. */
  stop_at: number | null;
  /** TotalTime, in milliseconds. */
  total_ms: number;
  /** FinishReason, lower-cased. */
  finish_reason: string;
  /** ExceptionCnt. */
  exceptions: number;
  /** An Error is present. */
  has_error: boolean;
  /** Error.Code. */
  error_code: string;
  /** Error.Message. */
  error_message: string;
  /** VideoInfos. */
  videos: RecordingVideo[];
  /** OmittedDurations. */
  omitted: RecordingOmission[];
}

/** One revision of one whiteboard recording: what is known of it, and the distinct inputs that was derived from. */
export interface Recording {
  /** tencent. */
  provider: string;
  /** The vendor's application id. */
  app_id: string;
  /** Id of the recording task. */
  task_id: string;
  /** 1 for the first publication of a recording, one more for each further one. */
  revision: number;
  /** Room id, or empty. */
  room_id: string;
  /** Group id of the whiteboard, or empty. */
  group_id: string;
  /** User as whom the recording service enters the room, or empty. */
  record_user_id: string;
  /** recording, paused, stopped, finished or failed. */
  status: string;
  /** When the recording began. Epoch milliseconds, or null. */
  started_at: number | null;
  /** When it ended. Epoch milliseconds, or null. */
  stopped_at: number | null;
  /** Length of the replay in milliseconds; 0 until the recording is finished. */
  total_ms: number;
  /** auto, user_call, exception, force_stop or another word of the vendor, lower-cased; empty until the recording is finished. */
  finish_reason: string;
  /** Anomalies that the vendor counted. */
  exceptions: number;
  /** Code of the vendor's error, or empty. */
  error_code: string;
  /** Message of the vendor's error, or empty. */
  error_message: string;
  /** Warnings of a long pause. */
  pauses: number;
  /** The files of the recording. */
  videos: RecordingVideo[];
  /** Stretches that concatenated videos leave out. */
  omitted: RecordingOmission[];
  /** Smallest arrival of the inputs known at the first revision; never changes. Epoch milliseconds. */
  first_seen_at: number;
  /** When this revision was made. Epoch milliseconds. */
  updated_at: number;
  /** Stream time of the last change of the inputs. Epoch milliseconds. */
  last_change_at: number;
  /** Distinct events, by (event_at, event). */
  inputs: RecordingEntry[];
}
