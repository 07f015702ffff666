import type { ChannelSession } from './channel-sessions.js';
import type { Stay } from './channel-stays.js';
import { compareStrings } from './order.js';
import type { CallFacts, Leg } from './types.js';

/** What the record of any session says, and that of a name which stands for none: channels have no caller, no media type, no missed calls, no anomalies. */
const blank = (): Omit<CallFacts, 'room_id' | 'end_reason' | 'started_at' | 'ended_at'> => ({
  call_type: 'channel',
  media_type: '',
  caller: '',
  callees: [],
  total_users: 0,
  status: 'ended',
  outcome: 'unknown',
  accepted_at: null,
  ring_ms: 0,
  talk_ms: 0,
  missed: false,
  missed_inclusive: false,
  sources: ['channel'],
  anomalies: [],
  legs: [],
});

/** Everything that semantics.md "Channel sessions" derives from a session, which is `over` or not. */
export function deriveSession(channelId: string, session: ChannelSession, over: boolean): CallFacts {
  const together = meetingsOf(session.stays);
  const legs = legsOf(session, together.users, over);
  const answered = together.from !== null;
  return {
    ...blank(),
    room_id: channelId,
    callees: legs.map((leg) => leg.user_id),
    total_users: legs.length,
    status: over ? 'ended' : answered ? 'active' : 'ringing',
    outcome: answered ? 'answered' : 'unknown',
    end_reason: !over ? '' : session.open ? 'timed_out' : answered ? 'normal' : 'unknown',
    started_at: session.from,
    accepted_at: together.from,
    ended_at: over ? session.to : null,
    ring_ms: together.from === null ? 0 : together.from - session.from,
    talk_ms: over ? together.ms : 0,
    legs,
  };
}

/** The record of a name that stands for no session: one that was folded into an elder, or a Leave whose Join has not come. `at`: of its naming event. */
export const mergedFacts = (channelId: string, at: number): CallFacts => ({
  ...blank(),
  room_id: channelId,
  end_reason: 'merged',
  started_at: at,
  ended_at: at,
});

interface Meetings {
  /** First moment at which two different users are there; null: there is none. */
  from: number | null;
  /** Time with two or more users, milliseconds. */
  ms: number;
  /** Who was ever there together with another. */
  users: ReadonlySet<string>;
}

/** A user comes (+1) or goes (-1). */
interface Step {
  at: number;
  user: string;
  by: 1 | -1;
  /** Of one moment: who has left goes first, then come those who come, and whose end nothing tells is there until after that. */
  rank: 0 | 1 | 2;
}

function meetingsOf(stays: readonly Stay[]): Meetings {
  const steps = stays
    .filter((stay) => stay.end === 'open' || stay.to > stay.from)
    .flatMap((stay): Step[] => [
      { at: stay.from, user: stay.user_id, by: 1, rank: 1 },
      { at: stay.to, user: stay.user_id, by: -1, rank: stay.end === 'open' ? 2 : 0 },
    ])
    .sort((a, b) => a.at - b.at || a.rank - b.rank);
  /** Who is there, and how often: of one user, connections may overlap. */
  const there = new Map<string, number>();
  const users = new Set<string>();
  let alone: string[] = [];
  let from: number | null = null;
  let ms = 0;
  let since = 0;
  for (const { at, user, by } of steps) {
    if (there.size >= 2) ms += at - since;
    since = at;
    const times = (there.get(user) ?? 0) + by;
    if (times === 0) there.delete(user);
    else there.set(user, times);
    if (by === 1 && times === 1) alone.push(user);
    if (there.size < 2) continue;
    from ??= at;
    for (const each of alone) if (there.has(each)) users.add(each);
    alone = [];
  }
  return { from, ms, users };
}

/** Every user is a callee; `talk_ms` is from the first Join to the last end, as of every leg. */
function legsOf({ stays, to, open }: ChannelSession, together: ReadonlySet<string>, over: boolean): Leg[] {
  const byUser = new Map<string, { joined: number; left: number; stayed: boolean }>();
  for (const stay of stays) {
    const seen = byUser.get(stay.user_id) ?? { joined: stay.from, left: stay.to, stayed: false };
    const stayed = open && stay.end === 'open' && stay.to === to;
    byUser.set(stay.user_id, {
      joined: Math.min(seen.joined, stay.from),
      left: Math.max(seen.left, stay.to),
      stayed: seen.stayed || stayed,
    });
  }
  return [...byUser]
    .sort(([a], [b]) => compareStrings(a, b))
    .map(([user_id, { joined, left, stayed }]) => {
      const left_at = stayed && !over ? null : left;
      return {
        user_id,
        role: 'callee',
        outcome: together.has(user_id) ? 'answered' : 'unknown',
        rang_at: null,
        joined_at: joined,
        left_at,
        talk_ms: left_at === null ? 0 : left_at - joined,
        missed: false,
        missed_inclusive: false,
        platform: '',
        media_joined_at: null,
        media_left_at: null,
        media_drops: 0,
      };
    });
}
