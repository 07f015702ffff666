import type { TimeoutSettings } from '../../domain/timeouts.js';
import type { TaskSettings } from './tasks.js';

/** The times of semantics.md "Time", in milliseconds, and what else the sessions worker is told. */
export interface SessionSettings extends TimeoutSettings, TaskSettings {
  settle: number;
  retention: number;
  /** Calls held per task before final calls that are in ClickHouse leave early. */
  maxCallsPerTask: number;
}

export const DEFAULT_MAX_CALLS_PER_TASK = 500_000;
