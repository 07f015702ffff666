import { TOPICS } from '../../codec/topics.js';
import type { RecordingKey } from '../../domain/recording.js';
import { topicsAbout } from '../../sources/registry.js';
import type { ProcessedCounts } from '../../stream/types.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { FoldingWorker, type FoldingWorkerOptions } from '../folding-worker.js';
import { AS_THEY_COME, type Users } from '../users.js';
import { type RecordingCodecs, RecordingsProcessor } from './processor.js';

export interface RecordingsWorkerOptions extends FoldingWorkerOptions {
  /** How long a recording stays in memory after its last change, ms. */
  retention: number;
  codecs: RecordingCodecs;
  /** Absent: users go by the ids that come. */
  users?: Users;
  /** See {@link RecordingsProcessor}. */
  lookup(keys: readonly RecordingKey[]): Promise<ReadonlyMap<string, Buffer>>;
}

/** The recordings worker: folds what is about recordings with {@link RecordingsProcessor}. */
export class RecordingsWorker extends FoldingWorker<RecordingsProcessor> {
  constructor(options: RecordingsWorkerOptions) {
    const { retention, codecs, users = AS_THEY_COME, lookup, partitions, metrics } = options;
    super(options, {
      name: 'recordings',
      inputs: topicsAbout('recording'),
      outputTopic: TOPICS.recordings.name,
      create: ({ partition, failures }) => new RecordingsProcessor({ partition, partitions, retention, codecs, users, lookup, failures }),
      count: (counts) => countRecordings(metrics, counts),
      gauge: (processors) => metrics.callstream_recordings.set(processors.reduce((held, { table }) => held + table.size, 0)),
    });
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
