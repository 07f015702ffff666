import { type Clock, passingTime } from '../telemetry/clock.js';
import { type Delivery, packDelivery } from './delivery.js';
import { Drainer, type DrainerOptions } from './drainer.js';
import type { Fault } from './fault.js';
import type { Outlet } from './outlet.js';
import type { Spool } from './spool.js';
import { within } from './timeout.js';

export interface RoadOptions {
  /** A send that takes longer counts as failed: the batch goes to the spool, and what Kafka still takes of it is a repeat. */
  sendTimeoutMs: number;
  /** With fewer events than this left in the spool, newcomers wait a moment for it to run dry instead of growing it. */
  nearlyDry: number;
  drain: DrainerOptions;
}

export interface RoadDeps {
  clock: Clock;
  spool: Spool;
  fault?: Fault;
  onDrainState?: (error: unknown) => void;
  onDrained?: (records: number) => void;
  onAppended?: (records: number) => void;
  /** A batch could not be sent and goes to the spool. */
  onDetour?: (error: unknown) => void;
}

/** Whoever sends us nothing because of a refusal would never learn that Kafka is back: after so long without one, the next batch may try. */
const REFUSAL_COUNTS_MS = 10_000;

/**
 * The one way to durability, in order of arrival: straight to Kafka while that works and nothing waits in the spool,
 * else behind the others in the spool.
 */
export class Road {
  readonly #options: RoadOptions;
  readonly #deps: RoadDeps;
  readonly #drainer: Drainer;
  #outlet: Outlet | null = null;
  /** In passing time. */
  #refusedAt = Number.NEGATIVE_INFINITY;

  constructor(options: RoadOptions, deps: RoadDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#drainer = new Drainer(options.drain, {
      spool: deps.spool,
      outlet: () => this.#outlet,
      fault: deps.fault,
      onState: deps.onDrainState,
      onDrained: deps.onDrained,
    });
    if (!deps.spool.isEmpty) this.#drainer.wake();
  }

  /** Kafka and the registry have been reached. */
  open(outlet: Outlet): void {
    this.#outlet = outlet;
  }

  /** True when the way leads through the spool at this moment. */
  get detour(): boolean {
    return this.#outlet === null || !this.#deps.spool.isEmpty;
  }

  /** True when neither Kafka nor the disk has taken the last batch, a moment ago. */
  get refusing(): boolean {
    return passingTime.now() - this.#refusedAt < REFUSAL_COUNTS_MS;
  }

  /**
   * Durable when it resolves. One batch at a time, for the order.
   * @throws CallstreamError SPOOL_FULL, SPOOL_FAILED: neither Kafka nor the spool has taken it (a part may arrive all the same)
   */
  async accept(batch: readonly Delivery[]): Promise<void> {
    try {
      await this.#accept(batch);
      this.#refusedAt = Number.NEGATIVE_INFINITY;
    } catch (error) {
      this.#refusedAt = passingTime.now();
      throw error;
    }
  }

  async #accept(batch: readonly Delivery[]): Promise<void> {
    await this.#waitWhileNearlyDry();
    const direct = !this.detour;
    if (direct && (await this.#sent(batch))) return;
    try {
      await this.#spooled(batch);
    } catch (error) {
      // Overtaking those in the spool is better than refusing: no reader of the topic depends on the order.
      if (direct || this.#outlet === null || this.#drainer.failing || !(await this.#sent(batch))) throw error;
    }
  }

  /** What is in the spool stays there. */
  async close(): Promise<void> {
    await this.#drainer.close();
  }

  async #waitWhileNearlyDry(): Promise<void> {
    const { spool } = this.#deps;
    while (!spool.isEmpty && !this.#drainer.failing && this.#outlet !== null && spool.events < this.#options.nearlyDry) {
      const left = spool.events;
      await within(this.#options.sendTimeoutMs, this.#drainer.nextStep(), 'INGEST_SEND_TIMEOUT', 'the spool does not run dry').catch(
        () => undefined,
      );
      if (spool.events >= left) return;
    }
  }

  async #spooled(batch: readonly Delivery[]): Promise<void> {
    const at = this.#deps.clock.now();
    await this.#deps.spool.append(batch.map((delivery) => ({ at, payload: packDelivery(delivery) })));
    this.#deps.onAppended?.(batch.length);
    this.#drainer.wake();
  }

  async #sent(batch: readonly Delivery[]): Promise<boolean> {
    const { fault } = this.#deps;
    const send = async (): Promise<void> => {
      await fault?.('kafka:before-send');
      await this.#outlet?.send(batch);
      await fault?.('kafka:after-ack');
    };
    try {
      await within(
        this.#options.sendTimeoutMs,
        send(),
        'INGEST_SEND_TIMEOUT',
        `Kafka has not acknowledged within ${this.#options.sendTimeoutMs} ms`,
      );
      return true;
    } catch (error) {
      this.#drainer.doubt();
      this.#deps.onDetour?.(error);
      return false;
    }
  }
}
