import { CallstreamError, messageOf } from '../domain/errors.js';
import { type Clock, systemClock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { coPartitionedAssigner } from './assignor.js';
import { createClients, type KafkaConnection } from './client.js';
import type { DeadLetterLimitOptions } from './dead-letter-limit.js';
import { GroupMember } from './group-member.js';
import { requireGroup } from './installation.js';
import { OffsetReader } from './offsets.js';
import { Restorer } from './restorer.js';
import { Task, type TaskEvents } from './task.js';
import type { FaultPoint, ProcessedCounts, Processor, TaskContext } from './types.js';
import { Watchdog } from './watchdog.js';

export interface StreamWorkerOptions {
  /** Short name for metrics and logs: sessions, events. */
  name: string;
  kafka: KafkaConnection;
  /** Consumer group; transactional ids are `<groupId>-<partition>`. */
  groupId: string;
  /** Topics of equal partition count; partition p of all of them is task p. */
  inputs: readonly string[];
  /** The one of the inputs whose `prepare` may fail or take long while everything else goes on, and that stream time does not wait for. */
  deferred?: string;
  /** The main output: carries the commit metadata, and is the state with `restores`. */
  outputTopic: string;
  /** Where several workers write one output topic, which of its shares is this one's: task p writes partition `outputShare` * N + p. Default: 0. */
  outputShare?: number;
  /** The processor is restored from the output topic. */
  restores: boolean;
  createProcessor: (context: TaskContext) => Processor;
  logger: Logger;
  metrics: Metrics;
  clock?: Clock;
  /** The process is of no use any more: exit non-zero. Called once. */
  onFatal: (error: unknown) => void;
  /** What the processors have counted, once it is committed. */
  onCommitted?: (counts: ProcessedCounts) => void;
  deadLetterLimit?: DeadLetterLimitOptions;
  sessionTimeoutMs?: number;
  heartbeatMs?: number;
  transactionTimeoutMs?: number;
  /** How often the ends of the inputs are asked for: the resolution of stream time where nothing arrives. */
  endsEveryMs?: number;
  /** Rule 9: input waits and no position has moved for so long: fatal. */
  watchdogMs?: number;
  /** For tests. */
  faultPoint?: FaultPoint;
}

/**
 * Life of a worker:  created ──> starting ──> running ──> stopping ──> stopped;  starting, running ──> failed ──> stopping.
 */
export type WorkerState = 'created' | 'starting' | 'running' | 'failed' | 'stopping' | 'stopped';

/** Brokers tell the ends of topics within milliseconds; one that is being replaced, within seconds. */
const ENDS_IN_MS = 10_000;

export const WORKER_TRANSITIONS: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  created: ['starting', 'stopping'],
  starting: ['running', 'failed', 'stopping'],
  running: ['failed', 'stopping'],
  failed: ['stopping'],
  stopping: ['stopped'],
  stopped: [],
};

/** One member of a consumer group that runs the tasks which the group gives it, exactly-once. Two of them in one process do not disturb each other. */
export class StreamWorker {
  readonly #o: StreamWorkerOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #tasks = new Map<number, Task>();
  readonly #closing = new Set<Promise<void>>();
  readonly #watchdog: Watchdog;
  readonly #member: GroupMember;
  readonly #offsets: OffsetReader;
  readonly #restorer: Restorer;
  readonly #clients;
  #state: WorkerState = 'created';
  #failure: string | null = null;
  #partitions = 0;
  #ends: NodeJS.Timeout | undefined;
  #asking: Promise<void> = Promise.resolve();
  #endsProblem: string | null = null;
  /** Since when the ends of topics have been asked without an answer, of this process's clock. */
  #askedAt: number | null = null;

  constructor(options: StreamWorkerOptions) {
    this.#o = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.logger.child({ worker: options.name });
    this.#clients = createClients(options.kafka, this.#log);
    this.#offsets = new OffsetReader(this.#clients);
    this.#watchdog = new Watchdog({
      worker: options.name,
      inputs: options.inputs,
      limitMs: options.watchdogMs ?? 60_000,
      sessionTimeoutMs: options.sessionTimeoutMs ?? 10_000,
    });
    const session = options.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: options.sessionTimeoutMs };
    this.#restorer = new Restorer({ clients: this.#clients, groupId: options.groupId, topic: options.outputTopic, ...session });
    this.#member = new GroupMember(
      {
        clients: this.#clients,
        groupId: options.groupId,
        topics: options.inputs,
        assigner: coPartitionedAssigner(() => this.#tasks.keys()),
        ...session,
        ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
      },
      {
        joined: (assignment) => this.#joined(assignment),
        batch: (batch) => this.#tasks.get(batch.partition)?.offer(batch) ?? false,
        skipped: (topic, partition, first, next) => this.#tasks.get(partition)?.skipped(topic, first, next),
        confirmed: () => this.#watchdog.contact(),
        crashed: (error) => this.#fail(error),
      },
    );
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Tasks this member runs now: partition to state. */
  tasks(): ReadonlyMap<number, Task> {
    return this.#tasks;
  }

  /** Empty when everything works: each entry says what does not. */
  problems(): string[] {
    const problems = this.#failure === null ? [] : [this.#failure];
    if (this.#state !== 'running' && this.#failure === null) problems.push(`worker ${this.#o.name} is ${this.#state}`);
    const silence = this.#askedAt === null ? 0 : performance.now() - this.#askedAt;
    if (this.#endsProblem !== null) problems.push(this.#endsProblem);
    else if (silence >= ENDS_IN_MS) problems.push(`Kafka has not told the ends of topics for ${Math.floor(silence / 1_000)} s`);
    for (const { partition, state, problem } of this.#tasks.values()) {
      if (problem !== null) problems.push(`task ${partition} is ${state}: ${problem}`);
      else if (state !== 'running') problems.push(`task ${partition} is ${state}`);
    }
    return problems;
  }

  /**
   * Joins the group. Tasks are taken over as they are assigned.
   * @throws CallstreamError STREAM_GROUP_CHANGED, STREAM_PARTITIONS_DIFFER; Kafka's errors when it cannot be reached
   */
  async start(): Promise<void> {
    this.#to('starting');
    try {
      await requireGroup(this.#offsets, this.#o.outputTopic, this.#o.name, this.#o.groupId);
      this.#partitions = await this.#countPartitions();
      await this.#member.start();
    } catch (error) {
      this.#failure = messageOf(error);
      this.#to('failed');
      throw error;
    }
    if (this.#state !== 'starting') return;
    this.#to('running');
    this.#watchdog.contact();
    this.#askLater();
  }

  /** Finishes the transactions under way, leaves the group, closes all connections. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped' || this.#state === 'stopping') return;
    this.#to('stopping');
    clearTimeout(this.#ends);
    for (const task of this.#tasks.values()) this.#close(task);
    await this.#restorer.close();
    await Promise.all(this.#closing);
    await this.#member.stop();
    await this.#asking;
    await this.#offsets.close();
    this.#to('stopped');
  }

  async #countPartitions(): Promise<number> {
    const { inputs, outputTopic } = this.#o;
    const count = async (topic: string): Promise<number> => (await this.#offsets.ranges(topic)).length;
    const counts = await Promise.all(inputs.map(count));
    const first = counts[0] ?? 0;
    const other = counts.findIndex((n) => n !== first);
    if (other !== -1) {
      throw new CallstreamError(
        'STREAM_PARTITIONS_DIFFER',
        `Topic ${inputs[other]} has ${counts[other]} partitions and ${inputs[0]} has ${first}: a task is the same partition of all of them.`,
      );
    }
    const outputs = await count(outputTopic);
    if (outputs % first !== 0 || outputs < first * (this.#share + 1)) {
      throw new CallstreamError(
        'STREAM_PARTITIONS_DIFFER',
        `Topic ${outputTopic} has ${outputs} partitions, and this worker writes its share ${this.#share + 1} of ${first}. Run: callstream migrate`,
      );
    }
    return first;
  }

  #joined(assignment: ReadonlyMap<string, readonly number[]>): void {
    this.#watchdog.contact();
    const assigned = new Set(assignment.get(this.#o.inputs[0] as string) ?? []);
    for (const task of this.#tasks.values()) if (!assigned.has(task.partition)) this.#close(task);
    for (const partition of assigned) {
      const task = this.#tasks.get(partition);
      if (task !== undefined) task.rejoined();
      else if (this.#state === 'starting' || this.#state === 'running') this.#open(partition);
    }
  }

  get #share(): number {
    return this.#o.outputShare ?? 0;
  }

  #open(partition: number): void {
    const { name, groupId, inputs, deferred, outputTopic, restores, createProcessor, faultPoint, transactionTimeoutMs, deadLetterLimit } =
      this.#o;
    for (const topic of inputs) this.#member.pause(topic, [partition]);
    this.#watchdog.forget(partition);
    this.#tasks.set(
      partition,
      new Task({
        partition,
        partitions: this.#partitions,
        groupId,
        inputs,
        deferred: deferred ?? null,
        outputTopic,
        outputPartition: this.#share * this.#partitions + partition,
        restorer: this.#restorer,
        restores,
        createProcessor,
        clients: this.#clients,
        member: this.#member,
        offsets: this.#offsets,
        clock: this.#clock,
        logger: this.#log.child({ worker: name }),
        transactionTimeoutMs: transactionTimeoutMs ?? 15_000,
        deadLetterLimit: deadLetterLimit ?? {},
        faultPoint: faultPoint ?? null,
        events: this.#taskEvents(),
      }),
    );
  }

  #close(task: Task): void {
    this.#tasks.delete(task.partition);
    const closing: Promise<void> = task.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #taskEvents(): TaskEvents {
    const { metrics, name: worker } = this.#o;
    return {
      state: (from, to) => {
        if (from !== null) metrics.callstream_task_state.dec({ worker, state: from });
        if (to !== 'closed') metrics.callstream_task_state.inc({ worker, state: to });
      },
      committed: (records) => {
        metrics.callstream_task_transactions_total.inc({ worker, result: 'committed' });
        metrics.callstream_task_records_total.inc({ worker }, records);
      },
      processed: (counts) => this.#o.onCommitted?.(counts),
      failed: () => metrics.callstream_task_transactions_total.inc({ worker, result: 'failed' }),
      takenOver: (restored, ms) => {
        metrics.callstream_task_takeovers_total.inc({ worker, result: 'ok' });
        metrics.callstream_task_restored_records_total.inc({ worker }, restored);
        metrics.callstream_task_restore_seconds_total.inc({ worker }, ms / 1000);
      },
      takeoverFailed: () => metrics.callstream_task_takeovers_total.inc({ worker, result: 'failed' }),
      fatal: (error) => this.#fail(error),
    };
  }

  #askLater(): void {
    this.#ends = setTimeout(() => {
      this.#asking = this.#askEnds().finally(() => {
        if (this.#state === 'running') this.#askLater();
      });
    }, this.#o.endsEveryMs ?? 500);
  }

  /** kafkajs reports nothing on an empty fetch, so the ends of the inputs are asked of the broker: for stream time, lag and the watchdog. */
  async #askEnds(): Promise<void> {
    const at = this.#clock.now();
    const positions = new Map([...this.#tasks.values()].map((task) => [task, new Map(this.#o.inputs.map((t) => [t, task.position(t)]))]));
    let ends: [string, number[]][];
    this.#askedAt = performance.now();
    try {
      ends = await Promise.all(
        this.#o.inputs.map(
          async (topic): Promise<[string, number[]]> => [topic, (await this.#offsets.ranges(topic)).map(({ end }) => end)],
        ),
      );
      this.#endsProblem = null;
    } catch (error) {
      this.#endsProblem = `Kafka does not tell the ends of topics: ${messageOf(error)}`;
      return;
    } finally {
      this.#askedAt = null;
    }
    const lags = new Map<number, number>();
    for (const [topic, byPartition] of ends) {
      let lag = 0;
      for (const task of this.#tasks.values()) {
        const end = byPartition[task.partition];
        if (end === undefined) continue;
        task.ended(topic, at, end, positions.get(task)?.get(topic) ?? null);
        const behind = Math.max(0, end - (task.position(topic) ?? 0));
        lag += behind;
        // The deferred topic may stand still on its own.
        if (topic !== this.#o.deferred) lags.set(task.partition, (lags.get(task.partition) ?? 0) + behind);
      }
      this.#o.metrics.callstream_task_lag.set({ worker: this.#o.name, topic }, lag);
    }
    for (const task of this.#tasks.values()) {
      this.#o.metrics.callstream_stream_time_seconds.set(
        { worker: this.#o.name, partition: String(task.partition) },
        task.streamTime / 1000,
      );
    }
    const stuck = this.#watchdog.look(this.#tasks.values(), lags);
    if (stuck !== null) this.#fail(stuck);
  }

  #fail(error: unknown): void {
    if (this.#state !== 'running' && this.#state !== 'starting') return;
    this.#failure = messageOf(error);
    this.#to('failed');
    this.#log.fatal({ err: error }, 'worker failed');
    this.#o.onFatal(error);
  }

  #to(state: WorkerState): void {
    if (!WORKER_TRANSITIONS[this.#state].includes(state)) throw new Error(`a worker cannot go from ${this.#state} to ${state}`);
    this.#state = state;
  }
}
