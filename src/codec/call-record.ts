import type { CallFacts, CallState, EventInput, MediaEvent, RecordFields } from '../domain/types.js';
import { type CallType, EVENTS, type EventName, type MediaType, type Provider, type Role } from '../domain/vocabulary.js';
import type { Call, EventEntry } from './generated.js';

/** How the source texts kept inside a Call record are read again. Pure; total: what it once accepted it accepts again. */
export interface TextReaders {
  record(origin: 'record' | 'status', text: string): RecordFields;
  media(text: string): MediaEvent[];
}

/** The part of a Call record that is neither derived nor input: its history of publication. */
export interface Publication {
  revision: number;
  final: boolean;
  first_seen_at: number;
  updated_at: number;
  /** Stream time of the last change. */
  last_change_at: number;
  /** See the schema's field of this name. */
  latest_at: number;
  published_minutes: number[];
  span_from: number | null;
  span_to: number | null;
  deadline_at: number | null;
  record_task: boolean;
  media_task: boolean;
  /** See the schema's field of this name. */
  final_outcome: string;
}

const ROLES: readonly Role[] = ['', 'caller', 'callee'];
const EVENT_CODES = new Map<EventName, number>(EVENTS.map((name, code) => [name, code]));

/** The Avro record of one revision. */
export function packCall(state: CallState, facts: CallFacts, publication: Publication): Call {
  const strings = new StringTable();
  const events = new Array<EventEntry>(state.events.length);
  for (let i = 0; i < events.length; i++) events[i] = packEvent(state.events[i]!, strings);
  return {
    provider: state.provider,
    app_id: state.app_id,
    call_id: state.call_id,
    revision: publication.revision,
    final: publication.final,
    room_id: facts.room_id,
    call_type: facts.call_type,
    media_type: facts.media_type,
    caller: facts.caller,
    callees: facts.callees,
    total_users: facts.total_users,
    status: facts.status,
    outcome: facts.outcome,
    end_reason: facts.end_reason,
    started_at: facts.started_at,
    accepted_at: facts.accepted_at,
    ended_at: facts.ended_at,
    ring_ms: facts.ring_ms,
    talk_ms: facts.talk_ms,
    missed: facts.missed,
    missed_inclusive: facts.missed_inclusive,
    sources: facts.sources,
    anomalies: facts.anomalies,
    first_seen_at: publication.first_seen_at,
    updated_at: publication.updated_at,
    legs: facts.legs,
    last_change_at: publication.last_change_at,
    latest_at: publication.latest_at,
    timed_out: state.timed_out,
    deadline_at: publication.deadline_at,
    record_task: publication.record_task,
    media_task: publication.media_task,
    final_outcome: publication.final_outcome,
    published_minutes: publication.published_minutes,
    span_from: publication.span_from,
    span_to: publication.span_to,
    strings: strings.all,
    events,
    records: state.records.map((r) => ({ origin: r.origin, text: r.text, received_at: r.received_at })),
    media: state.media.map((m) => ({ user_id: m.user_id, text: m.text, received_at: m.received_at })),
    channel_events: [],
    sealed_users: state.sealed_users,
  };
}

/** The state and history inside a Call record. Throws when an event code or string position is out of range: the record is damaged. */
export function unpackCall(call: Call, readers: TextReaders): { state: CallState; publication: Publication } {
  return {
    state: {
      provider: call.provider as Provider,
      app_id: call.app_id,
      call_id: call.call_id,
      events: call.events.map((e) => unpackEvent(e, call.strings)),
      records: call.records.map((r) => {
        const origin = r.origin === 'record' ? 'record' : 'status';
        return { kind: 'record', origin, text: r.text, fields: readers.record(origin, r.text), received_at: r.received_at };
      }),
      media: call.media.map((m) => ({
        kind: 'media',
        user_id: m.user_id,
        text: m.text,
        events: readers.media(m.text),
        received_at: m.received_at,
      })),
      sealed_users: call.sealed_users,
      timed_out: call.timed_out,
    },
    publication: publicationOf(call),
  };
}

/** The history of publication inside a Call record, as its next revision begins with it. */
export const publicationOf = (call: Call): Publication => ({
  revision: call.revision,
  final: call.final,
  first_seen_at: call.first_seen_at,
  updated_at: call.updated_at,
  last_change_at: call.last_change_at,
  latest_at: call.latest_at,
  published_minutes: call.published_minutes,
  span_from: call.span_from,
  span_to: call.span_to,
  deadline_at: call.deadline_at,
  record_task: call.record_task,
  media_task: call.media_task,
  final_outcome: call.final ? call.outcome : call.final_outcome,
});

function packEvent(e: EventInput, strings: StringTable): EventEntry {
  return {
    user: strings.of(e.user_id),
    event: EVENT_CODES.get(e.event)!,
    role: ROLES.indexOf(e.role),
    event_at: e.event_at,
    received_at: e.received_at,
    start_call_ts: e.start_call_ts,
    accept_ts: e.accept_ts,
    end_ts: e.end_ts,
    total_num: e.total_num,
    room: strings.of(e.room_id),
    media_type: strings.of(e.media_type),
    call_type: strings.of(e.call_type),
    call_result: strings.of(e.call_result),
    platform: strings.of(e.platform),
  };
}

function unpackEvent(e: EventEntry, strings: string[]): EventInput {
  const event = EVENTS[e.event];
  if (event === undefined) throw new RangeError(`event code ${e.event} is not known`);
  return {
    kind: 'event',
    user_id: stringAt(strings, e.user),
    event,
    event_at: e.event_at,
    role: ROLES[e.role] ?? '',
    start_call_ts: e.start_call_ts,
    accept_ts: e.accept_ts,
    end_ts: e.end_ts,
    total_num: e.total_num,
    room_id: stringAt(strings, e.room),
    media_type: stringAt(strings, e.media_type) as MediaType,
    call_type: stringAt(strings, e.call_type) as CallType,
    call_result: stringAt(strings, e.call_result),
    platform: stringAt(strings, e.platform),
    received_at: e.received_at,
  };
}

/** Up to here, looking through the strings is faster than hashing one. */
const FEW = 16;

/** The distinct strings of a call's events; position 0 is ''. */
export class StringTable {
  readonly all: string[] = [''];
  #index: Map<string, number> | null = null;

  /** Position of a string. */
  of(s: string): number {
    const found = this.#index === null ? this.all.indexOf(s) : (this.#index.get(s) ?? -1);
    if (found >= 0) return found;
    const added = this.all.push(s) - 1;
    if (this.#index !== null) this.#index.set(s, added);
    else if (added === FEW) this.#index = new Map(this.all.map((each, i) => [each, i]));
    return added;
  }
}

/** Throws when the position is out of range: the record is damaged. */
export function stringAt(strings: readonly string[], i: number): string {
  const s = strings[i];
  if (s === undefined) throw new RangeError(`string position ${i} is not in the record`);
  return s;
}
