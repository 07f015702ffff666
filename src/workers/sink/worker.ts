import { Chunk, type ClickHouse, ClickHouseFailure, Flush, Roller, TOO_MANY_PARTS } from '../../clickhouse/index.js';
import { CallstreamError } from '../../domain/errors.js';
import type { CollectedBatch, TakeOptions } from '../../stream/collector.js';
import { DeadLetterLimit } from '../../stream/dead-letter-limit.js';
import type { OutputRecord } from '../../stream/types.js';
import { Backoff, Signal, turn } from '../../stream/wait.js';
import type { Logger } from '../../telemetry/log.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { SinkFault } from './fault.js';
import { Intake, type SinkReaders } from './intake.js';
import { PACE, Pace, type PaceLimits } from './pace.js';
import { Rolling } from './rolling.js';

/** Where the records come from: the stream runtime's Collector. */
export interface SinkSource {
  take(options: TakeOptions): Promise<CollectedBatch>;
  commit(batch: CollectedBatch): Promise<void>;
  problems(): string[];
}

export interface SinkOptions {
  source: SinkSource;
  /** Sends dead letters; resolves once they are durable. */
  send: (records: readonly OutputRecord[]) => Promise<void>;
  clickhouse: ClickHouse;
  readers: SinkReaders;
  /** Retention of calls, ms. */
  keepCallsMs: number;
  /** Whether this member rolls the rollups; default: always (several rollers do no harm). */
  rolls?: () => boolean;
  logger: Logger;
  metrics: Metrics;
  /** The worker has stopped for good: exit non-zero. */
  onFatal: (error: unknown) => void;
  pace?: PaceLimits;
  /** For tests. */
  fault?: SinkFault;
}

/** A chunk being filled, with what is to be done once its rows are stored. */
interface Open {
  chunk: Chunk;
  batches: CollectedBatch[];
  dead: OutputRecord[];
}

/**
 * Carries records into ClickHouse, at least once, into tables that do not mind. One chunk is in flight while the next is filled:
 *
 *     take -> decode, rows -> chunk        (while a flush is under way the chunk grows, up to its limits)
 *     flush: rows -> touched minutes -> dead letters -> offsets        (one at a time, in order)
 *
 * A record that arrives while nothing is under way is flushed at once; while records keep coming, one flush starts every 250 ms at most.
 */
export class SinkWorker {
  readonly #o: SinkOptions;
  readonly #intake: Intake;
  readonly #rolling: Rolling;
  readonly #pace: Pace;
  readonly #changed = new Signal();
  #open = emptyChunk();
  #flying: Promise<void> | null = null;
  #nextFlushAt = 0;
  #timer: NodeJS.Timeout | null = null;
  #running = false;
  #failed = false;
  /** What the environment keeps from working, and why. */
  readonly #waits = new Map<string, string>();

  constructor(options: SinkOptions) {
    this.#o = options;
    this.#intake = new Intake(options.readers, new DeadLetterLimit(), options.metrics);
    this.#pace = new Pace(options.pace ?? PACE);
    this.#rolling = new Rolling({
      roller: new Roller(options.clickhouse, options.keepCallsMs, options.fault),
      active: options.rolls ?? (() => true),
      logger: options.logger,
      metrics: options.metrics,
      onFatal: (error) => this.#fail(error),
    });
  }

  start(): void {
    this.#running = true;
    this.#rolling.start();
    void this.#run().catch((error) => this.#fail(error));
  }

  /** Stores and commits what has been taken, unless ClickHouse is away. A take may still be pending: it ends when the source is stopped, which comes next. */
  async stop(): Promise<void> {
    this.#running = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#changed.notify();
    await this.#rolling.stop();
    await this.#flying;
    if (!this.#failed && this.#open.batches.length > 0) await this.#flush(this.#open).catch((error) => this.#fail(error));
  }

  /** Empty when everything works. */
  problems(): string[] {
    return [
      ...this.#o.source.problems(),
      ...(this.#failed ? ['the sink has stopped'] : []),
      ...[...this.#waits].map(([what, why]) => `waiting for ${what}: ${why}`),
      ...this.#rolling.problems(),
    ];
  }

  async #run(): Promise<void> {
    while (this.#running) {
      const { maxRecords, maxBytes } = this.#pace.limits;
      const room = maxRecords - this.#open.chunk.records;
      if (room <= 0 || this.#open.chunk.bytes >= maxBytes) {
        await this.#changed.wait(1_000);
        continue;
      }
      const batch = await this.#o.source.take({ maxRecords: room, maxBytes: maxBytes - this.#open.chunk.bytes, lingerMs: 0 });
      if (batch.offsets.length === 0) await this.#changed.wait(100);
      else await this.#take(batch);
    }
  }

  async #take(batch: CollectedBatch): Promise<void> {
    await this.#patiently('the schema registry', () => this.#intake.resolve(batch.records));
    for (let from = 0; from < batch.records.length; from += SLICE) {
      // Sockets and heartbeats get their turn. The chunk may be sent meanwhile: then the batch's rows are in two chunks, its offsets in the later one.
      await turn();
      if (!this.#running) return;
      const { chunk, dead } = this.#open;
      dead.push(...this.#intake.add(chunk, batch.records.slice(from, from + SLICE)));
    }
    this.#open.batches.push(batch);
    this.#pump();
  }

  /** Starts a flush when there is something to send, none is under way, and it is time or the chunk is full. */
  #pump(): void {
    if (this.#flying !== null || this.#failed || !this.#running || this.#open.batches.length === 0) return;
    const { maxRecords, maxBytes, intervalMs } = this.#pace.limits;
    const now = performance.now();
    const full = this.#open.chunk.records >= maxRecords || this.#open.chunk.bytes >= maxBytes;
    if (!full && now < this.#nextFlushAt) {
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        this.#pump();
      }, this.#nextFlushAt - now);
      return;
    }
    this.#nextFlushAt = now + intervalMs;
    const open = this.#open;
    this.#open = emptyChunk();
    this.#flying = this.#flush(open)
      .catch((error) => this.#fail(error))
      .finally(() => {
        this.#flying = null;
        this.#changed.notify();
        this.#pump();
      });
    this.#changed.notify();
  }

  async #flush({ chunk, batches, dead }: Open): Promise<void> {
    const { clickhouse, metrics, send, fault } = this.#o;
    const end = metrics.callstream_sink_flush_seconds.startTimer();
    if (chunk.records > 0) {
      await fault?.('sink:before-rows-insert');
      const flush = new Flush(clickhouse, metrics, chunk, fault);
      await this.#patiently('ClickHouse', () => flush.rows());
      await fault?.('sink:after-rows-insert');
      await fault?.('sink:before-touched-insert');
      await this.#patiently('ClickHouse', () => flush.touches());
      await fault?.('sink:after-touched-insert');
    }
    if (dead.length > 0) {
      await fault?.('sink:before-dead-letters-send');
      await this.#patiently('Kafka', () => send(dead));
      await fault?.('sink:after-dead-letters-send');
    }
    await fault?.('sink:before-offset-commit');
    for (const batch of batches) await this.#commit(batch);
    await fault?.('sink:after-offset-commit');
    this.#pace.flushed();
    end();
    this.#rolling.nudge();
  }

  /** A commit that fails is no loss: the records are read again, by this member or another, and are the same rows once more. */
  async #commit(batch: CollectedBatch): Promise<void> {
    try {
      await this.#o.source.commit(batch);
    } catch (error) {
      this.#o.logger.warn({ err: error }, 'offsets were not committed; their records will be stored again');
    }
  }

  /** Repeats what the environment makes fail, with backoff and without end; readiness says what it waits for. Other failures pass through. */
  async #patiently(what: string, work: () => Promise<void>): Promise<void> {
    const backoff = new Backoff(100, 10_000);
    for (;;) {
      try {
        await work();
        this.#waits.delete(what);
        return;
      } catch (error) {
        if (!isEnvironment(error) || this.#failed) throw error;
        if (error instanceof ClickHouseFailure && error.server === TOO_MANY_PARTS) this.#pace.tooManyParts();
        if (!this.#running) throw error;
        this.#waits.set(what, (error as Error).message);
        this.#o.logger.warn({ err: error }, `waiting for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, backoff.next()));
      }
    }
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    // Stopping while the environment is away leaves the chunk behind, uncommitted.
    if (!this.#running && isEnvironment(error)) return;
    this.#failed = true;
    this.#running = false;
    this.#changed.notify();
    this.#o.onFatal(error);
  }
}

/** Records decoded in one go, without letting the event loop turn. */
const SLICE = 1_000;

const emptyChunk = (): Open => ({ chunk: new Chunk(), batches: [], dead: [] });

const ENVIRONMENT_CODES: ReadonlySet<string> = new Set(['REGISTRY_UNAVAILABLE', 'KAFKA_UNAVAILABLE', 'CLICKHOUSE_UNAVAILABLE']);

const isEnvironment = (error: unknown): boolean => error instanceof CallstreamError && ENVIRONMENT_CODES.has(error.code);
