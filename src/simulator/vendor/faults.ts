import type { ChaosLevel } from '../chaos.js';
import type { Random } from '../random.js';

/**
 * What goes wrong with a request on the vendor's side: an answer of HTTP 500, or 503 with Retry-After; an internal error in the API's own words; a connection
 * that breaks within the answer; or nothing until the vendor's own time limit.
 */
export type Fault = 'http_500' | 'http_503' | 'internal' | 'cut' | 'silent';

const SHARE: Readonly<Record<ChaosLevel, number>> = { none: 0, mild: 0.005, hard: 0.02 };
const KINDS: Readonly<Record<Fault, number>> = { http_500: 3, http_503: 3, internal: 3, cut: 2, silent: 1 };

/** The time limit of the Call API's backend (trtc-call-rest-api.txt, FAQs); the others are given the same. */
export const SILENCE_MS = 3_000;

/** The fault of the next request, or null, by chaos level. */
export function nextFault(random: Random, level: ChaosLevel): Fault | null {
  return random.chance(SHARE[level]) ? random.weighted(KINDS) : null;
}
