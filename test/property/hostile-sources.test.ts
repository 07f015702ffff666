import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { storedQuery } from '../../src/ingest/query.js';
import { readAliyunDelivery } from '../../src/sources/aliyun-events.js';
import { aliyunRtc } from '../../src/sources/aliyun-rtc.js';
import { callRecord, firstPage } from '../../src/sources/call-record.js';
import type { ReadElement } from '../../src/sources/element.js';
import { parseObject } from '../../src/sources/json.js';
import type { PolledSource } from '../../src/sources/polled.js';
import { queryParameter } from '../../src/sources/query.js';
import { SOURCES, type Source } from '../../src/sources/registry.js';
import { userEvent, userEventPlan } from '../../src/sources/user-event.js';
import { filled, fuzz, growthOf, hostileBodies, hostileQueries } from '../support/fuzz.js';

/*
 * What anyone may post, and what a vendor's API may answer: nothing throws, each delivery yields at least one input or dead letter, and work is in
 * proportion to size.
 */

const RECEIVED = 1_704_695_566_999;
const KEY = 'a-callback-key-of-the-test';
const T = 1_704_695_000_000;

const NAMES: Record<string, readonly string[]> = {
  tuicallkit: [
    'CallId',
    'Event',
    'EventTime',
    'UserId',
    'Role',
    'CallResult',
    'StartCallTs',
    'AcceptTs',
    'TotalNum',
    'RoomId',
    'CallInfo',
    'CallRecord',
    'CallbackCommand',
    'ChangedUserList',
    'UserList',
    'User_Account',
    'ActionType',
    'Status',
    'Caller_Account',
    'CalleeList_Account',
  ],
  tiw: [
    'SdkAppId',
    'EventType',
    'EventData',
    'TaskId',
    'Timestamp',
    'ExpireTime',
    'Sign',
    'VideoInfos',
    'VideoType',
    'OmittedDurations',
    'Error',
    'Code',
    'Message',
  ],
  'call-record': [
    'callId',
    'CallId',
    'callees',
    'CalleeList_Account',
    'callResult',
    'CallResult',
    'startCallTs',
    'StartTime',
    'UserList',
    'User_Account',
  ],
  'user-event': ['Data', 'Content', 'EventId', 'TimestampMs', 'ParamOne', 'PeerId', 'DataType'],
  'aliyun-rtc': [
    'Data',
    'MsgId',
    'AppId',
    'ChannelId',
    'ChannelID',
    'Contents',
    'Event',
    'UserEvent',
    'ChannelEvent',
    'EventTag',
    'Timestamp',
    'Code',
    'Time',
    'SessionId',
  ],
};
const WORDS = [
  'start_call',
  'receive_call',
  'call_end',
  'caller',
  'normal_end',
  'Call.CallbackAfterStartCall',
  'Call.CallbackAfterMemberChanged',
  'Call.CallbackAfterEndCall',
  'accept',
  'hangup',
  'Calling',
  'c-1',
  'RecordStarted',
  'RecordFinished',
  'UserEvent',
  'Join',
  'Leave',
  '5003',
  '1704695566',
];
const QUERY = hostileQueries(['sdkappid', 'SdkAppId', 'optplatform', 'callbackcommand', 'clientip', 'callid', 'userid', 'sign']);
const everyName = [...new Set(Object.values(NAMES).flat())];

const bodiesOf = (name: string) => hostileBodies(NAMES[name] ?? everyName, WORDS);

function readWith(source: Source, query: string, body: Buffer): void {
  const raw = { source: source.name, app_id: '1400000001', received_at: RECEIVED, query, body };
  const elements: { ok: boolean; reason?: string }[] = source.toInputs(raw);
  expect(elements.length).toBeGreaterThan(0);
  for (const element of elements) {
    if (element.ok) JSON.parse((source.describe as (e: ReadElement) => string)(element as ReadElement).replace('\ufeff', ''));
    else expect(element.reason).toMatch(/^[a-z_0-9]+$/);
  }
}

function receiveWith(source: Source, query: string, body: Buffer): void {
  const { webhook } = source;
  if (webhook === undefined) return;
  const appId = webhook.appIdOf(query, webhook.appIdIn === 'query' ? Buffer.alloc(0) : body);
  expect(appId === null || typeof appId === 'string').toBe(true);
  const app = { provider: source.provider, appId: '1400000001', tiwCallbackKey: KEY };
  // Nobody who lacks the key is let in.
  expect(webhook.authenticate?.({ query, headers: {}, body }, app, RECEIVED) ?? null).not.toBe(true);
  webhook.keyOf('1400000001', query, body);
  JSON.parse(webhook.successBody(query, body));
}

describe.each(SOURCES.map((source) => [source.name, source] as const))('%s', (name, source) => {
  it('takes any body and query for inputs or dead letters', () => {
    fuzz(fc.tuple(QUERY, bodiesOf(name)), ([query, body]) => readWith(source, query, body), 700);
  });

  it('judges any request', () => {
    fuzz(fc.tuple(QUERY, bodiesOf(name)), ([query, body]) => receiveWith(source, query, body), 400);
  });

  it.each(
    Object.entries({
      'open brackets': (n: number) => filled('[', n),
      'numbers that must be read exactly': (n: number) => `{"CallId":"c","Event":"start_call","x":[${filled('1e99,', n)}0]}`,
      'one number': (n: number) => `{"CallId":1${filled('0', n)}}`,
      fractions: (n: number) => `{"CallId":"c","x":[${filled('1.50,', n)}1]}`,
      'repeated names': (n: number) => `{"CallId":"c",${filled('"a":{"b":[]},', n)}"a":1e999}`,
      names: (n: number) => `{${Array.from({ length: n / 16 }, (_, i) => `"n${i}":${i},`).join('')}"CallId":1e3}`,
      'white space': (n: number) => `{"CallId":${filled(' \n', n)}1.5}`,
      escapes: (n: number) => `{"CallId":"${filled('\\u0041', n)}"}`,
      'half surrogates': (n: number) => `{"CallId":"${filled('\\ud800', n)}","Event":"start_call"}`,
      'byte order marks': (n: number) => filled('\ufeff', n / 3),
      quotes: (n: number) => filled('"', n),
      users: (n: number) => `{"CallInfo":{"CallId":"c"},"ChangedUserList":[${filled('{"User_Account":"u","ActionType":"accept"},', n)}{}]}`,
      videos: (n: number) =>
        `{"SdkAppId":1,"EventType":"RecordFinished","EventData":{"TaskId":"t","VideoInfos":[${filled('{"VideoType":1},', n)}{}]}}`,
      events: (n: number) => `{"Data":[${filled('{"EventId":5003,"TimestampMs":1704695566000},', n)}{}],"Content":[]}`,
      zeros: (n: number) => filled('\0', n),
    }),
  )('works in proportion to the size of %s', (_what, make) => {
    const bytes = (size: number) => Buffer.from(make(size));
    expect(growthOf(bytes, (body) => readWith(source, '', body))).toBeNull();
    expect(growthOf(bytes, (body) => receiveWith(source, '', body))).toBeNull();
  });
});

describe('aliyun-rtc pushes and log entries', () => {
  it('are events or dead letters, whatever they are', () => {
    fuzz(
      bodiesOf('aliyun-rtc'),
      (body) => {
        expect(readAliyunDelivery({ source: 'aliyun-rtc', app_id: 'a', received_at: RECEIVED, query: '', body }).length).toBeGreaterThan(0);
      },
      700,
    );
  });

  it('escaped within each other are opened in proportion to their size', () => {
    const nested = (size: number): Buffer => {
      let text = '{"ChannelId":"c"}';
      while (text.length * 2 < size) text = JSON.stringify({ Data: text });
      return Buffer.from(text);
    };
    const read = (body: Buffer) => void readAliyunDelivery({ source: '', app_id: '', received_at: 0, query: '', body });
    expect(growthOf(nested, read)).toBeNull();
    expect(growthOf((n) => Buffer.from(`{"Contents":[${filled('{"Event":"UserEvent","UserEvent":{}},', n)}{}]}`), read)).toBeNull();
  });
});

describe('what a vendor’s API answers', () => {
  const rooms = userEventPlan({ appId: '1', callId: 'c', roomId: 'r', users: ['u', 'v'], startedAt: T, endedAt: T + 60_000 }, T + 120_000)!;
  const plans: [string, (status: number, headers: Record<string, string | string[]>, body: Buffer) => { kind: string }][] = [
    ['call-record v1', reader(callRecord, { what: 'call', generation: 'v1', appId: '1', callId: 'c' })],
    ['call-record v4 sweep', reader(callRecord, firstPage('v4', '1', T, T + 60_000))],
    ['user-event rooms', reader(userEvent, rooms)],
    [
      'user-event users',
      reader(userEvent, {
        what: 'user',
        appId: '1',
        callId: 'c',
        roomId: 'r',
        users: ['u'],
        from: T,
        to: T + 60_000,
        commId: 'x',
        everyone: [],
        others: [],
        found: false,
      }),
    ],
    ['aliyun-rtc', reader(aliyunRtc, { appId: 'a', subscribeId: 's', from: T, to: T + 60_000, page: 1 })],
  ];
  const names = [
    'errorCode',
    'errorMessage',
    'data',
    'ErrorCode',
    'ErrorInfo',
    'Response',
    'Error',
    'Code',
    'Message',
    'RequestId',
    'RoomList',
    'CommId',
    'CreateTime',
    'Total',
    'Data',
    'records',
    'recordList',
    'CallRecordList',
    'callId',
    'CallId',
    'Logs',
    'HasMore',
    'PageNo',
    ...everyName,
  ];
  const responses = fc.tuple(
    fc.oneof({ weight: 3, arbitrary: fc.constant(200) }, fc.integer({ min: -1, max: 1000 }), fc.constant(Number.NaN)),
    fc.dictionary(
      fc.constantFrom('retry-after', 'date', 'x-acs-retry-after', 'content-type', '__proto__'),
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('1e400', '-1', 'Thu, 26 Nov 2026 07:00:00 GMT'),
        fc.array(fc.string(), { maxLength: 2 }),
      ),
    ),
    hostileBodies(names, [...WORDS, '0', '70003', 'FailedOperation', 'OK']),
  );

  it.each(plans)('%s: a page, or why there is none', (_what, read) => {
    fuzz(
      responses,
      ([status, headers, body]) => {
        const answer = read(status, headers, body);
        expect(['page', 'not_yet', 'retry', 'slow_down', 'renew', 'refused', 'stop']).toContain(answer.kind);
      },
      500,
    );
  });

  it.each(plans)('%s: read in proportion to its size', (_what, read) => {
    const shapes: ((n: number) => string)[] = [
      (n) =>
        `{"errorCode":0,"ErrorCode":0,"data":{"records":[${filled('{"callId":"c"},', n)}{}]},"Response":{"Data":[${filled('{"Content":[]},', n)}{}],"RoomList":[${filled('{"CommId":"x"},', n)}{}]},"Logs":[${filled('{"Data":"{}"},', n)}{}]}`,
      (n) => `{"errorCode":0,"ErrorCode":0,"data":{"a":"${filled('\\"', n)}"}}`,
      (n) => filled('{"data":', n),
      (n) => `{"errorCode":0,"data":{"records":[1e400${filled(' ', n)}]}}`,
    ];
    for (const make of shapes)
      expect(
        growthOf(
          (n) => Buffer.from(make(n)),
          (body) => void read(200, {}, body),
        ),
      ).toBeNull();
  });
});

describe('query strings', () => {
  it('are read and stored whatever they hold, without what is secret by name', () => {
    fuzz(
      QUERY,
      (query) => {
        queryParameter(query, 'sdkappid');
        const stored = storedQuery(`${query}&Sign=${KEY}&a=path-secret`, { secret: 'path-secret', truncateClientIp: true });
        expect(stored).not.toContain(KEY);
        expect(stored).not.toContain('path-secret');
      },
      1_000,
    );
  });

  it('are read in proportion to their length', () => {
    for (const part of ['&', '=', '%', '+', 'a&', 'sdkappi=&', 'clientip=1&', '%zz&', 'sdkappid'])
      expect(
        growthOf(
          (n) => filled(part, n),
          (query) => {
            queryParameter(query, 'sdkappid');
            storedQuery(query, { secret: 's', truncateClientIp: true });
          },
        ),
      ).toBeNull();
  });
});

describe('JSON', () => {
  it('with prototype keys lends nothing to anyone', () => {
    fuzz(
      hostileBodies(['CallId', 'x'], ['c']),
      (body) => {
        parseObject(body);
        expect(Object.keys(Object.prototype)).toEqual([]);
        expect(({} as Record<string, unknown>).CallId).toBeUndefined();
      },
      500,
    );
  });
});

function reader<Plan, Credentials>(source: Pick<PolledSource<Plan, Credentials>, 'readResponse'>, plan: Plan) {
  return (status: number, headers: Record<string, string | string[]>, body: Buffer) => source.readResponse(status, headers, body, plan);
}
