/** Wakes one waiter; a notification while nobody waits is kept for the next wait. */
export class Signal {
  #notified = false;
  #wake: (() => void) | null = null;

  notify(): void {
    this.#notified = true;
    this.#wake?.();
  }

  /** Resolves at the next notification or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#notified && timeoutMs > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    this.#notified = false;
  }
}

/** Exponential backoff with full jitter's lower half cut off, so that it never spins: between 50% and 100% of the step. */
export class Backoff {
  #step: number;
  constructor(
    private readonly firstMs: number,
    private readonly maxMs: number,
  ) {
    this.#step = firstMs;
  }

  next(): number {
    const step = this.#step;
    this.#step = Math.min(this.maxMs, step * 2);
    return step * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#step = this.firstMs;
  }
}

/** Lets the event loop turn: sockets, heartbeats, other tasks. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Rejects with `onTimeout()` when the promise takes longer; the promise itself goes on. */
export async function within<T>(promise: Promise<T>, ms: number, onTimeout: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(onTimeout()), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
