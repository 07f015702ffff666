import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AliyunElement, channelOf, readAliyunDelivery } from '../../src/sources/aliyun-events.js';
import { type AliyunPlan, aliyunRtc } from '../../src/sources/aliyun-rtc.js';
import { windowsOf } from '../../src/sources/polled.js';
import { acs3Headers } from '../../src/sources/sign/acs3.js';
import { ALIYUN_PUSH as PUSH } from '../support/aliyun-example.js';
import { hostileResponses } from '../support/hostile.js';

const NOW = Date.UTC(2023, 9, 26, 10, 22, 32);
const CREDENTIALS = {
  endpoint: 'https://live.aliyuncs.com',
  accessKeyId: 'YourAccessKeyId',
  accessKeySecret: 'YourAccessKeySecretOf30Letters',
};
const PLAN: AliyunPlan = { appId: '9qb1****', subscribeId: 'ad53276431c****', from: 1_698_195_600_000, to: 1_698_201_000_000, page: 1 };
const answer = (body: string | object, status = 200, headers = {}) =>
  aliyunRtc.readResponse(status, headers, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), PLAN);
const read = (body: string | object): AliyunElement[] =>
  readAliyunDelivery({
    source: 'aliyun-rtc',
    app_id: '9qb1',
    received_at: NOW,
    query: '',
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  });

const once = JSON.stringify(PUSH);
const twice = JSON.stringify(once).slice(1, -1);
const log = (data: unknown, over: object = {}) => `{
      "AppId": "9qb1****",
      "SubId": "ad53276431c****",
      "MessageId": "875d5266cbabb1834cc84a105cf6****",
      "Data": ${JSON.stringify(data)},
      "Cost": 22,
      "Time": "2023-10-17 20:26:31.988",
      "Url": "http://****.com/callback",
      "Code": 200${Object.entries(over)
        .map(([name, value]) => `, ${JSON.stringify(name)}: ${JSON.stringify(value)}`)
        .join('')}
    }`;
/** The vendor page's answer, in its own lines: its Data is escaped twice. */
const LOG = log(twice);
const page = (logs: string, more = 'false') => `{
  "RequestId": "CC8CB656-A7BA-1811-9D6B-4CC187E988BD",
  "Count": 1,
  "HasMore": ${more},
  "Logs": [
    ${logs}
  ]
}`;
const LEFT = {
  kind: 'user',
  app_id: '9qb1',
  channel_id: '9099',
  user_id: 'linux_test',
  session_id: 'je7y2sBZJZQ0VBJZrh4LnBkxvGH2WyVs',
  event: 'leave',
  at: 1697545591000,
  message_id: '875d5266cbabb1834cc84a105cf68454',
  subscribe_id: '09be0d2254cb5a89f4cbd86403ec5343',
  reason: '1',
  role: '1',
  terminal_type: '6',
  user_type: '2',
};

describe('requests', () => {
  it('name one subscription and full minutes, and are signed as they are sent', () => {
    const request = aliyunRtc.request({ ...PLAN, from: PLAN.from + 59_999, to: PLAN.to + 13_000 }, CREDENTIALS, NOW, '3156853299f313e2');
    const query = {
      AppId: '9qb1****',
      SubscribeId: 'ad53276431c****',
      StartTime: '1698195600',
      EndTime: '1698201000',
      PageSize: '100',
      PageNo: '1',
    };
    expect(request.url).toBe(
      'https://live.aliyuncs.com/?AppId=9qb1%2A%2A%2A%2A&EndTime=1698201000&PageNo=1&PageSize=100&StartTime=1698195600&SubscribeId=ad53276431c%2A%2A%2A%2A',
    );
    expect(request).toMatchObject({ method: 'POST', body: '' });
    const call = { method: 'POST', host: 'live.aliyuncs.com', action: 'ListEventSubEvent', version: '2016-11-01', query } as const;
    expect(request.headers).toEqual(acs3Headers({ ...call, now: NOW, nonce: '3156853299f313e2' }, CREDENTIALS));
  });

  it('keep to the limits of the page', () => {
    expect(aliyunRtc.limits.perSecond[aliyunRtc.operationOf(PLAN)]).toBe(50);
    const { windows, lost } = windowsOf({ from: NOW - 8 * 86_400_000, to: NOW }, NOW, aliyunRtc.limits);
    expect(lost).not.toBeNull();
    expect(windows).toHaveLength(1);
    expect(windows[0]!.to).toBe(Date.UTC(2023, 9, 26, 10, 22));
    expect(windows[0]!.from % 60_000).toBe(0);
  });
});

describe('pages', () => {
  it("hold the exact text of the page's entry, under its channel", () => {
    expect(answer(page(LOG))).toEqual({
      kind: 'page',
      elements: [{ key: 'aliyun:9qb1****:9099', query: '', body: LOG }],
      next: null,
    });
  });

  it('go on as long as HasMore says so', () => {
    expect(answer(page(`${LOG} , ${log(once)}`, 'true'))).toMatchObject({
      elements: [{ body: LOG }, { body: log(once) }],
      next: { ...PLAN, page: 2 },
    });
    expect(answer('{"RequestId":"x","Count":0,"HasMore":false,"Logs":[]}')).toEqual({ kind: 'page', elements: [], next: null });
    expect(answer('{"RequestId":"x"}')).toEqual({ kind: 'page', elements: [], next: null });
    expect(answer('{"HasMore":true,"Logs":[]}')).toMatchObject({ kind: 'retry', code: 'malformed' });
  });

  it('keep entries that cannot be read', () => {
    const strange = ['1', 'null', '{}', '{"Data":"{"}', log('')];
    const stray = { key: expect.stringMatching(/^[0-9a-f]{64}$/) };
    expect(answer(page(strange.join(',')))).toMatchObject({ elements: strange.map((body) => ({ ...stray, body })) });
    expect(answer('{"Logs":{}}')).toMatchObject({ kind: 'retry', code: 'malformed' });
  });

  it.each(['', '[]', 'null', '<html>', '{"Logs":'])('%j is malformed', (body) => {
    expect(answer(body)).toMatchObject({ kind: 'retry', code: 'malformed' });
  });
});

describe('error codes', () => {
  it.each([
    [400, 'InputInvalid', 'refused'],
    [403, 'NoAuth', 'stop'],
    [404, 'ResourceNotExist', 'stop'],
    [500, 'ServerError', 'retry'],
    [400, 'Throttling', 'slow_down'],
    [400, 'Throttling.User', 'slow_down'],
    [429, 'Throttling.Api', 'slow_down'],
    [404, 'InvalidAccessKeyId.NotFound', 'stop'],
    [400, 'SignatureDoesNotMatch', 'stop'],
    [400, 'SignatureNonceUsed', 'retry'],
    [400, 'InvalidTimeStamp.Expired', 'retry'],
    [403, 'Forbidden.RAM', 'stop'],
    [404, 'InvalidAction.NotFound', 'stop'],
    [503, 'ServiceUnavailable', 'retry'],
    [400, 'SomethingNew', 'retry'],
    [429, 'SomethingNew', 'slow_down'],
    [200, 'NoAuth', 'stop'],
  ])('%i %s is %s', (status, code, kind) => {
    const error = { RequestId: 'CC8CB656-A7BA', Code: code, Message: 'words', HostId: 'live.aliyuncs.com' };
    expect(answer(error, status)).toMatchObject({ kind, code });
    expect(answer({ requestId: 'x', code, message: 'words' }, status)).toMatchObject({ kind, code });
  });

  it('without a code, the status decides', () => {
    expect(answer('<html>', 502)).toMatchObject({ kind: 'retry', code: 'http_502' });
    expect(answer('', 429, { 'retry-after': '2' })).toMatchObject({ kind: 'slow_down', code: 'http_429', retryAfterMs: 2000 });
    expect(answer(page(LOG), 500)).toMatchObject({ kind: 'retry', code: 'http_500' });
  });

  it('say how long to wait, in the milliseconds of the vendor', () => {
    const throttled = { Code: 'Throttling.User', Message: '', RequestId: '' };
    expect(answer(throttled, 400, { 'x-acs-retry-after': '1500' })).toMatchObject({ retryAfterMs: 1500 });
    expect(answer(throttled, 400, { 'x-acs-retry-after': 'x', 'retry-after': '3' })).toMatchObject({ retryAfterMs: 3000 });
    expect(answer(throttled, 400)).not.toHaveProperty('retryAfterMs');
  });

  it('never throw, and show no secret', () => {
    const names = ['Code', 'Message', 'Logs', 'Logs', 'HasMore', 'Data', 'ChannelId', 'Contents'];
    const words = [once, twice, true, `the secret ${CREDENTIALS.accessKeySecret}`, '9099', 200];
    fc.assert(
      fc.property(hostileResponses(names, words), ({ status, headers, body }) => {
        const result = aliyunRtc.readResponse(status, headers, body, PLAN);
        if (result.kind !== 'page') expect(result.message).not.toContain(CREDENTIALS.accessKeySecret);
        else for (const element of result.elements) expect(body.toString()).toContain(element.body);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('events', () => {
  const PUSHED_AT = Date.UTC(2023, 9, 17, 12, 26, 31, 988);

  it.each([
    ['twice', LOG],
    ['once', log(once)],
    ['not at all', log(PUSH)],
  ])('of a log entry whose Data is escaped %s', (_, text) => {
    const event = { ...LEFT, delivery: { code: '200', delivered: true, at: PUSHED_AT } };
    expect(read(text)).toEqual([{ ok: true, index: 0, event, body: { ...JSON.parse(text), Data: PUSH } }]);
    expect(channelOf(Buffer.from(text))).toBe('9099');
  });

  it('that were pushed say the same', () => {
    expect(read(once)).toEqual([{ ok: true, index: 0, event: { ...LEFT, delivery: null }, body: PUSH }]);
  });

  it('are read from the other spelling of ids', () => {
    const { SubscribeId: SubscribeID, ChannelId: ChannelID, ...rest } = PUSH;
    const body = { ...rest, SubscribeID, ChannelID };
    expect(read(body)).toEqual([{ ...read(once)[0], body }]);
    expect(channelOf(Buffer.from(JSON.stringify({ ChannelID })))).toBe('9099');
  });

  it.each([
    [404, '404'],
    [0, '0'],
    ['500', '500'],
    [null, ''],
  ])('whose push came back with %j were not delivered', (code, text) => {
    expect(read(log(once, { Code: code }))).toMatchObject([{ event: { delivery: { code: text, delivered: false } } }]);
  });

  it.each([
    ['2023-10-17 20:26:31.988', PUSHED_AT],
    ['2023-10-17 20:26:31', PUSHED_AT - 988],
    ['2023-10-17 20:26:31.9', PUSHED_AT - 88],
    ['2024-02-29 00:00:00.000', Date.UTC(2024, 1, 28, 16)],
    ['2023-02-29 00:00:00.000', null],
    ['2023-13-01 00:00:00.000', null],
    ['0000-00-00 00:00:00', null],
    ['2023-10-17T20:26:31.988Z', null],
    ['', null],
    [1697545591, null],
  ])('were pushed at %j, eight hours ahead of UTC', (time, at) => {
    expect(read(log(once, { Time: time }))).toMatchObject([{ event: { delivery: { at } } }]);
  });

  it('of one push are judged one by one', () => {
    const user = (fields: object) => ({ Event: 'UserEvent', UserEvent: fields });
    const Contents = [
      user({ UserId: 'a', EventTag: 'Join', SessionId: 's', Timestamp: '1697545591123' }),
      7,
      { Event: 'RoomEvent' },
      { UserEvent: { EventTag: 'Join' } },
      user({ UserId: 'a' }),
      { Event: 'UserEvent' },
      { Event: 'ChannelEvent', ChannelEvent: { EventTag: 'Closed', Timestamp: 1697545592 } },
      { Event: 'userevent', UserEvent: { UserId: '#', EventTag: 'Roleupdate', Role: 2 } },
    ];
    const text = JSON.stringify({ ...PUSH, Contents }).replace('"#"', '9007199254740993');
    expect(read(text)).toMatchObject([
      { ok: true, index: 0, event: { user_id: 'a', event: 'join', session_id: 's', at: 1697545591123 } },
      { ok: false, index: 1, reason: 'not_an_object' },
      { ok: false, index: 2, reason: 'unknown_event' },
      { ok: false, index: 3, reason: 'unknown_event' },
      { ok: false, index: 4, reason: 'no_event' },
      { ok: false, index: 5, reason: 'no_event' },
      { ok: true, index: 6, event: { kind: 'channel', user_id: '', event: 'closed', at: 1697545592000 } },
      { ok: true, index: 7, event: { user_id: '9007199254740993', event: 'roleupdate', role: '2', at: null } },
    ]);
  });

  it('of a log entry take its MessageId where the push has no MsgId', () => {
    const { MsgId: _, ...rest } = PUSH;
    expect(read(log(JSON.stringify(rest)))).toMatchObject([{ event: { message_id: '875d5266cbabb1834cc84a105cf6****' } }]);
  });

  it.each([
    ['not JSON', '{', 'not_json'],
    ['a list', '[]', 'not_an_object'],
    ['an empty object', '{}', 'no_call_id'],
    ['a push without a channel', JSON.stringify({ ...PUSH, ChannelId: '' }), 'no_call_id'],
    ['a push without Contents', JSON.stringify({ ...PUSH, Contents: [] }), 'no_event'],
    ['a push of more events than a push has', JSON.stringify({ ...PUSH, Contents: Array(101).fill(PUSH.Contents[0]) }), 'too_many_events'],
    ['a push whose Contents are no list', JSON.stringify({ ...PUSH, Contents: {} }), 'no_event'],
    ['Data that is cut off', log(once.slice(0, -1)), 'not_json'],
    ['Data that ends its own string', log('","x":"'), 'not_json'],
    ['Data that is a number', log(7), 'not_json'],
    ['Data that is a list', log('[]'), 'not_json'],
  ])('%s: none', (_, text, reason) => {
    expect(read(text)).toMatchObject([{ ok: false, index: -1, reason }]);
    if (reason !== 'no_event' && reason !== 'too_many_events') expect(channelOf(Buffer.from(text))).toBe('');
  });

  it('of any bytes never throw', () => {
    const names = ['Data', 'ChannelId', 'Contents', 'Event', 'UserEvent', 'EventTag', 'Time', 'Code'];
    fc.assert(
      fc.property(hostileResponses(names, [once, twice, 'UserEvent', 'Join', 'x', 1697545591]), ({ body }) => {
        expect(read(body.toString('latin1')).length).toBeGreaterThan(0);
        expect(readAliyunDelivery({ source: '', app_id: '', received_at: 0, query: '', body }).length).toBeGreaterThan(0);
        channelOf(body);
      }),
      { numRuns: 1000 },
    );
  });
});
