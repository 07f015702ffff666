import { createRequire } from 'node:module';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { crc32c } from '../../src/stream/crc32c.js';
import { batchDecoder } from '../../src/stream/kafkajs-fetch.js';
import { produceRequest } from '../../src/stream/kafkajs-produce.js';

// This file never loads src/stream/kafkajs.ts, so here kafkajs is as it was made.
const require = createRequire(import.meta.url);
const original = require('kafkajs/src/protocol/requests/produce/v3/request.js');
const Encoder = require('kafkajs/src/protocol/encoder.js');
const replaced = produceRequest(original, Encoder);
const Decoder = require('kafkajs/src/protocol/decoder.js');
const originalDecode = require('kafkajs/src/protocol/recordBatch/v0/decoder.js');
const createBatch = require('kafkajs/src/protocol/recordBatch/v0/index.js').RecordBatch;
const createRecord = require('kafkajs/src/protocol/recordBatch/record/v0/index.js');

beforeEach(() => {
  vi.useFakeTimers({ now: 1_790_000_000_000, toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('crc32c', () => {
  it('gives the values of RFC 3720 B.4', () => {
    expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff), 0, 32)).toBe(0x62a8ab43);
    expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0, 32)).toBe(0x46dd794e);
    expect(crc32c(Buffer.from('xx123456789y'), 2, 11)).toBe(0xe3069283);
  });
});

describe('the replaced produce request', () => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ maxLength: 200 }));
  const bytes = fc.oneof(
    text,
    fc.uint8Array({ maxLength: 300 }).map((a) => Buffer.from(a)),
  );
  const message = fc.record(
    {
      key: fc.option(bytes),
      value: fc.option(bytes),
      headers: fc.dictionary(fc.string({ maxLength: 20 }), fc.oneof(bytes, fc.array(bytes, { maxLength: 3 })), { maxKeys: 4 }),
    },
    { requiredKeys: ['key', 'value'] },
  );
  const partition = fc.record({
    partition: fc.nat(),
    firstSequence: fc.nat(),
    messages: fc.array(message, { minLength: 1, maxLength: 80 }),
  });
  const request = fc.record({
    acks: fc.constant(-1),
    timeout: fc.nat(),
    transactionalId: fc.option(text, { nil: undefined }),
    producerId: fc.oneof(fc.constant('-1'), fc.bigInt({ min: 0n, max: 2n ** 62n }).map(String)),
    producerEpoch: fc.nat({ max: 32_767 }),
    topicData: fc.array(fc.record({ topic: text, partitions: fc.array(partition, { maxLength: 3 }) }), { maxLength: 3 }),
  });

  it('is what kafkajs writes, byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(request, async (of) => {
        const ours = (await replaced(of).encode()) as { buffer: Buffer };
        const theirs = (await original(of).encode()) as { buffer: Buffer };
        expect(ours.buffer.equals(theirs.buffer)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps timestamps that records bring along', async () => {
    const messages = ['1789999999000', '1790000000001', '1789000000000'].map((timestamp) => ({ key: 'k', value: 'v', timestamp }));
    const of = { acks: -1, timeout: 1, topicData: [{ topic: 't', partitions: [{ partition: 0, messages: messages.slice(0, 2) }] }] };
    const ours = (await replaced(of).encode()) as { buffer: Buffer };
    const theirs = (await original(of).encode()) as { buffer: Buffer };
    expect(ours.buffer.equals(theirs.buffer)).toBe(true);
  });

  it('leaves compressed batches to kafkajs', async () => {
    const of = {
      acks: -1,
      timeout: 1,
      compression: 1,
      topicData: [{ topic: 't', partitions: [{ partition: 0, messages: [{ key: 'k', value: 'v' }] }] }],
    };
    const ours = (await replaced(of).encode()) as { buffer: Buffer };
    const theirs = (await original(of).encode()) as { buffer: Buffer };
    expect(ours.buffer.equals(theirs.buffer)).toBe(true);
  });

  it('never gives out a buffer that a later request writes to', async () => {
    const of = (value: string) => ({
      acks: -1,
      timeout: 1,
      topicData: [{ topic: 't', partitions: [{ partition: 0, messages: [{ key: null, value }] }] }],
    });
    const first = ((await replaced(of('first')).encode()) as { buffer: Buffer }).buffer;
    const before = Buffer.from(first);
    await replaced(of('second')).encode();
    expect(first.equals(before)).toBe(true);
  });
});

describe('the replaced record batch decoder', () => {
  const bytes = fc.option(fc.uint8Array({ maxLength: 200 }).map((a) => Buffer.from(a)));
  // kafkajs takes what every object inherits for a first value.
  const name = fc.string({ unit: 'binary', maxLength: 20 }).filter((s) => !(s in {}));
  const record = fc.record({
    key: bytes,
    value: bytes,
    headers: fc.dictionary(name, fc.oneof(fc.string(), fc.array(fc.string(), { maxLength: 3 })), { maxKeys: 4 }),
    timestampDelta: fc.oneof(fc.nat(), fc.integer(), fc.bigInt({ min: -(2n ** 50n), max: 2n ** 50n }).map(Number)),
    offsetDelta: fc.oneof(fc.nat({ max: 300 }), fc.nat()),
  });
  const batch = fc.record({
    firstOffset: fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 62n }).map(String)),
    firstTimestamp: fc.oneof(fc.constant(1_790_000_000_000), fc.nat()),
    maxTimestamp: fc.nat(),
    partitionLeaderEpoch: fc.nat(),
    lastOffsetDelta: fc.nat(),
    producerId: fc.oneof(fc.constant('-1'), fc.bigInt({ min: 0n, max: 2n ** 62n }).map(String)),
    producerEpoch: fc.nat({ max: 32_767 }),
    firstSequence: fc.nat(),
    transactional: fc.boolean(),
    records: fc.array(record, { maxLength: 40 }),
  });
  /** Transactional or not, control or data, created or appended times, of one batch or several behind each other. */
  const fetched = fc.record({ batches: fc.array(batch, { minLength: 1, maxLength: 3 }), more: fc.constantFrom(0, 0x08, 0x20, 0x28) });

  type Fetched = typeof fetched extends fc.Arbitrary<infer T> ? T : never;
  const encode = async ({ batches, more }: Fetched): Promise<Buffer> => {
    const parts: Buffer[] = [];
    for (const of of batches) {
      const encoder = await createBatch({ ...of, records: of.records.map((r) => createRecord(r)) });
      const buffer: Buffer = encoder.buffer;
      buffer.writeInt16BE(buffer.readInt16BE(21) | more, 21);
      parts.push(buffer);
    }
    return Buffer.concat(parts);
  };
  const decodeAll = async (decode: (cursor: object) => Promise<{ records: { headers: object }[] }>, bytes: Buffer, batches: number) => {
    const cursor = new Decoder(bytes);
    const all = [];
    for (let i = 0; i < batches; i++) {
      const decoded = await decode(cursor);
      all.push({ ...decoded, records: decoded.records.map((r) => ({ ...r, headers: r.headers })), offset: cursor.offset });
    }
    return all;
  };

  it('reads what kafkajs reads', async () => {
    await fc.assert(
      fc.asyncProperty(fetched, async (of) => {
        const encoded = await encode(of);
        const ours = await decodeAll(batchDecoder(originalDecode) as never, encoded, of.batches.length);
        const theirs = await decodeAll(originalDecode, encoded, of.batches.length);
        expect(ours).toEqual(theirs);
      }),
      { numRuns: 300 },
    );
  });

  it('does not need kafkajs for a plain batch, and leaves one that is compressed, cut off or too short to it', async () => {
    const fallback = vi.fn(() => Promise.reject(new Error('left to kafkajs')));
    const decode = batchDecoder(fallback);
    const one = { ...(fc.sample(batch, { numRuns: 1, seed: 1 })[0] as Fetched['batches'][number]), records: [] };
    const whole = await encode({ batches: [one], more: 0 });
    await decode(new Decoder(whole));
    expect(fallback).not.toHaveBeenCalled();
    const compressed = Buffer.from(whole);
    compressed.writeInt16BE(0x01, 21);
    for (const bytes of [compressed, whole.subarray(0, whole.length - 1), whole.subarray(0, 50)])
      await expect(decode(new Decoder(bytes))).rejects.toThrow('left to kafkajs');
  });

  it('refuses a record that reaches beyond its batch', async () => {
    const message = { key: null, value: Buffer.from('v'), headers: {}, timestampDelta: 0, offsetDelta: 0 };
    const one = { ...(fc.sample(batch, { numRuns: 1, seed: 1 })[0] as Fetched['batches'][number]), records: [message] };
    const bytes = await encode({ batches: [one], more: 0 });
    // The length of the value, before its one byte and the count of headers.
    bytes[bytes.length - 3] = 0x40;
    await expect(async () => batchDecoder(originalDecode)(new Decoder(bytes))).rejects.toThrow(RangeError);
  });
});
