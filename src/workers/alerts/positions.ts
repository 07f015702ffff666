import { CallstreamError, messageOf } from '../../domain/errors.js';
import { createClients, type KafkaClients, type KafkaConnection } from '../../stream/client.js';
import { type CommittedOffset, OffsetReader } from '../../stream/offsets.js';
import { type OffsetCommit, TaskProducer } from '../../stream/task-producer.js';
import type { Logger } from '../../telemetry/log.js';

const TRANSACTION_TIMEOUT_MS = 15_000;

/** What the group of one receiver has committed. A receiver that is new begins with what comes from now on. */
export class Positions {
  readonly #clients: KafkaClients;
  readonly #groupId: string;
  readonly #topics: readonly string[];
  readonly #reader: OffsetReader;

  constructor(kafka: KafkaConnection, logger: Logger, groupId: string, topics: readonly string[]) {
    this.#clients = createClients(kafka, logger);
    this.#groupId = groupId;
    this.#topics = topics;
    this.#reader = new OffsetReader(this.#clients);
  }

  /** By topic and partition. @throws CallstreamError KAFKA_UNAVAILABLE */
  read(): Promise<ReadonlyMap<string, CommittedOffset[]>> {
    return guarded(() => this.#reader.committed(this.#groupId, this.#topics));
  }

  /** Records that are not committed, over all topics. @throws CallstreamError KAFKA_UNAVAILABLE */
  async lag(): Promise<number> {
    const lags = await guarded(() => this.#reader.lag(this.#groupId, this.#topics));
    return [...lags.values()].reduce((sum, n) => sum + n, 0);
  }

  /**
   * Commits the end of each partition that has no position, before anything is read: otherwise what comes before the first commit would be skipped by a restart.
   * In a transaction, which needs no membership and shuts out another process that does the same. @throws CallstreamError KAFKA_UNAVAILABLE
   */
  beginAtEnds(): Promise<void> {
    return guarded(async () => {
      const [first] = missing(await this.#reader.committed(this.#groupId, this.#topics));
      if (first === undefined) return;
      const producer = await TaskProducer.fence({
        clients: this.#clients,
        transactionalId: `${this.#groupId}-begin`,
        transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
        readBarrier: { groupId: this.#groupId, topic: first.topic, partition: first.partition },
      });
      try {
        // Asked again behind the fence: another may have written them meanwhile, and gone on from there.
        const offsets: OffsetCommit[] = [];
        for (const { topic, partition } of missing(await this.#reader.committed(this.#groupId, this.#topics))) {
          const range = (await this.#reader.ranges(topic))[partition];
          if (range !== undefined) offsets.push({ topic, partition, offset: range.end, metadata: '' });
        }
        await producer.transact({
          outputs: [],
          outputTopic: '',
          outputPartition: 0,
          groupId: this.#groupId,
          offsets: () => offsets,
          fault: () => {},
        });
      } finally {
        producer.close();
      }
    });
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }
}

const missing = (committed: ReadonlyMap<string, CommittedOffset[]>): { topic: string; partition: number }[] =>
  [...committed].flatMap(([topic, partitions]) =>
    partitions.flatMap(({ offset }, partition) => (offset < 0 ? [{ topic, partition }] : [])),
  );

async function guarded<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    throw new CallstreamError('KAFKA_UNAVAILABLE', `positions cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
