import type { PollTask } from '../codec/generated.js';

/** A task in memory, and its place on the topic. */
export interface QueuedTask {
  task: PollTask;
  /** Record key on the topic. */
  key: Buffer;
  partition: number;
  offset: number;
  /** Not before, epoch milliseconds: the task's own due_at, or later after a failure. */
  dueAt: number;
  /** Rounds that ended in answers which may be better next time. */
  rounds: number;
}

/** Tasks of one source of one app by due time: a binary heap. Pure: time is an argument. */
export class TaskQueue {
  readonly #heap: QueuedTask[] = [];
  #questions = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Requests that all of it will take, at least. */
  get questions(): number {
    return this.#questions;
  }

  /** When the first is due, epoch milliseconds; null: there is none. */
  get nextDue(): number | null {
    return this.#heap[0]?.dueAt ?? null;
  }

  push(entry: QueuedTask): void {
    this.#questions += questionsOf(entry);
    this.#heap.push(entry);
    this.#rise(entry, this.#heap.length - 1);
  }

  /** Takes one out, if it is there. */
  remove(entry: QueuedTask): void {
    const at = this.#heap.indexOf(entry);
    if (at === -1) return;
    this.#questions -= questionsOf(entry);
    const last = this.#heap.pop()!;
    if (at === this.#heap.length) return;
    this.#rise(last, at);
    if (this.#heap[at] === last) this.#sink(last, at);
  }

  /** Takes out the one that has been due for longest; null when none is. */
  pop(now: number): QueuedTask | null {
    const first = this.#heap[0];
    if (first === undefined || first.dueAt > now) return null;
    this.#questions -= questionsOf(first);
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) this.#sink(last, 0);
    return first;
  }

  #rise(entry: QueuedTask, from: number): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.dueAt <= entry.dueAt) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #sink(entry: QueuedTask, from: number): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < heap.length && heap[child + 1]!.dueAt < heap[child]!.dueAt) child += 1;
      if (child >= heap.length || heap[child]!.dueAt >= entry.dueAt) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = entry;
  }
}

/** One for each user who is asked about; where users are none of the question, one. */
const questionsOf = ({ task }: QueuedTask): number => (task.user_id === '' ? Math.max(1, task.users.length) : 1);
