/** How long a dead child waits before its next start. */
export interface Backoff {
  initialMs: number;
  maxMs: number;
  /** A child that has been ready for so long starts over with `initialMs`. */
  healthyMs: number;
}

export const DEFAULT_BACKOFF: Backoff = { initialMs: 500, maxMs: 30_000, healthyMs: 60_000 };

/**
 * Doubles with every failure in a row, with jitter so that children that died of one cause do not come back in one instant.
 * @param failures in a row, from 1
 * @param random in [0, 1)
 */
export function backoffMs(backoff: Backoff, failures: number, random: number): number {
  const full = Math.min(backoff.maxMs, backoff.initialMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(full * (0.5 + random / 2));
}
