import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoredEvent } from '../../src/sources/element.js';
import { readMediaText } from '../../src/sources/readers.js';
import { tc3Authorization } from '../../src/sources/sign/tc3.js';
import { type UserEventPlan, userEvent, userEventPlan } from '../../src/sources/user-event.js';
import { hostileResponses } from '../support/hostile.js';
import { MEDIA_DATA as DATA } from '../support/poll-examples.js';

const NOW = Date.UTC(2026, 10, 26, 7, 0, 0, 500);
const RECEIVED = NOW + 250;
const DAY = 86_400_000;
const MINUTE = 60_000;
const STARTED = NOW - 60 * MINUTE;
const CREDENTIALS = {
  endpoint: 'https://trtc.tencentcloudapi.com',
  region: 'ap-singapore',
  secretId: 'AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE',
  secretKey: 'Gu5t9xGARNpq86cd98joQYCN3EXAMPLE',
};
const CALL = {
  appId: '1400353843',
  callId: 'c 1',
  roomId: '1400',
  users: ['alice', 'bob'],
  startedAt: STARTED,
  endedAt: STARTED + 10 * MINUTE,
};
const rooms = userEventPlan(CALL, NOW)!;
const users: UserEventPlan = {
  what: 'user',
  appId: '1400353843',
  callId: 'c 1',
  roomId: '1400',
  users: ['alice', 'bob'],
  from: STARTED,
  to: NOW,
  commId: '1400188366_218695_1590065777',
  everyone: ['alice', 'bob'],
  others: [],
  found: false,
};
const last: UserEventPlan = { ...users, users: ['bob'] };
const read = (plan: UserEventPlan, body: string | object, status = 200) =>
  userEvent.readResponse(status, {}, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), plan);
const response = (fields: object | string) =>
  typeof fields === 'string' ? `{"Response":${fields}}` : JSON.stringify({ Response: { ...fields, RequestId: '093bffd3' } });
const inputsOf = (body: string | Buffer, query = 'call_id=c%201&user_id=alice&comm_id=1_2_3&room_id=1400') =>
  userEvent.toInputs({ source: 'user-event', app_id: '1400353843', received_at: RECEIVED, query, body: Buffer.from(body) });

const T = 1589975202782;
const SAMPLE = `{
        "Response": {
            "Data": ${DATA},
            "RequestId": "093bffd3-9d27-45ca-8410-c61c0e4cdcb8"
        }
    }`;
const EVENTS = [
  [1589975272790, 32793],
  [1589975212877, 32793],
  [T, 32769],
  [T, 32791],
  [T, 32768],
  [T, 32788],
  [T, 32793],
].map(([at, event_id]) => ({ event_id, at, param_one: -1 }));

describe('plans', () => {
  it('ask for five minutes more at both ends, but not for the future', () => {
    expect(rooms).toEqual({
      what: 'room',
      appId: '1400353843',
      callId: 'c 1',
      roomId: '1400',
      users: ['alice', 'bob'],
      from: STARTED - 5 * MINUTE,
      to: STARTED + 15 * MINUTE,
      startedAt: STARTED,
      endedAt: STARTED + 10 * MINUTE,
      page: 0,
      rooms: [],
      late: true,
    });
    expect(userEventPlan({ ...CALL, endedAt: null }, NOW)?.to).toBe(NOW);
    expect(userEventPlan({ ...CALL, users: ['bob', '', 'bob'] }, NOW)?.users).toEqual(['bob']);
    expect(userEventPlan(CALL, CALL.endedAt + 5 * MINUTE - 1)).toMatchObject({ late: false });
  });

  it('keep to 14 days', () => {
    const oldest = Math.ceil((NOW - 14 * DAY + MINUTE) / 1000) * 1000;
    const long = { ...CALL, startedAt: NOW - 15 * DAY, endedAt: NOW - 13 * DAY };
    expect(userEventPlan(long, NOW)).toMatchObject({ from: oldest, to: NOW - 13 * DAY + 5 * MINUTE });
    expect(userEventPlan({ ...long, endedAt: NOW - 14 * DAY - 5 * MINUTE }, NOW)).toBeNull();
  });

  it.each([
    ['a room', { roomId: '' }],
    ['users', { users: [] }],
    ['users with ids', { users: [''] }],
  ])('are not made without %s', (_, lack) => {
    expect(userEventPlan({ ...CALL, ...lack }, NOW)).toBeNull();
  });
});

describe('requests', () => {
  it('for rooms and events are signed as they are sent', () => {
    for (const [plan, action, body] of [
      [
        rooms,
        'DescribeRoomInfo',
        { SdkAppId: 1400353843, StartTime: 1795672500, EndTime: 1795673701, RoomId: '1400', PageNumber: 0, PageSize: 100 },
      ],
      [
        users,
        'DescribeUserEvent',
        {
          CommId: '1400188366_218695_1590065777',
          StartTime: 1795672800,
          EndTime: 1795676401,
          UserId: 'alice',
          RoomId: '1400',
          SdkAppId: 1400353843,
        },
      ],
    ] as const) {
      const request = userEvent.request(plan, CREDENTIALS, NOW, '00');
      expect(JSON.parse(request.body)).toEqual(body);
      expect(userEvent.operationOf(plan)).toBe(action);
      expect(userEvent.limits.perSecond[action]).toBe(20);
      expect(request).toMatchObject({ method: 'POST', url: 'https://trtc.tencentcloudapi.com/' });
      const signed = {
        method: 'POST',
        host: 'trtc.tencentcloudapi.com',
        contentType: 'application/json',
        body: request.body,
        service: 'trtc',
        timestamp: 1795676400,
      } as const;
      expect(request.headers).toEqual({
        host: 'trtc.tencentcloudapi.com',
        'content-type': 'application/json',
        authorization: tc3Authorization(signed, CREDENTIALS),
        'x-tc-action': action,
        'x-tc-version': '2019-07-22',
        'x-tc-timestamp': '1795676400',
        'x-tc-region': 'ap-singapore',
        'x-tc-language': 'en-US',
      });
    }
  });

  it('never ask for rooms of more than a day, but for all events of a long call', () => {
    const long = userEventPlan({ ...CALL, startedAt: NOW - 3 * DAY, endedAt: NOW - DAY }, NOW)!;
    const { StartTime, EndTime } = JSON.parse(userEvent.request(long, CREDENTIALS, NOW, '00').body);
    expect(EndTime - StartTime).toBe(86_400);
    const events = JSON.parse(userEvent.request({ ...users, from: NOW - 3 * DAY, to: NOW - DAY }, CREDENTIALS, NOW, '00').body);
    expect(events.EndTime - events.StartTime).toBe(2 * 86_400 + 1);
  });

  it('go to a loopback port under that name', () => {
    expect(userEvent.request(rooms, { ...CREDENTIALS, endpoint: 'http://127.0.0.1:9999' }, NOW, '00').headers.host).toBe('127.0.0.1:9999');
    expect(() => userEvent.request({ ...rooms, appId: 'x' }, CREDENTIALS, NOW, '00')).toThrow(
      expect.objectContaining({ code: 'POLL_APP_ID' }),
    );
  });
});

describe('rooms', () => {
  const second = (ms: number) => Math.floor(ms / 1000);
  const room = (over: object = {}) => ({
    CommId: '1400353843_1400_1',
    RoomString: '1400',
    CreateTime: second(STARTED),
    DestroyTime: second(STARTED + 10 * MINUTE),
    IsFinished: true,
    UserId: 'alice',
    ...over,
  });
  const commIdOf = (...list: unknown[]) => {
    const answer = read(rooms, response({ Total: list.length, RoomList: list }));
    return answer.kind === 'page' ? answer.next?.what === 'user' && answer.next.commId : answer.kind;
  };

  it('give the CommId, which is never made up', () => {
    expect(read(rooms, response({ Total: 1, RoomList: [room({ CommId: '1400353843_563398783_1587959355' })] }))).toEqual({
      kind: 'page',
      elements: [],
      next: {
        what: 'user',
        appId: '1400353843',
        callId: 'c 1',
        roomId: '1400',
        users: ['alice', 'bob'],
        from: rooms.from,
        to: rooms.to,
        commId: '1400353843_563398783_1587959355',
        everyone: ['alice', 'bob'],
        others: [],
        found: false,
      },
    });
  });

  it("reads the vendor's sample row", () => {
    const row =
      '{"CommId":"1400188366_563398783_1587959355","RoomString":"113a730673fee2d86e93e26cddb25b7d","CreateTime":1587959355,"DestroyTime":1588040628,"IsFinished":false,"UserId":"mixer_113a"}';
    const call = {
      ...CALL,
      roomId: '113a730673fee2d86e93e26cddb25b7d',
      startedAt: 1_587_960_000_000,
      endedAt: 1_587_960_060_000,
    };
    const plan = userEventPlan(call, 1_587_970_000_000)!;
    expect(read(plan, response(`{"Total":1,"RoomList":[${row}],"RequestId":"x"}`))).toMatchObject({
      next: { commId: '1400188366_563398783_1587959355' },
    });
  });

  it.each([
    ['none', []],
    ['one of another id', [room({ RoomString: '1401' })]],
    ['one without a CommId', [room({ CommId: '' })]],
    ['one without a time', [room({ CreateTime: 0 })]],
    ['one made after the call', [room({ CreateTime: second(STARTED + 16 * MINUTE) })]],
    ['one that had ended before', [room({ CreateTime: second(STARTED - 60 * MINUTE), DestroyTime: second(STARTED - 6 * MINUTE) })]],
    ['what is no room', [null, 1, [], 'x']],
  ])('%s: not yet', (_, list) => {
    expect(commIdOf(...list)).toBe('not_yet');
  });

  it('a room that is not finished has no end, whatever its DestroyTime', () => {
    const old = { CreateTime: second(STARTED - 60 * MINUTE), DestroyTime: second(STARTED - 30 * MINUTE) };
    expect(commIdOf(room({ ...old, CommId: 'open', IsFinished: false }))).toBe('open');
  });

  it('of several with one id, the one made closest to the start of the call is taken', () => {
    const at = (minutes: number) => room({ CommId: `at${minutes}`, CreateTime: second(STARTED + minutes * MINUTE), IsFinished: false });
    expect(commIdOf(at(-30), at(1), at(8))).toBe('at1');
    expect(commIdOf(at(-1), at(2), at(-120))).toBe('at-1');
  });

  it('the one that was there for the longest part of the call is taken, though another was made closer to its start', () => {
    const stay = (from: number, to: number, more = {}) =>
      room({
        CommId: `${from} to ${to}`,
        CreateTime: second(STARTED + from * MINUTE),
        DestroyTime: second(STARTED + to * MINUTE),
        ...more,
      });
    expect(commIdOf(stay(-30, 6), stay(7, 9))).toBe('-30 to 6');
    expect(commIdOf(stay(7, 9), stay(-30, 6))).toBe('-30 to 6');
    // What was there only when a wrong clock says that the call began.
    expect(commIdOf(stay(-1, 1), stay(2, 30))).toBe('2 to 30');
    // Nobody knows of an open one how long it will have been there.
    expect(commIdOf(stay(-30, 6, { IsFinished: false }), stay(2, 4, { IsFinished: false }))).toBe('2 to 4');
  });

  it('a call without a length was held in the room that was there at that moment', () => {
    const moment = userEventPlan({ ...CALL, endedAt: STARTED }, NOW)!;
    const stay = (from: number, to: number) =>
      room({ CommId: `${from}`, CreateTime: second(STARTED) + from, DestroyTime: second(STARTED) + to });
    const answer = read(moment, response({ RoomList: [stay(-200, 0), stay(5, 60), stay(-300, -210)] }));
    expect(answer).toMatchObject({ next: { commId: '-200' } });
  });

  it('a call that ended before its start arrived was held in the room that was there at its end', () => {
    const late = userEventPlan({ ...CALL, startedAt: STARTED + 2 * MINUTE, endedAt: STARTED }, NOW)!;
    expect(late).toMatchObject({ from: STARTED - 5 * MINUTE, to: STARTED + 5 * MINUTE });
    const stay = (from: number, to: number) =>
      room({ CommId: `${from}`, CreateTime: second(STARTED) + from, DestroyTime: second(STARTED) + to });
    const answer = read(late, response({ RoomList: [stay(115, 125), stay(8, 65), stay(-10, 0)] }));
    expect(answer).toMatchObject({ next: { commId: '-10' } });
  });

  it('of the call before or after are not its own, as long as the vendor may not have that yet', () => {
    const started = second(STARTED) * 1_000;
    const ended = started + MINUTE;
    const early = userEventPlan({ ...CALL, startedAt: started, endedAt: ended }, ended + MINUTE)!;
    const late = userEventPlan({ ...CALL, startedAt: started, endedAt: ended }, ended + 5 * MINUTE)!;
    const stay = (from: number, to: number | null) =>
      room({
        CommId: `${from}`,
        CreateTime: second(started + from),
        ...(to === null ? { IsFinished: false } : { DestroyTime: second(started + to) }),
      });
    const found = (plan: UserEventPlan, ...list: unknown[]) => {
      const answer = read(plan, response({ RoomList: list }));
      return answer.kind === 'page' && answer.next?.what === 'user' ? answer.next.commId : answer.kind;
    };
    for (const other of [stay(-200_000, -6_000), stay(66_000, null)]) {
      expect(found(early, other)).toBe('not_yet');
      expect(found(late, other)).toBe(other.CommId);
      expect(found(early, other, stay(2_000, 60_000))).toBe('2000');
    }
    expect(found(early, stay(-200_000, -5_000))).toBe('-200000');
    expect(found(early, stay(65_000, null))).toBe('65000');
    expect(found(early, stay(-200_000, null))).toBe('-200000');
    const endless = userEventPlan({ ...CALL, startedAt: started, endedAt: null }, started + 10 * MINUTE)!;
    expect(found(endless, stay(-200_000, -100_000))).toBe('-200000');
  });

  it('are asked about one after the other when nobody was in the likeliest one, once it is too late for that to change', () => {
    const at = (minutes: number) => room({ CommId: `at${minutes}`, CreateTime: second(STARTED + minutes * MINUTE) });
    const page = response({ RoomList: [at(8), at(-3), at(2), at(-4), at(-5)] });
    const first = read(rooms, page);
    expect(first).toMatchObject({ next: { commId: 'at-3', others: ['at-4', 'at-5', 'at2'], users: ['alice', 'bob'] } });
    expect(read({ ...rooms, late: false } as UserEventPlan, page)).toMatchObject({ next: { commId: 'at-3', others: [] } });
    if (first.kind !== 'page' || first.next === null) throw new Error('no room');
    const nobody = response({ Data: [] });
    const asked: unknown[] = [];
    let plan: UserEventPlan | null = first.next;
    while (plan !== null && plan.what === 'user') {
      asked.push([plan.commId, plan.users[0]]);
      const answer = read(plan, plan.commId === 'at-5' && plan.users[0] === 'bob' ? SAMPLE : nobody);
      if (answer.kind !== 'page') throw new Error(answer.kind);
      plan = answer.next;
    }
    expect(asked).toEqual(
      ['at-3', 'at-4', 'at-5'].flatMap((commId) => [
        [commId, 'alice'],
        [commId, 'bob'],
      ]),
    );
    expect(read({ ...last, others: [] }, nobody)).toMatchObject({ kind: 'not_yet', code: 'absent' });
  });

  it('are read page by page, from 0, until one is not full', () => {
    const full = Array.from({ length: 100 }, (_, i) => room({ CommId: `r${i}`, CreateTime: second(STARTED) - 1000 + i }));
    const first = read(rooms, response({ Total: 100, RoomList: full }));
    expect(first).toMatchObject({ kind: 'page', elements: [], next: { what: 'room', page: 1, rooms: [{ commId: 'r99' }, {}, {}, {}] } });
    if (first.kind !== 'page' || first.next === null) throw new Error('no next page');
    expect(JSON.parse(userEvent.request(first.next, CREDENTIALS, NOW, '00').body)).toMatchObject({ PageNumber: 1, PageSize: 100 });
    expect(read(first.next, response({ Total: 0, RoomList: [] }))).toMatchObject({ next: { what: 'user', commId: 'r99' } });
    expect(read(first.next, response({ RoomList: [room({ CommId: 'nearer' })] }))).toMatchObject({ next: { commId: 'nearer' } });
    expect(read({ ...first.next, page: 99 } as UserEventPlan, response({ RoomList: full }))).toMatchObject({
      kind: 'refused',
      code: 'too_many_pages',
    });
  });
});

describe('events', () => {
  it("are the exact text of the page's Data, and what it does not say", () => {
    const answer = read(users, SAMPLE);
    expect(answer).toEqual({
      kind: 'page',
      elements: [
        {
          key: 'tencent:1400353843:c 1',
          query: 'call_id=c%201&user_id=alice&comm_id=1400188366_218695_1590065777&room_id=1400',
          body: DATA,
        },
      ],
      next: { ...users, users: ['bob'], found: true },
    });
    if (answer.kind !== 'page') throw new Error('no page');
    expect(inputsOf(DATA, answer.elements[0]!.query)).toEqual([
      {
        ok: true,
        index: 0,
        key: { provider: 'tencent', app_id: '1400353843', call_id: 'c 1' },
        input: { kind: 'media', user_id: 'alice', text: DATA, events: EVENTS, received_at: RECEIVED },
        body: { CommId: '1400188366_218695_1590065777', RoomId: '1400' },
        room_id: '1400',
      },
    ]);
    expect(readMediaText(DATA)).toEqual(EVENTS);
  });

  it('of one user follow those of another, to the last', () => {
    expect(read({ ...last, found: true }, SAMPLE)).toMatchObject({ kind: 'page', elements: [{}], next: null });
    expect(read(last, SAMPLE)).toMatchObject({ kind: 'page', elements: [{}], next: null });
  });

  it.each(['[]', 'null', '[ ]'])('that are %s mean a user who never came, or, of everybody, that it is too early', (data) => {
    const empty = response(`{"Data":${data},"RequestId":"x"}`);
    expect(read(users, empty)).toEqual({ kind: 'page', elements: [], next: { ...users, users: ['bob'], found: false } });
    expect(read({ ...last, found: true }, empty)).toEqual({ kind: 'page', elements: [], next: null });
    expect(read(last, empty)).toMatchObject({ kind: 'not_yet', code: 'absent' });
    expect(read(last, response('{}'))).toMatchObject({ kind: 'not_yet' });
  });

  it.each(['', '{', '[]', '{}', '{"Response":[]}', '{"Response":null}', '{"Response":{"Data":{}}}', '{"Response":{"Data":"[]"}}'])(
    '%j is malformed',
    (body) => {
      expect(read(users, body)).toMatchObject({ kind: 'retry', code: 'malformed' });
    },
  );

  it('come from every peer; what has no id or no time is none', () => {
    const data = [
      { Content: [{ EventId: 5003, Time: 1589975202, ParamOne: 1 }, { EventId: 5003, Time: '1589975202782' }, null, 7], PeerId: '' },
      { Content: [{ EventId: '5003', Time: T }, { Time: T }, { EventId: 5003 }, { EventId: 1.5, Time: T }, { EventId: 5008, Time: 5 }] },
      { Content: {} },
      { PeerId: 'x' },
      'x',
    ];
    expect(inputsOf(JSON.stringify(data))[0]).toMatchObject({
      input: {
        events: [
          { event_id: 5003, at: 1589975202000, param_one: 1 },
          { event_id: 5003, at: T, param_one: -1 },
        ],
      },
    });
  });
});

describe('error codes', () => {
  it.each([
    // S0 §6
    ['InternalError', 'retry'],
    ['InternalError.EsQueryError', 'retry'],
    ['InternalError.HttpParaseFalied', 'retry'],
    ['InternalError.InterfaceErr', 'retry'],
    ['InternalError.MethodErr', 'retry'],
    ['InvalidParameter', 'refused'],
    ['InvalidParameter.BodyParamsError', 'refused'],
    ['InvalidParameter.EndTs', 'refused'],
    ['InvalidParameter.SdkAppid', 'stop'],
    ['InvalidParameter.StartTs', 'refused'],
    ['InvalidParameter.StartTsOversize', 'refused'],
    ['InvalidParameter.UrlParamsError', 'refused'],
    ['InvalidParameter.UserId', 'refused'],
    ['MissingParameter', 'refused'],
    ['MissingParameter.AppId', 'refused'],
    ['MissingParameter.CommId', 'refused'],
    ['MissingParameter.CommIdOrSdkAppId', 'refused'],
    ['MissingParameter.EndTs', 'refused'],
    ['MissingParameter.RoomId', 'refused'],
    ['MissingParameter.StartTs', 'refused'],
    ['MissingParameter.UserId', 'refused'],
    // DescribeRoomInfo
    ['InternalError.DBError', 'retry'],
    ['InvalidParameter.PageNumber', 'refused'],
    ['InvalidParameter.PageSize', 'refused'],
    ['InvalidParameter.PageSizeOversize', 'refused'],
    ['InvalidParameter.QueryScaleOversize', 'refused'],
    ['InvalidParameter.SdkAppId', 'stop'],
    ['InvalidParameter.StartTimeOversize', 'refused'],
    ['MissingParameter.RoomNum', 'refused'],
    ['MissingParameter.SdkAppId', 'refused'],
    // Common to all of the vendor's APIs
    ['AuthFailure.InvalidSecretId', 'stop'],
    ['AuthFailure.MFAFailure', 'stop'],
    ['AuthFailure.SecretIdNotFound', 'stop'],
    ['AuthFailure.SignatureExpire', 'retry'],
    ['AuthFailure.SignatureFailure', 'stop'],
    ['AuthFailure.TokenFailure', 'stop'],
    ['AuthFailure.UnauthorizedOperation', 'stop'],
    ['DryRunOperation', 'retry'],
    ['FailedOperation', 'retry'],
    ['InvalidAction', 'stop'],
    ['InvalidParameterValue', 'refused'],
    ['LimitExceeded', 'slow_down'],
    ['NoSuchVersion', 'stop'],
    ['RequestLimitExceeded', 'slow_down'],
    ['RequestLimitExceeded.UinLimitExceeded', 'slow_down'],
    ['ResourceInUse', 'retry'],
    ['ResourceInsufficient', 'retry'],
    ['ResourceNotFound', 'refused'],
    ['ResourceUnavailable', 'retry'],
    ['UnauthorizedOperation', 'stop'],
    ['UnknownParameter', 'refused'],
    ['UnsupportedOperation', 'stop'],
    ['UnsupportedProtocol', 'stop'],
    ['UnsupportedRegion', 'stop'],
    ['SomethingNew', 'retry'],
  ])('%s is %s', (code, kind) => {
    const body = response({ Error: { Code: code, Message: 'words' } });
    for (const plan of [rooms, users]) expect(read(plan, body)).toMatchObject({ kind, code });
  });

  it('are told by any Error at all, even beside data', () => {
    expect(read(users, '{"Response":{"Error":{},"Data":[]}}')).toMatchObject({ kind: 'retry', code: 'unknown' });
    expect(read(users, '{"Response":{"Error":null,"Data":[]}}')).toMatchObject({ kind: 'page' });
    expect(read(users, SAMPLE, 503)).toMatchObject({ kind: 'retry', code: 'http_503' });
  });

  it('never throw, and show no secret', () => {
    const names = [
      'Response',
      'Response',
      'Error',
      'Code',
      'Message',
      'Data',
      'Content',
      'RoomList',
      'CommId',
      'RoomString',
      'CreateTime',
      'IsFinished',
    ];
    const words = [`no ${CREDENTIALS.secretKey} here`, 'InternalError', 1795672800, '1400', true];
    fc.assert(
      fc.property(hostileResponses(names, words), fc.constantFrom(rooms, users, last), ({ status, headers, body }, plan) => {
        const answer = userEvent.readResponse(status, headers, body, plan);
        if (answer.kind !== 'page') expect(answer.message).not.toContain(CREDENTIALS.secretKey);
        else for (const element of answer.elements) expect(body.toString()).toContain(element.body);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('stored polls', () => {
  it('say their call in the query', () => {
    expect(inputsOf('[]', '')).toMatchObject([{ ok: false, index: 0, reason: 'no_call_id' }]);
    expect(inputsOf('[]', 'call_id=')).toMatchObject([{ ok: false, reason: 'no_call_id' }]);
    expect(inputsOf('[]', 'call_id=c')).toMatchObject([{ ok: true, input: { user_id: '', events: [] } }]);
  });

  it.each([
    ['nothing', '', 'not_json'],
    ['half a list', '[{}', 'not_json'],
    ['an object', '{}', 'not_an_object'],
    ['two fields in one', '1,"Data":[]', 'not_an_object'],
    ['one field over another', '1,"Data":[1', 'not_json'],
    ['a list with spaces around', ' [] ', 'not_an_object'],
    ['not UTF-8', Buffer.from([0x5b, 0xff, 0x5d]), 'not_utf8'],
    ['depth', '['.repeat(1000) + ']'.repeat(1000), 'too_deep'],
  ])('%s is unreadable', (_, body, reason) => {
    expect(inputsOf(body)).toMatchObject([{ ok: false, reason }]);
    expect(readMediaText(body.toString())).toEqual([]);
  });

  it('come back from call_events as they were', () => {
    const [element] = inputsOf(DATA);
    if (element?.ok !== true) throw new Error('unread');
    const detail = userEvent.describe(element);
    expect(JSON.parse(detail)).toEqual({
      CommId: '1_2_3',
      RoomId: '1400',
      Events: [
        { at: T, event_id: 32769, event: 'web_audio_enabled' },
        { at: T, event_id: 32791, event: 'web_signaling_connected' },
        { at: T, event_id: 32768, event: 'web_video_enabled' },
        { at: T, event_id: 32788, event: 'web_room_entered' },
        { at: T, event_id: 32793, event: 'web_media_connected' },
        { at: 1589975212877, event_id: 32793, event: 'web_media_connected' },
        { at: 1589975272790, event_id: 32793, event: 'web_media_connected' },
      ],
      EventsOmitted: 0,
      Data: JSON.parse(DATA),
    });
    const { query, body } = userEvent.rebuild({ call_id: 'c 1', user_id: 'alice', event: 'media', detail } as StoredEvent);
    expect(body.toString()).toBe(DATA);
    expect(inputsOf(body, query)).toEqual([element]);
  });

  it('name the earliest and the latest events of a poll of thousands, and still come back whole', () => {
    const content = Array.from({ length: 3_000 }, (_, i) => ({ EventId: 7000, Time: T + 3_000 - i, ParamOne: i % 2 }));
    const data = JSON.stringify([{ PeerId: '', Content: content }]);
    const [element] = inputsOf(data);
    if (element?.ok !== true) throw new Error('unread');
    const detail = userEvent.describe(element);
    const { Events, EventsOmitted } = JSON.parse(detail) as { Events: { at: number }[]; EventsOmitted: number };
    expect([Events.length, EventsOmitted]).toEqual([500, 2_500]);
    expect(Events[0]).toEqual({ at: T + 1, event_id: 7000, event: 'room_entry', param: 'again' });
    expect(Events.map(({ at }) => at)).toEqual(Array.from({ length: 500 }, (_, i) => T + 1 + (i < 250 ? i : 2_500 + i)));
    expect(detail.length - data.length).toBeLessThan(50_000);
    const { query, body } = userEvent.rebuild({ call_id: 'c 1', user_id: 'alice', event: 'media', detail } as StoredEvent);
    expect(inputsOf(body, query)).toEqual([element]);
  });

  it('of any bytes never throw', () => {
    const anything = hostileResponses(['Content', 'EventId', 'Time', 'ParamOne'], [5003, T, 1]);
    fc.assert(
      fc.property(anything, fc.string({ unit: 'binary' }), ({ body }, query) => {
        const list = Buffer.concat([Buffer.from('['), body, Buffer.from(']')]);
        expect(inputsOf(list, query)).toHaveLength(1);
        expect(inputsOf(body, `call_id=c&${query}`)).toHaveLength(1);
        readMediaText(list.toString());
      }),
    );
  });
});
