import type { TimeRange } from '../sources/polled.js';

/** Which sweep of a source a cursor belongs to; a backfill's names its range. */
export type SweepKind = 'trailing' | 'deep';

export interface SweepSettings {
  /** All in milliseconds. */
  sweepEvery: number;
  overlap: number;
  delay: number;
  backfillOnStart: number;
  maxCall: number;
}

/** One deep sweep for so many trailing ones. */
const DEEP_EVERY = 60;
/** Deep sweeps reach back so much further than the longest call. */
const DEEP_SLACK_MS = 3_600_000;

/** A cursor so far ahead of now was written by a clock that was wrong. Two machines' clocks may differ by less. */
const AHEAD_MS = 60_000;

/** Whether a cursor tells of time that has not been: then it tells nothing of what was swept. */
export const isAhead = (sweptTo: number, now: number): boolean => sweptTo > now + AHEAD_MS;

/** How often a sweep begins, in milliseconds. */
export const periodOf = (kind: SweepKind, { sweepEvery }: SweepSettings): number =>
  kind === 'deep' ? DEEP_EVERY * sweepEvery : sweepEvery;

/**
 * What to sweep now. `cursor`: what was swept before, epoch milliseconds; null: nothing yet. `oldest`: what the vendor remembers.
 */
export function rangeOf(kind: SweepKind, cursor: number | null, now: number, settings: SweepSettings, oldest: number): TimeRange {
  const to = now - settings.delay;
  if (kind === 'deep') return { from: now - settings.maxCall - DEEP_SLACK_MS, to };
  if (cursor === null) return { from: now - Math.max(settings.overlap, settings.backfillOnStart), to };
  if (isAhead(cursor, now)) return { from: oldest, to };
  // A clock that was set back must not leave a hole.
  return { from: Math.min(cursor, to) - settings.overlap, to };
}
