import { setTimeout as delay } from 'node:timers/promises';
import type { AlertSilence } from '../../codec/generated.js';
import { TOPICS } from '../../codec/topics.js';
import type { AlertMetric, AlertRule } from '../../domain/alert-rules.js';
import type { AlertSample } from '../../domain/alerts.js';
import { CallstreamError } from '../../domain/errors.js';
import { unlessAborted } from '../../stream/abort.js';
import { createClients, type KafkaConnection } from '../../stream/client.js';
import type { Environment } from '../../stream/environment.js';
import { GroupMember } from '../../stream/group-member.js';
import { soleOwnerAssigner } from '../../stream/sole-owner.js';
import type { Clock } from '../../telemetry/clock.js';
import type { Logger } from '../../telemetry/log.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { AlertBook, type WatchedApp } from './book.js';
import type { AlertLog } from './log.js';
import { silence } from './silences.js';

export interface EvaluatorOptions {
  kafka: KafkaConnection;
  groupId: string;
  rules: readonly AlertRule[];
  apps: readonly WatchedApp[];
  /** By app id. @throws ClickHouseFailure */
  measure(of: { metric: AlertMetric; window: number; minimum: number; now: number }): Promise<ReadonlyMap<string, AlertSample>>;
  /** Shuts out every earlier evaluator, and reads what it has published. */
  openLog(): Promise<AlertLog>;
  readSilences(): Promise<readonly AlertSilence[]>;
  environment: Environment;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  onFatal(error: unknown): void;
  /** Between two looks, ms. */
  every?: number;
  sessionTimeoutMs?: number;
  heartbeatMs?: number;
}

const EVERY_MS = 30_000;
const KAFKA = 'Kafka';

/**
 * The one process that judges the rules, or one that stands by for it. Group membership elects it, and the fence of the log makes sure: what another that
 * has been thought dead decides late is never published. What fires is what the log says; only how long a condition has held is in memory.
 */
export class Evaluator {
  readonly #o: EvaluatorOptions;
  readonly #member: GroupMember;
  #active: { ended: Promise<void>; abort: AbortController } | null = null;
  #joined = false;
  #stopped = false;

  constructor(options: EvaluatorOptions) {
    this.#o = options;
    const topic = TOPICS.alerts.name;
    this.#member = new GroupMember(
      {
        clients: createClients(options.kafka, options.logger),
        groupId: options.groupId,
        topics: [topic],
        assigner: soleOwnerAssigner(() => this.#isActive()),
        maxWaitMs: 1_000,
        ...(options.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: options.sessionTimeoutMs }),
        ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
      },
      {
        joined: (assignment) => {
          // The group only elects: what it would fetch is read at the takeover.
          this.#member.pause(topic, assignment.get(topic) ?? []);
          const active = (assignment.get(topic) ?? []).length > 0;
          if (active !== this.#isActive()) active ? this.#begin() : this.#end();
        },
        batch: () => true,
        crashed: (error) => options.onFatal(error),
      },
    );
  }

  /** Empty when it can judge, or stands by. */
  problems(): string[] {
    return this.#joined ? [] : ['the evaluator of alerts has not joined its group'];
  }

  async start(): Promise<void> {
    await this.#member.start();
    this.#joined = true;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const { ended } = this.#active ?? {};
    this.#end();
    await ended;
    await this.#member.stop();
  }

  #isActive(): boolean {
    return this.#active?.abort.signal.aborted === false;
  }

  #begin(): void {
    const abort = new AbortController();
    const before = this.#active?.ended;
    const ended = this.#run(abort.signal, before).catch((error) => {
      if (!abort.signal.aborted && !this.#stopped) this.#o.onFatal(error);
    });
    this.#active = { abort, ended };
    this.#o.metrics.callstream_alerts_active.set(1);
    this.#o.logger.info({ rules: this.#o.rules.map(({ name }) => name) }, 'this process judges the rules of alerts now');
  }

  #end(): void {
    if (!this.#isActive()) return;
    this.#active?.abort.abort(new Error('another process judges the rules now'));
    this.#o.metrics.callstream_alerts_active.set(0);
  }

  async #run(signal: AbortSignal, before: Promise<void> | undefined): Promise<void> {
    await before;
    while (!signal.aborted) {
      const log = await this.#o.environment.until(KAFKA, signal, () => this.#o.openLog());
      try {
        await this.#judge(log, signal);
      } catch (error) {
        if (signal.aborted || !(error instanceof CallstreamError) || error.code !== 'KAFKA_UNAVAILABLE') throw error;
        this.#o.logger.warn({ err: error }, 'what alerts say is read again before anything more is published');
      } finally {
        log.close();
      }
      // Perhaps another has taken over, and the group has not heard of it: whoever it does not confirm must not fence anybody.
      await unlessAborted(this.#member.confirmed(), signal);
    }
  }

  async #judge(log: AlertLog, signal: AbortSignal): Promise<void> {
    const { rules, apps, environment, clock, every } = this.#o;
    const book = new AlertBook(log.alerts);
    for (;;) {
      this.#show(book);
      const samples = await environment.until('ClickHouse', signal, () => this.#measure());
      signal.throwIfAborted();
      const now = clock.now();
      const changes = book.next(rules, apps, (rule, appId) => samples.get(rule.name)?.get(appId) ?? null, now);
      if (changes.length > 0) {
        const silences = await environment.until(KAFKA, signal, () => this.#o.readSilences());
        const told = changes.map((alert) => silence(alert, silences, now));
        await log.publish(told);
        book.published(told);
        for (const { rule, app_id, state, value, threshold, silenced } of told) {
          this.#o.metrics.callstream_alert_changes_total.inc({ rule, state });
          this.#o.logger.warn({ rule, app: app_id, state, value, threshold, silenced }, `alert ${rule} of app ${app_id}: ${state}`);
        }
        this.#show(book);
      }
      await delay(every ?? EVERY_MS, undefined, { signal });
    }
  }

  /** By rule and app. */
  async #measure(): Promise<Map<string, ReadonlyMap<string, AlertSample>>> {
    const { rules, measure, clock, metrics } = this.#o;
    const samples = new Map<string, ReadonlyMap<string, AlertSample>>();
    const end = metrics.callstream_alert_evaluation_seconds.startTimer();
    for (const { name, metric, window, minimum } of rules) {
      samples.set(name, await measure({ metric, window, minimum, now: clock.now() }));
    }
    end();
    return samples;
  }

  #show(book: AlertBook): void {
    const firing = book.firing();
    for (const { name } of this.#o.rules) {
      this.#o.metrics.callstream_alerts_firing.set({ rule: name }, firing.filter(({ rule }) => rule === name).length);
    }
  }
}
