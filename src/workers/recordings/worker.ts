import { TOPICS } from '../../codec/topics.js';
import type { RecordingKey } from '../../domain/recording.js';
import { topicsAbout } from '../../sources/registry.js';
import type { ProcessedCounts } from '../../stream/types.js';
import { StreamWorker } from '../../stream/worker.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { LiveProcessors } from '../live-processors.js';
import type { WorkerConnection } from '../sessions/worker.js';
import { SinkProgress } from '../sink-progress.js';
import { type RecordingCodecs, RecordingsProcessor } from './processor.js';

export interface RecordingsWorkerOptions extends WorkerConnection {
  /** Consumer group of the sink: a recording leaves the state once this group has read its last revision. */
  sinkGroupId: string;
  /** Partitions of the raw topics. */
  partitions: number;
  /** How long a recording stays in memory after its last change, ms. */
  retention: number;
  codecs: RecordingCodecs;
  /** See {@link RecordingsProcessor}. */
  lookup(keys: readonly RecordingKey[]): Promise<ReadonlyMap<string, Buffer>>;
}

/** The recordings worker: the stream runtime with {@link RecordingsProcessor}, and what it must know of the sink. */
export class RecordingsWorker {
  readonly #options: RecordingsWorkerOptions;
  readonly #worker: StreamWorker;
  readonly #progress: SinkProgress;
  readonly #live = new LiveProcessors<RecordingsProcessor>(() => this.#worker.tasks());

  constructor(options: RecordingsWorkerOptions) {
    this.#options = options;
    const { kafka, logger, sinkGroupId, metrics } = options;
    this.#worker = new StreamWorker({
      ...options,
      name: 'recordings',
      inputs: topicsAbout('recording'),
      outputTopic: TOPICS.recordings.name,
      restores: true,
      createProcessor: ({ partition, failures }) => {
        const { retention, codecs, lookup, partitions } = options;
        return this.#live.made(partition, new RecordingsProcessor({ partition, partitions, retention, codecs, lookup, failures }));
      },
      onCommitted: (counts) => countRecordings(metrics, counts),
    });
    this.#progress = new SinkProgress({
      kafka,
      logger,
      sinkGroupId,
      topic: TOPICS.recordings.name,
      heard: (nextOffset) => {
        for (const [partition, processor] of this.#live) processor.setSinkPosition(nextOffset(partition));
      },
      asked: () => this.#gauge(),
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

  #gauge(): void {
    let held = 0;
    for (const [, { table }] of this.#live) held += table.size;
    this.#options.metrics.callstream_recordings.set(held);
  }
}

function countRecordings(metrics: Metrics, counts: ProcessedCounts): void {
  for (const result of ['folded', 'merged', 'unchanged', 'dead'])
    if (counts[result]) metrics.callstream_recording_inputs_total.inc({ result }, counts[result]);
  if (counts.dead) metrics.callstream_dead_letters_total.inc({ worker: 'recordings' }, counts.dead);
  if (counts.revisions) metrics.callstream_recording_revisions_total.inc(counts.revisions);
  if (counts.left) metrics.callstream_recordings_left_total.inc(counts.left);
  if (counts.taken_back) metrics.callstream_recordings_taken_back_total.inc(counts.taken_back);
}
