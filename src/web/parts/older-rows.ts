import { get } from '../frame/client.js';
import { h } from './dom.js';
import type { Loader } from './loader.js';

interface Options<T> {
  /** Trouble is the page's own. */
  loader: Loader;
  /** Name of the list in the API's answer. */
  list: string;
  /** What to ask, but for the cursor; null: nothing is wanted now. */
  question(): { path: string; params: Record<string, string> } | null;
  /** The list has changed. */
  show(rows: readonly T[]): void;
}

/** A list that is read page by page, the newest rows first; the reader asks for the older ones with a button. */
export class OlderRows<T> {
  readonly button = h('button', { type: 'button', class: 'more', hidden: true, click: () => void this.#read(true) }, 'Show older');
  readonly #o: Options<T>;
  #rows: readonly T[] = [];
  #cursor: string | null = null;

  constructor(options: Options<T>) {
    this.#o = options;
  }

  get rows(): readonly T[] {
    return this.#rows;
  }

  /** The first page, in place of whatever is there. */
  load(): Promise<void> {
    return this.#read(false);
  }

  async #read(older: boolean): Promise<void> {
    const { loader, list, question } = this.#o;
    const asked = question();
    await loader.run(list, async (signal) => {
      if (asked === null) return this.#take([], null);
      const cursor = older ? (this.#cursor ?? '') : '';
      const page = await get<Record<string, T[]> & { next_cursor: string | null }>(asked.path, { ...asked.params, cursor }, signal);
      const rows = page[list] as T[];
      this.#take(older ? [...this.#rows, ...rows] : rows, page.next_cursor);
    });
  }

  #take(rows: readonly T[], cursor: string | null): void {
    this.#rows = rows;
    this.#cursor = cursor;
    this.button.hidden = cursor === null;
    this.#o.show(rows);
  }
}
