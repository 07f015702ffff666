import type { Message, RecordMetadata, TopicMessages } from 'kafkajs';
import { CallstreamError } from '../domain/errors.js';
import { systemClock } from '../telemetry/clock.js';
import type { OutputRecord } from './types.js';

/** kafkajs sends all records of a partition as one record batch, which must stay below the topic's max.message.bytes (1 MB by default). */
const MAX_BATCH_BYTES = 800_000;
/** Most records of a partition in one request: what a refusal sends again stays small. */
const MAX_BATCH_RECORDS = 2_000;
const RECORD_OVERHEAD = 32;

/** Requests that together carry the records, in order for each partition, no record batch of which is too large. */
export function toRequests(records: readonly OutputRecord[]): TopicMessages[][] {
  const requests: Map<string, Message[]>[] = [];
  // Brokers refuse what is dated more than an hour ahead of their own clock.
  const timestamp = String(systemClock.now());
  const open = new Map<string, { request: number; bytes: number; count: number }>();
  for (const record of records) {
    const size = sizeOf(record);
    const place = `${record.partition}:${record.topic}`;
    let at = open.get(place);
    if (at === undefined) {
      at = { request: 0, bytes: 0, count: 0 };
      open.set(place, at);
    } else if (at.bytes + size > MAX_BATCH_BYTES || at.count === MAX_BATCH_RECORDS) {
      at.request += 1;
      at.bytes = 0;
      at.count = 0;
    }
    at.bytes += size;
    at.count += 1;
    let request = requests[at.request];
    if (request === undefined) {
      request = new Map();
      requests[at.request] = request;
    }
    let messages = request.get(record.topic);
    if (messages === undefined) {
      messages = [];
      request.set(record.topic, messages);
    }
    const message: Message = { key: record.key, value: record.value, partition: record.partition, timestamp };
    if (record.headers !== undefined) message.headers = record.headers;
    messages.push(message);
  }
  return requests.map((request) => [...request].map(([topic, messages]) => ({ topic, messages })));
}

function sizeOf({ key, value, headers }: OutputRecord): number {
  let size = RECORD_OVERHEAD + key.length + (value?.length ?? 0);
  for (const name in headers) size += name.length + (headers[name] as string).length + 4;
  return size;
}

/**
 * Rule 5: `send()` can resolve although the records of a partition were never written, when its leader moves during a retry.
 * Every partition sent to must be in the answer, without an error.
 * @throws CallstreamError STREAM_SEND_INCOMPLETE
 */
export function checkCovered(request: readonly TopicMessages[], answer: readonly RecordMetadata[]): void {
  const written = new Set<string>();
  for (const { topicName, partition, errorCode } of answer) if (errorCode === 0) written.add(`${partition}:${topicName}`);
  for (const { topic, messages } of request) {
    let last = -1;
    for (const { partition } of messages) {
      if (partition === last) continue;
      last = partition as number;
      if (!written.has(`${partition}:${topic}`)) {
        throw new CallstreamError(
          'STREAM_SEND_INCOMPLETE',
          `The answer to a send says nothing of partition ${partition} of ${topic}: its records may not be written.`,
        );
      }
    }
  }
}

/** Every record names its partition: there is no partitioner. */
export const explicitPartition =
  () =>
  ({ message }: { message: Message }): number =>
    message.partition as number;
