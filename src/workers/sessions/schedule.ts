import type { SessionSettings } from './settings.js';
import type { Slot } from './slot.js';

type Times = Pick<SessionSettings, 'settle' | 'retention'>;

/** A start_call that arrives later than this after it happened is looked up before it opens a call. */
const FRESH_MS = 5 * 60_000;

/**
 * How long ago a start_call may have happened and open a call unseen, in milliseconds. A call has been quiet for at least twice as long when it leaves
 * the state, so clocks of one call may differ by this much before a start_call of it could be taken for a new call's.
 */
export const freshFor = ({ retention }: Times): number => Math.min(FRESH_MS, retention / 2);

/** Stream time until which a call that is over stays in the state: one whose events are ahead of stream time would put the horizon ahead of it too. */
export function staysUntil(slot: Slot, { retention }: Times): number {
  return Math.max(slot.lastChange + retention, slot.latestAt);
}

/** Whether a call that is final has been quiet for long enough to leave before its retention has passed. */
export function mayLeaveEarly(slot: Slot, times: Times, streamTime: number): boolean {
  return slot.final && !slot.dirty && Math.max(slot.lastChange + 2 * freshFor(times), slot.latestAt) <= streamTime;
}

/** Stream time at which a call that does not change next has something to do: time out, become final, be published again, or leave. */
export function dueAt(slot: Slot, times: Times): number {
  if (slot.over && !slot.final) return slot.lastChange + times.settle;
  // A call that is not written for longer would pin restoreFrom.
  const again = slot.publishedAt + times.retention;
  if (slot.over) return Math.min(staysUntil(slot, times), again);
  return slot.deadline === null ? again : Math.min(slot.deadline, again);
}
