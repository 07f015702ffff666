const EVERY_MS = 600_000;

/** Says each thing once in a while, however often it happens. */
export class Complaints {
  readonly #saidAt = new Map<string, number>();

  /** Whether to say it now. `what`: from a small set. `now`: milliseconds that only pass. */
  isDue(what: string, now: number): boolean {
    const saidAt = this.#saidAt.get(what);
    if (saidAt !== undefined && now - saidAt < EVERY_MS) return false;
    this.#saidAt.set(what, now);
    return true;
  }
}
