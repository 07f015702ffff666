import { largestKnown, smallerNonEmpty, smallestKnown } from './order.js';
import type { Provider } from './vocabulary.js';

/** Identity of a recording: one (provider, app_id, task_id). Ids are case-sensitive strings. */
export interface RecordingKey {
  provider: Provider;
  app_id: string;
  task_id: string;
}

/** What the vendor tells of a recording, in the vendor's spelling and in the order of a recording's life: of two events of one moment, the later listed is the later. */
export const RECORDING_EVENTS = [
  'OnlineRecordStarted',
  'OnlineRecordLongPauseWarning',
  'OnlineRecordLongPauseForceStopped',
  'OnlineRecordStopped',
  'OnlineRecordFinished',
] as const;
export type RecordingEvent = (typeof RECORDING_EVENTS)[number];

export type RecordingStatus = 'recording' | 'paused' | 'stopped' | 'finished' | 'failed';

/** One file of a recording. Strings are '' and numbers 0 when absent. */
export interface RecordingVideo {
  /** Whose stream it is; '' for the whiteboard. */
  user_id: string;
  video_id: string;
  /** `camera`, `screen`, `whiteboard`, `mixed`, `audio`, or the digits of a code that is none of these. */
  type: string;
  format: string;
  url: string;
  /** When in the replay it begins, milliseconds. */
  play_time_ms: number;
  duration_ms: number;
  size_bytes: number;
  width: number;
  height: number;
}

/** A stretch that a concatenated video leaves out, milliseconds: where in the video, and from when until when (epoch) nothing was recorded. */
export interface RecordingOmission {
  video_time_ms: number;
  pause_time_ms: number;
  resume_time_ms: number;
}

/**
 * One event of a recording. Identity within its task: (event, event_at), where an unknown time is an identity of its own.
 * Times are epoch milliseconds, null when unknown or absent; strings are '' and counts 0 when absent.
 */
export interface RecordingInput {
  event: RecordingEvent;
  event_at: number | null;
  room_id: string;
  group_id: string;
  record_user_id: string;
  record_start_at: number | null;
  record_stop_at: number | null;
  pause_at: number | null;
  estimate_stop_at: number | null;
  stop_at: number | null;
  total_ms: number;
  /** Lower-cased. */
  finish_reason: string;
  exceptions: number;
  /** An Error is present. */
  has_error: boolean;
  error_code: string;
  error_message: string;
  videos: readonly RecordingVideo[];
  omitted: readonly RecordingOmission[];
  /** Smallest arrival of the equal deliveries, epoch ms. */
  received_at: number;
}

/** The set of distinct inputs of one recording. Never changed: {@link withInput} makes another. */
export interface RecordingState extends RecordingKey {
  readonly inputs: readonly RecordingInput[];
}

/** Everything that semantics.md "Recordings" derives from the set of inputs: a pure function of {@link RecordingState}. */
export interface RecordingFacts {
  room_id: string;
  group_id: string;
  record_user_id: string;
  status: RecordingStatus;
  started_at: number | null;
  stopped_at: number | null;
  total_ms: number;
  finish_reason: string;
  exceptions: number;
  error_code: string;
  error_message: string;
  pauses: number;
  videos: readonly RecordingVideo[];
  omitted: readonly RecordingOmission[];
}

/** Key under which everything about a recording travels and is found: `provider:app:task`. */
export const recordingKey = (key: Readonly<Record<keyof RecordingKey, string>>): string => `${key.provider}:${key.app_id}:${key.task_id}`;

export const emptyRecording = ({ provider, app_id, task_id }: RecordingKey): RecordingState => ({ provider, app_id, task_id, inputs: [] });

/**
 * The set with one more input: commutative, associative, idempotent, and in one canonical order, so that equal sets are equal states. The very
 * state comes back when the input says nothing new.
 */
export function withInput(state: RecordingState, input: RecordingInput): RecordingState {
  const inputs = [...state.inputs];
  const at = inputs.findIndex((held) => compareIdentity(held, input) >= 0);
  const held = at < 0 ? undefined : inputs[at];
  if (held === undefined || compareIdentity(held, input) !== 0) {
    inputs.splice(at < 0 ? inputs.length : at, 0, input);
    return { ...state, inputs };
  }
  const merged = merge(held, input);
  if (saysTheSame(merged, held)) return state;
  inputs[at] = merged;
  return { ...state, inputs };
}

/** The record of a set that is not empty. */
export function deriveRecording(state: RecordingState): RecordingFacts {
  const events = [...state.inputs].sort(compareTime);
  const finished = events.findLast((e) => e.event === 'OnlineRecordFinished');
  const stops = events.filter((e) => e.event === 'OnlineRecordStopped' || e.event === 'OnlineRecordLongPauseForceStopped');
  return {
    room_id: earliest(events, 'room_id'),
    group_id: earliest(events, 'group_id'),
    record_user_id: earliest(events, 'record_user_id'),
    status: statusOf(events, finished, stops.length > 0),
    started_at: startOf(events),
    stopped_at: stopOf(events, finished, stops),
    total_ms: finished?.total_ms ?? 0,
    finish_reason: finished?.finish_reason ?? '',
    exceptions: finished?.exceptions ?? 0,
    error_code: finished?.error_code ?? '',
    error_message: finished?.error_message ?? '',
    pauses: events.filter((e) => e.event === 'OnlineRecordLongPauseWarning').length,
    videos: finished?.videos ?? [],
    omitted: finished?.omitted ?? [],
  };
}

/** The smallest arrival of a set's inputs, epoch ms. */
export const recordingFirstSeen = (state: RecordingState): number => Math.min(...state.inputs.map((e) => e.received_at));

function statusOf(events: readonly RecordingInput[], finished: RecordingInput | undefined, stopped: boolean): RecordingStatus {
  if (finished !== undefined) return finished.has_error || finished.finish_reason === 'exception' ? 'failed' : 'finished';
  if (stopped) return 'stopped';
  return events.at(-1)?.event === 'OnlineRecordLongPauseWarning' ? 'paused' : 'recording';
}

/** As the vendor says it in the end; until then, when it was reported. */
function startOf(events: readonly RecordingInput[]): number | null {
  const told = events.reduce<number | null>((at, e) => smallestKnown(at, e.record_start_at), null);
  if (told !== null) return told;
  const started = events.find((e) => e.event === 'OnlineRecordStarted');
  return started === undefined ? null : timeOf(started);
}

/** As the vendor says it; else when the stop was reported, else when the result was: a recording that is over has not gone on until now. */
function stopOf(events: readonly RecordingInput[], finished: RecordingInput | undefined, stops: readonly RecordingInput[]): number | null {
  const told = events.reduce<number | null>((at, e) => largestKnown(at, e.record_stop_at), null);
  if (told !== null) return told;
  const forced = stops.reduce<number | null>(
    (at, e) => (e.event === 'OnlineRecordLongPauseForceStopped' ? largestKnown(at, e.stop_at) : at),
    null,
  );
  if (forced !== null) return forced;
  const last = stops.at(-1) ?? finished;
  return last === undefined ? null : timeOf(last);
}

const earliest = (events: readonly RecordingInput[], field: 'room_id' | 'group_id' | 'record_user_id'): string =>
  events.find((e) => e[field] !== '')?.[field] ?? '';

/** An event of unknown time took place when it first arrived. */
const timeOf = (e: RecordingInput): number => e.event_at ?? e.received_at;

const rankOf = (e: RecordingInput): number => RECORDING_EVENTS.indexOf(e.event);

/** By time; of one moment by rank, and of one name the one that knows its time first. */
const compareTime = (a: RecordingInput, b: RecordingInput): number =>
  timeOf(a) - timeOf(b) || rankOf(a) - rankOf(b) || Number(a.event_at === null) - Number(b.event_at === null);

/** By (event_at, event), unknown times last. */
function compareIdentity(a: RecordingInput, b: RecordingInput): number {
  if (a.event_at !== b.event_at) return a.event_at === null ? 1 : b.event_at === null ? -1 : a.event_at - b.event_at;
  return rankOf(a) - rankOf(b);
}

/** Differing bodies of one event, as those of callbacks: smallest starts, largest ends and counts, every other field the smaller non-empty text. */
function merge(a: RecordingInput, b: RecordingInput): RecordingInput {
  return {
    event: a.event,
    event_at: a.event_at,
    room_id: smallerNonEmpty(a.room_id, b.room_id),
    group_id: smallerNonEmpty(a.group_id, b.group_id),
    record_user_id: smallerNonEmpty(a.record_user_id, b.record_user_id),
    record_start_at: smallestKnown(a.record_start_at, b.record_start_at),
    record_stop_at: largestKnown(a.record_stop_at, b.record_stop_at),
    pause_at: smallestKnown(a.pause_at, b.pause_at),
    estimate_stop_at: largestKnown(a.estimate_stop_at, b.estimate_stop_at),
    stop_at: largestKnown(a.stop_at, b.stop_at),
    total_ms: Math.max(a.total_ms, b.total_ms),
    finish_reason: smallerNonEmpty(a.finish_reason, b.finish_reason),
    exceptions: Math.max(a.exceptions, b.exceptions),
    has_error: a.has_error || b.has_error,
    error_code: smallerNonEmpty(a.error_code, b.error_code),
    error_message: smallerNonEmpty(a.error_message, b.error_message),
    videos: smallerList(a.videos, b.videos),
    omitted: smallerList(a.omitted, b.omitted),
    received_at: Math.min(a.received_at, b.received_at),
  };
}

/** The one whose JSON is smaller, where an empty list is none at all; the first, where they are equal. Whoever makes the elements puts their fields in the order of the type. */
function smallerList<T>(a: readonly T[], b: readonly T[]): readonly T[] {
  if (b.length === 0) return a;
  return a.length > 0 && JSON.stringify(a) <= JSON.stringify(b) ? a : b;
}

/** Whether a merge has left the held input as it was: it then has its very lists. */
const saysTheSame = (merged: RecordingInput, held: RecordingInput): boolean =>
  (Object.keys(merged) as (keyof RecordingInput)[]).every((name) => merged[name] === held[name]);
