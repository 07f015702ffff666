import type { StreamWorker } from '../stream/worker.js';

/** The processors of the tasks that a worker runs now: each task has one, made anew at every takeover. */
export class LiveProcessors<P> {
  readonly #processors = new Map<number, P>();
  readonly #tasks: () => ReturnType<StreamWorker['tasks']>;

  /** `tasks`: those that run now, by partition. */
  constructor(tasks: () => ReturnType<StreamWorker['tasks']>) {
    this.#tasks = tasks;
  }

  /** The processor that the task of this partition has from now on. */
  made(partition: number, processor: P): P {
    this.#processors.set(partition, processor);
    return processor;
  }

  *[Symbol.iterator](): Iterator<[partition: number, processor: P]> {
    const running = this.#tasks();
    for (const [partition, processor] of this.#processors) {
      if (running.has(partition)) yield [partition, processor];
      else this.#processors.delete(partition);
    }
  }
}
