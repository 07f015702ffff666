import { headRow } from './call-row.js';
import { h } from './dom.js';
import { count } from './format.js';

/** Height of a row, CSS pixels; the style sheet takes it from `--row`. */
const ROW = 40;
/** Rows drawn above and below what is seen, so that scrolling shows no gap. */
const SPARE = 12;
/** Rows that are left below what is seen when the next page is wanted. */
const AHEAD = 150;
/** Browsers draw no page that is higher than some ten million pixels, and nobody scrolls so far. */
const MOST = 200_000;

/** What a table of calls shows and how; an item is a call, or one with more about it. */
export interface WindowedOptions<T> {
  caption: string;
  /** Class of the table. */
  kind: string;
  /** Name and class of each column. */
  heads: readonly (readonly [string, string])[];
  keyOf(item: T): string;
  /** The order of the API: negative when `a` comes first. */
  compare(a: T, b: T): number;
  /** Of two states of one item, whether the first one replaces the second. */
  isNewer(next: T, known: T): boolean;
  row(item: T): HTMLTableRowElement;
  /** The reader comes near the end of what is there; asked again only after `append`. */
  more(): void;
}

/**
 * A long table in a region that scrolls: only the rows that are seen, and some around them, are in the document. To a screen reader it is one table, whose rows
 * have their true numbers. Rows that come in above what the reader looks at move nothing: a button says how many they are.
 */
export class WindowedTable<T> {
  readonly element: HTMLElement;
  readonly #o: WindowedOptions<T>;
  readonly #region: HTMLElement;
  readonly #sizer = h('div', { class: 'sizer' });
  readonly #table: HTMLTableElement;
  readonly #body = h('tbody');
  readonly #jump: HTMLButtonElement;
  readonly #foot = h('p', { class: 'foot', role: 'status' });
  readonly #resize: ResizeObserver;
  #items: T[] = [];
  readonly #known = new Map<string, T>();
  readonly #drawn = new Map<string, { item: T; row: HTMLTableRowElement }>();
  #hasMore = false;
  #asked = false;
  /** How many there are in all, where that is known. */
  #total: number | null = null;
  /** Came in above what the reader looks at. */
  #above = 0;
  #frame = 0;

  constructor(options: WindowedOptions<T>) {
    this.#o = options;
    this.#table = h(
      'table',
      { class: options.kind, 'aria-rowcount': -1 },
      h('caption', { class: 'sr' }, options.caption),
      h('thead', {}, headRow(options.heads)),
      this.#body,
    );
    this.#table.tHead!.rows[0]!.setAttribute('aria-rowindex', '1');
    this.#sizer.append(this.#table);
    this.#region = h(
      'div',
      {
        class: 'windowed',
        tabindex: 0,
        role: 'region',
        'aria-label': options.caption,
        scroll: () => this.#soon(),
        keydown: (event: KeyboardEvent) => this.#key(event),
      },
      this.#sizer,
    );
    this.#region.style.setProperty('--row', `${ROW}px`);
    this.#jump = h('button', { type: 'button', class: 'primary jump', hidden: true, click: () => this.toTop() });
    this.element = h('div', { class: 'windowed-box' }, this.#jump, this.#region, this.#foot);
    this.#resize = new ResizeObserver(() => this.#draw());
    this.#resize.observe(this.#region);
  }

  get size(): number {
    return this.#items.length;
  }

  /** Whether the reader looks at the first rows. */
  get atTop(): boolean {
    return this.#region.scrollTop < ROW / 2;
  }

  has(item: T): boolean {
    return this.#known.has(this.#o.keyOf(item));
  }

  /** Shows these and nothing else, from the first on. */
  reset(items: readonly T[], hasMore: boolean): void {
    this.#items = [];
    this.#known.clear();
    this.#clear();
    this.#above = 0;
    this.append(items, hasMore);
    this.#region.scrollTop = 0;
  }

  /** Adds the next page. */
  append(items: readonly T[], hasMore: boolean): void {
    this.#asked = false;
    this.#hasMore = hasMore;
    for (const item of items) this.#take(item, true);
    this.#draw();
  }

  /** Takes new items and new states of known ones as they come. */
  merge(items: readonly T[]): void {
    const { scrollTop } = this.#region;
    const first = Math.floor(scrollTop / ROW);
    const stays = !this.atTop;
    let shift = 0;
    const fresh: string[] = [];
    for (const item of items) {
      const isNew = !this.has(item);
      if (isNew) fresh.push(this.#o.keyOf(item));
      const moved = this.#take(item, false);
      if (stays && moved.from !== null && moved.from < first + shift) shift--;
      if (stays && moved.to !== null && moved.to <= first + shift) {
        shift++;
        if (isNew) this.#above++;
      }
    }
    this.#shift(shift);
    for (const key of fresh) this.#drawn.get(key)?.row.classList.add('fresh');
  }

  /** Forgets one that does not belong here any more. */
  drop(item: T): void {
    const known = this.#known.get(this.#o.keyOf(item));
    if (known === undefined) return;
    const at = this.#remove(known);
    this.#shift(!this.atTop && at < Math.floor(this.#region.scrollTop / ROW) ? -1 : 0);
  }

  /** How many there are in all; null while that is unknown. */
  setTotal(total: number | null): void {
    this.#total = total;
    this.#draw();
  }

  /** Draws every row anew. */
  redraw(): void {
    this.#clear();
    this.#draw();
  }

  toTop(): void {
    this.#region.scrollTop = 0;
    this.#region.focus({ preventScroll: true });
    this.#draw();
  }

  destroy(): void {
    this.#resize.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  #clear(): void {
    for (const { row } of this.#drawn.values()) this.#leave(row);
    this.#drawn.clear();
  }

  /** Where the item was, and where it is now; null: nowhere. What belongs to pages that are not read yet is left to them. */
  #take(item: T, ofPage: boolean): { from: number | null; to: number | null } {
    const key = this.#o.keyOf(item);
    const known = this.#known.get(key);
    if (known !== undefined && !this.#o.isNewer(item, known)) return { from: null, to: null };
    const from = known === undefined ? null : this.#remove(known);
    const to = this.#place(item);
    if (!ofPage && to === this.#items.length && this.#hasMore) return { from, to: null };
    this.#items.splice(to, 0, item);
    this.#known.set(key, item);
    return from === to ? { from: null, to: null } : { from, to };
  }

  #remove(known: T): number {
    const at = this.#place(known);
    this.#items.splice(at, 1);
    this.#known.delete(this.#o.keyOf(known));
    return at;
  }

  /** Index of the first item that does not come before this one. */
  #place(item: T): number {
    let [low, high] = [0, this.#items.length];
    // Pages come in order.
    if (high > 0 && this.#o.compare(this.#items[high - 1]!, item) < 0) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#o.compare(this.#items[middle]!, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #soon(): void {
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Rows were added or taken away above what is seen: the same rows stay in sight. */
  #shift(rows: number): void {
    this.#size();
    if (rows !== 0) this.#region.scrollTop += rows * ROW;
    this.#draw();
  }

  get #headHeight(): number {
    return this.#table.tHead!.offsetHeight;
  }

  #size(): void {
    this.#sizer.style.height = `${this.#headHeight + this.#items.length * ROW}px`;
  }

  #draw(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#region.hidden = this.#items.length === 0;
    this.#size();
    const { scrollTop, clientHeight } = this.#region;
    const n = this.#items.length;
    const last = Math.min(n, Math.ceil((scrollTop + clientHeight - this.#headHeight) / ROW) + SPARE);
    const first = Math.max(0, Math.min(Math.floor(scrollTop / ROW) - SPARE, last));
    const wanted = this.#items.slice(first, last);
    const keys = new Set(wanted.map((item) => this.#o.keyOf(item)));
    for (const [key, { row }] of this.#drawn) {
      if (keys.has(key)) continue;
      this.#leave(row);
      this.#drawn.delete(key);
    }
    wanted.forEach((item, i) => {
      const row = this.#rowOf(item);
      const index = String(first + i + 2);
      if (row.getAttribute('aria-rowindex') !== index) row.setAttribute('aria-rowindex', index);
      const there = this.#body.rows[i];
      if (there !== row) this.#body.insertBefore(row, there ?? null);
    });
    this.#table.style.marginTop = `${first * ROW}px`;
    this.#tell(scrollTop);
    if (this.#hasMore && !this.#asked && n < MOST && last > n - AHEAD) {
      this.#asked = true;
      this.#o.more();
    }
  }

  #rowOf(item: T): HTMLTableRowElement {
    const key = this.#o.keyOf(item);
    const known = this.#drawn.get(key);
    if (known?.item === item) return known.row;
    const row = this.#o.row(item);
    if (known !== undefined) {
      const links = [...known.row.querySelectorAll('a')];
      const focused = links.findIndex((link) => link.matches(':focus'));
      known.row.replaceWith(row);
      row.querySelectorAll('a')[focused]?.focus({ preventScroll: true });
    }
    this.#drawn.set(key, { item, row });
    return row;
  }

  /** Takes a row out of the document; the focus does not go with it. */
  #leave(row: HTMLTableRowElement): void {
    if (row.contains(document.activeElement)) this.#region.focus({ preventScroll: true });
    row.remove();
  }

  #tell(scrollTop: number): void {
    const n = this.#items.length;
    const whole = !this.#hasMore;
    this.#table.setAttribute('aria-rowcount', whole ? String(n + 1) : this.#total === null ? '-1' : String(Math.max(n, this.#total) + 1));
    if (scrollTop < ROW / 2) this.#above = 0;
    this.#jump.hidden = this.#above === 0;
    this.#jump.textContent = `${count(this.#above)} new ${this.#above === 1 ? 'call' : 'calls'} ↑`;
    const text = !whole && n >= MOST ? `The first ${count(n)} are shown here. Choose narrower filters, or export all of them.` : '';
    if (this.#foot.textContent !== text) this.#foot.textContent = text;
  }

  /** From a link of a row, the arrow keys and their relatives go to the same link of another row. */
  #key(event: KeyboardEvent): void {
    const link = (event.target as Element).closest('a');
    const row = link?.closest('tr');
    if (link === null || row === null || row === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    const index = Number(row.getAttribute('aria-rowindex')) - 2;
    const page = Math.max(1, Math.floor((this.#region.clientHeight - this.#headHeight) / ROW) - 1);
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -index,
      End: this.#items.length,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const column = [...row.querySelectorAll('a')].indexOf(link);
    const to = Math.max(0, Math.min(this.#items.length - 1, index + step));
    this.#reveal(to);
    const links = this.#drawn.get(this.#o.keyOf(this.#items[to]!))?.row.querySelectorAll('a');
    (links?.[column] ?? links?.[0])?.focus({ preventScroll: true });
  }

  #reveal(index: number): void {
    const { clientHeight } = this.#region;
    const seen = clientHeight - this.#headHeight;
    const top = index * ROW;
    if (top < this.#region.scrollTop) this.#region.scrollTop = top;
    else if (top + ROW > this.#region.scrollTop + seen) this.#region.scrollTop = top + ROW - seen;
    this.#draw();
  }
}
