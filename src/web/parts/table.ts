import { h } from './dom.js';
import { clockTime, dayTime, duration, exactTime, sameDay } from './format.js';
import type { Call } from './types.js';
import { anomalyText, OUTCOME_WORDS, outcomeBadge, typeText } from './words.js';

export const callKey = (call: Call): string => `${call.provider}:${call.app_id}:${call.call_id}`;

/** The order of the API: newest start first, then by name, descending. */
function newestFirst(a: Call, b: Call): number {
  if (a.started_at !== b.started_at) return b.started_at - a.started_at;
  const [ka, kb] = [callKey(a), callKey(b)];
  return ka < kb ? 1 : ka > kb ? -1 : 0;
}

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
    const heads: [string, string][] = [
      ['Started', ''],
      ['Caller', 'who'],
      ['Callees', 'who'],
      ['Type', 'wide'],
      ['Outcome', ''],
      ['Ring', 'n wide'],
      ['Talk', 'n'],
      ['Call', 'wide'],
    ];
    this.element = h(
      'table',
      { class: 'calls' },
      h('caption', { class: 'sr' }, 'Latest calls, newest first'),
      h('thead', {}, h('tr', {}, ...heads.map(([name, kind]) => h('th', { scope: 'col', class: kind }, name)))),
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
    const zone = this.#zone;
    const [first = '', ...others] = call.callees;
    const link = this.#linkOf(call);
    const time = sameDay(call.started_at, this.#newest, zone) ? clockTime(call.started_at, zone) : dayTime(call.started_at, zone);
    const words = `${call.status === 'ended' ? OUTCOME_WORDS[call.outcome] : call.status}, ${call.caller || 'unknown caller'} to ${call.callees.join(', ') || 'nobody yet'}`;
    return h(
      'tr',
      {
        'data-call': call.call_id,
        click: (event: MouseEvent) =>
          (event.target as Element).closest('a') ?? (event.currentTarget as HTMLElement).querySelector('a')?.click(),
      },
      h(
        'td',
        {},
        h('a', { href: link, 'data-link': true, 'aria-label': `${time}: ${words}`, title: exactTime(call.started_at, zone) }, time),
      ),
      h('td', { class: 'who', title: call.caller }, h('span', {}, call.caller || h('em', {}, 'unknown'))),
      h(
        'td',
        { class: 'who', title: call.callees.join(', ') },
        h('span', {}, first || h('em', {}, 'nobody yet')),
        others.length > 0 && h('small', {}, ` +${others.length}`),
      ),
      h('td', { class: 'wide dim' }, typeText(call)),
      h(
        'td',
        {},
        outcomeBadge(call),
        call.anomalies.length > 0 &&
          h(
            'span',
            { class: 'odd', title: call.anomalies.map(anomalyText).join('\n'), 'aria-label': `${call.anomalies.length} anomalies` },
            '!',
          ),
      ),
      h('td', { class: 'n wide' }, call.ring_ms > 0 ? duration(call.ring_ms) : '–'),
      h('td', { class: 'n' }, call.talk_ms > 0 ? duration(call.talk_ms) : '–'),
      h('td', { class: 'wide id', title: call.call_id }, h('span', {}, call.call_id)),
    );
  }
}
