import { CallstreamError, messageOf } from '../domain/errors.js';
import { type Clock, passingTime } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { KafkaClients } from './client.js';
import { DeadLetterLimit, type DeadLetterLimitOptions } from './dead-letter-limit.js';
import { DeferredInput } from './deferred-input.js';
import type { FetchedBatch, GroupMember } from './group-member.js';
import type { InputQueue, Offered, QueuedBatch } from './input-queue.js';
import type { OffsetReader } from './offsets.js';
import type { Restorer } from './restorer.js';
import { gap, type Session, takeOver } from './takeover.js';
import { commitTransaction, hasMoved, TransactionFailed } from './task-commit.js';
import { TASK_TRANSITIONS, type TaskState } from './task-state.js';
import { type FaultPoint, type FaultPointName, type ProcessedCounts, type Processor, StartOver, type TaskContext } from './types.js';
import { Backoff, Signal, turn } from './wait.js';

/** A transaction ends when its inputs have run out, and not before this much time has passed since the last one began… */
const COMMIT_INTERVAL_MS = 100;
/** …or, while there is a backlog, at one of these. */
const MAX_RECORDS = 20_000;
const MAX_COLLECT_MS = 1_000;
/** Positions that moved without any record to process are committed this seldom. */
const BARE_COMMIT_MS = 1_000;
/** Records processed before the event loop gets a turn. */
const CHUNK = 500;
const STOPPED_RETRY_MS = 30_000;
const IDLE_MS = 1_000;

export interface TaskOptions {
  partition: number;
  partitions: number;
  groupId: string;
  inputs: readonly string[];
  deferred: string | null;
  outputTopic: string;
  /** The one that this task alone writes. */
  outputPartition: number;
  restorer: Restorer;
  restores: boolean;
  createProcessor: (context: TaskContext) => Processor;
  clients: KafkaClients;
  member: GroupMember;
  offsets: OffsetReader;
  clock: Clock;
  logger: Logger;
  transactionTimeoutMs: number;
  deadLetterLimit: DeadLetterLimitOptions;
  faultPoint: FaultPoint | null;
  events: TaskEvents;
}

export interface TaskEvents {
  state(from: TaskState | null, to: TaskState): void;
  committed(records: number): void;
  /** What the processor has counted, once nothing can take it back. */
  processed(counts: ProcessedCounts): void;
  failed(): void;
  takenOver(restored: number, ms: number): void;
  takeoverFailed(): void;
  /** An error that is none of Kafka's, the environment's or the data's: the process cannot be trusted any more. */
  fatal(error: unknown): void;
}

class Closed extends Error {}

/** Partition p of every input topic: one loop that owns the producer, the state and the timers. */
export class Task {
  readonly partition: number;
  readonly #o: TaskOptions;
  readonly #log: Logger;
  readonly #signal = new Signal();
  readonly #backoff = new Backoff(100, 10_000);
  readonly #deferred: DeferredInput;
  #state: TaskState = 'waiting';
  #problem: string | null = null;
  #session: Session | null = null;
  #closing = false;
  /** An input began above its position, or ends below it: perhaps records are gone. */
  #suspect: string | null = null;
  /** Inputs that the broker said to end below their position. */
  readonly #short = new Set<string>();
  #blockedUntil = 0;
  readonly #done: Promise<void>;

  constructor(options: TaskOptions) {
    this.#o = options;
    this.partition = options.partition;
    this.#log = options.logger.child({ task: options.partition });
    this.#deferred = new DeferredInput(this.#log, () => this.#signal.notify());
    options.events.state(null, 'waiting');
    this.#done = this.#run().catch((error: unknown) => options.events.fatal(error));
  }

  get state(): TaskState {
    return this.#state;
  }

  /** What is wrong, for readiness; null: nothing. */
  get problem(): string | null {
    return this.#problem ?? this.#deferred.problem;
  }

  get streamTime(): number {
    return this.#session?.time.now() ?? 0;
  }

  /** True while standing still is right: it restores, waits for a person or the environment, or its processor has no room. */
  get excused(): boolean {
    return (
      this.#state === 'stopped' ||
      this.#state === 'blocked' ||
      this.#state === 'taking-over' ||
      this.#session?.processor.saturated?.() === true
    );
  }

  /** Everything below it is processed, by topic; null while the task is not running. */
  position(topic: string): number | null {
    return this.#session?.inputs.get(topic)?.position ?? null;
  }

  /** Ends the loop after the transaction that is under way. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#signal.notify();
    await this.#done;
  }

  /** A new generation of the group: kafkajs has forgotten positions, and after a restart of its consumer what was paused. */
  rejoined(): void {
    if (this.#session === null) this.#pauseAll();
    else for (const input of this.#session.inputs.values()) this.#place(input);
  }

  offer(batch: FetchedBatch): boolean {
    const input = this.#session?.inputs.get(batch.topic);
    return input !== undefined && this.#offered(input, input.offer(batch)) !== 'ahead';
  }

  skipped(topic: string, first: number, next: number): void {
    const input = this.#session?.inputs.get(topic);
    if (input !== undefined) this.#offered(input, input.skip(first, next));
  }

  /** The broker said, after `at`, that the input partition ends at `end`; `position` is the task's at that time, null: it was not running. */
  ended(topic: string, at: number, end: number, position: number | null): void {
    const input = this.#session?.inputs.get(topic);
    if (input === undefined) return;
    // A new leader may not know for a moment how far it is committed: only what is said twice is believed.
    const isShort = position !== null && end < position;
    if (isShort && this.#short.has(topic)) this.#suspect = topic;
    if (isShort) this.#short.add(topic);
    else this.#short.delete(topic);
    const time = this.#session?.time;
    time?.ended(topic, at, end, input.position);
    time?.advance();
    this.#signal.notify();
  }

  #offered(input: InputQueue, offered: Offered): Offered {
    if (offered === 'ahead') {
      this.#suspect = input.topic;
      this.#o.member.seek(input.topic, this.partition, input.end);
    } else if (input.isFull() && !input.paused) {
      input.paused = true;
      this.#o.member.pause(input.topic, [this.partition]);
    }
    this.#signal.notify();
    return offered;
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      try {
        await this.#takeOver();
        await this.#work();
      } catch (error) {
        await this.#recover(error);
      } finally {
        this.#discard();
      }
    }
    this.#to('closed');
  }

  async #takeOver(): Promise<void> {
    this.#to('taking-over');
    this.#pauseAll();
    try {
      const session = await takeOver({
        ...this.#o,
        transactionalId: `${this.#o.groupId}-${this.partition}`,
        createProcessor: () =>
          this.#o.createProcessor({ partition: this.partition, failures: new DeadLetterLimit(this.#o.deadLetterLimit) }),
        fault: this.#fault,
        proceed: () => this.#proceed(),
        restored: (records, ms) => this.#o.events.takenOver(records, ms),
      });
      this.#suspect = null;
      this.#session = session;
      // So that the output partition never holds anything, not even of an aborted transaction, while there is no metadata.
      if (session.meta === null) await this.#commit(session, 0);
      await this.#fault('before-seek');
      for (const input of session.inputs.values()) this.#place(input);
      await this.#fault('after-seek');
    } catch (error) {
      if (!(error instanceof Closed)) this.#o.events.takeoverFailed();
      throw error;
    }
    this.#log.info({ streamTime: this.streamTime, meta: this.#session.meta }, 'task taken over');
    this.#to('running');
    this.#problem = null;
  }

  /** Seek, and resume or pause: what kafkajs has to do for this input. */
  #place(input: InputQueue): void {
    const { member } = this.#o;
    member.seek(input.topic, this.partition, input.end);
    if (input.paused) member.pause(input.topic, [this.partition]);
    else member.resume(input.topic, [this.partition]);
  }

  async #work(): Promise<void> {
    const session = this.#session as Session;
    let began = 0;
    while (!this.#closing) {
      const records = await this.#collect(session, began);
      if (this.#closing) return;
      began = passingTime.now();
      const { processor, time } = session;
      const streamTime = time.advance();
      const timer = processor.nextTimer();
      if (timer !== null && timer <= streamTime) processor.punctuate(streamTime);
      await this.#commit(session, records);
      this.#backoff.reset();
    }
  }

  /** Processes input until it is time to commit; resolves to the number of records. */
  async #collect(session: Session, lastBegan: number): Promise<number> {
    const { processor, time } = session;
    let records = 0;
    let since = 0;
    let moved = hasMoved(session);
    while (!this.#closing) {
      if (this.#suspect !== null) await this.#checkRange(session, this.#suspect);
      const input = processor.saturated?.() === true ? null : this.#choose(session);
      if (input !== null && (await this.#prepare(session, input))) {
        if (records === 0) since = passingTime.now();
        records += await this.#process(session, input);
        moved = true;
        if (records >= MAX_RECORDS || (records > 0 && passingTime.now() - since >= MAX_COLLECT_MS)) return records;
        continue;
      }
      const now = passingTime.now();
      const timer = processor.nextTimer();
      const due = records > 0 || (timer !== null && timer <= time.advance());
      let wait = IDLE_MS;
      if (due || moved) {
        wait = lastBegan + (due ? COMMIT_INTERVAL_MS : BARE_COMMIT_MS) - now;
        if (wait <= 0) return records;
      }
      if (this.#state === 'blocked') wait = Math.min(wait, Math.max(1, this.#blockedUntil - now));
      await this.#signal.wait(Math.min(wait, IDLE_MS));
    }
    return records;
  }

  /** The input to go on with: the one that is furthest behind, so that stream time moves and calls meet their events; null: none. */
  #choose(session: Session): InputQueue | null {
    if (this.#state === 'blocked' && passingTime.now() < this.#blockedUntil) return null;
    let chosen: InputQueue | null = null;
    let earliest = Number.POSITIVE_INFINITY;
    for (const input of session.inputs.values()) {
      const batch = input.peek();
      if (batch === undefined) continue;
      if (input.topic === this.#o.deferred && !this.#deferred.isReady(session.processor, batch)) continue;
      const at = batch.records[0]?.timestamp ?? 0;
      if (at < earliest) {
        chosen = input;
        earliest = at;
      }
    }
    return chosen;
  }

  /** True when the first batch of the input may be processed. */
  async #prepare({ processor }: Session, input: InputQueue): Promise<boolean> {
    const batch = input.peek() as QueuedBatch;
    if (processor.prepare === undefined || batch.records.length === 0 || input.topic === this.#o.deferred) return true;
    try {
      await processor.prepare(batch.records);
    } catch (error) {
      this.#to('blocked');
      this.#problem = `input of ${input.topic} waits: ${messageOf(error)}`;
      this.#log.warn({ err: error, topic: input.topic }, 'input waits for the environment');
      this.#blockedUntil = passingTime.now() + this.#backoff.next();
      return false;
    }
    if (this.#state === 'blocked') {
      this.#to('running');
      this.#problem = null;
    }
    return true;
  }

  async #process({ processor, time }: Session, input: InputQueue): Promise<number> {
    const { records } = input.peek() as QueuedBatch;
    const { topic } = input;
    let untilTurn = CHUNK;
    for (const record of records) {
      processor.process(record, (receivedAt) => time.observe(topic, receivedAt, record.timestamp));
      untilTurn -= 1;
      if (untilTurn > 0) continue;
      untilTurn = CHUNK;
      await turn();
    }
    input.shift();
    time.reached(topic, input.position);
    time.advance();
    if (input.paused && input.hasRoom() && !this.#closing) {
      input.paused = false;
      this.#o.member.resume(topic, [this.partition]);
    }
    return records.length;
  }

  async #commit(session: Session, records: number): Promise<void> {
    try {
      const { committed, processed } = await commitTransaction(session, { ...this.#o, fault: this.#fault });
      if (committed) this.#o.events.committed(records);
      this.#o.events.processed(processed);
    } catch (error) {
      if (error instanceof TransactionFailed) this.#o.events.failed();
      throw error;
    }
  }

  /** A batch began above its position, or the input ends below it: either kafkajs was moved meanwhile (the seek repairs that), or records are gone. */
  async #checkRange(session: Session, topic: string): Promise<void> {
    this.#suspect = null;
    const position = session.inputs.get(topic)?.end ?? 0;
    const range = (await this.#o.offsets.ranges(topic))[this.partition];
    if (range === undefined || position < range.low || position > range.end) {
      throw gap(topic, this.partition, `is read at ${position}, and holds ${range?.low ?? 0} to ${range?.end ?? 0}: records are gone`);
    }
  }

  async #recover(error: unknown): Promise<void> {
    this.#discard();
    // A task that is closing says nothing of the partition any more: its successor may be in this very process.
    if (error instanceof Closed || this.#closing) return;
    // Else what is fetched and refused would be fetched again at once, and again.
    this.#pauseAll();
    const code = error instanceof CallstreamError ? error.code : '';
    if (NEEDS_A_PERSON.has(code)) {
      this.#problem = messageOf(error);
      this.#to('stopped');
      this.#log.error({ err: error, code }, 'task stopped');
      await this.#restUntilConfirmed(code === 'STREAM_DEAD_LETTER_LIMIT' ? Number.POSITIVE_INFINITY : STOPPED_RETRY_MS);
      if (!this.#closing) this.#to('waiting');
      return;
    }
    if (this.#state !== 'taking-over' && !(error instanceof TransactionFailed || error instanceof StartOver) && !isKafka(error)) {
      this.#problem = messageOf(error);
      this.#closing = true;
      this.#o.events.fatal(error);
      return;
    }
    this.#problem = messageOf(error);
    this.#to('waiting');
    this.#log.warn({ err: error }, 'task failed and will be taken over anew');
    await this.#restUntilConfirmed(this.#backoff.next());
  }

  /**
   * Rule 4: perhaps another member has taken over meanwhile. Only the group can say, never this task: fencing a rightful owner back would go on
   * for ever. So after every failure the group has to count this member in once more before the next takeover.
   */
  async #restUntilConfirmed(ms: number): Promise<void> {
    const until = performance.now() + ms;
    while (!this.#closing && performance.now() < until) await this.#signal.wait(Math.min(60_000, until - performance.now()));
    let confirmed = false;
    void this.#o.member.confirmed().then(() => {
      confirmed = true;
      this.#signal.notify();
    });
    while (!confirmed && !this.#closing) await this.#signal.wait(IDLE_MS);
  }

  #discard(): void {
    this.#session?.producer.close();
    this.#session = null;
    this.#deferred.discard();
    this.#short.clear();
  }

  #pauseAll(): void {
    for (const topic of this.#o.inputs) this.#o.member.pause(topic, [this.partition]);
  }

  #proceed(): void {
    if (this.#closing) throw new Closed();
  }

  readonly #fault = (point: FaultPointName): void | Promise<void> => this.#o.faultPoint?.(point, this.partition);

  #to(state: TaskState): void {
    if (state === this.#state) return;
    if (!TASK_TRANSITIONS[this.#state].includes(state)) throw new Error(`a task cannot go from ${this.#state} to ${state}`);
    this.#o.events.state(this.#state, state);
    this.#state = state;
  }
}

const NEEDS_A_PERSON = new Set([
  'STREAM_GAP',
  'STREAM_META_LOST',
  'STREAM_COMMIT_LOST',
  'STREAM_PARTITIONS_CHANGED',
  'STREAM_DEAD_LETTER_LIMIT',
]);

function isKafka(error: unknown): boolean {
  if (error instanceof CallstreamError) return error.code === 'STREAM_NO_ANSWER';
  return error instanceof Error && error.name.startsWith('KafkaJS');
}
