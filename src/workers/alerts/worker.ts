import type { Environment } from '../../stream/environment.js';
import type { Evaluator } from './evaluator.js';
import type { Receiver } from './receiver.js';

/** The role's parts: what judges the rules, and who is told. */
export class AlertsWorker {
  readonly #parts: readonly (Evaluator | Receiver)[];
  readonly #environment: Environment;

  constructor(parts: readonly (Evaluator | Receiver)[], environment: Environment) {
    this.#parts = parts;
    this.#environment = environment;
  }

  async start(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.start()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.stop()));
  }

  /** Empty when everything works. */
  problems(): string[] {
    return [...this.#parts.flatMap((part) => part.problems()), ...this.#environment.problems()];
  }
}
