import { CALL_FIELDS, type ClickHouse } from '../../clickhouse/index.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { Alert, Call, CallEvent, DeadLetter, Recording } from '../../codec/generated.js';
import { TOPICS } from '../../codec/topics.js';
import type { KafkaConnection } from '../../stream/client.js';
import { Collector } from '../../stream/collector.js';
import { DurableProducer } from '../../stream/durable-producer.js';
import type { Logger } from '../../telemetry/log.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { SinkFault } from './fault.js';
import { SINK_TOPICS } from './intake.js';
import { SinkWorker } from './worker.js';

export interface SinkRoleOptions {
  kafka: KafkaConnection;
  groupId: string;
  clickhouse: ClickHouse;
  codecs: {
    call: TopicCodec<Call>;
    recording: TopicCodec<Recording>;
    callEvent: TopicCodec<CallEvent>;
    deadLetter: TopicCodec<DeadLetter>;
    alert: TopicCodec<Alert>;
  };
  /** Retention of calls, ms. */
  keepCallsMs: number;
  logger: Logger;
  metrics: Metrics;
  /** The sink can do no more: exit non-zero. */
  onFatal: (error: unknown) => void;
  /** For tests. */
  fault?: SinkFault;
}

const LAG_EVERY_MS = 5_000;

/** The sink with its Kafka: calls, recordings, events and dead letters into ClickHouse, and the rollups. The caller owns the ClickHouse client. */
export class Sink {
  readonly #o: SinkRoleOptions;
  readonly #collector: Collector;
  readonly #producer: DurableProducer;
  readonly #worker: SinkWorker;
  #lagTimer: NodeJS.Timeout | null = null;

  constructor(options: SinkRoleOptions) {
    this.#o = options;
    const { kafka, logger, metrics, codecs, onFatal } = options;
    this.#collector = new Collector({ name: 'sink', kafka, groupId: options.groupId, topics: SINK_TOPICS, logger, onFatal });
    this.#producer = new DurableProducer({ kafka, logger });
    this.#worker = new SinkWorker({
      source: this.#collector,
      // One roller is enough: that of the member with the first partition.
      rolls: () => this.#collector.owns(TOPICS.calls.name, 0),
      send: (records) => this.#producer.send(records),
      clickhouse: options.clickhouse,
      readers: { ...codecs, call: codecs.call.only(...CALL_FIELDS) },
      keepCallsMs: options.keepCallsMs,
      logger,
      metrics,
      onFatal,
      fault: options.fault,
    });
  }

  /** Joins the group; resolves then. */
  async start(): Promise<void> {
    await this.#collector.start();
    this.#worker.start();
    this.#lagTimer = setInterval(() => void this.#measureLag(), LAG_EVERY_MS);
  }

  /** Stores and commits what has been taken, and leaves the group. */
  async stop(): Promise<void> {
    if (this.#lagTimer !== null) clearInterval(this.#lagTimer);
    await this.#worker.stop();
    await this.#collector.stop();
    await this.#producer.close();
  }

  /** Empty when everything works. */
  problems(): string[] {
    return this.#worker.problems();
  }

  async #measureLag(): Promise<void> {
    try {
      for (const [topic, records] of await this.#collector.lag()) this.#o.metrics.callstream_sink_lag.set({ topic }, records);
    } catch (error) {
      this.#o.logger.debug({ err: error }, 'the lag cannot be read now');
    }
  }
}
