/**
 * Alibaba Cloud ListEventSubEvent (vendor-docs/aliyun-list-event-sub-event.txt; vendors.md §7.1): what the vendor's log says of the callbacks it sent for one
 * event subscription, delivered or not. Pages are exact: HasMore tells whether there is another. What the entries hold, aliyun-events.ts reads.
 */
import { channelOf } from './aliyun-events.js';
import { idOf, type JsonObject, parseObject, valueAt } from './json.js';
import { listAt } from './nested.js';
import { believed, type ErrorRule, headerOf, httpFailure, malformed, retryAfterOf, vendorFailure } from './poll-failure.js';
import {
  elementOf,
  type PollAnswer,
  type PolledElement,
  type PolledSource,
  type PollFailure,
  type ResponseHeaders,
  strayElement,
} from './polled.js';
import { acs3Headers, acs3Query } from './sign/acs3.js';
import { sliceAt, sliceElements } from './slice.js';

const NAME = 'aliyun-rtc';
const PROVIDER = 'aliyun';
const ACTION = 'ListEventSubEvent';
const VERSION = '2016-11-01';
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** The most there is. */
const PAGE_SIZE = 100;

/** The log of one subscription between two full minutes, epoch milliseconds. */
export interface AliyunPlan {
  appId: string;
  subscribeId: string;
  from: number;
  to: number;
  /** From 1. */
  page: number;
}

/** The `api` section of an app's configuration, its subscriptions aside. */
export interface AliyunCredentials {
  /** Base URL, without a trailing slash. */
  endpoint: string;
  accessKeyId: string;
  accessKeySecret: string;
}

export const aliyunRtc: PolledSource<AliyunPlan, AliyunCredentials> = {
  name: NAME,
  topic: 'callstream.raw.aliyun-rtc',
  provider: PROVIDER,
  limits: { perSecond: { [ACTION]: 50 }, lookBackMs: 7 * DAY_MS, windowMs: 7 * DAY_MS, granularityMs: MINUTE_MS },
  section: 'api',
  credentialsOf: (app) => app.api ?? null,
  sweeping: {
    byStart: false,
    scopesOf: (app) => app.api?.subscribeIds ?? [],
    first: ({ appId }, subscribeId, { from, to }) => ({ appId, subscribeId, from, to, page: 1 }),
  },
  tasking: null,
  operationOf: () => ACTION,

  request(plan, credentials, now, nonce) {
    const query = {
      AppId: plan.appId,
      SubscribeId: plan.subscribeId,
      StartTime: seconds(plan.from),
      EndTime: seconds(plan.to),
      PageSize: String(PAGE_SIZE),
      PageNo: String(plan.page),
    };
    const url = `${credentials.endpoint}/?${acs3Query(query)}`;
    const call = { method: 'POST', host: new URL(url).host, action: ACTION, version: VERSION, query, now, nonce } as const;
    return { method: 'POST', url, headers: acs3Headers(call, credentials), body: '' };
  },

  readResponse(status, headers, body, plan) {
    const parsed = parseObject(body);
    const failed = failureOf(status, headers, parsed.ok ? parsed.body : {});
    if (failed !== null) return failed;
    return parsed.ok ? readPage(plan, parsed.body, parsed.text) : malformed(ACTION, parsed.error);
  },
};

/** Rounded down to the minute, should it not be on one. */
const seconds = (ms: number): string => String((Math.floor(ms / MINUTE_MS) * MINUTE_MS) / 1000);

function readPage(plan: AliyunPlan, body: JsonObject, text: string): PollAnswer<AliyunPlan> {
  const list = listAt(body, 'Logs');
  if (list === null) return malformed(ACTION, 'Logs is no list');
  const hasMore = valueAt(body, 'HasMore') === true;
  if (list.length === 0 && hasMore) return malformed(ACTION, 'an empty page promises more');
  const logs = list.length === 0 ? [] : (sliceElements(sliceAt(text, 'Logs') ?? '[]') ?? []);
  return {
    kind: 'page',
    elements: logs.map((log) => logElement(plan.appId, log)),
    next: hasMore ? { ...plan, page: plan.page + 1 } : null,
  };
}

/** Entries travel by their channel. */
function logElement(appId: string, text: string): PolledElement {
  const channel = channelOf(Buffer.from(text));
  return channel === '' ? strayElement('', text) : elementOf({ provider: PROVIDER, app_id: appId, call_id: channel }, '', text);
}

/** Errors come with their HTTP status, and flat; some gateways spell the names in lower case. */
function failureOf(status: number, headers: ResponseHeaders, body: JsonObject): PollFailure | null {
  const code = idOf(body, 'Code') || idOf(body, 'code');
  if (code === '') return httpFailure(ACTION, status, headers);
  const message = idOf(body, 'Message') || idOf(body, 'message');
  const error = { code, message, requestId: idOf(body, 'RequestId') || idOf(body, 'requestId') };
  return vendorFailure(ACTION, errorRule(code, status), error, retryAfterMs(headers));
}

/** The vendor's own header comes first: its SDK takes it for milliseconds. */
function retryAfterMs(headers: ResponseHeaders): number | null {
  const own = headerOf(headers, 'x-acs-retry-after').trim();
  return /^[0-9]+$/.test(own) ? believed(Number(own)) : retryAfterOf(headers);
}

const KEYS: ErrorRule = ['stop', 'the keys are refused: check accessKeyId and accessKeySecret under api'];
const PERMISSION: ErrorRule = ['stop', 'the keys may not do this: grant them live:ListEventSubEvent'];
const QUESTION: ErrorRule = ['refused', 'the vendor does not take this question'];
const INTERNAL: ErrorRule = ['retry', 'an internal error of the vendor'];
const CLOCK: ErrorRule = ['retry', 'the signature has expired: this machine’s clock may be wrong'];
const NO_SUCH_API: ErrorRule = ['stop', 'the vendor does not offer this API there: check endpoint under api'];

/** S1's own codes, and those that every API of the vendor shares. Looked up by the whole code first, then by its family. */
const RULES: ReadonlyMap<string, ErrorRule> = new Map([
  ['InputInvalid', QUESTION],
  ['NoAuth', PERMISSION],
  ['ResourceNotExist', ['stop', 'the vendor knows no such app or subscription: check appId, and subscribeIds under api']],
  ['ServerError', INTERNAL],
  ['Throttling', ['slow_down', 'the vendor asks for fewer requests']],
  ['InternalError', INTERNAL],
  ['ServiceUnavailable', INTERNAL],
  ['InvalidAccessKeyId', KEYS],
  ['SignatureDoesNotMatch', KEYS],
  ['IncompleteSignature', KEYS],
  ['InvalidSecurityToken', KEYS],
  ['SignatureNonceUsed', ['retry', 'a nonce was used twice']],
  ['InvalidTimeStamp', CLOCK],
  ['IllegalTimestamp', CLOCK],
  ['Forbidden', PERMISSION],
  ['NoPermission', PERMISSION],
  ['InvalidAction', NO_SUCH_API],
  ['InvalidVersion', NO_SUCH_API],
  ['InvalidParameter', QUESTION],
  ['MissingParameter', QUESTION],
] as const satisfies readonly (readonly [string, ErrorRule])[]);

function errorRule(code: string, status: number): ErrorRule {
  const known = RULES.get(code) ?? RULES.get(code.split('.', 1)[0] ?? '');
  if (known !== undefined) return known;
  return [status === 429 ? 'slow_down' : 'retry', 'an error that is not in the vendor’s table'];
}
