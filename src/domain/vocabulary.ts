/** The field's standard terms, as contract.md fixes them. */

export type Provider = 'tencent' | 'aliyun';

/**
 * Canonical callback events of a call. The position is the code under which an event is stored inside a Call record:
 * append only, never reorder.
 */
export const EVENTS = [
  'start_call',
  'call_accepted',
  'call_missed',
  'call_rejected',
  'call_busy',
  'cancel_call',
  'call_failed',
  'call_end',
  'call_interrupted',
  'receive_call',
  'accept_call',
  'not_answer_call',
  'reject_call',
  'ignore_call',
  'call_canceled',
  'invite_user',
  'join_in_group_call',
] as const;
export type EventName = (typeof EVENTS)[number];

export type Role = 'caller' | 'callee' | '';
export type CallType = 'single' | 'group' | 'channel' | '';
export type MediaType = 'audio' | 'video' | '';
export type Status = 'ringing' | 'active' | 'ended';
export type Outcome = 'answered' | 'no_answer' | 'rejected' | 'busy' | 'cancelled' | 'failed' | 'unknown';
export type EndReason = Exclude<Outcome, 'answered'> | '' | 'normal' | 'interrupted' | 'timed_out' | 'merged';
export type InputSource = 'event' | 'status' | 'record' | 'media' | 'channel';
export type Anomaly =
  | 'end_before_accept'
  | 'accept_before_start'
  | 'missing_start'
  | 'missing_accept'
  | 'missing_end'
  | 'time_conflict'
  | 'record_conflict';
