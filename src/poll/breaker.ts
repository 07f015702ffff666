import { JitteredBackoff } from '../stream/jittered-backoff.js';
import type { Chance } from '../telemetry/chance.js';

/** Failures in a row that open it. */
const FAILURES = 5;
const FIRST_PAUSE_MS = 2_000;
const MAX_PAUSE_MS = 60_000;

/**
 * Keeps requests from a host that does not answer. Pure: time is an argument, milliseconds that only pass.
 *
 *   closed ──failures in a row──> open ──pause──> half-open: one request ──success──> closed
 *                                   ^───────────── failure, a longer pause ─────┘
 */
export class Breaker {
  readonly #pauses: JitteredBackoff;
  readonly #chance: Chance;
  #failures = 0;
  /** null: closed. */
  #openUntil: number | null = null;
  #probing = false;

  constructor(chance: Chance) {
    this.#chance = chance;
    this.#pauses = new JitteredBackoff(FIRST_PAUSE_MS, MAX_PAUSE_MS, chance);
  }

  get open(): boolean {
    return this.#openUntil !== null;
  }

  /** Milliseconds until a request may be tried; 0: now. While the one of a half-open breaker is under way, a while to ask again after. */
  wait(now: number): number {
    if (this.#openUntil === null) return 0;
    return this.#probing ? FIRST_PAUSE_MS : Math.max(0, this.#openUntil - now);
  }

  /** A request goes, {@link wait} being 0. */
  enter(): void {
    if (this.#openUntil !== null) this.#probing = true;
  }

  /** The host has answered. Returns true when this closed it. */
  succeeded(): boolean {
    const wasOpen = this.#openUntil !== null;
    this.#failures = 0;
    this.#openUntil = null;
    this.#probing = false;
    this.#pauses.reset();
    return wasOpen;
  }

  /** The host has not answered, or with a failure of its own. Returns true when this opened it. */
  failed(now: number): boolean {
    this.#failures += 1;
    // Requests that were under way when it opened say nothing new.
    if (this.#openUntil !== null && !this.#probing) return false;
    if (this.#failures < FAILURES) return false;
    const opened = this.#openUntil === null;
    this.#probing = false;
    // At least half a pause: a host that is down has time to get up.
    this.#openUntil = now + FIRST_PAUSE_MS * (0.5 + this.#chance.next() / 2) + this.#pauses.next();
    return opened;
  }

  /** A request that was let in ended without telling anything of the host. */
  left(): void {
    this.#probing = false;
  }
}
