import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CallRecordPlan, callRecord, firstPage } from '../../src/sources/call-record.js';
import { ENDPOINTS, generationOf } from '../../src/sources/call-record-api.js';
import type { StoredEvent } from '../../src/sources/element.js';
import { readRecordText } from '../../src/sources/readers.js';
import { verifyUserSig } from '../../src/sources/sign/usersig.js';
import { hostileResponses } from '../support/hostile.js';
import { V1_RECORD, V4_RECORD } from '../support/poll-examples.js';

const NOW = Date.UTC(2026, 10, 26, 7, 0, 0, 500);
const RECEIVED = NOW + 250;
const KEY = '5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e';
const CREDENTIALS = { endpoint: ENDPOINTS.v1.international, identifier: 'administrator', secretKey: KEY };
const byId = (generation: 'v1' | 'v4', callId = 'c-1'): CallRecordPlan => ({ what: 'call', generation, appId: '88888888', callId });
const filter = (generation: 'v1' | 'v4') => firstPage(generation, '88888888', NOW - 900_000, NOW);
const read = (plan: CallRecordPlan, body: string | object, status = 200) =>
  callRecord.readResponse(status, {}, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), plan);
const inputsOf = (body: string) =>
  callRecord.toInputs({ source: 'call-record', app_id: '88888888', received_at: RECEIVED, query: '', body: Buffer.from(body) });

const v1 = (data: string, code: unknown = 0) =>
  `{"errorCode": ${JSON.stringify(code)}, "errorMessage": "Success", "requestId": "9f01db503f2006ad10c45f4f4609e38d", "data": ${data}}`;

const v4 = (response: string, code: unknown = 0) =>
  `{"ErrorCode": ${JSON.stringify(code)},"ErrorInfo": "","ActionStatus": "OK","RequestId": "Id-da9b3ee8bece466d951a9d93965c3d2c-O-Seq-324151555","Response": ${response}}`;

describe('requests for call records', () => {
  it.each([
    [byId('v1'), 'v1/records/get_record_by_callId', { callId: 'c-1' }],
    [
      filter('v1'),
      'v1/records/get_records_by_filter',
      { startTimestamp: 1795675500, endTimestamp: 1795676401, numberPerPage: 100, page: 1 },
    ],
    [byId('v4'), 'v4/call_record_http_srv/get_record_by_callid', { CallId: 'c-1' }],
    [
      filter('v4'),
      'v4/call_record_http_srv/get_record_by_filter',
      { StartTime: 1795675500, EndTime: 1795676401, NumberPerPage: 100, Page: 1 },
    ],
  ])('%#', (plan, path, body) => {
    const request = callRecord.request(plan, CREDENTIALS, NOW, 'ffffffff00000000');
    const url = new URL(request.url);
    expect(`${url.origin}${url.pathname}`).toBe(`https://callkit-intl.trtc.tencent-cloud.com/${path}`);
    expect(callRecord.operationOf(plan)).toBe(path);
    expect(callRecord.limits.perSecond[path]).toBe(path.includes('get_record_by_callId') ? 20 : 200);
    const { usersig, ...parameters } = Object.fromEntries(url.searchParams);
    expect(parameters).toEqual({ sdkappid: '88888888', identifier: 'administrator', random: '4294967295', contenttype: 'json' });
    expect(verifyUserSig(usersig ?? '', KEY, NOW / 1000)).toMatchObject({
      ok: true,
      claims: { identifier: 'administrator', sdkAppId: 88888888, issuedAt: Math.floor(NOW / 1000) },
    });
    expect(request).toMatchObject({ method: 'POST', headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(request.body)).toEqual(body);
  });

  it('draws a 32-bit number from the nonce', () => {
    const random = (nonce: string) => new URL(callRecord.request(byId('v1'), CREDENTIALS, NOW, nonce).url).searchParams.get('random');
    expect(random('00000000ffffffff')).toBe('0');
    expect(random('0000000a')).toBe('10');
  });

  it.each(['', 'abc', '1e5', '-1', '99999999999999999999'])('refuses the app id %j, which is no number', (appId) => {
    expect(() => callRecord.request({ ...byId('v1'), appId }, CREDENTIALS, NOW, '00000000')).toThrow(
      expect.objectContaining({ code: 'POLL_APP_ID' }),
    );
  });

  it.each([
    ...Object.values(ENDPOINTS.v1).map((url) => [url, 'v1']),
    ...Object.values(ENDPOINTS.v4).map((url) => [url, 'v4']),
    ['https://adminapisgp.my-imcloud.com', 'v4'],
    ['http://127.0.0.1:9999', 'v1'],
    ['https://console.tim.qq.com.example', 'v1'],
    ['', 'v1'],
  ])('takes %s for %s', (endpoint, generation) => {
    expect(generationOf(endpoint)).toBe(generation);
  });
});

describe('one record', () => {
  it("is the exact text of the v1 page's example", () => {
    expect(read(byId('v1'), v1(V1_RECORD))).toEqual({
      kind: 'page',
      elements: [{ key: 'tencent:88888888:2ae7d549-c441-4a9b-87c0-61810fe19582', query: '', body: V1_RECORD }],
      next: null,
    });
    expect(inputsOf(V1_RECORD)).toMatchObject([
      {
        ok: true,
        index: 0,
        key: { provider: 'tencent', app_id: '88888888', call_id: '2ae7d549-c441-4a9b-87c0-61810fe19582' },
        input: {
          kind: 'record',
          origin: 'record',
          text: V1_RECORD,
          received_at: RECEIVED,
          fields: {
            start_at: 1688705638000,
            accept_at: 1688705641000,
            end_at: 1688705668000,
            result: 'normal_end',
            caller: 'alice',
            users: ['alice', 'bob1', 'bob2'],
            total_users: 2,
            room_id: '123456',
            media_type: 'video',
            call_type: 'single',
            event_at: null,
          },
        },
      },
    ]);
  });

  it("is the exact text of the v4 page's example", () => {
    expect(read(byId('v4'), v4(`{"CallRecord": ${V4_RECORD}}`))).toEqual({
      kind: 'page',
      elements: [{ key: 'tencent:88888888:04c9a0ac-8e38-4a19-be45-349c5ce7911b', query: '', body: V4_RECORD }],
      next: null,
    });
    expect(inputsOf(V4_RECORD)[0]).toMatchObject({
      input: {
        fields: {
          start_at: 1739868165000,
          accept_at: 1739872743000,
          end_at: 1740064224000,
          result: 'normal_end',
          caller: 'user1',
          users: ['user1', 'user5', 'user2'],
          total_users: 0,
          room_id: 'roomid-1434',
          media_type: 'audio',
          call_type: 'group',
        },
      },
    });
  });

  it.each([
    ['v1', v1('null')],
    ['v1', v1('{}')],
    ['v1', '{"errorCode":0,"errorMessage":"Success","requestId":"1"}'],
    ['v4', v4('{}')],
    ['v4', v4('{"CallRecord":null}')],
    ['v4', v4('null')],
    ['v4', v4('{}', 101050)],
  ] as const)('is not there yet: %s %s', (generation, body) => {
    expect(read(byId(generation), body)).toMatchObject({ kind: 'not_yet' });
  });

  it('that is no object is malformed, one without a call id travels on to become a dead letter', () => {
    expect(read(byId('v1'), v1('[]'))).toMatchObject({ kind: 'retry', code: 'malformed' });
    const answer = read(byId('v1'), v1('{"caller":"a"}'));
    expect(answer).toMatchObject({ kind: 'page', elements: [{ key: expect.stringMatching(/^[0-9a-f]{64}$/), body: '{"caller":"a"}' }] });
    expect(inputsOf('{"caller":"a"}')).toMatchObject([{ ok: false, index: 0, reason: 'no_call_id' }]);
  });

  it('keeps every digit', () => {
    const text = '{"callId":9007199254740993,"caller":9007199254740995,"callees":[18014398509481985],"roomId":36028797018963969}';
    expect(read(byId('v1'), v1(text))).toMatchObject({ elements: [{ key: 'tencent:88888888:9007199254740993', body: text }] });
    expect(inputsOf(text)[0]).toMatchObject({
      key: { call_id: '9007199254740993' },
      input: {
        text,
        fields: { caller: '9007199254740995', users: ['9007199254740995', '18014398509481985'], room_id: '36028797018963969' },
      },
    });
  });
});

describe('pages of records', () => {
  it('go on until one is empty, however short they are', () => {
    const other = '{"callId":"b", "callResult":"offline", "totalUserNumber":0}';
    const first = read(filter('v1'), v1(`{"totalNum":3,"page":1,"callRecordList":[${V1_RECORD} ,\n${other}]}`));
    expect(first).toMatchObject({
      kind: 'page',
      elements: [{ body: V1_RECORD }, { key: 'tencent:88888888:b', body: other }],
      next: { what: 'filter', page: 2, from: NOW - 900_000, to: NOW },
    });
    if (first.kind !== 'page' || first.next === null) throw new Error('no next page');
    for (const list of ['[]', 'null'])
      expect(read(first.next, v1(`{"totalNum":3,"page":2,"callRecordList":${list}}`))).toEqual({ kind: 'page', elements: [], next: null });
    expect(read(first.next, v1('null'))).toEqual({ kind: 'page', elements: [], next: null });
  });

  it('end where the vendor repeats its last page', () => {
    const page = v1(`{"totalNum":1,"page":1,"callRecordList":[${V1_RECORD}]}`);
    const first = read(filter('v1'), page);
    if (first.kind !== 'page' || first.next === null) throw new Error('no next page');
    expect(read(first.next, page)).toEqual({ kind: 'page', elements: [], next: null });
  });

  it('are refused when they never end', () => {
    const plan = { ...filter('v1'), page: 10_000 } as CallRecordPlan;
    expect(read(plan, v1('{"callRecordList":[{"callId":"a"}]}'))).toMatchObject({ kind: 'refused', code: 'too_many_pages' });
  });

  it('of v4 are read alike', () => {
    expect(read(filter('v4'), v4(`{"TotalNum": 141,"Page":2,"CallRecordList": [${V4_RECORD}]}`))).toMatchObject({
      kind: 'page',
      elements: [{ key: 'tencent:88888888:04c9a0ac-8e38-4a19-be45-349c5ce7911b', body: V4_RECORD }],
      next: { page: 2 },
    });
  });

  it('hold whatever stands in the list, each by itself', () => {
    expect(read(filter('v1'), v1('{"callRecordList":[1,null,{"callId":"a"},[]]}'))).toMatchObject({
      elements: [{ body: '1' }, { body: 'null' }, { key: 'tencent:88888888:a' }, { body: '[]' }],
    });
    expect(read(filter('v1'), v1('{"callRecordList":{}}'))).toMatchObject({ kind: 'retry', code: 'malformed' });
  });
});

describe('error codes', () => {
  it.each([
    ['v1', 50001, 'stop'],
    ['v1', 70001, 'retry'],
    ['v1', 70002, 'stop'],
    ['v1', 70003, 'renew'],
    ['v1', 70004, 'stop'],
    ['v1', 70005, 'slow_down'],
    ['v1', 70009, 'retry'],
    ['v1', 12345, 'retry'],
    ['v1', '70003', 'renew'],
    ['v4', 101001, 'retry'],
    ['v4', 101050, 'not_yet'],
    ['v4', 60007, 'slow_down'],
    ['v4', 60010, 'stop'],
    ['v4', 60011, 'slow_down'],
    ['v4', 60018, 'slow_down'],
    ['v4', 70001, 'renew'],
    ['v4', 70003, 'stop'],
    ['v4', 70009, 'stop'],
    ['v4', 100001, 'retry'],
    ['v4', '101050', 'not_yet'],
  ] as const)('%s %s is %s', (generation, code, kind) => {
    const body = generation === 'v1' ? v1('{}', code) : v4('{}', code);
    for (const plan of [byId(generation), filter(generation)]) {
      const answer = read(plan, body);
      expect(answer).toMatchObject({ kind, code: String(code) });
      expect('message' in answer && answer.message).toContain(callRecord.operationOf(plan));
    }
  });

  it.each(['', 'null', '[]', '{}', '<html>', '{"errorCode":null}', '{"errorCode":{}}', '{"errorCode":""}'])('%j is malformed', (body) => {
    expect(read(byId('v1'), body)).toMatchObject({ kind: 'retry', code: 'malformed' });
  });

  it('reads no page of a response whose status is not 200', () => {
    expect(read(byId('v1'), v1(V1_RECORD), 502)).toMatchObject({ kind: 'retry', code: 'http_502' });
  });

  it('never throws, and shows no secret', () => {
    const names = [
      'errorCode',
      'data',
      'callRecordList',
      'ErrorCode',
      'Response',
      'CallRecordList',
      'CallRecord',
      'callId',
      'CallId',
      'errorMessage',
    ];
    const response = hostileResponses(names, [0, '0', 0, 70003, `the key ${KEY} is bad`, 'c-1']);
    const plan = fc.constantFrom(byId('v1'), byId('v4'), filter('v1'), filter('v4'));
    fc.assert(
      fc.property(response, plan, ({ status, headers, body }, p) => {
        const answer = callRecord.readResponse(status, headers, body, p);
        if (answer.kind !== 'page') expect(answer.message).not.toContain(KEY);
        else for (const element of answer.elements) expect(body.toString()).toContain(element.body);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('stored records', () => {
  it.each([
    ['a lone word', { callResult: 'Normal_End' }, { result: 'normal_end' }],
    ['no result', {}, { result: '' }],
    ['an empty result', { callResult: '' }, { result: '' }],
    ['a result that is no word', { callResult: { a: 1 } }, { result: 'odd' }],
    ['a result that is a number', { callResult: 7 }, { result: '7' }],
    ['an unknown result', { callResult: 'Teleported' }, { result: 'teleported' }],
    ['an undocumented result', { callResult: 'offline' }, { result: 'offline' }],
    ['times of 0', { startCallTs: 0, acceptTs: 0, endTs: 0 }, { start_at: null, accept_at: null, end_at: null }],
    ['odd types', { callType: 'conference', mediaType: 7 }, { call_type: '', media_type: '' }],
    ['other cases', { callType: 'Group', mediaType: 'AUDIO' }, { call_type: 'group', media_type: 'audio' }],
    ['callees that are no list', { caller: 'a', callees: 'b' }, { users: ['a'] }],
    ['odd callees', { callees: ['', null, {}, 'b', 'b', 7] }, { users: ['b', '7'] }],
    ['a negative total', { totalUserNumber: -2 }, { total_users: 0 }],
  ])('%s', (_, body, fields) => {
    expect(inputsOf(JSON.stringify({ callId: 'c', ...body }))[0]).toMatchObject({ input: { fields } });
  });

  it.each([
    ['Cancel', 'cancel'],
    ['Reject', 'reject'],
    ['NotAnswer', 'not_answer'],
    ['NormalEnd', 'normal_end'],
    ['CallBusy', 'call_busy'],
    ['Interrupt', 'interrupt'],
    ['Offline', 'offline'],
  ])("v4's result %s is %s", (said, result) => {
    expect(inputsOf(JSON.stringify({ CallId: 'c', CallResult: said, CallType: 'SingleCall' }))[0]).toMatchObject({
      input: { fields: { result, call_type: 'single' } },
    });
  });

  it.each([
    ['not JSON', '{', 'not_json'],
    ['a list', '[]', 'not_an_object'],
    ['no call id', '{"callId":""}', 'no_call_id'],
  ])('%s is unreadable', (_, body, reason) => {
    expect(inputsOf(body)).toMatchObject([{ ok: false, reason }]);
  });

  it.each([V1_RECORD, V4_RECORD])('read the same again, from a call and from call_events', (text) => {
    const element = inputsOf(text)[0];
    if (element?.ok !== true || element.input.kind !== 'record') throw new Error('unread');
    expect(readRecordText('record', text)).toEqual(element.input.fields);
    const stored = { call_id: element.key.call_id, event: 'record', detail: callRecord.describe(element) } as StoredEvent;
    expect(callRecord.rebuild(stored)).toEqual({ query: '', body: Buffer.from(text) });
  });

  it('of any bytes never throw', () => {
    const json = hostileResponses(['callId', 'CallId', 'callees', 'CalleeList_Account', 'callResult', 'startCallTs'], ['c', 1, 1e12]);
    fc.assert(
      fc.property(json, ({ body }) => {
        const elements = callRecord.toInputs({ source: 'call-record', app_id: '1', received_at: 1, query: '', body });
        expect(elements).toHaveLength(1);
        expect(readRecordText('record', body.toString())).toBeDefined();
      }),
    );
  });
});
