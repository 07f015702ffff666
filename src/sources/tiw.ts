/**
 * Recording events of the Tencent interactive whiteboard (vendor-docs/tiw-recording-callbacks.txt; vendors.md §6). One envelope serves several
 * families of events; those of recordings are read, the others are dead letters. Units are those of the API's data types: TotalTime, which the
 * page calls a timestamp, is milliseconds.
 */
import { createHash } from 'node:crypto';
import { taskIdOf } from '../domain/key.js';
import {
  RECORDING_EVENTS,
  type RecordingEvent,
  type RecordingInput,
  type RecordingOmission,
  type RecordingVideo,
  recordingKey,
} from '../domain/recording.js';
import { type Delivery, type Element, type ReadElement, type StoredEvent, unread } from './element.js';
import { envelopeOf } from './envelope.js';
import { countOf, idOf, isGiven, type JsonObject, parseObject, timeOf, toJson, wordOf } from './json.js';
import { isObject, listAt, objectAt } from './nested.js';
import type { SourceOf } from './registry.js';
import { equalSecrets, sha256Hex } from './sign/digest.js';
import type { WebhookApp, WebhookRequest } from './webhook.js';

const NAME = 'tiw';
const TOPIC = 'callstream.raw.tiw';
const PROVIDER = 'tencent';
/** Enumerations compare lower-cased. */
const EVENTS = new Map<string, RecordingEvent>(RECORDING_EVENTS.map((event) => [event.toLowerCase(), event]));
/** By VideoType. */
const VIDEO_TYPES = ['camera', 'screen', 'whiteboard', 'mixed', 'audio'];
const SUCCESS = '{"error_code":0}';
/** Whose a body is, and how it is signed. */
const ENVELOPE = ['SdkAppId', 'Sign', 'ExpireTime'];

export const tiw: SourceOf<'recording'> = {
  name: NAME,
  subject: 'recording',
  topic: TOPIC,
  provider: PROVIDER,
  toInputs,
  describe,
  rebuild,
  webhook: {
    name: NAME,
    topic: TOPIC,
    provider: PROVIDER,
    appIdIn: 'body',
    appIdOf(_query, body) {
      const envelope = envelopeOf(body, ENVELOPE);
      return (envelope !== null && idOf(envelope, 'SdkAppId')) || null;
    },
    authenticate,
    keyOf(appId, _query, body) {
      const parsed = parseObject(body);
      const taskId = parsed.ok ? idOf(objectAt(parsed.body, 'EventData'), 'TaskId') : '';
      if (taskId === '') return sha256Hex(body);
      return recordingKey({ provider: PROVIDER, app_id: appId, task_id: taskId });
    },
    successBody: () => SUCCESS,
  },
};

/**
 * Sign = md5_hex(CallbackKey + ExpireTime), good until ExpireTime, in seconds (vendors.md §6). It covers neither the app nor the rest of the body.
 * A body that says neither whose it is nor how it is signed is left to the path's secret.
 */
function authenticate({ body }: WebhookRequest, { tiwCallbackKey }: WebhookApp, nowMs: number): boolean | null | 'unreadable' {
  if (tiwCallbackKey === undefined) return null;
  const envelope = envelopeOf(body, ENVELOPE);
  if (envelope === null) return 'unreadable';
  const sign = wordOf(envelope, 'Sign');
  if (sign === '' && idOf(envelope, 'SdkAppId') === '') return 'unreadable';
  const expires = idOf(envelope, 'ExpireTime');
  const good = createHash('md5').update(`${tiwCallbackKey}${expires}`).digest('hex');
  return equalSecrets(good, sign) && /^[0-9]+$/.test(expires) && nowMs <= Number(expires) * 1000;
}

/** The inputs of one delivery: exactly one element. */
function toInputs(raw: Delivery): Element<'recording'>[] {
  const parsed = parseObject(raw.body);
  if (!parsed.ok) return [parsed];
  const { body } = parsed;
  if (!isGiven(body, 'EventType')) return [unread(0, 'no_event', 'the body has no EventType')];
  const event = EVENTS.get(wordOf(body, 'EventType'));
  if (event === undefined)
    return [unread(0, 'unknown_event', `the EventType ${toJson(body.EventType).slice(0, 80)} is none of a recording`)];
  const data = objectAt(body, 'EventData');
  const taskId = idOf(data, 'TaskId');
  if (taskId === '') return [unread(0, 'no_task_id', 'the body has no usable EventData.TaskId')];
  const key = { provider: PROVIDER, app_id: raw.app_id, task_id: taskId } as const;
  return [{ ok: true, index: 0, key, input: recordingInput(body, data, event, raw.received_at), body }];
}

function recordingInput(body: JsonObject, data: JsonObject, event: RecordingEvent, receivedAt: number): RecordingInput {
  const error = objectAt(data, 'Error');
  return {
    event,
    event_at: timeOf(body, 'Timestamp'),
    room_id: idOf(data, 'RoomId'),
    group_id: idOf(data, 'GroupId'),
    record_user_id: idOf(data, 'RecordUserId'),
    record_start_at: timeOf(data, 'RecordStartTime'),
    record_stop_at: timeOf(data, 'RecordStopTime'),
    pause_at: timeOf(data, 'PauseTime'),
    estimate_stop_at: timeOf(data, 'EstimateStopTime'),
    stop_at: timeOf(data, 'StopTime'),
    total_ms: countOf(data, 'TotalTime'),
    finish_reason: wordOf(data, 'FinishReason'),
    exceptions: countOf(data, 'ExceptionCnt'),
    has_error: isGiven(data, 'Error'),
    error_code: idOf(error, 'Code'),
    error_message: idOf(error, 'Message'),
    videos: objectsIn(data, 'VideoInfos').map(videoOf),
    omitted: objectsIn(data, 'OmittedDurations').map(omissionOf),
    received_at: receivedAt,
  };
}

function videoOf(info: JsonObject): RecordingVideo {
  const type = idOf(info, 'VideoType');
  return {
    user_id: idOf(info, 'UserId'),
    video_id: idOf(info, 'VideoId'),
    type: VIDEO_TYPES[/^[0-9]$/.test(type) ? Number(type) : -1] ?? type,
    format: idOf(info, 'VideoFormat'),
    url: idOf(info, 'VideoUrl'),
    play_time_ms: countOf(info, 'VideoPlayTime'),
    duration_ms: countOf(info, 'VideoDuration'),
    size_bytes: countOf(info, 'VideoSize'),
    width: countOf(info, 'Width'),
    height: countOf(info, 'Height'),
  };
}

const omissionOf = (omission: JsonObject): RecordingOmission => ({
  video_time_ms: countOf(omission, 'VideoTime'),
  pause_time_ms: countOf(omission, 'PauseTime'),
  resume_time_ms: countOf(omission, 'ResumeTime'),
});

/** The objects in a list; whatever else stands in it is passed over. */
const objectsIn = (body: JsonObject, name: string): JsonObject[] => (listAt(body, name) ?? []).filter(isObject);

/** Fields that `call_events` has columns of its own for; a Sign is a credential, good for any body until it expires, and kept out of tables. */
const COLUMNS: ReadonlySet<string> = new Set(['SdkAppId', 'EventType', 'Timestamp', 'Sign', 'ExpireTime', 'EventData']);
const DATA_COLUMNS: ReadonlySet<string> = new Set(['TaskId', 'RoomId', 'RecordUserId']);

/** The detail of a `call_events` row: every field without a column, in the shape of the body, and a time that its column could not keep. */
function describe({ input, body }: ReadElement<'recording'>): string {
  const fields = fieldsOf(body, (name) => COLUMNS.has(name) && !(name === 'Timestamp' && input.event_at === null));
  const data = fieldsOf(objectAt(body, 'EventData'), (name) => DATA_COLUMNS.has(name));
  return `{${[...fields, `"EventData":{${data.join()}}`].join()}}`;
}

const fieldsOf = (body: JsonObject, left: (name: string) => boolean): string[] =>
  Object.entries(body).flatMap(([name, value]) => (left(name) ? [] : [`${JSON.stringify(name)}:${toJson(value)}`]));

/** The inverse of {@link describe}: columns and detail as one delivery again. */
function rebuild(stored: StoredEvent): { query: string; body: Buffer } {
  const detail = parseObject(Buffer.from(stored.detail));
  if (!detail.ok) throw new SyntaxError(`the detail of a stored event: ${detail.error}`);
  const body = {
    EventType: stored.event,
    ...(stored.event_at === null ? {} : { Timestamp: stored.event_at }),
    ...detail.body,
    EventData: {
      TaskId: taskIdOf(stored.call_id),
      RoomId: stored.room_id,
      RecordUserId: stored.user_id,
      ...objectAt(detail.body, 'EventData'),
    },
  };
  return { query: '', body: Buffer.from(toJson(body)) };
}
