/** What the two generations of the TRTC Call REST API call things, and what their error codes mean (vendors.md §4). */
import { idOf, type JsonObject } from './json.js';
import { objectAt } from './nested.js';
import type { ErrorRule } from './poll-failure.js';

export type Generation = 'v1' | 'v4';

/** Paths, which are also the names of operations. */
export const OPERATIONS = {
  v1: { call: 'v1/records/get_record_by_callId', filter: 'v1/records/get_records_by_filter' },
  v4: { call: 'v4/call_record_http_srv/get_record_by_callid', filter: 'v4/call_record_http_srv/get_record_by_filter' },
} as const;

/** The vendor's endpoints, by where the app was made. */
export const ENDPOINTS = {
  v1: { international: 'https://callkit-intl.trtc.tencent-cloud.com', china: 'https://callkit.trtc.tencent-cloud.com' },
  v4: {
    china: 'https://console.tim.qq.com',
    singapore: 'https://adminapisgp.im.qcloud.com',
    seoul: 'https://adminapikr.im.qcloud.com',
    frankfurt: 'https://adminapiger.im.qcloud.com',
    siliconValley: 'https://adminapiusa.im.qcloud.com',
    jakarta: 'https://adminapiidn.im.qcloud.com',
  },
} as const;

/** The generation that an endpoint serves: v4 shares its hosts with the vendor's Chat. Any other host is taken for v1. */
export function generationOf(endpoint: string): Generation {
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
  return host === 'console.tim.qq.com' || /\.(?:im\.qcloud|my-imcloud)\.com$/.test(host) ? 'v4' : 'v1';
}

/** The envelope of an answer. `code`: the error code's digits, '0' for success; '' when there is none. */
export interface Reply {
  code: string;
  message: string;
  requestId: string;
  payload: JsonObject;
}

/** The vendor's table and examples disagree about which of code and request id is a number: either may be. */
export function readReply(generation: Generation, body: JsonObject): Reply {
  const [code, message, requestId, payload] =
    generation === 'v1' ? ['errorCode', 'errorMessage', 'requestId', 'data'] : ['ErrorCode', 'ErrorInfo', 'RequestId', 'Response'];
  return { code: idOf(body, code), message: idOf(body, message), requestId: idOf(body, requestId), payload: objectAt(body, payload) };
}

const OTHER: ErrorRule = ['retry', 'an error that is not in the vendor’s table, or one of its own'];
const BAD_CREDENTIAL = 'check identifier and secretKey under records, and that they are those of this app id';
const NO_ADMIN = 'the identifier under records is no administrator of the app';
const TOO_OFTEN: ErrorRule = ['slow_down', 'the vendor asks for fewer requests'];
const EXPIRED: ErrorRule = ['renew', 'the UserSig has expired; if this recurs, this machine’s clock is wrong'];

/** S4 "Common Error Codes". */
const V1_RULES: Readonly<Record<string, ErrorRule>> = {
  50001: ['stop', 'the app has no package that includes the call records API (TUICallKit Group Call)'],
  70001: ['retry', 'the vendor takes a parameter for invalid or missing'],
  70002: ['stop', `the UserSig is invalid: ${BAD_CREDENTIAL}`],
  70003: EXPIRED,
  70004: ['stop', NO_ADMIN],
  70005: TOO_OFTEN,
  70009: ['retry', 'the vendor cannot parse the request'],
};

/**
 * The service's own codes (vendors.md §4.2), and those that every REST API behind these hosts shares (cloud.tencent.com/document/product/679/131708).
 * The same number does not mean the same as in v1.
 */
const V4_RULES: Readonly<Record<string, ErrorRule>> = {
  101001: ['retry', 'an internal error of the vendor'],
  101050: ['not_yet', 'the vendor has no record of this call yet'],
  60002: ['retry', 'the vendor cannot parse the request'],
  60003: ['retry', 'the vendor cannot parse the request'],
  60004: ['stop', BAD_CREDENTIAL],
  60005: ['stop', BAD_CREDENTIAL],
  60006: ['stop', 'the app id is not valid'],
  60007: TOO_OFTEN,
  60008: ['retry', 'the vendor timed out'],
  60009: ['stop', 'the vendor does not know this API: check endpoint under records'],
  60010: ['stop', NO_ADMIN],
  60011: TOO_OFTEN,
  60012: ['stop', 'the vendor misses the app id'],
  60016: ['stop', 'the vendor has disabled the app'],
  60017: ['stop', 'the vendor has disabled this request'],
  60018: TOO_OFTEN,
  60019: TOO_OFTEN,
  60020: ['stop', 'the app’s package has ended'],
  60021: ['stop', 'this machine’s address is not on the app’s list'],
  70001: EXPIRED,
  70003: ['stop', `the UserSig cannot be read: ${BAD_CREDENTIAL}`],
  70009: ['stop', `the UserSig is of another key: ${BAD_CREDENTIAL}`],
  70013: ['stop', `the UserSig is of another user: ${BAD_CREDENTIAL}`],
  70014: ['stop', `the UserSig is of another app: ${BAD_CREDENTIAL}`],
  70016: ['stop', `the vendor has no key of this app: check endpoint under records; ${BAD_CREDENTIAL}`],
  70020: ['stop', 'the vendor does not know the app: check app id, and endpoint under records'],
  70050: ['stop', `the UserSig was wrong too often: ${BAD_CREDENTIAL}`],
  70051: ['stop', 'the identifier under records is on the vendor’s block list'],
  70107: ['stop', NO_ADMIN],
};

const RULES = { v1: V1_RULES, v4: V4_RULES } as const;

export const errorRule = (generation: Generation, code: string): ErrorRule =>
  Object.hasOwn(RULES[generation], code) ? RULES[generation][code]! : OTHER;
