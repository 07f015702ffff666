/**
 * TUICallKit v4 callbacks, the generation of new apps (vendors.md §4.2; semantics.md "TUICallKit v4"): what they say, in the fields of v1 bodies, which
 * tuicallkit.ts reads. Three bodies, told apart by what they hold:
 *
 *   StartCall      { CallInfo: { CallId, CallMediaType, RoomId, … }, UserList: [{ User_Account, Status }], EventTime }
 *   MemberChanged  { CallId, UserList: [{ User_Account, Status }], ChangedUserList: [{ User_Account, ActionType }], EventTime }
 *   EndCall        { CallRecord: { CallId, Caller_Account, CalleeList_Account, CallResult, StartTime, AcceptTime, EndTime, … }, EventTime }
 *
 * EventTime is in milliseconds, the record's times are in seconds. Each also names its CallbackCommand.
 */
import type { EventName, Role } from '../domain/vocabulary.js';
import { type UnreadElement, unread } from './element.js';
import { idOf, isGiven, type JsonObject, toJson, valueAt } from './json.js';
import { isObject, listAt, objectAt } from './nested.js';

/** Success as this generation's pages want it. */
export const V4_SUCCESS = '{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}';

/** One event of a delivery, as the v1 body that says the same. */
interface V4Event {
  ok: true;
  /** Position in the list it stands in. */
  index: number;
  event: EventName;
  body: JsonObject;
  /** The user did it: the client of the query's OptPlatform is that user's, not somebody else's. */
  acts: boolean;
}

/** Names that only bodies of this generation have. */
const OWN_NAMES = ['CallInfo', 'ChangedUserList', 'CallRecord', 'CallbackCommand'] as const;
const ANY_OWN_NAME = new RegExp(`"(?:${OWN_NAMES.join('|')})"`);

/** The vendor's calls have nine participants at most (trtc.io/document/54743). A list far beyond that would make one body thousands of events. */
const MAX_USERS = 100;

/** Whether a body is of this generation. Those of v1 have an Event or a CallResult of their own. */
export function isV4(body: JsonObject): boolean {
  return !isGiven(body, 'Event') && !isGiven(body, 'CallResult') && OWN_NAMES.some((name) => isGiven(body, name));
}

/** False where the bytes are no body of this generation: a fifth of what it costs to parse them. */
export const mayBeV4 = (bytes: Buffer): boolean => ANY_OWN_NAME.test(bytes.toString('latin1'));

/** The CallId, wherever the body has it; '' without one. */
export function v4CallId(body: JsonObject): string {
  return idOf(body, 'CallId') || idOf(objectAt(body, 'CallInfo'), 'CallId') || idOf(objectAt(body, 'CallRecord'), 'CallId');
}

/** The elements of a body other than the record of an EndCall, each judged by itself, the start of the call first. */
export function v4Elements(body: JsonObject): (V4Event | UnreadElement)[] {
  switch (kindOf(body)) {
    case 'end':
      return tooMany(calleesOf(body)) ?? [unread(0, 'no_event', 'the body has no CallRecord with a CallResult')];
    case 'change':
      return memberChanged(body);
    case 'start':
      return startCall(body);
    default:
      return [unread(-1, 'unknown_event', `the CallbackCommand ${quote(valueAt(body, 'CallbackCommand'))} is not known`)];
  }
}

type Kind = 'start' | 'change' | 'end' | '';

/** The content decides; the name of the command only where the content is missing. */
function kindOf(body: JsonObject): Kind {
  if (isGiven(body, 'CallRecord')) return 'end';
  if (isGiven(body, 'ChangedUserList')) return 'change';
  if (isGiven(body, 'CallInfo')) return 'start';
  switch (plain(body, 'CallbackCommand')) {
    case 'call.callbackafterendcall':
      return 'end';
    case 'call.callbackaftermemberchanged':
      return 'change';
    case 'call.callbackafterstartcall':
      return 'start';
    default:
      return '';
  }
}

function startCall(body: JsonObject): (V4Event | UnreadElement)[] {
  const users = listOf(body, 'UserList');
  const refused = tooMany(users) ?? (users.length > 0 ? null : [unread(-1, 'no_event', 'the body has no UserList, so it tells of nobody')]);
  if (refused !== null) return refused;
  // The field table of the page knows no CallInfo: what stands in it may stand beside it.
  const all = { ...rest(body, 'CallInfo', 'UserList'), ...objectAt(body, 'CallInfo') };
  const shared = { ...rest(all, 'CallMediaType'), ...typesOf(all) };
  const caller = users.findIndex((user) => isObject(user) && plain(user, 'Status') === 'calling');
  const elements = users.map((user, index): V4Event | UnreadElement => {
    if (!isObject(user)) return notAnObject(index, 'UserList');
    const isCaller = index === caller;
    return eventOf(body, shared, user, index, isCaller ? 'start_call' : 'receive_call', isCaller ? 'caller' : 'callee', isCaller);
  });
  // A call opens with its start_call: what stands before it in the list must not be taken for the late news of a call long gone.
  if (caller > 0) elements.unshift(...elements.splice(caller, 1));
  return elements;
}

/** Spellings of ActionType, without case, spaces and underscores: those of the pages' examples, comments and tables. */
const ACTIONS: ReadonlyMap<string, EventName | 'hang_up'> = new Map([
  ['accept', 'accept_call'],
  ['answer', 'accept_call'],
  ['reject', 'reject_call'],
  ['notanswer', 'not_answer_call'],
  ['hangup', 'hang_up'],
  ['join', 'join_in_group_call'],
  ['offline', 'call_interrupted'],
  ['invite', 'invite_user'],
  ['invited', 'invite_user'],
  ['cancelinvite', 'call_canceled'],
  ['canncelinvite', 'call_canceled'],
]);

/** What v1 reports with one Role only. */
const ROLES: Partial<Record<EventName, Role>> = {
  cancel_call: 'caller',
  accept_call: 'callee',
  reject_call: 'callee',
  not_answer_call: 'callee',
  call_canceled: 'callee',
};

function memberChanged(body: JsonObject): (V4Event | UnreadElement)[] {
  const changed = listOf(body, 'ChangedUserList');
  const members = listOf(body, 'UserList').filter(isObject);
  const refused =
    tooMany(changed) ?? tooMany(members) ?? (changed.length > 0 ? null : [unread(-1, 'no_event', 'the body has no ChangedUserList')]);
  if (refused !== null) return refused;
  const shared = { ...rest(body, 'ChangedUserList'), ...typesOf(body) };
  return changed.map((user, index) => {
    if (!isObject(user)) return notAnObject(index, 'ChangedUserList');
    if (!isGiven(user, 'ActionType')) return unread(index, 'no_event', 'the changed user has no ActionType');
    const action = ACTIONS.get(plain(user, 'ActionType'));
    if (action === undefined) return unread(index, 'unknown_event', `the ActionType ${quote(valueAt(user, 'ActionType'))} is not known`);
    const event = action === 'hang_up' ? hangUp(idOf(user, 'User_Account'), members) : action;
    // Somebody invites, and takes the invitation back; the user it is about does nothing.
    return eventOf(body, shared, user, index, event, ROLES[event] ?? '', event !== 'invite_user' && event !== 'call_canceled');
  });
}

/**
 * What hanging up means, by the members of the call after it: Calling is on the call, Waiting has not answered yet. Who is still listed as Waiting turned the
 * call down; who leaves only Waiting ones behind was alone on the call, so nobody had answered its caller; anybody else was on the call and ends it.
 */
function hangUp(user: string, members: readonly JsonObject[]): EventName {
  let othersCalling = false;
  let othersWaiting = false;
  for (const member of members) {
    const status = plain(member, 'Status');
    if (idOf(member, 'User_Account') !== user) {
      othersCalling ||= status === 'calling';
      othersWaiting ||= status === 'waiting';
    } else if (status === 'waiting') return 'reject_call';
  }
  return othersWaiting && !othersCalling ? 'cancel_call' : 'call_end';
}

/** v1's names of what a record tells. */
const RECORD_NAMES = { CallResult: 'CallResult', StartTime: 'StartCallTs', AcceptTime: 'AcceptTs', EndTime: 'EndTs', RoomId: 'RoomId' };

const calleesOf = (body: JsonObject): readonly unknown[] => listOf(objectAt(body, 'CallRecord'), 'CalleeList_Account');

/** The record of an EndCall: as a v1 status body, and every user it lists, the caller first. Null where a body has none, or one without a result. */
export function v4Record(body: JsonObject): { body: JsonObject; users: string[] } | null {
  if (!isV4(body)) return null;
  const record = objectAt(body, 'CallRecord');
  const callees = calleesOf(body);
  if (!isGiven(record, 'CallResult') || callees.length > MAX_USERS) return null;
  const caller = idOf(record, 'Caller_Account');
  const users = new Set([caller, ...callees.map((id) => idOf({ id }, 'id'))]);
  users.delete('');
  return {
    body: {
      UserId: caller,
      Role: caller === '' ? '' : 'caller',
      ...renamed(record, RECORD_NAMES),
      ...typesOf(record),
      ...renamed(body, { EventTime: 'EventTime' }),
    },
    users: [...users],
  };
}

const CALL_TYPES = new Map([
  ['singlecall', 'single'],
  ['multicall', 'group'],
]);

function eventOf(
  body: JsonObject,
  shared: JsonObject,
  user: JsonObject,
  index: number,
  event: EventName,
  role: Role,
  acts: boolean,
): V4Event {
  const said = { CallId: v4CallId(body), Role: role, Event: event, ...renamed(body, { EventTime: 'EventTime' }) };
  const beside = rest({ ...shared, ...user }, 'User_Account', 'UserId', 'EventTime');
  return { ok: true, index, event, body: { ...beside, ...renamed(user, { User_Account: 'UserId' }), ...said }, acts };
}

/** MediaType and CallType in v1's words: an example calls the first CallMediaType. What is no known type stays as it is. */
function typesOf(from: JsonObject): JsonObject {
  const types: JsonObject = {};
  const media = isGiven(from, 'CallMediaType') ? 'CallMediaType' : 'MediaType';
  if (isGiven(from, media)) types.MediaType = valueAt(from, media);
  if (isGiven(from, 'CallType')) types.CallType = CALL_TYPES.get(plain(from, 'CallType')) ?? valueAt(from, 'CallType');
  return types;
}

/** A word without case, spaces and underscores: the pages spell one word in several ways. '' when it is no string. */
function plain(from: JsonObject, name: string): string {
  const value = valueAt(from, name);
  return typeof value === 'string' ? value.toLowerCase().replace(/[\s_]+/g, '') : '';
}

/** A list; what is none lists nothing. */
const listOf = (from: JsonObject, name: string): readonly unknown[] => listAt(from, name) ?? [];

/** The fields that are there, under other names. */
const renamed = (from: JsonObject, names: Readonly<Record<string, string>>): JsonObject =>
  Object.fromEntries(Object.entries(names).flatMap(([name, other]) => (Object.hasOwn(from, name) ? [[other, from[name]]] : [])));

const rest = (from: JsonObject, ...taken: string[]): JsonObject =>
  Object.fromEntries(Object.entries(from).filter(([name]) => !taken.includes(name)));

function tooMany(list: readonly unknown[]): UnreadElement[] | null {
  return list.length > MAX_USERS ? [unread(-1, 'too_many_users', `the body lists ${list.length} users`)] : null;
}

const notAnObject = (index: number, list: string): UnreadElement =>
  unread(index, 'not_an_object', `an entry of the ${list} is not an object`);
const quote = (value: unknown): string => (value === undefined ? 'missing' : toJson(value).slice(0, 80));
