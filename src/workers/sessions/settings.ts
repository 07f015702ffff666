import type { TimeoutSettings } from '../../domain/timeouts.js';

/** The times of semantics.md "Time", in milliseconds, and what else the sessions worker is told. */
export interface SessionSettings extends TimeoutSettings {
  settle: number;
  retention: number;
  /** Calls held per task before final calls that are in ClickHouse leave early. */
  maxCallsPerTask: number;
  /** Whether the app has a records API: then a call closed by a timeout is asked for. */
  hasRecordsApi(appId: string): boolean;
}

export const DEFAULT_MAX_CALLS_PER_TASK = 500_000;
