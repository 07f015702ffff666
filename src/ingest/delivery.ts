import type { RawEvent } from '../codec/generated.js';
import { CallstreamError } from '../domain/errors.js';

/** An authenticated callback on its way to its raw topic. */
export interface Delivery {
  topic: string;
  /** Record key; decides the partition. */
  key: string;
  event: RawEvent;
}

/** What a delivery weighs in a Kafka batch or in memory, roughly and rather too much. */
export const weightOf = (delivery: Delivery): number =>
  delivery.event.body.length + delivery.key.length + delivery.event.query.length + 256;

type Head = Omit<RawEvent, 'body'> & { v: 1; topic: string; key: string };

/**
 * A delivery as the spool keeps it: length of the head (uint32), the head as JSON, the body. Neither the registry nor
 * the partition count is needed to write it, so that an ingest that starts while both are away can take callbacks.
 */
export function packDelivery({ topic, key, event }: Delivery): Buffer {
  const { body, ...rest } = event;
  const head = Buffer.from(JSON.stringify({ v: 1, topic, key, ...rest } satisfies Head));
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, body]);
}

/** @throws CallstreamError SPOOL_RECORD_INVALID */
export function unpackDelivery(bytes: Buffer): Delivery {
  try {
    const end = 4 + bytes.readUInt32BE(0);
    const head: unknown = JSON.parse(bytes.toString('utf8', 4, end));
    if (isHead(head) && end <= bytes.length) {
      const { v: _, topic, key, ...event } = head;
      return { topic, key, event: { ...event, body: bytes.subarray(end) } };
    }
  } catch (cause) {
    throw new CallstreamError('SPOOL_RECORD_INVALID', 'a spool record is not a delivery', { cause });
  }
  throw new CallstreamError('SPOOL_RECORD_INVALID', 'a spool record is of another version');
}

const TEXTS = ['topic', 'key', 'id', 'source', 'app_id', 'auth', 'remote_addr', 'query'] as const satisfies readonly (keyof Head)[];

/** Whatever a record lacks would otherwise fail when it is encoded, and hold up those behind it for ever. */
function isHead(value: unknown): value is Head {
  if (typeof value !== 'object' || value === null) return false;
  const head = value as Partial<Record<keyof Head, unknown>>;
  return head.v === 1 && Number.isSafeInteger(head.received_at) && TEXTS.every((name) => typeof head[name] === 'string');
}
