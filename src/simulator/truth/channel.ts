import type { TruthCall } from './call.js';
import { order } from './least.js';
import type { TruthLeg } from './leg.js';
import type { ChannelReading } from './reading.js';

/**
 * The truth about the sessions of one channel: semantics.md "Channel sessions", from all deliveries of its events. Slow and plain: every stay is compared
 * with every other.
 */

export interface ChannelInput {
  reading: ChannelReading;
  received_at: number;
}

export interface ChannelTimes {
  channelGap: number;
  maxCall: number;
}

/** A session's record has all that a call's has but the name, which depends on arrivals. */
export interface TruthSession extends Omit<TruthCall, 'call_id' | 'times_out_at'> {
  /** {@link channelIdentity} of the Joins and Leaves that it is made of: it is named after one of them. */
  identities: string[];
  /** Stream time from which on it is over. */
  over_at: number;
}

/** One distinct Join or Leave. */
interface Move {
  identity: string;
  user: string;
  session: string;
  joins: boolean;
  at: number;
  received: number;
}

/** One user in the channel, [from, to). */
interface Stay {
  user: string;
  from: number;
  to: number;
  /** Nothing tells its end. */
  open: boolean;
  moves: Move[];
}

/** Same event = equal (channel, user, SessionId, event, ms), pushed or polled. */
export const channelIdentity = (r: ChannelReading): string => JSON.stringify([r.user_id, r.session_id, r.event, r.event_at]);

/** The sessions as they stand once stream time has passed `now` (epoch ms), by their start. */
export function sessionsOf(inputs: readonly ChannelInput[], times: ChannelTimes, now: number): TruthSession[] {
  return together(staysOf(movesOf(inputs), times), times.channelGap).map((stays) =>
    sessionOf(stays, inputs[0]!.reading.channel_id, times, now),
  );
}

/** Only Joins and Leaves of somebody make presence. */
function movesOf(inputs: readonly ChannelInput[]): Move[] {
  const moves = new Map<string, Move>();
  for (const { reading, received_at } of inputs) {
    if ((reading.event !== 'join' && reading.event !== 'leave') || reading.user_id === '') continue;
    const identity = channelIdentity(reading);
    const received = Math.min(received_at, moves.get(identity)?.received ?? received_at);
    moves.set(identity, {
      identity,
      user: reading.user_id,
      session: reading.session_id,
      joins: reading.event === 'join',
      at: reading.event_at ?? received,
      received,
    });
  }
  return [...moves.values()];
}

/**
 * A Leave ends the stay that the Join before it, of the same user and SessionId, began; one without such a Join opens nothing. Of one moment, the Leave comes
 * first if the user was there, else the Join. A stay without a Leave ends at the user's next Join, else at the latest event before the channel was silent
 * for maxCall.
 */
function staysOf(moves: readonly Move[], { maxCall }: ChannelTimes): Stay[] {
  const pairs: { join: Move; leave: Move | null }[] = [];
  const connections = new Map<string, Move[]>();
  for (const move of moves) {
    const key = JSON.stringify([move.user, move.session]);
    connections.set(key, [...(connections.get(key) ?? []), move]);
  }
  for (const connection of connections.values()) {
    let left = [...connection];
    let there: Move | null = null;
    while (left.length > 0) {
      const at = Math.min(...left.map((m) => m.at));
      // Of two that are else equal, the one that knows its time goes before the one that only arrived then: digits sort before null.
      const moment = left.filter((m) => m.at === at).sort((a, b) => order(a.identity, b.identity));
      left = left.filter((m) => m.at !== at);
      const joinFirst: boolean = there === null;
      const inOrder: Move[] = [...moment.filter((m) => m.joins === joinFirst), ...moment.filter((m) => m.joins !== joinFirst)];
      for (const move of inOrder) {
        if (move.joins) {
          if (there !== null) pairs.push({ join: there, leave: null });
          there = move;
        } else if (there !== null) {
          pairs.push({ join: there, leave: move });
          there = null;
        }
      }
    }
    if (there !== null) pairs.push({ join: there, leave: null });
  }
  const used = pairs.flatMap(({ join, leave }) => (leave === null ? [join] : [join, leave]));
  const somebodyStays = (at: number) => pairs.some(({ join, leave }) => leave !== null && join.at <= at && leave.at > at);
  /** Nothing happens for maxCall from then on, and nobody is known to be there. */
  const silentAfter = (at: number) => !somebodyStays(at) && !used.some((m) => m.at > at && m.at <= at + maxCall);
  const silences = used.map((m) => m.at).filter(silentAfter);
  return pairs.map(({ join, leave }): Stay => {
    const stay = { user: join.user, from: join.at };
    if (leave !== null) return { ...stay, to: leave.at, open: false, moves: [join, leave] };
    const latest = Math.min(...silences.filter((at) => at >= join.at));
    const nextJoin = nextJoinOf(
      join,
      pairs.map((p) => p.join),
    );
    if (nextJoin !== null && nextJoin <= latest) return { ...stay, to: nextJoin, open: false, moves: [join] };
    return { ...stay, to: latest, open: true, moves: [join] };
  });
}

/** When the same user joins again, under whatever SessionId. */
function nextJoinOf(join: Move, joins: readonly Move[]): number | null {
  const own = joins.filter((m) => m.user === join.user).sort((a, b) => a.at - b.at || order(a.identity, b.identity));
  return own[own.indexOf(join) + 1]?.at ?? null;
}

/** Maximal runs of presence with gaps of at most channelGap: stays that are near each other, directly or by way of others. */
function together(stays: readonly Stay[], gap: number): Stay[][] {
  let groups: Stay[][] = [];
  for (const stay of stays) {
    const near = groups.filter((group) => group.some((other) => other.from - stay.to <= gap && stay.from - other.to <= gap));
    groups = [...groups.filter((group) => !near.includes(group)), [stay, ...near.flat()]];
  }
  const startOf = (group: Stay[]) => Math.min(...group.map((s) => s.from));
  return groups.sort((a, b) => startOf(a) - startOf(b));
}

function sessionOf(stays: readonly Stay[], channel_id: string, { channelGap, maxCall }: ChannelTimes, now: number): TruthSession {
  const moves = stays.flatMap((s) => s.moves);
  const started_at = Math.min(...stays.map((s) => s.from));
  const end = Math.max(...stays.map((s) => s.to));
  const neverEmpties = stays.some((s) => s.open && s.to === end);
  const over_at = Math.max(...moves.map((m) => Math.min(m.at, m.received))) + (neverEmpties ? maxCall : channelGap);
  const over = over_at <= now;
  const users = [...new Set(stays.map((s) => s.user))].sort();
  const presence = presenceOf(stays);
  const meetings = presence.filter((p) => p.users.length >= 2);
  const accepted_at = meetings.length === 0 ? null : meetings[0]!.from;
  const answered = accepted_at !== null;
  const talk_ms = meetings.reduce((sum, p) => sum + p.to - p.from, 0);
  const legs = users.map((user): TruthLeg => {
    const own = stays.filter((s) => s.user === user);
    const joined_at = Math.min(...own.map((s) => s.from));
    const stillThere = !over && own.some((s) => s.open && s.to === end);
    const left_at = stillThere ? null : Math.max(...own.map((s) => s.to));
    return {
      user_id: user,
      role: 'callee',
      outcome: meetings.some((p) => p.users.includes(user)) ? 'answered' : 'unknown',
      rang_at: null,
      joined_at,
      left_at,
      talk_ms: left_at === null ? 0 : left_at - joined_at,
      missed: false,
      missed_inclusive: false,
      platform: '',
      media_joined_at: null,
      media_left_at: null,
      media_drops: 0,
    };
  });
  return {
    identities: moves.map((m) => m.identity),
    over_at,
    room_id: channel_id,
    call_type: 'channel',
    media_type: '',
    caller: '',
    callees: users,
    total_users: users.length,
    status: over ? 'ended' : answered ? 'active' : 'ringing',
    outcome: answered ? 'answered' : 'unknown',
    end_reason: !over ? '' : neverEmpties ? 'timed_out' : answered ? 'normal' : 'unknown',
    started_at,
    accepted_at,
    ended_at: over ? end : null,
    ring_ms: accepted_at === null ? 0 : accepted_at - started_at,
    talk_ms: over ? talk_ms : 0,
    missed: false,
    missed_inclusive: false,
    sources: ['channel'],
    anomalies: [],
    legs,
  };
}

/** Who is there at each change, and from it to the next. Who has left at a moment is gone; whose end nothing tells is there until after it. */
function presenceOf(stays: readonly Stay[]): { from: number; to: number; users: string[] }[] {
  const changes = [...new Set(stays.flatMap((s) => [s.from, s.to]))].sort((a, b) => a - b);
  const users = (there: (s: Stay) => boolean) => [...new Set(stays.filter(there).map((s) => s.user))];
  return changes.flatMap((at, i) => {
    const momentary = { from: at, to: at, users: users((s) => s.from <= at && (s.to > at || (s.open && s.to === at))) };
    const next = changes[i + 1];
    return next === undefined ? [momentary] : [momentary, { from: at, to: next, users: users((s) => s.from <= at && s.to >= next) }];
  });
}
