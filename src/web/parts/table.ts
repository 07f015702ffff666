import { CALL_HEADS, callCells, callKey, headRow, linkedRow, newestFirst } from './call-row.js';
import { h } from './dom.js';
import type { Call } from './types.js';

const PAGE = 50;

/** The latest calls. Rows are kept by call, so that live changes neither move the focus nor redraw what stayed the same. */
export class CallsTable {
  readonly element: HTMLElement;
  readonly #body = h('tbody');
  readonly #calls = new Map<string, { call: Call; row: HTMLTableRowElement }>();
  readonly #linkOf: (call: Call) => string;
  #zone = 'UTC';
  #newest = 0;
  #cap = PAGE;

  constructor(linkOf: (call: Call) => string) {
    this.#linkOf = linkOf;
    this.element = h(
      'table',
      { class: 'calls' },
      h('caption', { class: 'sr' }, 'Latest calls, newest first'),
      h('thead', {}, headRow(CALL_HEADS)),
      this.#body,
    );
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Shows these and nothing else. */
  reset(calls: Call[], zone: string, now: number): void {
    const same = zone === this.#zone;
    this.#zone = zone;
    this.#newest = now;
    this.#cap = Math.max(PAGE, calls.length);
    const keep = new Set(calls.map(callKey));
    for (const [key, { row }] of this.#calls) {
      if (same && keep.has(key)) continue;
      row.remove();
      this.#calls.delete(key);
    }
    this.merge(calls, false);
  }

  /** Adds an older page. */
  append(calls: Call[]): void {
    this.#cap = this.#calls.size + calls.length;
    this.merge(calls, false);
  }

  /** Takes newer revisions and new calls; of a call the highest revision stays. */
  merge(calls: Call[], flash: boolean): void {
    for (const call of calls) {
      const key = callKey(call);
      const known = this.#calls.get(key);
      if (known !== undefined && known.call.revision >= call.revision) continue;
      const row = this.#row(call);
      if (flash && known === undefined) row.classList.add('fresh');
      if (known !== undefined) {
        const focused = known.row.contains(document.activeElement);
        known.row.replaceWith(row);
        if (focused) row.querySelector('a')?.focus();
      }
      this.#calls.set(key, { call, row });
    }
    const sorted = [...this.#calls.values()].sort((a, b) => newestFirst(a.call, b.call));
    for (const { call, row } of sorted.splice(this.#cap)) {
      row.remove();
      this.#calls.delete(callKey(call));
    }
    sorted.forEach(({ row }, i) => {
      const there = this.#body.children[i];
      if (there !== row) this.#body.insertBefore(row, there ?? null);
    });
  }

  /** Forgets a call that no longer matches. */
  drop(call: Call): void {
    const key = callKey(call);
    this.#calls.get(key)?.row.remove();
    this.#calls.delete(key);
  }

  #row(call: Call): HTMLTableRowElement {
    return linkedRow(callCells(call, { zone: this.#zone, today: this.#newest, linkOf: this.#linkOf }), { 'data-call': call.call_id });
  }
}
