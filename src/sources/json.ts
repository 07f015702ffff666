import { isUtf8 } from 'node:buffer';
import { parse as parseLossless } from 'lossless-json';
import { messageOf } from '../domain/errors.js';
import type { UnreadElement } from './element.js';

/** A parsed JSON object. Integers that a double cannot hold are {@link Digits}. */
export type JsonObject = { [key: string]: unknown };

/** An integer beyond 2^53 - 1, as the digits of the source. */
export class Digits {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Parsed = { ok: true; body: JsonObject; text: string } | UnreadElement;

const INTEGER = /^-?[0-9]+$/;

/** Reads bytes as one JSON object, keeping every digit of every integer. Of repeated keys the last counts, as in JSON.parse. */
export function parseObject(bytes: Buffer): Parsed {
  if (!isUtf8(bytes)) return unread('not_utf8', 'the body is not valid UTF-8');
  const text = bytes.toString('utf8');
  if (isDeep(text)) return unread('too_deep', `the body is nested more than ${MAX_DEPTH} deep`);
  let value: unknown;
  try {
    value = JSON.parse(text);
    if (hasUnsafe(value)) value = parseLossless(text, null, { parseNumber, onDuplicateKey: ({ newValue }) => newValue });
  } catch (error) {
    return unread('not_json', `the body is not JSON: ${messageOf(error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return unread('not_an_object', 'the body is JSON, but not an object');
  return { ok: true, body: value as JsonObject, text };
}

/** Deeper than any vendor nests, and far less deep than what recursive readers and writers of JSON endure. */
const MAX_DEPTH = 100;

/** Callbacks are flat: most have one bracket only. */
const isNested = (text: string): boolean => text.includes('[') || text.indexOf('{', text.indexOf('{') + 1) > 0;

function isDeep(text: string): boolean {
  if (text.length <= 2 * MAX_DEPTH || !isNested(text)) return false;
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (quoted) {
      if (c === 0x5c) i++;
      else if (c === 0x22) quoted = false;
    } else if (c === 0x22) quoted = true;
    else if (c === 0x5b || c === 0x7b) {
      if (++depth > MAX_DEPTH) return true;
    } else if (c === 0x5d || c === 0x7d) depth--;
  }
  return false;
}

/** Whether a number lies where a double cannot hold every integer: its digits may have been others. */
function hasUnsafe(value: unknown): boolean {
  if (typeof value === 'number') return !(value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER);
  if (typeof value !== 'object' || value === null) return false;
  for (const name in value) if (hasUnsafe((value as JsonObject)[name])) return true;
  return false;
}

function parseNumber(text: string): number | Digits {
  const value = Number(text);
  return INTEGER.test(text) && !Number.isSafeInteger(value) ? new Digits(text) : value;
}

const unread = (reason: UnreadElement['reason'], error: string): UnreadElement => ({ ok: false, index: -1, reason, error });

/** A field of the object itself: a key `__proto__` in the source must not lend it fields. */
const own = (body: JsonObject, name: string): unknown => (Object.hasOwn(body, name) ? body[name] : undefined);

/** An id: a string as it is, a JSON number as its decimal digits; '' for anything else. Lone surrogates, which UTF-8 cannot carry, become U+FFFD. */
export function idOf(body: JsonObject, name: string): string {
  const value = own(body, name);
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value === 'number') return Number.isFinite(value) ? (Number.isInteger(value) ? BigInt(value).toString() : String(value)) : '';
  return value instanceof Digits ? value.text : '';
}

/** An enumeration's word, lower-cased; '' when it is not a string. */
export function wordOf(body: JsonObject, name: string): string {
  const value = own(body, name);
  return typeof value === 'string' ? value.toWellFormed().toLowerCase() : '';
}

/** Whether a field is there and neither null nor the empty string. */
export function isGiven(body: JsonObject, name: string): boolean {
  const value = own(body, name);
  return value !== undefined && value !== null && value !== '';
}

/** Largest number that Avro's long takes here: one less than the largest safe integer. */
const MAX_COUNT = Number.MAX_SAFE_INTEGER - 1;

/** A count: an integer from 0 to 2^53 - 2, as a number or its digits; 0 for anything else. */
export function countOf(body: JsonObject, name: string): number {
  const value = own(body, name);
  const n = typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;
  return typeof n === 'number' && Number.isInteger(n) && n >= 0 && n <= MAX_COUNT ? n : 0;
}

const MILLISECONDS_FROM = 100_000_000_000;
const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);
/** Half the step of a double near 4.1e9 seconds, in milliseconds: what a decimal fraction may be short of itself. */
const FRACTION_ERROR_MS = 2.5e-4;

/**
 * A time, in epoch milliseconds: from a number or a string of decimal digits, >= 10^11 being milliseconds and less seconds;
 * fractions of a millisecond are cut; null outside 2000-01-01..2100-01-01 (semantics.md "Inputs").
 */
export function timeOf(body: JsonObject, name: string): number | null {
  const value = own(body, name);
  const n = typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;
  if (typeof n !== 'number') return null;
  const ms = n >= MILLISECONDS_FROM ? Math.floor(n) : Number.isInteger(n) ? n * 1000 : Math.floor(n * 1000 + FRACTION_ERROR_MS);
  return ms >= EARLIEST && ms <= LATEST ? ms : null;
}
