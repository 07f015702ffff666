import { CallstreamError } from '../domain/errors.js';
import { type Delivery, weightOf } from './delivery.js';

export interface BatcherOptions {
  /** How long the first of a batch waits for others. */
  lingerMs: number;
  /** A batch closes at this many deliveries or about this many bytes (a broker takes 1 MiB per partition and request by default). */
  maxRecords: number;
  maxBytes: number;
  /** What may wait, the batch on its way included; beyond it deliveries are refused at once. */
  maxPending: number;
  maxPendingBytes: number;
  /** A batch that takes longer is refused, and so is everything until it has settled. */
  ackTimeoutMs: number;
}

interface Waiting {
  delivery: Delivery;
  weight: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * Gathers deliveries into batches and hands them on one after the other. Every delivery settles with the fate of its
 * batch. While one batch is on its way the next one grows, so batches are as large as the load is high.
 */
export class Batcher {
  readonly #options: BatcherOptions;
  readonly #accept: (batch: Delivery[]) => Promise<void>;
  #queue: Waiting[] = [];
  #queueSince = 0;
  #pending = 0;
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #stalled = false;
  #closed = false;

  constructor(options: BatcherOptions, accept: (batch: Delivery[]) => Promise<void>) {
    this.#options = options;
    this.#accept = accept;
  }

  /** Deliveries not yet settled. */
  get pending(): number {
    return this.#pending;
  }

  /** A batch is overdue: nothing is taken until it has settled. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /**
   * Resolves when the delivery is durable.
   * @throws CallstreamError INGEST_OVERLOADED, INGEST_STALLED, INGEST_CLOSED, and whatever the batch fails with
   */
  submit(delivery: Delivery): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const weight = weightOf(delivery);
      this.#pending++;
      this.#pendingBytes += weight;
      if (this.#queue.length === 0) this.#queueSince = performance.now();
      this.#queue.push({ delivery, weight, resolve, reject });
      this.#schedule();
    });
  }

  /** Sends off what waits and resolves when all of it has settled. Nothing is taken any more. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#pending > 0) {
      this.#flush();
      await this.#running;
    }
  }

  #refusal(): CallstreamError | null {
    if (this.#closed) return new CallstreamError('INGEST_CLOSED', 'ingest is stopping');
    if (this.#stalled) return new CallstreamError('INGEST_STALLED', 'a batch is overdue');
    if (this.#pending >= this.#options.maxPending || this.#pendingBytes >= this.#options.maxPendingBytes) {
      return new CallstreamError('INGEST_OVERLOADED', `${this.#pending} events wait already`);
    }
    return null;
  }

  #schedule(): void {
    if (this.#running !== null) return;
    if (this.#queue.length >= this.#options.maxRecords) {
      this.#flush();
      return;
    }
    if (this.#timer !== null) return;
    const waited = performance.now() - this.#queueSince;
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, this.#options.lingerMs - waited));
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#running !== null || this.#queue.length === 0) return;
    const batch = this.#take();
    this.#running = this.#settle(batch).finally(() => {
      this.#running = null;
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #take(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { weight } of this.#queue) {
      if (count >= this.#options.maxRecords || (count > 0 && bytes + weight > this.#options.maxBytes)) break;
      bytes += weight;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #settle(batch: Waiting[]): Promise<void> {
    const overdue = setTimeout(() => {
      this.#stalled = true;
      const late = new CallstreamError('INGEST_STALLED', `not durable within ${this.#options.ackTimeoutMs} ms`);
      for (const waiting of [...batch, ...this.#queue.splice(0)]) this.#done(waiting, late);
    }, this.#options.ackTimeoutMs);
    try {
      await this.#accept(batch.map(({ delivery }) => delivery));
      this.#settleAll(batch);
    } catch (error) {
      this.#settleAll(batch, error);
    } finally {
      clearTimeout(overdue);
      this.#stalled = false;
    }
  }

  #settleAll(batch: Waiting[], error?: unknown): void {
    if (this.#stalled) return;
    for (const waiting of batch) this.#done(waiting, error);
  }

  #done({ weight, resolve, reject }: Waiting, error?: unknown): void {
    this.#pending--;
    this.#pendingBytes -= weight;
    if (error === undefined) resolve();
    else reject(error);
  }
}
