import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CallInput } from '../../src/domain/types.js';
import type { Element, ReadElement } from '../../src/sources/element.js';
import { readRecordText } from '../../src/sources/readers.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';
import { callEvent } from '../../src/workers/events/call-event.js';
import { V4_AT as AT, V4_CALL as CALL, V4_CHANGED as CHANGED, V4_END as END, V4_START as START } from '../support/vendor-example.js';

const RECEIVED = 1_740_464_130_000;
const QUERY = 'SdkAppid=88&CallbackCommand=x&contenttype=json&ClientIP=127.0.0.1&OptPlatform=iOS';

type Body = string | Buffer | object;
const bytesOf = (body: Body): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
const read = (body: Body, query = QUERY): Element[] =>
  tuicallkit.toInputs({ source: 'tuicallkit', app_id: '88', received_at: RECEIVED, query, body: bytesOf(body) });
const inputs = (body: Body, query = QUERY): CallInput[] =>
  read(body, query).map((e) => {
    if (!e.ok) throw new Error(`${e.reason}: ${e.error}`);
    return e.input;
  });
/** Event and user of each input, or why it is none. */
const told = (body: Body): string[] =>
  read(body).map((e) =>
    e.ok ? (e.input.kind === 'event' ? `${e.input.event} ${e.input.user_id}` : e.input.kind) : `${e.reason} ${e.index}`,
  );
/** What a member's change says, by the members after it: a user in upper case is Calling, in lower case Waiting. */
const change = (action: unknown, user: string, members: string): string | undefined =>
  told({
    ...CHANGED,
    UserList: [...members].map((c) => ({ User_Account: c.toLowerCase(), Status: c === c.toLowerCase() ? 'Waiting' : 'Calling' })),
    ChangedUserList: [{ User_Account: user, ActionType: action }],
  })[0]?.split(' ')[0];

describe('TUICallKit v4 callbacks', () => {
  it("reads the vendor's StartCall, keeping every digit of user ids that are numbers", () => {
    const event = {
      kind: 'event',
      event_at: AT,
      start_call_ts: null,
      accept_ts: null,
      end_ts: null,
      total_num: 0,
      room_id: '',
      media_type: 'audio',
      call_type: '',
      call_result: '',
      received_at: RECEIVED,
    };
    expect(read(START).map((e) => e.ok && e.key)).toEqual(Array(2).fill({ provider: 'tencent', app_id: '88', call_id: CALL }));
    // The platform is the one of the client that called.
    expect(inputs(START)).toEqual([
      { ...event, user_id: '144115212830834855', event: 'start_call', role: 'caller', platform: 'iOS' },
      { ...event, user_id: '144115212948889925', event: 'receive_call', role: 'callee', platform: '' },
    ]);
  });

  it("reads the vendor's MemberChanged", () => {
    expect(inputs(CHANGED)).toMatchObject([
      { kind: 'event', user_id: 'user2', event: 'accept_call', event_at: AT, role: 'callee', platform: 'iOS' },
    ]);
  });

  it("reads the vendor's EndCall as a status callback", () => {
    expect(inputs(END)).toEqual([
      {
        kind: 'record',
        origin: 'status',
        text: JSON.stringify(END),
        received_at: RECEIVED,
        fields: {
          start_at: 1741231146000,
          accept_at: null,
          end_at: 1741231296000,
          result: 'not_answer',
          caller: '10001',
          users: ['10001', 'user2'],
          total_users: 0,
          room_id: 'roomid-1434',
          media_type: 'audio',
          call_type: 'single',
          event_at: 1703589922780,
        },
      },
    ]);
  });

  it('needs no CallbackCommand, and takes the field table of StartCall at its word: nothing in a CallInfo, and a MediaType', () => {
    const { CallbackCommand: _, ...changed } = CHANGED;
    expect(inputs(changed)).toEqual(inputs(CHANGED));
    expect(inputs(START.replace('CallMediaType', 'MediaType'))).toEqual(inputs(START));
    const { CallInfo, ...start } = JSON.parse(START);
    expect(told({ ...start, ...CallInfo })).toEqual(told(JSON.parse(START)));
    expect(inputs({ ...start, CallInfo: { CallId: CALL, CallMediaType: 'VIDEO', CallType: 'MultiCall', RoomId: 20_222 } })).toMatchObject(
      Array(2).fill({ media_type: 'video', call_type: 'group', room_id: '20222' }),
    );
  });

  it.each([
    ['NormalEnd', 'normal_end'],
    ['CallBusy', 'call_busy'],
    ['NotAnswer', 'not_answer'],
    ['Cancel', 'cancel'],
    ['Reject', 'reject'],
    ['Interrupt', 'interrupt'],
    ['Offline', 'offline'],
    ['normal_end', 'normal_end'],
    ['Dropped', 'dropped'],
    [7, '7'],
  ])('reads the CallResult %j as %s', (CallResult, result) => {
    expect(inputs({ ...END, CallRecord: { ...END.CallRecord, CallResult } })).toMatchObject([{ fields: { result } }]);
  });

  it('reads the types, times and users of a record as they come', () => {
    const record = (fields: object) => (inputs({ ...END, CallRecord: { ...END.CallRecord, ...fields } })[0] as { fields: unknown }).fields;
    expect(record({ CallType: 'MultiCall', MediaType: 'Video', AcceptTime: 1741231150 })).toMatchObject({
      call_type: 'group',
      media_type: 'video',
      accept_at: 1741231150000,
    });
    expect(record({ CallType: 'multi_call' })).toMatchObject({ call_type: 'group' });
    expect(record({ CallType: 'party', MediaType: 1, StartTime: 'soon', EndTime: null })).toMatchObject({
      call_type: '',
      media_type: '',
      start_at: null,
      end_at: null,
    });
    expect(record({ Caller_Account: '', CalleeList_Account: ['a', '', null, 'a', 7, {}] })).toMatchObject({
      caller: '',
      users: ['a', '7'],
    });
    expect(record({ CalleeList_Account: 'a' })).toMatchObject({ users: ['10001'] });
    const big = JSON.stringify(END).replaceAll('"10001"', '144115212830834855');
    expect(inputs(big)).toMatchObject([{ fields: { caller: '144115212830834855', users: ['144115212830834855', 'user2'] } }]);
    expect(readRecordText('status', big)).toEqual((inputs(big)[0] as { fields: unknown }).fields);
  });

  it.each([
    ['accept_call', ['Accept', 'Answer', 'ACCEPT', 'answer ']],
    ['reject_call', ['Reject', 'reject']],
    ['not_answer_call', ['NotAnswer', 'Not_Answer', 'not answer']],
    ['call_end', ['Hangup', 'Hang Up', 'HangUp', 'hang_up']],
    ['join_in_group_call', ['Join']],
    ['call_interrupted', ['Offline', 'OFFLINE']],
    ['invite_user', ['Invite', 'Invited']],
    ['call_canceled', ['Cancel_Invite', 'Canncel_Invite', 'CancelInvite', 'cancel invite']],
    ['unknown_event', ['Teleport', 7, {}]],
    ['no_event', ['', null, undefined]],
  ])('means %s by any of %j', (event, actions) => {
    for (const action of actions) expect(change(action, 'b', 'AB')).toBe(event);
  });

  it.each([
    ['call_end', 'b', 'AB', 'leaves whom it still lists as on the call'],
    ['call_end', 'b', 'A', 'leaves one who is on the call'],
    ['call_end', 'a', 'Bc', 'leaves one who is on the call, and one who has not answered'],
    ['call_end', 'a', '', 'leaves nobody: nothing speaks against a call that was answered'],
    ['cancel_call', 'a', 'Ab', 'was alone on the call, still listed'],
    ['cancel_call', 'a', 'bc', 'was alone on the call, no longer listed'],
    ['reject_call', 'b', 'Ab', 'had not answered'],
    ['reject_call', 'b', 'abc', 'had not answered, whoever is on the call'],
  ])('means %s by a hang-up of %s with the members %j: it %s', (event, user, members) => {
    expect(change('Hangup', user, members)).toBe(event);
  });

  it('gives the platform of the query to the user who acts', () => {
    const of = (ActionType: string) =>
      (inputs({ ...CHANGED, ChangedUserList: [{ User_Account: 'u', ActionType }] })[0] as { platform: string }).platform;
    expect(['Accept', 'Reject', 'NotAnswer', 'Hangup', 'Join', 'Offline'].map(of)).toEqual(Array(6).fill('iOS'));
    expect(['Invite', 'Cancel_Invite'].map(of)).toEqual(['', '']);
  });

  it('puts the start of a call first, and knows one caller only', () => {
    const start = (...users: [string, string?][]) =>
      told({
        ...JSON.parse(START),
        UserList: users.map(([User_Account, Status]) => ({ User_Account, Status })),
      });
    expect(start(['b', 'Waiting'], ['a', 'calling'], ['c'])).toEqual(['start_call a', 'receive_call b', 'receive_call c']);
    expect(start(['a', 'Calling'], ['b', 'Calling'])).toEqual(['start_call a', 'receive_call b']);
    expect(start(['a', 'Waiting'])).toEqual(['receive_call a']);
    const indexes = read({
      ...JSON.parse(START),
      UserList: [
        { User_Account: 'b', Status: 'Waiting' },
        { User_Account: 'a', Status: 'Calling' },
      ],
    });
    expect(indexes.map((e) => e.index)).toEqual([1, 0]);
  });

  it('judges a delivery element by element', () => {
    const start = JSON.parse(START);
    expect(told({ ...start, UserList: [7, { Status: 'Waiting' }, { User_Account: 'a', Status: 'Calling' }, null] })).toEqual([
      'start_call a',
      'not_an_object 0',
      'receive_call ',
      'not_an_object 3',
    ]);
    const list = [{ User_Account: 'a', ActionType: 'Join' }, { User_Account: 'b', ActionType: 'Dance' }, { User_Account: 'c' }, []];
    expect(told({ ...CHANGED, ChangedUserList: list })).toEqual([
      'join_in_group_call a',
      'unknown_event 1',
      'no_event 2',
      'not_an_object 3',
    ]);
  });

  const many = Array.from({ length: 101 }, (_, i) => ({ User_Account: `u${i}`, ActionType: 'Join', Status: 'Waiting' }));
  it.each<[string, Body, string]>([
    ['a StartCall without CallId', { ...JSON.parse(START), CallInfo: { CallMediaType: 'Audio' } }, 'no_call_id 0'],
    ['a CallInfo that is no object', { ...JSON.parse(START), CallInfo: 'x' }, 'no_call_id 0'],
    ['a StartCall without users', { ...JSON.parse(START), UserList: [] }, 'no_event -1'],
    ['a StartCall whose users are no list', { ...JSON.parse(START), UserList: { User_Account: 'a' } }, 'no_event -1'],
    ['a StartCall of too many users', { ...JSON.parse(START), UserList: many }, 'too_many_users -1'],
    ['a MemberChanged without CallId', { ...CHANGED, CallId: null }, 'no_call_id 0'],
    ['a MemberChanged without changes', { ...CHANGED, ChangedUserList: [] }, 'no_event -1'],
    ['a MemberChanged without its list', { ...CHANGED, ChangedUserList: undefined }, 'no_event -1'],
    ['a MemberChanged of too many users', { ...CHANGED, ChangedUserList: many }, 'too_many_users -1'],
    ['a MemberChanged with too many members', { ...CHANGED, UserList: many }, 'too_many_users -1'],
    ['an EndCall without CallId', { ...END, CallRecord: { CallResult: 'Cancel' } }, 'no_call_id 0'],
    ['an EndCall without result', { ...END, CallRecord: { ...END.CallRecord, CallResult: '' } }, 'no_event 0'],
    ['an EndCall without record', { CallbackCommand: END.CallbackCommand, CallId: CALL }, 'no_event 0'],
    ['an EndCall of too many users', { ...END, CallRecord: { ...END.CallRecord, CalleeList_Account: many } }, 'too_many_users -1'],
    ['a command that nobody knows', { CallbackCommand: 'Call.CallbackBeforeStartCall', CallId: CALL }, 'unknown_event -1'],
    ['a page example as it stands, without the comma', JSON.stringify(END).replace(',"EventTime"', '"EventTime"'), 'not_json -1'],
    ['fields only lent by __proto__', `{"CallInfo":{"__proto__":{"CallId":"c"}},"n":12345678901234567890}`, 'no_call_id 0'],
  ])('makes one dead letter of %s', (_name, body, reason) => {
    expect(told(body)).toEqual([reason]);
  });

  it('leaves a body with an Event or a CallResult of its own to v1', () => {
    const v1 = { CallId: 'c', UserId: 'u', Event: 'start_call', EventTime: 1704695566 };
    expect(told({ ...CHANGED, ...v1 })).toEqual(['start_call u']);
    expect(inputs({ ...END, CallId: 'c', CallResult: 'Cancel' })).toMatchObject([{ fields: { result: 'cancel', users: [] } }]);
  });

  it.each<[string, Body]>([
    ['StartCall', START],
    ['MemberChanged', CHANGED],
    ['EndCall', END],
  ])('keys %s by its call and answers it as its page wants', (_name, body) => {
    const w = tuicallkit.webhook!;
    expect(w.appIdOf(QUERY, Buffer.alloc(0))).toBe('88');
    expect(w.keyOf('88', QUERY, bytesOf(body))).toBe(`tencent:88:${CALL}`);
    const v4 = { ActionStatus: 'OK', ErrorInfo: '', ErrorCode: 0 };
    expect(JSON.parse(w.successBody('sdkappid=88', bytesOf(body)))).toEqual(v4);
    // Cut short, a body tells its generation no more: only v4 has a CallbackCommand in the query.
    const cut = bytesOf(body).subarray(0, -1);
    expect(JSON.parse(w.successBody(QUERY, cut))).toEqual(v4);
    expect(JSON.parse(w.successBody('sdkappid=88&command=call_end', cut))).toEqual({ ErrorCode: 0, ErrorMessage: 'Success' });
    expect(w.keyOf('88', QUERY, cut)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('answers v1 as before, even one that speaks of v4', () => {
    const v1 = { CallId: 'c', Event: 'start_call', Note: 'CallInfo', CallInfo: 1 };
    expect(JSON.parse(tuicallkit.webhook!.successBody(QUERY, bytesOf(v1)))).toEqual({ ErrorCode: 0, ErrorMessage: 'Success' });
  });

  it('describes an event by what its delivery says beside the columns, a hang-up also by the members that decided it', () => {
    const detail = (body: Body, i = 0) => JSON.parse(tuicallkit.describe(read(body)[i] as ReadElement));
    expect(detail(START, 1)).toEqual({
      CallbackCommand: 'Call.CallbackAfterStartCall',
      MediaType: 'Audio',
      ChatGroupId: '',
      RoomIdType: 1,
      Status: 'Waiting',
    });
    expect(detail({ ...CHANGED, Extra: { a: 1 } })).toEqual({
      CallbackCommand: 'Call.CallbackAfterMemberChanged',
      UserList: CHANGED.UserList,
      ActionType: 'Answer',
      Extra: { a: 1 },
    });
    expect(detail(END)).toEqual(END);
    // What is not there is not spoken of, and stands in for nothing.
    const { CallInfo, UserList } = JSON.parse(START);
    const bare = read({ CallInfo: { ...CallInfo, UserId: 'x', EventTime: AT }, UserList: [...UserList, {}] })[2] as ReadElement;
    expect(bare.input).toMatchObject({ user_id: '', event_at: null });
    expect(Object.values(bare.body)).not.toContain(undefined);
  });
});

/** What `call_events` has of an element, sent again: it must read as the same input. */
function readAgain(element: ReadElement): Element[] {
  const raw = {
    id: '',
    source: 'tuicallkit',
    app_id: '88',
    received_at: RECEIVED,
    auth: 'app',
    remote_addr: '',
    query: '',
    body: Buffer.alloc(0),
  };
  const record = { topic: 't', partition: 0, offset: 0, timestamp: RECEIVED, key: null, value: null };
  const { query, body } = tuicallkit.rebuild(callEvent(element, tuicallkit, record, raw));
  return read(body, query);
}

const id = fc.oneof(
  fc.constantFrom('a', 'b', 'ü &=+%', '😀', '', 7, null, {}, 9007199254740992),
  fc.string({ unit: 'binary', maxLength: 4 }),
);
const status = fc.constantFrom('Calling', 'Waiting', 'calling', 'WAITING', 7, undefined);
const action = fc.constantFrom(
  'Accept',
  'Hang Up',
  'HANGUP',
  'Offline',
  'Invited',
  'Canncel_Invite',
  'Join',
  'NotAnswer',
  'Reject',
  'Sing',
  3,
);
const time = fc.constantFrom<unknown>(AT, `${AT}`, 1_740_464_128, 'soon', null, undefined, -1, 9e15, AT + 0.5);
const user = fc.oneof(
  { weight: 9, arbitrary: fc.record({ User_Account: id, Status: status, ActionType: action, Role: fc.constantFrom(undefined, 'x', 7) }) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(null, 'a', 7, []) },
);
const info = fc.record({
  CallId: fc.constantFrom<unknown>('c', 7, '', undefined, 9007199254740993n),
  CallMediaType: fc.constantFrom<unknown>('Audio', 'VIDEO', 'hologram', 1, undefined),
  RoomId: id,
  CallType: fc.constantFrom<unknown>('SingleCall', 'multi call', 'party', 1, undefined),
  ['__proto__']: fc.constantFrom<unknown>(undefined, { CallId: 'p' }),
});
const record = fc.record({
  CallId: fc.constantFrom<unknown>('c', 7, '', undefined),
  Caller_Account: id,
  CalleeList_Account: fc.oneof(fc.array(id, { maxLength: 4 }), fc.constantFrom<unknown>('a', null)),
  CallResult: fc.constantFrom<unknown>('NormalEnd', 'not_answer', 'ODD', 3, '', undefined),
  StartTime: time,
  AcceptTime: time,
  EndTime: time,
});
const body = fc.oneof(
  fc.record({ CallInfo: info, UserList: fc.array(user, { maxLength: 4 }), EventTime: time, TotalNum: fc.constantFrom(undefined, 3) }),
  fc.record({
    CallId: fc.constantFrom<unknown>('c', 7, undefined),
    UserList: fc.oneof(fc.array(user, { maxLength: 4 }), fc.constant<unknown>({})),
    ChangedUserList: fc.oneof(fc.array(user, { maxLength: 4 }), fc.constant<unknown>(1)),
    EventTime: time,
  }),
  fc.record({ CallRecord: record, EventTime: time }),
  fc.record({ CallbackCommand: fc.constantFrom<unknown>('Call.CallbackAfterEndCall', 'x', 7), CallId: fc.constant('c') }),
);
const text = (value: unknown): string =>
  JSON.stringify(value, (_k, v) => (typeof v === 'bigint' ? `@@${v}` : v)).replace(/"@@(\d+)"/g, '$1');

describe('any v4 body', () => {
  it('is accounted for, keyed by the call of its elements, and rebuilt from their rows as what it was', () => {
    fc.assert(
      fc.property(body, fc.constantFrom(QUERY, 'sdkappid=88', 'OptPlatform=%C3%BC+x'), (value, query) => {
        const bytes = Buffer.from(text(value));
        const elements = read(bytes, query);
        expect(elements.length).toBeGreaterThan(0);
        expect(new Set(elements.map((e) => e.index)).size).toBe(elements.length);
        for (const element of elements) {
          if (!element.ok) continue;
          expect(tuicallkit.webhook!.keyOf('88', query, bytes)).toBe(`tencent:88:${element.key.call_id}`);
          expect(readAgain(element).map((e) => e.ok && [e.key, e.input])).toEqual([[element.key, element.input]]);
          if (element.input.kind === 'record') expect(readRecordText('status', element.input.text)).toEqual(element.input.fields);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('throws nowhere, whatever the bytes', () => {
    const cut = fc.tuple(body.map(text), fc.nat(), fc.uint8Array({ maxLength: 3 })).map(([whole, at, junk]) => {
      const bytes = Buffer.from(whole);
      const i = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, i), junk, bytes.subarray(i + junk.length)]);
    });
    fc.assert(
      fc.property(cut, (bytes) => {
        expect(read(bytes).length).toBeGreaterThan(0);
        tuicallkit.webhook!.keyOf('88', QUERY, bytes);
        tuicallkit.webhook!.successBody(QUERY, bytes);
      }),
      { numRuns: 2_000 },
    );
  });
});
