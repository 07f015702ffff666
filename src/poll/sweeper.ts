import { setTimeout as delay } from 'node:timers/promises';
import { oldestAt, type PollLimits, type Sweeping, type TimeRange, windowsOf } from '../sources/polled.js';
import { JitteredBackoff } from '../stream/jittered-backoff.js';
import type { Chance } from '../telemetry/chance.js';
import { type Clock, passingTime } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Complaints } from './complaints.js';
import type { CursorKey, Cursors } from './cursors.js';
import type { Line } from './line.js';
import type { PollOutlet } from './outlet.js';
import { periodOf, rangeOf, type SweepKind, type SweepSettings } from './sweep-range.js';
import type { Timing } from './timing.js';
import { walk } from './walk.js';

export interface SweeperDeps {
  line: Line;
  sweeping: Sweeping<unknown>;
  scope: string;
  kind: SweepKind;
  settings: SweepSettings;
  cursors: Cursors;
  outlet: PollOutlet;
  timing: Timing;
  clock: Clock;
  chance: Chance;
  logger: Logger;
  metrics: Metrics;
}

/** A range is asked for in pieces of at most this, with the cursor written after each: what was interrupted goes on from there. */
const PIECE_MS = 86_400_000;

/** As the vendor takes it, in pieces. */
export const piecesOf = (range: TimeRange, now: number, limits: PollLimits, pieceMs: number): ReturnType<typeof windowsOf> =>
  windowsOf(range, now, { ...limits, windowMs: Math.min(limits.windowMs, pieceMs) });

/** One sweep of one source of one app: again and again, over a range that follows the clock. */
export class Sweeper {
  readonly #deps: SweeperDeps;
  readonly #key: CursorKey;
  readonly #log: Logger;
  readonly #complaints = new Complaints();
  /** Up to where a loss has been told, epoch milliseconds. */
  #lostTo = 0;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
    const { line, kind, scope } = deps;
    this.#key = { source: line.source.name, app_id: line.app.appId, sweep: kind, scope };
    this.#log = deps.logger.child({ source: line.source.name, app: line.app.appId, sweep: kind, ...(scope === '' ? {} : { scope }) });
  }

  /**
   * Sweeps until the signal.
   * @throws the signal's reason
   */
  async run(signal: AbortSignal): Promise<never> {
    const { clock, kind, settings, cursors, timing, chance } = this.#deps;
    const period = periodOf(kind, settings);
    const backoff = new JitteredBackoff(timing.retryFirst, Math.max(timing.retryMax, period), chance);
    // A deep sweep is dear: another poller's counts.
    let wait = kind === 'deep' ? Math.min((cursors.get(this.#key)?.updated_at ?? 0) + period - clock.now(), period) : 0;
    for (;;) {
      await delay(Math.max(0, wait), undefined, { signal });
      const began = passingTime.now();
      if (await this.#sweep(clock.now(), signal)) {
        backoff.reset();
        wait = began + period - passingTime.now();
      } else wait = timing.retryFirst + backoff.next();
    }
  }

  /** False when it did not get through; its cursor then stands where it got to. */
  async #sweep(now: number, signal: AbortSignal): Promise<boolean> {
    const { line, sweeping, scope, kind, settings, cursors, outlet, timing, chance } = this.#deps;
    const cursor = cursors.get(this.#key)?.swept_to ?? null;
    const range = rangeOf(kind, cursor, now, settings, oldestAt(now, line.source.limits));
    const { windows, lost } = piecesOf(range, now, line.source.limits, PIECE_MS);
    if (lost !== null && kind === 'trailing') this.#tellLost(lost);
    // Where the vendor counts by minutes, the next one has not begun.
    if (kind === 'trailing' && windows.at(-1)?.to === cursor) return true;
    for (const window of windows) {
      const end = await walk(sweeping.first(line.app, scope, window, now, settings.maxCall), {
        line,
        lane: 'sweep',
        publish: (elements) => outlet.publish(line.source, line.app.appId, elements, signal),
        hostRetries: Number.POSITIVE_INFINITY,
        timing,
        chance,
        signal,
      });
      // A vendor that has nothing of a range may say so in this way.
      if (end.kind !== 'done' && end.kind !== 'not_yet') {
        if (end.kind !== 'stop' && this.#complaints.isDue(end.code, passingTime.now()))
          this.#log.warn({ code: end.code }, `a sweep failed and begins again where it was: ${end.message}`);
        return false;
      }
      if (kind === 'trailing') await cursors.advance(this.#key, window.to, signal);
    }
    // When the last deep sweep was is all that its cursor is read for: half of one is none.
    if (kind === 'deep') await cursors.advance(this.#key, windows.at(-1)?.to ?? range.to, signal);
    return true;
  }

  #tellLost(lost: TimeRange): void {
    const { line, metrics } = this.#deps;
    const from = Math.max(lost.from, this.#lostTo);
    if (from >= lost.to) return;
    metrics.callstream_poll_lost_seconds_total.inc({ source: line.source.name, app: line.app.appId }, (lost.to - from) / 1000);
    if (this.#lostTo === 0) {
      const oldest = new Date(oldestAt(this.#deps.clock.now(), line.source.limits)).toISOString();
      this.#log.error(`what happened from ${new Date(from).toISOString()} on is lost to polling: the vendor answers back to ${oldest}`);
    }
    this.#lostTo = lost.to;
  }
}
