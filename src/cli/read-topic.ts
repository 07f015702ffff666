import type { KafkaConnection } from '../stream/client.js';
import { createClients } from '../stream/client.js';
import { OffsetReader } from '../stream/offsets.js';
import { Restorer } from '../stream/restorer.js';
import type { InputRecord } from '../stream/types.js';
import type { Logger } from '../telemetry/log.js';

/** Reads committed records of a topic outside of any worker's group. */
export class TopicReader {
  readonly #topic: string;
  readonly #offsets: OffsetReader;
  readonly #restorer: Restorer;

  constructor(kafka: KafkaConnection, groupId: string, topic: string, logger: Logger) {
    const clients = createClients(kafka, logger);
    this.#topic = topic;
    this.#offsets = new OffsetReader(clients);
    this.#restorer = new Restorer({ clients, groupId, topic });
  }

  /** From the beginning to the ends that the partitions have now; each partition in order. */
  async readAll(sink: (records: InputRecord[]) => void | Promise<void>): Promise<void> {
    const ranges = await this.#offsets.ranges(this.#topic);
    await Promise.all(ranges.map(({ low, end }, partition) => this.#restorer.restore(partition, low, end - 1, sink)));
  }

  /** null when retention has taken it, or it is not there yet. */
  async readOne(partition: number, offset: number): Promise<InputRecord | null> {
    const range = (await this.#offsets.ranges(this.#topic))[partition];
    if (range === undefined || offset < range.low || offset >= range.end) return null;
    let found: InputRecord | null = null;
    await this.#restorer.restore(partition, offset, offset, (records) => {
      found = records[0] ?? found;
    });
    return found;
  }

  async close(): Promise<void> {
    await this.#restorer.close();
    await this.#offsets.close();
  }
}
