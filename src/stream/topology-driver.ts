import { CallstreamError } from '../domain/errors.js';
import { type Clock, systemClock } from '../telemetry/clock.js';
import { DeadLetterLimit, type DeadLetterLimitOptions } from './dead-letter-limit.js';
import { StreamTime } from './stream-time.js';
import { decodeMeta, encodeMeta, isCommitted, nextMeta } from './task-meta.js';
import type { InputRecord, OutputRecord, Processor, TaskContext, TaskMeta } from './types.js';

export interface TopologyDriverOptions {
  inputs: readonly string[];
  deferred?: string;
  outputTopic: string;
  /** As of the real worker. */
  outputShare?: number;
  restores: boolean;
  partitions: number;
  createProcessor: (context: TaskContext) => Processor;
  /** Wall-clock time that `flush` gets. */
  clock?: Clock;
  /** Most records of one transaction. */
  transactionRecords?: number;
  deadLetterLimit?: DeadLetterLimitOptions;
}

/** A record to put into an input topic. */
export interface DriverRecord {
  partition: number;
  key: string | Buffer;
  value: Buffer | null;
  /** Append time, epoch ms. */
  timestamp: number;
  headers?: Readonly<Record<string, string>>;
}

interface DriverTask {
  partition: number;
  processor: Processor;
  time: StreamTime;
  positions: Map<string, number>;
  /** As committed. */
  meta: string | null;
  committed: Map<string, number>;
}

/**
 * Runs a worker's processors without Kafka: topics are arrays, nothing happens beside anything else, and a transaction is one flush.
 * The order of life is that of the real task: restore, process, punctuate, flush, meta, committed; outputs to an input topic (late input) come
 * round again; what was not committed is gone after a {@link TopologyDriver.crash}. For tests, and for repair and replay of what is at hand.
 */
export class TopologyDriver {
  readonly #o: TopologyDriverOptions;
  readonly #clock: Clock;
  readonly #logs = new Map<string, InputRecord[][]>();
  readonly #tasks: DriverTask[] = [];

  private constructor(options: TopologyDriverOptions) {
    this.#o = options;
    this.#clock = options.clock ?? systemClock;
  }

  static async open(options: TopologyDriverOptions): Promise<TopologyDriver> {
    const driver = new TopologyDriver(options);
    for (let p = 0; p < options.partitions; p += 1) driver.#tasks.push(await driver.#takeOver(p, null, new Map()));
    return driver;
  }

  /** Puts a record at the end of an input partition; returns its offset. */
  append(topic: string, { partition, key, value, timestamp, headers = {} }: DriverRecord): number {
    const log = this.#log(topic, partition);
    log.push({ topic, partition, offset: log.length, timestamp, key: Buffer.from(key), value, headers });
    return log.length - 1;
  }

  /**
   * Processes and commits all input, that which tasks write to their own inputs included. Where `prepare` of the deferred topic rejects,
   * that topic waits for the next call; of another topic, the rejection is passed on.
   */
  async drain(): Promise<void> {
    for (const task of this.#tasks) while (await this.#transact(task, true));
  }

  /** All inputs are read to where they ended at this time: stream time moves on, timers run. Call it after {@link drain}. */
  async advance(time: number): Promise<void> {
    for (const task of this.#tasks) {
      for (const topic of this.#o.inputs)
        task.time.ended(topic, time, this.#log(topic, task.partition).length, task.positions.get(topic) ?? 0);
      task.time.advance();
      await this.#transact(task, false);
    }
  }

  /** Processes at most so many records and does not commit them: what a crash then loses. */
  async processUncommitted(partition: number, records: number): Promise<void> {
    await this.#collect(this.#task(partition), records);
  }

  /** The task's process dies: a new processor is restored from what is committed. */
  async crash(partition: number): Promise<void> {
    const { meta, committed } = this.#task(partition);
    this.#tasks[partition] = await this.#takeOver(partition, meta, committed);
  }

  /** Committed records of an output topic, by partition and in order. */
  records(topic: string): InputRecord[] {
    return (this.#logs.get(topic) ?? []).flat();
  }

  processor(partition: number): Processor {
    return this.#task(partition).processor;
  }

  streamTime(partition: number): number {
    return this.#task(partition).time.now();
  }

  meta(partition: number): TaskMeta | null {
    return decodeMeta(this.#task(partition).meta);
  }

  async #takeOver(partition: number, metaText: string | null, committed: Map<string, number>): Promise<DriverTask> {
    const { inputs, deferred, outputTopic, restores, createProcessor, deadLetterLimit } = this.#o;
    const meta = decodeMeta(metaText);
    const processor = createProcessor({ partition, failures: new DeadLetterLimit(deadLetterLimit) });
    if (restores && meta !== null && meta.restoreFrom !== null && meta.lastOutput !== null) {
      for (const record of this.#log(outputTopic, this.#outputOf(partition)).slice(meta.restoreFrom, meta.lastOutput + 1))
        processor.restore?.(record);
    }
    await processor.restored(meta);
    const counted = inputs.filter((topic) => topic !== deferred);
    return {
      partition,
      processor,
      meta: metaText,
      committed,
      positions: new Map(committed),
      time: new StreamTime(counted, meta?.streamTime ?? 0),
    };
  }

  /** Returns whether anything was committed. */
  async #transact(task: DriverTask, withInput: boolean): Promise<boolean> {
    const { processor, time } = task;
    if (withInput) await this.#collect(task, this.#o.transactionRecords ?? Number.POSITIVE_INFINITY);
    const timer = processor.nextTimer();
    if (timer !== null && timer <= time.now()) processor.punctuate(time.now());
    const { outputs } = processor.flush(this.#clock.now());
    const moved = [...task.positions].some(([topic, position]) => task.committed.get(topic) !== position);
    const settled = task.meta === null || isCommitted(decodeMeta(task.meta), processor.meta(null));
    if (outputs.length === 0 && !moved && settled) {
      processor.committed(null);
      return false;
    }
    const base = this.#publish(task, outputs);
    const log = this.#log(this.#o.outputTopic, this.#outputOf(task.partition));
    const last = base === null ? null : log.length - 1;
    const group = { partitions: this.#o.partitions, group: 'topology-driver' };
    task.meta = encodeMeta(nextMeta(decodeMeta(task.meta), processor.meta(base), time.now(), last, group));
    task.committed = new Map(task.positions);
    processor.committed(base);
    return true;
  }

  async #collect(task: DriverTask, most: number): Promise<void> {
    const { processor, time, positions, partition } = task;
    let left = most;
    for (const topic of this.#o.inputs) {
      if (processor.saturated?.() === true) return;
      const from = positions.get(topic) ?? 0;
      const records = this.#log(topic, partition).slice(from, from + left);
      if (records.length === 0) continue;
      try {
        await processor.prepare?.(records);
      } catch (error) {
        if (topic === this.#o.deferred) continue;
        throw error;
      }
      for (const record of records) processor.process(record, (receivedAt) => time.observe(topic, receivedAt, record.timestamp));
      left -= records.length;
      positions.set(topic, from + records.length);
    }
  }

  #publish({ partition }: DriverTask, outputs: readonly OutputRecord[]): number | null {
    let base: number | null = null;
    for (const { topic, partition: to, key, value, headers = {} } of outputs) {
      const offset = this.append(topic, {
        partition: to,
        key,
        value,
        timestamp: this.#clock.now(),
        headers,
      });
      if (topic === this.#o.outputTopic && to === this.#outputOf(partition)) base ??= offset;
    }
    return base;
  }

  #outputOf(partition: number): number {
    return (this.#o.outputShare ?? 0) * this.#o.partitions + partition;
  }

  #task(partition: number): DriverTask {
    const task = this.#tasks[partition];
    if (task === undefined) throw new CallstreamError('STREAM_PARTITIONS_CHANGED', `there is no task ${partition}`);
    return task;
  }

  #log(topic: string, partition: number): InputRecord[] {
    let partitions = this.#logs.get(topic);
    if (partitions === undefined) {
      partitions = [];
      this.#logs.set(topic, partitions);
    }
    partitions[partition] ??= [];
    return partitions[partition];
  }
}
