import { CallstreamError } from '../../src/domain/errors.js';
import type { CollectedBatch, TakeOptions } from '../../src/stream/collector.js';
import type { InputRecord } from '../../src/stream/types.js';
import type { SinkSource } from '../../src/workers/sink/worker.js';

/** Topics in memory with committed offsets: what a sink reads again after a crash. */
export class MemoryTopics {
  readonly #logs = new Map<string, InputRecord[]>();
  readonly #committed = new Map<string, number>();
  #waiters: (() => void)[] = [];

  append(topic: string, partition: number, value: Buffer | null): InputRecord {
    const place = `${topic}:${partition}`;
    const log = this.#logs.get(place) ?? [];
    const record = { topic, partition, offset: log.length, timestamp: 1_800_000_000_000, key: Buffer.from('key'), value, headers: {} };
    log.push(record);
    this.#logs.set(place, log);
    for (const wake of this.#waiters.splice(0)) wake();
    return record;
  }

  /** Records that no one has committed. */
  get lag(): number {
    let lag = 0;
    for (const [place, log] of this.#logs) lag += log.length - (this.#committed.get(place) ?? 0);
    return lag;
  }

  /** A new member: it starts at the committed offsets. */
  join(): SinkSource & { leave(): void } {
    const positions = new Map(this.#committed);
    let left = false;
    const held = ({ maxRecords }: TakeOptions): CollectedBatch => {
      const records: InputRecord[] = [];
      const offsets: { place: never; next: number }[] = [];
      for (const [place, log] of this.#logs) {
        const from = positions.get(place) ?? 0;
        const taken = log.slice(from, from + maxRecords - records.length);
        if (taken.length === 0) continue;
        records.push(...taken);
        positions.set(place, from + taken.length);
        offsets.push({ place: place as never, next: from + taken.length });
      }
      return { records, bytes: 0, offsets };
    };
    return {
      take: async (options) => {
        for (;;) {
          const batch = held(options);
          if (left || batch.records.length > 0) return left ? { records: [], bytes: 0, offsets: [] } : batch;
          await new Promise<void>((resolve) => this.#waiters.push(resolve));
        }
      },
      commit: async ({ offsets }) => {
        if (left) throw new CallstreamError('STREAM_NOT_A_MEMBER', 'this member has left');
        for (const { place, next } of offsets as unknown as { place: string; next: number }[]) {
          this.#committed.set(place, Math.max(next, this.#committed.get(place) ?? 0));
        }
      },
      problems: () => [],
      leave: () => {
        left = true;
        for (const wake of this.#waiters.splice(0)) wake();
      },
    };
  }
}
