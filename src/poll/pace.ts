/** The vendor counts requests by the second; a little more, for clocks that tick in milliseconds. */
const WINDOW_MS = 1_010;

/**
 * When the next request of one operation of one app may go. Pure: time is an argument, milliseconds that only pass.
 *
 * A bucket of one token spaces requests evenly. What keeps within the limit in *any* second of the vendor's clock, however long each request is under way, is
 * the other rule: a request holds one of `perSecond` places from when it is sent until a second after it was answered. If more requests than there are places
 * reached the vendor within a second, all but the last had been under way or answered within the second before that one was sent, and it had no place.
 */
export class Pace {
  readonly #places: number;
  readonly #spacingMs: number;
  #nextAt = 0;
  #pausedUntil = 0;
  /** Requests that are not answered. */
  #open = 0;
  /** When each place becomes free again, in order. */
  readonly #leaving: number[] = [];

  /** @param perSecond requests per second, above 0; a fraction spaces them by more than a second */
  constructor(perSecond: number) {
    this.#places = Math.max(1, Math.floor(perSecond));
    this.#spacingMs = 1_000 / perSecond;
  }

  /** Milliseconds until a request may go; 0: now. Infinity: not before one has been answered. */
  wait(now: number): number {
    while ((this.#leaving[0] ?? Number.POSITIVE_INFINITY) <= now) this.#leaving.shift();
    const full = this.#open + this.#leaving.length >= this.#places;
    const freeAt = full ? (this.#leaving[0] ?? Number.POSITIVE_INFINITY) : 0;
    return Math.max(0, this.#nextAt - now, this.#pausedUntil - now, freeAt - now);
  }

  /** A request goes. */
  sent(now: number): void {
    this.#open += 1;
    // What came late by less than one spacing is made up for: timers are never early.
    this.#nextAt = Math.max(this.#nextAt, now - this.#spacingMs) + this.#spacingMs;
  }

  /** It was answered, or given up. */
  answered(now: number): void {
    this.#open -= 1;
    this.#leaving.push(now + WINDOW_MS);
  }

  /** Nothing goes before then. */
  pause(until: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, until);
  }
}
