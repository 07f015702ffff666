import { TOPICS } from '../../codec/topics.js';
import type { CallKey } from '../../domain/types.js';
import { topicsAbout } from '../../sources/registry.js';
import type { ProcessedCounts } from '../../stream/types.js';
import { StreamWorker, type StreamWorkerOptions } from '../../stream/worker.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { LiveProcessors } from '../live-processors.js';
import { SinkProgress } from '../sink-progress.js';
import { type SessionCodecs, SessionsProcessor } from './processor.js';
import type { SessionSettings } from './settings.js';

export type WorkerConnection = Pick<StreamWorkerOptions, 'kafka' | 'groupId' | 'logger' | 'metrics' | 'clock' | 'onFatal' | 'faultPoint'>;

export interface SessionsWorkerOptions extends WorkerConnection {
  /** Consumer group of the sink: a call leaves the state once this group has read its last revision. */
  sinkGroupId: string;
  /** Partitions of the raw topics. */
  partitions: number;
  settings: SessionSettings;
  codecs: SessionCodecs;
  /** See {@link SessionsProcessor}. */
  lookup(keys: readonly CallKey[]): Promise<ReadonlyMap<string, Buffer>>;
}

/** Times that the sink's progress is asked for between two counts of the calls by stage, which walk all of them. */
const COUNT_EVERY = 10;

/** The sessions worker: the stream runtime with {@link SessionsProcessor}, and what it must know of the sink. */
export class SessionsWorker {
  readonly #options: SessionsWorkerOptions;
  readonly #worker: StreamWorker;
  readonly #progress: SinkProgress;
  readonly #live = new LiveProcessors<SessionsProcessor>(() => this.#worker.tasks());
  readonly #suspects = new Set<string>();
  #overCap = 0;
  #asked = 0;

  constructor(options: SessionsWorkerOptions) {
    this.#options = options;
    this.#progress = new SinkProgress({
      kafka: options.kafka,
      logger: options.logger,
      sinkGroupId: options.sinkGroupId,
      topic: TOPICS.calls.name,
      heard: (nextOffset) => {
        for (const [partition, processor] of this.#live) processor.setSinkPosition(nextOffset(partition));
      },
      asked: () => {
        this.#gaugeSizes();
        if (this.#asked++ % COUNT_EVERY === 0) this.#gaugeStages();
      },
    });
    this.#worker = new StreamWorker({
      ...options,
      name: 'sessions',
      inputs: [...topicsAbout('call'), TOPICS.rawLate.name],
      deferred: TOPICS.rawLate.name,
      outputTopic: TOPICS.calls.name,
      restores: true,
      createProcessor: ({ partition, failures }) => {
        const { settings, codecs, lookup, partitions } = options;
        return this.#live.made(
          partition,
          new SessionsProcessor({ partition, partitions, settings, codecs, lookup, failures, suspects: this.#suspects }),
        );
      },
      onCommitted: (counts) => countSessions(options.metrics, counts),
    });
  }

  /** @throws as {@link StreamWorker.start} */
  async start(): Promise<void> {
    await this.#worker.start();
    this.#progress.start();
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
    await this.#progress.stop();
  }

  problems(): string[] {
    const problems = this.#worker.problems();
    if (this.#overCap > 0)
      problems.push(`${this.#overCap} calls more than the memory cap are in the state: they are not over, or not yet in ClickHouse`);
    return problems;
  }

  #gaugeSizes(): void {
    const { metrics, settings } = this.#options;
    this.#overCap = 0;
    for (const [, { table }] of this.#live) this.#overCap += Math.max(0, table.size - settings.maxCallsPerTask);
    metrics.callstream_calls_over_cap.set(this.#overCap);
  }

  #gaugeStages(): void {
    const sum = { ringing_or_active: 0, over: 0, final: 0 };
    for (const [, { table }] of this.#live) {
      const stages = table.stages();
      sum.ringing_or_active += stages.ringing_or_active;
      sum.over += stages.over;
      sum.final += stages.final;
    }
    for (const [stage, n] of Object.entries(sum)) this.#options.metrics.callstream_calls.set({ stage }, n);
  }
}

function countSessions(metrics: Metrics, counts: ProcessedCounts): void {
  const inc = (counter: { inc(n: number): void }, name: string) => {
    const n = counts[name];
    if (n) counter.inc(n);
  };
  for (const result of ['folded', 'merged', 'unchanged', 'dead'])
    if (counts[result]) metrics.callstream_inputs_total.inc({ result }, counts[result]);
  for (const result of ['deferred', 'taken_back', 'new']) {
    const n = counts[`late_${result}`];
    if (n) metrics.callstream_late_inputs_total.inc({ result }, n);
  }
  if (counts.dead) metrics.callstream_dead_letters_total.inc({ worker: 'sessions' }, counts.dead);
  inc(metrics.callstream_call_revisions_total, 'revisions');
  inc(metrics.callstream_calls_timed_out_total, 'timed_out');
  inc(metrics.callstream_calls_reopened_total, 'reopened');
  inc(metrics.callstream_calls_left_total, 'left');
}
