import { compareStrings, largestKnown, smallerNonEmpty, smallestKnown } from './order.js';
import type { CallInput, CallKey, CallState, EventInput, MediaInput, RecordInput } from './types.js';
import type { Role } from './vocabulary.js';

/**
 * The set of distinct inputs of a call. Adding is commutative, associative and idempotent, and the arrays are kept in one canonical order,
 * so that equal sets are equal states: events by (event_at, user_id, event) with unknown times last, records by (origin, text), media by
 * (user_id, text). Input objects are shared, never changed: a merge puts a new object in the place of the old.
 */
export function emptyState(key: CallKey): CallState {
  const { provider, app_id, call_id } = key;
  return { provider, app_id, call_id, events: [], records: [], media: [], sealed_users: [], timed_out: false };
}

/** Adds sealed ids of users. True when there is one that was not there. */
export function addSealed(state: CallState, sealed: Iterable<string>): boolean {
  const before = state.sealed_users.length;
  for (const each of sealed) if (!state.sealed_users.includes(each)) state.sealed_users.push(each);
  if (state.sealed_users.length === before) return false;
  state.sealed_users.sort(compareStrings);
  return true;
}

/** Adds one input to the set. True when the set changed: a new input, or an equal one that says more or came earlier. */
export function addInput(state: CallState, input: CallInput): boolean {
  switch (input.kind) {
    case 'event':
      return add(state.events, input, compareEvents, mergeEvents);
    case 'record':
      return add(state.records, input, compareRecords, earlierDelivery);
    case 'media':
      return add(state.media, input, compareMedia, earlierDelivery);
  }
}

/** Whether the set holds an input of the same identity. */
export function hasInput(state: CallState, input: CallInput): boolean {
  switch (input.kind) {
    case 'event':
      return find(state.events, input, compareEvents) >= 0;
    case 'record':
      return find(state.records, input, compareRecords) >= 0;
    case 'media':
      return find(state.media, input, compareMedia) >= 0;
  }
}

/** The position of an equal input, or the complement (~) of where it belongs. Inputs mostly come in order, so the search starts from the end. */
function find<T>(set: readonly T[], input: T, compare: (a: T, b: T) => number): number {
  let low = 0;
  let high = set.length;
  let probe = high - 1;
  while (low < high) {
    const order = compare(set[probe]!, input);
    if (order === 0) return probe;
    if (order < 0) low = probe + 1;
    else high = probe;
    probe = (low + high) >>> 1;
  }
  return ~low;
}

function add<T>(set: T[], input: T, compare: (a: T, b: T) => number, merge: (held: T, input: T) => T): boolean {
  const at = find(set, input, compare);
  if (at < 0) {
    if (~at === set.length) set.push(input);
    else set.splice(~at, 0, input);
    return true;
  }
  const held = set[at]!;
  const merged = merge(held, input);
  set[at] = merged;
  return merged !== held;
}

function compareEvents(a: EventInput, b: EventInput): number {
  if (a.event_at !== b.event_at) return a.event_at === null ? 1 : b.event_at === null ? -1 : a.event_at - b.event_at;
  return compareStrings(a.user_id, b.user_id) || compareStrings(a.event, b.event);
}

function compareRecords(a: RecordInput, b: RecordInput): number {
  return compareStrings(a.origin, b.origin) || compareStrings(a.text, b.text);
}

function compareMedia(a: MediaInput, b: MediaInput): number {
  return compareStrings(a.user_id, b.user_id) || compareStrings(a.text, b.text);
}

/** Equal bodies are one input, with the smallest received_at. */
function earlierDelivery<T extends RecordInput | MediaInput>(held: T, input: T): T {
  return input.received_at < held.received_at ? input : held;
}

/** Bodies of the same event merge field by field. The held object itself comes back when the other adds nothing. */
function mergeEvents(held: EventInput, input: EventInput): EventInput {
  const merged: EventInput = {
    kind: 'event',
    user_id: held.user_id,
    event: held.event,
    event_at: held.event_at,
    role: mergeRoles(held.role, input.role),
    start_call_ts: smallestKnown(held.start_call_ts, input.start_call_ts),
    accept_ts: smallestKnown(held.accept_ts, input.accept_ts),
    end_ts: largestKnown(held.end_ts, input.end_ts),
    total_num: Math.max(held.total_num, input.total_num),
    room_id: smallerNonEmpty(held.room_id, input.room_id),
    media_type: smallerNonEmpty(held.media_type, input.media_type),
    call_type: smallerNonEmpty(held.call_type, input.call_type),
    call_result: smallerNonEmpty(held.call_result, input.call_result),
    platform: smallerNonEmpty(held.platform, input.platform),
    received_at: Math.min(held.received_at, input.received_at),
  };
  return sameContent(held, merged) ? held : merged;
}

function mergeRoles(a: Role, b: Role): Role {
  if (a === 'caller' || b === 'caller') return 'caller';
  return a === 'callee' || b === 'callee' ? 'callee' : '';
}

function sameContent(a: EventInput, b: EventInput): boolean {
  return (
    a.role === b.role &&
    a.start_call_ts === b.start_call_ts &&
    a.accept_ts === b.accept_ts &&
    a.end_ts === b.end_ts &&
    a.total_num === b.total_num &&
    a.room_id === b.room_id &&
    a.media_type === b.media_type &&
    a.call_type === b.call_type &&
    a.call_result === b.call_result &&
    a.platform === b.platform &&
    a.received_at === b.received_at
  );
}
