/** When a chunk is sent, and how large it may grow. */
export interface PaceLimits {
  /** Rows and bytes at which a chunk is closed and waits. */
  maxRecords: number;
  maxBytes: number;
  /** Shortest time from one flush to the next, while records keep coming. */
  intervalMs: number;
}

export const PACE: PaceLimits = { maxRecords: 50_000, maxBytes: 64 * 1024 * 1024, intervalMs: 100 };

/** Each step doubles; ClickHouse merges parts in the time this leaves it. */
const MAX_STEPS = 5;

/** TOO_MANY_PARTS makes inserts larger and rarer, step by step; every flush without it takes half a step back. */
export class Pace {
  readonly #base: PaceLimits;
  #steps = 0;

  constructor(base: PaceLimits = PACE) {
    this.#base = base;
  }

  get limits(): PaceLimits {
    const factor = 2 ** Math.ceil(this.#steps);
    return {
      maxRecords: this.#base.maxRecords * Math.min(factor, 4),
      maxBytes: this.#base.maxBytes * Math.min(factor, 4),
      intervalMs: this.#base.intervalMs * factor,
    };
  }

  tooManyParts(): void {
    this.#steps = Math.min(MAX_STEPS, Math.ceil(this.#steps) + 1);
  }

  flushed(): void {
    this.#steps = Math.max(0, this.#steps - 0.5);
  }
}
