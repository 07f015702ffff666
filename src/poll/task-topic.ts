import type { TopicCodec } from '../codec/codec.js';
import type { PollTask } from '../codec/generated.js';
import { CodecError } from '../codec/registry.js';
import { TOPICS } from '../codec/topics.js';
import { messageOf } from '../domain/errors.js';
import { createClients, type KafkaConnection, kafkaErrorType } from '../stream/client.js';
import type { Environment } from '../stream/environment.js';
import { type FetchedBatch, GroupMember, toRecords } from '../stream/group-member.js';
import { requireGroup } from '../stream/installation.js';
import { OffsetReader } from '../stream/offsets.js';
import { soleOwnerAssigner } from '../stream/sole-owner.js';
import type { InputRecord } from '../stream/types.js';
import type { Logger } from '../telemetry/log.js';
import type { PollFault } from './fault.js';
import { TaskLedger } from './task-ledger.js';
import type { QueuedTask } from './task-queue.js';

export interface TaskTopicOptions {
  kafka: KafkaConnection;
  groupId: string;
  codec: Pick<TopicCodec<PollTask>, 'resolve' | 'decode'>;
  environment: Environment;
  logger: Logger;
  /** This process is the one that polls now, or not any more. Told only of changes. */
  onActive(active: boolean): void;
  onTask(entry: QueuedTask): void;
  /** A record that is no task. It is done with. */
  onUnreadable(): void;
  onFatal(error: unknown): void;
  /** How often offsets are committed, in milliseconds. */
  commitEvery: number;
  /** Tasks held in memory: above it, the topic is paused. */
  maxTasks?: number;
  sessionTimeoutMs?: number;
  heartbeatMs?: number;
  /** For tests. */
  fault?: PollFault;
}

const TOPIC = TOPICS.tasks.name;
/** As `migrate` knows it. */
const WORKER = 'poll';
const MAX_TASKS = 20_000;

/**
 * Membership in the group that elects the poller, and its tasks. All partitions go to one member; an offset is committed when all tasks below it are done, so
 * what another poller takes over is at least everything that is not.
 */
export class TaskTopic {
  readonly #o: TaskTopicOptions;
  readonly #member: GroupMember;
  readonly #offsets: OffsetReader;
  readonly #ledger = new TaskLedger();
  readonly #stopping = new AbortController();
  #active = false;
  /** Partitions whose first batch of this generation has not come: it begins where the group stands. */
  #unplaced = new Set<number>();
  #owned: readonly number[] = [];
  #paused = false;
  #reading = Promise.resolve();
  /** Counts the times that this process was the one: what was read in an earlier one is nobody's. */
  #stay = 0;
  #committer: NodeJS.Timeout | null = null;

  constructor(options: TaskTopicOptions) {
    this.#o = options;
    const clients = createClients(options.kafka, options.logger);
    this.#offsets = new OffsetReader(clients);
    this.#member = new GroupMember(
      {
        clients,
        groupId: options.groupId,
        topics: [TOPIC],
        assigner: soleOwnerAssigner(() => this.#active),
        maxWaitMs: 250,
        ...(options.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: options.sessionTimeoutMs }),
        ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
      },
      {
        joined: (assignment) => this.#joined(assignment.get(TOPIC) ?? []),
        batch: (batch) => this.#take(batch),
        skipped: (_topic, partition, first, next) => {
          this.#place(partition, first);
          this.#ledger.passed(partition, next);
        },
        crashed: (error) => options.onFatal(error),
      },
    );
  }

  /** Tasks in memory, or being done. */
  get open(): number {
    return this.#ledger.open;
  }

  /** @throws CallstreamError STREAM_GROUP_CHANGED; Kafka's errors when it cannot be reached */
  async start(): Promise<void> {
    try {
      await requireGroup(this.#offsets, TOPIC, WORKER, this.#o.groupId);
    } finally {
      await this.#offsets.close();
    }
    await this.#member.start();
    this.#committer = setInterval(() => void this.#commit(), this.#o.commitEvery);
  }

  /** Commits what is done, and leaves the group. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the poller is stopping'));
    if (this.#committer !== null) clearInterval(this.#committer);
    await this.#reading;
    await this.#commit();
    await this.#member.stop();
  }

  /** Resolves when the group has confirmed this member once more. */
  confirmed(): Promise<void> {
    return this.#member.confirmed();
  }

  done({ partition, offset }: Pick<QueuedTask, 'partition' | 'offset'>): void {
    this.#ledger.done(partition, offset);
    if (this.#paused && this.open <= this.#maxTasks / 2) this.#pause(false);
  }

  #joined(partitions: readonly number[]): void {
    const active = partitions.length > 0;
    this.#owned = partitions;
    this.#unplaced = new Set(partitions);
    // What is in memory stays there through a rebalance that leaves it ours: only where reading goes on is asked anew.
    if (!active) this.#ledger.clear();
    this.#pause(this.open >= this.#maxTasks);
    if (active === this.#active) return;
    this.#active = active;
    this.#stay += 1;
    this.#o.onActive(active);
  }

  #take(batch: FetchedBatch): boolean {
    const { partition } = batch;
    this.#place(partition, batch.fetchedOffset);
    const next = this.#ledger.next(partition);
    if (next === null) return false;
    if (batch.fetchedOffset > next) {
      this.#member.seek(TOPIC, partition, next);
      return false;
    }
    const records = toRecords(batch, next).filter(({ offset }) => this.#ledger.take(partition, offset));
    this.#ledger.passed(partition, batch.nextOffset);
    const stay = this.#stay;
    if (records.length > 0) this.#reading = this.#reading.then(() => this.#read(records, stay)).catch((error) => this.#o.onFatal(error));
    if (!this.#paused && this.open >= this.#maxTasks) this.#pause(true);
    return true;
  }

  #place(partition: number, offset: number): void {
    if (this.#unplaced.delete(partition)) this.#ledger.begin(partition, offset);
  }

  async #read(records: readonly InputRecord[], stay: number): Promise<void> {
    const { codec, environment, onTask, onUnreadable, logger } = this.#o;
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    try {
      await environment.until('the schema registry', signal, () => codec.resolve(records.map(({ value }) => value)));
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    for (const { partition, offset, key, value } of records) {
      if (stay !== this.#stay) return;
      try {
        const task = codec.decode(value ?? Buffer.alloc(0));
        onTask({ task, key: Buffer.from(key ?? ''), partition, offset, dueAt: task.due_at, rounds: 0 });
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
        logger.error({ partition, offset }, `a task cannot be read: ${messageOf(error)}`);
        onUnreadable();
        this.done({ partition, offset });
      }
    }
  }

  #pause(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.#member.pause(TOPIC, this.#owned);
    else this.#member.resume(TOPIC, this.#owned);
  }

  /** What is not committed is read again, by this process or the next: no loss, so a failure is tried again at the next turn. */
  async #commit(): Promise<void> {
    const { fault } = this.#o;
    let offsets: { partition: number; offset: number }[] = [];
    try {
      if (fault !== undefined && this.#active && this.#ledger.committable().length > 0) await fault('poll:before-offset-commit');
      await this.#member.commit(() => {
        offsets = this.#active ? this.#ledger.committable() : [];
        return offsets.map((o) => ({ topic: TOPIC, ...o }));
      });
      this.#ledger.committed(offsets);
      if (offsets.length > 0) await fault?.('poll:after-offset-commit');
    } catch (error) {
      this.#o.logger.debug({ err: error, type: kafkaErrorType(error) }, 'offsets of tasks were not committed');
    }
  }

  get #maxTasks(): number {
    return this.#o.maxTasks ?? MAX_TASKS;
  }
}
