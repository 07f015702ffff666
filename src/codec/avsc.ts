/**
 * avsc, with a reader of arrays that refuses what a value cannot hold, before it is read: avsc's own allocates, and loops, for as many items as the bytes
 * claim, so that six bytes would keep a process busy for minutes. For every type, those that the registry's client makes included.
 */
import avsc from 'avsc';
import { CallstreamError } from '../domain/errors.js';

/** The reading position of avsc. */
interface Tap {
  readonly buf: Uint8Array;
  pos: number;
  readLong(): number;
}

interface ArrayReader {
  readonly itemsType: { _read(tap: Tap): unknown; _skip(tap: Tap): void };
}

const lying = (what: string): CallstreamError => new CallstreamError('AVRO_INVALID', `an array ${what}`);

/** Number of items of the next block; 0 ends the array. An item takes a byte at least, so what is left bounds their number. */
function blockOf(tap: Tap): number {
  const n = tap.readLong();
  const count = Math.abs(n);
  // A negative count is followed by the block's size in bytes, which would only serve to skip it unread.
  if (n < 0) tap.readLong();
  if (count > tap.buf.length - tap.pos) throw lying(`claims ${count} items where ${Math.max(0, tap.buf.length - tap.pos)} bytes are left`);
  return count;
}

/** avsc reads on past the end of a value, and backwards where a length is negative. */
function advance(tap: Tap, from: number): void {
  if (tap.pos <= from || tap.pos > tap.buf.length) throw lying('has an item that ends outside of it');
}

Object.assign(avsc.types.ArrayType.prototype, {
  _read(this: ArrayReader, tap: Tap): unknown[] {
    const items: unknown[] = [];
    for (let n = blockOf(tap); n > 0; n = blockOf(tap)) {
      for (; n > 0; n--) {
        const from = tap.pos;
        items.push(this.itemsType._read(tap));
        advance(tap, from);
      }
    }
    return items;
  },

  _skip(this: ArrayReader, tap: Tap): void {
    for (let n = blockOf(tap); n > 0; n = blockOf(tap)) {
      for (; n > 0; n--) {
        const from = tap.pos;
        this.itemsType._skip(tap);
        advance(tap, from);
      }
    }
  },
});

export { avsc };
