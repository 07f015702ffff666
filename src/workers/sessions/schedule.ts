import type { SessionSettings } from './settings.js';
import type { Slot } from './slot.js';

type Times = Pick<SessionSettings, 'settle' | 'maxCall' | 'retention'>;

/**
 * Stream time until which a call that is over stays in the state: one that only a timeout closed may still get fresh events, and one whose events are
 * ahead of stream time would put the horizon ahead of it too.
 */
export function staysUntil(slot: Slot, { maxCall, retention }: Times): number {
  return Math.max(slot.lastChange + (slot.timedOutOnly ? Math.max(maxCall, retention) : retention), slot.latestAt);
}

/** Stream time at which a call that does not change next has something to do: time out, become final, be published again, or leave. */
export function dueAt(slot: Slot, times: Times): number {
  if (slot.over && !slot.final) return slot.lastChange + times.settle;
  // A call that is not written for longer would pin restoreFrom.
  const again = slot.publishedAt + times.retention;
  if (slot.over) return Math.min(staysUntil(slot, times), again);
  return slot.deadline === null ? again : Math.min(slot.deadline, again);
}
