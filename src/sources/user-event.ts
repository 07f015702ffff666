/**
 * TRTC DescribeUserEvent (vendor-docs/trtc-describe-user-event.txt; vendors.md §1.3 to §1.5): what happened to one user's media during a call. The vendor knows
 * a call by its CommId, which only DescribeRoomInfo tells: its parts look like app, room and time, but for rooms with names the middle one is the vendor's own.
 *
 *   room plan ──DescribeRoomInfo, page by page──> user plan ──DescribeUserEvent──> user plan of the next user ──> … ──> null
 *
 * Requests speak in seconds, answers about events in milliseconds. Errors come with HTTP 200. The element is the exact text of one user's `Data`.
 */
import type { MediaEvent, MediaInput } from '../domain/types.js';
import { type Delivery, type Element, type ReadElement, type StoredEvent, unread } from './element.js';
import { idOf, isGiven, type JsonObject, parseObject, timeOf, valueAt } from './json.js';
import { mediaEventName, mediaEventParameter } from './media-event-names.js';
import { isObject, listAt, objectAt } from './nested.js';
import { failure, httpFailure, malformed, vendorFailure } from './poll-failure.js';
import { contextQuery, elementOf, oldestAt, type PollAnswer, type PolledSource, type PollLimits } from './polled.js';
import { queryParameter } from './query.js';
import type { SourceOf } from './registry.js';
import { tc3Authorization } from './sign/tc3.js';
import { sliceAt } from './slice.js';
import { numericAppId } from './tencent.js';
import { errorRule } from './tencent-cloud-errors.js';

const NAME = 'user-event';
const TOPIC = 'callstream.raw.user-event';
const PROVIDER = 'tencent';
const VERSION = '2019-07-22';
const SERVICE = 'trtc';
/** Signed and sent without a charset, as the vendor's SDK does. */
const CONTENT_TYPE = 'application/json';
/** Most that DescribeRoomInfo takes. */
const PAGE_SIZE = 100;
/** Ten thousand rooms of one id within a day are no room's history. */
const MAX_PAGES = 100;
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Rooms of a call that are asked about at most. */
const MAX_ROOMS = 4;
/** Media events this far outside of the call still count (semantics.md "Inputs"). */
const SLACK_MS = 5 * MINUTE_MS;
/** Rooms and calls are told of in whole seconds, and not at once. */
const NEAR_MS = 5_000;

interface AboutCall {
  appId: string;
  callId: string;
  roomId: string;
  /** Users still to be asked about, at least one. */
  users: readonly string[];
  /** Of the question, epoch milliseconds. */
  from: number;
  to: number;
}

/** What to ask. `room` looks for the CommId, `user` asks about the first of its users. */
export type UserEventPlan =
  | (AboutCall & {
      what: 'room';
      startedAt: number;
      /** Where it is not known, the end of the question. */
      endedAt: number;
      /** From 0. */
      page: number;
      /** Rooms of the pages before that the call may have been held in, the likeliest first. */
      rooms: readonly Room[];
      /**
       * Asked so late that the vendor has the call's room and events by now, if ever: a room counts that was there within five minutes of the call, whose times may be those of late
       * callbacks, and if nobody was in the likeliest one, the next ones are asked about.
       */
      late: boolean;
    })
  | (AboutCall & {
      what: 'user';
      commId: string;
      /** Of the call, to be asked about again in `others`. */
      everyone: readonly string[];
      /** Less likely rooms, while nobody has been found. */
      others: readonly string[];
      /** A user before this one had events: an empty answer now means that this one never came, not that it is too early. */
      found: boolean;
    });

/** One room of a DescribeRoomInfo page. */
interface Room {
  commId: string;
  /** Epoch milliseconds. */
  createdAt: number;
  /** Of a room that is finished; null: not known, or not over. */
  destroyedAt: number | null;
}

/** The `cloudApi` section of an app's configuration. */
export interface CloudApiCredentials {
  /** Base URL, without a trailing slash. */
  endpoint: string;
  region: string;
  secretId: string;
  secretKey: string;
}

const LIMITS: PollLimits = {
  perSecond: { DescribeRoomInfo: 20, DescribeUserEvent: 20 },
  lookBackMs: 14 * DAY_MS,
  windowMs: DAY_MS,
  granularityMs: 1000,
};

export const userEvent: Omit<SourceOf<'call'>, 'webhook'> & PolledSource<UserEventPlan, CloudApiCredentials> = {
  name: NAME,
  subject: 'call',
  topic: TOPIC,
  provider: PROVIDER,
  limits: LIMITS,
  section: 'cloudApi',
  credentialsOf: (app) => app.cloudApi ?? null,
  sweeping: null,
  tasking: {
    kind: 'media',
    first({ appId }, { call_id: callId, room_id: roomId, user_id, users, started_at: startedAt, ended_at: endedAt }, now) {
      if (startedAt === null) return null;
      return userEventPlan({ appId, callId, roomId, users: user_id === '' ? users : [user_id], startedAt, endedAt }, now);
    },
  },
  operationOf,

  request(plan, credentials, now) {
    const timestamp = Math.floor(now / 1000);
    const url = `${credentials.endpoint}/`;
    const host = new URL(url).host;
    const body = JSON.stringify(parametersOf(plan));
    const signed = { method: 'POST', host, contentType: CONTENT_TYPE, body, service: SERVICE, timestamp } as const;
    return {
      method: 'POST',
      url,
      headers: {
        host,
        'content-type': CONTENT_TYPE,
        authorization: tc3Authorization(signed, credentials),
        'x-tc-action': operationOf(plan),
        'x-tc-version': VERSION,
        'x-tc-timestamp': String(timestamp),
        'x-tc-region': credentials.region,
        'x-tc-language': 'en-US',
      },
      body,
    };
  },

  readResponse(status, headers, body, plan) {
    const operation = operationOf(plan);
    const refused = httpFailure(operation, status, headers);
    if (refused !== null) return refused;
    const parsed = parseObject(body);
    if (!parsed.ok) return malformed(operation, parsed.error);
    const response = valueAt(parsed.body, 'Response');
    if (!isObject(response)) return malformed(operation, 'the response has no Response');
    if (isGiven(response, 'Error')) {
      const error = objectAt(response, 'Error');
      const said = { code: idOf(error, 'Code'), message: idOf(error, 'Message'), requestId: idOf(response, 'RequestId') };
      return vendorFailure(operation, errorRule(said.code), said);
    }
    return plan.what === 'room' ? readRooms(plan, operation, response) : readData(plan, operation, response, parsed.text);
  },

  toInputs,
  describe,
  rebuild,
};

function operationOf(plan: UserEventPlan): string {
  return plan.what === 'room' ? 'DescribeRoomInfo' : 'DescribeUserEvent';
}

/**
 * What to ask about the users of a call. Times in epoch milliseconds; `endedAt` null: not known. Null when there is nothing that could be asked: no room,
 * no user, or a call older than the vendor's look-back. A start after the end is the moment at which a callback without a time of its own came late: such
 * a call is looked for at its end.
 */
export function userEventPlan(
  call: { appId: string; callId: string; roomId: string; users: readonly string[]; startedAt: number; endedAt: number | null },
  now: number,
): UserEventPlan | null {
  const users = [...new Set(call.users)].filter((user) => user !== '');
  const startedAt = Math.min(call.startedAt, call.endedAt ?? Number.POSITIVE_INFINITY);
  const from = Math.max(startedAt - SLACK_MS, oldestAt(now, LIMITS));
  const to = Math.min((call.endedAt ?? now) + SLACK_MS, now);
  if (call.roomId === '' || users.length === 0 || from >= to) return null;
  const { appId, callId, roomId } = call;
  const endedAt = call.endedAt ?? to;
  return { what: 'room', appId, callId, roomId, users, from, to, startedAt, endedAt, page: 0, rooms: [], late: now >= endedAt + SLACK_MS };
}

function parametersOf(plan: UserEventPlan): JsonObject {
  const SdkAppId = numericAppId(plan.appId);
  const StartTime = Math.floor(plan.from / 1000);
  if (plan.what === 'user') {
    const { commId: CommId, roomId: RoomId } = plan;
    return { CommId, StartTime, EndTime: Math.ceil(plan.to / 1000), UserId: plan.users[0], RoomId, SdkAppId };
  }
  // The room is there when the call starts, so a day from then is enough, and more is not allowed.
  const EndTime = Math.min(Math.ceil(plan.to / 1000), StartTime + DAY_MS / 1000);
  return { SdkAppId, StartTime, EndTime, RoomId: plan.roomId, PageNumber: plan.page, PageSize: PAGE_SIZE };
}

/** Total counts the rooms of the page, so a page that is not full is the last. */
function readRooms(plan: UserEventPlan & { what: 'room' }, operation: string, response: JsonObject): PollAnswer<UserEventPlan> {
  const list = listAt(response, 'RoomList');
  if (list === null) return malformed(operation, 'RoomList is no list');
  const found = list
    .flatMap((entry) => (isObject(entry) ? (roomOf(entry, plan) ?? []) : []))
    .filter((room) => plan.late || wasThere(room, plan));
  const rooms = [...plan.rooms, ...found].sort((a, b) => likelier(a, b, plan)).slice(0, MAX_ROOMS);
  if (list.length >= PAGE_SIZE) {
    if (plan.page + 1 >= MAX_PAGES) return failure('refused', 'too_many_pages', `${operation}: more than ${MAX_PAGES} pages of rooms`);
    return { kind: 'page', elements: [], next: { ...plan, page: plan.page + 1, rooms } };
  }
  const [best, ...others] = rooms.map(({ commId }) => commId);
  if (best === undefined) return failure('not_yet', 'absent', `${operation}: the vendor has no room of this call yet`);
  const { appId, callId, roomId, users, from, to } = plan;
  const about = { appId, callId, roomId, users, from, to };
  const next: UserEventPlan = { ...about, what: 'user', commId: best, everyone: users, others: plan.late ? others : [], found: false };
  return { kind: 'page', elements: [], next };
}

/**
 * Ids of rooms are used again. The call's room is the one that is known to have been there for the longest part of the call, which may have been made long before; of several,
 * or where none is known to have been there, the one made closest to the call's start. Negative: the first one rather.
 */
function likelier(a: Room, b: Room, call: { startedAt: number; endedAt: number }): number {
  const longer = together(b, call) - together(a, call);
  return longer !== 0 ? longer : Math.abs(a.createdAt - call.startedAt) - Math.abs(b.createdAt - call.startedAt);
}

/** For how long room and call are known to have been there at once, ms; the ends of both are whole seconds. */
const together = ({ createdAt, destroyedAt }: Room, { startedAt, endedAt }: { startedAt: number; endedAt: number }): number =>
  destroyedAt === null ? 0 : Math.max(0, Math.min(destroyedAt, endedAt) + SECOND_MS - Math.max(createdAt, startedAt));

/**
 * Not only before or after the call: until the vendor has the call's own room, it shows that of the call before, with the same people maybe. Where the end is not known, it is never late,
 * and any room counts.
 */
const wasThere = (
  { createdAt, destroyedAt }: Room,
  { startedAt, endedAt, to }: { startedAt: number; endedAt: number; to: number },
): boolean => endedAt === to || (createdAt <= endedAt + NEAR_MS && (destroyedAt === null || destroyedAt >= startedAt - NEAR_MS));

/** A room that this call may have been held in. */
function roomOf(entry: JsonObject, plan: AboutCall): Room | null {
  const commId = idOf(entry, 'CommId');
  const createdAt = timeOf(entry, 'CreateTime');
  if (commId === '' || createdAt === null || idOf(entry, 'RoomString') !== plan.roomId) return null;
  // A DestroyTime alone is no end: the vendor's own sample has one in a room that is not finished.
  const destroyedAt = valueAt(entry, 'IsFinished') === true ? timeOf(entry, 'DestroyTime') : null;
  return createdAt <= plan.to && (destroyedAt === null || destroyedAt >= plan.from) ? { commId, createdAt, destroyedAt } : null;
}

function readData(
  plan: UserEventPlan & { what: 'user' },
  operation: string,
  response: JsonObject,
  text: string,
): PollAnswer<UserEventPlan> {
  const data = listAt(response, 'Data');
  if (data === null) return malformed(operation, 'Data is no list');
  const { appId, callId, roomId, commId } = plan;
  const user = plan.users[0] ?? '';
  const rest = plan.users.slice(1);
  const source = data.length === 0 ? null : sliceAt(text, 'Response', 'Data');
  const found = plan.found || source !== null;
  if (rest.length === 0 && !found) {
    const [next, ...others] = plan.others;
    if (next === undefined) return failure('not_yet', 'absent', `${operation}: the vendor has no events of this call yet`);
    return { kind: 'page', elements: [], next: { ...plan, users: plan.everyone, commId: next, others } };
  }
  const query = contextQuery({ call_id: callId, user_id: user, comm_id: commId, room_id: roomId });
  return {
    kind: 'page',
    elements: source === null ? [] : [elementOf({ provider: PROVIDER, app_id: appId, call_id: callId }, query, source)],
    next: rest.length === 0 ? null : { ...plan, users: rest, found },
  };
}

/** The inputs of one stored poll: exactly one element. */
function toInputs(raw: Delivery): Element[] {
  const callId = queryParameter(raw.query, 'call_id') ?? '';
  const parsed = parseData(raw.body);
  if (!parsed.ok) return [parsed];
  if (callId === '') return [unread(0, 'no_call_id', 'the query does not say which call was polled')];
  const { data, text } = parsed;
  const input: MediaInput = {
    kind: 'media',
    user_id: queryParameter(raw.query, 'user_id') ?? '',
    text,
    events: mediaEvents(data),
    received_at: raw.received_at,
  };
  const room_id = queryParameter(raw.query, 'room_id') ?? '';
  const body = { CommId: queryParameter(raw.query, 'comm_id') ?? '', RoomId: room_id };
  return [{ ok: true, index: 0, key: { provider: PROVIDER, app_id: raw.app_id, call_id: callId }, input, body, room_id }];
}

/** The media events of a stored poll's text; none where it is no list of events. Total. */
export function readMediaEvents(text: string): MediaEvent[] {
  const parsed = parseData(Buffer.from(text));
  return parsed.ok ? mediaEvents(parsed.data) : [];
}

/** Reads a list by way of an object around it: bodies are objects for all other readers. */
function parseData(bytes: Buffer): { ok: true; data: readonly unknown[]; text: string } | (Element & { ok: false }) {
  const parsed = parseObject(Buffer.concat([Buffer.from('{"Data":'), bytes, Buffer.from('}')]));
  if (!parsed.ok) return parsed;
  const data = valueAt(parsed.body, 'Data');
  const text = bytes.toString('utf8');
  // A body such as `1,"Data":[]` makes two fields of one.
  if (Array.isArray(data) && Object.keys(parsed.body).length === 1 && sliceAt(parsed.text, 'Data') === text)
    return { ok: true, data, text };
  return unread(-1, 'not_an_object', 'the body is no list of events');
}

/** The events of every peer, in the vendor's order. What has no id or no time is no event. */
function mediaEvents(data: readonly unknown[]): MediaEvent[] {
  const events: MediaEvent[] = [];
  for (const peer of data) {
    for (const entry of (isObject(peer) ? listAt(peer, 'Content') : null) ?? []) {
      if (!isObject(entry)) continue;
      const id = valueAt(entry, 'EventId');
      const at = timeOf(entry, 'Time');
      const param = valueAt(entry, 'ParamOne');
      if (typeof id === 'number' && at !== null) events.push({ event_id: id, at, param_one: typeof param === 'number' ? param : -1 });
    }
  }
  return events;
}

/** Events whose names a description lists: of a poll of more, the earliest and the latest. */
const MAX_NAMED = 500;

/** `{ CommId, RoomId, Events, EventsOmitted, Data }`: the events by name, in order of time, and the exact text. */
function describe({ input, body }: ReadElement): string {
  if (input.kind !== 'media') return '{}';
  const events = [...input.events].sort((a, b) => a.at - b.at);
  const omitted = Math.max(0, events.length - MAX_NAMED);
  events.splice(MAX_NAMED / 2, omitted);
  const fields = { CommId: idOf(body, 'CommId'), RoomId: idOf(body, 'RoomId'), Events: events.map(named), EventsOmitted: omitted };
  return `${JSON.stringify(fields).slice(0, -1)},"Data":${input.text}}`;
}

/** What an event id, and its ParamOne where that is no quantity, mean. */
function named({ at, event_id, param_one }: MediaEvent): { at: number; event_id: number; event: string; param?: string } {
  const param = mediaEventParameter(event_id, param_one);
  return { at, event_id, event: mediaEventName(event_id), ...(param === '' ? {} : { param }) };
}

/** The inverse of {@link describe}. */
function rebuild(stored: StoredEvent): { query: string; body: Buffer } {
  const detail = parseObject(Buffer.from(stored.detail));
  const said = detail.ok ? detail.body : {};
  const query = contextQuery({
    call_id: stored.call_id,
    user_id: stored.user_id,
    comm_id: idOf(said, 'CommId'),
    room_id: idOf(said, 'RoomId'),
  });
  return { query, body: Buffer.from(sliceAt(stored.detail, 'Data') ?? '') };
}
