import type { CallEvent, RawEvent } from '../../codec/generated.js';
import { channelCallId, joinKey, recordingCallId } from '../../domain/key.js';
import { recordingKey } from '../../domain/recording.js';
import type { CallInput } from '../../domain/types.js';
import type { ReadElement, Subject } from '../../sources/element.js';
import type { SourceOf } from '../../sources/registry.js';
import type { InputRecord } from '../../stream/types.js';
import { channelEventId, digest } from '../event-id.js';

/** Of sources that come one way only: the source tells which. */
const ONE_WAY = { polled: false, undelivered: false } as const;

/** What only events of calls have. */
const NO_CALL = { role: '', platform: '', call_result: '' } as const;

/** Whose it is, where it stands, and everything else that it said. */
function arrivalOf<S extends Subject>(element: ReadElement<S>, source: SourceOf<S>, record: InputRecord, raw: RawEvent) {
  return {
    provider: element.key.provider,
    app_id: element.key.app_id,
    received_at: raw.received_at,
    source: raw.source,
    raw_topic: record.topic,
    raw_partition: record.partition,
    raw_offset: record.offset,
    raw_index: element.index,
    detail: source.describe(element),
  };
}

/** The canonical event of one element of a raw delivery about a call. */
export function callEvent(element: ReadElement, source: SourceOf<'call'>, record: InputRecord, raw: RawEvent): CallEvent {
  const { key, input } = element;
  const common = {
    ...arrivalOf(element, source, record, raw),
    call_id: key.call_id,
    event_id: eventId(joinKey(key), input),
    ...ONE_WAY,
  };
  switch (input.kind) {
    case 'event':
      return {
        ...common,
        room_id: input.room_id,
        user_id: input.user_id,
        role: input.role,
        event: input.event,
        event_at: input.event_at,
        platform: input.platform,
        call_result: input.call_result,
      };
    case 'record':
      return {
        ...common,
        room_id: input.fields.room_id,
        user_id: element.reporter?.user_id ?? '',
        role: element.reporter?.role ?? '',
        event: 'record',
        event_at: input.fields.event_at,
        platform: element.reporter?.platform ?? '',
        call_result: input.fields.result,
      };
    case 'media':
      return {
        ...common,
        room_id: element.room_id ?? '',
        user_id: input.user_id,
        role: '',
        event: 'media',
        event_at: null,
        platform: '',
        call_result: '',
      };
  }
}

/** As {@link callEvent}, of an element about a recording: under a call id that is no call's. */
export function recordingEvent(
  element: ReadElement<'recording'>,
  source: SourceOf<'recording'>,
  record: InputRecord,
  raw: RawEvent,
): CallEvent {
  const { key, input } = element;
  return {
    ...arrivalOf(element, source, record, raw),
    ...NO_CALL,
    call_id: recordingCallId(key.task_id),
    room_id: input.room_id,
    user_id: input.record_user_id,
    event: input.event,
    event_at: input.event_at,
    event_id: digest([recordingKey(key), 'recording', input.event, input.event_at]),
    ...ONE_WAY,
  };
}

/** As {@link callEvent}, of an element about a channel: under a call id that is no session's, for which of them it belongs to may change with each further one. */
export function channelEvent(element: ReadElement<'channel'>, source: SourceOf<'channel'>, record: InputRecord, raw: RawEvent): CallEvent {
  const { key, input } = element;
  return {
    ...arrivalOf(element, source, record, raw),
    ...NO_CALL,
    call_id: channelCallId(key.channel_id),
    room_id: key.channel_id,
    user_id: input.user_id,
    event: input.event,
    event_at: input.event_at,
    event_id: channelEventId(key, input),
    polled: input.polled,
    undelivered: input.undelivered,
  };
}

/**
 * Id of an input, equal for every delivery of it: of an event, its call, user, name and time; of a record or a poll, its call, kind and text.
 */
export function eventId(call: string, input: CallInput): string {
  return digest(identityOf(call, input));
}

function identityOf(call: string, input: CallInput): unknown[] {
  switch (input.kind) {
    case 'event':
      return [call, 'event', input.user_id, input.event, input.event_at];
    case 'record':
      return [call, input.origin, input.text];
    case 'media':
      return [call, 'media', input.user_id, input.text];
  }
}
