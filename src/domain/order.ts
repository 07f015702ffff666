/** Orders that decide ties. Strings sort by UTF-16 code unit (JavaScript's own `<`), source texts by their UTF-8 bytes. */

/** By UTF-16 code unit: negative, 0 or positive. */
export function compareStrings(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * By UTF-8 bytes: negative, 0 or positive. Byte order is code point order, which differs from UTF-16 order only where a surrogate
 * (a code point above U+FFFF) meets U+E000..U+FFFF.
 */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** The smaller of two strings, where '' is no value at all. */
export function smallerNonEmpty<T extends string>(a: T, b: T): T {
  if (a === '') return b;
  return b === '' || a < b ? a : b;
}

/** The smaller of two numbers, where null is no value at all. */
export function smallestKnown(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null || a < b ? a : b;
}

/** The larger of two numbers, where null is no value at all. */
export function largestKnown(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null || a > b ? a : b;
}
