import { type CallTally, known } from './tally.js';
import type { RecordFields } from './types.js';
import type { CallType, EndReason, Outcome } from './vocabulary.js';

/** Durations above this are taken for broken clocks. */
const LONGEST_MS = 24 * 3_600_000;

/** When the call started. `firstReceivedAt` is asked only when nothing else tells it. */
export function startedAt(tally: CallTally, record: RecordFields | null, firstReceivedAt: () => number): number {
  return record?.start_at ?? known(tally.startCallTs) ?? known(tally.startCallAt) ?? known(tally.firstAt) ?? firstReceivedAt();
}

/** When the call was first answered, or null. */
export function acceptedAt(tally: CallTally, record: RecordFields | null): number | null {
  return record?.accept_at ?? known(tally.acceptTs) ?? known(tally.acceptAt);
}

/** When a call that is over ended, or null; not yet held against accepted_at. `timedOut`: only a timeout closed it. */
export function toldEnd(
  tally: CallTally,
  record: RecordFields | null,
  answered: boolean,
  callType: CallType,
  timedOut: boolean,
): number | null {
  return (
    record?.end_at ??
    (timedOut ? known(Math.max(tally.endTs, tally.lastAt)) : null) ??
    (answered && callType !== 'single' ? known(Math.max(tally.endTs, tally.leftWithoutEndTsAt)) : null) ??
    known(tally.endTs) ??
    (answered ? known(tally.leftAt) : null) ??
    known(tally.terminalAt) ??
    // Only a status callback has one.
    record?.event_at ??
    null
  );
}

/** True when some input speaks of an end: everything that {@link toldEnd} reads but the guess of a timeout. */
export function tellsEnd(tally: CallTally, record: RecordFields | null): boolean {
  return (
    tally.endTs !== -Infinity || tally.terminalAt !== -Infinity || (record !== null && (record.end_at !== null || record.event_at !== null))
  );
}

/** Why a call that is over ended. */
export function endReason(tally: CallTally, result: string, outcome: Outcome, timedOut: boolean): EndReason {
  if (timedOut) return 'timed_out';
  if (outcome !== 'answered') return outcome;
  const byRecord = result === 'interrupt' || result === 'offline';
  return byRecord || (tally.interrupted && tally.callEndAt === -Infinity) ? 'interrupted' : 'normal';
}

/** Milliseconds between two times: 0 where one is unknown, never negative, not capped. */
export function span(from: number | null, to: number | null): number {
  return from === null || to === null ? 0 : Math.max(0, to - from);
}

/** True for a duration that no call has. */
export function isTooLong(ms: number): boolean {
  return ms > LONGEST_MS;
}
