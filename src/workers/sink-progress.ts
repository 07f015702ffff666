import { createClients, type KafkaConnection } from '../stream/client.js';
import { OffsetReader } from '../stream/offsets.js';
import type { Logger } from '../telemetry/log.js';

export interface SinkProgressOptions {
  kafka: KafkaConnection;
  logger: Logger;
  /** Consumer group of the sink. */
  sinkGroupId: string;
  /** The topic whose reading is watched. */
  topic: string;
  /** The next offset that the sink will read of a partition: everything before it is in ClickHouse. */
  heard: (nextOffset: (partition: number) => number) => void;
  /** After every attempt, also one that failed. */
  asked: () => void;
}

/** How often the sink's progress is asked for: how much later than its retention something may leave a worker's state. */
const EVERY_MS = 1_000;

/** Asks now and then how far the sink has come with a topic: what it has not stored must stay in the state that publishes it. */
export class SinkProgress {
  readonly #o: SinkProgressOptions;
  readonly #offsets: OffsetReader;
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: SinkProgressOptions) {
    this.#o = options;
    this.#offsets = new OffsetReader(createClients(options.kafka, options.logger));
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#asking = this.#ask().finally(() => {
        if (!this.#stopped) this.start();
      });
    }, EVERY_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#asking;
    await this.#offsets.close();
  }

  async #ask(): Promise<void> {
    const { sinkGroupId, topic, logger, heard, asked } = this.#o;
    try {
      const committed = (await this.#offsets.committed(sinkGroupId, [topic])).get(topic) ?? [];
      heard((partition) => Math.max(0, committed[partition]?.offset ?? 0));
    } catch (error) {
      logger.warn({ err: error, topic }, 'the progress of the sink could not be read; what is published stays in the state until it can');
    }
    asked();
  }
}
