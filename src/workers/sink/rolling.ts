import { ClickHouseFailure, type Roller } from '../../clickhouse/index.js';
import { Backoff, Signal } from '../../stream/wait.js';
import type { Logger } from '../../telemetry/log.js';
import type { Metrics } from '../../telemetry/metrics.js';

/** While nothing is flushed here, another member's touches are found this often. */
const IDLE_MS = 1_000;
/** The roller rests this many times as long as its last pass took, and at least REST_MS: it shares the server with readers. */
const REST_FACTOR = 3;
const REST_MS = 200;

export interface RollingOptions {
  roller: Pick<Roller, 'pass'>;
  /** Whether this member is the one that rolls. Two at once do no harm, but work twice. */
  active: () => boolean;
  logger: Logger;
  metrics: Metrics;
  onFatal: (error: unknown) => void;
}

/** Runs the roller for ever: soon after a flush, else now and then. */
export class Rolling {
  readonly #o: RollingOptions;
  readonly #signal = new Signal();
  readonly #backoff = new Backoff(200, 10_000);
  #running = false;
  #done: Promise<void> = Promise.resolve();
  #problem: string | null = null;

  constructor(options: RollingOptions) {
    this.#o = options;
  }

  start(): void {
    this.#running = true;
    this.#done = this.#run();
  }

  /** There are new touches. */
  nudge(): void {
    this.#signal.notify();
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#signal.notify();
    await this.#done;
  }

  problems(): string[] {
    return this.#problem === null ? [] : [this.#problem];
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const rest = await this.#pass();
      await this.#rest(rest);
      if (this.#running) await this.#signal.wait(IDLE_MS);
    }
  }

  /** Returns how long to rest, ms. */
  async #pass(): Promise<number> {
    if (!this.#o.active()) return 0;
    const began = performance.now();
    try {
      const { callstream_roller_dirty, callstream_roller_buckets_total } = this.#o.metrics;
      callstream_roller_buckets_total.inc(await this.#o.roller.pass((minutes) => callstream_roller_dirty.set(minutes)));
      callstream_roller_dirty.set(0);
      this.#backoff.reset();
      this.#problem = null;
    } catch (error) {
      if (!(error instanceof ClickHouseFailure) || error.kind !== 'retriable') {
        this.#running = false;
        this.#o.onFatal(error);
        return 0;
      }
      this.#problem = `rollups wait for ClickHouse: ${error.message}`;
      this.#o.logger.warn({ err: error }, 'rollups wait for ClickHouse');
      return this.#backoff.next();
    }
    return Math.max(REST_MS, (performance.now() - began) * REST_FACTOR);
  }

  /** Nudges during the rest count afterwards. */
  async #rest(ms: number): Promise<void> {
    const until = performance.now() + ms;
    let nudged = false;
    for (;;) {
      const left = until - performance.now();
      if (left <= 0 || !this.#running) break;
      await this.#signal.wait(left);
      nudged ||= performance.now() < until;
    }
    if (nudged) this.#signal.notify();
  }
}
