import { get } from '../frame/client.js';
import { Loader } from './loader.js';
import type { WindowedTable } from './windowed.js';

/** A page of a list of calls, as the query API answers it. */
interface Page<T> {
  as_of: number;
  calls: T[];
  next_cursor: string | null;
}

interface PagedOptions<T> {
  /** Trouble with the first page is the page's own. */
  loader: Loader;
  table: WindowedTable<T>;
  /** What to ask, but for the cursor: path and parameters, `limit` among them. */
  question(): { path: string; params: Record<string, string> };
  /** The first page has come. */
  loaded(asOf: number): void;
}

/** Fills a long table page by page, as the reader comes near the end of what is there. */
export class PagedRows<T> {
  /** Of the pages after the first: trouble with one must not take the reader back to the first. */
  readonly #pager = new Loader(() => void this.loadMore());
  readonly #o: PagedOptions<T>;
  #cursor: string | null = null;
  /** Epoch ms, of the first page. */
  #asOf = 0;

  constructor(options: PagedOptions<T>) {
    this.#o = options;
  }

  get notice(): HTMLElement {
    return this.#pager.notice;
  }

  get asOf(): number {
    return this.#asOf;
  }

  /** @param anew from the first row on; else who has scrolled down stays there, if the new page reaches what is known */
  async loadFirst(anew: boolean): Promise<void> {
    const { loader, table, question, loaded } = this.#o;
    await loader.run('list', async (signal) => {
      const { path, params } = question();
      const page = await get<Page<T>>(path, params, signal);
      this.#asOf = page.as_of;
      if (!anew && page.calls.some((item) => table.has(item))) table.merge(page.calls);
      else {
        this.#pager.stop();
        this.#cursor = page.next_cursor;
        table.reset(page.calls, page.next_cursor !== null);
      }
      loaded(page.as_of);
    });
  }

  async loadMore(): Promise<void> {
    const cursor = this.#cursor;
    if (cursor === null) return;
    const { table, question } = this.#o;
    await this.#pager.run('page', async (signal) => {
      const { path, params } = question();
      const page = await get<Page<T>>(path, { ...params, cursor }, signal);
      this.#cursor = page.next_cursor;
      table.append(page.calls, page.next_cursor !== null);
    });
  }

  pause(): void {
    this.#pager.pause();
  }

  stop(): void {
    this.#pager.stop();
  }
}
