import { Failure } from '../frame/client.js';
import { h } from './dom.js';

const RETRY_MS = 4000;

/** Reads for a page: of each thing only the latest reading counts; a failure is shown with its reason, and everything is tried again. */
export class Loader {
  /** Shows what went wrong; hidden while nothing does. */
  readonly notice = h('div', { class: 'notice', role: 'alert', hidden: true });
  readonly #reload: () => void;
  readonly #running = new Map<string, AbortController>();
  #retry: number | undefined;

  /** @param reload what is done again after a failure */
  constructor(reload: () => void) {
    this.#reload = reload;
  }

  /** Ends an earlier reading of the same name. @returns whether this one came to its end, and was still wanted */
  async run(name: string, read: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    this.#running.get(name)?.abort();
    const abort = new AbortController();
    this.#running.set(name, abort);
    try {
      await read(abort.signal);
      if (abort.signal.aborted) return false;
      this.notice.hidden = true;
      return true;
    } catch (error) {
      if (abort.signal.aborted) return false;
      this.notice.textContent = error instanceof Failure ? error.message : `This page failed: ${String(error)}`;
      this.notice.hidden = false;
      window.clearTimeout(this.#retry);
      this.#retry = window.setTimeout(this.#reload, RETRY_MS);
      return false;
    } finally {
      if (this.#running.get(name) === abort) this.#running.delete(name);
    }
  }

  isRunning(name: string): boolean {
    return this.#running.has(name);
  }

  /** No further try. */
  pause(): void {
    window.clearTimeout(this.#retry);
  }

  stop(): void {
    this.pause();
    for (const abort of this.#running.values()) abort.abort();
  }
}
