import { type ChannelTimes, compareEvents, happenedAt, type PresenceEvent } from './channel.js';

/** The longest that anybody stays: a Leave that comes later than this after its Join is not its end. As long as maxCall may be. */
export const LONGEST_STAY_MS = 7 * 86_400_000;

/**
 * One user in a channel, [from, to). It ends with a Leave (`left`), with the user's next Join (`rejoined`), or is `open`: nothing tells its end. Then
 * `to` is the latest event before the channel was silent for maxCall, a moment at which the user was still there.
 */
export interface Stay {
  readonly user_id: string;
  readonly join: PresenceEvent;
  /** Only of a stay that is `left`. */
  readonly leave: PresenceEvent | null;
  readonly from: number;
  readonly to: number;
  readonly end: 'left' | 'rejoined' | 'open';
}

/** A Join, and the Leave that ends it, if there is one. */
interface Pair {
  join: PresenceEvent;
  leave: PresenceEvent | null;
}

/**
 * The stays of a channel, by start, and the Leaves that end none of them. A Leave ends the Join before it, of the same user and SessionId. Of a Join and
 * a Leave of one moment, the Leave comes first if the user was there, else the Join: so both a user who comes back at once and one who goes at
 * once are seen, though the vendor's clock ticks in seconds.
 */
export function staysOf(events: Iterable<PresenceEvent>, times: ChannelTimes): { stays: Stay[]; strays: PresenceEvent[] } {
  const sorted = [...events].sort(compareEvents);
  const pairs: Pair[] = [];
  const strays: PresenceEvent[] = [];
  for (const connection of groupsOf(sorted, (e) => JSON.stringify([e.user_id, e.session_id]))) pairUp(connection, pairs, strays);
  pairs.sort((a, b) => compareEvents(a.join, b.join));
  const ends = endsOf(pairs, times);
  const next = nextJoins(pairs);
  const stays = pairs.map(({ join, leave }): Stay => {
    const stay = { user_id: join.user_id, join, leave, from: happenedAt(join) };
    if (leave !== null) return { ...stay, to: happenedAt(leave), end: 'left' };
    const silent = ends(stay.from);
    const again = next.get(join);
    return again !== undefined && happenedAt(again) <= silent
      ? { ...stay, to: happenedAt(again), end: 'rejoined' }
      : { ...stay, to: silent, end: 'open' };
  });
  return { stays, strays: strays.sort(compareEvents) };
}

/** `connection`: the events of one user and SessionId, by time. */
function pairUp(connection: readonly PresenceEvent[], pairs: Pair[], strays: PresenceEvent[]): void {
  let there: PresenceEvent | null = null;
  for (const moment of groupsOf(connection, happenedAt)) {
    const at = happenedAt(moment[0]!);
    if (there !== null && at - happenedAt(there) > LONGEST_STAY_MS) {
      pairs.push({ join: there, leave: null });
      there = null;
    }
    const first: PresenceEvent['event'] = there === null ? 'join' : 'leave';
    const inOrder: PresenceEvent[] = [...moment.filter((e) => e.event === first), ...moment.filter((e) => e.event !== first)];
    for (const event of inOrder) {
      if (event.event === 'join') {
        if (there !== null) pairs.push({ join: there, leave: null });
        there = event;
      } else if (there === null) {
        strays.push(event);
      } else {
        pairs.push({ join: there, leave: event });
        there = null;
      }
    }
  }
  if (there !== null) pairs.push({ join: there, leave: null });
}

/** The user's next Join after each, of whatever SessionId. */
function nextJoins(pairs: readonly Pair[]): Map<PresenceEvent, PresenceEvent> {
  const next = new Map<PresenceEvent, PresenceEvent>();
  const last = new Map<string, PresenceEvent>();
  for (const { join } of pairs) {
    const before = last.get(join.user_id);
    if (before !== undefined) next.set(before, join);
    last.set(join.user_id, join);
  }
  return next;
}

/**
 * For the time of an event, that of the last one before the channel is silent: before maxCall passes without a further event, while nobody is
 * known to be there.
 */
function endsOf(pairs: readonly Pair[], { maxCall }: ChannelTimes): (at: number) => number {
  const moments = [...new Set(pairs.flatMap(({ join, leave }) => (leave === null ? [join] : [join, leave])).map(happenedAt))].sort(
    (a, b) => a - b,
  );
  const left = pairs.filter((p) => p.leave !== null);
  /** Last moment of each run. */
  const lasts: number[] = [];
  let covered = Number.NEGATIVE_INFINITY;
  let from = 0;
  for (const [i, at] of moments.entries()) {
    for (; from < left.length && happenedAt(left[from]!.join) <= at; from++) covered = Math.max(covered, happenedAt(left[from]!.leave!));
    const following = moments[i + 1];
    if (following === undefined || (following - at > maxCall && covered <= at)) lasts.push(at);
  }
  return (at) => {
    let low = 0;
    let high = lasts.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lasts[middle]! < at) low = middle + 1;
      else high = middle;
    }
    return lasts[low]!;
  };
}

/** What has one key, in its order; keys in the order of their first. */
function groupsOf<T, K>(items: readonly T[], keyOf: (item: T) => K): Iterable<T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups.values();
}
