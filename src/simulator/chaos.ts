import type { Random } from './random.js';
import type { Delivery } from './wire.js';

export type ChaosLevel = 'none' | 'mild' | 'hard';
export const CHAOS_LEVELS: readonly ChaosLevel[] = ['none', 'mild', 'hard'];

/** How much goes wrong, as probabilities per callback unless the name says per call. */
export interface ChaosRates {
  duplicate: number;
  /** Of the duplicates: another body of the same event. */
  differing: number;
  lost: number;
  reordered: number;
  /** How long a reordered callback is held back at most, ms of vendor time. */
  reorderMs: number;
  /** Held back to the very end of the run: whatever the workers had kept of its call may be gone by then. */
  straggler: number;
  odd: number;
  perCallMilliseconds: number;
  perCallOddIds: number;
  perCallReusedRoom: number;
  perCallNoise: number;
  /** Every callback of the call is lost. */
  perCallLost: number;
  /** The caller joins like a callee: with accept_call or join_in_group_call, perhaps after having left. */
  perCallCallerJoins: number;
}

export const RATES: Readonly<Record<ChaosLevel, ChaosRates>> = {
  none: {
    duplicate: 0,
    differing: 0,
    lost: 0,
    reordered: 0,
    reorderMs: 0,
    straggler: 0,
    odd: 0,
    perCallMilliseconds: 0,
    perCallOddIds: 0,
    perCallReusedRoom: 0,
    perCallNoise: 0,
    perCallLost: 0,
    perCallCallerJoins: 0,
  },
  mild: {
    duplicate: 0.03,
    differing: 0.2,
    lost: 0.004,
    reordered: 0.05,
    reorderMs: 8_000,
    straggler: 0.003,
    odd: 0.005,
    perCallMilliseconds: 0.02,
    perCallOddIds: 0.01,
    perCallReusedRoom: 0.05,
    perCallNoise: 0.01,
    perCallLost: 0,
    perCallCallerJoins: 0.005,
  },
  hard: {
    duplicate: 0.12,
    differing: 0.4,
    lost: 0.1,
    reordered: 0.15,
    reorderMs: 3_600_000,
    straggler: 0.015,
    odd: 0.05,
    perCallMilliseconds: 0.1,
    perCallOddIds: 0.06,
    perCallReusedRoom: 0.15,
    perCallNoise: 0.05,
    perCallLost: 0.02,
    perCallCallerJoins: 0.04,
  },
};

/** How long callbacks may be held back. */
export interface Delays {
  /** Of the reordered ones, at most, ms. */
  reorderMs: number;
  /** Of stragglers, ms; null: to the end of the run. */
  stragglerMs: number | null;
}

/** `send_at` of stragglers: after everything else. */
export const AT_THE_END = Number.MAX_SAFE_INTEGER;

/** One callback of the vendor's, not sent yet. */
export interface Sendable {
  /** When it is due, epoch ms. */
  at: number;
  deliver: (send_at: number) => Delivery;
  /** Another body of the same event. */
  differing: () => (send_at: number) => Delivery;
}

/**
 * The requests that really go out for some callbacks, in no particular order: some are lost, come twice or more often, with other bodies, or late.
 * @param lost what is left of a request that is lost, if anything
 */
export function scatter(
  random: Random,
  rates: ChaosRates,
  sendables: readonly Sendable[],
  delays: Delays,
  lost: (delivery: Delivery) => Delivery[] = () => [],
): Delivery[] {
  return sendables.flatMap(({ at, deliver, differing }) => {
    const time = () => sendTime(random, rates, at, delays);
    const out = random.chance(rates.lost) ? lost(deliver(time())) : [deliver(time())];
    if (!random.chance(rates.duplicate)) return out;
    for (let copies = random.int(1, 3); copies > 0; copies--) out.push((random.chance(rates.differing) ? differing() : deliver)(time()));
    return out;
  });
}

/** When a callback that is due at `at` arrives. */
function sendTime(random: Random, rates: ChaosRates, at: number, delays: Delays): number {
  if (random.chance(rates.straggler)) return delays.stragglerMs === null ? AT_THE_END : at + delays.stragglerMs;
  const onTheWay = at + random.int(15, 250);
  if (!random.chance(rates.reordered)) return onTheWay;
  return onTheWay + Math.floor(random.next() ** 3 * Math.min(rates.reorderMs, delays.reorderMs));
}
