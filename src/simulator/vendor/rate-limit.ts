const SECOND = 1_000;

/** The vendors' limits: so many requests in any second that slides, by whatever is counted separately. What is turned away does not count. */
export class RateLimit {
  readonly #taken = new Map<string, number[]>();

  /** Whether one more request may be answered at `now`, epoch ms, never going back. */
  take(key: string, perSecond: number, now: number): boolean {
    const recent = (this.#taken.get(key) ?? []).filter((at) => at > now - SECOND);
    const free = recent.length < perSecond;
    if (free) recent.push(now);
    this.#taken.set(key, recent);
    return free;
  }
}
