import type { WorkerCounters } from './counters.js';

/** What verification needs to see of the project, each as narrow as it can be; src/cli wires the real things. */
export interface VerifyDeps {
  /** A SELECT without FORMAT on the project's database; 64-bit integers may come as numbers or strings. */
  query: Query;
  /** Records not yet processed, by consumer group; the groups of sessions, events and sink, and whatever else must be idle. */
  lag: () => Promise<Record<string, number>>;
  /** Reads callstream.raw.tuicallkit from its beginning to the end it has now (read_committed). */
  readRaw: (onRecord: (record: RawTopicRecord) => void) => Promise<void>;
  /** Reads callstream.calls from its beginning to the end it has now (read_committed). */
  readCalls: (onRecord: (record: CallsTopicRecord) => void) => Promise<void>;
  /** Prometheus text by process; absent: no worker counters in the report. */
  metrics?: MetricsTexts;
  /** The `sessions` section of the configuration that the workers run with, ms. */
  sessions: SessionTimes;
  /** One line at a time about what is waited for or compared. */
  onLine?: (line: string) => void;
  /** Longest wait for the workers to become idle and the calls final, ms; default 10 minutes beyond ringTimeout + settle. */
  deadlineMs?: number;
}

export type Query = <T>(sql: string, params?: Record<string, unknown>, timeoutMs?: number) => Promise<T[]>;
/** Waits so many milliseconds: between one look and the next. */
export type Sleep = (ms: number) => Promise<unknown>;
export type MetricsTexts = () => Promise<ReadonlyMap<string, string>>;

export interface SessionTimes {
  ringTimeout: number;
  settle: number;
  maxCall: number;
}

/** A RawEvent and where it stands. */
export interface RawTopicRecord {
  partition: number;
  offset: number;
  id: string;
  app_id: string;
  query: string;
  body: Uint8Array;
  received_at: number;
}

/** What is asked of a Call record. */
export interface CallsTopicRecord {
  provider: string;
  app_id: string;
  call_id: string;
  revision: number;
}

/** How much was compared. A run in which anything but the duplicates is zero proves nothing about it, and fails. */
export interface Compared {
  requests: number;
  calls: number;
  legs: number;
  events: number;
  dead_letters: number;
  rollup_cells: number;
  concurrency_minutes: number;
  revisions: number;
  delivery_minutes: number;
  /** The sum of contract §7.2 over the minutes of the run: received = folded + duplicates + dead. */
  received: number;
  folded: number;
  duplicates: number;
  dead: number;
}

/** Names of the figures that are zero; without chaos nothing comes twice. */
export const notCompared = (compared: Compared): string[] =>
  Object.entries(compared)
    .filter(([name, count]) => count === 0 && name !== 'duplicates')
    .map(([name]) => name.replaceAll('_', ' '));

export interface VerifyReport {
  compared: Compared;
  /** Differences by kind. */
  differences: Record<string, number>;
  /** The first of them in words. */
  first: string[];
  total: number;
  /** Own calls that are over only by a timeout, and own calls that are still open (maxCall has not passed). */
  timed_out_calls: number;
  open_calls: number;
}

export type { WorkerCounters };
