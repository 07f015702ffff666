/** A page's figures follow live calls at most this often, unless it says otherwise, and time itself this often. */
const REFRESH_MS = 2000;
const WALK_MS = 10_000;

/** Reads figures again when calls have changed, and now and then because time goes on. Many changes share one reading; one that takes long makes the next ones rarer. */
export class Refresher {
  readonly #refresh: () => Promise<unknown>;
  readonly #walk: ReturnType<typeof setInterval>;
  readonly #atLeast: number;
  #due: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #paused = false;
  /** How long the last one took, ms. */
  #took = 0;

  /** @param atLeast between a change and the reading that shows it, ms */
  constructor(refresh: () => Promise<unknown>, atLeast = REFRESH_MS) {
    this.#refresh = refresh;
    this.#atLeast = atLeast;
    this.#walk = setInterval(() => this.soon(), WALK_MS);
  }

  /** Once, now, whatever else is due, and in a pause too: the reader has asked for it. */
  async now(): Promise<void> {
    this.#running = true;
    const began = performance.now();
    await this.#refresh();
    this.#running = false;
    this.#took = performance.now() - began;
  }

  soon(): void {
    if (this.#paused) return;
    this.#due ??= setTimeout(
      () => {
        this.#due = undefined;
        if (this.#running) this.soon();
        else void this.now();
      },
      Math.min(WALK_MS, Math.max(this.#atLeast, 3 * this.#took)),
    );
  }

  /** Goes on after a pause. */
  resume(): void {
    this.#paused = false;
  }

  /** Figures stand still while the reader looks at them. */
  pause(): void {
    this.#paused = true;
    clearTimeout(this.#due);
    this.#due = undefined;
  }

  stop(): void {
    this.pause();
    clearInterval(this.#walk);
  }
}
