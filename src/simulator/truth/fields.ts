import { depthOf, NumberText, parseKeepingNumbers, type Quotient, quotientOf, scaled, written } from './json.js';

/** Fields of vendors' bodies, as semantics.md "Inputs" reads them. */
export type Fields = Record<string, unknown>;

/** Deeper bodies are not read. */
const DEEPEST = 100;

/** Any JSON, from bytes that are UTF-8. @throws TypeError, SyntaxError */
export function jsonOf(body: Uint8Array): unknown {
  // The decoder also takes a byte order mark away.
  const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  const parsed = parseKeepingNumbers(text);
  if (depthOf(text) > DEEPEST) throw new SyntaxError(`nested more than ${DEEPEST} deep`);
  return parsed;
}

/** A body that is one JSON object; null for any other. */
export function fieldsOf(body: Uint8Array): Fields | null {
  try {
    const parsed = jsonOf(body);
    return isRecord(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

export const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumberText);
export const record = (value: unknown): Fields => (isRecord(value) ? value : {});
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** A field that is missing, null or empty says nothing. */
export const isThere = (value: unknown): boolean => ![undefined, null, ''].includes(value as undefined);

/** As UTF-8 can carry it: half a surrogate pair becomes U+FFFD on the way. */
const carried = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

/** Ids are strings; JSON numbers become their decimal digits, all of them, up to 400. */
export function id(value: unknown): string {
  if (typeof value === 'string') return carried(value);
  const number = value instanceof NumberText ? quotientOf(value.digits) : null;
  return number === null ? '' : written(number);
}

/** Enumerations compare lower-cased. */
export const word = (value: unknown): string => (typeof value === 'string' ? carried(value).toLowerCase() : '');
/** Where spaces, underscores and case say nothing. */
export const bare = (value: unknown): string => (typeof value === 'string' ? value.replace(/[ _]/g, '').toLowerCase() : '');
export const oneOf = (value: unknown, names: Record<string, string>): string => named(bare(value), names) ?? '';
export const named = (key: string, names: Record<string, string>): string | undefined =>
  Object.hasOwn(names, key) ? names[key] : undefined;

export const MEDIA = { audio: 'audio', video: 'video' };
export const TYPES = { singlecall: 'single', multicall: 'group', single: 'single', group: 'group' };

const RESULTS = ['normal_end', 'interrupt', 'offline', 'not_answer', 'reject', 'call_busy', 'cancel'];
const joined = (text: string): string => text.split('_').join('');

/** Results compare without `_`; one that nobody knows stays as it is. */
export const result = (lower: string): string => RESULTS.find((known) => joined(known) === joined(lower)) ?? lower;

/** Whatever stands where the result should be, the call has one; '' only where nothing stands. */
export const anyResult = (value: unknown): string => (isThere(value) ? result(word(value)) || id(value) || 'odd' : '');

/** Parameter names have had more than one spelling; the first counts. */
export function parameter(query: string, wanted: string): string {
  for (const [name, value] of new URLSearchParams(query)) if (name.toLowerCase() === wanted) return value;
  return '';
}

export const platformOf = (query: string): string => parameter(query, 'optplatform');

/** A number, or a string of decimal digits. */
function numberOf(value: unknown): Quotient | null {
  if (value instanceof NumberText) return quotientOf(value.digits);
  return typeof value === 'string' && /^[0-9]+$/.test(value) ? quotientOf(value) : null;
}

const MOST = 2n ** 53n - 2n;

/** Integers from 0 to 2^53 - 2; anything else counts as 0. */
export function count(value: unknown): number {
  const number = numberOf(value);
  if (number === null || number.negative || number.places > 0) return 0;
  const n = scaled(number, 0);
  return n <= MOST ? Number(n) : 0;
}

/** A JSON number that is an integer of either sign; null for anything else. */
export function integer(value: unknown): number | null {
  const number = value instanceof NumberText ? quotientOf(value.digits) : null;
  if (number === null || number.places > 0 || scaled(number, 0) > MOST) return null;
  return Number(scaled(number, 0)) * (number.negative ? -1 : 1);
}

const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);
const MILLISECONDS_FROM = 10n ** 11n;

/** From 10^11 on milliseconds, else seconds; fractions of a millisecond are cut; what lies outside of 2000-01-01..2100-01-01 is unknown. */
export function time(value: unknown): number | null {
  const number = numberOf(value);
  if (number === null || number.negative) return null;
  const units = scaled(number, 0);
  const ms = Number(units >= MILLISECONDS_FROM ? units : scaled(number, 3));
  return ms >= EARLIEST && ms <= LATEST ? ms : null;
}
