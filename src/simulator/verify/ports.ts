import type { SourceName } from '../truth/read-source.js';
import type { Compared } from './compared.js';
import type { WorkerCounters } from './counters.js';

/** What verification needs to see of the project, each as narrow as it can be; src/cli wires the real things. */
export interface VerifyDeps {
  /** A SELECT without FORMAT on the project's database; 64-bit integers may come as numbers or strings. */
  query: Query;
  /** Records not yet processed, by consumer group; of every group but that of the poller, whose tasks may rightly wait for hours. */
  lag: () => Promise<Record<string, number>>;
  /** Reads `callstream.raw.<source>` to the end it has now (read_committed): partitions of `from` from that offset on, others from their beginning. */
  readRaw: (source: SourceName, onRecord: (record: RawTopicRecord) => void, from: ReadonlyMap<number, number>) => Promise<void>;
  /** Reads callstream.calls from its beginning to the end it has now (read_committed). */
  readCalls: (onRecord: (record: CallsTopicRecord) => void) => Promise<void>;
  /** Reads callstream.tasks from its beginning to the end it has now (read_committed). */
  readTasks: (onRecord: (record: TaskRecord) => void) => Promise<void>;
  /** Prometheus text by process; absent: no worker counters in the report. */
  metrics?: MetricsTexts;
  /** The `sessions` section of the configuration that the workers run with, ms. */
  sessions: SessionTimes;
  /** Of the `polling` section: ms, and whose media events are fetched. */
  polling: { sweepEvery: number; userEvents: 'off' | 'abnormal' | 'all' };
  /** Under which ids users go in what the project holds of raw records; absent: under those that came. */
  users?: ShownUsers;
  /** One line at a time about what is waited for or compared. */
  onLine?: (line: string) => void;
  /** Longest wait for everything to have come and to be settled, ms; default: 10 minutes beyond ringTimeout + settle, and where APIs are polled the time until the next deep sweep. */
  deadlineMs?: number;
}

/** By the configuration: pseudonyms, or ids as they came. */
export interface ShownUsers {
  show(record: RawTopicRecord & { source: SourceName; body: Buffer }): { query: string; body: Buffer };
  idOf(appId: string, userId: string): string;
}

export type Query = <T>(sql: string, params?: Record<string, unknown>, timeoutMs?: number) => Promise<T[]>;
/** Waits so many milliseconds: between one look and the next. */
export type Sleep = (ms: number) => Promise<unknown>;
export type MetricsTexts = () => Promise<ReadonlyMap<string, string>>;

export interface SessionTimes {
  ringTimeout: number;
  settle: number;
  maxCall: number;
  channelGap: number;
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

/** What is asked of a PollTask. */
export interface TaskRecord {
  kind: string;
  app_id: string;
  call_id: string;
  started_at: number | null;
  ended_at: number | null;
  users: readonly string[];
}

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
