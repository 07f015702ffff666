import { setTimeout as delay } from 'node:timers/promises';
import { CallstreamError } from '../domain/errors.js';
import type { Chance } from '../telemetry/chance.js';
import type { Logger } from '../telemetry/log.js';
import { JitteredBackoff } from './jittered-backoff.js';

const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 10_000;

const ENVIRONMENT_CODES: ReadonlySet<string> = new Set(['KAFKA_UNAVAILABLE', 'REGISTRY_UNAVAILABLE', 'CLICKHOUSE_UNAVAILABLE']);

/** Waits for Kafka, the registry and ClickHouse when they are away, without end; readiness says so. */
export class Environment {
  readonly #log: Logger;
  readonly #chance: Chance;
  readonly #waits = new Map<string, string>();

  constructor(log: Logger, chance: Chance) {
    this.#log = log;
    this.#chance = chance;
  }

  /** Empty when everything works. */
  problems(): string[] {
    return [...this.#waits].map(([what, why]) => `waiting for ${what}: ${why}`);
  }

  /**
   * Repeats what the environment makes fail.
   * @throws the signal's reason; any other failure of `work`
   */
  async until<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const backoff = new JitteredBackoff(FIRST_PAUSE_MS, MAX_PAUSE_MS, this.#chance);
    for (;;) {
      signal.throwIfAborted();
      try {
        const result = await work();
        this.#waits.delete(what);
        return result;
      } catch (error) {
        if (!(error instanceof CallstreamError) || !ENVIRONMENT_CODES.has(error.code)) throw error;
        if (!this.#waits.has(what)) this.#log.warn({ err: error }, `waiting for ${what}`);
        this.#waits.set(what, error.message);
      }
      await delay(FIRST_PAUSE_MS + backoff.next(), undefined, { signal });
    }
  }
}
