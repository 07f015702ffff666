import { AT_THE_END } from './chaos.js';
import type { Delivery } from './wire.js';

/** A piece of traffic, as planned: a call, say, and what it makes the vendor send. */
export interface Planned {
  deliveries: readonly Delivery[];
}

/** Traffic in order of its start. `start_at` is when the first request may be sent, not later than any delivery of the piece. */
export type TrafficSource = Iterator<{ start_at: number; plan: () => Planned }>;

/**
 * The deliveries of a run's traffic in the order in which the vendor sends them. Pieces are planned one by one as their time comes, so that memory holds
 * those under way and not the run.
 */
export class Timeline {
  readonly #source: TrafficSource;
  readonly #immediate: boolean;
  readonly #heap: Entry[] = [];
  #upcoming: { start_at: number; plan: () => Planned } | null;
  #sequence = 0;

  /** @param immediate send_at is only an order: everything is due at once, stragglers last */
  constructor(source: TrafficSource, immediate = false) {
    this.#source = source;
    this.#immediate = immediate;
    this.#upcoming = this.#pull();
  }

  /** The next delivery, left in place; null at the end. */
  peek(): Delivery | null {
    while (this.#upcoming !== null && (this.#heap.length === 0 || this.#upcoming.start_at <= this.#heap[0]!.delivery.send_at)) {
      for (const delivery of this.#upcoming.plan().deliveries) push(this.#heap, { delivery, sequence: this.#sequence++ });
      this.#upcoming = this.#pull();
    }
    return this.#heap[0]?.delivery ?? null;
  }

  /** When the next delivery is to be sent, epoch ms; {@link AT_THE_END} after everything else; infinity: no more. */
  due(): number {
    const next = this.peek();
    if (next === null) return Number.POSITIVE_INFINITY;
    return this.#immediate && next.send_at !== AT_THE_END ? 0 : next.send_at;
  }

  next(): Delivery | null {
    return this.peek() === null ? null : pop(this.#heap).delivery;
  }

  #pull() {
    const result = this.#source.next();
    return result.done ? null : result.value;
  }
}

interface Entry {
  delivery: Delivery;
  sequence: number;
}

const before = (a: Entry, b: Entry): boolean =>
  a.delivery.send_at < b.delivery.send_at || (a.delivery.send_at === b.delivery.send_at && a.sequence < b.sequence);

function push(heap: Entry[], entry: Entry): void {
  let i = heap.length;
  heap.push(entry);
  while (i > 0) {
    const parent = (i - 1) >>> 1;
    if (!before(entry, heap[parent]!)) break;
    heap[i] = heap[parent]!;
    i = parent;
  }
  heap[i] = entry;
}

function pop(heap: Entry[]): Entry {
  const top = heap[0]!;
  const last = heap.pop()!;
  if (heap.length === 0) return top;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, last)) break;
    heap[i] = heap[child]!;
    i = child;
  }
  heap[i] = last;
  return top;
}
