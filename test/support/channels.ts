import { type ChannelTimes, happenedAt, type PresenceEvent } from '../../src/domain/channel.js';
import { LONGEST_STAY_MS } from '../../src/domain/channel-stays.js';

/** What a session comes to, as far as the set of its events says it. */
export interface TruthSession {
  started_at: number;
  accepted_at: number | null;
  ended_at: number;
  talk_ms: number;
  end_reason: string;
  legs: { user_id: string; outcome: string; joined_at: number; left_at: number }[];
  /** Ids of the Joins and Leaves that make it, sorted. */
  events: string[];
}

interface TruthStay {
  user: string;
  from: number;
  to: number;
  /** The user is still there at `to`. */
  open: boolean;
  events: PresenceEvent[];
}

/**
 * A second reading of semantics.md "Channel sessions" and of what docs/DESIGN.md adds to it, by definition and not by speed; shares nothing with the
 * domain but its words. Everything is over.
 */
export function truthOf(events: readonly PresenceEvent[], { channelGap, maxCall }: ChannelTimes): TruthSession[] {
  const stays: TruthStay[] = [];
  const unended: { user: string; join: PresenceEvent }[] = [];
  const connections = new Set(events.map((e) => `${e.user_id} ${e.session_id}`));
  for (const connection of connections) {
    const own = events.filter((e) => `${e.user_id} ${e.session_id}` === connection);
    let since: PresenceEvent | null = null;
    for (const t of [...new Set(own.map(happenedAt))].sort((a, b) => a - b)) {
      const now = own.filter((e) => happenedAt(e) === t).sort((a, b) => (a.id < b.id ? -1 : 1));
      const joins = now.filter((e) => e.event === 'join');
      const leaves = now.filter((e) => e.event === 'leave');
      if (since !== null && t - happenedAt(since) > LONGEST_STAY_MS) {
        unended.push({ user: since.user_id, join: since });
        since = null;
      }
      const there = since;
      if (there !== null && leaves.length > 0) {
        stays.push({ user: there.user_id, from: happenedAt(there), to: t, open: false, events: [there, leaves[0]!] });
        since = null;
      }
      for (const join of joins) {
        if (since !== null) unended.push({ user: since.user_id, join: since });
        since = join;
      }
      if (there === null && since !== null && leaves.length > 0) {
        stays.push({ user: since.user_id, from: t, to: t, open: false, events: [since, leaves[0]!] });
        since = null;
      }
    }
    if (since !== null) unended.push({ user: since.user_id, join: since });
  }
  const known = stays.slice();
  const moments = [...known.flatMap((s) => s.events), ...unended.map((u) => u.join)].map(happenedAt);
  const silentAfter = (t: number): boolean =>
    !moments.some((m) => m > t && m <= t + maxCall) && !known.some((s) => s.from <= t && s.to > t);
  const joins = [...known.map((s) => s.events[0]!), ...unended.map((u) => u.join)];
  for (const { user, join } of unended) {
    const from = happenedAt(join);
    const silent = Math.min(...moments.filter((m) => m >= from && silentAfter(m)));
    const later = joins.filter((j) => j.user_id === user && (happenedAt(j) > from || (happenedAt(j) === from && j.id > join.id)));
    const again = later.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...later.map(happenedAt));
    stays.push({ user, from, to: Math.min(again, silent), open: again > silent, events: [join] });
  }
  return runsOf(stays, channelGap).map(sessionOf);
}

/** Stays that are near each other, or near what is near, belong together. */
function runsOf(stays: readonly TruthStay[], gap: number): TruthStay[][] {
  const apart = (a: TruthStay[], b: TruthStay[]) => a.every((x) => b.every((y) => x.from - y.to > gap || y.from - x.to > gap));
  let runs = stays.map((s) => [s]);
  for (;;) {
    const before = runs.length;
    const merged: TruthStay[][] = [];
    for (const run of runs) {
      const near = merged.find((other) => !apart(run, other));
      if (near === undefined) merged.push([...run]);
      else near.push(...run);
    }
    runs = merged;
    if (runs.length === before) return runs;
  }
}

function sessionOf(run: TruthStay[]): TruthSession {
  const present = (s: TruthStay, t: number): boolean => s.from <= t && (t < s.to || (s.open && t === s.to));
  const usersAt = (t: number): Set<string> => new Set(run.filter((s) => present(s, t)).map((s) => s.user));
  const starts = run.map((s) => s.from).sort((a, b) => a - b);
  const edges = [...new Set(run.flatMap((s) => [s.from, s.to]))].sort((a, b) => a - b);
  const ended_at = edges.at(-1)!;
  const accepted_at = starts.find((t) => usersAt(t).size >= 2) ?? null;
  let talk_ms = 0;
  edges.forEach((t, i) => {
    const next = edges[i + 1];
    const there = new Set(run.filter((s) => s.from <= t && s.to > t).map((s) => s.user));
    if (next !== undefined && there.size >= 2) talk_ms += next - t;
  });
  const timedOut = run.some((s) => s.open && s.to === ended_at);
  const users = [...new Set(run.map((s) => s.user))].sort();
  return {
    started_at: starts[0]!,
    accepted_at,
    ended_at,
    talk_ms,
    end_reason: timedOut ? 'timed_out' : accepted_at === null ? 'unknown' : 'normal',
    legs: users.map((user_id) => {
      const own = run.filter((s) => s.user === user_id);
      const met = starts.some((t) => usersAt(t).has(user_id) && usersAt(t).size >= 2);
      return {
        user_id,
        outcome: met ? 'answered' : 'unknown',
        joined_at: Math.min(...own.map((s) => s.from)),
        left_at: Math.max(...own.map((s) => s.to)),
      };
    }),
    events: run.flatMap((s) => s.events.map((e) => e.id)).sort(),
  };
}
