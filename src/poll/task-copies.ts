import type { QueuedTask } from './task-queue.js';

/**
 * Tasks that wait, by what they ask. One that is put off is published anew, and its record stays in front of whoever takes over until every task before it is done: were both
 * put off again, there would be twice as many after each takeover. Pure.
 */
export class TaskCopies {
  readonly #waiting = new Map<string, readonly QueuedTask[]>();

  /** It waits from now on. Returns those that need not, for a later copy waits: perhaps itself, and never all. */
  add(entry: QueuedTask): QueuedTask[] {
    const question = questionOf(entry);
    const all = [...(this.#waiting.get(question) ?? []), entry];
    const spare = all.filter((one) => all.some((other) => standsFor(other, one)));
    this.#waiting.set(
      question,
      all.filter((one) => !spare.includes(one)),
    );
    return spare;
  }

  /** It waits no more. */
  delete(entry: QueuedTask): void {
    const question = questionOf(entry);
    const rest = (this.#waiting.get(question) ?? []).filter((one) => one !== entry);
    if (rest.length > 0) this.#waiting.set(question, rest);
    else this.#waiting.delete(question);
  }
}

const questionOf = ({ task, partition }: QueuedTask): string => JSON.stringify([partition, { ...task, attempt: 0, due_at: 0 }]);

/** A copy comes after what it was made of, and counts the attempt. A first attempt is nobody's copy: somebody wants to know once more. */
const standsFor = (copy: QueuedTask, of: QueuedTask): boolean =>
  copy.task.attempt > 0 && copy.task.attempt >= of.task.attempt && copy.offset > of.offset;
