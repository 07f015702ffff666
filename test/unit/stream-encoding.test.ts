import { createRequire } from 'node:module';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { crc32c } from '../../src/stream/crc32c.js';
import { produceRequest } from '../../src/stream/kafkajs-produce.js';

// This file never loads src/stream/kafkajs.ts, so here kafkajs is as it was made.
const require = createRequire(import.meta.url);
const original = require('kafkajs/src/protocol/requests/produce/v3/request.js');
const Encoder = require('kafkajs/src/protocol/encoder.js');
const replaced = produceRequest(original, Encoder);

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
