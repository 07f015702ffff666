import { getOrMake } from '../maps.js';
import type { MetricsTexts } from './ports.js';

/** What the sessions workers say they did during the run. */
export interface WorkerCounters {
  timed_out: number;
  reopened: number;
  left: number;
  late: number;
}

const SERIES: Readonly<Record<keyof WorkerCounters, RegExp>> = {
  timed_out: /^callstream_calls_timed_out_total(\{|$)/,
  reopened: /^callstream_calls_reopened_total(\{|$)/,
  left: /^callstream_calls_left_total(\{|$)/,
  late: /^callstream_late_inputs_total\{[^}]*result="deferred"/,
};

const EVERY_MS = 2_000;
const COUNTER = /^(callstream_\w+_total(?:\{.*\})?) (\S+)$/;

/**
 * Sums counters over processes that may be killed and start again from 0: every sample adds what grew since the last. A process is known by where its text
 * comes from and by its role; it has started again when any of its counters is lower than before or gone, and then counts from 0 in all of them. What a
 * process counted after its last sample is lost with it.
 */
export class CounterWatch {
  readonly #texts: MetricsTexts;
  readonly #last = new Map<string, ReadonlyMap<string, number>>();
  readonly #totals: WorkerCounters = { timed_out: 0, reopened: 0, left: 0, late: 0 };
  #timer: NodeJS.Timeout | null = null;
  /** Samples follow each other: an old answer after a newer one would look like a start from 0. */
  #sampling: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(texts: MetricsTexts) {
    this.#texts = texts;
  }

  /** Takes what was counted before the run as given. */
  async start(): Promise<void> {
    await this.sample();
    for (const name of Object.keys(this.#totals) as (keyof WorkerCounters)[]) this.#totals[name] = 0;
    this.#timer = setInterval(() => {
      if (this.#waiting === 0) void this.sample();
    }, EVERY_MS);
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
  }

  totals(): WorkerCounters {
    return { ...this.#totals };
  }

  /** Processes that do not answer are left for the next sample. */
  sample(): Promise<void> {
    this.#waiting++;
    this.#sampling = this.#sampling.then(async () => {
      const texts = await this.#texts().catch(() => new Map<string, string>());
      for (const [process, now] of countersByProcess(texts)) this.#add(process, now);
      this.#waiting--;
    });
    return this.#sampling;
  }

  #add(process: string, now: ReadonlyMap<string, number>): void {
    const before = this.#last.get(process);
    const goesOn = before !== undefined && [...before].every(([series, value]) => (now.get(series) ?? -1) >= value);
    for (const [series, value] of now) {
      for (const [name, pattern] of Object.entries(SERIES) as [keyof WorkerCounters, RegExp][]) {
        if (pattern.test(series)) this.#totals[name] += value - (goesOn ? (before.get(series) ?? 0) : 0);
      }
    }
    this.#last.set(process, now);
  }
}

function countersByProcess(texts: ReadonlyMap<string, string>): Map<string, Map<string, number>> {
  const processes = new Map<string, Map<string, number>>();
  for (const [source, text] of texts) {
    for (const line of text.split('\n')) {
      const [, series, value] = COUNTER.exec(line) ?? [];
      if (series === undefined) continue;
      const role = /[{,]role="([^"]*)"/.exec(series)?.[1] ?? '';
      getOrMake(processes, JSON.stringify([source, role]), () => new Map<string, number>()).set(series, Number(value));
    }
  }
  return processes;
}
