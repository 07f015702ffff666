/**
 * RTC events of Alibaba Cloud, as they are pushed and as the log of pushes has them (vendors.md §7.1, §7.2). A push is
 *
 *   { MsgId, MsgTimestamp (s), SubscribeId, AppId, ChannelId, Contents: [{ Event: "UserEvent", UserEvent: { UserId, EventTag, SessionId, Timestamp (s), … } }] }
 *
 * with ID for Id on some pages. A log entry is { AppId, SubId, MessageId, Data, Cost (ms), Time, Url, Code }, where Data is the push as a string.
 */
import { type Delivery, type UnreadElement, unread } from './element.js';
import { idOf, isGiven, type JsonObject, parseObject, timeOf, toJson, valueAt, wordOf } from './json.js';
import { isObject, listAt, objectAt } from './nested.js';

/** One event of a channel. Strings are '' when absent, times epoch milliseconds, null when unknown. */
export interface AliyunEvent {
  kind: 'user' | 'channel';
  app_id: string;
  channel_id: string;
  /** '' for an event of the channel itself. */
  user_id: string;
  session_id: string;
  /** EventTag, lower-cased: `join`, `leave`, `publish`, `unpublish`, `roleupdate`, or another word. */
  event: string;
  at: number | null;
  message_id: string;
  subscribe_id: string;
  /** The vendor's number codes, as digits: their tables are not public. */
  reason: string;
  role: string;
  terminal_type: string;
  user_type: string;
  /** How the vendor's push of it went; null for the push itself. */
  delivery: AliyunPushLog | null;
}

export interface AliyunPushLog {
  /** HTTP status that our endpoint answered with, as the vendor has it; '' when absent. */
  code: string;
  /** The vendor takes the push for delivered: code 200. Of any other, this log may be all that is left. */
  delivered: boolean;
  /** When it was pushed. */
  at: number | null;
}

/** `body`: the delivery in its own shape, with Data parsed, and with this one event alone in its Contents. */
export type AliyunElement = { ok: true; index: number; event: AliyunEvent; body: JsonObject } | UnreadElement;

/** The events of one stored delivery, pushed or polled, each judged by itself. Never throws. */
export function readAliyunDelivery(raw: Delivery): AliyunElement[] {
  const opened = open(raw.body);
  return opened.ok ? eventsOf(opened, raw.app_id) : [opened];
}

/** The channel that a push or a log entry is about; '' when it cannot be read. Never throws. */
export function channelOf(bytes: Buffer): string {
  const opened = open(bytes);
  return opened.ok ? channelIn(opened.push) : '';
}

interface Opened {
  ok: true;
  push: JsonObject;
  /** The log entry around the push; null for a push itself. */
  entry: JsonObject | null;
  messageId: string;
  delivery: AliyunPushLog | null;
}

function open(bytes: Buffer): Opened | UnreadElement {
  const parsed = parseObject(bytes);
  if (!parsed.ok) return parsed;
  const { body } = parsed;
  if (!isGiven(body, 'Data')) return { ok: true, push: body, entry: null, messageId: idOf(body, 'MsgId'), delivery: null };
  const push = pushOf(valueAt(body, 'Data'));
  if (push === null) return unread(-1, 'not_json', 'the Data of the log entry cannot be read');
  const code = idOf(body, 'Code');
  const delivery = { code, delivered: code === '200', at: chinaTime(valueAt(body, 'Time')) };
  return { ok: true, push, entry: body, messageId: idOf(push, 'MsgId') || idOf(body, 'MessageId'), delivery };
}

/** Data as an object: a string that was escaped once or, as in the vendor's own example, twice. */
function pushOf(data: unknown): JsonObject | null {
  if (isObject(data)) return data;
  if (typeof data !== 'string') return null;
  const once = parseObject(Buffer.from(data));
  if (once.ok) return once.body;
  try {
    const twice = parseObject(Buffer.from(String(JSON.parse(`"${data}"`))));
    return twice.ok ? twice.body : null;
  } catch {
    return null;
  }
}

const channelIn = (push: JsonObject): string => idOf(push, 'ChannelId') || idOf(push, 'ChannelID');

/** Events that one push may tell of: the vendor pushes as they happen, and each becomes a record of its own. */
const MAX_CONTENTS = 100;

function eventsOf({ push, entry, messageId, delivery }: Opened, appId: string): AliyunElement[] {
  const channel = channelIn(push);
  if (channel === '') return [unread(-1, 'no_call_id', 'the push has no usable ChannelId')];
  const contents = listAt(push, 'Contents') ?? [];
  if (contents.length === 0) return [unread(-1, 'no_event', 'the push has no Contents')];
  if (contents.length > MAX_CONTENTS) return [unread(-1, 'too_many_events', `the push tells of ${contents.length} events`)];
  const about = {
    app_id: appId,
    channel_id: channel,
    message_id: messageId,
    subscribe_id: idOf(push, 'SubscribeId') || idOf(push, 'SubscribeID'),
  };
  return contents.map((content, index): AliyunElement => {
    if (!isObject(content)) return unread(index, 'not_an_object', 'an entry of Contents is not an object');
    const kind = KINDS.get(wordOf(content, 'Event'));
    if (kind === undefined)
      return unread(index, 'unknown_event', `the Event ${toJson(valueAt(content, 'Event') ?? null).slice(0, 80)} is not known`);
    const fields = objectAt(content, kind === 'user' ? 'UserEvent' : 'ChannelEvent');
    if (!isGiven(fields, 'EventTag')) return unread(index, 'no_event', 'the event has no EventTag');
    const alone = { ...push, Contents: [content] };
    const body = entry === null ? alone : { ...entry, Data: alone };
    return { ok: true, index, event: { kind, ...about, ...fieldsOf(fields), delivery }, body };
  });
}

const KINDS: ReadonlyMap<string, AliyunEvent['kind']> = new Map([
  ['userevent', 'user'],
  ['channelevent', 'channel'],
]);

const fieldsOf = (fields: JsonObject) => ({
  user_id: idOf(fields, 'UserId'),
  session_id: idOf(fields, 'SessionId'),
  event: wordOf(fields, 'EventTag'),
  at: timeOf(fields, 'Timestamp'),
  reason: idOf(fields, 'Reason'),
  role: idOf(fields, 'Role'),
  terminal_type: idOf(fields, 'TerminalType'),
  user_type: idOf(fields, 'UserType'),
});

const LOG_TIME = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,3}))?$/;
const CHINA_OFFSET_MS = 8 * 3_600_000;

/** `YYYY-MM-DD HH:mm:ss.SSS` without a zone: by the vendor's own example it is UTC+8. Null when it is no such time. */
function chinaTime(value: unknown): number | null {
  const parts = typeof value === 'string' ? LOG_TIME.exec(value) : null;
  if (parts === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1, 7).map(Number);
  const at = Date.UTC(year, month - 1, day, hour, minute, second, Number((parts[7] ?? '').padEnd(3, '0')));
  // Date.UTC carries a 31st of February over into March.
  const same = new Date(at).toISOString().slice(0, 19) === (value as string).slice(0, 19).replace(' ', 'T');
  return same ? at - CHINA_OFFSET_MS : null;
}
