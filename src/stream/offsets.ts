import type { Admin } from 'kafkajs';
import type { KafkaClients } from './client.js';

/** Where the log of one partition starts and ends. `end` is the last stable offset: records of open transactions lie above it. */
export interface LogRange {
  low: number;
  end: number;
}

export interface CommittedOffset {
  /** -1: nothing committed; -2: kafkajs has lost its place (rule 7). */
  offset: number;
  metadata: string | null;
}

/** Asks the brokers where logs end and what groups have committed. One admin connection, made at the first question. */
export class OffsetReader {
  readonly #admin: Admin;
  #connected: Promise<void> | null = null;

  constructor(clients: KafkaClients) {
    this.#admin = clients.consumers.admin();
  }

  /** By partition. */
  async ranges(topic: string): Promise<LogRange[]> {
    await this.#connect();
    const ranges: LogRange[] = [];
    for (const { partition, low, high } of await this.#admin.fetchTopicOffsets(topic))
      ranges[partition] = { low: Number(low), end: Number(high) };
    return ranges;
  }

  /** Topic to partition to committed offset. */
  async committed(groupId: string, topics: readonly string[]): Promise<Map<string, CommittedOffset[]>> {
    await this.#connect();
    const byTopic = new Map<string, CommittedOffset[]>();
    for (const { topic, partitions } of await this.#admin.fetchOffsets({ groupId, topics: [...topics] })) {
      const offsets: CommittedOffset[] = [];
      for (const { partition, offset, metadata } of partitions) offsets[partition] = { offset: Number(offset), metadata };
      byTopic.set(topic, offsets);
    }
    return byTopic;
  }

  /** Records not yet committed by a group, by topic. A partition without a commit counts from its start. */
  async lag(groupId: string, topics: readonly string[]): Promise<Map<string, number>> {
    const committed = await this.committed(groupId, topics);
    const lags = await Promise.all(
      topics.map(async (topic): Promise<[string, number]> => {
        const ranges = await this.ranges(topic);
        const lag = ranges.reduce(
          (sum, { low, end }, p) => sum + Math.max(0, end - Math.max(low, committed.get(topic)?.[p]?.offset ?? 0)),
          0,
        );
        return [topic, lag];
      }),
    );
    return new Map(lags);
  }

  async close(): Promise<void> {
    if (this.#connected !== null) await this.#admin.disconnect();
  }

  #connect(): Promise<void> {
    this.#connected ??= this.#admin.connect().catch((error: unknown) => {
      this.#connected = null;
      throw error;
    });
    return this.#connected;
  }
}
