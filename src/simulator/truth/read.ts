import { EVENTS, type EventName } from '../../domain/vocabulary.js';
import { NumberText, parseKeepingNumbers } from './json.js';

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

export function read(query: string, body: Uint8Array): Reading {
  let parsed: unknown;
  try {
    parsed = parseKeepingNumbers(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return { kind: 'dead', why: 'not_json' };
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed) || parsed instanceof NumberText)
    return { kind: 'dead', why: 'not_json' };
  const b = parsed as Record<string, unknown>;
  const call_id = id(b.CallId);
  if (call_id === '') return { kind: 'dead', why: 'no_call_id' };
  const event = word(b.Event);
  if (event !== '' && !(EVENTS as readonly string[]).includes(event)) return { kind: 'dead', why: 'unknown_event' };
  const call_result = word(b.CallResult);
  if (event === '' && call_result === '') return { kind: 'dead', why: 'nothing' };
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
    call_result,
    event_at: time(b.EventTime),
    start_at: time(b.StartCallTs),
    accept_at: time(b.AcceptTs),
    end_at: time(b.EndTs),
    total: count(b.TotalNum),
    platform: new URLSearchParams(query).get('optplatform') ?? '',
  };
  return event === '' ? { kind: 'status', ...common } : { kind: 'event', event: event as EventName, ...common };
}

/** Ids are strings; JSON numbers become their decimal digits, all of them. */
export function id(value: unknown): string {
  if (typeof value === 'string') return value;
  return value instanceof NumberText ? value.digits : '';
}

/** Enumerations compare lower-cased. */
export const word = (value: unknown): string =>
  typeof value === 'string' ? value.toLowerCase() : value instanceof NumberText ? value.digits : '';

/** Integers that are not >= 0 count as 0; as with times, a string of decimal digits is a number too. */
function count(value: unknown): number {
  const n = value instanceof NumberText ? Number(value.digits) : typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : 0;
  return Number.isInteger(n) && n >= 0 ? n : 0;
}

const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);

/** A number or a string of decimal digits; from 10^11 on milliseconds, else seconds; fractions of a millisecond are cut; far-off times are unknown. */
export function time(value: unknown): number | null {
  let n: number;
  if (value instanceof NumberText) n = Number(value.digits);
  else if (typeof value === 'string' && /^[0-9]+$/.test(value)) n = Number(value);
  else return null;
  const ms = Math.floor(n >= 1e11 ? n : n * 1000);
  return ms >= EARLIEST && ms < LATEST ? ms : null;
}
