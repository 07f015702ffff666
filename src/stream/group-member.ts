import type { Batch, Consumer, KafkaMessage, OffsetsByTopicPartition, PartitionAssigner } from 'kafkajs';
import { CallstreamError } from '../domain/errors.js';
import { connecting, type KafkaClients } from './client.js';
import { PartitionAssigners } from './kafkajs.js';
import type { InputRecord } from './types.js';
import { turn } from './wait.js';

export interface GroupMemberOptions {
  clients: KafkaClients;
  groupId: string;
  topics: readonly string[];
  /** Default: kafkajs's round robin. */
  assigner?: PartitionAssigner;
  /** A member that does not answer for so long is out of the group. */
  sessionTimeoutMs?: number;
  heartbeatMs?: number;
  /** Longest wait of a fetch with less than `minBytes` of data; a partition that is resumed or moved waits as long. */
  maxWaitMs?: number;
  /** Bytes that answer a fetch at once: with less, a broker would answer one for every record that comes. */
  minBytes?: number;
  /** Most bytes of one partition in one fetch. */
  maxBytesPerPartition?: number;
  /** Most bytes of one fetch. */
  maxBytes?: number;
}

/** What one fetch brought of one partition. */
export interface FetchedBatch {
  topic: string;
  partition: number;
  /** The offset that was asked for. */
  fetchedOffset: number;
  /** Where the next fetch goes on: after the last record of any kind. */
  nextOffset: number;
  messages: readonly KafkaMessage[];
}

/** All are called synchronously, between two steps of kafkajs's fetch loop; none may throw. */
export interface GroupHandlers {
  /** A new generation: what this member owns now, by topic. Nothing is fetched before this returns; positions of the last generation are forgotten. */
  joined(assignment: ReadonlyMap<string, readonly number[]>): void;
  /** Returns false when the batch is not taken: then the position stays. */
  batch(batch: FetchedBatch): boolean;
  /** Records that consumers never see (control, aborted) moved the position from `first` to `next`. */
  skipped?(topic: string, partition: number, first: number, next: number): void;
  /** The group has heard of this member and counts it in. */
  confirmed?(): void;
  /** kafkajs gave up for good: the process is of no use any more. */
  crashed(error: CallstreamError): void;
}

/**
 * One member of a consumer group that only hands over what it fetches: `eachBatch` enqueues and returns; nothing is committed by kafkajs.
 */
export class GroupMember {
  readonly #options: GroupMemberOptions;
  readonly #handlers: GroupHandlers;
  readonly #consumer: Consumer;
  #proofs: (() => void)[] = [];
  #running = false;
  #commit: ((offsets: OffsetsByTopicPartition) => Promise<void>) | null = null;

  constructor(options: GroupMemberOptions, handlers: GroupHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    const sessionTimeout = options.sessionTimeoutMs ?? 10_000;
    this.#consumer = options.clients.consumers.consumer({
      groupId: options.groupId,
      partitionAssigners: [options.assigner ?? PartitionAssigners.roundRobin],
      sessionTimeout,
      rebalanceTimeout: Math.max(sessionTimeout, 15_000),
      heartbeatInterval: options.heartbeatMs ?? 1_000,
      maxWaitTimeInMs: options.maxWaitMs ?? 50,
      minBytes: options.minBytes ?? 32_768,
      maxBytesPerPartition: options.maxBytesPerPartition ?? 1_048_576,
      maxBytes: options.maxBytes ?? 8_388_608,
      readUncommitted: false,
      allowAutoTopicCreation: false,
      metadataMaxAge: 60_000,
    });
  }

  /** Joins the group and starts to fetch. Resolves after the first join, or rejects when there is no way to it. */
  async start(): Promise<void> {
    const { events } = this.#consumer;
    const first = new Promise<void>((resolve, reject) => {
      this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
        this.#handlers.joined(new Map(Object.entries(payload.memberAssignment as Record<string, number[]>)));
        this.#proveMembership();
        resolve();
      });
      this.#consumer.on(events.CRASH, ({ payload }) => {
        if (payload.restart) return;
        const crash = new CallstreamError(
          'STREAM_CONSUMER_CRASHED',
          `The consumer of group ${this.#options.groupId} has crashed: ${payload.error.message}`,
          {
            cause: payload.error,
          },
        );
        reject(crash);
        if (this.#running) this.#handlers.crashed(crash);
      });
    });
    this.#consumer.on(events.HEARTBEAT, () => this.#proveMembership());
    this.#consumer.on(events.END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize > 0) return;
      const next = Number(payload.lastOffset) + 1;
      this.#handlers.skipped?.(
        payload.topic,
        payload.partition,
        payload.firstOffset === null ? next - 1 : Number(payload.firstOffset),
        next,
      );
    });
    await connecting(this.#consumer.connect());
    await this.#consumer.subscribe({ topics: [...this.#options.topics], fromBeginning: true });
    this.#running = true;
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async ({ batch, isStale, isRunning, resolveOffset, commitOffsetsIfNecessary }) => {
        this.#commit = commitOffsetsIfNecessary;
        if (isStale() || !isRunning()) return;
        if (this.#handlers.batch(fetched(batch))) resolveOffset(batch.lastOffset());
      },
    });
    await first;
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#proveMembership();
    await this.#consumer.disconnect();
  }

  /** Resolves when the group has confirmed this member once more: by a heartbeat or a join that ended after the call. */
  confirmed(): Promise<void> {
    return this.#running ? new Promise((resolve) => this.#proofs.push(resolve)) : Promise.resolve();
  }

  /** This and the next two do nothing while kafkajs restarts its consumer: `joined` comes after that, and everything is said anew then. */
  pause(topic: string, partitions: readonly number[]): void {
    this.#tell(() => this.#consumer.pause([{ topic, partitions: [...partitions] }]));
  }

  resume(topic: string, partitions: readonly number[]): void {
    this.#tell(() => this.#consumer.resume([{ topic, partitions: [...partitions] }]));
  }

  seek(topic: string, partition: number, offset: number): void {
    this.#tell(() => this.#consumer.seek({ topic, partition, offset: String(offset) }));
  }

  /**
   * Commits outside of a transaction, once, as this member of its current generation; not before the event loop's next turn.
   * kafkajs's own `commitOffsets` would try again as a member of the next generation, perhaps for partitions that are another's by then.
   * `select` is asked at the last moment.
   */
  async commit(select: () => readonly { topic: string; partition: number; offset: number; metadata?: string }[]): Promise<void> {
    // A generation changes within one turn of the event loop, `joined` included: from outside of one, assignment and generation agree.
    await turn();
    const offsets = select();
    if (offsets.length === 0) return;
    if (this.#commit === null) throw new CallstreamError('STREAM_COMMIT_FAILED', 'nothing was fetched yet');
    const byTopic = new Map<string, { partition: number; offset: string; metadata?: string }[]>();
    for (const { topic, partition, offset, metadata } of offsets) {
      const partitions = byTopic.get(topic) ?? [];
      partitions.push({ partition, offset: String(offset), ...(metadata === undefined ? {} : { metadata }) });
      byTopic.set(topic, partitions);
    }
    await this.#commit({ topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })) });
  }

  #tell(what: () => void): void {
    if (!this.#running) return;
    try {
      what();
    } catch (error) {
      this.#options.clients.logger.debug({ err: error }, 'the consumer is not up');
    }
  }

  #proveMembership(): void {
    this.#handlers.confirmed?.();
    const proofs = this.#proofs;
    this.#proofs = [];
    for (const resolve of proofs) resolve();
  }
}

function fetched(batch: Batch): FetchedBatch {
  return {
    topic: batch.topic,
    partition: batch.partition,
    // kafkajs keeps it on its batches; its types leave it out.
    fetchedOffset: Number((batch as Batch & { fetchedOffset: string }).fetchedOffset),
    nextOffset: Number(batch.lastOffset()) + 1,
    messages: batch.messages,
  };
}

/** Turns kafkajs's messages from `from` on into input records. */
export function toRecords({ topic, partition, messages }: FetchedBatch, from: number, withHeaders = false): InputRecord[] {
  const records: InputRecord[] = [];
  let timestampText = '';
  let timestamp = 0;
  for (const message of messages) {
    const offset = Number(message.offset);
    if (offset < from) continue;
    if (message.timestamp !== timestampText) {
      timestampText = message.timestamp;
      timestamp = Number(timestampText);
    }
    const record: InputRecord = { topic, partition, offset, timestamp, key: message.key, value: message.value };
    if (withHeaders) record.headers = toHeaders(message.headers);
    records.push(record);
  }
  return records;
}

/** Whether the record came in a transaction. kafkajs keeps each record's batch on it; its types leave it out. */
export function isTransactional(message: KafkaMessage): boolean {
  return (message as KafkaMessage & { batchContext?: { inTransaction: boolean } }).batchContext?.inTransaction === true;
}

/** The first value of each. */
function toHeaders(headers: KafkaMessage['headers']): Record<string, string> {
  const named = Object.entries(headers ?? {}).map(([name, value]): [string, string] => [
    name,
    String(Array.isArray(value) ? value[0] : value),
  ]);
  return Object.fromEntries(named);
}
