import type { SteadyClock } from './clock.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';

const EVERY_MS = 5_000;

/** Says when the machine's clock is not believed: in the log, in a metric, and as a remark in readiness, which it does not take away. */
export class ClockWatch {
  readonly #clock: SteadyClock;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #said = 0;

  constructor(clock: SteadyClock, { logger, metrics }: { logger: Logger; metrics: Metrics }) {
    this.#clock = clock;
    this.#log = logger;
    const { callstream_clock_doubted_seconds: doubted } = metrics;
    Object.assign(doubted, { collect: () => doubted.set(clock.doubted / 1_000) });
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
    this.#timer.unref();
  }

  problems(): string[] {
    const { doubted } = this.#clock;
    return doubted === 0 ? [] : [inWords(doubted)];
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { doubted } = this.#clock;
    const seconds = Math.round(doubted / 1_000);
    if (seconds === this.#said) return;
    this.#said = seconds;
    if (doubted === 0) this.#log.info('the clock of this machine is believed again');
    else this.#log.warn(`${inWords(doubted)}. If it is right, nothing need be done; else let NTP set it`);
  }
}

const inWords = (ms: number): string =>
  `the clock of this machine has leapt ${ms < 0 ? 'back' : 'ahead'} by ${Math.round(Math.abs(ms) / 1_000)} s, and is not believed before that has stood for 10 minutes`;
