import type { ProcessedCounts, Processor, TaskContext } from '../stream/types.js';
import { StreamWorker, type StreamWorkerOptions } from '../stream/worker.js';
import { SinkProgress } from './sink-progress.js';

export type WorkerConnection = Pick<StreamWorkerOptions, 'kafka' | 'groupId' | 'logger' | 'metrics' | 'clock' | 'onFatal' | 'faultPoint'>;

/** What every worker with state is given. */
export interface FoldingWorkerOptions extends WorkerConnection {
  /** Consumer group of the sink: what is published leaves the state only once this group has read it. */
  sinkGroupId: string;
  /** Partitions of the raw topics. */
  partitions: number;
}

/** A processor whose state is what it has published and what may still change. */
export interface FoldingProcessor extends Processor {
  /** Next offset that the sink will read of the task's own partition of the output topic. */
  setSinkPosition(nextOffset: number): void;
}

/** What one such worker is. */
export interface Folding<P extends FoldingProcessor>
  extends Pick<StreamWorkerOptions, 'name' | 'inputs' | 'deferred' | 'outputTopic' | 'outputShare'> {
  create(context: TaskContext): P;
  /** A transaction is committed. */
  count(counts: ProcessedCounts): void;
  /** Now and then: the processors at work, for gauges. */
  gauge(processors: readonly P[]): void;
}

/** The stream runtime with processors that hold state, and what these must know of the sink. */
export class FoldingWorker<P extends FoldingProcessor> {
  readonly #worker: StreamWorker;
  readonly #progress: SinkProgress;
  /** Each task has one, made anew at every takeover. */
  readonly #processors = new Map<number, P>();

  constructor(options: FoldingWorkerOptions, { create, count, gauge, ...worker }: Folding<P>) {
    const { kafka, logger, sinkGroupId, partitions } = options;
    this.#worker = new StreamWorker({
      ...options,
      ...worker,
      restores: true,
      createProcessor: (context) => {
        const processor = create(context);
        this.#processors.set(context.partition, processor);
        return processor;
      },
      onCommitted: count,
    });
    const first = (worker.outputShare ?? 0) * partitions;
    this.#progress = new SinkProgress({
      kafka,
      logger,
      sinkGroupId,
      topic: worker.outputTopic,
      heard: (nextOffset) => {
        for (const [partition, processor] of this.#atWork()) processor.setSinkPosition(nextOffset(first + partition));
      },
      asked: () => gauge(this.#atWork().map(([, processor]) => processor)),
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
    return this.#worker.problems();
  }

  /** Those of the tasks that run now; the others are forgotten. */
  #atWork(): [partition: number, processor: P][] {
    const running = this.#worker.tasks();
    for (const partition of this.#processors.keys()) if (!running.has(partition)) this.#processors.delete(partition);
    return [...this.#processors];
  }
}
