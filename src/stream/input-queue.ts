import { type FetchedBatch, toRecords } from './group-member.js';
import type { InputRecord } from './types.js';

/** Records fetched together, and the position after them (records that consumers never see may lie between). */
export interface QueuedBatch {
  records: readonly InputRecord[];
  next: number;
}

/** Bounds of the queue of one input partition. */
const FULL_RECORDS = 20_000;
const FULL_BYTES = 16_777_216;
/** Records of one batch, unless more were fetched together. */
const GATHERED_RECORDS = 500;

/** What became of a fetched batch: queued; known already; or above the place where the queue ends, so that something may be missing. */
export type Offered = 'queued' | 'old' | 'ahead';

/**
 * What is fetched and not yet processed of one input partition of a task. Behind the first batch, what was fetched bit by bit is gathered: a batch may be a question to
 * ClickHouse, which takes about as long for one call or channel as for hundreds.
 */
export class InputQueue {
  readonly topic: string;
  /** Everything below is processed. */
  position: number;
  /** Everything below is processed or queued: where the next fetch goes on. */
  end: number;
  /** The partition is paused because the queue is full. */
  paused = false;
  readonly #batches: (QueuedBatch & { records: InputRecord[]; bytes: number })[] = [];
  readonly #deferred: boolean;
  #records = 0;
  #bytes = 0;

  /** @param deferred its records have headers */
  constructor(topic: string, position: number, deferred = false) {
    this.topic = topic;
    this.#deferred = deferred;
    this.position = position;
    this.end = position;
  }

  offer(batch: FetchedBatch): Offered {
    if (batch.fetchedOffset > this.end) return 'ahead';
    if (batch.nextOffset <= this.end) return 'old';
    this.#push(toRecords(batch, this.end, this.#deferred), batch.nextOffset);
    return 'queued';
  }

  skip(first: number, next: number): Offered {
    if (first > this.end) return 'ahead';
    if (next <= this.end) return 'old';
    this.#push([], next);
    return 'queued';
  }

  peek(): QueuedBatch | undefined {
    return this.#batches[0];
  }

  /** Removes the first batch; the caller has processed it whole, or will before anything is committed. */
  shift(): void {
    const batch = this.#batches.shift();
    if (batch === undefined) return;
    this.#records -= batch.records.length;
    this.#bytes -= batch.bytes;
    this.position = batch.next;
  }

  isFull(): boolean {
    return this.#records >= FULL_RECORDS || this.#bytes >= FULL_BYTES;
  }

  hasRoom(): boolean {
    return this.#records <= FULL_RECORDS / 2 && this.#bytes <= FULL_BYTES / 2;
  }

  #push(records: InputRecord[], next: number): void {
    let bytes = 0;
    for (const { value } of records) bytes += value?.length ?? 0;
    const last = this.#batches.at(-1);
    // The first may be under way already.
    if (last !== undefined && this.#batches.length > 1 && last.records.length + records.length <= GATHERED_RECORDS) {
      last.records.push(...records);
      last.next = next;
      last.bytes += bytes;
    } else this.#batches.push({ records, next, bytes });
    this.#records += records.length;
    this.#bytes += bytes;
    this.end = next;
  }
}
