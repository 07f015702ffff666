import { type Input, type Timeouts, type TruthCall, truthOf } from '../truth/call.js';
import { type ChannelInput, type ChannelTimes, sessionsOf, type TruthSession } from '../truth/channel.js';

/** Stream time, the sink and the other side's clock: so long after its deadline a call may still stand open … */
const BEHIND_MS = 30_000;
/** … and so long before it, on this clock, stand closed. */
const AHEAD_MS = 5_000;

/**
 * What the truth says about a call at any time. Only time passing changes it once all inputs are there, and in a run whose vendor time lies in the past calls
 * reach their maxCall all the while, also during the comparison.
 */
export interface Fate<T> {
  /** By its inputs alone. */
  open: T;
  /** Closed by time; null: the inputs end it. */
  timedOut: T | null;
  /** When that is, epoch ms. */
  deadline: number;
}

/** What a reading may show. */
export interface Standing<T> {
  truth: T;
  final: boolean;
}

export function fateOf(inputs: readonly Input[], timeouts: Timeouts): Fate<TruthCall> {
  const open = truthOf(inputs, timeouts, Number.NEGATIVE_INFINITY);
  const deadline = open.times_out_at;
  if (deadline === null) return { open, timedOut: null, deadline: Number.POSITIVE_INFINITY };
  return { open, timedOut: truthOf(inputs, timeouts, Number.POSITIVE_INFINITY), deadline };
}

/** Of each session of a channel. Time ends every one of them; into which sessions the events fall does not depend on it. */
export function sessionFates(inputs: readonly ChannelInput[], times: ChannelTimes): Fate<TruthSession>[] {
  const closed = sessionsOf(inputs, times, Number.POSITIVE_INFINITY);
  return sessionsOf(inputs, times, Number.NEGATIVE_INFINITY).map((open, i) => ({
    open,
    timedOut: closed[i]!,
    deadline: open.over_at,
  }));
}

/** The record as it stands at a moment, to the millisecond. */
export const standsAt = <T>(fate: Fate<T>, now: number): T => (fate.timedOut !== null && fate.deadline <= now ? fate.timedOut : fate.open);

/**
 * What a reading that began at `from` and ended at `to` may show: one standing for nearly every call, several for one whose timeout strikes, or whose last
 * revision after it is due, just then. In the order of time.
 */
export function standingsOf<T extends { status: string }>(fate: Fate<T>, settle: number, from: number, to: number): Standing<T>[] {
  const { open, timedOut, deadline } = fate;
  if (timedOut === null) return [{ truth: open, final: open.status === 'ended' }];
  const standings: Standing<T>[] = [];
  if (deadline > from - BEHIND_MS) standings.push({ truth: open, final: false });
  if (deadline <= to + AHEAD_MS && deadline + settle > from - BEHIND_MS) standings.push({ truth: timedOut, final: false });
  if (deadline + settle <= to + AHEAD_MS) standings.push({ truth: timedOut, final: true });
  return standings;
}
