import { CallstreamError } from '../domain/errors.js';
import type { Task } from './task.js';

interface Progress {
  positions: number;
  at: number;
}

export interface WatchdogOptions {
  worker: string;
  inputs: readonly string[];
  /** Input waits and no position has moved for so long: the task is stuck. */
  limitMs: number;
  sessionTimeoutMs: number;
}

/** Rule 9: kafkajs can stop without saying so, and leave a live process doing nothing. */
export class Watchdog {
  readonly #o: WatchdogOptions;
  readonly #progress = new Map<number, Progress>();
  #lastContact = performance.now();

  constructor(options: WatchdogOptions) {
    this.#o = options;
  }

  /** The group has heard of this member. */
  contact(): void {
    this.#lastContact = performance.now();
  }

  /** A task begins anew. */
  forget(partition: number): void {
    this.#progress.delete(partition);
  }

  /**
   * Called while the brokers answer. `lags`: records that wait for a task, by partition; the deferred topic, which may stand still on its own, aside.
   * Returns what is stuck, or null.
   */
  look(tasks: Iterable<Task>, lags: ReadonlyMap<number, number>): CallstreamError | null {
    const { worker, limitMs, sessionTimeoutMs } = this.#o;
    for (const task of tasks) {
      const lag = lags.get(task.partition) ?? 0;
      if (!this.#isStuck(task, lag)) continue;
      const what = `Task ${task.partition} of ${worker} (${task.state}) has ${lag} records to read and has not moved for ${limitMs} ms.`;
      return new CallstreamError('STREAM_STUCK', what);
    }
    const silence = Math.max(limitMs, 3 * sessionTimeoutMs);
    if (performance.now() - this.#lastContact < silence) return null;
    return new CallstreamError('STREAM_STUCK', `Worker ${worker} has had no contact with its consumer group for ${silence} ms.`);
  }

  #isStuck(task: Task, lag: number): boolean {
    const now = performance.now();
    const positions = this.#o.inputs.reduce((sum, topic) => sum + (task.position(topic) ?? 0), 0);
    const progress = this.#progress.get(task.partition);
    if (lag === 0 || task.excused || progress === undefined || progress.positions !== positions) {
      this.#progress.set(task.partition, { positions, at: now });
      return false;
    }
    return now - progress.at >= this.#o.limitMs;
  }
}
