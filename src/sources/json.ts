import { isUtf8 } from 'node:buffer';
import { parse as parseLossless } from 'lossless-json';
import { messageOf } from '../domain/errors.js';
import { type UnreadElement, unread } from './element.js';

/** A parsed JSON object. Numbers are safe integers, or {@link Digits}. */
export type JsonObject = { [key: string]: unknown };

/** Tells {@link Digits} from any object that JSON can say, also for the parser's own comparison of repeated keys. */
const EXACT = Symbol('exact');

/** A number that is no safe integer, exactly as the source has it. */
export class Digits {
  readonly kind = EXACT;
  /** Its decimal expansion; '' when that has more than {@link MAX_DIGITS} digits: then it is no usable number. */
  readonly text: string;
  /** As it was written. */
  readonly source: string;

  constructor(text: string, source: string) {
    this.text = text;
    this.source = source;
  }
}

type Parsed = { ok: true; body: JsonObject; text: string } | UnreadElement;

const BYTE_ORDER_MARK = 0xfeff;

/**
 * Reads bytes as one JSON object, keeping every digit of every number. Of repeated keys the last counts, as in JSON.parse. A byte order mark
 * goes unread (RFC 8259 §8.1), but stays in `text`, which is the body as it came.
 */
export function parseObject(bytes: Buffer): Parsed {
  if (!isUtf8(bytes)) return unread(-1, 'not_utf8', 'the body is not valid UTF-8');
  const text = bytes.toString('utf8');
  if (isDeep(text)) return unread(-1, 'too_deep', `the body is nested more than ${MAX_DEPTH} deep`);
  const json = text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
  let value: unknown;
  try {
    value = JSON.parse(json);
    if (hasUnsafe(value) || mayBeRounded(json))
      value = parseLossless(json, null, { parseNumber, onDuplicateKey: ({ newValue }) => newValue });
  } catch (error) {
    return unread(-1, 'not_json', `the body is not JSON: ${messageOf(error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return unread(-1, 'not_an_object', 'the body is JSON, but not an object');
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

/** Whether a number is no safe integer: what was written may have been another. */
function hasUnsafe(value: unknown): boolean {
  if (typeof value === 'number') return !Number.isSafeInteger(value);
  if (typeof value !== 'object' || value === null) return false;
  for (const name in value) if (hasUnsafe((value as JsonObject)[name])) return true;
  return false;
}

/** A number with a fraction or an exponent below 0; in a string, at worst, what looks like one. */
const FRACTIONAL = /[:,[][ \t\n\r]*-?[0-9]+(?:\.|[eE]-)/;

const isDigit = (json: string, at: number): boolean => json.charCodeAt(at) >= 0x30 && json.charCodeAt(at) <= 0x39;

/** Whether a safe integer may have been written as a number that is none, such as 1.00000000000000000001. Bodies mostly have neither 1.2 nor 1e-2 anywhere. */
function mayBeRounded(json: string): boolean {
  for (let at = json.indexOf('.'); at > 0; at = json.indexOf('.', at + 1))
    if (isDigit(json, at - 1) && isDigit(json, at + 1)) return FRACTIONAL.test(json);
  for (let at = json.indexOf('-'); at > 0; at = json.indexOf('-', at + 1))
    if (isDigit(json, at + 1) && isDigit(json, at - 2) && /[eE]/.test(json.charAt(at - 1))) return FRACTIONAL.test(json);
  return false;
}

const INTEGER = /^-?[0-9]+$/;

function parseNumber(source: string): number | Digits {
  const text = expand(source);
  const value = INTEGER.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : new Digits(text, source);
}

/** Longest number that is one, written out. */
const MAX_DIGITS = 400;
const NUMBER = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?$/;

/** A JSON number written out: no exponent, no zeros that say nothing, no sign of zero. '' when that takes more than {@link MAX_DIGITS} digits. */
function expand(source: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = NUMBER.exec(source)!;
  const digits = whole + fraction;
  const from = digits.search(/[1-9]/);
  if (from < 0) return '0';
  let to = digits.length;
  while (digits.charCodeAt(to - 1) === 0x30) to--;
  const significant = digits.slice(from, to);
  // The value is 0.<significant> * 10^point.
  const point = whole.length - from + Number(exponent);
  if (Math.max(point, 1) + Math.max(significant.length - point, 0) > MAX_DIGITS) return '';
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${significant}`;
  if (significant.length <= point) return sign + significant.padEnd(point, '0');
  return `${sign}${significant.slice(0, point)}.${significant.slice(point)}`;
}

/** A value of {@link parseObject} as JSON again: long integers as strings, so that whoever parses it keeps their digits, fractions as they were written. */
export function toJson(value: unknown): string {
  if (value instanceof Digits) return INTEGER.test(value.text) ? `"${value.text}"` : value.source;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(toJson).join()}]`;
  return `{${Object.entries(value)
    .map(([name, field]) => `${JSON.stringify(name)}:${toJson(field)}`)
    .join()}}`;
}

/** A field of the object itself; undefined where there is none: a key `__proto__` in the source must not lend it fields. */
export const valueAt = (from: JsonObject, name: string): unknown => (Object.hasOwn(from, name) ? from[name] : undefined);

/** An id: a string as it is, a JSON number as its decimal digits; '' for anything else. Lone surrogates, which UTF-8 cannot carry, become U+FFFD. */
export function idOf(body: JsonObject, name: string): string {
  const value = valueAt(body, name);
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value === 'number') return String(value);
  return value instanceof Digits ? value.text : '';
}

/** An enumeration's word, lower-cased; '' when it is not a string. */
export function wordOf(body: JsonObject, name: string): string {
  const value = valueAt(body, name);
  return typeof value === 'string' ? value.toWellFormed().toLowerCase() : '';
}

/** Whether a field is there and neither null nor the empty string. */
export function isGiven(body: JsonObject, name: string): boolean {
  const value = valueAt(body, name);
  return value !== undefined && value !== null && value !== '';
}

/** Largest number that Avro's long takes here: one less than the largest safe integer. */
const MAX_COUNT = Number.MAX_SAFE_INTEGER - 1;

/** A count: an integer from 0 to 2^53 - 2, as a number or its digits; 0 for anything else. */
export function countOf(body: JsonObject, name: string): number {
  const value = valueAt(body, name);
  const n = typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;
  return typeof n === 'number' && Number.isInteger(n) && n > 0 && n <= MAX_COUNT ? n : 0;
}

const MILLISECONDS_FROM = 100_000_000_000;
const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);

/**
 * A time, in epoch milliseconds: from a number or a string of decimal digits, >= 10^11 being milliseconds and less seconds;
 * fractions of a millisecond are cut; null outside 2000-01-01..2100-01-01 (semantics.md "Inputs").
 */
export function timeOf(body: JsonObject, name: string): number | null {
  const value = valueAt(body, name);
  let ms: number;
  if (typeof value === 'number') ms = value >= MILLISECONDS_FROM ? value : value * 1000;
  else if (value instanceof Digits) ms = millisecondsOf(value.text);
  else if (typeof value === 'string' && /^[0-9]+$/.test(value)) ms = millisecondsOf(value);
  else return null;
  return ms >= EARLIEST && ms <= LATEST ? ms : null;
}

/** Of decimal digits, with or without a fraction. Of those, not of a double near them: cutting 1.2379999 after three places gives 1.237. */
function millisecondsOf(text: string): number {
  const point = text.indexOf('.');
  const whole = Number(point < 0 ? text : text.slice(0, point));
  if (whole >= MILLISECONDS_FROM) return whole;
  return whole * 1000 + (point < 0 ? 0 : Number(text.slice(point + 1, point + 4).padEnd(3, '0')));
}
