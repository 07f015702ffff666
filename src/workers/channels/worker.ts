import { TOPICS } from '../../codec/topics.js';
import type { ChannelKey } from '../../domain/channel.js';
import { topicsAbout } from '../../sources/registry.js';
import type { ProcessedCounts } from '../../stream/types.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { FoldingWorker, type FoldingWorkerOptions } from '../folding-worker.js';
import { AS_THEY_COME, type Users } from '../users.js';
import { type ChannelCodecs, ChannelsProcessor } from './processor.js';
import type { ChannelSettings } from './schedule.js';

export interface ChannelsWorkerOptions extends FoldingWorkerOptions {
  settings: ChannelSettings;
  codecs: ChannelCodecs;
  /** Absent: users go by the ids that come. */
  users?: Users;
  /** See {@link ChannelsProcessor}. */
  lookup(keys: readonly ChannelKey[], from: number): Promise<ReadonlyMap<string, readonly Buffer[]>>;
}

/** This worker's share of the calls topic: the first is the sessions worker's. */
export const CALLS_SHARE = 1;

/** The channels worker: folds the events of channels with {@link ChannelsProcessor}. */
export class ChannelsWorker extends FoldingWorker<ChannelsProcessor> {
  constructor(options: ChannelsWorkerOptions) {
    const { settings, codecs, users = AS_THEY_COME, lookup, partitions, metrics } = options;
    const suspects = new Set<string>();
    super(options, {
      name: 'channels',
      inputs: topicsAbout('channel'),
      outputTopic: TOPICS.calls.name,
      outputShare: CALLS_SHARE,
      create: ({ partition, failures }) =>
        new ChannelsProcessor({ partition, partitions, settings, codecs, users, lookup, failures, suspects }),
      count: (counts) => countChannels(metrics, counts),
      gauge: (processors) => metrics.callstream_channels.set(processors.reduce((held, { table }) => held + table.size, 0)),
    });
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
