import { replaceExports } from './kafkajs-module.js';
import { type BatchRecord, Writer } from './record-batch.js';

const REQUEST = 'kafkajs/src/protocol/requests/produce/v3/request.js';

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

/**
 * Makes kafkajs's produce requests (version 3, on which all later ones are built) use {@link Writer}. Must run before kafkajs is loaded.
 */
export function replaceEncoder(require: NodeJS.Require): void {
  const original = require(REQUEST) as CreateRequest;
  const Encoder = require('kafkajs/src/protocol/encoder.js') as new (size?: number) => { buf: Buffer; offset: number };
  replaceExports(require, REQUEST, produceRequest(original, Encoder));
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
