import { setTimeout as sleep } from 'node:timers/promises';
import type { Vendor } from './vendor.js';

/** One stretch of time in which nobody reaches the vendor's APIs. */
export class Outage {
  readonly #over = new AbortController();
  #running: Promise<void> | null = null;

  constructor(
    private readonly vendor: Pick<Vendor, 'fail' | 'recover'>,
    private readonly lengthMs: number,
  ) {}

  /** Begins in so many ms, at once when they are none, and lasts its time. */
  beginIn(ms: number): void {
    this.#running = this.#run(Math.max(0, ms));
    // Told by end().
    this.#running.catch(() => {});
  }

  /** What is not over yet is cut short, and stays as it is. Rejects when the vendor could not come back. */
  async end(): Promise<void> {
    this.#over.abort();
    await this.#running;
  }

  async #run(delayMs: number): Promise<void> {
    const { signal } = this.#over;
    await sleep(delayMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    await this.vendor.fail();
    await sleep(this.lengthMs, undefined, { signal }).catch(() => {});
    if (!signal.aborted) await this.vendor.recover();
  }
}
