import type { ChannelInput, ChannelKey } from '../domain/channel.js';
import type { RecordingInput, RecordingKey } from '../domain/recording.js';
import type { CallInput, CallKey } from '../domain/types.js';
import type { Role } from '../domain/vocabulary.js';
import type { JsonObject } from './json.js';
import { sha256Hex } from './sign/digest.js';

/** What a source needs of a raw delivery: the RawEvent record of schemas/avro/raw-event.avsc, without the parts only people read. */
export interface Delivery {
  source: string;
  app_id: string;
  /** Epoch milliseconds. */
  received_at: number;
  query: string;
  body: Buffer;
}

/** What inputs are about, and are folded into: the key of the whole, and what one input says of it. A source speaks of one subject only. */
export interface Subjects {
  call: { key: CallKey; input: CallInput };
  recording: { key: RecordingKey; input: RecordingInput };
  channel: { key: ChannelKey; input: ChannelInput };
}
export type Subject = keyof Subjects;

/** One input of a delivery that could be read. */
export interface ReadElement<S extends Subject = 'call'> {
  ok: true;
  /** Position within the delivery; 0 for a delivery of one. */
  index: number;
  key: Subjects[S]['key'];
  input: Subjects[S]['input'];
  /** The parsed element, for {@link Source.describe}. */
  body: JsonObject;
  /** Of a status callback, whose fields say nothing of it: who reported it, and from where. */
  reporter?: { user_id: string; role: Role; platform: string };
  /** Of a media poll, which says nothing of it itself: the room that was asked about. */
  room_id?: string;
}

/** One input of a delivery that could not be read: a dead letter of stage `parse`. */
export interface UnreadElement {
  ok: false;
  /** Position within the delivery; -1: the whole delivery. */
  index: number;
  reason: ParseReason;
  /** For people: what was wrong. */
  error: string;
}

export type Element<S extends Subject = 'call'> = ReadElement<S> | UnreadElement;

/** What could not be read, and why; see {@link UnreadElement}. */
export const unread = (index: number, reason: ParseReason, error: string): UnreadElement => ({ ok: false, index, reason, error });

/** What `call_events` keeps of an input. Times in epoch ms. */
export interface StoredEvent {
  /** Of a recording's input, the one that stands for its task (`recordingCallId`); of a channel's, the one that stands for the channel (`channelCallId`). */
  call_id: string;
  room_id: string;
  user_id: string;
  role: string;
  event: string;
  /** null: unknown. */
  event_at: number | null;
  platform: string;
  call_result: string;
  /** As {@link Source.describe} gave it. */
  detail: string;
}

/** Stable codes of what makes an input unreadable. */
export type ParseReason =
  | 'not_utf8'
  | 'too_deep'
  | 'not_json'
  | 'not_an_object'
  | 'no_call_id'
  | 'no_task_id'
  | 'unknown_event'
  | 'no_event'
  | 'too_many_users'
  | 'too_many_events';

/** Bytes of the longest Kafka key. */
const MAX_KEY_BYTES = 16 * 1024;

/** The Kafka key of a join key: itself, but for one of absurd length its digest. Whatever writes a raw topic uses it, so that a call has one partition. */
export function recordKey(joined: string): string {
  if (joined.length * 3 <= MAX_KEY_BYTES || Buffer.byteLength(joined) <= MAX_KEY_BYTES) return joined;
  return `sha256:${sha256Hex(joined)}`;
}
