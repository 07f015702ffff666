import { describe, expect, test } from 'vitest';
import { canonicalResult, winningRecord } from '../../src/domain/record.js';
import { addInput } from '../../src/domain/state.js';
import type { EventInput } from '../../src/domain/types.js';
import { ev, fold, media, rest, sec, stateOf, status } from '../support/calls.js';

describe('the set of inputs', () => {
  test('a new event changes the set, a repeat does not', () => {
    const state = stateOf();
    expect(addInput(state, ev(0, 'alice', 'start_call'))).toBe(true);
    expect(addInput(state, ev(0, 'alice', 'start_call'))).toBe(false);
    expect(addInput(state, ev(0, 'alice', 'start_call', { received_at: sec(9) }))).toBe(false);
    expect(state.events).toHaveLength(1);
  });

  test('user, event and time make an event; ids are never lower-cased', () => {
    const state = stateOf(
      ev(0, 'alice', 'start_call'),
      ev(0, 'Alice', 'start_call'),
      ev(0, 'alice', 'receive_call'),
      ev(1, 'alice', 'start_call'),
      ev(null, 'alice', 'start_call'),
    );
    expect(state.events).toHaveLength(5);
  });

  test('events of unknown time are one event whenever they arrive', () => {
    const state = stateOf(ev(null, 'alice', 'start_call', { received_at: sec(5) }));
    expect(addInput(state, ev(null, 'alice', 'start_call', { received_at: sec(7) }))).toBe(false);
    expect(addInput(state, ev(null, 'alice', 'start_call', { received_at: sec(3) }))).toBe(true);
    expect(state.events).toEqual([ev(null, 'alice', 'start_call', { received_at: sec(3) })]);
  });

  const merges: [string, Partial<EventInput>, Partial<EventInput>, Partial<EventInput>][] = [
    ['the smallest StartCallTs', { start_call_ts: sec(2) }, { start_call_ts: sec(1) }, { start_call_ts: sec(1) }],
    ['a known StartCallTs over an unknown one', { start_call_ts: null }, { start_call_ts: sec(1) }, { start_call_ts: sec(1) }],
    ['the smallest AcceptTs', { accept_ts: sec(2) }, { accept_ts: sec(1) }, { accept_ts: sec(1) }],
    ['the largest EndTs', { end_ts: sec(2) }, { end_ts: sec(3) }, { end_ts: sec(3) }],
    ['the largest TotalNum', { total_num: 2 }, { total_num: 5 }, { total_num: 5 }],
    ['caller over callee', { role: 'callee' }, { role: 'caller' }, { role: 'caller' }],
    ['caller over an odd role', { role: '' }, { role: 'caller' }, { role: 'caller' }],
    ['callee over an odd role', { role: '' }, { role: 'callee' }, { role: 'callee' }],
    ['the smaller room', { room_id: 'b' }, { room_id: 'a' }, { room_id: 'a' }],
    ['a room over none', { room_id: '' }, { room_id: 'z' }, { room_id: 'z' }],
    ['the smaller platform by UTF-16 code unit', { platform: '\uffee' }, { platform: '😀' }, { platform: '😀' }],
    ['the smaller media type', { media_type: 'video' }, { media_type: 'audio' }, { media_type: 'audio' }],
    ['the smaller call type', { call_type: 'single' }, { call_type: 'group' }, { call_type: 'group' }],
    ['the smaller result', { call_result: 'b' }, { call_result: 'a' }, { call_result: 'a' }],
    ['the smallest arrival', { received_at: sec(8) }, { received_at: sec(7) }, { received_at: sec(7) }],
  ];
  test.each(merges)('bodies of the same event merge: %s', (_, one, other, merged) => {
    const a = ev(0, 'alice', 'start_call', one);
    const b = ev(0, 'alice', 'start_call', other);
    const c = ev(0, 'alice', 'start_call', { ...one, ...other, ...merged, received_at: Math.min(a.received_at, b.received_at) });
    expect(stateOf(a, b).events).toEqual([c]);
    expect(stateOf(b, a).events).toEqual([c]);
    expect(a).toEqual(ev(0, 'alice', 'start_call', one));
  });

  test('equal records are one input with the smallest received_at', () => {
    const state = stateOf(rest({ result: 'cancel' }, { received_at: sec(9) }));
    expect(addInput(state, rest({ result: 'cancel' }, { received_at: sec(10) }))).toBe(false);
    expect(addInput(state, rest({ result: 'cancel' }, { received_at: sec(8) }))).toBe(true);
    expect(addInput(state, status({ result: 'cancel' }, { received_at: sec(8) }))).toBe(true);
    expect(state.records.map((each) => [each.origin, each.received_at])).toEqual([
      ['record', sec(8)],
      ['status', sec(8)],
    ]);
  });

  test('equal media polls of one user are one input', () => {
    const state = stateOf(media('bob', [[1, 5003, 1]]));
    expect(addInput(state, media('bob', [[1, 5003, 1]], { received_at: sec(95) }))).toBe(false);
    expect(addInput(state, media('bob', [[1, 5003, 1]], { received_at: sec(85) }))).toBe(true);
    expect(addInput(state, media('alice', [[1, 5003, 1]]))).toBe(true);
    expect(state.media).toHaveLength(2);
  });

  test('equal sets are equal states, whatever the order of arrival', () => {
    const inputs = [ev(3, 'b', 'receive_call'), ev(null, 'a', 'start_call'), ev(3, 'a', 'receive_call'), ev(1, 'z', 'call_end')];
    expect(stateOf(...inputs)).toEqual(stateOf(...inputs.toReversed()));
    expect(stateOf(...inputs).events.map((each) => each.user_id)).toEqual(['z', 'a', 'b', 'a']);
  });

  test('a call of a thousand users is folded in no time', () => {
    const users = Array.from({ length: 1000 }, (_, i) => `user-${(i * 7919) % 1000}`);
    const facts = fold(
      ev(0, 'user-0', 'start_call', { role: 'caller', call_type: 'group', total_num: 1000 }),
      ...users.flatMap((user, i) => [ev(i % 10, user, 'receive_call'), ev(10 + (i % 7), user, 'accept_call'), ev(99, user, 'call_end')]),
    );
    expect(facts.legs).toHaveLength(1000);
    expect(facts).toMatchObject({ outcome: 'answered', status: 'ended', total_users: 1000, ended_at: sec(99) });
    expect(facts.callees).toEqual([...facts.callees].sort());
  });
});

describe('the winning record', () => {
  const of = (...records: Parameters<typeof stateOf>) => winningRecord(stateOf(...records).records)?.fields.room_id;

  test('there is none without records', () => {
    expect(winningRecord([])).toBeNull();
  });
  test('a REST record wins over a newer status callback', () => {
    expect(of(rest({ room_id: 'rest' }, { received_at: sec(1) }), status({ room_id: 'status' }, { received_at: sec(2) }))).toBe('rest');
  });
  test('within a kind the newest by received_at wins', () => {
    expect(of(rest({ room_id: 'new' }, { received_at: sec(2) }), rest({ room_id: 'old', end_at: sec(9) }, { received_at: sec(1) }))).toBe(
      'new',
    );
  });
  test('a repeat does not make a record newer', () => {
    const old = rest({ room_id: 'old' }, { received_at: sec(1) });
    expect(of(old, rest({ room_id: 'new' }, { received_at: sec(2) }), { ...old, received_at: sec(3) })).toBe('new');
  });
  test('equally new, the larger end wins; a known end over none', () => {
    expect(of(rest({ room_id: 'z', end_at: sec(1) }), rest({ room_id: 'a', end_at: sec(2) }))).toBe('a');
    expect(of(rest({ room_id: 'z' }), rest({ room_id: 'a', end_at: sec(2) }))).toBe('a');
  });
  test('equally new with the same end, the larger bytes win: UTF-8, not UTF-16', () => {
    const emoji = rest({ room_id: 'emoji' }, { text: '"😀"' });
    const wide = rest({ room_id: 'wide' }, { text: '"\uffee"' });
    expect(emoji.text < wide.text).toBe(true);
    expect(of(emoji, wide)).toBe('emoji');
    expect(of(rest({ room_id: 'short' }, { text: 'ab' }), rest({ room_id: 'long' }, { text: 'abc' }))).toBe('long');
    expect(of(rest({ room_id: 'a' }, { text: '😀' }), rest({ room_id: 'b' }, { text: '😁' }))).toBe('b');
  });
  test('it wins as a whole: the losers fill no holes', () => {
    const facts = fold(
      rest({ result: 'cancel' }, { received_at: sec(2) }),
      rest(
        { result: 'normal_end', start_at: sec(0), end_at: sec(1), caller: 'alice', users: ['bob'], room_id: 'r' },
        { received_at: sec(1) },
      ),
      status({ result: 'reject', event_at: sec(3), users: ['carol'] }),
    );
    expect(facts).toMatchObject({
      outcome: 'cancelled',
      caller: '',
      legs: [],
      room_id: '',
      ended_at: null,
      started_at: sec(1),
      sources: ['record'],
    });
  });
});

test.each([
  ['NormalEnd', 'normal_end'],
  ['normal_end', 'normal_end'],
  ['Normal_end', 'normal_end'],
  ['CALLBUSY', 'call_busy'],
  ['Offline', 'offline'],
  ['NotAnswer', 'not_answer'],
  ['', ''],
  ['Some_Thing', 'some_thing'],
  ['constructor', 'constructor'],
])('the result %j is %j', (text, canonical) => {
  expect(canonicalResult(text)).toBe(canonical);
});
