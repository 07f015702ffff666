/** The default deep sweep of an app with ten calls a second. */
const DEFAULT_MAX = 250_000;

/** The ids that Kafka has acknowledged last: a bounded memory in two generations, so that forgetting costs nothing. */
export class Acknowledged {
  #young = new Set<string>();
  #old = new Set<string>();
  readonly #max: number;

  /** @param max ids of a generation: at least so many are remembered, at most twice as many */
  constructor(max = DEFAULT_MAX) {
    this.#max = max;
  }

  has(id: string): boolean {
    if (this.#young.has(id)) return true;
    if (!this.#old.has(id)) return false;
    this.add(id);
    return true;
  }

  add(id: string): void {
    if (this.#young.size >= this.#max) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(id);
  }
}
