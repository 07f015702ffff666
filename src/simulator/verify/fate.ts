import { type Input, type Timeouts, type TruthCall, truthOf } from '../truth/call.js';

/** Stream time, the sink and the other side's clock: so long after its deadline a call may still stand open … */
const BEHIND_MS = 30_000;
/** … and so long before it, on this clock, stand closed. */
const AHEAD_MS = 5_000;

/**
 * What the truth says about a call at any time. Only a timeout changes it once all inputs are there, and in a run whose vendor time lies in the past calls
 * reach their maxCall all the while, also during the comparison.
 */
export interface Fate {
  /** By its inputs alone. */
  open: TruthCall;
  /** Closed by its timeout; null: the inputs end it, or nothing ever does. */
  timedOut: TruthCall | null;
  /** When the timeout strikes, epoch ms. */
  deadline: number;
}

/** What a reading may show. */
export interface Standing {
  truth: TruthCall;
  final: boolean;
}

export function fateOf(inputs: readonly Input[], timeouts: Timeouts): Fate {
  const open = truthOf(inputs, timeouts, Number.NEGATIVE_INFINITY);
  const deadline = open.times_out_at;
  if (deadline === null) return { open, timedOut: null, deadline: Number.POSITIVE_INFINITY };
  return { open, timedOut: truthOf(inputs, timeouts, Number.POSITIVE_INFINITY), deadline };
}

/** The record as it stands at a moment, to the millisecond. */
export const standsAt = (fate: Fate, now: number): TruthCall =>
  fate.timedOut !== null && fate.deadline <= now ? fate.timedOut : fate.open;

/**
 * What a reading that began at `from` and ended at `to` may show: one standing for nearly every call, several for one whose timeout strikes, or whose last
 * revision after it is due, just then. In the order of time.
 */
export function standingsOf(fate: Fate, settle: number, from: number, to: number): Standing[] {
  const { open, timedOut, deadline } = fate;
  if (timedOut === null) return [{ truth: open, final: open.status === 'ended' }];
  const standings: Standing[] = [];
  if (deadline > from - BEHIND_MS) standings.push({ truth: open, final: false });
  if (deadline <= to + AHEAD_MS && deadline + settle > from - BEHIND_MS) standings.push({ truth: timedOut, final: false });
  if (deadline + settle <= to + AHEAD_MS) standings.push({ truth: timedOut, final: true });
  return standings;
}
