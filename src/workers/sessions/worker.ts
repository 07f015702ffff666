import { TOPICS } from '../../codec/topics.js';
import type { CallKey } from '../../domain/types.js';
import { topicsAbout } from '../../sources/registry.js';
import type { ProcessedCounts } from '../../stream/types.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { FoldingWorker, type FoldingWorkerOptions } from '../folding-worker.js';
import { AS_THEY_COME, type Users } from '../users.js';
import { type SessionCodecs, SessionsProcessor } from './processor.js';
import type { SessionSettings } from './settings.js';

export interface SessionsWorkerOptions extends FoldingWorkerOptions {
  settings: SessionSettings;
  codecs: SessionCodecs;
  /** Absent: users go by the ids that come. */
  users?: Users;
  /** See {@link SessionsProcessor}. */
  lookup(keys: readonly CallKey[]): Promise<ReadonlyMap<string, Buffer>>;
}

/** Times that sizes are gauged between two counts of the calls by stage, which walk all of them. */
const COUNT_EVERY = 10;

/** The sessions worker: folds what is about calls with {@link SessionsProcessor}. */
export class SessionsWorker extends FoldingWorker<SessionsProcessor> {
  readonly #metrics: Metrics;
  readonly #maxCallsPerTask: number;
  #overCap = 0;
  #gauged = 0;

  constructor(options: SessionsWorkerOptions) {
    const { settings, codecs, users = AS_THEY_COME, lookup, partitions, metrics } = options;
    const suspects = new Set<string>();
    super(options, {
      name: 'sessions',
      inputs: [...topicsAbout('call'), TOPICS.rawLate.name],
      deferred: TOPICS.rawLate.name,
      outputTopic: TOPICS.calls.name,
      create: ({ partition, failures }) =>
        new SessionsProcessor({ partition, partitions, settings, codecs, users, lookup, failures, suspects }),
      count: (counts) => countSessions(metrics, counts),
      gauge: (processors) => this.#gauge(processors),
    });
    this.#metrics = metrics;
    this.#maxCallsPerTask = settings.maxCallsPerTask;
  }

  override problems(): string[] {
    const problems = super.problems();
    if (this.#overCap > 0)
      problems.push(`${this.#overCap} calls more than the memory cap are in the state: they are not over, or not yet in ClickHouse`);
    return problems;
  }

  #gauge(processors: readonly SessionsProcessor[]): void {
    this.#overCap = 0;
    for (const { table } of processors) this.#overCap += Math.max(0, table.size - this.#maxCallsPerTask);
    this.#metrics.callstream_calls_over_cap.set(this.#overCap);
    if (this.#gauged++ % COUNT_EVERY === 0) this.#gaugeStages(processors);
  }

  #gaugeStages(processors: readonly SessionsProcessor[]): void {
    const sum = { ringing_or_active: 0, over: 0, final: 0 };
    for (const { table } of processors) {
      const stages = table.stages();
      sum.ringing_or_active += stages.ringing_or_active;
      sum.over += stages.over;
      sum.final += stages.final;
    }
    for (const [stage, n] of Object.entries(sum)) this.#metrics.callstream_calls.set({ stage }, n);
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
