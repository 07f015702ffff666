/** Which offset of each partition may be committed: the lowest whose task is not done yet. Pure. */
export class TaskLedger {
  readonly #partitions = new Map<number, Ledger>();

  /** Where a partition is to be read on; null: wherever the group stands. */
  next(partition: number): number | null {
    return this.#partitions.get(partition)?.next ?? null;
  }

  /** Everything below `offset` is done with, by this member or another; reading goes on there. */
  begin(partition: number, offset: number): void {
    const known = this.#partitions.get(partition);
    if (known === undefined) this.#partitions.set(partition, { next: offset, committed: offset, open: [], done: new Set() });
    else this.passed(partition, offset);
  }

  /** A task was read. Returns false for one that is known, or of a partition that is not. */
  take(partition: number, offset: number): boolean {
    const ledger = this.#partitions.get(partition);
    if (ledger === undefined || offset < ledger.next) return false;
    ledger.open.push(offset);
    ledger.next = offset + 1;
    return true;
  }

  /** Nothing is to be read below `offset`. */
  passed(partition: number, offset: number): void {
    const ledger = this.#partitions.get(partition);
    if (ledger !== undefined && offset > ledger.next) ledger.next = offset;
  }

  /** A task that was taken is done; once for each. */
  done(partition: number, offset: number): void {
    const ledger = this.#partitions.get(partition);
    if (ledger === undefined) return;
    ledger.done.add(offset);
    let finished = 0;
    while (finished < ledger.open.length && ledger.done.delete(ledger.open[finished]!)) finished += 1;
    ledger.open.splice(0, finished);
  }

  /** Tasks that are not done. */
  get open(): number {
    let count = 0;
    for (const { open, done } of this.#partitions.values()) count += open.length - done.size;
    return count;
  }

  /** Offsets to commit, where they are further than the last ones. */
  committable(): { partition: number; offset: number }[] {
    return [...this.#partitions].flatMap(([partition, { open, next, committed }]) => {
      const offset = open[0] ?? next;
      return offset > committed ? [{ partition, offset }] : [];
    });
  }

  committed(offsets: readonly { partition: number; offset: number }[]): void {
    for (const { partition, offset } of offsets) {
      const ledger = this.#partitions.get(partition);
      if (ledger !== undefined) ledger.committed = Math.max(ledger.committed, offset);
    }
  }

  clear(): void {
    this.#partitions.clear();
  }
}

interface Ledger {
  next: number;
  committed: number;
  /** Ascending; those done before the first are in `done`. */
  open: number[];
  done: Set<number>;
}
