import type { CallTally } from './tally.js';

/** Clocks may differ by this much without a conflict. */
const TOLERANCE_MS = 3_600_000;

/** True when the times of events and the timestamps that events carry contradict each other by more than an hour. */
export function clocksDisagree(tally: CallTally): boolean {
  return differ(tally.startCallAt, tally.startCallTs) || differ(tally.acceptAt, tally.acceptTs) || differ(tally.callEndAt, tally.endTs);
}

function differ(a: number, b: number): boolean {
  return Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) > TOLERANCE_MS;
}
