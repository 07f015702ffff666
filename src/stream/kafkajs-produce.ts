import { replaceExports } from './kafkajs-module.js';
import { type BatchRecord, Writer } from './record-batch.js';

const REQUEST = 'kafkajs/src/protocol/requests/produce/v3/request.js';
const GROUPING = 'kafkajs/src/producer/groupMessagesPerPartition.js';

interface ProduceRequest {
  acks: number;
  timeout: number;
  transactionalId?: string | null;
  producerId?: unknown;
  producerEpoch?: number;
  compression?: number;
  topicData: readonly {
    topic: string;
    partitions: readonly { partition: number; firstSequence?: number; messages: readonly BatchRecord[] }[];
  }[];
}

interface EncodedRequest {
  apiKey: number;
  apiVersion: number;
  apiName: string;
  expectResponse: () => boolean;
  encode: () => Promise<unknown>;
}

type CreateRequest = (request: ProduceRequest) => EncodedRequest;

interface GroupRequest {
  topic: string;
  partitionMetadata: readonly unknown[];
  messages: readonly BatchRecord[];
  partitioner: (of: { topic: string; partitionMetadata: readonly unknown[]; message: BatchRecord }) => number;
}

/**
 * Makes kafkajs's produce requests (version 3, on which all later ones are built) use {@link Writer}, and groups messages by partition without
 * copying the list once per message. Must run before kafkajs is loaded.
 */
export function replaceEncoder(require: NodeJS.Require): void {
  const original = require(REQUEST) as CreateRequest;
  const Encoder = require('kafkajs/src/protocol/encoder.js') as new (size?: number) => { buf: Buffer; offset: number };
  replaceExports(require, REQUEST, produceRequest(original, Encoder));
  require(GROUPING);
  replaceExports(require, GROUPING, groupByPartition);
}

export function produceRequest(original: CreateRequest, Encoder: new (size?: number) => { buf: Buffer; offset: number }): CreateRequest {
  const writer = new Writer();
  return (request) => {
    const encoded = original(request);
    if (request.compression) return encoded;
    return {
      ...encoded,
      encode: async () => {
        const bytes = encode(writer, request);
        const encoder = new Encoder(1);
        encoder.buf = bytes;
        encoder.offset = bytes.length;
        return encoder;
      },
    };
  };
}

function encode(writer: Writer, { acks, timeout, transactionalId, producerId, producerEpoch, topicData }: ProduceRequest): Buffer {
  const now = Date.now();
  const producer = BigInt(producerId === undefined ? -1 : String(producerId));
  writer.string(transactionalId ?? null);
  writer.int16(acks);
  writer.int32(timeout);
  writer.int32(topicData.length);
  for (const { topic, partitions } of topicData) {
    writer.string(topic);
    writer.int32(partitions.length);
    for (const { partition, firstSequence, messages } of partitions) {
      writer.int32(partition);
      writer.recordBatch({
        records: messages,
        transactional: Boolean(transactionalId),
        producerId: producer,
        producerEpoch: producerEpoch ?? 0,
        firstSequence: firstSequence ?? 0,
        now,
      });
    }
  }
  return writer.take();
}

function groupByPartition({ topic, partitionMetadata, messages, partitioner }: GroupRequest): Record<number, BatchRecord[]> {
  const groups: Record<number, BatchRecord[]> = {};
  if (partitionMetadata.length === 0) return groups;
  for (const message of messages) {
    const partition = partitioner({ topic, partitionMetadata, message });
    const group = groups[partition];
    if (group === undefined) groups[partition] = [message];
    else group.push(message);
  }
  return groups;
}
