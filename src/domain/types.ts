import type { Anomaly, CallType, EndReason, EventName, InputSource, MediaType, Outcome, Provider, Role, Status } from './vocabulary.js';

/** Identity of a call: one (provider, app_id, call_id). Ids are case-sensitive strings. */
export interface CallKey {
  provider: Provider;
  app_id: string;
  call_id: string;
}

/**
 * One callback event of a call. Identity within its call: (user_id, event, event_at), where an unknown time is an identity of its own.
 * Times are epoch milliseconds; null means unknown or absent. Strings are '' when absent.
 */
export interface EventInput {
  kind: 'event';
  user_id: string;
  event: EventName;
  event_at: number | null;
  role: Role;
  start_call_ts: number | null;
  accept_ts: number | null;
  end_ts: number | null;
  /** TotalNum, 0 when absent or not a number >= 0. */
  total_num: number;
  room_id: string;
  media_type: MediaType;
  call_type: CallType;
  call_result: string;
  /** Client platform as the vendor names it. */
  platform: string;
  /** Smallest arrival time of the equal deliveries, epoch ms. */
  received_at: number;
}

/** What a record says about its call, whoever sent it: a REST record or a status callback. */
export interface RecordFields {
  start_at: number | null;
  accept_at: number | null;
  end_at: number | null;
  /** Canonical result ('normal_end', 'not_answer', …: lower case with underscores) or another non-empty lower-cased word; '' when absent. */
  result: string;
  caller: string;
  /** Every user the record lists, the caller possibly among them. */
  users: string[];
  total_users: number;
  room_id: string;
  media_type: MediaType;
  call_type: CallType;
  /** EventTime of a status callback; null for a REST record. */
  event_at: number | null;
}

/** A record of a call. Identity within its call: (origin, text). */
export interface RecordInput {
  kind: 'record';
  /** A REST record wins over a status callback. */
  origin: 'record' | 'status';
  /** The exact source text of the record, compared byte by byte for ties. */
  text: string;
  fields: RecordFields;
  /** Smallest arrival time of the equal bodies, epoch ms. */
  received_at: number;
}

/** One media event of a DescribeUserEvent result. */
export interface MediaEvent {
  event_id: number;
  at: number;
  param_one: number;
}

/** One non-empty DescribeUserEvent result for one user of the call. Identity within its call: (user_id, text). */
export interface MediaInput {
  kind: 'media';
  user_id: string;
  text: string;
  events: MediaEvent[];
  received_at: number;
}

export type CallInput = EventInput | RecordInput | MediaInput;

/** The set of distinct inputs of one call, merged as semantics.md "Inputs" says, and whether a timeout has closed it. */
export interface CallState extends CallKey {
  events: EventInput[];
  records: RecordInput[];
  media: MediaInput[];
  /** Of users that go by pseudonyms: their ids, sealed, where they are needed to ask a vendor. Sorted. */
  sealed_users: string[];
  timed_out: boolean;
}

/** One user of a call. */
export interface Leg {
  user_id: string;
  role: 'caller' | 'callee';
  outcome: Outcome;
  rang_at: number | null;
  joined_at: number | null;
  left_at: number | null;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
  platform: string;
  media_joined_at: number | null;
  media_left_at: number | null;
  media_drops: number;
}

/** Everything semantics.md derives from the set of inputs: a pure function of {@link CallState}. Legs are sorted by user_id. */
export interface CallFacts {
  room_id: string;
  call_type: CallType;
  media_type: MediaType;
  caller: string;
  callees: string[];
  total_users: number;
  status: Status;
  outcome: Outcome;
  end_reason: EndReason;
  started_at: number;
  accepted_at: number | null;
  ended_at: number | null;
  ring_ms: number;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
  sources: InputSource[];
  anomalies: Anomaly[];
  legs: Leg[];
}
