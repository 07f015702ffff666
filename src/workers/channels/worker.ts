import { TOPICS } from '../../codec/topics.js';
import type { ChannelKey } from '../../domain/channel.js';
import { topicsAbout } from '../../sources/registry.js';
import type { ProcessedCounts } from '../../stream/types.js';
import { StreamWorker } from '../../stream/worker.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { LiveProcessors } from '../live-processors.js';
import type { WorkerConnection } from '../sessions/worker.js';
import { SinkProgress } from '../sink-progress.js';
import { type ChannelCodecs, ChannelsProcessor } from './processor.js';
import type { ChannelSettings } from './schedule.js';

export interface ChannelsWorkerOptions extends WorkerConnection {
  /** Consumer group of the sink: a session leaves the state once this group has read its last revision. */
  sinkGroupId: string;
  /** Partitions of the raw topics. */
  partitions: number;
  settings: ChannelSettings;
  codecs: ChannelCodecs;
  /** See {@link ChannelsProcessor}. */
  lookup(keys: readonly ChannelKey[], from: number): Promise<ReadonlyMap<string, readonly Buffer[]>>;
}

/** This worker's share of the calls topic: the first is the sessions worker's. */
export const CALLS_SHARE = 1;

/** The channels worker: the stream runtime with {@link ChannelsProcessor}, and what it must know of the sink. */
export class ChannelsWorker {
  readonly #options: ChannelsWorkerOptions;
  readonly #worker: StreamWorker;
  readonly #progress: SinkProgress;
  readonly #live = new LiveProcessors<ChannelsProcessor>(() => this.#worker.tasks());
  readonly #suspects = new Set<string>();

  constructor(options: ChannelsWorkerOptions) {
    this.#options = options;
    const { kafka, logger, sinkGroupId, metrics, partitions } = options;
    this.#worker = new StreamWorker({
      ...options,
      name: 'channels',
      inputs: topicsAbout('channel'),
      outputTopic: TOPICS.calls.name,
      outputShare: CALLS_SHARE,
      restores: true,
      createProcessor: ({ partition, failures }) => {
        const { settings, codecs, lookup } = options;
        const deps = { partition, partitions, settings, codecs, lookup, failures, suspects: this.#suspects };
        return this.#live.made(partition, new ChannelsProcessor(deps));
      },
      onCommitted: (counts) => countChannels(metrics, counts),
    });
    this.#progress = new SinkProgress({
      kafka,
      logger,
      sinkGroupId,
      topic: TOPICS.calls.name,
      heard: (nextOffset) => {
        for (const [partition, processor] of this.#live) processor.setSinkPosition(nextOffset(CALLS_SHARE * partitions + partition));
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
    this.#options.metrics.callstream_channels.set(held);
  }
}

function countChannels(metrics: Metrics, counts: ProcessedCounts): void {
  for (const result of ['folded', 'merged', 'unchanged', 'passed', 'dead'])
    if (counts[result]) metrics.callstream_channel_inputs_total.inc({ result }, counts[result]);
  if (counts.dead) metrics.callstream_dead_letters_total.inc({ worker: 'channels' }, counts.dead);
  if (counts.revisions) metrics.callstream_channel_session_revisions_total.inc(counts.revisions);
  if (counts.left) metrics.callstream_channel_sessions_left_total.inc(counts.left);
  if (counts.taken_back) metrics.callstream_channels_taken_back_total.inc(counts.taken_back);
}
