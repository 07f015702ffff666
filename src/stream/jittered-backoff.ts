import type { Chance } from '../telemetry/chance.js';

/** Pauses that grow, with full jitter: between nothing and the whole step, so that what failed together does not come back together. */
export class JitteredBackoff {
  #step: number;

  constructor(
    private readonly firstMs: number,
    private readonly maxMs: number,
    private readonly chance: Chance,
  ) {
    this.#step = firstMs;
  }

  /** The next pause, in milliseconds. */
  next(): number {
    const pause = this.#step * this.chance.next();
    this.#step = Math.min(this.maxMs, this.#step * 2);
    return pause;
  }

  reset(): void {
    this.#step = this.firstMs;
  }
}

/** As long as something asks, give or take a tenth. */
export const about = (ms: number, chance: Chance): number => ms * (0.9 + chance.next() / 5);
