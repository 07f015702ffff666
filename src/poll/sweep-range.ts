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

/** How often a sweep begins, in milliseconds. */
export const periodOf = (kind: SweepKind, { sweepEvery }: SweepSettings): number =>
  kind === 'deep' ? DEEP_EVERY * sweepEvery : sweepEvery;

/** What to sweep now. `cursor`: what was swept before, epoch milliseconds; null: nothing yet. */
export function rangeOf(kind: SweepKind, cursor: number | null, now: number, settings: SweepSettings): TimeRange {
  const to = now - settings.delay;
  if (kind === 'deep') return { from: now - settings.maxCall - DEEP_SLACK_MS, to };
  if (cursor === null) return { from: now - Math.max(settings.overlap, settings.backfillOnStart), to };
  // A clock that was set back must not leave a hole.
  return { from: Math.min(cursor, to) - settings.overlap, to };
}
