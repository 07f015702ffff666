import { CallstreamError } from '../domain/errors.js';
import type { FailureCounter } from './types.js';

export interface DeadLetterLimitOptions {
  /** Records looked back on. */
  window?: number;
  /** Largest tolerated share of failures in a full window. */
  share?: number;
  /** Failures in a row that stop the task. */
  inARow?: number;
}

/**
 * Rule 10's brake: a deploy that cannot decode or fold anything would turn the whole input into dead letters.
 * More than 5% failures among the last 10,000 records, or 1,000 in a row, stop the task. The share is judged once the window is full.
 */
export class DeadLetterLimit implements FailureCounter {
  readonly #failedAt: Uint8Array;
  readonly #tolerated: number;
  readonly #inARow: number;
  #next = 0;
  #seen = 0;
  #failures = 0;
  #row = 0;

  constructor({ window = 10_000, share = 0.05, inARow = 1_000 }: DeadLetterLimitOptions = {}) {
    this.#failedAt = new Uint8Array(window);
    this.#tolerated = window * share;
    this.#inARow = inARow;
  }

  ok(): void {
    this.#row = 0;
    this.#push(0);
  }

  failed(reason: string): void {
    this.#row += 1;
    this.#push(1);
    const window = this.#failedAt.length;
    if (this.#row >= this.#inARow) this.#stop(`${this.#row} records in a row`, reason);
    if (this.#seen >= window && this.#failures > this.#tolerated) this.#stop(`${this.#failures} of the last ${window} records`, reason);
  }

  #push(failed: 0 | 1): void {
    this.#failures += failed - (this.#failedAt[this.#next] as number);
    this.#failedAt[this.#next] = failed;
    this.#next = (this.#next + 1) % this.#failedAt.length;
    this.#seen += 1;
  }

  #stop(what: string, reason: string): never {
    throw new CallstreamError(
      'STREAM_DEAD_LETTER_LIMIT',
      `${what} could not be processed (last reason: ${reason}). Nothing of this is committed: repair the program or its schemas, then start it again.`,
    );
  }
}
