import { describe, expect, it } from 'vitest';
import { type PresenceEvent, presenceOf } from '../../src/domain/channel.js';
import { deriveSession, mergedFacts } from '../../src/domain/channel-facts.js';
import { type KnownName, nameAll } from '../../src/domain/channel-names.js';
import { reachOf, sessionsOf } from '../../src/domain/channel-sessions.js';

const MINUTE = 60_000;
const DAY = 1_440;
const T0 = Date.UTC(2026, 0, 15, 10);
const TIMES = { channelGap: 5 * MINUTE, maxCall: 12 * 60 * MINUTE };

/** `at`: minutes after T0. The id says all. */
const event = (kind: 'join' | 'leave', user_id: string, at: number, session_id = 's'): PresenceEvent => ({
  id: `${kind} ${user_id}${session_id} ${at}`,
  event: kind,
  user_id,
  session_id,
  event_at: T0 + at * MINUTE,
  received_at: T0 + at * MINUTE + 100,
});
const join = (user: string, at: number, session?: string) => event('join', user, at, session);
const leave = (user: string, at: number, session?: string) => event('leave', user, at, session);

const minute = (t: number | null) => (t === null ? null : (t - T0) / MINUTE);
/** Start, accept, end, and minutes talked; of each leg the user, when it came and went, and what became of it. */
const facts = (...events: PresenceEvent[]) =>
  sessionsOf(events, TIMES).sessions.map((session) => {
    const f = deriveSession('room', session, true);
    return [
      ...[f.started_at, f.accepted_at, f.ended_at].map(minute),
      f.talk_ms / MINUTE,
      f.end_reason,
      f.legs.map((l) => `${l.user_id} ${minute(l.joined_at)}-${minute(l.left_at)} ${l.outcome}`).join(', '),
    ];
  });

describe('presence', () => {
  it('is what Join and Leave of somebody say, and nothing else', () => {
    const input = { event: 'join', user_id: 'a', session_id: 's', event_at: T0, polled: true, undelivered: false, received_at: T0 + 1 };
    expect(presenceOf(input, 'id')).toEqual({ id: 'id', event: 'join', user_id: 'a', session_id: 's', event_at: T0, received_at: T0 + 1 });
    expect(presenceOf({ ...input, event: 'leave' }, 'id')?.event).toBe('leave');
    expect(presenceOf({ ...input, event: 'publish' }, 'id')).toBeNull();
    expect(presenceOf({ ...input, user_id: '' }, 'id')).toBeNull();
  });
});

describe('the sessions of a channel', () => {
  it('tell who was there with whom', () => {
    expect(facts(join('a', 0), join('b', 2), leave('a', 5), join('c', 7), leave('b', 7), leave('c', 9))).toEqual([
      [0, 2, 9, 3, 'normal', 'a 0-5 answered, b 2-7 answered, c 7-9 unknown'],
    ]);
    expect(facts(join('a', 0), leave('a', 3))).toEqual([[0, null, 3, 0, 'unknown', 'a 0-3 unknown']]);
    expect(sessionsOf([], TIMES)).toEqual({ sessions: [], strays: [] });
  });

  it('do not take one user with two connections for two', () => {
    expect(facts(join('a', 0, '1'), join('a', 1, '2'), leave('a', 2, '1'), leave('a', 4, '2'))).toEqual([
      [0, null, 4, 0, 'unknown', 'a 0-4 unknown'],
    ]);
  });

  it('join gaps of up to channelGap', () => {
    expect(facts(join('a', 0), leave('a', 1), join('b', 6), leave('b', 7), join('a', 13), leave('a', 14))).toEqual([
      [0, null, 7, 0, 'unknown', 'a 0-1 unknown, b 6-7 unknown'],
      [13, null, 14, 0, 'unknown', 'a 13-14 unknown'],
    ]);
  });

  it('end an open Join at the user’s next Join, of whatever SessionId', () => {
    expect(facts(join('a', 0, '1'), join('b', 1), leave('b', 60), join('a', 30, '2'), leave('a', 40, '2'))).toEqual([
      [0, 1, 60, 39, 'normal', 'a 0-40 answered, b 1-60 answered'],
    ]);
  });

  it('end one that has no next Join at the latest event before maxCall', () => {
    const open = [join('a', 0), join('b', 1), leave('b', 2)];
    expect(facts(...open)).toEqual([[0, 1, 2, 1, 'timed_out', 'a 0-2 answered, b 1-2 answered']]);
    expect(facts(...open, join('a', 2 + 720))).toEqual([[0, 1, 722, 1, 'timed_out', 'a 0-722 answered, b 1-2 answered']]);
    expect(facts(...open, join('a', 2 + 721), leave('a', 730))).toEqual([
      [0, 1, 2, 1, 'timed_out', 'a 0-2 answered, b 1-2 answered'],
      [723, null, 730, 0, 'unknown', 'a 723-730 unknown'],
    ]);
    // The last one to come is there with the one who never left.
    expect(facts(join('a', 0), join('b', 1))).toEqual([[0, 1, 1, 0, 'timed_out', 'a 0-1 answered, b 1-1 answered']]);
  });

  it('are not closed by maxCall while somebody is known to be there', () => {
    expect(facts(join('a', 0), join('b', 0), leave('b', 1_000))).toEqual([
      [0, 0, 1_000, 1_000, 'timed_out', 'a 0-1000 answered, b 0-1000 answered'],
    ]);
  });

  it('believe a Leave up to seven days after its Join', () => {
    expect(facts(join('a', 0), leave('a', 7 * DAY))).toEqual([[0, null, 7 * DAY, 0, 'unknown', `a 0-${7 * DAY} unknown`]]);
    expect(facts(join('a', 0), leave('a', 7 * DAY + 1))).toEqual([[0, null, 0, 0, 'timed_out', 'a 0-0 unknown']]);
  });

  it.each([
    ['comes back at once', [join('a', 0), leave('a', 2), join('a', 2), leave('a', 4)], 'a 0-4'],
    ['goes at once', [join('a', 2), leave('a', 2), join('a', 4), leave('a', 5)], 'a 2-5'],
    ['comes and goes twice', [join('a', 2), leave('a', 2), join('a', 2, '2'), leave('a', 2, '2')], 'a 2-2'],
  ])('see a user who %s', (_, events, leg) => {
    expect(facts(...events)).toMatchObject([[expect.anything(), null, expect.anything(), 0, 'unknown', `${leg} unknown`]]);
  });

  it('let a Leave without a Join open nothing, and keep it with the session that it came in or after', () => {
    const events = [join('a', 10), leave('a', 20), leave('b', 9), leave('b', 10), leave('c', 25), leave('a', 26)];
    const { sessions, strays } = sessionsOf(events, TIMES);
    expect(sessions.map((s) => s.strays.map((e) => e.id))).toEqual([['leave bs 10', 'leave cs 25']]);
    expect(strays.map((e) => e.id)).toEqual(['leave bs 9', 'leave as 26']);
    expect(sessionsOf([leave('a', 0)], TIMES)).toMatchObject({ sessions: [], strays: [{ id: 'leave as 0' }] });
  });

  it('take an unknown time for the arrival', () => {
    const unknown = { ...join('a', 0), event_at: null, received_at: T0 + 7 * MINUTE };
    expect(facts(unknown, leave('a', 9))).toEqual([[7, null, 9, 0, 'unknown', 'a 7-9 unknown']]);
  });

  it('are over when nobody has been there for channelGap, or nothing has come for maxCall; a time ahead of its arrival counts as that', () => {
    const overAt = (...events: PresenceEvent[]) => sessionsOf(events, TIMES).sessions.map((s) => minute(s.overAt));
    expect(overAt(join('a', 0), leave('a', 10))).toEqual([15]);
    expect(overAt(join('a', 0))).toEqual([720]);
    expect(overAt({ ...join('a', 0), received_at: T0 - 60 * MINUTE })).toEqual([660]);
    expect(overAt(join('a', 0), { ...leave('a', 10), received_at: T0 })).toEqual([5]);
  });

  it('may be touched by a Join until then', () => {
    expect(sessionsOf([join('a', 0), leave('a', 10), join('b', 20)], TIMES).sessions.map((s) => minute(reachOf(s, TIMES)))).toEqual([
      15, 740,
    ]);
  });

  it('have no end while they are not over, nor has who is still there', () => {
    const [session] = sessionsOf([join('a', 0), join('b', 1), leave('b', 2)], TIMES).sessions;
    expect(deriveSession('room', session!, false)).toMatchObject({
      ...{ status: 'active', outcome: 'answered', end_reason: '', ended_at: null, ring_ms: MINUTE, talk_ms: 0, room_id: 'room' },
      legs: [
        { user_id: 'a', joined_at: T0, left_at: null, talk_ms: 0, role: 'callee', missed: false },
        { user_id: 'b', joined_at: T0 + MINUTE, left_at: T0 + 2 * MINUTE, talk_ms: MINUTE },
      ],
    });
    const [alone] = sessionsOf([join('a', 0)], TIMES).sessions;
    expect(deriveSession('room', alone!, false)).toMatchObject({ status: 'ringing', outcome: 'unknown', accepted_at: null, ring_ms: 0 });
  });

  it('that are no more say nothing', () => {
    expect(mergedFacts('room', T0)).toMatchObject({
      status: 'ended',
      end_reason: 'merged',
      started_at: T0,
      ended_at: T0,
      legs: [],
      total_users: 0,
    });
  });
});

describe('the names of sessions', () => {
  const known = (names: Record<string, [KnownName['kind'], number]>) =>
    new Map(Object.entries(names).map(([name, [kind, first_seen_at]]) => [name, { kind, first_seen_at }]));
  const named = (events: PresenceEvent[], names: Parameters<typeof known>[0], arrivals: string[] = []) =>
    Object.fromEntries([...nameAll(sessionsOf(events, TIMES), known(names), arrivals)].map(([name, { kind }]) => [name, kind]));
  const a = [join('a', 0), leave('a', 10)];
  const b = [join('b', 20), leave('b', 30)];
  const bridge = [join('c', 9), leave('c', 21)];

  it('is that of the first event seen, where all of it is new', () => {
    expect(named(a, {}, ['leave as 10', 'join as 0'])).toEqual({ 'leave as 10': 'session' });
    expect(named([...a, ...b], {}, ['join bs 20', 'join as 0', 'leave as 10', 'leave bs 30'])).toEqual({
      'join as 0': 'session',
      'join bs 20': 'session',
    });
  });

  it('stays', () => {
    expect(named([...a, join('c', 3)], { 'leave as 10': ['session', 5] }, ['join cs 3'])).toEqual({ 'leave as 10': 'session' });
  });

  it('is the elder’s of two that have become one, by when they were first seen', () => {
    const all = [...a, ...b, ...bridge];
    expect(named(all, { 'join as 0': ['session', 7], 'join bs 20': ['session', 6] })).toEqual({
      'join bs 20': 'session',
      'join as 0': 'nothing',
    });
    expect(named(all, { 'join as 0': ['session', 6], 'join bs 20': ['session', 6] })).toEqual({
      'join as 0': 'session',
      'join bs 20': 'nothing',
    });
  });

  it('is a session’s rather than that of a Leave which stood alone, whose it is otherwise', () => {
    expect(named(a, { 'join as 0': ['session', 7], 'leave as 10': ['stray', 1] })).toEqual({
      'join as 0': 'session',
      'leave as 10': 'nothing',
    });
    expect(named(a, { 'leave as 10': ['stray', 1] }, ['join as 0'])).toEqual({ 'leave as 10': 'session' });
  });

  it('stays with the naming event when a session is split; the other part takes its earliest Join’s, and no name that has stood for nothing', () => {
    const names = { 'join bs 20': ['session', 1], 'leave as 10': ['nothing', 2] } satisfies Parameters<typeof known>[0];
    expect(named([...a, ...b], names)).toEqual({ 'join bs 20': 'session', 'join as 0': 'session', 'leave as 10': 'nothing' });
  });

  it('is a Leave’s own where it stands alone, or does so again', () => {
    expect(named([leave('a', 0)], {}, ['leave as 0'])).toEqual({ 'leave as 0': 'stray' });
    // Its Join has another Leave now.
    const again = [join('a', 0), leave('a', 1), leave('a', 10)];
    expect(named(again, { 'leave as 10': ['session', 3] }, ['leave as 1'])).toEqual({ 'leave as 10': 'stray', 'join as 0': 'session' });
    expect(named([join('a', 0), leave('a', 6), leave('a', 10)], { 'leave as 10': ['session', 3] }, ['leave as 6'])).toEqual({
      'leave as 10': 'nothing',
      'join as 0': 'session',
    });
  });
});
