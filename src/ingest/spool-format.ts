import { crc32 } from 'node:zlib';

/**
 * One record of a spool segment, big-endian:
 *
 *     0 magic "CSP1"   4 payload length   8 time (double, epoch ms)   16 CRC-32 of the payload   20 CRC-32 of bytes 0-19   24 payload
 *
 * The header has a checksum of its own so that a length can be believed: a payload that is cut short is then a torn
 * write, while any other damage is a bad record, after which reading goes on at the next header that holds.
 */
export const HEADER_BYTES = 24;
const MAGIC = Buffer.from('CSP1', 'latin1');
const MAGIC_NUMBER = MAGIC.readUInt32BE(0);
const CHECKED_BYTES = 20;
/** Farthest moment that a Date can say. */
const LATEST = 8.64e15;

export interface SpoolEntry {
  /** Epoch ms; bounds the age of the spool. */
  at: number;
  payload: Buffer;
}

/** A stretch of a segment, from `start` (inclusive) to `end` (exclusive), both counted from the start of the buffer read. */
export type Frame =
  | { kind: 'record'; start: number; end: number; at: number; payload: Buffer }
  /** Complete, and not what was written. */
  | { kind: 'bad'; start: number; end: number }
  /** Ends before it is complete: a write that was cut off, or a window that stops here. */
  | { kind: 'torn'; start: number; end: number };

export function encodeEntries(entries: readonly SpoolEntry[]): Buffer {
  const size = entries.reduce((sum, { payload }) => sum + HEADER_BYTES + payload.length, 0);
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  for (const entry of entries) {
    out.writeUInt32BE(MAGIC_NUMBER, at);
    out.writeUInt32BE(entry.payload.length, at + 4);
    out.writeDoubleBE(entry.at, at + 8);
    out.writeUInt32BE(crc32(entry.payload), at + 16);
    out.writeUInt32BE(crc32(out.subarray(at, at + CHECKED_BYTES)), at + 20);
    entry.payload.copy(out, at + HEADER_BYTES);
    at += HEADER_BYTES + entry.payload.length;
  }
  return out;
}

function headerHolds(buffer: Buffer, at: number): boolean {
  return (
    at + HEADER_BYTES <= buffer.length &&
    buffer.readUInt32BE(at) === MAGIC_NUMBER &&
    buffer.readUInt32BE(at + CHECKED_BYTES) === crc32(buffer.subarray(at, at + CHECKED_BYTES))
  );
}

/** Start of the next header that holds, from `at` on; -1 when there is none. */
function nextHeader(buffer: Buffer, at: number): number {
  for (let found = buffer.indexOf(MAGIC, at); found >= 0; found = buffer.indexOf(MAGIC, found + 1)) {
    if (headerHolds(buffer, found)) return found;
  }
  return -1;
}

/** What a crash leaves behind a torn write: too little for a header, or a file grown with zeros. */
const isTornTail = (tail: Buffer): boolean => tail.length < HEADER_BYTES || tail.every((byte) => byte === 0);

/** Everything in `buffer`, without gaps. A `torn` frame can only be the last. Payloads are views into `buffer`. */
export function* readFrames(buffer: Buffer): Generator<Frame, void> {
  let start = 0;
  while (start < buffer.length) {
    if (!headerHolds(buffer, start)) {
      const next = nextHeader(buffer, start + 1);
      const end = next < 0 ? buffer.length : next;
      yield { kind: next < 0 && isTornTail(buffer.subarray(start)) ? 'torn' : 'bad', start, end };
      start = end;
      continue;
    }
    const end = start + HEADER_BYTES + buffer.readUInt32BE(start + 4);
    if (end > buffer.length) {
      yield { kind: 'torn', start, end: buffer.length };
      return;
    }
    const payload = buffer.subarray(start + HEADER_BYTES, end);
    const at = buffer.readDoubleBE(start + 8);
    if (crc32(payload) === buffer.readUInt32BE(start + 16) && Math.abs(at) <= LATEST) {
      yield { kind: 'record', start, end, at, payload };
    } else {
      yield { kind: 'bad', start, end };
    }
    start = end;
  }
}
