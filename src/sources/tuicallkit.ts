/**
 * TUICallKit call-event and call-status callbacks: v1 (vendor-docs/tuicallkit-call-event-callback.txt; vendors.md §4.1), and by way of v1's fields v4
 * (tuicallkit-v4.ts). The body decides what it is: a non-empty `Event` is a call event, else a non-empty `CallResult` is a call status; `command` is only a hint.
 */
import { joinKey } from '../domain/key.js';
import { canonicalResult } from '../domain/record.js';
import type { CallKey, EventInput, RecordFields, RecordInput } from '../domain/types.js';
import { type CallType, EVENTS, type EventName, type MediaType, type Role } from '../domain/vocabulary.js';
import { type Delivery, type Element, type ReadElement, type StoredEvent, unread } from './element.js';
import { countOf, idOf, isGiven, type JsonObject, parseObject, timeOf, toJson, wordOf } from './json.js';
import { queryParameter } from './query.js';
import type { SourceOf } from './registry.js';
import { sha256Hex } from './sign/digest.js';
import { isV4, mayBeV4, V4_SUCCESS, v4CallId, v4Elements, v4Record } from './tuicallkit-v4.js';

const NAME = 'tuicallkit';
const TOPIC = 'callstream.raw.tuicallkit';
const PROVIDER = 'tencent';
const EVENT_NAMES: ReadonlySet<string> = new Set(EVENTS);
/** Success as the vendor's status page wants it. */
const SUCCESS = '{"ErrorCode":0,"ErrorMessage":"Success"}';

export const tuicallkit: SourceOf<'call'> = {
  name: NAME,
  subject: 'call',
  topic: TOPIC,
  provider: PROVIDER,
  toInputs,
  describe,
  rebuild,
  webhook: {
    name: NAME,
    topic: TOPIC,
    provider: PROVIDER,
    appIdIn: 'query',
    appIdOf: (query) => queryParameter(query, 'sdkappid'),
    keyOf(appId, _query, body) {
      const parsed = parseObject(body);
      const callId = parsed.ok ? callIdOf(parsed.body) : '';
      if (callId === '') return sha256Hex(body);
      return joinKey({ provider: PROVIDER, app_id: appId, call_id: callId });
    },
    successBody: (query, body) => (speaksV4(query, body) ? V4_SUCCESS : SUCCESS),
  },
};

/** Of a body that cannot be read, the query tells the generation: only v4 names a CallbackCommand. */
function speaksV4(query: string, bytes: Buffer): boolean {
  if (!mayBeV4(bytes)) return false;
  const parsed = parseObject(bytes);
  return parsed.ok ? isV4(parsed.body) : queryParameter(query, 'callbackcommand') !== null;
}

const callIdOf = (body: JsonObject): string => idOf(body, 'CallId') || (isV4(body) ? v4CallId(body) : '');

/** The inputs of one delivery: of v1 exactly one element. */
function toInputs(raw: Delivery): Element[] {
  const parsed = parseObject(raw.body);
  if (!parsed.ok) return [parsed];
  const { body, text } = parsed;
  const callId = callIdOf(body);
  if (callId === '') return [unread(0, 'no_call_id', 'the body has no usable CallId')];
  const key = { provider: PROVIDER, app_id: raw.app_id, call_id: callId } as const;
  if (isGiven(body, 'Event')) {
    const event = wordOf(body, 'Event');
    if (!EVENT_NAMES.has(event)) return [unread(0, 'unknown_event', `the Event ${toJson(body.Event).slice(0, 80)} is not known`)];
    return [{ ok: true, index: 0, key, input: eventInput(body, event as EventName, raw), body }];
  }
  if (isGiven(body, 'CallResult')) {
    const input: RecordInput = { kind: 'record', origin: 'status', text, fields: statusFields(body), received_at: raw.received_at };
    const reporter = { user_id: idOf(body, 'UserId'), role: roleOf(body), platform: platformOf(raw.query) };
    return [{ ok: true, index: 0, key, input, body, reporter }];
  }
  if (isV4(body)) return v4Inputs(body, text, key, raw);
  return [unread(0, 'no_event', 'the body has neither an Event nor a CallResult')];
}

function v4Inputs(body: JsonObject, text: string, key: CallKey, raw: Delivery): Element[] {
  if (v4Record(body) !== null) {
    const fields = statusFields(body);
    const input: RecordInput = { kind: 'record', origin: 'status', text, fields, received_at: raw.received_at };
    const role = fields.caller === '' ? '' : 'caller';
    return [{ ok: true, index: 0, key, input, body, reporter: { user_id: fields.users[0] ?? '', role, platform: platformOf(raw.query) } }];
  }
  return v4Elements(body).map((element): Element => {
    if (!element.ok) return element;
    const input = eventInput(element.body, element.event, raw);
    return { ok: true, index: element.index, key, input: element.acts ? input : { ...input, platform: '' }, body: element.body };
  });
}

function eventInput(body: JsonObject, event: EventName, raw: Delivery): EventInput {
  return {
    kind: 'event',
    user_id: idOf(body, 'UserId'),
    event,
    event_at: timeOf(body, 'EventTime'),
    role: roleOf(body),
    start_call_ts: timeOf(body, 'StartCallTs'),
    accept_ts: timeOf(body, 'AcceptTs'),
    end_ts: timeOf(body, 'EndTs'),
    total_num: countOf(body, 'TotalNum'),
    room_id: idOf(body, 'RoomId'),
    media_type: mediaTypeOf(body),
    call_type: callTypeOf(body),
    call_result: canonicalResult(wordOf(body, 'CallResult')),
    platform: platformOf(raw.query),
    received_at: raw.received_at,
  };
}

/** What a status callback says of its call. Its user is one that the record lists, and its caller when the Role says so; v4 lists every user. */
export function statusFields(body: JsonObject): RecordFields {
  const v4 = v4Record(body);
  if (v4 !== null) return { ...statusFields(v4.body), users: v4.users };
  const user = idOf(body, 'UserId');
  return {
    start_at: timeOf(body, 'StartCallTs'),
    accept_at: timeOf(body, 'AcceptTs'),
    end_at: timeOf(body, 'EndTs'),
    result: resultOf(body),
    caller: roleOf(body) === 'caller' ? user : '',
    users: user === '' ? [] : [user],
    total_users: countOf(body, 'TotalNum'),
    room_id: idOf(body, 'RoomId'),
    media_type: mediaTypeOf(body),
    call_type: callTypeOf(body),
    event_at: timeOf(body, 'EventTime'),
  };
}

/** The canonical result; a CallResult that is no word is an odd one, not an absent one. */
function resultOf(body: JsonObject): string {
  return canonicalResult(wordOf(body, 'CallResult') || idOf(body, 'CallResult') || 'odd');
}

const platformOf = (query: string): string => queryParameter(query, 'optplatform') ?? '';

function roleOf(body: JsonObject): Role {
  const role = wordOf(body, 'Role');
  return role === 'caller' || role === 'callee' ? role : '';
}

function mediaTypeOf(body: JsonObject): MediaType {
  const type = wordOf(body, 'MediaType');
  return type === 'audio' || type === 'video' ? type : '';
}

function callTypeOf(body: JsonObject): CallType {
  const type = wordOf(body, 'CallType');
  return type === 'single' || type === 'group' ? type : '';
}

/** Fields that `call_events` has columns of its own for. */
const COLUMNS: ReadonlySet<string> = new Set(['CallId', 'RoomId', 'UserId', 'Role', 'Event', 'EventTime', 'CallResult']);

/** The detail of a `call_events` row: of an event, every field without a column, and a time or role that its column could not keep; of a status, its text. */
function describe(element: ReadElement): string {
  const { input, body } = element;
  if (input.kind !== 'event') return input.text;
  const fields: string[] = [];
  for (const [name, value] of Object.entries(body)) {
    const kept =
      COLUMNS.has(name) && !(name === 'EventTime' && input.event_at === null) && !(name === 'Role' && input.role === '' && value !== '');
    if (!kept) fields.push(`${JSON.stringify(name)}:${toJson(value)}`);
  }
  return `{${fields.join()}}`;
}

/** The inverse of {@link describe}: columns and detail as one delivery again. */
function rebuild(stored: StoredEvent): { query: string; body: Buffer } {
  const query = stored.platform === '' ? '' : `optplatform=${encodeURIComponent(stored.platform)}`;
  if (stored.event === 'record') return { query, body: Buffer.from(stored.detail) };
  const detail = parseObject(Buffer.from(stored.detail));
  if (!detail.ok) throw new SyntaxError(`the detail of a stored event: ${detail.error}`);
  const body = {
    CallId: stored.call_id,
    RoomId: stored.room_id,
    UserId: stored.user_id,
    Role: stored.role,
    Event: stored.event,
    CallResult: stored.call_result,
    ...(stored.event_at === null ? {} : { EventTime: stored.event_at }),
    ...detail.body,
  };
  return { query, body: Buffer.from(toJson(body)) };
}
