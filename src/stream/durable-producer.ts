import type { Producer } from 'kafkajs';
import { CallstreamError, messageOf } from '../domain/errors.js';
import type { Logger } from '../telemetry/log.js';
import { createClients, type KafkaClients, type KafkaConnection } from './client.js';
import { checkCovered, explicitPartition, toRequests } from './produce.js';
import type { OutputRecord } from './types.js';
import { within } from './wait.js';

export interface DurableProducerOptions {
  kafka: KafkaConnection;
  logger: Logger;
  /** A send that takes longer has failed. */
  sendTimeoutMs?: number;
  /** Most records of waiting sends that go together. */
  maxRecordsInFlight?: number;
  /** A producer was thrown away. */
  onRenewal?: (reason: string) => void;
  /** For tests: called before a request is sent and after it is answered. */
  faultPoint?: (point: 'before-send' | 'after-send') => void | Promise<void>;
}

interface Waiting {
  records: readonly OutputRecord[];
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * Sends records with acks from all in-sync replicas, in the order of the calls, one flight at a time: a second request beside a failing one would
 * take its sequence numbers. Sends that wait for the flight go together in the next one.
 */
export class DurableProducer {
  readonly #options: DurableProducerOptions;
  readonly #clients: KafkaClients;
  #producer: Promise<Producer> | null = null;
  #waiting: Waiting[] = [];
  #flying: Promise<void> | null = null;
  #closed = false;

  constructor(options: DurableProducerOptions) {
    this.#options = options;
    this.#clients = createClients(options.kafka, options.logger);
  }

  /** Connects ahead of the first send. @throws CallstreamError KAFKA_UNAVAILABLE */
  async connect(): Promise<void> {
    try {
      await within(this.#connected(), this.#timeoutMs, () => new Error(`not connected within ${this.#timeoutMs} ms`));
    } catch (error) {
      this.#renew(error);
      throw unavailable(error);
    }
  }

  /**
   * Resolves when every record is durable. On a rejection some of them may be there, and some may come yet: send them again, a repeat is harmless
   * where records carry ids.
   * @throws CallstreamError KAFKA_UNAVAILABLE
   */
  send(records: readonly OutputRecord[]): Promise<void> {
    if (this.#closed) return Promise.reject(unavailable(new Error('the producer is closed')));
    if (records.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, resolve, reject });
      this.#flying ??= this.#fly();
    });
  }

  /** Waits for what is under way, then disconnects. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#flying;
    const producer = await this.#producer?.catch(() => null);
    await producer?.disconnect();
  }

  async #fly(): Promise<void> {
    while (this.#waiting.length > 0) {
      const flight = this.#board();
      try {
        const records = flight.length === 1 ? (flight[0] as Waiting).records : flight.flatMap((w) => w.records);
        await within(this.#write(records), this.#timeoutMs, () => new Error(`no answer within ${this.#timeoutMs} ms`));
        for (const { resolve } of flight) resolve();
      } catch (error) {
        this.#renew(error);
        const failure = unavailable(error);
        for (const { reject } of flight) reject(failure);
      }
    }
    this.#flying = null;
  }

  #board(): Waiting[] {
    const most = this.#options.maxRecordsInFlight ?? 5_000;
    let records = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      records += waiting.records.length;
      if (count > 0 && records > most) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #write(records: readonly OutputRecord[]): Promise<void> {
    const producer = await this.#connected();
    for (const topicMessages of toRequests(records)) {
      await this.#options.faultPoint?.('before-send');
      const answer = await producer.sendBatch({ acks: -1, timeout: 10_000, topicMessages });
      await this.#options.faultPoint?.('after-send');
      checkCovered(topicMessages, answer);
    }
  }

  #connected(): Promise<Producer> {
    this.#producer ??= (async () => {
      const producer = this.#clients.producers.producer({
        idempotent: true,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
        createPartitioner: explicitPartition,
        retry: { initialRetryTime: 50, multiplier: 2, factor: 0.2, retries: 6, maxRetryTime: 1_000 },
      });
      await producer.connect();
      return producer;
    })();
    return this.#producer;
  }

  /** Rule 4: after a failure the object's sequence numbers are wrong, and what it sends next could be swallowed as a duplicate. */
  #renew(error: unknown): void {
    const reason = error instanceof CallstreamError ? error.code : error instanceof Error ? error.name : 'unknown';
    this.#options.logger.warn({ err: error }, 'Kafka producer thrown away after a failure');
    this.#options.onRenewal?.(reason);
    const old = this.#producer;
    this.#producer = null;
    void old?.then((producer) => producer.disconnect()).catch(() => {});
  }

  get #timeoutMs(): number {
    return this.#options.sendTimeoutMs ?? 10_000;
  }
}

function unavailable(cause: unknown): CallstreamError {
  const why = messageOf(cause);
  return new CallstreamError('KAFKA_UNAVAILABLE', `Kafka did not take the records: ${why}`, { cause });
}
