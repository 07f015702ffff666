import type { TopicCodec } from '../codec/codec.js';
import type { DeadLetter } from '../codec/generated.js';
import { TOPICS } from '../codec/topics.js';
import type { Delivery } from '../sources/element.js';
import type { InputRecord, OutputRecord } from '../stream/types.js';

/** Where in the road an input failed: its frame, its body, the fold, its ClickHouse row, or the receiver of a webhook. */
export type Stage = 'decode' | 'parse' | 'fold' | 'row' | `webhook:${string}`;

export interface Failure {
  record: InputRecord;
  /** The decoded delivery; null when it could not be decoded. */
  raw: Delivery | null;
  /** Position of the element within the delivery; -1: all of it. */
  index: number;
  stage: Stage;
  /** Stable code. */
  reason: string;
  /** For people; cut to a readable length. */
  error: string;
}

const MAX_ERROR_LENGTH = 1_000;

/** The dead letter of an input: what is needed to see why it failed, and to send it through again. */
export function deadLetterOutput(codec: TopicCodec<DeadLetter>, partition: number, failure: Failure): OutputRecord {
  const { record, raw, index } = failure;
  const origin = `${record.topic}:${record.partition}:${record.offset}${index < 0 ? '' : `:${index}`}`;
  return {
    topic: TOPICS.deadLetters.name,
    partition,
    key: origin,
    value: codec.encode({
      stage: failure.stage,
      reason: failure.reason,
      error: failure.error.slice(0, MAX_ERROR_LENGTH),
      source: raw?.source ?? '',
      app_id: raw?.app_id ?? '',
      received_at: raw?.received_at ?? record.timestamp,
      origin_topic: record.topic,
      origin_partition: record.partition,
      origin_offset: record.offset,
      origin_index: index,
      key: record.key?.toString() ?? '',
      body: raw?.body ?? Buffer.from(record.value ?? ''),
    }),
  };
}
