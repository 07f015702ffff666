import { setTimeout as delay } from 'node:timers/promises';
import { type Delivery, unpackDelivery } from './delivery.js';
import type { Fault } from './fault.js';
import type { Outlet } from './outlet.js';
import type { Spool, SpoolBatch } from './spool.js';

export interface DrainerOptions {
  /** Limits of one batch. */
  maxRecords: number;
  maxBytes: number;
  /** First and longest pause after a failure. */
  backoffMs: number;
  maxBackoffMs: number;
}

export interface DrainerDeps {
  spool: Spool;
  /** null while Kafka or the registry has not been reached yet. */
  outlet: () => Outlet | null;
  fault?: Fault;
  /** Told of every failure, and of success (null) after one. */
  onState?: (error: unknown) => void;
  onDrained?: (records: number) => void;
}

/** Carries the spool over to Kafka, in order, whenever there is something in it. One loop; a record leaves the spool only after the broker's ack. */
export class Drainer {
  readonly #options: DrainerOptions;
  readonly #deps: DrainerDeps;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #again = false;
  #failing = false;
  /** Those who wait for the end of the step at hand. */
  #waiting: (() => void)[] = [];

  constructor(options: DrainerOptions, deps: DrainerDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** True while the last try did not go through, or Kafka is known to be away otherwise. */
  get failing(): boolean {
    return this.#failing;
  }

  /** Somebody else found that Kafka does not answer: nobody shall count on this loop before it has got something through. */
  doubt(): void {
    this.#failing = true;
  }

  /** To be called after every append: starts the loop, or makes it look once more. */
  wake(): void {
    if (this.#stop.signal.aborted) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if (this.#again) this.wake();
    });
  }

  /** Resolves after the next step: a batch carried over, a failure, or the end of the loop. At once when it does not run. */
  nextStep(): Promise<void> {
    return this.#running === null ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#stepDone();
  }

  async #run(): Promise<void> {
    let backoff = this.#options.backoffMs;
    while (!this.#stop.signal.aborted) {
      this.#again = false;
      try {
        const more = await this.#drainOne();
        if (this.#failing) this.#deps.onState?.(null);
        this.#failing = false;
        backoff = this.#options.backoffMs;
        this.#stepDone();
        if (!more) return;
      } catch (error) {
        this.#failing = true;
        this.#deps.onState?.(error);
        this.#stepDone();
        await delay(backoff, undefined, { signal: this.#stop.signal }).catch(() => undefined);
        backoff = Math.min(backoff * 2, this.#options.maxBackoffMs);
      }
    }
  }

  #stepDone(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** False: nothing is left. */
  async #drainOne(): Promise<boolean> {
    const { spool, outlet, fault } = this.#deps;
    const batch = await spool.peek(this.#options.maxRecords, this.#options.maxBytes);
    if (batch === null) return false;
    const kafka = outlet();
    if (kafka === null) throw new Error('Kafka or the schema registry has not been reached yet');
    const { deliveries, unreadable } = unpack(batch);
    await fault?.('drain:before-send');
    if (deliveries.length > 0) await kafka.send(deliveries);
    await fault?.('drain:after-ack');
    await spool.release(batch, unreadable);
    this.#deps.onDrained?.(deliveries.length);
    return true;
  }
}

function unpack(batch: SpoolBatch): { deliveries: Delivery[]; unreadable: number } {
  const deliveries: Delivery[] = [];
  let unreadable = 0;
  for (const payload of batch.payloads) {
    try {
      deliveries.push(unpackDelivery(payload));
    } catch {
      unreadable++;
    }
  }
  return { deliveries, unreadable };
}
