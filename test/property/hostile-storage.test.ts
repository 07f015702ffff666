import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { localCodec, openCodec } from '../../src/codec/codec.js';
import type { RawEvent } from '../../src/codec/generated.js';
import type { SchemaRegistry } from '../../src/codec/registry.js';
import { TOPICS, type Topic } from '../../src/codec/topics.js';
import { CallstreamError } from '../../src/domain/errors.js';
import { packDelivery, unpackDelivery } from '../../src/ingest/delivery.js';
import { Spool } from '../../src/ingest/spool.js';
import { encodeEntries, readFrames } from '../../src/ingest/spool-format.js';
import { damaged, fuzz, fuzzAsync, growthOf } from '../support/fuzz.js';

/*
 * Bytes that lie: frames of Kafka and files of the spool, damaged or made by somebody else.
 */

const RAW: RawEvent = {
  id: 'x',
  source: 'tuicallkit',
  app_id: '1',
  received_at: 1_700_000_000_000,
  auth: 'app',
  remote_addr: '127.0.0.1',
  query: 'a=b',
  body: Buffer.from('{"CallId":"c"}'),
};

/** The code of what is thrown; anything but an error with a code fails the test. */
function codeOf(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    expect(error).toBeInstanceOf(CallstreamError);
    return (error as CallstreamError).code;
  }
}

/** An Avro long. */
function long(value: number | bigint): Buffer {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  const bytes: number[] = [];
  do {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? byte | 0x80 : byte);
  } while (rest > 0n);
  return Buffer.from(bytes);
}

const LENGTHS = [
  0,
  1,
  -1,
  2,
  63,
  -64,
  1_000,
  2 ** 20,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 53,
  -(2n ** 63n),
  2n ** 63n - 1n,
];

describe('frames of Kafka', () => {
  const topics = Object.values(TOPICS) as Topic<object>[];
  const codecs = topics.map((topic) => localCodec(topic));
  const bytes = fc
    .array(
      fc.oneof(
        fc.constantFrom(...LENGTHS).map(long),
        fc.uint8Array({ maxLength: 12 }).map((b) => Buffer.from(b)),
        fc.constantFrom('', 'tencent', 'c').map((t) => Buffer.concat([long(t.length), Buffer.from(t)])),
      ),
      { maxLength: 30 },
    )
    .map((parts) => Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), ...parts]));
  const raw = damaged(fc.constant(localCodec(TOPICS.rawTuicallkit).encode(RAW)));

  it('that are anything are a value, or an error with a code', () => {
    fuzz(
      fc.oneof(
        bytes,
        raw,
        fc.uint8Array({ maxLength: 60 }).map((b) => Buffer.from(b)),
      ),
      (frame) => {
        for (const codec of codecs)
          expect(['none', 'FRAME_INVALID', 'SCHEMA_UNKNOWN', 'AVRO_INVALID']).toContain(codeOf(() => codec.decode(frame)));
      },
      500,
    );
  });

  it('with lists that claim to be longer than all bytes are refused at once, also where they are skipped', () => {
    const call = localCodec(TOPICS.calls);
    const reader = call.only('revision');
    // Up to the list of callees: provider, app, call, room, call type, media type, caller.
    const head = Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), ...Array.from({ length: 7 }, () => long(0))]);
    for (const claimed of LENGTHS.filter((n) => n > 1_000 || n < -64)) {
      for (const more of [Buffer.alloc(0), Buffer.alloc(64), Buffer.concat([long(-9), Buffer.alloc(64, 1)])]) {
        const frame = Buffer.concat([head, long(claimed), more]);
        expect(codeOf(() => call.decode(frame))).toBe('AVRO_INVALID');
        expect(codeOf(() => reader.decode(frame))).toBe('AVRO_INVALID');
      }
    }
  });

  it('are decoded in proportion to their size, whatever their lists claim', () => {
    for (const codec of codecs)
      for (const fill of [0, 1, 2, 3, 0x7f, 0xff])
        expect(
          growthOf(
            (n) => Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), Buffer.alloc(n, fill)]),
            (frame) => void codeOf(() => codec.decode(frame)),
          ),
        ).toBeNull();
  });

  it('of schemas that the registry does not know are the data’s error once it keeps saying so', async () => {
    const unknown = { idOf: async () => 1, writer: async () => null } as unknown as SchemaRegistry;
    await fuzzAsync(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).filter((id) => id !== 1),
      async (id) => {
        const codec = await openCodec(TOPICS.rawTuicallkit, unknown);
        const frame = codec.encode(RAW);
        frame.writeInt32BE(id, 1);
        for (let asked = 1; asked < 5; asked++)
          await expect(codec.resolve([frame])).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
        await codec.resolve([frame]);
        expect(codeOf(() => codec.decode(frame))).toBe('SCHEMA_UNKNOWN');
      },
      20,
    );
  });
});

/** A record with checksums that hold, whatever it says. */
function forged(payload: Buffer, at: number, length = payload.length): Buffer {
  const [header] = [encodeEntries([{ at, payload }]).subarray(0, 24)];
  header!.writeUInt32BE(length, 4);
  header!.writeUInt32BE(crc32(header!.subarray(0, 20)), 20);
  return Buffer.concat([header!, payload]);
}

describe('files of the spool', () => {
  const good = packDelivery({ topic: 't', key: 'k', event: RAW });
  const heads = fc.oneof(
    fc.json().map((json) => Buffer.from(json)),
    fc
      .constantFrom('null', '[]', '{"v":1}', '{"v":2}', '{"v":1,"topic":1,"key":{}}', '{"__proto__":{"v":1,"topic":"t"}}')
      .map((json) => Buffer.from(json)),
  );
  const payload = fc.oneof(
    fc.constant(good),
    damaged(fc.constant(good)),
    heads.map((head) => Buffer.concat([Buffer.from([0, 0, 0, head.length]), head])),
    fc.uint8Array({ maxLength: 30 }).map((b) => Buffer.from(b)),
  );
  const at = fc.oneof(fc.constant(1_700_000_000_000), fc.double());
  const record = fc.oneof(
    fc.tuple(payload, at).map(([p, t]) => forged(p, t)),
    fc.tuple(payload, at, fc.nat({ max: 2 ** 32 - 1 })).map(([p, t, length]) => forged(p, t, length)),
    fc.constant(Buffer.from('CSP1CSP1CSP1')),
    fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b)),
  );
  const file = damaged(fc.array(record, { maxLength: 8 }).map((parts) => Buffer.concat(parts)));

  it('are records, damage and torn ends, without gaps', () => {
    fuzz(
      file,
      (bytes) => {
        let end = 0;
        for (const frame of readFrames(bytes)) {
          expect([frame.start, frame.end > frame.start]).toEqual([end, true]);
          end = frame.end;
        }
        expect(end).toBe(bytes.length);
      },
      1_000,
    );
  });

  it('hold deliveries that can be encoded, or what is set aside', () => {
    const codec = localCodec(TOPICS.rawTuicallkit);
    fuzz(
      payload,
      (bytes) => {
        let delivery: ReturnType<typeof unpackDelivery>;
        try {
          delivery = unpackDelivery(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'SPOOL_RECORD_INVALID' });
          return;
        }
        codec.encode(delivery.event);
        expect([typeof delivery.topic, typeof delivery.key]).toEqual(['string', 'string']);
      },
      1_000,
    );
  });

  it('are opened, read to the end and left empty by whoever finds them', async () => {
    await fuzzAsync(
      file,
      async (bytes) => {
        const dir = mkdtempSync(join(tmpdir(), 'callstream-fuzz-'));
        try {
          writeFileSync(join(dir, 'spool-0000001700000000.seg'), bytes);
          const spool = await Spool.open(
            { dir, maxBytes: 1e9, maxAgeMs: 1_000, segmentBytes: 1e6 },
            { clock: { now: () => 1_700_000_000_000 } },
          );
          void spool.fullBecause;
          for (let batch = await spool.peek(3, 1e6); batch !== null; batch = await spool.peek(3, 1e6)) await spool.release(batch);
          expect([spool.events, spool.isEmpty]).toEqual([0, true]);
          await spool.close();
        } finally {
          rmSync(dir, { recursive: true, force: true });
        }
      },
      60,
    );
  });

  it('with a time that is none are damage, though their checksums hold', () => {
    for (const time of [Number.NaN, -1e300, 1e300, Number.POSITIVE_INFINITY])
      expect([...readFrames(forged(good, time))].map(({ kind }) => kind)).toEqual(['bad']);
  });

  it('are read in proportion to their size', () => {
    const shapes: ((n: number) => Buffer)[] = [
      (n) => Buffer.alloc(n),
      (n) => Buffer.from('CSP1'.repeat(n / 4)),
      (n) => Buffer.concat(Array.from({ length: n / 64 }, () => forged(Buffer.alloc(40), 1, 41))),
    ];
    for (const make of shapes) expect(growthOf(make, (bytes: Buffer) => void [...readFrames(bytes)])).toBeNull();
  });
});
