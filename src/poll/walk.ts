import { setTimeout as delay } from 'node:timers/promises';
import type { PolledElement, PollFailure } from '../sources/polled.js';
import { JitteredBackoff } from '../stream/jittered-backoff.js';
import type { Chance } from '../telemetry/chance.js';
import type { Lane } from './budget.js';
import type { Asked, Line } from './line.js';
import type { Timing } from './timing.js';

export interface WalkOptions {
  line: Line;
  lane: Lane;
  /** Resolves once the elements are durable: only then is the next page asked for. */
  publish(elements: readonly PolledElement[]): Promise<void>;
  /** Failures of the host in a row, for one page, before the walk ends. */
  hostRetries: number;
  timing: Timing;
  chance: Chance;
  signal: AbortSignal;
}

/** How a walk ended: everything is durable, or why not. */
export type WalkEnd = { kind: 'done' } | (PollFailure & { hostFailed: boolean });

/**
 * Walks the pages of a plan to their end. A page that failed is asked for again, so that a walk of many pages gets through in spite of a few failures.
 * @throws the signal's reason
 */
export async function walk(first: unknown, options: WalkOptions): Promise<WalkEnd> {
  const { line, lane, publish, signal } = options;
  let plan: unknown = first;
  let patience = new Patience(options);
  while (plan !== null) {
    const asked = await line.ask(plan, lane, signal);
    const { answer } = asked;
    if (answer.kind === 'page') {
      if (answer.elements.length > 0) await publish(answer.elements);
      plan = answer.next;
      patience = new Patience(options);
    } else if (answer.kind === 'slow_down') {
      // The operation is paused: the next turn comes when it may.
    } else if (answer.kind === 'retry' && patience.has(asked)) {
      await delay(Math.max(patience.pause(), answer.retryAfterMs ?? 0), undefined, { signal });
    } else {
      return { ...answer, hostFailed: asked.hostFailed };
    }
  }
  return { kind: 'done' };
}

/** With one page. */
class Patience {
  readonly #pauses: JitteredBackoff;
  readonly #most: { host: number; vendor: number };
  #host = 0;
  #vendor = 0;

  constructor({ timing, chance, hostRetries }: WalkOptions) {
    this.#pauses = new JitteredBackoff(timing.retryFirst, timing.retryMax, chance);
    this.#most = { host: hostRetries, vendor: timing.retries };
  }

  has({ hostFailed }: Asked): boolean {
    if (hostFailed) this.#host += 1;
    else this.#vendor += 1;
    return this.#host <= this.#most.host && this.#vendor <= this.#most.vendor;
  }

  pause(): number {
    return this.#pauses.next();
  }
}
