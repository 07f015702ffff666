import { cloudEventHeaders } from '../../codec/cloudevents.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { Alert } from '../../codec/generated.js';
import { TOPICS } from '../../codec/topics.js';
import { CallstreamError, messageOf } from '../../domain/errors.js';
import { createClients, type KafkaClients, type KafkaConnection } from '../../stream/client.js';
import { partitionOf } from '../../stream/partition.js';
import { TaskProducer } from '../../stream/task-producer.js';
import type { OutputRecord } from '../../stream/types.js';
import type { Logger } from '../../telemetry/log.js';
import { alertKey } from './book.js';

/** The alerts of one evaluator, from when it has shut out every earlier one. */
export interface AlertLog {
  /** Everything that has been published and that may still matter, each key's in order; the last of a key counts. */
  readonly alerts: readonly Alert[];
  /**
   * All or nothing. After a rejection nothing is known about it, and this log is of no use any more.
   * @throws CallstreamError KAFKA_UNAVAILABLE
   */
  publish(alerts: readonly Alert[]): Promise<void>;
  close(): void;
}

export interface AlertLogOptions {
  kafka: KafkaConnection;
  transactionalId: string;
  codec: TopicCodec<Alert>;
  /** Of the topic. */
  partitions: number;
  /** What stands on the topic, committed, and alerts of the table that fire and have left it. */
  read(): Promise<readonly Alert[]>;
  logger: Logger;
}

const TRANSACTION_TIMEOUT_MS = 15_000;

const unavailable = (error: unknown): CallstreamError =>
  error instanceof CallstreamError && error.code !== 'STREAM_TIMEOUT'
    ? error
    : new CallstreamError('KAFKA_UNAVAILABLE', `alerts cannot be published: ${messageOf(error)}`, { cause: error });

/** callstream.alerts, written in transactions of one id: whoever opens it fences its predecessor, ends its open transaction, and only then reads. */
export class AlertTopic {
  readonly #o: AlertLogOptions;
  readonly #clients: KafkaClients;

  constructor(options: AlertLogOptions) {
    this.#o = options;
    this.#clients = createClients(options.kafka, options.logger);
  }

  /** @throws CallstreamError KAFKA_UNAVAILABLE, REGISTRY_UNAVAILABLE, CLICKHOUSE_UNAVAILABLE */
  async open(): Promise<AlertLog> {
    const { transactionalId, read } = this.#o;
    let producer: TaskProducer | null = null;
    try {
      producer = await TaskProducer.fence({ clients: this.#clients, transactionalId, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS });
      const alerts = await read();
      const opened = producer;
      return { alerts, publish: (changes) => this.#publish(opened, changes), close: () => opened.close() };
    } catch (error) {
      producer?.close();
      throw unavailable(error);
    }
  }

  async #publish(producer: TaskProducer, alerts: readonly Alert[]): Promise<void> {
    try {
      await producer.transact({
        outputs: alerts.map((alert) => this.#recordOf(alert)),
        // Where its records come to stand is of no interest to it, and it commits no position.
        outputTopic: '',
        outputPartition: 0,
        groupId: '',
        offsets: () => [],
        fault: () => {},
      });
    } catch (error) {
      throw unavailable(error);
    }
  }

  #recordOf(alert: Alert): OutputRecord {
    const key = alertKey(alert);
    return {
      topic: TOPICS.alerts.name,
      partition: partitionOf(key, this.#o.partitions),
      key,
      value: this.#o.codec.encode(alert),
      headers: cloudEventHeaders({
        id: `${alert.alert_id}:${alert.state}`,
        name: 'alerts',
        source: `//${alert.provider}/${alert.app_id}`,
        time: alert.resolved_at ?? alert.fired_at,
      }),
    };
  }
}
