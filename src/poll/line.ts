import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../domain/errors.js';
import type { AnyPolledSource, PollAnswer, PolledApp, PollFailure, PollRequest } from '../sources/polled.js';
import { JitteredBackoff } from '../stream/jittered-backoff.js';
import type { Chance } from '../telemetry/chance.js';
import { type Clock, passingTime } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Budget, type Lane } from './budget.js';
import { Complaints } from './complaints.js';
import type { PollFault } from './fault.js';
import type { Host, Hosts } from './host.js';
import { Pace } from './pace.js';
import type { Timing } from './timing.js';

export interface LineDeps {
  hosts: Hosts;
  clock: Clock;
  chance: Chance;
  timing: Timing;
  logger: Logger;
  metrics: Metrics;
  /** Of the vendor's rate that is used: the rest is for those who ask beside us, and for clocks. */
  share: number;
  /** For tests. */
  fault?: PollFault;
}

/** What came of one question. */
export interface Asked {
  answer: PollAnswer<unknown>;
  /** The host is at fault, not the question: asking again is worth while for as long as it takes. */
  hostFailed: boolean;
}

interface Stop {
  failure: PollFailure;
  /** When one question may find out whether it still holds, in passing time. */
  probeAt: number;
}

/** One source of one app: asks its plans at the vendor's pace, and knows when to leave the vendor alone. */
export class Line {
  readonly source: AnyPolledSource;
  readonly app: PolledApp;
  /** Where its credentials stand, for example `apps[0].records`. */
  readonly place: string;
  readonly #credentials: unknown;
  readonly #deps: LineDeps;
  readonly #log: Logger;
  readonly #budgets = new Map<string, { budget: Budget; slower: JitteredBackoff }>();
  readonly #complaints = new Complaints();
  #stop: Stop | null = null;

  constructor(source: AnyPolledSource, app: PolledApp, place: string, credentials: unknown, deps: LineDeps) {
    this.source = source;
    this.app = app;
    this.place = place;
    this.#credentials = credentials;
    this.#deps = deps;
    this.#log = deps.logger.child({ source: source.name, app: app.appId });
    const { chance, timing, share } = deps;
    for (const [operation, perSecond] of Object.entries(source.limits.perSecond)) {
      const slower = new JitteredBackoff(timing.slowDownFirst, timing.slowDownMax, chance);
      this.#budgets.set(operation, { budget: new Budget(new Pace(perSecond * share), passingTime), slower });
      deps.metrics.callstream_poll_limit_per_second.set({ source: source.name, app: app.appId, operation }, perSecond * share);
    }
    this.#showStopped();
  }

  /** Why the vendor is left alone until a human acts; null: it is not. */
  get stopped(): string | null {
    return this.#stop === null ? null : `${this.place}: ${this.#stop.failure.message}`;
  }

  /** Requests per second, at most, of the slowest operation. */
  get rate(): number {
    return Math.min(...Object.values(this.source.limits.perSecond)) * this.#deps.share;
  }

  /**
   * Asks when it may. `slow_down` has paused the operation already, and a credential that has expired was renewed once.
   * @throws the signal's reason
   */
  async ask(plan: unknown, lane: Lane, signal: AbortSignal): Promise<Asked> {
    const asked = await this.#once(plan, lane, signal);
    if (asked.answer.kind !== 'renew') return asked;
    const again = await this.#once(plan, lane, signal);
    if (again.answer.kind !== 'renew') return again;
    return { answer: { ...again.answer, kind: 'retry' }, hostFailed: false };
  }

  async #once(plan: unknown, lane: Lane, signal: AbortSignal): Promise<Asked> {
    const operation = this.source.operationOf(plan);
    const { budget } = this.#budgetOf(operation);
    for (;;) {
      await this.#untilNotStopped(signal);
      const answered = await budget.turn(lane, signal);
      const asked = await this.#now(plan, signal).finally(answered);
      if (typeof asked !== 'number') return this.#judge(operation, asked);
      await delay(asked, undefined, { signal });
    }
  }

  /** What came of it, or for how many milliseconds the host is to be left alone. */
  async #now(plan: unknown, signal: AbortSignal): Promise<Asked | number> {
    const { clock, chance, hosts } = this.#deps;
    let request: PollRequest;
    try {
      request = this.source.request(plan, this.#credentials, clock.now(), chance.nonce());
    } catch (error) {
      return { answer: { kind: 'stop', code: 'not_askable', message: messageOf(error) }, hostFailed: false };
    }
    const host = hosts.of(request.url);
    const wait = host.breaker.wait(passingTime.now());
    return wait > 0 ? wait : this.#exchange(host, request, plan, signal);
  }

  async #exchange(host: Host, request: PollRequest, plan: unknown, signal: AbortSignal): Promise<Asked> {
    const { breaker } = host;
    await this.#deps.fault?.('poll:before-request');
    breaker.enter();
    let sent: Awaited<ReturnType<Host['send']>>;
    try {
      sent = await host.send(request, signal);
    } catch (error) {
      breaker.left();
      throw error;
    }
    await this.#deps.fault?.('poll:after-answer');
    const answer = 'kind' in sent ? sent : this.source.readResponse(sent.status, sent.headers, sent.body, plan);
    const hostFailed = answer.kind === 'retry' && ('kind' in sent ? sent.code !== 'too_large' : sent.status >= 500);
    this.#tell(host, hostFailed ? answer : null);
    return { answer, hostFailed };
  }

  /** @param failure of the host itself; null: it has answered */
  #tell(host: Host, failure: PollFailure | null): void {
    const { metrics } = this.#deps;
    const where = { host: host.name };
    if (failure === null) {
      if (host.breaker.succeeded()) this.#log.info(where, 'the vendor answers again');
    } else if (host.breaker.failed(passingTime.now())) {
      this.#log.warn(where, `${failure.message}: asking it now and then only. If that stays so, check endpoint under ${this.place}`);
    }
    metrics.callstream_poll_breaker_open.set(where, host.breaker.open ? 1 : 0);
  }

  #judge(operation: string, asked: Asked): Asked {
    const { answer, hostFailed } = asked;
    const { metrics } = this.#deps;
    metrics.callstream_poll_requests_total.inc({ source: this.source.name, operation, result: hostFailed ? 'host' : answer.kind });
    const { budget, slower } = this.#budgetOf(operation);
    if (answer.kind === 'slow_down') budget.pause(answer.retryAfterMs ?? slower.next());
    else if (!hostFailed) slower.reset();
    if (answer.kind === 'stop') this.#halt(answer);
    else if (this.#stop !== null && !hostFailed && answer.kind !== 'retry' && answer.kind !== 'renew') this.#resume();
    if (answer.kind === 'retry' || answer.kind === 'renew' || answer.kind === 'slow_down' || answer.kind === 'refused') {
      const level = this.#complaints.isDue(`${operation}:${answer.code}`, passingTime.now()) ? 'warn' : 'debug';
      this.#log[level]({ code: answer.code }, answer.message);
    }
    return asked;
  }

  /** One question is let through now and then, to find out. */
  async #untilNotStopped(signal: AbortSignal): Promise<void> {
    const { timing } = this.#deps;
    while (this.#stop !== null) {
      const wait = this.#stop.probeAt - passingTime.now();
      if (wait <= 0) {
        this.#stop.probeAt = passingTime.now() + timing.stoppedProbe;
        return;
      }
      await delay(Math.min(wait, LOOK_EVERY_MS), undefined, { signal });
    }
  }

  #halt(failure: PollFailure): void {
    const { timing } = this.#deps;
    const news = this.#stop?.failure.code !== failure.code;
    this.#stop = { failure, probeAt: passingTime.now() + timing.stoppedProbe };
    this.#showStopped();
    const next = `asked again every ${Math.round(timing.stoppedProbe / 1000)} s, and at the next start`;
    if (news) this.#log.error({ code: failure.code }, `polling stopped by ${this.place}: ${failure.message} (${next})`);
  }

  #resume(): void {
    this.#stop = null;
    this.#showStopped();
    this.#log.info(`polling goes on: ${this.place} is in order again`);
  }

  #showStopped(): void {
    const { metrics } = this.#deps;
    metrics.callstream_poll_stopped.set({ source: this.source.name, app: this.app.appId }, this.#stop === null ? 0 : 1);
  }

  #budgetOf(operation: string): { budget: Budget; slower: JitteredBackoff } {
    const found = this.#budgets.get(operation);
    if (found === undefined) throw new Error(`${this.source.name} has no limit of ${operation}`);
    return found;
  }
}

/** Those who wait while a line is stopped look up so often. */
const LOOK_EVERY_MS = 1_000;

/** Whether there is anything to poll. */
export const hasCredentials = (sources: readonly AnyPolledSource[], apps: readonly PolledApp[]): boolean =>
  apps.some((app) => sources.some((source) => source.provider === app.provider && source.credentialsOf(app) !== null));

/** Every source that an app's configuration gives credentials for. */
export function openLines(sources: readonly AnyPolledSource[], apps: readonly PolledApp[], deps: LineDeps): Line[] {
  return apps.flatMap((app, i) =>
    sources.flatMap((source) => {
      const credentials = source.provider === app.provider ? source.credentialsOf(app) : null;
      return credentials === null ? [] : [new Line(source, app, `apps[${i}].${source.section}`, credentials, deps)];
    }),
  );
}
