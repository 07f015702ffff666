import { EVENTS, type EventName } from '../../domain/vocabulary.js';
import { depthOf, NumberText, parseKeepingNumbers, type Quotient, quotientOf, scaled, written } from './json.js';

/** semantics.md "Inputs" for one TUICallKit v1 callback, said once more in plain code: the oracle shares nothing with the product but the names. */
export type Reading = EventReading | StatusReading | { kind: 'dead'; why: 'not_json' | 'no_call_id' | 'unknown_event' | 'nothing' };

export interface Common {
  call_id: string;
  user_id: string;
  role: 'caller' | 'callee' | '';
  room_id: string;
  media_type: string;
  call_type: string;
  call_result: string;
  event_at: number | null;
  start_at: number | null;
  accept_at: number | null;
  end_at: number | null;
  total: number;
  platform: string;
}

export interface EventReading extends Common {
  kind: 'event';
  event: EventName;
}

export interface StatusReading extends Common {
  kind: 'status';
  /** Users that the record lists beside its user_id: v4 lists all of them. */
  users?: string[];
}

/** Deeper bodies are not read. */
const DEEPEST = 100;

export function read(query: string, body: Uint8Array): Reading {
  let parsed: unknown;
  try {
    // The decoder also takes a byte order mark away.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    parsed = parseKeepingNumbers(text);
    if (depthOf(text) > DEEPEST) return { kind: 'dead', why: 'not_json' };
  } catch {
    return { kind: 'dead', why: 'not_json' };
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed) || parsed instanceof NumberText)
    return { kind: 'dead', why: 'not_json' };
  const b = parsed as Record<string, unknown>;
  const call_id = id(b.CallId);
  if (call_id === '') return { kind: 'dead', why: 'no_call_id' };
  const isEvent = isThere(b.Event);
  const event = word(b.Event);
  if (isEvent && !(EVENTS as readonly string[]).includes(event)) return { kind: 'dead', why: 'unknown_event' };
  if (!isEvent && !isThere(b.CallResult)) return { kind: 'dead', why: 'nothing' };
  const role = word(b.Role);
  const media = word(b.MediaType);
  const type = word(b.CallType);
  const common: Common = {
    call_id,
    user_id: id(b.UserId),
    role: role === 'caller' || role === 'callee' ? role : '',
    room_id: id(b.RoomId),
    media_type: media === 'audio' || media === 'video' ? media : '',
    call_type: type === 'single' || type === 'group' ? type : '',
    call_result: result(word(b.CallResult)),
    event_at: time(b.EventTime),
    start_at: time(b.StartCallTs),
    accept_at: time(b.AcceptTs),
    end_at: time(b.EndTs),
    total: count(b.TotalNum),
    platform: platformOf(query),
  };
  if (isEvent) return { kind: 'event', event: event as EventName, ...common };
  // Whatever stands where the result should be, the call has one.
  return { kind: 'status', ...common, call_result: common.call_result || id(b.CallResult) || 'odd' };
}

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

const RESULTS = ['normal_end', 'interrupt', 'offline', 'not_answer', 'reject', 'call_busy', 'cancel'];
const joined = (text: string): string => text.split('_').join('');

/** Results compare without `_`; one that nobody knows stays as it is. */
export const result = (lower: string): string => RESULTS.find((known) => joined(known) === joined(lower)) ?? lower;

/** Parameter names have had more than one spelling; the first counts. */
export function platformOf(query: string): string {
  for (const [name, value] of new URLSearchParams(query)) if (name.toLowerCase() === 'optplatform') return value;
  return '';
}

/** A number, or a string of decimal digits. */
function numberOf(value: unknown): Quotient | null {
  if (value instanceof NumberText) return quotientOf(value.digits);
  return typeof value === 'string' && /^[0-9]+$/.test(value) ? quotientOf(value) : null;
}

const MOST = 2n ** 53n - 2n;

/** Integers from 0 to 2^53 - 2; anything else counts as 0. */
function count(value: unknown): number {
  const number = numberOf(value);
  if (number === null || number.negative || number.places > 0) return 0;
  const n = scaled(number, 0);
  return n <= MOST ? Number(n) : 0;
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
