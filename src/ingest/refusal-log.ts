import type { Clock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Refusal } from './access.js';

const EVERY_MS = 10_000;

/** One log line per source and reason every ten seconds, with how many there were: anyone can send what is refused. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #seen = new Map<string, { at: number; unsaid: number }>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** @param network of the sender, truncated */
  note(source: string, reason: Refusal, network: string): void {
    const id = `${source}/${reason}`;
    const now = this.#clock.now();
    const seen = this.#seen.get(id);
    if (seen !== undefined && now - seen.at < EVERY_MS) {
      seen.unsaid++;
      return;
    }
    this.#log.warn({ source, reason, network, unsaid: seen?.unsaid ?? 0 }, 'callback refused');
    this.#seen.set(id, { at: now, unsaid: 0 });
  }
}
