import { randomUUID } from 'node:crypto';
import type { TopicCodec } from '../codec/codec.js';
import type { RawEvent } from '../codec/generated.js';
import { TOPICS } from '../codec/topics.js';
import { joinKey } from '../domain/key.js';
import type { CallKey } from '../domain/types.js';
import { recordKey, type StoredEvent } from '../sources/element.js';
import { callSourceOf } from '../sources/registry.js';
import { partitionOf } from '../stream/partition.js';
import type { OutputRecord } from '../stream/types.js';
import type { Clock } from '../telemetry/clock.js';
import { refoldDelivery } from './refold.js';

/** One input of a call as ClickHouse keeps it. */
export interface StoredInput extends StoredEvent {
  source: string;
  received_at: number;
}

export interface RepairDeps {
  /** Every distinct input of a call that `call_events` has. */
  inputsOf(key: CallKey): Promise<readonly StoredInput[]>;
  /** Resolves when the records are durable. */
  send(records: OutputRecord[]): Promise<void>;
  codec: Pick<TopicCodec<RawEvent>, 'encode'>;
  /** Partitions of the raw topics. */
  partitions: number;
  clock: Clock;
  /** For tests. */
  fault?: (point: RepairFaultPoint) => void | Promise<void>;
}

/** The publication of a call's inputs on the late topic, before and after. */
export const REPAIR_FAULT_POINTS = ['repair:before-send', 'repair:after-send'] as const;
export type RepairFaultPoint = (typeof REPAIR_FAULT_POINTS)[number];

/**
 * Sends one call through its worker again, by the late topic: the inputs that `call_events` has are united with those stored in the call itself,
 * which is then derived anew. The worker publishes a further revision if, and only if, the record says something else than before.
 * Returns the number of inputs sent. Rejects when ClickHouse or Kafka is away; repeating it is harmless.
 */
export async function repairCall(key: CallKey, deps: RepairDeps): Promise<number> {
  const inputs = await deps.inputsOf(key);
  const deliveries: RawEvent[] = [];
  for (const input of inputs) {
    const source = callSourceOf(input.source);
    if (source === undefined) continue;
    deliveries.push({
      id: randomUUID(),
      source: source.name,
      app_id: key.app_id,
      received_at: input.received_at,
      auth: 'repair',
      remote_addr: '',
      ...source.rebuild(input),
    });
  }
  deliveries.push(refoldDelivery(key, randomUUID(), deps.clock.now()));
  const record = recordKey(joinKey(key));
  const partition = partitionOf(record, deps.partitions);
  await deps.fault?.('repair:before-send');
  await deps.send(deliveries.map((d) => ({ topic: TOPICS.rawLate.name, partition, key: record, value: deps.codec.encode(d) })));
  await deps.fault?.('repair:after-send');
  return inputs.length;
}
