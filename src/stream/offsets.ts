import { setTimeout as delay } from 'node:timers/promises';
import type { Admin } from 'kafkajs';
import { CallstreamError } from '../domain/errors.js';
import { answeredWithin, type KafkaClients, kafkaErrorType } from './client.js';
import { Backoff } from './wait.js';

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

/** kafkajs leaves out partitions of which it knows no leader, as of a new topic on several brokers, and stumbles where it knows none of any. */
class LeaderUnknown extends CallstreamError {
  readonly type = 'LEADER_NOT_AVAILABLE';

  constructor(topic: string, cause?: unknown) {
    super('STREAM_LEADER_UNKNOWN', `a partition of ${topic} has no leader that the brokers know of`, { cause });
  }
}

/** For leaders that move, and new partitions that have none yet: a busy broker takes its time with a hundred of them. */
const PATIENCE_MS = 20_000;
/** For one attempt: longer than the client waits for an answer. Should it have lost its question (rule 7), the next client asks. */
const ATTEMPT_MS = 20_000;
/** For topics that are new to a broker, or do not exist. */
const PATIENCE_WITH_MISSING_MS = 5_000;

/**
 * Asks the brokers where logs end and what groups have committed. The admin connection is made at the first question, and anew after a failure:
 * kafkajs would go on asking whom it knew as leader.
 */
export class OffsetReader {
  readonly #clients: KafkaClients;
  readonly #attemptMs: number;
  #admin: Promise<Admin> | null = null;

  /** @param attemptMs how long one client may take for an answer */
  constructor(clients: KafkaClients, attemptMs = ATTEMPT_MS) {
    this.#clients = clients;
    this.#attemptMs = attemptMs;
  }

  /** By partition. @throws CallstreamError STREAM_TOPIC_MISSING, STREAM_LEADER_UNKNOWN, STREAM_NO_ANSWER; Kafka's errors */
  ranges(topic: string): Promise<LogRange[]> {
    return this.#ask(async (admin) => {
      const ranges: LogRange[] = [];
      const offsets = await admin.fetchTopicOffsets(topic).catch((error) => {
        throw error instanceof TypeError ? new LeaderUnknown(topic, error) : error;
      });
      for (const { partition, low, high } of offsets) ranges[partition] = { low: Number(low), end: Number(high) };
      if (offsets.length < ranges.length) throw new LeaderUnknown(topic);
      return ranges;
    });
  }

  /** Topic to partition to committed offset. */
  committed(groupId: string, topics: readonly string[]): Promise<Map<string, CommittedOffset[]>> {
    return this.#ask(async (admin) => {
      const byTopic = new Map<string, CommittedOffset[]>();
      for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics: [...topics] })) {
        const offsets: CommittedOffset[] = [];
        for (const { partition, offset, metadata } of partitions) offsets[partition] = { offset: Number(offset), metadata };
        byTopic.set(topic, offsets);
      }
      return byTopic;
    });
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
    await disconnect(this.#admin);
    this.#admin = null;
  }

  async #ask<T>(question: (admin: Admin) => Promise<T>): Promise<T> {
    const backoff = new Backoff(50, 800);
    const began = performance.now();
    for (;;) {
      this.#admin ??= this.#connect();
      const used = this.#admin;
      let connected = false;
      const attempt = used.then((admin) => {
        connected = true;
        return question(admin);
      });
      try {
        return await answeredWithin(attempt, this.#attemptMs);
      } catch (error) {
        // Others may be asking by the same connection: the first to fail replaces it for all.
        const replaced = this.#admin !== used;
        if (!replaced) {
          this.#admin = null;
          void disconnect(used);
        }
        const type = kafkaErrorType(error);
        const patience = type === MISSING ? PATIENCE_WITH_MISSING_MS : PATIENCE_MS;
        const passing = replaced || MOVING.has(type) || (connected && LOST.has((error as Error).name));
        if (passing && performance.now() - began < patience) {
          await delay(backoff.next());
          continue;
        }
        if (type !== MISSING) throw error;
        throw new CallstreamError('STREAM_TOPIC_MISSING', 'A topic does not exist. Run: callstream migrate', { cause: error });
      }
    }
  }

  async #connect(): Promise<Admin> {
    const admin = this.#clients.consumers.admin();
    await admin.connect();
    return admin;
  }
}

const MISSING = 'UNKNOWN_TOPIC_OR_PARTITION';

/** Answers of brokers whose view of the cluster is behind, or ahead of ours. */
const MOVING = new Set([
  'NOT_LEADER_FOR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  MISSING,
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'GROUP_LOAD_IN_PROGRESS',
  'REPLICA_NOT_AVAILABLE',
  'OFFSET_NOT_AVAILABLE',
]);

/**
 * kafkajs gives a question up at once when the broker that it goes to is away, though another one leads the partition a moment later. (Until a connection stands
 * it tries again by itself.) Not one that timed out: whoever is silent may stay so, and whoever asks has to begin anew with all of its connections.
 */
const LOST = new Set(['KafkaJSConnectionError', 'KafkaJSConnectionClosedError', 'KafkaJSBrokerNotFound']);

async function disconnect(admin: Promise<Admin> | null): Promise<void> {
  try {
    await (await admin)?.disconnect();
  } catch {
    // It never connected, or its broker is gone.
  }
}
