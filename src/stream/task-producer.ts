import { setTimeout as delay } from 'node:timers/promises';
import type { Producer, RecordMetadata, Transaction } from 'kafkajs';
import { CallstreamError } from '../domain/errors.js';
import { type KafkaClients, kafkaErrorType, TRANSACTION_RETRY } from './client.js';
import { checkCovered, explicitPartition, toRequests } from './produce.js';
import type { FaultPointName, OutputRecord } from './types.js';
import { within } from './wait.js';

export interface TaskProducerOptions {
  clients: KafkaClients;
  transactionalId: string;
  /** The broker aborts a transaction that is open for longer. */
  transactionTimeoutMs: number;
  /** Whose committed offsets are read next. */
  readBarrier?: ReadBarrier;
  /** For tests. */
  fault?(point: FaultPointName): void | Promise<void>;
}

/** A group, and any partition that exists: what is said of it is taken back. */
export interface ReadBarrier {
  groupId: string;
  topic: string;
  partition: number;
}

/** One partition's next offset to commit, with metadata. */
export interface OffsetCommit {
  topic: string;
  partition: number;
  offset: number;
  metadata: string;
}

export interface TransactionRequest {
  outputs: readonly OutputRecord[];
  /** Where the caller wants to know the offsets of its records. */
  outputTopic: string;
  outputPartition: number;
  groupId: string;
  /** What to commit, given the offsets of the first and the last record on the output partition; null: none was sent there. */
  offsets(base: number | null, last: number | null): OffsetCommit[];
  fault(point: FaultPointName): void | Promise<void>;
}

/**
 * The transactional producer of a task. Rule 4: after a failed send, commit or abort kafkajs's sequence numbers are wrong, and the broker
 * would swallow what is sent next as duplicates. So the object is good until its first failure, then {@link TaskProducer.close} it.
 */
export class TaskProducer {
  readonly #producer: Producer;
  readonly #timeoutMs: number;
  #pending: Promise<unknown> = Promise.resolve();

  private constructor(producer: Producer, timeoutMs: number) {
    this.#producer = producer;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Rule 3a: a new producer that has fenced every older one of the same id and ended its open transaction.
   * `connect()` alone does not: only beginning a transaction asks for the new epoch.
   *
   * With a read barrier, the transaction says an offset before it is aborted. A coordinator that has just come into office tells the committed offsets that its
   * high watermark covered then, older ones than were acknowledged, and may do so until the group's next commit. This is one: when it is acknowledged, all before
   * it are told.
   */
  static async fence({ clients, transactionalId, transactionTimeoutMs, readBarrier, fault }: TaskProducerOptions): Promise<TaskProducer> {
    const producer = clients.producers.producer({
      idempotent: true,
      transactionalId,
      transactionTimeout: transactionTimeoutMs,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: explicitPartition,
      retry: TRANSACTION_RETRY,
    });
    const self = new TaskProducer(producer, transactionTimeoutMs * 2);
    try {
      await self.#limited(async () => {
        await producer.connect();
        const transaction = await producer.transaction();
        if (readBarrier !== undefined) {
          const { groupId, topic, partition } = readBarrier;
          await sendOffsets(transaction, groupId, [{ topic, partition, offset: 0, metadata: '' }]);
        }
        await fault?.('before-abort');
        await transaction.abort();
        await fault?.('after-abort');
      });
    } catch (error) {
      self.close();
      throw error;
    }
    return self;
  }

  /**
   * One transaction: outputs, offsets, commit; all or nothing. Resolves to the offset of the first record on the output partition.
   * After a rejection nothing is known about its fate; the object must not be used any more.
   */
  transact(request: TransactionRequest): Promise<number | null> {
    return this.#limited(async () => {
      const { outputs, outputTopic, outputPartition, groupId, offsets, fault } = request;
      const transaction = await this.#producer.transaction();
      let base: number | null = null;
      let last: number | null = null;
      await fault('before-send');
      for (const topicMessages of toRequests(outputs)) {
        const answer = await transaction.sendBatch({ acks: -1, timeout: 10_000, topicMessages });
        checkCovered(topicMessages, answer);
        const sent = topicMessages.find((t) => t.topic === outputTopic)?.messages.length ?? 0;
        if (sent === 0) continue;
        const first = baseOffset(answer, outputTopic, outputPartition);
        base ??= first;
        last = first + sent - 1;
      }
      await fault('after-send');
      await fault('before-send-offsets');
      await sendOffsets(transaction, groupId, offsets(base, last));
      await fault('after-send-offsets');
      await fault('before-commit');
      await transaction.commit();
      await fault('after-commit');
      return base;
    });
  }

  /** Lets go of the connections, now and once whatever is still under way has ended: kafkajs would connect anew for a retry. */
  close(): void {
    const disconnect = (): Promise<void> => this.#producer.disconnect().catch(() => {});
    void disconnect();
    void this.#pending.then(disconnect, disconnect);
  }

  #limited<T>(work: () => Promise<T>): Promise<T> {
    const pending = work();
    this.#pending = pending;
    return within(
      pending,
      this.#timeoutMs,
      () => new CallstreamError('STREAM_TIMEOUT', `Kafka did not finish a transaction within ${this.#timeoutMs} ms.`),
    );
  }
}

function baseOffset(answer: readonly RecordMetadata[], topic: string, partition: number): number {
  const entry = answer.find((m) => m.topicName === topic && m.partition === partition);
  if (entry?.baseOffset === undefined) {
    throw new CallstreamError(
      'STREAM_SEND_INCOMPLETE',
      `The answer to a send does not tell the offset on partition ${partition} of ${topic}.`,
    );
  }
  return Number(entry.baseOffset);
}

/** A transaction that begins with its offsets is refused while the broker still finishes the last one; kafkajs tries that again for sends only. */
async function sendOffsets(transaction: Transaction, consumerGroupId: string, commits: readonly OffsetCommit[]): Promise<void> {
  const byTopic = new Map<string, { partition: number; offset: string; metadata: string }[]>();
  for (const { topic, partition, offset, metadata } of commits) {
    const partitions = byTopic.get(topic) ?? [];
    partitions.push({ partition, offset: String(offset), metadata });
    byTopic.set(topic, partitions);
  }
  const topics = [...byTopic].map(([topic, partitions]) => ({ topic, partitions }));
  if (topics.length === 0) return;
  for (let attempt = 0; ; attempt += 1) {
    try {
      await transaction.sendOffsets({ consumerGroupId, topics });
      return;
    } catch (error) {
      if (kafkaErrorType(error) !== 'CONCURRENT_TRANSACTIONS' || attempt === 100) throw error;
      await delay(Math.min(50, 5 + attempt));
    }
  }
}
