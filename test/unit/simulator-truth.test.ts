import { describe, expect, it } from 'vitest';
import { type Input, type TruthCall, truthOf } from '../../src/simulator/truth/call.js';
import { time } from '../../src/simulator/truth/fields.js';
import { NumberText } from '../../src/simulator/truth/json.js';
import { read } from '../../src/simulator/truth/read.js';
import { readAll } from '../../src/simulator/truth/read-v4.js';
import { concurrency, type Measured, nearestRank, rollup } from '../../src/simulator/truth/rollups.js';

/** 2026-03-01 12:00:00 UTC; all times below are seconds after it. */
const T = Date.UTC(2026, 2, 1, 12) / 1000;
const at = (seconds: number) => (T + seconds) * 1000;
type Fields = Record<string, unknown>;

function input(fields: Fields, received = at(600), platform = 'iOS'): Input {
  const body = Buffer.from(JSON.stringify({ CallId: 'c', ...fields }));
  const reading = read(`sdkappid=1&optplatform=${platform}`, body);
  if (reading.kind === 'dead') throw new Error(reading.why);
  return { reading, body, received_at: received };
}
const event = (user: string, name: string, seconds: number | null, more: Fields = {}, received?: number): Input =>
  input({ UserId: user, Event: name, ...(seconds === null ? {} : { EventTime: T + seconds }), ...more }, received);
const caller = (name: string, seconds: number | null, more: Fields = {}) =>
  event('ann', name, seconds, { Role: 'caller', CallType: 'single', ...more });
const callee = (name: string, seconds: number | null, more: Fields = {}) =>
  event('bob', name, seconds, { Role: 'callee', CallType: 'single', ...more });
const status = (result: string, more: Fields = {}, received?: number) =>
  input({ UserId: 'ann', Role: 'caller', CallType: 'single', CallResult: result, EventTime: T + 40, ...more }, received);
const group = { CallType: 'group' };
const times = { ringTimeout: 120_000, maxCall: 3_600_000 };
const truth = (inputs: Input[], now = at(700)): TruthCall => truthOf(inputs, times, now);
const leg = (call: TruthCall, user: string) => call.legs.find((l) => l.user_id === user)!;

const answered = [caller('start_call', 0), callee('receive_call', 1), callee('accept_call', 10), caller('call_accepted', 11)];
const ended = [...answered, caller('call_end', 40), callee('call_end', 41)];

describe('reading a body', () => {
  const dead = (text: string) => {
    const r = read('', Buffer.from(text));
    return r.kind === 'dead' ? r.why : r.kind;
  };
  it('gives up on what is no JSON object, has no usable CallId, an unknown Event, or neither Event nor CallResult', () => {
    expect(['hello', '[1]', '"x"', '7', 'null'].map(dead)).toEqual(Array(5).fill('not_json'));
    expect(read('', Buffer.from([0xff, 0x7b, 0x7d]))).toMatchObject({ why: 'not_json' });
    expect(['{"Event":"start_call"}', '{"CallId":"","Event":"start_call"}', '{"CallId":null,"Event":"start_call"}'].map(dead)).toEqual(
      Array(3).fill('no_call_id'),
    );
    expect(dead('{"CallId":"c","Event":"teleport","CallResult":"reject"}')).toBe('unknown_event');
    expect(dead('{"CallId":"c","Event":""}')).toBe('nothing');
  });
  it('takes a body without Event but with CallResult as a status callback, and only that', () => {
    expect(dead('{"CallId":"c","Event":"","CallResult":"reject"}')).toBe('status');
    expect(dead('{"CallId":"c","Event":"call_end","CallResult":"normal_end"}')).toBe('event');
  });
  it('keeps every digit of a number that is an id', () => {
    expect(read('', Buffer.from('{"CallId":9007199254740993,"UserId":144115212830834855,"Event":"start_call"}'))).toMatchObject({
      call_id: '9007199254740993',
      user_id: '144115212830834855',
    });
  });
  it('lower-cases enumerations and empties those outside the list, but never ids', () => {
    expect(input({ UserId: 'ANN', Event: 'START_CALL', Role: 'Caller', MediaType: 'VIDEO', CallType: 'party' }).reading).toMatchObject({
      user_id: 'ANN',
      event: 'start_call',
      role: 'caller',
      media_type: 'video',
      call_type: '',
    });
  });
  it('reads times as seconds or milliseconds, cuts fractions, and calls the rest unknown', () => {
    const n = (digits: string) => time(new NumberText(digits));
    expect([n('1704695566'), n('1704695566123'), time('1704695566'), n('1704695566.5'), n('1704695566123.9')]).toEqual([
      1704695566000, 1704695566123, 1704695566000, 1704695566500, 1704695566123,
    ]);
    expect([
      n('0'),
      n('-1'),
      n('4102444800.001'),
      n('9007199254740993'),
      time('yesterday'),
      time(''),
      time(null),
      time(true),
      n('946684799'),
    ]).toEqual(Array(9).fill(null));
    expect([n('946684800'), n('4102444800'), n('4102444800.0009')]).toEqual([946684800000, 4102444800000, 4102444800000]);
    expect([n('1704695566.1239998'), n('17046955661239998e-7'), n('1704695566.12399999999999999999')]).toEqual(
      Array(3).fill(1704695566123),
    );
  });
  it.each([
    ['9007199254740993.0', '9007199254740993'],
    ['9007199254740993e0', '9007199254740993'],
    ['0.0000001', '0.0000001'],
    ['-1.50', '-1.5'],
    ['0.1000000000000000055', '0.1000000000000000055'],
    ['1e3', '1000'],
    ['1.0', '1'],
    ['-0', '0'],
    ['1e399', `1${'0'.repeat(399)}`],
    ['1e400', ''],
    ['1e-400', ''],
  ])('writes the number %s out as an id: %s', (number, user_id) => {
    expect(read('', Buffer.from(`{"CallId":"c","UserId":${number},"Event":"start_call"}`))).toMatchObject({ user_id });
  });
  it('replaces half a surrogate pair, in ids and words', () => {
    expect(read('', Buffer.from('{"CallId":"\\ud800c","UserId":"\\ude00","CallResult":"x\\ud83d"}'))).toMatchObject({
      call_id: '\ufffdc',
      user_id: '\ufffd',
      call_result: 'x\ufffd',
    });
  });
  it('takes whatever stands where a word should be for an unknown event, or an odd result', () => {
    expect(['false', '{}', '[]', '0', '" "'].map((value) => dead(`{"CallId":"c","Event":${value},"CallResult":"reject"}`))).toEqual(
      Array(5).fill('unknown_event'),
    );
    const result = (value: string) => {
      const r = read('', Buffer.from(`{"CallId":"c","CallResult":${value}}`));
      return r.kind === 'status' && r.call_result;
    };
    expect(['true', '[]', '1', '1e400', '"__"', '"NORMALEND"', '"Odd_One"'].map(result)).toEqual([
      'odd',
      'odd',
      '1',
      'odd',
      '__',
      'normal_end',
      'odd_one',
    ]);
  });
  it('spells the result of an event as that of a status callback', () => {
    expect(input({ Event: 'call_end', CallResult: 'NotAnswer' }).reading).toMatchObject({ call_result: 'not_answer' });
    expect(input({ Event: 'call_end', CallResult: 7 }).reading).toMatchObject({ call_result: '' });
  });
  it('passes over a byte order mark, and does not read what is nested deeper than 100', () => {
    expect(dead('\ufeff{"CallId":"c","Event":"start_call"}')).toBe('event');
    const nested = (depth: number) => dead(`{"CallId":"c[[","Event":"start_call","X":${'['.repeat(depth)}${']'.repeat(depth)}}`);
    expect([nested(99), nested(100)]).toEqual(['event', 'not_json']);
  });
  it('finds the platform under any spelling of its parameter', () => {
    expect(read('a=1&OptPlatform=i%20OS+x', Buffer.from('{"CallId":"c","Event":"start_call"}'))).toMatchObject({ platform: 'i OS x' });
  });
  it('counts integers that are not >= 0 as 0', () => {
    expect(
      [-3, 'many', null, 2.5, '-1', '4'].map((TotalNum) => (input({ Event: 'start_call', TotalNum }).reading as { total: number }).total),
    ).toEqual([0, 0, 0, 0, 0, 4]);
    const total = (number: string) =>
      (read('', Buffer.from(`{"CallId":"c","Event":"start_call","TotalNum":${number}}`)) as { total: number }).total;
    expect(
      ['2e0', '2.0', '2.00000000000000000001', '9007199254740990', '9007199254740991', '"9007199254740993"', '1e400'].map(total),
    ).toEqual([2, 2, 0, 9007199254740990, 0, 0, 0]);
  });
});

describe('reading a v4 body', () => {
  const at = 1740464128807;
  const user = (User_Account: unknown, more: Fields = {}) => ({ User_Account, ...more });
  const all = (body: unknown) =>
    readAll('SdkAppid=1&OptPlatform=Web', Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))).map((r) =>
      r.kind === 'dead' ? r.why : r.kind === 'event' ? `${r.event} ${r.user_id} ${r.role} ${r.platform} ${r.event_at}` : r,
    );
  const changed = (ActionType: unknown, ...UserList: Fields[]) =>
    all({ CallId: 'c', UserList, ChangedUserList: [user('u', { ActionType })], EventTime: at })[0]!
      .toString()
      .split(' ')[0];
  it('takes the user who is Calling for the caller, and gives that user the platform', () => {
    const text = JSON.stringify({ CallInfo: { CallId: 'c' }, UserList: [user(1), user('b', { Status: 'Calling' })], EventTime: at });
    expect(all(text.replace(':1}', ':144115212830834855}'))).toEqual([
      `receive_call 144115212830834855 callee  ${at}`,
      `start_call b caller Web ${at}`,
    ]);
  });
  it('reads every spelling of an action, and a hang-up by who is left', () => {
    const spelled = ['Answer', 'Accept', 'Reject', 'NotAnswer', 'Hang Up', 'Join', 'Offline', 'Invited', 'Canncel_Invite', 'Sing', ''];
    expect(spelled.map((action) => changed(action))).toEqual([
      'accept_call',
      'accept_call',
      'reject_call',
      'not_answer_call',
      'call_end',
      'join_in_group_call',
      'call_interrupted',
      'invite_user',
      'call_canceled',
      'unknown_event',
      'nothing',
    ]);
    expect(changed('Hangup', user('b', { Status: 'Calling' }))).toBe('call_end');
    expect(changed('Hangup', user('b', { Status: 'Waiting' }))).toBe('cancel_call');
    expect(changed('Hangup', user('b', { Status: 'Calling' }), user('u', { Status: 'Waiting' }))).toBe('reject_call');
  });
  it('reads the record of an ended call, its caller first among its users', () => {
    const CallRecord = { CallId: 'c', Caller_Account: 'b', CallResult: 'CallBusy', CallType: 'MultiCall', CalleeList_Account: ['a', 'b'] };
    expect(all({ CallRecord: { ...CallRecord, StartTime: T, AcceptTime: 0 }, EventTime: at })).toMatchObject([
      {
        kind: 'status',
        user_id: 'b',
        role: 'caller',
        users: ['b', 'a', 'b'],
        call_result: 'call_busy',
        call_type: 'group',
        start_at: T * 1000,
        accept_at: null,
      },
    ]);
    expect(all({ CallRecord: { ...CallRecord, CallResult: '' } })).toEqual(['nothing']);
    expect(all({ CallRecord: { ...CallRecord, CallId: '' } })).toEqual(['no_call_id']);
  });
  it('counts each user of the record as a leg', () => {
    const body = Buffer.from(
      JSON.stringify({ CallRecord: { CallId: 'c', Caller_Account: 'b', CallResult: 'NotAnswer', CalleeList_Account: ['a'] } }),
    );
    const reading = readAll('', body)[0]!;
    if (reading.kind === 'dead') throw new Error(reading.why);
    expect(truth([{ reading, body, received_at: at }])).toMatchObject({ caller: 'b', callees: ['a'], outcome: 'no_answer' });
  });
});

describe('inputs', () => {
  it('merges the bodies of one event: smallest start and accept, largest end and total, caller over callee, the smaller non-empty rest', () => {
    const a = event('ann', 'call_end', 40, {
      Role: 'callee',
      StartCallTs: T + 5,
      AcceptTs: T + 12,
      EndTs: T + 40,
      TotalNum: 2,
      RoomId: 'b',
      MediaType: 'video',
    });
    const b = event('ann', 'call_end', 40, {
      Role: 'caller',
      StartCallTs: T + 4,
      AcceptTs: T + 13,
      EndTs: T + 39,
      TotalNum: 5,
      RoomId: 'a',
      MediaType: '',
    });
    for (const inputs of [
      [a, b],
      [b, a],
      [a, b, a],
    ]) {
      expect(truth(inputs)).toMatchObject({
        caller: 'ann',
        started_at: at(4),
        accepted_at: at(12),
        ended_at: at(40),
        total_users: 5,
        room_id: 'a',
        media_type: 'video',
      });
    }
  });
  it('takes equal times in other spellings for the same event', () => {
    const spelled = [T, `${T}`, T * 1000, `${T * 1000}`].map((EventTime) =>
      input({ UserId: 'ann', Event: 'receive_call', EventTime, TotalNum: 2 }),
    );
    expect(truth(spelled).legs).toHaveLength(1);
    expect(truth(spelled).started_at).toBe(at(0));
  });
  it('gives an event of unknown time the smallest received_at of its deliveries', () => {
    expect(truth([event('ann', 'start_call', null, {}, at(30)), event('ann', 'start_call', null, {}, at(20))]).started_at).toBe(at(20));
  });
  it('lets the newest status callback win as a whole; equal bodies keep the smallest received_at; ties go to the larger EndTs, then the larger bytes', () => {
    const early = status('reject', {}, at(100));
    const late = status('cancel', {}, at(101));
    expect(truth([late, early]).outcome).toBe('cancelled');
    expect(truth([early, late, status('reject', {}, at(200))]).outcome).toBe('cancelled');
    expect(truth([status('reject', { EndTs: T + 60 }, at(100)), status('cancel', { EndTs: T + 50 }, at(100))]).outcome).toBe('rejected');
    expect(truth([early, status('cancel', {}, at(100))]).outcome).toBe('rejected');
  });
  it('does not depend on order or repetition', () => {
    const once = truth(ended);
    expect(truth([...ended].reverse())).toEqual(once);
    expect(truth([...ended, ...ended])).toEqual(once);
  });
});

describe('legs', () => {
  it('has one per user seen or listed in the record; an event without a user has none', () => {
    expect(truth([...answered, event('', 'invite_user', 20)]).legs.map((l) => l.user_id)).toEqual(['ann', 'bob']);
    expect(truth([status('reject')]).legs.map((l) => l.user_id)).toEqual(['ann']);
  });
  it('finds the caller: earliest start_call with Role caller, else earliest event with it, else the record, else nobody', () => {
    expect(truth([event('zed', 'call_accepted', -5, { Role: 'caller' }), caller('start_call', 0)]).caller).toBe('ann');
    expect(truth([event('zed', 'call_accepted', 5, { Role: 'caller' }), event('yan', 'call_end', 5, { Role: 'caller' })]).caller).toBe(
      'yan',
    );
    expect(truth([callee('receive_call', 1), status('reject')]).caller).toBe('ann');
    expect(truth([callee('receive_call', 1)])).toMatchObject({ caller: '', callees: ['bob'] });
  });
  it('tells when a callee rang, joined and left', () => {
    expect(leg(truth(ended), 'bob')).toMatchObject({
      rang_at: at(1),
      joined_at: at(10),
      left_at: at(41),
      talk_ms: 31_000,
      outcome: 'answered',
      role: 'callee',
    });
    expect(leg(truth(ended), 'ann')).toMatchObject({
      rang_at: null,
      joined_at: at(11),
      left_at: at(40),
      talk_ms: 29_000,
      outcome: 'answered',
      role: 'caller',
    });
  });
  it('falls back to accepted_at in an answered single call, and to ended_at once it is over', () => {
    const call = truth([
      caller('start_call', 0),
      callee('receive_call', 1),
      caller('call_end', 40, { AcceptTs: T + 9 }),
      status('normal_end', { EndTs: T + 42, AcceptTs: T + 8 }),
    ]);
    expect(leg(call, 'bob')).toMatchObject({ joined_at: at(8), left_at: at(42), outcome: 'answered' });
    expect(leg(call, 'ann')).toMatchObject({ joined_at: at(8), left_at: at(40) });
    const groupCall = truth([
      caller('start_call', 0, group),
      callee('receive_call', 1, group),
      caller('call_end', 40, { ...group, AcceptTs: T + 9 }),
    ]);
    expect(leg(groupCall, 'bob')).toMatchObject({ joined_at: null, left_at: null, talk_ms: 0, outcome: 'unknown' });
  });
  it.each([
    ['not_answer_call', 'no_answer', true, true],
    ['reject_call', 'rejected', false, false],
    ['ignore_call', 'busy', false, true],
    ['call_canceled', 'cancelled', false, true],
    ['call_interrupted', 'failed', false, false],
  ])('%s of a callee makes the leg %s', (name, outcome, missed, missed_inclusive) => {
    expect(leg(truth([caller('start_call', 0), callee(name, 30)]), 'bob')).toMatchObject({ outcome, missed, missed_inclusive });
  });
  it('lets the latest of a leg decide, the first listed in a tie, and any join over all', () => {
    expect(leg(truth([callee('not_answer_call', 30), callee('reject_call', 31), caller('start_call', 0)]), 'bob').outcome).toBe('rejected');
    expect(leg(truth([callee('reject_call', 30), callee('not_answer_call', 30), caller('start_call', 0)]), 'bob').outcome).toBe(
      'no_answer',
    );
    expect(leg(truth([callee('reject_call', 30), callee('join_in_group_call', 10), caller('start_call', 0)]), 'bob').outcome).toBe(
      'answered',
    );
  });
  it('without an own outcome takes that of a single call that is over, else unknown', () => {
    const inputs = [caller('start_call', 0), callee('receive_call', 1), caller('call_missed', 30)];
    expect(leg(truth(inputs), 'bob')).toMatchObject({ outcome: 'no_answer', missed: true });
    const groupInputs = [caller('start_call', 0, group), callee('receive_call', 1, group), caller('call_missed', 30, group)];
    expect(leg(truth(groupInputs), 'bob')).toMatchObject({ outcome: 'unknown', missed: false });
  });
  it('names the platform of the earliest event that has one', () => {
    const inputs = [
      input({ UserId: 'ann', Event: 'start_call', EventTime: T }, at(1), ''),
      input({ UserId: 'ann', Event: 'call_end', EventTime: T + 9 }, at(1), 'Web'),
    ];
    expect(leg(truth(inputs), 'ann').platform).toBe('Web');
  });
});

describe('times of the call', () => {
  it('starts with the record, else StartCallTs, else start_call, else the earliest event, else the first arrival', () => {
    const carried = callee('call_end', 40, { StartCallTs: T - 2 });
    expect(truth([...ended, carried, status('normal_end', { StartCallTs: T - 1 })]).started_at).toBe(at(-1));
    expect(truth([...ended, carried]).started_at).toBe(at(-2));
    expect(truth([callee('receive_call', -1), caller('start_call', 0)]).started_at).toBe(at(0));
    expect(truth([callee('receive_call', 1)]).started_at).toBe(at(1));
    expect(truth([status('reject', { EventTime: 0 }, at(50))]).started_at).toBe(at(50));
  });
  it('is accepted with the record, else AcceptTs, else the earliest accept', () => {
    const carried = callee('call_end', 41, { AcceptTs: T + 9 });
    expect(truth([...ended, carried, status('normal_end', { AcceptTs: T + 8 })]).accepted_at).toBe(at(8));
    expect(truth([...ended, carried]).accepted_at).toBe(at(9));
    expect(truth(ended).accepted_at).toBe(at(10));
    expect(truth([caller('start_call', 0)]).accepted_at).toBe(null);
  });
  it('ends with the record, else the largest EndTs, else the latest end, else the latest terminal, else the status callback', () => {
    expect(truth([...ended, status('normal_end', { EndTs: T + 45 })]).ended_at).toBe(at(45));
    expect(truth([...answered, caller('call_end', 40, { EndTs: T + 43 }), callee('call_end', 41)]).ended_at).toBe(at(43));
    expect(truth(ended).ended_at).toBe(at(41));
    expect(truth([caller('start_call', 0), callee('reject_call', 20), caller('call_rejected', 21)]).ended_at).toBe(at(21));
    expect(truth([caller('start_call', 0), status('cancel')]).ended_at).toBe(at(40));
    expect(truth([caller('start_call', 0), status('cancel', { EventTime: 0 })]).ended_at).toBe(null);
  });
  it('of a group is the latest of the EndTs and of the ends that carry none', () => {
    const inputs = [
      caller('start_call', 0, group),
      callee('accept_call', 10, group),
      caller('call_end', 40, { ...group, EndTs: T + 40 }),
      callee('call_end', 50, group),
    ];
    expect(truth(inputs).ended_at).toBe(at(50));
    expect(truth(inputs.map((i) => input({ ...JSON.parse(i.body.toString()), CallType: 'single' }))).ended_at).toBe(at(40));
  });
  it('never ends before it is accepted', () => {
    expect(truth([...answered, caller('call_end', 40, { EndTs: T + 5 })])).toMatchObject({
      ended_at: at(10),
      talk_ms: 0,
      anomalies: ['end_before_accept'],
    });
  });
  it('measures ring and talk, 0 where unknown, negative, or above 24 hours', () => {
    expect(truth(ended)).toMatchObject({ ring_ms: 10_000, talk_ms: 31_000 });
    expect(truth(answered)).toMatchObject({ ring_ms: 10_000, talk_ms: 0 });
    expect(truth([caller('start_call', 0), callee('reject_call', 20)])).toMatchObject({ ring_ms: 20_000, talk_ms: 0 });
    expect(truth([caller('start_call', 20), callee('accept_call', 10), caller('call_end', 40)])).toMatchObject({
      ring_ms: 0,
      anomalies: ['accept_before_start'],
    });
    expect(truth([...answered, caller('call_end', 10 + 86_401)])).toMatchObject({ talk_ms: 0, anomalies: ['time_conflict'] });
    expect(truth([...answered, caller('call_end', 10 + 86_400)])).toMatchObject({ talk_ms: 86_400_000, anomalies: [] });
  });
});

describe('outcome', () => {
  const ringing = [caller('start_call', 0), callee('receive_call', 1)];
  it.each([
    ['normal_end', 'answered', 'normal'],
    ['Normal_End', 'answered', 'normal'],
    ['normalend', 'answered', 'normal'],
    ['interrupt', 'failed', 'failed'],
    ['offline', 'failed', 'failed'],
    ['not_answer', 'no_answer', 'no_answer'],
    ['reject', 'rejected', 'rejected'],
    ['call_busy', 'busy', 'busy'],
    ['cancel', 'cancelled', 'cancelled'],
    ['dropped', 'unknown', 'unknown'],
    ['_', 'unknown', 'unknown'],
  ])('a status callback %s makes a ringing call %s', (result, outcome, end_reason) => {
    expect(truth([...ringing, status(result)])).toMatchObject({ outcome, end_reason, status: 'ended' });
  });
  it('takes an interrupted record as answered when it was accepted', () => {
    expect(truth([...answered, status('interrupt')])).toMatchObject({ outcome: 'answered', end_reason: 'interrupted' });
  });
  it('believes normal_end of a group only with an accept or a call_end', () => {
    const silent = [caller('start_call', 0, group), callee('receive_call', 1, group), callee('reject_call', 9, group)];
    expect(truth([...silent, status('normal_end', group)]).outcome).toBe('rejected');
    expect(truth([...silent, caller('call_end', 20, group), status('normal_end', group)]).outcome).toBe('answered');
  });
  it('is answered by an accept or a call_end alone', () => {
    expect(truth([callee('call_end', 30)]).outcome).toBe('answered');
    expect(truth([callee('accept_call', 30)]).outcome).toBe('answered');
  });
  it.each([
    ['call_missed', 'no_answer'],
    ['call_rejected', 'rejected'],
    ['call_busy', 'busy'],
    ['cancel_call', 'cancelled'],
    ['call_failed', 'failed'],
    ['call_interrupted', 'failed'],
  ])('the verdict %s of the caller makes it %s', (name, outcome) => {
    expect(truth([...ringing, caller(name, 30)])).toMatchObject({ outcome, end_reason: outcome, status: 'ended' });
  });
  it('lets the latest verdict decide, the first listed in a tie; call_interrupted counts for the caller only', () => {
    expect(truth([...ringing, caller('call_missed', 30), caller('cancel_call', 31)]).outcome).toBe('cancelled');
    expect(truth([...ringing, caller('call_failed', 30), caller('call_busy', 30)]).outcome).toBe('busy');
    expect(truth([caller('start_call', 0, group), callee('call_interrupted', 30, { ...group, TotalNum: 3 })], at(31))).toMatchObject({
      status: 'ringing',
      outcome: 'unknown',
    });
  });
  it('else goes by the legs: no_answer, cancelled, rejected, busy, failed, in this order', () => {
    const legs = ['call_interrupted', 'ignore_call', 'reject_call', 'call_canceled', 'not_answer_call'];
    const outcomes = legs.map(
      (_, n) => truth([caller('start_call', 0, group), ...legs.slice(0, n + 1).map((name, i) => event(`u${i}`, name, 20, group))]).outcome,
    );
    expect(outcomes).toEqual(['failed', 'busy', 'rejected', 'cancelled', 'no_answer']);
  });
  it('says only answered or unknown, and nothing is missed, while the call is not over', () => {
    const call = truth([caller('start_call', 0, { ...group, TotalNum: 4 }), callee('not_answer_call', 30, group)], at(31));
    expect(call).toMatchObject({ status: 'ringing', outcome: 'unknown', missed: false, end_reason: '', ended_at: null });
    expect(leg(call, 'bob')).toMatchObject({ outcome: 'no_answer', missed: false });
  });
});

describe('over', () => {
  it('without an answer, when total_users - 1 callees have a terminal each', () => {
    const three = { ...group, TotalNum: 3 };
    const one = [caller('start_call', 0, three), callee('reject_call', 9, three)];
    expect(truth(one, at(31)).status).toBe('ringing');
    expect(truth([...one, event('cat', 'ignore_call', 9, three)], at(31))).toMatchObject({ status: 'ended', outcome: 'rejected' });
    expect(truth([caller('start_call', 0)], at(31)).status).toBe('ringing');
  });
  it('with an answer, when somebody ended and at most one joined leg is left', () => {
    expect(truth(answered).status).toBe('active');
    expect(truth([...answered, caller('call_end', 40)]).status).toBe('ended');
    const groupCall = [caller('start_call', 0, group), callee('accept_call', 5, group), event('cat', 'join_in_group_call', 6, group)];
    expect(truth([...groupCall, callee('call_end', 20, group)]).status).toBe('active');
    expect(truth([...groupCall, callee('call_end', 20, group), event('cat', 'call_interrupted', 30, group)]).status).toBe('ended');
    expect(
      truth([...groupCall, callee('call_end', 20, group), event('cat', 'call_end', 30, group), callee('join_in_group_call', 40, group)])
        .status,
    ).toBe('active');
    for (const join of ['call_accepted', 'accept_call', 'join_in_group_call']) {
      const back = [...groupCall, caller('call_end', 20, group), callee('call_end', 21, group), caller(join, 30, group)];
      expect(truth(back).status).toBe('active');
      expect(truth([...back, event('cat', 'call_end', 31, group)]).status).toBe('ended');
    }
  });
  it('by a timeout from the latest min(event time, arrival), ringing or active', () => {
    const ringing = [event('ann', 'start_call', 0, { Role: 'caller' }, at(2)), event('bob', 'receive_call', 1000, {}, at(3))];
    expect(truthOf(ringing, times, at(3) + 119_999)).toMatchObject({ status: 'ringing', times_out_at: at(123) });
    expect(truthOf(ringing, times, at(3) + 120_000)).toMatchObject({
      status: 'ended',
      end_reason: 'timed_out',
      outcome: 'unknown',
      ended_at: at(1000),
    });
    expect(truth(answered, at(11) + 3_600_000)).toMatchObject({
      status: 'ended',
      end_reason: 'timed_out',
      outcome: 'answered',
      ended_at: at(11),
      anomalies: ['missing_end'],
    });
  });
  it('is not timed out when its inputs end it, however late', () => {
    expect(truth(ended, at(999_999)).end_reason).toBe('normal');
  });
  it('is interrupted when a call_interrupted exists and no call_end', () => {
    expect(truth([...answered, caller('call_interrupted', 40)]).end_reason).toBe('interrupted');
    expect(truth([...answered, caller('call_interrupted', 40), callee('call_end', 41)]).end_reason).toBe('normal');
  });
});

describe('the rest of the record', () => {
  it('fills room, media and type from the earliest event that has them, else from the record', () => {
    const inputs = [
      caller('start_call', 0, { RoomId: '', MediaType: '', CallType: '' }),
      callee('receive_call', 1, { RoomId: 'r1', MediaType: 'video', CallType: 'single' }),
    ];
    expect(truth(inputs)).toMatchObject({ room_id: 'r1', media_type: 'video', call_type: 'single' });
    expect(truth([input({ UserId: 'a', Event: 'start_call', EventTime: T }), status('reject', { RoomId: 'r2' })])).toMatchObject({
      room_id: 'r2',
      call_type: 'single',
    });
    expect(truth([event('b', 'receive_call', 1, { RoomId: 'x' }), event('a', 'receive_call', 1, { RoomId: 'y' })]).room_id).toBe('y');
  });
  it('lets an event that knows its time go before one that arrived in that very millisecond', () => {
    const told = event('a', 'reject_call', 5, { RoomId: 'told' }, at(9));
    const arrived = event('a', 'reject_call', null, { RoomId: 'arrived' }, at(5));
    for (const inputs of [
      [told, arrived],
      [arrived, told],
    ])
      expect(truth(inputs).room_id).toBe('told');
  });
  it('sorts by UTF-16 code unit', () => {
    expect(truth([event('ﬀ', 'receive_call', 1), event('😀', 'receive_call', 1), event('z', 'receive_call', 1)]).callees).toEqual([
      'z',
      '😀',
      'ﬀ',
    ]);
  });
  it('names its sources', () => {
    expect([truth(ended).sources, truth([...ended, status('normal_end')]).sources, truth([status('reject')]).sources]).toEqual([
      ['event'],
      ['event', 'status'],
      ['status'],
    ]);
  });
  it('tells what is odd', () => {
    expect(truth([callee('receive_call', 1)]).anomalies).toEqual(['missing_start']);
    expect(truth([caller('start_call', 0), caller('call_end', 40)]).anomalies).toEqual(['missing_accept']);
    expect(truth([...ended, caller('call_end', 40, { StartCallTs: T - 3601 })]).anomalies).toEqual(['time_conflict']);
    expect(truth([...ended, caller('call_end', 40, { StartCallTs: T - 3600 })]).anomalies).toEqual([]);
    expect(truth([...ended, status('reject')]).anomalies).toEqual(['record_conflict']);
    expect(truth([...ended, status('normal_end')]).anomalies).toEqual([]);
  });
  it('is missed when over with no_answer, inclusively also when cancelled or busy', () => {
    const of = (name: string) => truth([caller('start_call', 0), caller(name, 30)]);
    expect([of('call_missed'), of('cancel_call'), of('call_busy'), of('call_rejected')].map((c) => [c.missed, c.missed_inclusive])).toEqual(
      [
        [true, true],
        [false, true],
        [false, true],
        [false, false],
      ],
    );
  });
});

describe('relations', () => {
  const call = (over: Partial<Measured>): Measured => ({
    app_id: '1',
    call_type: 'single',
    media_type: 'audio',
    status: 'ended',
    outcome: 'answered',
    end_reason: 'normal',
    started_at: at(0),
    accepted_at: at(10),
    ended_at: at(40),
    ring_ms: 10_000,
    talk_ms: 30_000,
    missed: false,
    missed_inclusive: false,
    ...over,
  });
  it('rolls up calls that are over in the bucket of their start; rates without denominator are null', () => {
    const cells = [
      ...rollup(
        [call({}), call({ outcome: 'no_answer', talk_ms: 0, missed: true }), call({ status: 'active' }), call({ end_reason: 'merged' })],
        60_000,
      ).values(),
    ];
    expect(cells).toHaveLength(1);
    expect(cells[0]).toMatchObject({
      bucket: at(0),
      calls: 2,
      answered: 1,
      no_answer: 1,
      missed: 1,
      ring_ms_sum: 20_000,
      talk_ms_sum: 30_000,
      asr: 0.5,
      ner: 1,
      acd_ms: 30_000,
    });
    expect([...rollup([call({ outcome: 'failed' })], 60_000).values()][0]).toMatchObject({
      asr: 0,
      ner: 0,
      acd_ms: null,
      talk_p50_ms: null,
    });
  });
  it('takes percentiles by nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([
      nearestRank(hundred, 0.5),
      nearestRank(hundred, 0.95),
      nearestRank([7], 0.95),
      nearestRank([1, 2], 0.5),
      nearestRank([], 0.5),
    ]).toEqual([50, 95, 7, 1, null]);
  });
  it('counts concurrent calls over half-open intervals, open calls until now', () => {
    const minutes = concurrency(
      [call({}), call({ accepted_at: at(40), ended_at: at(70) }), call({ status: 'active', ended_at: null, accepted_at: at(50) })],
      at(120),
    );
    expect([...minutes.values()]).toEqual([
      { bucket: at(0), app_id: '1', peak: 2, average: (30 + 20 + 10) / 60 },
      { bucket: at(60), app_id: '1', peak: 2, average: (10 + 60) / 60 },
    ]);
    expect(concurrency([call({ ended_at: at(10) }), call({ ended_at: null }), call({ accepted_at: null })], at(120)).size).toBe(0);
    // Some vendor's clock has it end in 2096.
    expect([...concurrency([call({ accepted_at: at(10), ended_at: 4_000_000_000_000 })], at(90)).values()]).toMatchObject([
      { bucket: at(0), peak: 1, average: 50 / 60 },
      { bucket: at(60), peak: 1 },
    ]);
  });
});
