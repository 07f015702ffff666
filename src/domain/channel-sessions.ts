import { type ChannelTimes, compareEvents, happenedAt, type PresenceEvent } from './channel.js';
import { type Stay, staysOf } from './channel-stays.js';

/** A maximal run of presence with gaps of at most channelGap. */
export interface ChannelSession {
  /** By start; never empty. */
  readonly stays: readonly Stay[];
  /** The Joins and Leaves of the stays, by time. */
  readonly events: readonly PresenceEvent[];
  /** Leaves that end no stay, and that came within the session or channelGap after it: they count for nothing, but their Joins may still come. */
  readonly strays: readonly PresenceEvent[];
  readonly from: number;
  /** Latest end of a stay. */
  readonly to: number;
  /** Nothing tells that the channel has emptied: someone never left. */
  readonly open: boolean;
  /** Stream time at which it is over, unless a further event comes, epoch ms: counted from its latest event, or its arrival if that was earlier. */
  readonly overAt: number;
}

/** What a set of events makes of its channel. */
export interface ChannelSessions {
  /** By time; none overlap. */
  readonly sessions: readonly ChannelSession[];
  /** Leaves that end no stay, and are near no session. */
  readonly strays: readonly PresenceEvent[];
}

/** The sessions of a channel: a function of the set of its events. */
export function sessionsOf(events: Iterable<PresenceEvent>, times: ChannelTimes): ChannelSessions {
  const { stays, strays } = staysOf(events, times);
  const runs: Stay[][] = [];
  let to = Number.NEGATIVE_INFINITY;
  for (const stay of stays) {
    if (stay.from - to <= times.channelGap) runs.at(-1)!.push(stay);
    else runs.push([stay]);
    to = Math.max(to, stay.to);
  }
  const sessions: ChannelSession[] = [];
  const alone: PresenceEvent[] = [];
  let next = 0;
  for (const run of runs) {
    const from = run[0]!.from;
    const end = run.reduce((latest, stay) => Math.max(latest, stay.to), from);
    const near: PresenceEvent[] = [];
    for (; next < strays.length && happenedAt(strays[next]!) <= end + times.channelGap; next++)
      (happenedAt(strays[next]!) < from ? alone : near).push(strays[next]!);
    sessions.push(sessionOf(run, near, from, end, times));
  }
  return { sessions, strays: [...alone, ...strays.slice(next)] };
}

/** The latest moment at which a Join could still belong to a session, or change it. */
export const reachOf = ({ to, open }: Pick<ChannelSession, 'to' | 'open'>, { channelGap, maxCall }: ChannelTimes): number =>
  to + (open ? Math.max(channelGap, maxCall) : channelGap);

function sessionOf(
  stays: Stay[],
  strays: PresenceEvent[],
  from: number,
  to: number,
  { channelGap, maxCall }: ChannelTimes,
): ChannelSession {
  const events = stays.flatMap(({ join, leave }) => (leave === null ? [join] : [join, leave])).sort(compareEvents);
  const open = stays.some((stay) => stay.end === 'open' && stay.to === to);
  const latest = events.reduce((at, e) => Math.max(at, Math.min(happenedAt(e), e.received_at)), Number.NEGATIVE_INFINITY);
  return { stays, events, strays, from, to, open, overAt: latest + (open ? maxCall : channelGap) };
}
