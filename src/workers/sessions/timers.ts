/** Milliseconds per bucket: how much later than its due time a timer may run. */
const BUCKET_MS = 50;

/**
 * Timers on stream time: items by due time, in buckets. Arming and running are O(1) per item and O(log buckets) per bucket.
 * It never disarms: whoever runs an item asks it whether it is really due, and arms it again when it is not.
 */
export class Timers<T> {
  readonly #buckets = new Map<number, T[]>();
  /** Binary min-heap of the bucket numbers in use. */
  readonly #heap: number[] = [];

  /** `due` is stream time, epoch ms. */
  arm(item: T, due: number): void {
    const bucket = Math.ceil(due / BUCKET_MS);
    const items = this.#buckets.get(bucket);
    if (items !== undefined) {
      items.push(item);
      return;
    }
    this.#buckets.set(bucket, [item]);
    this.#push(bucket);
  }

  /** Stream time of the earliest bucket, or null when there is none. */
  next(): number | null {
    const first = this.#heap[0];
    return first === undefined ? null : first * BUCKET_MS;
  }

  /** Removes and returns the items of the earliest bucket if it is due at `now`, else null. */
  take(now: number): T[] | null {
    const first = this.#heap[0];
    if (first === undefined || first * BUCKET_MS > now) return null;
    this.#pop();
    const items = this.#buckets.get(first)!;
    this.#buckets.delete(first);
    return items;
  }

  #push(value: number): void {
    const heap = this.#heap;
    let i = heap.push(value) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]! <= value) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = value;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}
