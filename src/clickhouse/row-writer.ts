import { Buffer } from 'node:buffer';
import { CallstreamError } from '../domain/errors.js';

const TWO_32 = 0x1_0000_0000;
/** DateTime64(3) reaches this far: 2299-12-31. */
const LAST_TIME = 10_413_791_999_999;
/** A DateTime is 32 bits of seconds. */
const LAST_SECOND = 0xffff_ffff;
const SHORT = 24;

/** A value that does not fit its column. A data error: the record becomes a dead letter of stage `row`. */
export class RowError extends CallstreamError {
  constructor(message: string) {
    super('ROW_INVALID', message);
    this.name = 'RowError';
  }
}

/**
 * Rows in ClickHouse's RowBinary format, appended to one growing buffer. Little-endian; strings have a LEB128 length; a Nullable has a leading byte.
 * Source: https://clickhouse.com/docs/interfaces/formats/RowBinary
 */
export class RowWriter {
  #buffer: Buffer;
  #at = 0;

  constructor(size = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(size);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at;
  }

  /** Forgets everything after `length`: a row that turned out not to fit. */
  cut(length: number): void {
    this.#at = length;
  }

  /** The bytes from `from` to `to`; a view, valid until the writer is used again. */
  slice(from = 0, to = this.#at): Buffer {
    return this.#buffer.subarray(from, to);
  }

  /** Keeps only these ranges, ascending, and closes the gaps. */
  keep(ranges: readonly { from: number; to: number }[]): void {
    let end = 0;
    for (const { from, to } of ranges) {
      if (from !== end) this.#buffer.copyWithin(end, from, to);
      end += to - from;
    }
    this.#at = end;
  }

  u8(value: number): void {
    this.#room(1);
    this.#buffer[this.#at++] = value;
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  u16(value: number): void {
    this.#room(2);
    this.#buffer[this.#at] = value & 0xff;
    this.#buffer[this.#at + 1] = value >>> 8;
    this.#at += 2;
  }

  /** An Int32 or UInt32. */
  i32(value: number): void {
    if (!Number.isInteger(value) || value < -0x8000_0000 || value > 0xffff_ffff) throw new RowError(`${value} is no 32-bit integer`);
    this.#room(4);
    this.#word(value);
  }

  /** A Float64. */
  f64(value: number): void {
    this.#room(8);
    this.#buffer.writeDoubleLE(value, this.#at);
    this.#at += 8;
  }

  /** A UInt64. */
  u64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RowError(`${value} is no whole number from 0 to 2^53`);
    this.#room(8);
    this.#word(value);
    this.#word(value / TWO_32);
  }

  /** An Int64. */
  i64(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RowError(`${value} is no whole number within 2^53`);
    this.#room(8);
    this.#word(value);
    this.#word(Math.floor(value / TWO_32));
  }

  nullableI64(value: number | null): void {
    this.bool(value === null);
    if (value !== null) this.i64(value);
  }

  /** A DateTime64(3) from epoch milliseconds. */
  time(ms: number): void {
    if (!Number.isSafeInteger(ms) || ms < 0 || ms > LAST_TIME) throw new RowError(`${ms} is no time that a table can hold`);
    this.u64(ms);
  }

  nullableTime(ms: number | null): void {
    this.bool(ms === null);
    if (ms !== null) this.time(ms);
  }

  /** A DateTime from epoch seconds. */
  second(s: number): void {
    if (!Number.isInteger(s) || s < 0 || s > LAST_SECOND) throw new RowError(`${s} is no time that a table can hold`);
    this.i32(s);
  }

  /** Length of an array or string. */
  count(n: number): void {
    this.#room(5);
    let rest = n;
    while (rest > 0x7f) {
      this.#buffer[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#at++] = rest;
  }

  string(s: string): void {
    const n = s.length;
    if (n <= SHORT) {
      // A call into the runtime costs more than these few bytes; anything but ASCII takes the long way.
      this.#room(n + 1);
      const buffer = this.#buffer;
      const start = this.#at + 1;
      let i = 0;
      for (; i < n; i++) {
        const c = s.charCodeAt(i);
        if (c > 0x7f) break;
        buffer[start + i] = c;
      }
      if (i === n) {
        buffer[this.#at] = n;
        this.#at = start + n;
        return;
      }
    }
    const bytes = Buffer.byteLength(s);
    this.count(bytes);
    this.#room(bytes);
    this.#buffer.write(s, this.#at, bytes, 'utf8');
    this.#at += bytes;
  }

  bytes(b: Uint8Array): void {
    this.count(b.length);
    this.raw(b);
  }

  /** Bytes as they are, without a length. */
  raw(b: Uint8Array): void {
    this.#room(b.length);
    this.#buffer.set(b, this.#at);
    this.#at += b.length;
  }

  strings(list: readonly string[]): void {
    this.count(list.length);
    for (const s of list) this.string(s);
  }

  #word(value: number): void {
    const w = value >>> 0;
    const b = this.#buffer;
    const at = this.#at;
    b[at] = w & 0xff;
    b[at + 1] = (w >>> 8) & 0xff;
    b[at + 2] = (w >>> 16) & 0xff;
    b[at + 3] = w >>> 24;
    this.#at = at + 4;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }
}
