import { replaceExports } from './kafkajs-module.js';

/**
 * Fetched record batches, as kafkajs hands them on, but read by plain arithmetic: its own decoder makes several objects, buffers and big integers for
 * each field of each record. Headers, which callstream does not read, are decoded when somebody asks. Format: Kafka protocol guide, "Record Batch".
 */

/** kafkajs's cursor over a fetch response. */
export interface Cursor {
  buffer: Buffer;
  offset: number;
}

interface BatchContext {
  firstOffset: string;
  firstTimestamp: string;
  partitionLeaderEpoch: number;
  inTransaction: boolean;
  isControlBatch: boolean;
  lastOffsetDelta: number;
  producerId: string;
  producerEpoch: number;
  firstSequence: number;
  maxTimestamp: string;
  timestampType: number;
}

export type DecodeBatch = (cursor: Cursor) => Promise<BatchContext & { records: unknown[] }>;

/** Bytes before the length's own count begins, and of the whole batch before its records. */
const PREAMBLE = 12;
const HEADER = 61;
const COMPRESSION = 0x07;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

const DECODER = 'kafkajs/src/protocol/recordBatch/v0/decoder.js';

/** Makes kafkajs read fetched batches with {@link batchDecoder}. Must run before kafkajs is loaded. */
export function replaceDecoder(require: NodeJS.Require): void {
  const original = require(DECODER) as DecodeBatch;
  replaceExports(require, DECODER, batchDecoder(original));
}

/** Decodes whole, uncompressed batches; all others are left to `original`. */
export function batchDecoder(original: DecodeBatch): DecodeBatch {
  return (cursor) => {
    const { buffer, offset: start } = cursor;
    const end = start + PREAMBLE + (start + HEADER <= buffer.length ? buffer.readInt32BE(start + 8) : Number.POSITIVE_INFINITY);
    const isPlain = end <= buffer.length && end >= start + HEADER && (buffer.readInt16BE(start + 21) & COMPRESSION) === 0;
    if (!isPlain) return original(cursor);
    cursor.offset = end;
    return Promise.resolve(decode(buffer, start, end));
  };
}

function decode(buffer: Buffer, start: number, end: number): BatchContext & { records: FetchedRecord[] } {
  const attributes = buffer.readInt16BE(start + 21);
  const firstOffset = buffer.readBigInt64BE(start);
  const firstTimestamp = buffer.readBigInt64BE(start + 27);
  const maxTimestamp = String(buffer.readBigInt64BE(start + 35));
  const context: BatchContext = {
    firstOffset: String(firstOffset),
    firstTimestamp: String(firstTimestamp),
    partitionLeaderEpoch: buffer.readInt32BE(start + 12),
    inTransaction: (attributes & TRANSACTIONAL) !== 0,
    isControlBatch: (attributes & CONTROL) !== 0,
    lastOffsetDelta: buffer.readInt32BE(start + 23),
    producerId: String(buffer.readBigInt64BE(start + 43)),
    producerEpoch: buffer.readInt16BE(start + 51),
    firstSequence: buffer.readInt32BE(start + 53),
    maxTimestamp,
    timestampType: (attributes & LOG_APPEND_TIME) === 0 ? 0 : 1,
  };
  const magicByte = buffer.readInt8(start + 16);
  const batch = { ...context, magicByte };
  const reader = new Reader(buffer, start + HEADER, end);
  const records: FetchedRecord[] = [];
  for (let left = buffer.readInt32BE(start + 57); left > 0; left--) {
    const next = reader.varint() + reader.at;
    const recordAttributes = reader.int8();
    const timestampDelta = reader.varint();
    const offsetDelta = reader.varint();
    records.push(
      new FetchedRecord(
        magicByte,
        recordAttributes,
        context.timestampType === 1 ? maxTimestamp : plus(firstTimestamp, timestampDelta),
        plus(firstOffset, offsetDelta),
        reader.bytes(),
        reader.bytes(),
        context.isControlBatch,
        batch,
        buffer,
        reader.at,
        next,
      ),
    );
    reader.at = next;
  }
  return { ...context, records };
}

/** Offsets and times are safe as numbers, but Kafka does not say so. */
function plus(base: bigint, delta: number): string {
  const sum = Number(base) + delta;
  return Number.isSafeInteger(sum) ? String(sum) : String(base + BigInt(delta));
}

/** One record as kafkajs gives it to `eachBatch`. */
class FetchedRecord {
  readonly #buffer: Buffer;
  readonly #headersAt: number;
  readonly #end: number;

  constructor(
    readonly magicByte: number,
    readonly attributes: number,
    readonly timestamp: string,
    readonly offset: string,
    readonly key: Buffer | null,
    readonly value: Buffer | null,
    readonly isControlRecord: boolean,
    readonly batchContext: object,
    buffer: Buffer,
    headersAt: number,
    end: number,
  ) {
    this.#buffer = buffer;
    this.#headersAt = headersAt;
    this.#end = end;
  }

  /** By name; the values of a repeated name are an array. */
  get headers(): Record<string, Buffer | null | (Buffer | null)[]> {
    const reader = new Reader(this.#buffer, this.#headersAt, this.#end);
    const values = new Map<string, (Buffer | null)[]>();
    for (let left = reader.varint(); left > 0; left--) {
      const name = reader.bytes()?.toString() ?? '';
      const value = reader.bytes();
      const held = values.get(name);
      if (held === undefined) values.set(name, [value]);
      else held.push(value);
    }
    return Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? all[0]! : all]));
  }
}

class Reader {
  at: number;
  readonly #buffer: Buffer;
  readonly #end: number;

  constructor(buffer: Buffer, at: number, end: number) {
    this.#buffer = buffer;
    this.at = at;
    this.#end = end;
  }

  int8(): number {
    return this.#buffer.readInt8(this.at++);
  }

  /** Zigzag, base 128; numbers beyond 32 bits included (timestamp deltas). */
  varint(): number {
    const b = this.#buffer;
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#next(b);
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (low >>> 1) ^ -(low & 1);
    }
    let value = low;
    for (let factor = 2 ** 28; ; factor *= 128) {
      const byte = this.#next(b);
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  }

  /** A length and as many bytes; null for a length of -1. */
  bytes(): Buffer | null {
    const length = this.varint();
    if (length < 0) return null;
    const end = this.at + length;
    if (end > this.#end) throw new RangeError('a record reaches beyond its batch');
    const bytes = this.#buffer.subarray(this.at, end);
    this.at = end;
    return bytes;
  }

  #next(b: Buffer): number {
    if (this.at >= this.#end) throw new RangeError('a record reaches beyond its batch');
    return b[this.at++]!;
  }
}
