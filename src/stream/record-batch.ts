import { crc32c } from './crc32c.js';

/**
 * A Kafka record batch (magic 2), as kafkajs would write it uncompressed, but into one buffer: its own encoder makes an object and a buffer per field,
 * which costs more than everything else that producing takes. Format: Kafka protocol guide, "Record Batch".
 */

type Bytes = string | Buffer | null;

/** What kafkajs hands down for one record. */
export interface BatchRecord {
  key?: Bytes;
  value: Bytes;
  timestamp?: string;
  headers?: Readonly<Record<string, unknown>>;
}

export interface BatchOptions {
  records: readonly BatchRecord[];
  transactional: boolean;
  producerId: bigint;
  producerEpoch: number;
  firstSequence: number;
  /** Timestamp of records that carry none, epoch ms. */
  now: number;
}

/** Bytes of the batch before its records: base offset to record count. */
const HEADER = 61;
const TRANSACTIONAL = 16;

/** Written into one growing buffer; call {@link Writer.take} once per request. */
export class Writer {
  #buffer = Buffer.allocUnsafe(65_536);
  #at = 0;

  /** What was written: valid until the next write. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#at);
    this.#buffer = Buffer.allocUnsafe(Math.min(4_194_304, Math.max(65_536, this.#at)));
    this.#at = 0;
    return taken;
  }

  int16(value: number): void {
    this.#room(2);
    this.#at = this.#buffer.writeInt16BE(value, this.#at);
  }

  int32(value: number): void {
    this.#room(4);
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
  }

  /** A string with its length as int16; null: -1. */
  string(value: string | null): void {
    const length = lengthOf(value);
    this.int16(length);
    if (value === null) return;
    this.#room(length);
    this.#utf8(value, length);
  }

  /** The batch with its length in bytes before it, as a produce request carries it. */
  recordBatch({ records, transactional, producerId, producerEpoch, firstSequence, now }: BatchOptions): void {
    this.#room(4 + HEADER);
    const lengthAt = this.#at;
    const start = lengthAt + 4;
    this.#at = start + HEADER;
    let first = now;
    let largest = now;
    if (records.some(({ timestamp }) => timestamp !== undefined && timestamp !== null)) {
      const times = records.map(({ timestamp }) => (timestamp === undefined || timestamp === null ? now : Number(timestamp)));
      first = times.reduce((a, b) => Math.min(a, b));
      largest = times.reduce((a, b) => Math.max(a, b));
    }
    for (let i = 0; i < records.length; i += 1) {
      const record = records[i] as BatchRecord;
      const { timestamp } = record;
      this.#record(record, i, (timestamp === undefined || timestamp === null ? now : Number(timestamp)) - first);
    }
    const end = this.#at;
    const b = this.#buffer;
    b.writeInt32BE(end - start, lengthAt);
    b.writeBigInt64BE(0n, start); // base offset: the broker's to give
    b.writeInt32BE(end - start - 12, start + 8); // bytes after this field
    b.writeInt32BE(0, start + 12); // partition leader epoch
    b[start + 16] = 2; // magic
    b.writeInt16BE(transactional ? TRANSACTIONAL : 0, start + 21);
    b.writeInt32BE(records.length - 1, start + 23);
    b.writeBigInt64BE(BigInt(first), start + 27);
    b.writeBigInt64BE(BigInt(largest), start + 35);
    b.writeBigInt64BE(producerId, start + 43);
    b.writeInt16BE(producerEpoch, start + 51);
    b.writeInt32BE(firstSequence, start + 53);
    b.writeInt32BE(records.length, start + 57);
    b.writeUInt32BE(crc32c(b, start + 21, end), start + 17);
  }

  #record({ key, value, headers }: BatchRecord, offsetDelta: number, timestampDelta: number): void {
    const keyLength = lengthOf(key);
    const valueLength = lengthOf(value);
    let size = 1 + sizeOfVarint(timestampDelta) + sizeOfVarint(offsetDelta) + sizeWithLength(keyLength) + sizeWithLength(valueLength);
    let count = 0;
    const flat: (string | Buffer)[] | null = headers === undefined ? null : flatten(headers);
    if (flat !== null) {
      count = flat.length / 2;
      for (const part of flat) size += sizeWithLength(lengthOf(part));
    }
    size += sizeOfVarint(count);
    this.#room(size + 5);
    this.#varint(size);
    this.#buffer[this.#at++] = 0; // attributes
    this.#varint(timestampDelta);
    this.#varint(offsetDelta);
    this.#bytes(key, keyLength);
    this.#bytes(value, valueLength);
    this.#varint(count);
    if (flat !== null) for (const part of flat) this.#bytes(part, lengthOf(part));
  }

  #bytes(value: Bytes | undefined, length: number): void {
    this.#varint(length);
    if (value === null || value === undefined) return;
    if (typeof value === 'string') this.#utf8(value, length);
    else {
      this.#buffer.set(value, this.#at);
      this.#at += length;
    }
  }

  #utf8(value: string, length: number): void {
    if (length === value.length && length < 40) {
      // Every character is one byte: for short strings a loop beats the call into the engine.
      const b = this.#buffer;
      let at = this.#at;
      for (let i = 0; i < length; i += 1) b[at++] = value.charCodeAt(i);
      this.#at = at;
    } else this.#at += this.#buffer.write(value, this.#at, 'utf8');
  }

  /** Zigzag, base 128; numbers beyond 32 bits included (timestamp deltas). */
  #varint(value: number): void {
    const b = this.#buffer;
    if (value >= -0x40000000 && value < 0x40000000) {
      let rest = (value << 1) ^ (value >> 31);
      while (rest > 0x7f) {
        b[this.#at++] = (rest & 0x7f) | 0x80;
        rest >>>= 7;
      }
      b[this.#at++] = rest;
      return;
    }
    let rest = value < 0 ? -value * 2 - 1 : value * 2;
    while (rest > 0x7f) {
      b[this.#at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    b[this.#at++] = rest;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

/** -1: null. */
function lengthOf(value: Bytes | undefined): number {
  if (value === null || value === undefined) return -1;
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

const sizeWithLength = (length: number): number => sizeOfVarint(length) + Math.max(0, length);

function sizeOfVarint(value: number): number {
  let rest = value < 0 ? -value * 2 - 1 : value * 2;
  let bytes = 1;
  while (rest > 0x7f) {
    rest = Math.floor(rest / 128);
    bytes += 1;
  }
  return bytes;
}

/** Names and values in turn; a header with several values is repeated. */
function flatten(headers: Readonly<Record<string, unknown>>): (string | Buffer)[] {
  const flat: (string | Buffer)[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (Array.isArray(value)) for (const one of value) flat.push(name, one as string | Buffer);
    else flat.push(name, value as string | Buffer);
  }
  return flat;
}
