import { CallstreamError } from '../domain/errors.js';

/**
 * What the stream runtime and the logic it runs say to each other. Nothing here knows Kafka's client; offsets are numbers (safe below 2^53).
 */

/** One record of an input topic. `key` and `value` are views on a larger buffer: copy what is kept beyond the call. */
export interface InputRecord {
  topic: string;
  partition: number;
  offset: number;
  /** Append time (raw topics carry LogAppendTime), epoch ms. */
  timestamp: number;
  key: Buffer | null;
  value: Buffer | null;
  /** Of the deferred topic only: nobody else reads them. */
  headers?: Readonly<Record<string, string>>;
}

/** One record to publish. Every record names its partition: of each output topic a task writes only its own, which no other producer writes. */
export interface OutputRecord {
  topic: string;
  partition: number;
  key: string | Buffer;
  /** null: a tombstone. */
  value: Buffer | null;
  headers?: Readonly<Record<string, string>>;
}

/** Counts of one transaction by name, for example `{ folded: 4, duplicate: 1 }`; reported only once the transaction is committed. */
export type ProcessedCounts = Readonly<Record<string, number>>;

/** What the commit metadata of a task says; on partition p of every input and on the task's own partition of the output topic. JSON, at most 4,096 bytes. */
export interface TaskMeta {
  v: 1;
  /** Stream time at the commit, epoch ms; 0: not known yet. */
  streamTime: number;
  /** Latest time of any call that has left the state, epoch ms; null: none has left. */
  horizon: number | null;
  /** Offset on the task's output partition from which a restore must read; null: nothing to read. */
  restoreFrom: number | null;
  /** Offset of the last record that the task wrote to its output partition; null: none yet. */
  lastOutput: number | null;
  /** Partition count of the topics when this was written: a change is refused. */
  partitions: number;
  /** Consumer group that wrote it. */
  group: string;
}

/**
 * Tells stream time when the record at hand arrived: its received_at (epoch ms), null when it has none (then its append time counts). Returns the
 * task's stream time, this record included; 0: not known yet.
 */
export type Observe = (receivedAt: number | null) => number;

/** The processor's own part of {@link TaskMeta}. */
export interface ProcessorMeta {
  horizon: number | null;
  restoreFrom: number | null;
}

/**
 * The logic of one task (= partition p of every input topic of the worker): deterministic and synchronous but for `prepare`.
 * Never sees Kafka or a clock. Thrown away, and made anew from the state topic, after any failure.
 *
 * Life: (`restore`* `restored`) ( `process`* `punctuate`? `flush` `meta` `committed` )*
 */
export interface Processor {
  /** A record of the output topic, in order, while restoring; a later record of a key replaces the earlier. Only with `restores`. */
  restore?(record: InputRecord): void;
  /** End of the restore, and start of the work; `meta` as last committed, null: this task never committed. A rejection is an environment error: the takeover is done again. */
  restored(meta: TaskMeta | null): void | Promise<void>;
  /**
   * Optional look-ahead before `process` sees the records, all of one topic (resolving writer schemas; one query for a batch of the deferred topic).
   * A rejection is an environment error: tried again with backoff. For the deferred topic only that topic waits, everything else goes on meanwhile.
   */
  prepare?(records: readonly InputRecord[]): Promise<void>;
  /** Takes one input, and observes its arrival, once. Data errors become dead letters, not exceptions: whatever it throws stops the worker. */
  process(record: InputRecord, observe: Observe): void;
  /** Runs the timers that are due at this stream time. */
  punctuate(streamTime: number): void;
  /** Stream time at which `punctuate` next has work; null: none. */
  nextTimer(): number | null;
  /** Everything to publish since the last flush; called once per transaction. `now` is wall-clock time, epoch ms. */
  flush(now: number): { outputs: OutputRecord[]; processed?: ProcessedCounts };
  /**
   * The processor's part of the commit metadata, asked for after the outputs are sent and before the commit; and, where there is nothing to send, to see
   * whether it differs from what is committed.
   * `base` is the offset of the first record of this transaction on the output partition; null when it has none there.
   */
  meta(base: number | null): ProcessorMeta;
  /** The transaction of the last flush is committed; `base` as in `meta`. */
  committed(base: number | null): void;
  /** True while the processor is full: no input is taken, timers run on. */
  saturated?(): boolean;
}

/** What the runtime lends to the processor of a task. */
export interface TaskContext {
  partition: number;
  /** Report every input in order: counts the failures that may mean a bad deploy, and throws when they pass the limit. */
  failures: FailureCounter;
}

/** Rule 10's brake. Bodies that a source calls unreadable are `ok` here: anyone can post garbage. */
export interface FailureCounter {
  ok(): void;
  /** An exception of pure code, or a value that cannot be decoded. @throws CallstreamError STREAM_DEAD_LETTER_LIMIT */
  failed(reason: string): void;
}

/** Thrown by a processor that wants to begin anew from what is committed, because it now knows better how to go on. */
export class StartOver extends CallstreamError {
  constructor(message: string, cause: unknown) {
    super('STREAM_START_OVER', message, { cause });
  }
}

/** Called at named points of a task's life; tests make it throw, never return, or end the process. */
export type FaultPoint = (point: FaultPointName, partition: number) => void | Promise<void>;

/**
 * What a task does to the world, before and after: `abort` is that of the transaction its predecessor may have left open. Of a worker the full name has its
 * own in front: `sessions:before-commit`.
 */
export const FAULT_POINTS = [
  'before-fence',
  'before-abort',
  'after-abort',
  'after-fence',
  'before-restore',
  'after-restore',
  'before-seek',
  'after-seek',
  'before-send',
  'after-send',
  'before-send-offsets',
  'after-send-offsets',
  'before-commit',
  'after-commit',
] as const;
export type FaultPointName = (typeof FAULT_POINTS)[number];
