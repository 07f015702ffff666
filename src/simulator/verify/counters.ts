import type { MetricsTexts } from './ports.js';

/** What the sessions workers say they did during the run. */
export interface WorkerCounters {
  timed_out: number;
  reopened: number;
  left: number;
  late: number;
}

const SERIES: Readonly<Record<keyof WorkerCounters, RegExp>> = {
  timed_out: /^callstream_calls_timed_out_total[ {]/,
  reopened: /^callstream_calls_reopened_total[ {]/,
  left: /^callstream_calls_left_total[ {]/,
  late: /^callstream_late_inputs_total\{[^}]*result="deferred"/,
};

const EVERY_MS = 2_000;

/** Sums counters over processes that may be killed and start again from 0: every sample adds what grew since the last. What a process counted after its last sample is lost with it. */
export class CounterWatch {
  readonly #texts: MetricsTexts;
  readonly #last = new Map<string, number>();
  readonly #totals: WorkerCounters = { timed_out: 0, reopened: 0, left: 0, late: 0 };
  #timer: NodeJS.Timeout | null = null;

  constructor(texts: MetricsTexts) {
    this.#texts = texts;
  }

  /** Takes what was counted before the run as given. */
  async start(): Promise<void> {
    await this.sample();
    for (const name of Object.keys(this.#totals) as (keyof WorkerCounters)[]) this.#totals[name] = 0;
    this.#timer = setInterval(() => void this.sample(), EVERY_MS);
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer);
  }

  totals(): WorkerCounters {
    return { ...this.#totals };
  }

  /** Processes that do not answer are left for the next sample. */
  async sample(): Promise<void> {
    const texts = await this.#texts().catch(() => new Map<string, string>());
    for (const [process, text] of texts) {
      for (const line of text.split('\n')) {
        for (const [name, pattern] of Object.entries(SERIES) as [keyof WorkerCounters, RegExp][]) {
          if (!pattern.test(line)) continue;
          const space = line.lastIndexOf(' ');
          const value = Number(line.slice(space + 1));
          const series = `${process} ${line.slice(0, space)}`;
          const before = this.#last.get(series) ?? 0;
          this.#totals[name] += value >= before ? value - before : value;
          this.#last.set(series, value);
        }
      }
    }
  }
}
