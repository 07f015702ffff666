import type { MissedPair } from './types.js';

/** What the query API answers about missed calls, health and alerts: times are epoch milliseconds. */

export interface MissedAnswer {
  as_of: number;
  from: number;
  to: number;
  missed: MissedPair[];
  next_cursor: string | null;
}

export interface MissedCallee {
  app_id: string;
  callee: string;
  callers: number;
  missed_count: number;
  first_missed_at: number;
  last_missed_at: number;
}

export interface MissedTotals {
  as_of: number;
  pairs: number;
  calls: number;
  oldest: number | null;
  callees: MissedCallee[];
}

export interface HeatmapAnswer {
  from: number;
  to: number;
  /** Monday first, 24 hours each. */
  calls: number[][];
  missed: number[][];
}

export interface ConcurrencyAnswer {
  as_of: number;
  from: number;
  to: number;
  step_ms: number;
  at: number[];
  /** Highest peak first. */
  apps: { app_id: string; peak: number; peak_at: number | null; average: number | null; peaks: number[] }[];
}

export interface SourceHealth {
  app_id: string;
  source: string;
  received: number;
  folded: number;
  duplicates: number;
  dead: number;
  calls_from_records_only: number;
  undelivered: number;
  delay_p50_ms: number | null;
  delay_p95_ms: number | null;
  last_at: number | null;
}

export interface DeadReason {
  source: string;
  stage: string;
  reason: string;
  count: number;
  last_at: number;
}

export interface HealthAnswer {
  as_of: number;
  from: number;
  to: number;
  sources: SourceHealth[];
  coverage: { app_id: string; value: number | null; n: number }[];
  dead_letters: DeadReason[];
}

export interface Pipeline {
  admins: { address: string; ready: boolean | null; problems: string[] }[];
  workers: { worker: string; lag: number }[];
  spool: { events: number; bytes: number; quarantined: number; failures: number } | null;
  limits: { source: string; operation: string; limit_per_second: number; per_second: number | null; slow_downs: number }[];
  sweeps: { source: string; app_id: string; swept_to: number | null; stopped: boolean; lost_ms: number }[];
  hosts_away: string[];
}

export type AlertUnit = 'rate' | 'count' | 'duration';

export interface AlertRule {
  name: string;
  built_in: boolean;
  metric: string;
  unit: AlertUnit;
  means: string;
  counts: string;
  window_ms: number;
  threshold: number;
  minimum: number;
  for_ms: number;
  apps: string[] | null;
  now: { app_id: string; value: number; n: number; above: boolean }[];
}

export interface Alert {
  rule: string;
  app_id: string;
  state: 'firing' | 'resolved';
  metric: string;
  value: number;
  n: number;
  threshold: number;
  window_ms: number;
  silenced: boolean;
  fired_at: number;
  resolved_at: number | null;
}

export interface Silence {
  rule: string;
  app_id: string;
  until: number;
  comment: string;
}

export interface Webhook {
  name: string;
  events: string[];
  apps: string[] | null;
  format: string;
}
