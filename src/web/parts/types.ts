/** What the query API answers (src/api): times are epoch milliseconds. */

export type Outcome = 'answered' | 'no_answer' | 'cancelled' | 'rejected' | 'busy' | 'failed' | 'unknown';

export interface Measure {
  value: number | null;
  n: number;
  label: string;
  unit: 'count' | 'ratio' | 'ms';
  of: string;
  definition: string;
}

export interface Summary {
  as_of: number;
  from: number;
  to: number;
  measures: Record<string, Measure>;
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
}

export interface App {
  provider: string;
  app_id: string;
}
