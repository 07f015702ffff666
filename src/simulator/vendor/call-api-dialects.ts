/** How the two generations of the TRTC Call REST API differ in words (vendors.md §4.1, §4.2; v4's shared codes: cloud.tencent.com/document/product/679/131708). */

/** Why there is no record. `malformed`, `bad_signature` and `expired` are said of the UserSig, `otherApp` and `otherUser` too: whose it is. */
export type Refusal =
  | 'method'
  | 'path'
  | 'app'
  | 'parameter'
  | 'malformed'
  | 'bad_signature'
  | 'expired'
  | 'otherApp'
  | 'otherUser'
  | 'noAdmin'
  | 'body'
  | 'tooOften'
  | 'absent'
  | 'internal';

export interface Dialect {
  paths: { call: string; filter: string };
  /** Requests a second and app. */
  rates: { call: number; filter: number };
  names: Record<'callId' | 'from' | 'to' | 'size' | 'page' | 'result' | 'type', string>;
  defaultSize: number;
  fromIsOptional: boolean;
  /** v1 documents no code for a call that it does not know. */
  unknownCall: 'empty' | 'error';
  errors: Readonly<Record<Refusal, readonly [code: number, message: string]>>;
  /** A result or call type of the request in v1's words. */
  word: (word: string) => string;
  success: (requestId: string, payload: string) => string;
  failure: (requestId: string, code: number, message: string) => string;
  one: (record: string) => string;
  list: (total: number, page: number, records: readonly string[]) => string;
}

const V1_PARAMETER = [70001, 'Invalid request parameters'] as const;
const V1_SIGNATURE = [70002, 'UserSig is invalid'] as const;

const v1: Dialect = {
  paths: { call: 'v1/records/get_record_by_callId', filter: 'v1/records/get_records_by_filter' },
  rates: { call: 20, filter: 200 },
  names: {
    callId: 'callId',
    from: 'startTimestamp',
    to: 'endTimestamp',
    size: 'numberPerPage',
    page: 'page',
    result: 'callResult',
    type: 'callType',
  },
  defaultSize: 100,
  fromIsOptional: false,
  unknownCall: 'empty',
  errors: {
    method: V1_PARAMETER,
    path: V1_PARAMETER,
    app: [50001, 'The current application needs to purchase the Group Call Version package'],
    parameter: V1_PARAMETER,
    malformed: V1_SIGNATURE,
    bad_signature: V1_SIGNATURE,
    expired: [70003, 'UserSig has expired'],
    otherApp: V1_SIGNATURE,
    otherUser: V1_SIGNATURE,
    noAdmin: [70004, 'Requesting user is not a Super Administrator'],
    body: [70009, 'Error in parsing request body'],
    tooOften: [70005, 'Request frequency limited'],
    absent: V1_PARAMETER,
    internal: [99999, 'System internal error'],
  },
  word: (word) => word.toLowerCase(),
  success: (id, payload) => `{"errorCode":0,"errorMessage":"Success","requestId":"${id}","data":${payload}}`,
  failure: (id, code, message) => `{"errorCode":${code},"errorMessage":"${message}","requestId":"${id}","data":{}}`,
  one: (record) => record,
  list: (total, page, records) => `{"totalNum":${total},"page":${page},"callRecordList":[${records.join()}]}`,
};

const v4: Dialect = {
  paths: { call: 'v4/call_record_http_srv/get_record_by_callid', filter: 'v4/call_record_http_srv/get_record_by_filter' },
  rates: { call: 200, filter: 200 },
  names: {
    callId: 'CallId',
    from: 'StartTime',
    to: 'EndTime',
    size: 'NumberPerPage',
    page: 'Page',
    result: 'CallResult',
    type: 'CallType',
  },
  defaultSize: 10,
  fromIsOptional: true,
  unknownCall: 'error',
  errors: {
    method: [60002, 'HTTP request could not be parsed'],
    path: [60009, 'no such API of this app'],
    app: [60006, 'invalid SDKAppID'],
    parameter: [100002, 'bad parameter'],
    malformed: [70003, 'UserSig cannot be read'],
    bad_signature: [70009, 'UserSig does not match the key'],
    expired: [70001, 'UserSig has expired'],
    otherApp: [70014, 'UserSig is of another SDKAppID'],
    otherUser: [70013, 'UserSig is of another identifier'],
    noAdmin: [60010, 'administrator required'],
    body: [60003, 'JSON could not be parsed'],
    tooOften: [60007, 'request frequency limited'],
    absent: [101050, 'no such record'],
    internal: [101001, 'internal error'],
  },
  word: (word) => V4_WORDS[word] ?? word,
  success: (id, payload) => `{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"RequestId":"${id}","Response":${payload}}`,
  failure: (id, code, message) => `{"ActionStatus":"FAIL","ErrorInfo":"${message}","ErrorCode":${code},"RequestId":"${id}"}`,
  one: (record) => `{"CallRecord":${record}}`,
  list: (total, page, records) => `{"TotalNum":${total},"Page":${page},"CallRecordList":[${records.join()}]}`,
};

const V4_WORDS: Readonly<Record<string, string>> = {
  Cancel: 'cancel',
  Reject: 'reject',
  NotAnswer: 'not_answer',
  NormalEnd: 'normal_end',
  CallBusy: 'call_busy',
  Interrupt: 'interrupt',
  Offline: 'offline',
  SingleCall: 'single',
  MultiCall: 'group',
};

export const DIALECTS: Readonly<Record<'v1' | 'v4', Dialect>> = { v1, v4 };
