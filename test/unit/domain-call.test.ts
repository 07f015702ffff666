import { describe, expect, test } from 'vitest';
import { deriveCall } from '../../src/domain/call.js';
import type { CallInput } from '../../src/domain/types.js';
import type { EventName, Outcome } from '../../src/domain/vocabulary.js';
import { ANSWERED, ev, fold, foldTimedOut, rest, sec, stateOf, status } from '../support/calls.js';

const HOUR = 3600;
const START = ev(0, 'alice', 'start_call', { role: 'caller', call_type: 'single', total_num: 2 });
const GROUP = ev(0, 'alice', 'start_call', { role: 'caller', call_type: 'group', total_num: 3 });

test('an ordinary answered call', () => {
  expect(fold(...ANSWERED)).toEqual({
    room_id: 'room-1',
    call_type: 'single',
    media_type: 'audio',
    caller: 'alice',
    callees: ['bob'],
    total_users: 2,
    status: 'ended',
    outcome: 'answered',
    end_reason: 'normal',
    started_at: sec(0),
    accepted_at: sec(5),
    ended_at: sec(65),
    ring_ms: 5000,
    talk_ms: 60_000,
    missed: false,
    missed_inclusive: false,
    sources: ['event'],
    anomalies: [],
    legs: [leg('alice', 'caller', null), leg('bob', 'callee', sec(1))],
  });
  function leg(user_id: string, role: string, rang_at: number | null) {
    const times = { rang_at, joined_at: sec(5), left_at: sec(65), talk_ms: 60_000, media_joined_at: null, media_left_at: null };
    return { user_id, role, outcome: 'answered', ...times, missed: false, missed_inclusive: false, platform: '', media_drops: 0 };
  }
});

describe('started_at', () => {
  const carried = ev(3, 'bob', 'receive_call', { start_call_ts: sec(1) });
  const cases: [string, CallInput[], number][] = [
    ["the record's start", [rest({ start_at: sec(9) }), carried, START], sec(9)],
    ['the smallest StartCallTs carried', [rest({}), carried, ev(4, 'bob', 'accept_call', { start_call_ts: sec(2) }), START], sec(1)],
    ['the earliest start_call', [ev(5, 'a', 'start_call'), ev(4, 'a', 'start_call'), ev(3, 'a', 'invite_user')], sec(4)],
    ['the earliest event', [ev(5, 'a', 'call_end'), ev(4, 'b', 'receive_call')], sec(4)],
    ['the first received_at', [rest({}, { received_at: sec(70) }), status({}, { received_at: sec(69) })], sec(69)],
    ['received_at of an event of unknown time', [ev(null, 'a', 'start_call', { received_at: sec(6) })], sec(6)],
  ];
  test.each(cases)('is %s', (_, inputs, expected) => {
    expect(fold(...inputs).started_at).toBe(expected);
  });
});

describe('accepted_at', () => {
  const carried = ev(3, 'bob', 'receive_call', { accept_ts: sec(2) });
  const cases: [string, CallInput[], number | null][] = [
    ["the record's accept", [rest({ accept_at: sec(9) }), carried], sec(9)],
    [
      'the smallest AcceptTs carried',
      [rest({}), carried, ev(4, 'bob', 'accept_call', { accept_ts: sec(1) }), ev(5, 'bob', 'call_end', { accept_ts: sec(2) })],
      sec(1),
    ],
    ['the earliest accept_call', [ev(5, 'b', 'accept_call'), ev(4, 'b', 'accept_call')], sec(4)],
    ['the earliest call_accepted', [ev(5, 'b', 'accept_call'), ev(3, 'a', 'call_accepted')], sec(3)],
    ['the earliest join_in_group_call', [ev(5, 'b', 'accept_call'), ev(2, '', 'join_in_group_call')], sec(2)],
    ['else unknown', [START, ev(5, 'b', 'call_end')], null],
  ];
  test.each(cases)('is %s', (_, inputs, expected) => {
    expect(fold(...inputs).accepted_at).toBe(expected);
  });
});

describe('outcome', () => {
  const accept = ev(5, 'bob', 'accept_call');
  const missed = ev(9, 'alice', 'call_missed');
  const records: [string, CallInput[], Outcome][] = [
    ['normal_end of a single call', [START], 'answered'],
    ['normal_end of a call of unknown type', [], 'answered'],
    ['normal_end of a group without accept or call_end', [GROUP], 'unknown'],
    ['normal_end of a group without accept or call_end, but a verdict', [GROUP, missed], 'no_answer'],
    ['normal_end of a group with an accept', [GROUP, accept], 'answered'],
    ['normal_end of a group with a call_end', [GROUP, ev(9, 'alice', 'call_end')], 'answered'],
    ['interrupt without accept', [START], 'failed'],
    ['interrupt with accept', [START, accept], 'answered'],
    ['offline without accept, though there is a call_end', [START, ev(9, 'bob', 'call_end')], 'failed'],
    ['offline with accept', [START, accept], 'answered'],
    ['not_answer', [START, accept], 'no_answer'],
    ['reject', [START, accept], 'rejected'],
    ['call_busy', [START, accept], 'busy'],
    ['cancel', [START, accept], 'cancelled'],
    ['weird', [START, accept], 'answered'],
    ['weird with a verdict', [START, missed], 'no_answer'],
  ];
  test.each(records)('1. of a record with %s', (what, inputs, outcome) => {
    const result = what.split(' ')[0]!;
    expect(fold(...inputs, rest({ result }))).toMatchObject({ outcome, status: 'ended' });
    expect(fold(...inputs, status({ result }))).toMatchObject({ outcome, status: 'ended' });
  });
  test('1. a group that only the record calls so is a group too', () => {
    expect(fold(rest({ result: 'normal_end', call_type: 'group' })).outcome).toBe('unknown');
    expect(fold(rest({ result: 'normal_end', call_type: 'group', accept_at: sec(1) })).outcome).toBe('answered');
  });

  test('2. a known accepted_at answers a call, against any verdict', () => {
    expect(fold(START, accept, missed).outcome).toBe('answered');
    expect(fold(START, missed, ev(9, 'bob', 'ignore_call', { accept_ts: sec(1) })).outcome).toBe('answered');
    expect(fold(START, missed, rest({ accept_at: sec(1) })).outcome).toBe('answered');
  });
  test('2. a call_end answers a call, whoever sent it', () => {
    expect(fold(START, missed, ev(9, 'bob', 'call_end')).outcome).toBe('answered');
    expect(fold(START, missed, ev(9, '', 'call_end')).outcome).toBe('answered');
  });

  const verdicts: [EventName, Outcome][] = [
    ['call_missed', 'no_answer'],
    ['call_rejected', 'rejected'],
    ['call_busy', 'busy'],
    ['cancel_call', 'cancelled'],
    ['call_failed', 'failed'],
  ];
  test.each(verdicts)('3. the verdict %s by anyone makes it %s', (event, outcome) => {
    for (const user of ['alice', 'bob', '']) expect(fold(START, ev(9, user, event))).toMatchObject({ outcome, status: 'ended' });
  });
  test('3. call_interrupted is a verdict by the caller only', () => {
    expect(fold(GROUP, ev(9, 'alice', 'call_interrupted'))).toMatchObject({ outcome: 'failed', status: 'ended' });
    expect(fold(GROUP, ev(9, 'bob', 'call_interrupted'))).toMatchObject({ outcome: 'unknown', status: 'ringing' });
    expect(fold(ev(0, '', 'receive_call', { total_num: 3 }), ev(9, '', 'call_interrupted')).status).toBe('ringing');
  });
  test('3. the latest verdict counts', () => {
    expect(fold(START, ev(9, 'alice', 'call_missed'), ev(10, 'alice', 'cancel_call')).outcome).toBe('cancelled');
    expect(fold(START, ev(9, 'alice', 'call_interrupted'), ev(10, 'alice', 'cancel_call')).outcome).toBe('cancelled');
    expect(fold(START, ev(11, 'alice', 'call_interrupted'), ev(10, 'alice', 'cancel_call')).outcome).toBe('failed');
  });
  test('3. on a tie the first listed counts', () => {
    const all = [...verdicts.map(([event]) => ev(9, 'bob', event)), ev(9, 'alice', 'call_interrupted')];
    for (const [i, [, outcome]] of verdicts.entries()) {
      expect(fold(START, ...all.slice(i)).outcome).toBe(outcome);
      expect(fold(START, ...all.slice(i).toReversed()).outcome).toBe(outcome);
    }
  });

  test('4. without a verdict the callee legs decide: no_answer, cancelled, rejected, busy, failed', () => {
    const refusals: [EventName, Outcome][] = [
      ['not_answer_call', 'no_answer'],
      ['call_canceled', 'cancelled'],
      ['reject_call', 'rejected'],
      ['ignore_call', 'busy'],
      ['call_interrupted', 'failed'],
    ];
    const legs = refusals.map(([event], i) => ev(i, `callee-${i}`, event));
    for (const [i, [, outcome]] of refusals.entries()) {
      expect(fold(GROUP, ...legs.slice(i))).toMatchObject({ outcome: i < 4 ? outcome : 'unknown' });
      expect(foldTimedOut(GROUP, ...legs.slice(i)).outcome).toBe(outcome);
    }
  });
  test("4. the caller's own refusals do not count", () => {
    expect(foldTimedOut(START, ev(5, 'alice', 'reject_call')).outcome).toBe('unknown');
  });

  test('5. else it is unknown', () => {
    expect(foldTimedOut(START, ev(1, 'bob', 'receive_call'))).toMatchObject({ outcome: 'unknown', end_reason: 'timed_out' });
  });

  test('while a call is not over its outcome is answered or unknown and nothing is missed', () => {
    const facts = fold(GROUP, ev(5, 'bob', 'not_answer_call'), ev(5, 'carol', 'receive_call'));
    expect(facts).toMatchObject({
      status: 'ringing',
      outcome: 'unknown',
      missed: false,
      missed_inclusive: false,
      end_reason: '',
      ended_at: null,
    });
    expect(facts.legs.some((each) => each.missed || each.missed_inclusive)).toBe(false);
  });
});

describe('a call is over', () => {
  const over = (...inputs: CallInput[]) => fold(...inputs).status === 'ended';
  const accept = (user: string, seconds = 5) => ev(seconds, user, 'accept_call');
  const end = (user: string, seconds = 60) => ev(seconds, user, 'call_end');

  test('when a record with a result exists', () => {
    expect(over(START, rest({ result: 'anything' }))).toBe(true);
    expect(over(START, rest({ result: '' }))).toBe(false);
  });
  test('when it is not answered and there is a verdict', () => {
    expect(over(START, ev(9, 'alice', 'cancel_call'))).toBe(true);
  });
  test('when it is not answered and every callee has a terminal', () => {
    expect(over(START, ev(9, 'bob', 'reject_call'))).toBe(true);
    expect(over(GROUP, ev(9, 'bob', 'reject_call'), ev(9, 'carol', 'not_answer_call'))).toBe(true);
  });
  test('not while a callee seen has none', () => {
    expect(over(START, ev(9, 'bob', 'reject_call'), ev(9, 'carol', 'receive_call'))).toBe(false);
  });
  test('not by the result of a record that has lost: the one that wins as a whole is asked alone, in either order', () => {
    const told = status({ result: 'normal_end', end_at: sec(30), users: ['alice', 'bob'] });
    const silent = rest({ start_at: sec(0), users: ['alice'] });
    for (const inputs of [
      [START, told, silent],
      [silent, told, START],
    ])
      expect(fold(...inputs)).toMatchObject({ status: 'ringing', outcome: 'unknown', ended_at: null, sources: ['event', 'record'] });
    expect(fold(START, told)).toMatchObject({ status: 'ended', outcome: 'answered', ended_at: sec(30) });
    // A timeout closes it, as any other call of which no end is known.
    expect(foldTimedOut(START, told, silent)).toMatchObject({ status: 'ended', outcome: 'unknown', end_reason: 'timed_out' });
  });

  test("not while callees are missing: TotalNum or the record's total count them", () => {
    expect(over(GROUP, ev(9, 'bob', 'reject_call'))).toBe(false);
    expect(over(START, ev(9, 'bob', 'reject_call'), rest({ total_users: 3 }))).toBe(false);
    expect(over(START, ev(9, 'bob', 'reject_call'), rest({ users: ['carol'] }))).toBe(false);
  });
  test('not without any callee', () => {
    expect(over(ev(0, 'alice', 'start_call', { role: 'caller' }), ev(9, 'alice', 'reject_call'))).toBe(false);
    expect(over(ev(0, '', 'start_call'), ev(9, '', 'reject_call'))).toBe(false);
  });
  test('with an unknown caller every leg is a callee', () => {
    expect(over(ev(0, 'alice', 'start_call'), ev(9, 'bob', 'reject_call'))).toBe(false);
    expect(over(ev(9, 'bob', 'reject_call', { total_num: 2 }))).toBe(true);
  });
  const terminals = [
    'call_missed',
    'call_rejected',
    'call_busy',
    'cancel_call',
    'call_failed',
    'not_answer_call',
    'reject_call',
    'ignore_call',
    'call_canceled',
    'call_interrupted',
  ] as const;
  test.each(terminals)('%s is a terminal', (event) => {
    expect(over(START, ev(9, 'bob', event))).toBe(true);
  });
  test.each(['start_call', 'receive_call', 'invite_user'] as const)('%s is none', (event) => {
    expect(over(START, ev(9, 'bob', event))).toBe(false);
  });

  test('when it is answered and at most one who joined is still there', () => {
    expect(over(START, accept('bob'))).toBe(false);
    expect(over(START, accept('bob'), end('bob'))).toBe(true);
    expect(over(START, accept('bob'), end('alice'))).toBe(true);
    expect(over(GROUP, accept('bob'), accept('carol'), end('bob'))).toBe(false);
    expect(over(GROUP, accept('bob'), accept('carol'), end('bob'), end('carol'))).toBe(true);
    expect(over(GROUP, accept('bob'), accept('carol'), end('bob'), ev(61, 'alice', 'call_interrupted'))).toBe(true);
  });
  test('not before some participant left, even when only one ever joined', () => {
    expect(over(ev(0, 'bob', 'receive_call'), accept('bob'))).toBe(false);
    expect(over(ev(0, 'bob', 'receive_call'), accept('bob'), end(''))).toBe(false);
    expect(over(ev(0, 'bob', 'receive_call'), accept('bob'), end('bob'))).toBe(true);
  });
  test('a refused callee of an answered call is not waited for', () => {
    expect(over(GROUP, accept('bob'), ev(6, 'carol', 'receive_call'), end('bob'))).toBe(true);
  });
  test('who joins again must leave again', () => {
    const rejoined = [GROUP, accept('bob'), end('bob', 20), ev(30, 'bob', 'join_in_group_call')];
    expect(over(...rejoined)).toBe(false);
    expect(over(...rejoined, end('bob', 40))).toBe(true);
    expect(over(...rejoined, end('bob', 30))).toBe(true);
    expect(over(GROUP, accept('bob'), end('alice', 20), ev(30, 'alice', 'join_in_group_call'))).toBe(false);
  });
  test('the caller is in the call even when nothing of hers tells that she joined', () => {
    expect(over(GROUP, accept('bob'), accept('carol'), end('bob'))).toBe(false);
    expect(over(ev(0, 'bob', 'receive_call'), accept('bob'), accept('carol'), end('bob'))).toBe(true);
  });
  test('joins that only the record or the call imply do not count', () => {
    const inputs = [START, ev(1, 'bob', 'receive_call'), ev(5, 'alice', 'call_accepted'), end('bob')];
    expect(fold(...inputs)).toMatchObject({ status: 'ended', outcome: 'answered' });
  });
  test('or a timeout closed it', () => {
    expect(foldTimedOut(START)).toMatchObject({ status: 'ended', end_reason: 'timed_out' });
  });
});

describe('ended_at', () => {
  const accept = ev(5, 'bob', 'accept_call');
  const ends = [ev(60, 'alice', 'call_end', { end_ts: sec(58) }), ev(61, 'bob', 'call_end')];
  const cases: [string, CallInput[], number | null][] = [
    ['null while not over', [START, accept, ev(6, 'alice', 'invite_user', { end_ts: sec(50) })], null],
    ["the record's end", [START, accept, ...ends, rest({ result: 'normal_end', end_at: sec(55) })], sec(55)],
    ['the largest EndTs of a single call', [START, accept, ...ends], sec(58)],
    ['the latest of the EndTs and the ends that carry none, of a group', [GROUP, accept, ...ends], sec(61)],
    [
      'an EndTs later than the ends that carry none, of a group',
      [GROUP, accept, ev(60, 'alice', 'call_end', { end_ts: sec(90) }), ends[1]!],
      sec(90),
    ],
    ['the EndTs of an end of a group, not its later time', [GROUP, accept, ev(70, 'alice', 'call_end', { end_ts: sec(58) })], sec(58)],
    ['the same for a call of unknown type', [accept, ...ends], sec(61)],
    [
      'the latest call_end without any EndTs',
      [START, accept, ev(60, 'bob', 'call_end'), ev(61, 'alice', 'call_interrupted'), ev(70, 'bob', 'ignore_call')],
      sec(61),
    ],
    ['the largest EndTs of a call that was not answered', [GROUP, ev(9, 'alice', 'call_missed', { end_ts: sec(8) })], sec(8)],
    [
      'the latest terminal',
      [GROUP, ev(9, 'alice', 'call_missed'), ev(10, 'bob', 'not_answer_call'), ev(11, 'bob', 'invite_user')],
      sec(10),
    ],
    [
      'the latest terminal of a call that only the record calls answered',
      [START, ev(9, 'alice', 'call_missed'), rest({ result: 'normal_end' })],
      sec(9),
    ],
    ['the EventTime of the status callback', [START, status({ result: 'cancel', event_at: sec(33) })], sec(33)],
    [
      'the end of the status callback before its EventTime',
      [START, status({ result: 'cancel', event_at: sec(33), end_at: sec(31) })],
      sec(31),
    ],
    ['else unknown', [START, rest({ result: 'cancel' })], null],
  ];
  test.each(cases)('is %s', (_, inputs, expected) => {
    expect(fold(...inputs).ended_at).toBe(expected);
  });

  test('of a timed-out call is the later of the largest EndTs and the latest event', () => {
    expect(foldTimedOut(START, accept).ended_at).toBe(sec(5));
    expect(foldTimedOut(START, ev(5, 'bob', 'accept_call', { end_ts: sec(7) })).ended_at).toBe(sec(7));
    expect(foldTimedOut(START, ev(8, '', 'accept_call', { end_ts: sec(7) })).ended_at).toBe(sec(8));
    expect(foldTimedOut(START, accept, rest({ end_at: sec(3) })).ended_at).toBe(sec(5));
    expect(foldTimedOut(rest({})).ended_at).toBeNull();
  });
  test('and end_reason are not those of a timeout where the inputs end the call', () => {
    expect(foldTimedOut(...ANSWERED)).toEqual(fold(...ANSWERED));
  });
  test('is never before accepted_at', () => {
    const facts = fold(START, ev(5, 'bob', 'accept_call'), ev(3, 'alice', 'call_end'), ev(6, 'bob', 'call_end', { end_ts: sec(4) }));
    expect(facts).toMatchObject({ ended_at: sec(5), talk_ms: 0, anomalies: ['end_before_accept'] });
    expect(fold(rest({ result: 'cancel', start_at: sec(0), accept_at: sec(5), end_at: sec(4) }))).toMatchObject({
      ended_at: sec(5),
      anomalies: ['end_before_accept'],
    });
  });
});

describe('end_reason', () => {
  const accept = ev(5, 'bob', 'accept_call');
  const cases: [string, CallInput[], string][] = [
    ['empty while not over', [START, accept], ''],
    ['normal when answered', [...ANSWERED], 'normal'],
    ['interrupted when the record says interrupt', [...ANSWERED, rest({ result: 'interrupt' })], 'interrupted'],
    ['interrupted when the record says offline', [...ANSWERED, rest({ result: 'offline' })], 'interrupted'],
    ['interrupted when a call_interrupted exists and no call_end', [START, accept, ev(9, 'bob', 'call_interrupted')], 'interrupted'],
    ['normal when a call_end exists too', [START, accept, ev(9, 'bob', 'call_interrupted'), ev(9, 'alice', 'call_end')], 'normal'],
    ['the outcome when not answered', [START, ev(9, 'alice', 'call_failed')], 'failed'],
    ['the outcome when not answered, even interrupted', [START, rest({ result: 'interrupt' })], 'failed'],
  ];
  test.each(cases)('is %s', (_, inputs, expected) => {
    expect(fold(...inputs).end_reason).toBe(expected);
  });
  test('is timed_out when only a timeout closed it', () => {
    expect(foldTimedOut(START, accept)).toMatchObject({ end_reason: 'timed_out', outcome: 'answered', status: 'ended' });
    expect(foldTimedOut(START, ev(9, 'alice', 'call_failed')).end_reason).toBe('failed');
  });
});

describe('measures', () => {
  test('ring time of an answered call runs to the accept, talk time from there to the end', () => {
    expect(fold(...ANSWERED)).toMatchObject({ ring_ms: 5000, talk_ms: 60_000 });
    expect(fold(...ANSWERED.slice(0, 4))).toMatchObject({ ring_ms: 5000, talk_ms: 0, status: 'active' });
  });
  test('ring time of an unanswered call runs to the end', () => {
    expect(fold(START, ev(30, 'alice', 'call_missed'))).toMatchObject({ ring_ms: 30_000, talk_ms: 0 });
    expect(fold(START)).toMatchObject({ ring_ms: 0 });
  });
  test('a call that was not answered has no talk time, whatever its record says of an accept', () => {
    const facts = fold(rest({ result: 'cancel', start_at: sec(0), accept_at: sec(2), end_at: sec(9) }));
    expect(facts).toMatchObject({ ring_ms: 9000, talk_ms: 0 });
  });
  test('an unknown part makes it 0', () => {
    expect(fold(START, ev(9, 'bob', 'call_end'))).toMatchObject({ outcome: 'answered', ring_ms: 0, talk_ms: 0 });
    expect(fold(START, rest({ result: 'cancel' })).ring_ms).toBe(0);
  });
  test('it is never negative', () => {
    const facts = fold(...ANSWERED, rest({ result: 'normal_end', start_at: sec(10), accept_at: sec(5), end_at: sec(6) }));
    expect(facts).toMatchObject({ ring_ms: 0, talk_ms: 1000, anomalies: ['accept_before_start'] });
  });
  test('above 24 hours it is 0, with an anomaly', () => {
    const call = (seconds: number) => fold(rest({ result: 'normal_end', start_at: sec(0), accept_at: sec(1), end_at: sec(1 + seconds) }));
    expect(call(24 * HOUR)).toMatchObject({ talk_ms: 24 * HOUR * 1000, anomalies: [] });
    expect(call(24 * HOUR + 1)).toMatchObject({ talk_ms: 0, ring_ms: 1000, anomalies: ['time_conflict'] });
    expect(fold(rest({ result: 'cancel', start_at: sec(0), end_at: sec(25 * HOUR) }))).toMatchObject({
      ring_ms: 0,
      anomalies: ['time_conflict'],
    });
  });
  test.each([
    ['not_answer', true, true],
    ['cancel', false, true],
    ['call_busy', false, true],
    ['reject', false, false],
    ['interrupt', false, false],
    ['normal_end', false, false],
  ])('%s is missed: %s, inclusive: %s', (result, missed, missed_inclusive) => {
    expect(fold(START, rest({ result }))).toMatchObject({ missed, missed_inclusive });
  });
  test('status is ringing, then active, then ended', () => {
    expect(fold(...ANSWERED.slice(0, 2)).status).toBe('ringing');
    expect(fold(...ANSWERED.slice(0, 3)).status).toBe('active');
    expect(fold(...ANSWERED.slice(0, 5)).status).toBe('ended');
  });
});

describe('descriptive fields', () => {
  test("total_users is the largest of TotalNum, the record's total and the legs seen", () => {
    expect(fold(START, ev(1, 'b', 'receive_call', { total_num: 4 }), rest({ total_users: 3 })).total_users).toBe(4);
    expect(fold(START, rest({ total_users: 3 })).total_users).toBe(3);
    expect(fold(START, rest({ users: ['b', 'c', 'd'] })).total_users).toBe(4);
  });
  test('room, media type and call type each come from the earliest event that has one', () => {
    const facts = fold(
      ev(1, 'a', 'start_call'),
      ev(3, 'a', 'call_accepted', { room_id: 'late', media_type: 'audio', call_type: 'single' }),
      ev(2, 'b', 'accept_call', { room_id: 'early', media_type: 'video' }),
      rest({ room_id: 'record', call_type: 'group' }),
    );
    expect(facts).toMatchObject({ room_id: 'early', media_type: 'video', call_type: 'single' });
  });
  test('ties go to the smaller user, then to the smaller event', () => {
    expect(fold(ev(1, 'b', 'accept_call', { room_id: 'of-b' }), ev(1, 'a', 'receive_call', { room_id: 'of-a' })).room_id).toBe('of-a');
    expect(fold(ev(1, 'a', 'receive_call', { room_id: 'rings' }), ev(1, 'a', 'accept_call', { room_id: 'accepts' })).room_id).toBe(
      'accepts',
    );
  });
  test('an event of unknown time stands at its arrival', () => {
    const late = ev(null, 'a', 'start_call', { room_id: 'unknown', received_at: sec(5) });
    expect(fold(late, ev(4, 'a', 'receive_call', { room_id: 'four' })).room_id).toBe('four');
    expect(fold(late, ev(6, 'a', 'receive_call', { room_id: 'six' })).room_id).toBe('unknown');
  });
  test('later events do not override', () => {
    const one = { room_id: 'b', media_type: 'video', call_type: 'single' } as const;
    const other = { room_id: 'a', media_type: 'audio', call_type: 'group' } as const;
    expect(fold(ev(1, 'a', 'start_call', one), ev(2, 'a', 'call_accepted', other))).toMatchObject(one);
  });
  test('of one event with and without EventTime at the same moment, the one with EventTime goes first', () => {
    const timed = ev(5, 'a', 'start_call', { room_id: 'timed' });
    const untimed = ev(null, 'a', 'start_call', { room_id: 'untimed', received_at: sec(5) });
    const state = stateOf(timed, untimed);
    expect(deriveCall(state).room_id).toBe('timed');
    expect(deriveCall({ ...state, events: state.events.toReversed() }).room_id).toBe('timed');
  });
  test('without events that have one, they come from the record', () => {
    const facts = fold(START, rest({ room_id: 'r', media_type: 'video', call_type: 'group' }));
    expect(facts).toMatchObject({ room_id: 'r', media_type: 'video', call_type: 'single' });
  });
  test('sources lists what was used', () => {
    expect(fold(rest({})).sources).toEqual(['record']);
    expect(fold(status({}), START).sources).toEqual(['event', 'status']);
    expect(fold(status({}), rest({}), START).sources).toEqual(['event', 'record']);
  });
});

describe('anomalies', () => {
  const end = ev(60, 'alice', 'call_end');
  const cases: [string, CallInput[], string[]][] = [
    ['none in an ordinary call', ANSWERED, []],
    ['missing_start without start_call and record', ANSWERED.slice(1), ['missing_start']],
    ['no missing_start with a record', [...ANSWERED.slice(1), rest({})], []],
    ['missing_accept when answered at an unknown time', [START, end], ['missing_accept']],
    [
      'missing_end when the record ends it but nothing tells when',
      [...ANSWERED.slice(0, 4), rest({ result: 'normal_end' })],
      ['missing_end'],
    ],
    ['no missing_end of an unanswered call', [START, rest({ result: 'cancel' })], []],
    [
      'no missing_end when the status callback tells its time',
      [...ANSWERED.slice(0, 4), status({ result: 'normal_end', event_at: sec(9) })],
      [],
    ],
    ['accept_before_start', [START, ev(-1, 'bob', 'accept_call')], ['accept_before_start']],
    ['none when it was accepted the moment it started', [START, ev(0, 'bob', 'accept_call')], []],
    ['time_conflict of start_call and StartCallTs', [ev(0, 'alice', 'start_call', { start_call_ts: sec(-HOUR) - 1 })], ['time_conflict']],
    ['no time_conflict at exactly an hour', [ev(0, 'alice', 'start_call', { start_call_ts: sec(-HOUR) })], []],
    ['time_conflict of accept and AcceptTs', [START, ev(0, 'bob', 'accept_call', { accept_ts: sec(HOUR) + 1 })], ['time_conflict']],
    ['time_conflict of call_end and EndTs', [...ANSWERED, ev(66, 'bob', 'invite_user', { end_ts: sec(HOUR + 65) + 1 })], ['time_conflict']],
    [
      'record_conflict when the events say another outcome',
      [START, ev(9, 'alice', 'call_missed'), rest({ result: 'cancel' })],
      ['record_conflict'],
    ],
    ['no record_conflict when they say the same', [START, ev(9, 'alice', 'call_missed'), rest({ result: 'not_answer' })], []],
    ['no record_conflict when they say nothing', [START, rest({ result: 'not_answer' })], []],
    ['no record_conflict of a record without a result that changes nothing', [GROUP, ev(9, 'bob', 'not_answer_call'), rest({})], []],
    [
      'record_conflict with a caller that only the record knows',
      [ev(9, 'bob', 'call_interrupted'), rest({ result: 'cancel', caller: 'bob' })],
      ['record_conflict'],
    ],
  ];
  test.each(cases)('%s', (_, inputs, anomalies) => {
    expect(fold(...inputs).anomalies).toEqual(anomalies);
  });
  test('missing_end of an answered call that only a timeout closed', () => {
    expect(foldTimedOut(...ANSWERED.slice(0, 4)).anomalies).toEqual(['missing_end']);
    expect(foldTimedOut(START).anomalies).toEqual([]);
  });
  test('several are listed in a fixed order', () => {
    const facts = fold(
      ev(5, 'bob', 'accept_call', { start_call_ts: sec(6) }),
      ev(1, 'bob', 'call_end'),
      rest({ result: 'cancel' }),
      ev(3, 'a', 'call_end'),
    );
    expect(facts.anomalies).toEqual(['end_before_accept', 'accept_before_start', 'record_conflict']);
  });
});
