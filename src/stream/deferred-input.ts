import { messageOf } from '../domain/errors.js';
import type { Logger } from '../telemetry/log.js';
import type { QueuedBatch } from './input-queue.js';
import type { Processor } from './types.js';
import { Backoff } from './wait.js';

/** The batch of the deferred topic that is being made ready. */
interface Preparation {
  batch: QueuedBatch;
  state: 'preparing' | 'ready' | 'failed';
}

/** Prepares the batches of a task's deferred topic beside its loop: while that fails, only this topic waits. */
export class DeferredInput {
  readonly #log: Logger;
  readonly #changed: () => void;
  readonly #backoff = new Backoff(250, 10_000);
  #current: Preparation | null = null;
  #problem: string | null = null;

  /** `changed`: look again. */
  constructor(log: Logger, changed: () => void) {
    this.#log = log;
    this.#changed = changed;
  }

  /** Why the topic waits; null: it does not. */
  get problem(): string | null {
    return this.#problem;
  }

  /** True when the batch may be processed; else it is being prepared. */
  isReady(processor: Processor, batch: QueuedBatch): boolean {
    if (processor.prepare === undefined || batch.records.length === 0) return true;
    if (this.#current?.batch === batch) return this.#current.state === 'ready';
    const current: Preparation = { batch, state: 'preparing' };
    this.#current = current;
    processor.prepare(batch.records).then(
      () => {
        current.state = 'ready';
        this.#backoff.reset();
        this.#problem = null;
        this.#changed();
      },
      (error: unknown) => {
        current.state = 'failed';
        this.#problem = `late input waits: ${messageOf(error)}`;
        this.#log.warn({ err: error }, 'late input waits');
        setTimeout(() => {
          if (this.#current === current) this.#current = null;
          this.#changed();
        }, this.#backoff.next()).unref();
      },
    );
    return false;
  }

  /** The session that the batch belongs to is over. */
  discard(): void {
    this.#current = null;
    this.#problem = null;
  }
}
