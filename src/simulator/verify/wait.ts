import { CallstreamError } from '../../domain/errors.js';
import type { Clock } from '../../telemetry/clock.js';
import type { Differences } from './differences.js';
import type { Sleep } from './ports.js';
import { sparing } from './sparing.js';

const POLL_MS = 500;

interface Waiting {
  clock: Clock;
  sleep: Sleep;
  signal?: AbortSignal;
}

/** Awaits conditions, tells what is missing, and turns a deadline that passes into a difference that explains itself. */
export class Wait {
  readonly #deadline: number;
  readonly #run: Waiting;
  readonly #differences: Differences;
  readonly #say: (line: string) => void;

  /** @param longestMs for all conditions together */
  constructor(run: Waiting, longestMs: number, differences: Differences, say: (line: string) => void) {
    this.#run = run;
    this.#differences = differences;
    this.#say = say;
    this.#deadline = run.clock.now() + longestMs;
  }

  /** @param missing null when the condition holds, else what is missing; errors of servers that are away count as missing */
  async until(what: string, missing: () => Promise<string | null>, everyMs = POLL_MS): Promise<void> {
    const tell = sparing(this.#say, this.#run.clock);
    for (;;) {
      if (this.#run.signal?.aborted) throw new CallstreamError('SIMULATOR_STOPPED', `stopped while waiting for ${what}`);
      const problem = await missing().catch((error: Error) => `cannot tell: ${error.message}`);
      if (problem === null) return;
      tell(`waiting for ${what}: ${problem}`);
      if (this.#run.clock.now() > this.#deadline) {
        this.#differences.add('waited in vain', `${what}: ${problem}`);
        return;
      }
      await this.#run.sleep(everyMs);
    }
  }
}
