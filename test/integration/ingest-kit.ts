import { Kafka, logLevel } from 'kafkajs';
import { localCodec } from '../../src/codec/codec.js';
import type { RawEvent } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { silentLogger } from '../../src/telemetry/log.js';

export const TOPIC = TOPICS.rawTuicallkit;
export const PARTITIONS = 4;
export const APP = '1400000001';
export const PATH = `/callbacks/tuicallkit?sdkappid=${APP}&command=caller_start_call&contenttype=json&clientip=127.0.0.1&optplatform=iOS`;

export async function createRawTopic(brokers: string[]): Promise<void> {
  const admin = new TopicAdmin({ kafka: { brokers }, logger: silentLogger() });
  await admin.migrate({ partitions: PARTITIONS, groups: {}, topics: [TOPIC] });
  await admin.close();
}

export interface StoredEvent {
  partition: number;
  offset: number;
  key: string;
  event: RawEvent;
}

/** Everything in the raw topic at this moment, in offset order per partition. */
export async function readRawTopic(brokers: string[]): Promise<StoredEvent[]> {
  const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { initialRetryTime: 50, retries: 20 } });
  const admin = kafka.admin();
  await admin.connect();
  const missing = new Map<number, number>();
  for (const { partition, low, high } of await admin.fetchTopicOffsets(TOPIC.name)) {
    if (Number(high) > Number(low)) missing.set(partition, Number(high));
  }
  await admin.disconnect();
  const codec = localCodec(TOPIC);
  const stored: StoredEvent[] = [];
  if (missing.size === 0) return stored;

  const consumer = kafka.consumer({ groupId: `reader-${process.hrtime.bigint()}` });
  await consumer.connect();
  await consumer.subscribe({ topic: TOPIC.name, fromBeginning: true });
  await new Promise<void>((resolve, reject) => {
    consumer.on('consumer.crash', ({ payload }) => reject(payload.error));
    void consumer.run({
      eachMessage: async ({ partition, message }) => {
        const offset = Number(message.offset);
        if (message.value === null) throw new Error('a raw record without a value');
        stored.push({ partition, offset, key: String(message.key), event: codec.decode(message.value) });
        if (offset + 1 >= (missing.get(partition) ?? 0)) missing.delete(partition);
        if (missing.size === 0) resolve();
      },
    });
  });
  await consumer.disconnect();
  return stored.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}

export const bodyOf = (call: string, n: number): string =>
  JSON.stringify({ CallId: call, UserId: 'Alice', Event: 'start_call', EventTime: 1_704_695_566 + n, n });

/** The `n` of every event of each call, in the order of the topic, repeats of the same delivery left out. */
export function sequences(stored: readonly StoredEvent[]): Map<string, number[]> {
  const seen = new Set<string>();
  const byCall = new Map<string, number[]>();
  for (const { event } of stored) {
    if (seen.has(event.id)) continue;
    seen.add(event.id);
    const { CallId, n } = JSON.parse(event.body.toString()) as { CallId: string; n: number };
    byCall.set(CallId, [...(byCall.get(CallId) ?? []), n]);
  }
  return byCall;
}
