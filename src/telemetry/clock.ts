/** Wall-clock time as an argument: the only way that logic outside `src/domain` and `src/sources` may ask for it. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
