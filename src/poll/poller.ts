import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { TopicCodec } from '../codec/codec.js';
import type { PollCursor, PollTask, RawEvent } from '../codec/generated.js';
import { TOPICS } from '../codec/topics.js';
import type { AnyPolledSource, PolledApp } from '../sources/polled.js';
import type { KafkaConnection } from '../stream/client.js';
import { Environment } from '../stream/environment.js';
import type { Chance } from '../telemetry/chance.js';
import type { Clock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Acknowledged } from './acknowledged.js';
import { Cursors } from './cursors.js';
import type { PollFault } from './fault.js';
import { Hosts } from './host.js';
import { type Line, openLines } from './line.js';
import { PollOutlet, type Producer } from './outlet.js';
import type { SweepSettings } from './sweep-range.js';
import { Sweeper } from './sweeper.js';
import type { QueuedTask } from './task-queue.js';
import { type TaskResult, TaskRunner } from './task-runner.js';
import { TaskTopic } from './task-topic.js';
import { TIMING, type Timing } from './timing.js';

export interface PollerOptions {
  kafka: KafkaConnection;
  groupId: string;
  apps: readonly PolledApp[];
  sources: readonly AnyPolledSource[];
  settings: SweepSettings;
  codecs: {
    /** By topic name. */
    raw: ReadonlyMap<string, TopicCodec<RawEvent>>;
    task: TopicCodec<PollTask>;
    cursor: TopicCodec<PollCursor>;
  };
  /** Of every topic. */
  partitions: number;
  producer: Producer;
  /** Everything that stands on callstream.poll-cursors. */
  readCursors(): Promise<readonly PollCursor[]>;
  clock: Clock;
  chance: Chance;
  logger: Logger;
  metrics: Metrics;
  onFatal(error: unknown): void;
  timing?: Partial<Timing>;
  sessionTimeoutMs?: number;
  heartbeatMs?: number;
  /** For tests. */
  fault?: PollFault;
}

/** Of the vendor's rate. */
const SHARE = 0.9;

/**
 * The one process that asks the vendors, or one that stands by for it.
 *
 *   joined ──all partitions of the tasks──> active: cursors read, sweeps and tasks run ──lost──> stands by
 */
export class Poller {
  readonly #o: PollerOptions;
  readonly #timing: Timing;
  readonly #environment: Environment;
  readonly #hosts: Hosts;
  readonly #lines: readonly Line[];
  readonly #outlet: PollOutlet;
  readonly #topic: TaskTopic;
  /** By kind and app; of the present activity. */
  #runners: ReadonlyMap<string, TaskRunner> = new Map();
  #active: { ended: Promise<void>; abort: AbortController } | null = null;
  #joined = false;
  #stopped = false;

  constructor(options: PollerOptions) {
    this.#o = options;
    const { clock, chance, logger, metrics, producer, codecs, partitions, fault } = options;
    this.#timing = { ...TIMING, ...options.timing };
    this.#environment = new Environment(logger, chance);
    this.#hosts = new Hosts(this.#timing.requestTimeout, chance);
    this.#lines = openLines(options.sources, options.apps, {
      hosts: this.#hosts,
      clock,
      chance,
      timing: this.#timing,
      logger,
      metrics,
      share: SHARE,
      fault,
    });
    const acknowledged = new Acknowledged();
    const environment = this.#environment;
    this.#outlet = new PollOutlet({ producer, codecs: codecs.raw, partitions, acknowledged, environment, clock, logger, metrics, fault });
    this.#topic = new TaskTopic({
      kafka: options.kafka,
      groupId: options.groupId,
      codec: codecs.task,
      environment,
      logger,
      onActive: (active) => (active ? this.#begin() : this.#end()),
      onTask: (entry) => this.#route(entry),
      onUnreadable: () => this.#count('', 'unreadable'),
      onFatal: (error) => this.#fail(error),
      commitEvery: this.#timing.commitEvery,
      fault,
      ...(options.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: options.sessionTimeoutMs }),
      ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
    });
  }

  /** What keeps it from its work; empty when it can poll, or stands by. */
  problems(): string[] {
    return [...(this.#joined ? [] : ['the poller has not joined its group']), ...this.#environment.problems()];
  }

  /** What keeps a vendor from being asked: nothing that another process could do better. */
  remarks(): string[] {
    const silent = [...this.#hosts].filter(({ breaker }) => breaker.open).map(({ name }) => `${name} does not answer: asked now and then`);
    return [...this.#lines.flatMap(({ stopped }) => stopped ?? []), ...silent];
  }

  async start(): Promise<void> {
    await this.#topic.start();
    this.#joined = true;
  }

  /** What is under way is left: whoever polls next begins where the cursors and the committed offsets stand. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const { ended } = this.#active ?? {};
    this.#end();
    await ended;
    await this.#topic.stop();
    await this.#hosts.close();
  }

  #begin(): void {
    const abort = new AbortController();
    setMaxListeners(0, abort.signal);
    const before = this.#active?.ended;
    this.#runners = this.#runnersOf(abort.signal);
    const ended = this.#poll(abort.signal, before).catch((error) => {
      if (!abort.signal.aborted) this.#fail(error);
    });
    this.#active = { abort, ended };
    this.#o.metrics.callstream_poll_active.set(1);
    this.#o.logger.info({ polled: this.#lines.map(({ place }) => place) }, 'this process polls now');
  }

  #end(): void {
    if (this.#active === null || this.#active.abort.signal.aborted) return;
    this.#active.abort.abort(new Error('another process polls now'));
    this.#runners = new Map();
    this.#o.metrics.callstream_poll_active.set(0);
    this.#o.logger.info('this process stands by');
  }

  async #poll(signal: AbortSignal, before: Promise<void> | undefined): Promise<void> {
    await before;
    const { producer, codecs, partitions, readCursors, clock, metrics, fault } = this.#o;
    const [cursors] = await Promise.all([
      Cursors.load({
        producer,
        codec: codecs.cursor,
        partitions,
        read: () => this.#environment.until('Kafka', signal, readCursors),
        confirmed: () => this.#topic.confirmed(),
        environment: this.#environment,
        clock,
        metrics,
        fault,
      }),
      delay(this.#timing.handover, undefined, { signal }),
    ]);
    await Promise.all([
      ...[...this.#runners.values()].map((runner) => runner.run(signal)),
      ...this.#lines.flatMap((line) => this.#sweepersOf(line, cursors)).map((sweeper) => sweeper.run(signal)),
    ]);
  }

  #runnersOf(signal: AbortSignal): Map<string, TaskRunner> {
    const { clock, chance, logger, metrics } = this.#o;
    const runners = new Map<string, TaskRunner>();
    for (const line of this.#lines) {
      const { tasking } = line.source;
      if (tasking === null) continue;
      const runner = new TaskRunner({
        line,
        tasking,
        outlet: this.#outlet,
        putOff: (entry, task) => this.#putOff(entry, task, signal),
        settled: ({ task, ...place }, result) => {
          // The offsets of a later activity are not ours to move.
          if (!signal.aborted) this.#settle(task.kind, place, result);
        },
        timing: this.#timing,
        clock,
        chance,
        logger,
        metrics,
      });
      runners.set(`${tasking.kind}:${line.app.appId}`, runner);
    }
    return runners;
  }

  #sweepersOf(line: Line, cursors: Cursors): Sweeper[] {
    const { sweeping } = line.source;
    if (sweeping === null) return [];
    const { settings, clock, chance, logger, metrics } = this.#o;
    const kinds = sweeping.byStart ? (['trailing', 'deep'] as const) : (['trailing'] as const);
    return sweeping.scopesOf(line.app).flatMap((scope) =>
      kinds.map(
        (kind) =>
          new Sweeper({
            line,
            sweeping,
            scope,
            kind,
            settings,
            cursors,
            outlet: this.#outlet,
            timing: this.#timing,
            clock,
            chance,
            logger,
            metrics,
          }),
      ),
    );
  }

  #route(entry: QueuedTask): void {
    const { kind, app_id } = entry.task;
    const runner = this.#runners.get(`${kind}:${app_id}`);
    this.#o.metrics.callstream_poll_tasks_waiting.set(this.#topic.open);
    if (runner !== undefined) runner.push(entry);
    else if (this.#active?.abort.signal.aborted === false) this.#settle(kind, entry, 'unserved');
  }

  #settle(kind: string, place: { partition: number; offset: number }, result: TaskResult): void {
    this.#count(kind, result);
    this.#topic.done(place);
    this.#o.metrics.callstream_poll_tasks_waiting.set(this.#topic.open);
  }

  async #putOff({ key, partition }: QueuedTask, task: PollTask, signal: AbortSignal): Promise<void> {
    const { producer, codecs, fault } = this.#o;
    const record = { topic: TOPICS.tasks.name, partition, key, value: codecs.task.encode(task) };
    await fault?.('poll:before-task-send');
    await this.#environment.until('Kafka', signal, () => producer.send([record]));
    await fault?.('poll:after-task-send');
  }

  #count(kind: string, result: TaskResult): void {
    const known = this.#lines.some(({ source }) => source.tasking?.kind === kind) ? kind : 'other';
    this.#o.metrics.callstream_poll_tasks_total.inc({ kind: known, result });
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#end();
    this.#o.onFatal(error);
  }
}
