import type { RawEvent } from '../codec/generated.js';
import { partitionOf } from '../stream/partition.js';
import type { Delivery } from './delivery.js';

/** Where deliveries become durable for good: Kafka. */
export interface Outlet {
  /** Resolves when every delivery is on all in-sync replicas; on any failure some may be there and some not. */
  send(deliveries: readonly Delivery[]): Promise<void>;
}

/** The record that a producer takes. */
export interface RawRecord {
  topic: string;
  key: string;
  value: Buffer;
  partition: number;
}

/** What {@link kafkaOutlet} is made of; src/stream and src/codec have the real things. */
export interface KafkaParts {
  /** DurableProducer of src/stream: resolves only when all records were acknowledged by all in-sync replicas. */
  producer: { send(records: RawRecord[]): Promise<void> };
  /** By topic name. */
  codecs: ReadonlyMap<string, { encode(event: RawEvent): Buffer }>;
  /** Partitions of every raw topic. */
  partitions: number;
}

/** Encodes, partitions by key and sends. */
export function kafkaOutlet({ producer, codecs, partitions }: KafkaParts): Outlet {
  const recordOf = ({ topic, key, event }: Delivery): RawRecord => {
    const codec = codecs.get(topic);
    if (codec === undefined) throw new Error(`no codec for ${topic}`);
    return { topic, key, value: codec.encode(event), partition: partitionOf(key, partitions) };
  };
  return { send: async (deliveries) => producer.send(deliveries.map(recordOf)) };
}
