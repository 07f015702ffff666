import { describe, expect, test } from 'vitest';
import type { CallInput } from '../../src/domain/types.js';
import type { EventName, Outcome } from '../../src/domain/vocabulary.js';
import { ANSWERED, ev, fold, foldTimedOut, leg, media, rest, sec } from '../support/calls.js';

const START = ev(0, 'alice', 'start_call', { role: 'caller', call_type: 'group', total_num: 3 });
const SINGLE = ev(0, 'alice', 'start_call', { role: 'caller', call_type: 'single', total_num: 2 });

describe('legs', () => {
  test('one per user seen in callback events or listed in the record, sorted by user', () => {
    const facts = fold(ev(0, 'bob', 'receive_call'), rest({ caller: 'alice', users: ['carol', 'bob', '😀', '\uffee', ''] }));
    expect(facts.legs.map((each) => each.user_id)).toEqual(['alice', 'bob', 'carol', '😀', '\uffee']);
    expect(facts.callees).toEqual(['bob', 'carol', '😀', '\uffee']);
  });

  test('an event without UserId belongs to the call but to no leg', () => {
    const facts = fold(ev(0, '', 'start_call', { role: 'caller', room_id: 'r' }), ev(1, 'bob', 'receive_call'));
    expect(facts.legs.map((each) => each.user_id)).toEqual(['bob']);
    expect(facts).toMatchObject({ caller: '', started_at: sec(0), room_id: 'r' });
  });
});

describe('the caller', () => {
  const cases: [string, CallInput[], string][] = [
    [
      'is the user of the earliest start_call with Role caller',
      [ev(2, 'a', 'start_call', { role: 'caller' }), ev(1, 'b', 'start_call', { role: 'caller' })],
      'b',
    ],
    [
      'is not the user of an earlier event with Role caller',
      [ev(0, 'a', 'call_end', { role: 'caller' }), ev(1, 'b', 'start_call', { role: 'caller' })],
      'b',
    ],
    ['is not the user of a start_call without Role caller', [ev(0, 'a', 'start_call'), ev(1, 'b', 'call_end', { role: 'caller' })], 'b'],
    [
      'is else the user of the earliest event with Role caller',
      [ev(2, 'a', 'call_end', { role: 'caller' }), ev(1, 'b', 'call_missed', { role: 'caller' })],
      'b',
    ],
    ['is the smaller id on a tie', [ev(1, 'b', 'start_call', { role: 'caller' }), ev(1, 'a', 'start_call', { role: 'caller' })], 'a'],
    ['is else the caller of the record', [ev(1, 'b', 'start_call'), rest({ caller: 'zoe' })], 'zoe'],
    ["is the events' word against the record's", [ev(1, 'b', 'start_call', { role: 'caller' }), rest({ caller: 'zoe' })], 'b'],
    ['is else unknown', [ev(1, 'b', 'start_call')], ''],
    [
      'is a user: an event without one names nobody',
      [ev(1, '', 'start_call', { role: 'caller' }), ev(2, 'b', 'call_end', { role: 'caller' })],
      'b',
    ],
  ];
  test.each(cases)('%s', (_, inputs, caller) => {
    const facts = fold(...inputs);
    expect(facts.caller).toBe(caller);
    for (const each of facts.legs) expect(each.role).toBe(each.user_id === caller ? 'caller' : 'callee');
  });
});

describe('times of a leg', () => {
  test('rang_at is the earliest receive_call', () => {
    expect(leg(fold(ev(3, 'bob', 'receive_call'), ev(2, 'bob', 'receive_call')), 'bob').rang_at).toBe(sec(2));
  });

  test('a callee joins at the earliest accept_call or join_in_group_call', () => {
    expect(leg(fold(START, ev(4, 'bob', 'accept_call'), ev(3, 'bob', 'join_in_group_call')), 'bob').joined_at).toBe(sec(3));
  });

  test('a callee of an answered single call who is silent, or only hung up, joined when it was accepted', () => {
    const silent = fold(SINGLE, ev(1, 'bob', 'receive_call'), ev(5, 'alice', 'call_accepted'));
    expect(leg(silent, 'bob').joined_at).toBe(sec(5));
    const hungUp = fold(SINGLE, ev(5, 'alice', 'call_accepted'), ev(9, 'bob', 'call_end'));
    expect(leg(hungUp, 'bob')).toMatchObject({ joined_at: sec(5), left_at: sec(9), talk_ms: 4000, outcome: 'answered' });
  });

  test('not so a callee with another outcome, nor one of a group', () => {
    expect(leg(fold(SINGLE, ev(5, 'alice', 'call_accepted'), ev(6, 'bob', 'reject_call')), 'bob').joined_at).toBeNull();
    expect(leg(fold(START, ev(5, 'alice', 'call_accepted'), ev(6, 'bob', 'receive_call')), 'bob').joined_at).toBeNull();
  });

  test('the caller joins at the earliest call_accepted, else, when answered, at accepted_at', () => {
    expect(
      leg(fold(START, ev(4, 'bob', 'accept_call'), ev(6, 'alice', 'call_accepted'), ev(5, 'alice', 'call_accepted')), 'alice').joined_at,
    ).toBe(sec(5));
    expect(leg(fold(START, ev(4, 'bob', 'accept_call')), 'alice').joined_at).toBe(sec(4));
    expect(leg(fold(START, ev(4, 'bob', 'reject_call')), 'alice').joined_at).toBeNull();
    expect(leg(fold(SINGLE, rest({ result: 'cancel', accept_at: sec(3) })), 'alice').joined_at).toBeNull();
  });

  test('an accept_call of the caller is no call_accepted', () => {
    const facts = fold(SINGLE, ev(4, 'alice', 'accept_call'), rest({ result: 'normal_end', accept_at: sec(3) }));
    expect(leg(facts, 'alice').joined_at).toBe(sec(3));
  });

  test('a leg leaves at its latest call_end or call_interrupted', () => {
    const facts = fold(
      START,
      ev(1, 'bob', 'accept_call'),
      ev(5, 'bob', 'call_interrupted'),
      ev(7, 'bob', 'call_end'),
      ev(6, 'bob', 'call_end'),
    );
    expect(leg(facts, 'bob').left_at).toBe(sec(7));
  });

  test('a joined leg that tells no end leaves with the call, once that is over', () => {
    const inputs = [SINGLE, ev(5, 'bob', 'accept_call')];
    expect(leg(fold(...inputs), 'bob').left_at).toBeNull();
    const facts = fold(...inputs, ev(65, 'alice', 'call_end'));
    expect(leg(facts, 'bob')).toMatchObject({ left_at: sec(65), talk_ms: 60_000 });
  });

  test('a leg that never joined has no end', () => {
    const facts = fold(START, ev(5, 'bob', 'accept_call'), ev(6, 'carol', 'receive_call'), ev(9, 'bob', 'call_end'));
    expect(facts.status).toBe('ended');
    expect(leg(facts, 'carol').left_at).toBeNull();
  });

  test('talk time is never negative', () => {
    const facts = fold(START, ev(1, 'bob', 'call_end'), ev(5, 'bob', 'join_in_group_call'));
    expect(leg(facts, 'bob')).toMatchObject({ joined_at: sec(5), left_at: sec(1), talk_ms: 0 });
  });

  test("platform is that of the user's earliest event that has one", () => {
    const facts = fold(
      ev(1, 'bob', 'receive_call'),
      ev(3, 'bob', 'call_end', { platform: 'Web' }),
      ev(2, 'bob', 'accept_call', { platform: 'iOS' }),
    );
    expect(leg(facts, 'bob').platform).toBe('iOS');
  });
});

describe('the outcome of a callee', () => {
  const own: [EventName[], Outcome][] = [
    [['accept_call'], 'answered'],
    [['join_in_group_call'], 'answered'],
    [['call_end'], 'answered'],
    [['accept_call', 'call_interrupted'], 'answered'],
    [['not_answer_call', 'call_end'], 'answered'],
    [['not_answer_call'], 'no_answer'],
    [['reject_call'], 'rejected'],
    [['ignore_call'], 'busy'],
    [['call_canceled'], 'cancelled'],
    [['call_interrupted'], 'failed'],
    [['receive_call', 'call_missed'], 'unknown'],
  ];
  test.each(own)('after %j it is %s', (events, outcome) => {
    const facts = fold(START, ev(0, 'carol', 'receive_call'), ...events.map((event, i) => ev(i + 1, 'bob', event)));
    expect(leg(facts, 'bob').outcome).toBe(outcome);
  });

  test('the latest refusal decides', () => {
    expect(leg(fold(START, ev(1, 'bob', 'ignore_call'), ev(3, 'bob', 'reject_call'), ev(2, 'bob', 'not_answer_call')), 'bob').outcome).toBe(
      'rejected',
    );
  });

  test('on a tie the first listed decides', () => {
    const listed: [EventName, Outcome][] = [
      ['not_answer_call', 'no_answer'],
      ['reject_call', 'rejected'],
      ['ignore_call', 'busy'],
      ['call_canceled', 'cancelled'],
      ['call_interrupted', 'failed'],
    ];
    for (let first = 0; first < listed.length; first++) {
      const tied = listed.slice(first).map(([event]) => ev(1, 'bob', event));
      expect(leg(fold(START, ...tied), 'bob').outcome).toBe(listed[first]![1]);
      expect(leg(fold(START, ...tied.toReversed()), 'bob').outcome).toBe(listed[first]![1]);
    }
  });

  test('a silent callee of a single call that is over has the outcome of the call', () => {
    const facts = fold(SINGLE, ev(1, 'bob', 'receive_call'), ev(9, 'alice', 'call_missed'));
    expect(leg(facts, 'bob')).toMatchObject({ outcome: 'no_answer', missed: true, missed_inclusive: true });
  });

  test('a silent callee of a group, or of a call that is not over, is unknown', () => {
    expect(leg(fold(START, ev(1, 'bob', 'receive_call'), ev(9, 'alice', 'call_missed')), 'bob').outcome).toBe('unknown');
    expect(leg(fold(SINGLE, ev(1, 'bob', 'receive_call'), ev(2, 'alice', 'call_accepted')), 'bob').outcome).toBe('unknown');
  });

  test('the caller has the outcome of the call and is never missed', () => {
    const facts = fold(SINGLE, ev(9, 'alice', 'call_missed'), ev(9, 'alice', 'not_answer_call'));
    expect(leg(facts, 'alice')).toMatchObject({ role: 'caller', outcome: 'no_answer', missed: false, missed_inclusive: false });
    expect(leg(fold(SINGLE, ev(9, 'alice', 'reject_call')), 'alice').outcome).toBe('unknown');
  });

  test.each([
    ['not_answer_call', true, true],
    ['ignore_call', false, true],
    ['call_canceled', false, true],
    ['reject_call', false, false],
    ['call_interrupted', false, false],
  ] as const)('after %s a leg of a call that is over is missed: %s, inclusive: %s', (event, missed, inclusive) => {
    const inputs = [START, ev(2, 'bob', event)];
    expect(leg(fold(...inputs), 'bob')).toMatchObject({ missed: false, missed_inclusive: false });
    expect(leg(foldTimedOut(...inputs), 'bob')).toMatchObject({ missed, missed_inclusive: inclusive });
  });

  test('a group call that someone answered is not missed, its silent legs may be', () => {
    const facts = fold(START, ev(2, 'bob', 'accept_call'), ev(30, 'carol', 'not_answer_call'), ev(60, 'alice', 'call_end'));
    expect(facts).toMatchObject({ status: 'ended', outcome: 'answered', missed: false });
    expect(leg(facts, 'carol').missed).toBe(true);
  });
});

describe('media', () => {
  const ENTER = 5003;
  const EXIT = 5008;
  const of = (...inputs: CallInput[]) => leg(fold(...ANSWERED, ...inputs), 'bob');

  test('media_joined_at is the first entry that succeeded, native or web', () => {
    expect(
      of(
        media('bob', [
          [9, ENTER, 1],
          [6, ENTER, 1],
          [5, ENTER, 0],
          [7, 32788],
        ]),
      ).media_joined_at,
    ).toBe(sec(6));
    expect(
      of(
        media('bob', [
          [9, ENTER, 1],
          [4, 32788],
        ]),
      ).media_joined_at,
    ).toBe(sec(4));
  });
  test('media_left_at is the last exit: a successful one, a web one, or a room exit of any kind', () => {
    expect(
      of(
        media('bob', [
          [60, EXIT, 1],
          [70, EXIT, 0],
        ]),
      ).media_left_at,
    ).toBe(sec(60));
    expect(
      of(
        media('bob', [
          [60, EXIT, 1],
          [61, 32789],
        ]),
      ).media_left_at,
    ).toBe(sec(61));
    expect(
      of(
        media('bob', [
          [60, EXIT, 1],
          [62, 7001, 2],
        ]),
      ).media_left_at,
    ).toBe(sec(62));
  });
  test('media_drops counts every lost connection', () => {
    expect(
      of(
        media('bob', [
          [10, 5005],
          [11, 32790],
          [12, 32792],
          [13, 36864],
          [13, 36864],
          [14, 32791],
        ]),
      ).media_drops,
    ).toBe(5);
  });
  test('only events within five minutes of the call count', () => {
    const poll = media('bob', [
      [-300, ENTER, 1],
      [365, EXIT, 1],
      [-301, 5005],
      [366, 5005],
    ]);
    expect(of(poll)).toMatchObject({ media_joined_at: sec(-300), media_left_at: sec(365), media_drops: 0 });
  });
  test('an open call has no end to be far from', () => {
    expect(leg(fold(...ANSWERED.slice(0, 4), media('bob', [[9999, 5005]])), 'bob').media_drops).toBe(1);
  });
  test('the newest poll that is not empty wins as a whole', () => {
    const old = media(
      'bob',
      [
        [10, 5005],
        [11, 5005],
      ],
      { received_at: sec(80) },
    );
    const newer = media('bob', [[12, 5005]], { received_at: sec(81) });
    const empty = media('bob', [], { received_at: sec(82) });
    expect(of(old, newer, empty)).toMatchObject({ media_drops: 1 });
  });
  test('equally new, the larger bytes win', () => {
    expect(
      of(media('bob', [[10, 5005]], { text: '"😀"' }), media('bob', [], { text: '\uffee' }), media('bob', [[1, 7]], { text: '"\uffee"' }))
        .media_drops,
    ).toBe(1);
  });
  test('bytes decide between equally new polls only', () => {
    const poll = (text: string, drops: number, received: number) =>
      media(
        'bob',
        Array.from({ length: drops }, (_, i): [number, number] => [10 + i, 5005]),
        { text, received_at: sec(received) },
      );
    expect(of(poll('a', 1, 80), poll('b', 2, 80)).media_drops).toBe(2);
    expect(of(poll('a', 1, 81), poll('b', 2, 80)).media_drops).toBe(1);
  });
  test('polls of somebody who is no user of the call say nothing', () => {
    const facts = fold(...ANSWERED, media('zoe', [[10, 5005]]));
    expect(facts.legs).toHaveLength(2);
    expect(facts.sources).toEqual(['event']);
  });
  test('media is a source when an event of a winning poll counts', () => {
    expect(fold(...ANSWERED, media('bob', [[10, 1003]])).sources).toEqual(['event', 'media']);
    expect(fold(...ANSWERED, media('bob', [[9999, 5005]])).sources).toEqual(['event']);
  });
});
