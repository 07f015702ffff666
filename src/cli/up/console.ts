import type { Io } from '../io.js';
import { type ChildEvent, describeExit } from '../supervise/child.js';
import { lastWords } from '../supervise/last-words.js';

/** The few lines that `up` shows: one per thing that happens. Everything else is in the log files. */
export class Console {
  readonly #begun = performance.now();

  constructor(
    private readonly io: Io,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  /** @param state a word or two, for example `ready` */
  event(who: string, state: string, note = ''): void {
    const seconds = ((this.clock() - this.#begun) / 1000).toFixed(1);
    this.io.out(`  ${`${seconds} s`.padStart(9)}  ${who.padEnd(10)} ${state}${note === '' ? '' : `  ${note}`}\n`);
  }

  say(text: string): void {
    this.io.out(`${text}\n`);
  }

  child(name: string, event: ChildEvent, logFile: string): void {
    if (event.kind === 'ready') this.event(name, 'ready');
    else if (event.kind === 'not-ready') this.event(name, 'not ready', event.problems.join('; '));
    else if (event.kind === 'died') {
      const why = lastWords(logFile, event.pid) ?? `see ${logFile}`;
      this.event(
        name,
        `ended (${describeExit(event)})`,
        `${why.replace(/\s+/g, ' ')}; starting again in ${(event.restartInMs / 1000).toFixed(1)} s`,
      );
    }
  }
}
