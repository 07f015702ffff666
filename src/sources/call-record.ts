/**
 * TRTC Call REST records (vendor-docs/trtc-call-rest-api.txt; vendors.md §4): one call's record by its id, or all records of a time range, page by page.
 * Two generations: v1 for calls made with TUICallKit's deprecated interfaces, v4 for all others. Both answer every call with HTTP 200; an error code
 * inside tells the rest. Records are kept seven days.
 */
import { canonicalResult } from '../domain/record.js';
import type { RecordFields, RecordInput } from '../domain/types.js';
import type { CallType, MediaType } from '../domain/vocabulary.js';
import { errorRule, type Generation, generationOf, OPERATIONS, readReply } from './call-record-api.js';
import { type Delivery, type Element, type ReadElement, type StoredEvent, unread } from './element.js';
import { countOf, idOf, isGiven, type JsonObject, parseObject, timeOf, valueAt, wordOf } from './json.js';
import { isObject, listAt, objectAt } from './nested.js';
import { failure, httpFailure, malformed, vendorFailure } from './poll-failure.js';
import { elementOf, type PollAnswer, type PolledApp, type PolledElement, type PolledSource, strayElement } from './polled.js';
import type { SourceOf } from './registry.js';
import { sha256Hex } from './sign/digest.js';
import { userSig } from './sign/usersig.js';
import { sliceAt, sliceElements } from './slice.js';
import { numericAppId } from './tencent.js';

const NAME = 'call-record';
const TOPIC = 'callstream.raw.call-record';
const PROVIDER = 'tencent';
const DAY_MS = 86_400_000;

/** What to ask. `filter` asks for the calls of a time range, epoch milliseconds. */
export type CallRecordPlan =
  | { what: 'call'; generation: Generation; appId: string; callId: string }
  | {
      what: 'filter';
      generation: Generation;
      appId: string;
      from: number;
      to: number;
      /** From 1. */
      page: number;
      /** Digest of the page before this one; '' on the first. A vendor that repeats its last page for ever is found out by it. */
      previous: string;
    };

/** The `records` section of an app's configuration. */
export interface CallRecordCredentials {
  /** Base URL, without a trailing slash. */
  endpoint: string;
  /** An administrator of the app. */
  identifier: string;
  secretKey: string;
}

/** The vendor's default of v1; that of v4 is 10. No maximum is documented: a smaller page than asked for is no last page. */
const PAGE_SIZE = 100;
/** A fresh UserSig goes with each request. A day, so that a clock that is somewhat wrong does no harm. */
const USER_SIG_TTL_S = 86_400;
/** A million records a sweep. */
const MAX_PAGES = 10_000;

export const callRecord: Omit<SourceOf<'call'>, 'webhook'> & PolledSource<CallRecordPlan, CallRecordCredentials> = {
  name: NAME,
  subject: 'call',
  topic: TOPIC,
  provider: PROVIDER,
  limits: {
    perSecond: {
      'v1/records/get_record_by_callId': 20,
      'v1/records/get_records_by_filter': 200,
      'v4/call_record_http_srv/get_record_by_callid': 200,
      'v4/call_record_http_srv/get_record_by_filter': 200,
    },
    lookBackMs: 7 * DAY_MS,
    windowMs: 7 * DAY_MS,
    granularityMs: 1000,
  },
  section: 'records',
  credentialsOf: (app) => app.records ?? null,
  sweeping: {
    byStart: true,
    scopesOf: () => [''],
    first: (app, _scope, { from, to }, now, longestMs) => firstPage(configured(app), app.appId, from, Math.min(now, to + longestMs)),
  },
  tasking: {
    kind: 'record',
    first: (app, { call_id }) => ({ what: 'call', generation: configured(app), appId: app.appId, callId: call_id }),
  },
  operationOf,

  request(plan, credentials, now, nonce) {
    const sdkAppId = numericAppId(plan.appId);
    const signed = { identifier: credentials.identifier, sdkAppId, issuedAt: Math.floor(now / 1000), ttl: USER_SIG_TTL_S };
    const parameters = [
      `sdkappid=${sdkAppId}`,
      `identifier=${encodeURIComponent(credentials.identifier)}`,
      `usersig=${userSig(signed, credentials.secretKey)}`,
      `random=${Number.parseInt(nonce.slice(0, 8), 16)}`,
      'contenttype=json',
    ];
    return {
      method: 'POST',
      url: `${credentials.endpoint}/${operationOf(plan)}?${parameters.join('&')}`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(parametersOf(plan)),
    };
  },

  readResponse(status, headers, body, plan) {
    const operation = operationOf(plan);
    const refused = httpFailure(operation, status, headers);
    if (refused !== null) return refused;
    const parsed = parseObject(body);
    if (!parsed.ok) return malformed(operation, parsed.error);
    const reply = readReply(plan.generation, parsed.body);
    if (reply.code === '') return malformed(operation, 'the response has no error code');
    if (reply.code !== '0') return vendorFailure(operation, errorRule(plan.generation, reply.code), reply);
    return plan.what === 'call' ? oneRecord(plan, operation, parsed) : pageOfRecords(plan, operation, reply.payload, parsed.text);
  },

  toInputs,
  describe: (element: ReadElement) => (element.input.kind === 'record' ? element.input.text : '{}'),
  rebuild: (stored: StoredEvent) => ({ query: '', body: Buffer.from(stored.detail) }),
};

const configured = ({ records }: PolledApp): Generation => records?.generation ?? generationOf(records?.endpoint ?? '');

function operationOf(plan: CallRecordPlan): string {
  return OPERATIONS[plan.generation][plan.what];
}

/**
 * The first page of a time range, epoch milliseconds. `from` selects by the start of a call. The pages describe the other bound as the end of the call, so
 * one that began in the range and ended after it may be left out: let `to` be as late as may be.
 */
export const firstPage = (generation: Generation, appId: string, from: number, to: number): CallRecordPlan => ({
  what: 'filter',
  generation,
  appId,
  from,
  to,
  page: 1,
  previous: '',
});

function parametersOf(plan: CallRecordPlan): JsonObject {
  const v1 = plan.generation === 'v1';
  if (plan.what === 'call') return v1 ? { callId: plan.callId } : { CallId: plan.callId };
  const from = Math.floor(plan.from / 1000);
  const to = Math.ceil(plan.to / 1000);
  return v1
    ? { startTimestamp: from, endTimestamp: to, numberPerPage: PAGE_SIZE, page: plan.page }
    : { StartTime: from, EndTime: to, NumberPerPage: PAGE_SIZE, Page: plan.page };
}

/** Where a record, or a list of them, lies in an answer. */
const RECORD_PATH = { v1: ['data'], v4: ['Response', 'CallRecord'] } as const;
const LIST_PATH = { v1: ['data', 'callRecordList'], v4: ['Response', 'CallRecordList'] } as const;

function oneRecord(plan: CallRecordPlan, operation: string, response: { body: JsonObject; text: string }): PollAnswer<CallRecordPlan> {
  const text = sliceAt(response.text, ...RECORD_PATH[plan.generation]);
  const value = plan.generation === 'v1' ? valueAt(response.body, 'data') : valueAt(objectAt(response.body, 'Response'), 'CallRecord');
  // v1 documents no code for a call it does not know: an empty answer is taken for that.
  if (text === null || value === undefined || value === null || (isObject(value) && Object.keys(value).length === 0))
    return failure('not_yet', 'absent', `${operation}: the vendor has no record of this call yet`);
  if (!isObject(value)) return malformed(operation, 'what should be a record is none');
  return { kind: 'page', elements: [recordElement(plan.appId, text)], next: null };
}

function pageOfRecords(
  plan: CallRecordPlan & { what: 'filter' },
  operation: string,
  payload: JsonObject,
  text: string,
): PollAnswer<CallRecordPlan> {
  const name = LIST_PATH[plan.generation][1];
  const list = listAt(payload, name);
  if (list === null) return malformed(operation, `${name} is no list`);
  // The pages disagree on what totalNum counts, and say nothing of a largest page: only an empty page, or the last one again, is the end.
  if (list.length === 0) return { kind: 'page', elements: [], next: null };
  const listText = sliceAt(text, ...LIST_PATH[plan.generation]) ?? '[]';
  const digest = sha256Hex(listText);
  if (digest === plan.previous) return { kind: 'page', elements: [], next: null };
  if (plan.page >= MAX_PAGES) return failure('refused', 'too_many_pages', `${operation}: more than ${MAX_PAGES} pages: ask for less time`);
  const elements = (sliceElements(listText) ?? []).map((record) => recordElement(plan.appId, record));
  return { kind: 'page', elements, next: { ...plan, page: plan.page + 1, previous: digest } };
}

function recordElement(appId: string, text: string): PolledElement {
  const parsed = parseObject(Buffer.from(text));
  const callId = parsed.ok ? callIdOf(parsed.body) : '';
  return callId === '' ? strayElement('', text) : elementOf({ provider: PROVIDER, app_id: appId, call_id: callId }, '', text);
}

const callIdOf = (body: JsonObject): string => idOf(body, 'callId') || idOf(body, 'CallId');

/** The inputs of one stored record: exactly one element. */
function toInputs(raw: Delivery): Element[] {
  const parsed = parseObject(raw.body);
  if (!parsed.ok) return [parsed];
  const { body, text } = parsed;
  const callId = callIdOf(body);
  if (callId === '') return [unread(0, 'no_call_id', 'the record has no usable call id')];
  const input: RecordInput = { kind: 'record', origin: 'record', text, fields: recordFields(body), received_at: raw.received_at };
  return [{ ok: true, index: 0, key: { provider: PROVIDER, app_id: raw.app_id, call_id: callId }, input, body }];
}

/** What a REST record says of its call, whichever generation wrote it. Both list the caller among the callees. */
export function recordFields(body: JsonObject): RecordFields {
  const v1 = idOf(body, 'callId') !== '';
  const caller = idOf(body, v1 ? 'caller' : 'Caller_Account');
  const listed = (listAt(body, v1 ? 'callees' : 'CalleeList_Account') ?? []).map((id) => idOf({ id }, 'id'));
  return {
    start_at: timeOf(body, v1 ? 'startCallTs' : 'StartTime'),
    accept_at: timeOf(body, v1 ? 'acceptTs' : 'AcceptTime'),
    end_at: timeOf(body, v1 ? 'endTs' : 'EndTime'),
    result: resultOf(body, v1 ? 'callResult' : 'CallResult'),
    caller,
    users: [...new Set([caller, ...listed])].filter((id) => id !== ''),
    total_users: countOf(body, 'totalUserNumber'),
    room_id: idOf(body, v1 ? 'roomId' : 'RoomId'),
    media_type: MEDIA_TYPES.get(wordOf(body, v1 ? 'mediaType' : 'MediaType')) ?? '',
    call_type: CALL_TYPES.get(wordOf(body, v1 ? 'callType' : 'CallType').replaceAll('_', '')) ?? '',
    event_at: null,
  };
}

const MEDIA_TYPES: ReadonlyMap<string, MediaType> = new Map([
  ['audio', 'audio'],
  ['video', 'video'],
]);

const CALL_TYPES: ReadonlyMap<string, CallType> = new Map([
  ['single', 'single'],
  ['singlecall', 'single'],
  ['group', 'group'],
  ['multicall', 'group'],
]);

/** The canonical result; one that is there but is no word is an odd one, not an absent one. */
const resultOf = (body: JsonObject, name: string): string =>
  isGiven(body, name) ? canonicalResult(wordOf(body, name) || idOf(body, name) || 'odd') : '';
