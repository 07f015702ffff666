import type { Publication } from '../../codec/call-record.js';
import type { Call } from '../../codec/generated.js';
import type { CallFacts, CallInput, CallState } from '../../domain/types.js';

/** How far an EventTime may lie ahead of its arrival and still be believed. */
export const MAX_AHEAD_MS = 7 * 86_400_000;
const MINUTE = 60_000;

export interface LiveCall {
  state: CallState;
  publication: Publication;
  /** A callback event came since the last publication: whether a timeout closes the call is asked anew. */
  recheck: boolean;
  inputBytes: number;
}

/** What must be known of a call without decoding all of it. */
export type CallSummary = Pick<Call, 'final' | 'status' | 'end_reason' | 'updated_at' | 'last_change_at' | 'latest_at' | 'deadline_at'>;

export interface Slot {
  /** Join key of the call. */
  readonly key: string;
  /** Decoded, while it changes or has lately; else null and `packed` is the call. */
  live: LiveCall | null;
  /** The last revision as published, its bytes as the characters of a string: no form takes less memory. null before the first. */
  packed: string | null;
  dirty: boolean;
  over: boolean;
  final: boolean;
  /** Only a timeout has closed it, so it may still get fresh events. */
  timedOutOnly: boolean;
  lastChange: number;
  latestAt: number;
  deadline: number | null;
  /** Stream time of the last publication. */
  publishedAt: number;
  /** Offset of the last revision on the calls partition; -1: not committed yet. */
  offset: number;
  /** Earliest armed timer. */
  armed: number;
  /** It is not in the state any more. */
  gone: boolean;
}

export const pack = (value: Buffer): string => value.toString('latin1');
export const unpack = (packed: string): Buffer => Buffer.from(packed, 'latin1');

/** The history of what has none yet. */
export const notPublished = (): Publication => ({
  revision: 0,
  final: false,
  first_seen_at: 0,
  updated_at: 0,
  last_change_at: 0,
  latest_at: 0,
  published_minutes: [],
  span_from: null,
  span_to: null,
  deadline_at: null,
  record_task: false,
  media_task: false,
  final_outcome: '',
});

/** The decoded form of a call that has no revision yet. */
export const unpublished = (state: CallState): LiveCall => ({ state, publication: notPublished(), recheck: false, inputBytes: 0 });

export const newSlot = (key: string, state: CallState): Slot => ({ ...slotOf(key, null, -1), live: unpublished(state) });

export const slotOf = (key: string, packed: string | null, offset: number): Slot => ({
  key,
  live: null,
  packed,
  dirty: false,
  over: false,
  final: false,
  timedOutOnly: false,
  lastChange: 0,
  latestAt: 0,
  deadline: null,
  publishedAt: 0,
  offset,
  armed: Number.POSITIVE_INFINITY,
  gone: false,
});

/** The latest moment that this input vouches for: a repetition of it, however late, must not look newer than the horizon. */
export function latestOf(input: CallInput, appendTime: number): number {
  if (input.kind !== 'event') return Math.min(input.received_at, appendTime);
  const happened = Math.min(input.event_at ?? input.received_at, input.received_at, appendTime);
  if (input.event !== 'start_call' || input.event_at === null) return happened;
  return Math.max(happened, Math.min(input.event_at, input.received_at + MAX_AHEAD_MS));
}

/** Remembers the minutes and the interval that this revision will count in, so that the sink can retouch all that a call ever counted in. */
export function recordSpan(publication: Publication, facts: CallFacts): void {
  const minute = Math.floor(facts.started_at / MINUTE) * MINUTE;
  if (!publication.published_minutes.includes(minute)) publication.published_minutes.push(minute);
  if (facts.status !== 'ended' || facts.accepted_at === null || facts.ended_at === null) return;
  publication.span_from = Math.min(publication.span_from ?? facts.accepted_at, facts.accepted_at);
  publication.span_to = Math.max(publication.span_to ?? facts.ended_at, facts.ended_at);
}

/** UTF-8 bytes of a UTF-16 code unit, at most. */
const BYTES_PER_UNIT = 3;
/** A user stands among the strings, the callees and the legs; */
const PLACES_OF_A_USER = 3;
/** a room among the strings and in the call, a platform among the strings and in the leg. */
const PLACES_OF_OTHERS = 2;

/** The bytes that an input takes in the record of its call, at most; the leg of its user included. */
export function sizeOf(input: CallInput): number {
  if (input.kind === 'record') return 16 + BYTES_PER_UNIT * (1 + PLACES_OF_A_USER) * input.text.length;
  // Names nobody who is not in the call anyway, and may be long: its very bytes.
  if (input.kind === 'media') return 16 + BYTES_PER_UNIT * input.user_id.length + Buffer.byteLength(input.text);
  const others = input.room_id.length + input.platform.length + input.call_result.length;
  return 200 + BYTES_PER_UNIT * (PLACES_OF_A_USER * input.user_id.length + PLACES_OF_OTHERS * others);
}

/** As {@link sizeOf}, of all inputs of a call. */
export function sizeOfInputs({ events, records, media }: CallState): number {
  let bytes = 0;
  for (const e of events) bytes += sizeOf(e);
  for (const r of records) bytes += sizeOf(r);
  for (const m of media) bytes += sizeOf(m);
  return bytes;
}
