import { h, hidden } from './dom.js';
import { count, dayMinute, exactTime, span } from './format.js';
import type { MissedPair } from './types.js';

/** How long a row that has cleared says so before it goes, ms. */
const CLEARED_MS = 5000;

export const pairKey = ({ app_id, caller, callee }: MissedPair): string => JSON.stringify([app_id, caller, callee]);

interface Row {
  pair: MissedPair;
  element: HTMLTableRowElement;
  attempts: HTMLTableRowElement;
  /** Calls of the pair; emptied when they have changed. */
  calls: HTMLElement;
  clearing: number | undefined;
}

export interface MissedTableOptions {
  /** Where a user of a pair leads to. */
  personLink(pair: MissedPair, user: string): string;
  /** Shows the calls of a pair in the element. */
  showCalls(pair: MissedPair, into: HTMLElement): void;
}

/** Who waits for a call back, the latest miss first. Rows are kept by pair, so that live changes neither move the focus nor close what is open. */
export class MissedTable {
  readonly element: HTMLElement;
  /** Says what comes and goes. */
  readonly spoken = h('p', { class: 'sr', role: 'status' });
  readonly #options: MissedTableOptions;
  readonly #body = h('tbody');
  readonly #rows = new Map<string, Row>();
  readonly #appHead = h('th', { scope: 'col', class: 'wide' }, 'App');
  #zone = 'UTC';
  #withApp = false;

  constructor(options: MissedTableOptions) {
    this.#options = options;
    this.element = h(
      'table',
      { class: 'missed' },
      h('caption', { class: 'sr' }, 'Missed calls that nobody has returned, the latest first'),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          h('th', { scope: 'col', class: 'who' }, 'Waiting for a call back'),
          h('th', { scope: 'col', class: 'who' }, 'Who missed it'),
          h('th', { scope: 'col', class: 'n' }, 'Attempts'),
          h('th', { scope: 'col', class: 'when last' }, 'Last try'),
          h('th', { scope: 'col', class: 'when' }, 'Waiting for'),
          this.#appHead,
          h('th', { scope: 'col' }, hidden('Calls')),
        ),
      ),
      this.#body,
    );
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Shows these and nothing else. @param withApp rows are of several apps */
  reset(pairs: readonly MissedPair[], zone: string, now: number, withApp: boolean): void {
    this.#zone = zone;
    this.#withApp = withApp;
    this.#appHead.hidden = !withApp;
    for (const row of this.#rows.values()) this.#remove(row);
    this.#put(pairs, now, false);
  }

  /** Takes a newer answer. @param cleared whether a pair that is not in it has spoken meanwhile; else it has only left what is shown */
  update(pairs: readonly MissedPair[], now: number, cleared: (pair: MissedPair) => boolean): void {
    const there = new Set(pairs.map(pairKey));
    for (const [key, row] of this.#rows) {
      if (there.has(key) || row.clearing !== undefined) continue;
      if (cleared(row.pair)) this.#clear(row);
      else this.#remove(row);
    }
    this.#put(pairs, now, true);
  }

  stop(): void {
    for (const { clearing } of this.#rows.values()) window.clearTimeout(clearing);
  }

  #put(pairs: readonly MissedPair[], now: number, flash: boolean): void {
    const fresh: string[] = [];
    for (const pair of pairs) {
      const key = pairKey(pair);
      const known = this.#rows.get(key);
      if (known !== undefined && known.clearing === undefined) {
        if (known.pair.missed_count !== pair.missed_count || known.pair.last_missed_at !== pair.last_missed_at) {
          flashRow(known.element);
          known.calls.replaceChildren();
          if (!known.attempts.hidden) this.#options.showCalls(pair, known.calls);
        }
        known.pair = pair;
        this.#fill(known, now);
        continue;
      }
      if (known !== undefined) this.#remove(known);
      const row = this.#make(pair);
      this.#fill(row, now);
      if (flash) {
        flashRow(row.element);
        fresh.push(`${pair.caller} missed by ${pair.callee}`);
      }
      this.#rows.set(key, row);
    }
    if (fresh.length > 0) this.spoken.textContent = fresh.length < 4 ? `New: ${fresh.join('; ')}` : `${fresh.length} new missed calls`;
    const sorted = [...this.#rows.values()].sort((a, b) => latestFirst(a.pair, b.pair));
    sorted
      .flatMap(({ element, attempts }) => [element, attempts])
      .forEach((element, i) => {
        const at = this.#body.children[i];
        if (at !== element) this.#body.insertBefore(element, at ?? null);
      });
  }

  #make(pair: MissedPair): Row {
    const calls = h('div');
    const attempts = h('tr', { class: 'attempts', hidden: true }, h('td', { colspan: 7 }, calls));
    const element = h('tr', { 'data-pair': `${pair.caller} ${pair.callee}` });
    return { pair, element, attempts, calls, clearing: undefined };
  }

  #fill(row: Row, now: number): void {
    const { pair, element, attempts, calls } = row;
    const { caller, callee, missed_count, first_missed_at, last_missed_at, app_id } = pair;
    const focused = [...element.querySelectorAll<HTMLElement>('a, button')].indexOf(document.activeElement as HTMLElement);
    const button = h(
      'button',
      {
        type: 'button',
        class: 'plain',
        'aria-expanded': String(!attempts.hidden),
        'aria-label': `Calls of ${caller} to ${callee}`,
        click: () => {
          attempts.hidden = !attempts.hidden;
          button.setAttribute('aria-expanded', String(!attempts.hidden));
          if (!attempts.hidden && calls.childElementCount === 0) this.#options.showCalls(row.pair, calls);
        },
      },
      'calls',
    );
    element.replaceChildren(
      h('th', { scope: 'row', class: 'who', title: caller }, this.#person(pair, caller)),
      h('td', { class: 'who', title: callee }, this.#person(pair, callee)),
      h('td', { class: 'n' }, count(missed_count)),
      h('td', { class: 'when last', title: exactTime(last_missed_at, this.#zone) }, dayMinute(last_missed_at, this.#zone)),
      h('td', { class: 'when', title: `Since ${exactTime(first_missed_at, this.#zone)}` }, span(now - first_missed_at)),
      ...(this.#withApp ? [h('td', { class: 'wide dim' }, app_id)] : []),
      h('td', {}, button),
    );
    if (focused >= 0) element.querySelectorAll<HTMLElement>('a, button')[focused]?.focus();
  }

  #person(pair: MissedPair, user: string): HTMLElement {
    return h('a', { href: this.#options.personLink(pair, user), 'data-link': true, class: 'person' }, user);
  }

  #clear(row: Row): void {
    const { caller, callee } = row.pair;
    row.attempts.hidden = true;
    row.element.classList.add('cleared');
    row.element.replaceChildren(
      h('th', { scope: 'row', class: 'who' }, h('span', {}, caller)),
      h('td', { class: 'who' }, h('span', {}, callee)),
      h('td', { colspan: this.#withApp ? 5 : 4 }, '✓ They have reached each other: cleared'),
    );
    this.spoken.textContent = `Cleared: ${caller} and ${callee} have reached each other`;
    row.clearing = window.setTimeout(() => this.#remove(row), CLEARED_MS);
  }

  #remove(row: Row): void {
    window.clearTimeout(row.clearing);
    row.element.remove();
    row.attempts.remove();
    const key = pairKey(row.pair);
    if (this.#rows.get(key) === row) this.#rows.delete(key);
  }
}

/** The order of the API. */
function latestFirst(a: MissedPair, b: MissedPair): number {
  if (a.last_missed_at !== b.last_missed_at) return b.last_missed_at - a.last_missed_at;
  const [ka, kb] = [pairKey(a), pairKey(b)];
  return ka < kb ? 1 : ka > kb ? -1 : 0;
}

function flashRow(element: HTMLElement): void {
  element.classList.remove('fresh');
  // Read, so that the animation begins again.
  void element.offsetWidth;
  element.classList.add('fresh');
}
