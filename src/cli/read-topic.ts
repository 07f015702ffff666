import type { TopicCodec } from '../codec/codec.js';
import { CodecError } from '../codec/registry.js';
import type { Topic } from '../codec/topics.js';
import { CallstreamError, messageOf } from '../domain/errors.js';
import type { KafkaConnection } from '../stream/client.js';
import { createClients } from '../stream/client.js';
import { type LogRange, OffsetReader } from '../stream/offsets.js';
import { Restorer } from '../stream/restorer.js';
import type { InputRecord } from '../stream/types.js';
import type { Logger } from '../telemetry/log.js';

/** Offsets of one piece. */
const PIECE_OFFSETS = 20_000;

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

  /** To the ends that the partitions have now: from their beginning, or where `from` says; each partition in order. */
  async readAll(sink: (records: InputRecord[]) => void, from: ReadonlyMap<number, number> = new Map()): Promise<void> {
    const ranges = await this.#offsets.ranges(this.#topic);
    const begin = ranges.map(({ low }, partition) => Math.max(low, from.get(partition) ?? 0));
    await Promise.all(
      ranges.flatMap(({ end }, partition) =>
        begin[partition]! < end ? this.#restorer.restore(partition, begin[partition]!, end - 1, sink) : [],
      ),
    );
  }

  /**
   * As {@link readAll}, a piece at a time, one partition after the other: the next piece is read while `take` works on the last, and no further. `take` is also
   * told how many offsets the piece spans: compaction and transactions leave holes.
   */
  async readPieces(
    ranges: readonly LogRange[],
    take: (records: InputRecord[], offsets: number) => Promise<void>,
    size = PIECE_OFFSETS,
  ): Promise<void> {
    let taken = Promise.resolve();
    for (const [partition, { low, end }] of ranges.entries()) {
      for (let from = low; from < end; from += size) {
        const to = Math.min(from + size, end);
        const records: InputRecord[] = [];
        // Retention may have moved on since the ranges were asked for.
        const begin = Math.max(from, (await this.#offsets.ranges(this.#topic))[partition]?.low ?? from);
        await this.#restorer.restore(partition, begin, to - 1, (some) => records.push(...some));
        await taken;
        taken = take(records, to - from);
        taken.catch(() => {});
      }
    }
    await taken;
  }

  /** Where the logs of the partitions start and end. */
  ranges(): Promise<LogRange[]> {
    return this.#offsets.ranges(this.#topic);
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

/** Hands every readable record of a topic to `sink`, or those from an offset of each partition on; what cannot be decoded is left out (it is a dead letter). */
export async function readDecoded<T>(
  reader: TopicReader,
  codec: TopicCodec<T>,
  sink: (record: InputRecord, value: T) => void,
  from?: ReadonlyMap<number, number>,
): Promise<void> {
  // Schemas are loaded asynchronously, records come synchronously: one batch is decoded after the other.
  let decoding = Promise.resolve();
  const decode = async (records: readonly InputRecord[]): Promise<void> => {
    await codec.resolve(records.map((record) => record.value));
    for (const record of records) {
      if (record.value === null) continue;
      try {
        sink(record, codec.decode(record.value));
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
      }
    }
  };
  await reader.readAll((records) => {
    decoding = decoding.then(() => decode(records));
    decoding.catch(() => {});
  }, from);
  await decoding;
}

/** Everything on a topic that can be decoded. @param what it is, for errors @throws CallstreamError KAFKA_UNAVAILABLE, REGISTRY_UNAVAILABLE */
export async function readWhole<T>(
  kafka: KafkaConnection,
  groupId: string,
  topic: Topic<T>,
  codec: TopicCodec<T>,
  what: string,
  logger: Logger,
): Promise<T[]> {
  const reader = new TopicReader(kafka, groupId, topic.name, logger);
  try {
    const values: T[] = [];
    await readDecoded(reader, codec, (_record, value) => values.push(value));
    return values;
  } catch (error) {
    if (error instanceof CallstreamError) throw error;
    throw new CallstreamError('KAFKA_UNAVAILABLE', `${what} cannot be read: ${messageOf(error)}`, { cause: error });
  } finally {
    await reader.close();
  }
}
