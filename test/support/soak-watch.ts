import { setTimeout as delay } from 'node:timers/promises';
import { TOPICS } from '../../src/codec/topics.js';
import type { VerifyDeps } from '../../src/simulator/index.js';
import type { OffsetReader } from '../../src/stream/offsets.js';
import type { MetricsPage, System } from './system.js';
import type { Point } from './trend.js';

export const ROLES = ['ingest', 'poll', 'sessions', 'events', 'sink', 'api'] as const;
export type Role = (typeof ROLES)[number];

interface Sample {
  at: number;
  page: MetricsPage;
  servers: Record<string, number>;
  /** Records that each worker has not committed. */
  lags: Readonly<Record<string, number>>;
  /** Active parts of the table that has most. */
  parts: number;
  kafkaBytes: number;
  /** Sum of the ends of all topics. */
  ends: number;
}

/** Looks at everything that could grow, every so often. */
export class SoakWatch {
  readonly samples: Sample[] = [];
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;

  constructor(
    private readonly system: System,
    private readonly deps: Pick<VerifyDeps, 'lag' | 'query'>,
    private readonly offsets: OffsetReader,
    everyMs: number,
  ) {
    this.#done = this.#run(everyMs);
    // Told by `stop`.
    this.#done.catch(() => {});
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  /** A figure of each sample that has it. */
  series(figure: (sample: Sample) => number | null): Point[] {
    return this.samples.flatMap((sample): Point[] => {
      const value = figure(sample);
      return value === null ? [] : [[sample.at, value]];
    });
  }

  /** A metric of a role. */
  metric(name: string, role: Role, labels: Readonly<Record<string, string>> = {}): Point[] {
    return this.series(({ page }) => page.sum(name, { role, ...labels }));
  }

  async #run(everyMs: number): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.samples.push(await this.#sample());
      await delay(everyMs, undefined, { signal }).catch(() => {});
    }
    this.samples.push(await this.#sample());
  }

  async #sample(): Promise<Sample> {
    const { system, deps, offsets } = this;
    const [page, lags, tables, ...ranges] = await Promise.all([
      system.metrics(),
      deps.lag(),
      deps.query<{ parts: number | string }>(
        'SELECT count() AS parts FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table',
      ),
      ...Object.values(TOPICS).map(({ name }) => offsets.ranges(name)),
    ]);
    return {
      at: Date.now(),
      page,
      servers: system.servers(),
      lags,
      parts: Math.max(0, ...tables.map(({ parts }) => Number(parts))),
      kafkaBytes: system.kafkaBytes(),
      ends: ranges.flat().reduce((sum, { end }) => sum + end, 0),
    };
  }
}
