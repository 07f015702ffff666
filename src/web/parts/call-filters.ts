import type { Frame } from '../frame/page.js';
import { type CallFilter, MEDIA, outcomesOf, readFilter, STATUSES, TYPES } from './call-filter.js';
import { h } from './dom.js';
import { OUTCOME_WORDS, OUTCOMES } from './words.js';

const STATUS_WORDS = { ringing: 'Ringing', active: 'In progress', ended: 'Ended' } as const;
const TYPE_WORDS = { single: 'Single calls', group: 'Group calls', channel: 'Channels' } as const;
const MEDIA_WORDS = { audio: 'Audio', video: 'Video' } as const;

const TEXTS = [
  ['user', 'User id'],
  ['room', 'Room'],
  ['call', 'Call id'],
] as const;

/** Choosing calls. Texts are taken with Enter, everything else at once; the address has them all. */
export class CallFilters {
  readonly element: HTMLFormElement;
  readonly #frame: Frame;
  readonly #search: HTMLInputElement;
  readonly #outcomes: HTMLInputElement[];
  readonly #missed: HTMLInputElement;
  readonly #selects: Record<'status' | 'type' | 'media', HTMLSelectElement>;
  readonly #texts: Record<(typeof TEXTS)[number][0], HTMLInputElement>;
  readonly #more: HTMLDetailsElement;
  readonly #clear: HTMLButtonElement;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#search = this.#text('q', 'Find calls by the exact id of a user, a room or a call', 'User, room or call id');
    this.#outcomes = OUTCOMES.map((value) => h('input', { type: 'checkbox', value, change: () => this.#takeOutcomes() }));
    this.#missed = h('input', { type: 'checkbox', change: () => frame.updateOwn({ missed: this.#missed.checked ? 'true' : '' }) });
    this.#selects = {
      status: this.#select('status', 'State', 'Any state', STATUSES, STATUS_WORDS),
      type: this.#select('type', 'Type', 'Any type', TYPES, TYPE_WORDS),
      media: this.#select('media', 'Medium', 'Audio and video', MEDIA, MEDIA_WORDS),
    };
    this.#texts = { user: this.#text('user', 'User id'), room: this.#text('room', 'Room'), call: this.#text('call', 'Call id') };
    this.#more = h(
      'details',
      { class: 'more-filters' },
      h('summary', {}, 'More filters'),
      h(
        'div',
        { class: 'fields' },
        ...TEXTS.map(([name, label]) => h('label', {}, h('span', {}, label), this.#texts[name])),
        h('label', {}, h('span', {}, 'Type'), this.#selects.type),
        h('label', {}, h('span', {}, 'Medium'), this.#selects.media),
      ),
    );
    this.#clear = h('button', { type: 'button', click: () => this.clear() }, 'Clear filters');
    this.element = h(
      'form',
      {
        class: 'call-filters',
        role: 'search',
        submit: (event: Event) => {
          event.preventDefault();
          this.#takeTexts();
        },
      },
      h(
        'div',
        { class: 'fields first' },
        this.#search,
        this.#selects.status,
        h('button', { type: 'submit', class: 'primary' }, 'Find'),
        this.#clear,
      ),
      h(
        'fieldset',
        { class: 'chips' },
        h('legend', { class: 'sr' }, 'Outcome; none chosen is every one'),
        ...OUTCOMES.map((name, i) =>
          h('label', {}, this.#outcomes[i]!, h('span', {}, h('i', { class: `o-${name}`, 'aria-hidden': 'true' }), OUTCOME_WORDS[name])),
        ),
        h('label', {}, this.#missed, h('span', {}, 'Missed only')),
      ),
      this.#more,
    );
    this.sync();
  }

  /** To the frame's state. */
  sync(): void {
    const filter = this.#filter;
    const outcomes = outcomesOf(filter.outcome);
    for (const box of this.#outcomes) box.checked = outcomes.some((name) => name === box.value);
    this.#missed.checked = filter.missed !== '';
    for (const name of ['status', 'type', 'media'] as const) this.#selects[name].value = filter[name];
    for (const [name, input] of [['q', this.#search], ...Object.entries(this.#texts)] as [keyof CallFilter, HTMLInputElement][])
      if (document.activeElement !== input) input.value = filter[name];
    if (['user', 'room', 'call', 'type', 'media'].some((name) => filter[name as keyof CallFilter] !== '')) this.#more.open = true;
    this.#clear.hidden = Object.values(filter).every((value) => value === '');
  }

  clear(): void {
    for (const input of [this.#search, ...Object.values(this.#texts)]) input.value = '';
    this.#frame.updateOwn(Object.fromEntries(Object.keys(this.#filter).map((name) => [name, ''])));
  }

  get #filter(): CallFilter {
    return readFilter(this.#frame.state.own);
  }

  #takeTexts(): void {
    const texts = Object.entries({ q: this.#search, ...this.#texts }).map(([name, input]) => [name, input.value.trim()]);
    this.#frame.updateOwn(Object.fromEntries(texts));
  }

  #takeOutcomes(): void {
    const chosen = this.#outcomes.filter((box) => box.checked).map((box) => box.value);
    this.#frame.updateOwn({ outcome: chosen.join(',') });
  }

  #text(name: keyof CallFilter, label: string, placeholder = label): HTMLInputElement {
    const input = h('input', { type: 'search', 'aria-label': label, placeholder });
    // A cleared field is a wish of its own; typing waits for Enter.
    input.addEventListener('input', () => input.value === '' && this.#frame.updateOwn({ [name]: '' }));
    return input;
  }

  #select<N extends string>(
    name: 'status' | 'type' | 'media',
    label: string,
    every: string,
    values: readonly N[],
    words: Record<N, string>,
  ): HTMLSelectElement {
    const select = h(
      'select',
      { 'aria-label': label, change: () => this.#frame.updateOwn({ [name]: select.value }) },
      h('option', { value: '' }, every),
      ...values.map((value) => h('option', { value }, words[value])),
    );
    return select;
  }
}
