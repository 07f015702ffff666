import { BarChart, stepWords } from './chart.js';
import { h } from './dom.js';
import { count, dayMinute } from './format.js';
import { info } from './info.js';
import type { Definition } from './types.js';
import type { ConcurrencyAnswer } from './types-operations.js';

/** Calls in progress at once: the peak of each bucket, of one app at a time, for peaks of two apps do not add up. */
export class Concurrency {
  readonly element: HTMLElement;
  readonly #chart = new BarChart({
    label: 'Chart of the most calls in progress at one moment, over time',
    caption: 'Most calls in progress at one moment',
    legend: 'Shown',
    total: 'In progress at once',
  });
  readonly #title = h('h2', {}, 'Peak concurrency');
  readonly #what = h('p', { class: 'lead' });
  readonly #apps: HTMLSelectElement;
  readonly #empty = h('p', { class: 'empty', hidden: true }, 'No call was in progress in this period.');
  #chosen = '';
  #shown: { answer: ConcurrencyAnswer; zone: string } | null = null;

  constructor() {
    this.#apps = h('select', { 'aria-label': 'App of the chart', change: () => this.#choose(this.#apps.value) });
    this.element = h(
      'section',
      { class: 'card concurrency' },
      h('div', { class: 'card-head' }, this.#title, this.#apps),
      this.#what,
      this.#empty,
      this.#chart.element,
    );
  }

  show(answer: ConcurrencyAnswer, zone: string, definition: Definition): void {
    this.#shown = { answer, zone };
    if (this.#title.childElementCount === 0) this.#title.append(' ', info(definition.label, definition.definition));
    const names = answer.apps.map(({ app_id }) => app_id);
    if (!names.includes(this.#chosen)) this.#chosen = names[0] ?? '';
    this.#apps.hidden = names.length < 2;
    this.#apps.replaceChildren(...names.map((name) => h('option', { value: name, selected: name === this.#chosen }, `App ${name}`)));
    this.#draw();
  }

  redraw(): void {
    this.#chart.redraw();
  }

  destroy(): void {
    this.#chart.destroy();
  }

  #choose(app: string): void {
    this.#chosen = app;
    this.#draw();
  }

  #draw(): void {
    const { answer, zone } = this.#shown!;
    const app = answer.apps.find(({ app_id }) => app_id === this.#chosen);
    this.#empty.hidden = app !== undefined;
    this.#what.hidden = app === undefined;
    this.#chart.element.hidden = app === undefined;
    if (app === undefined) return;
    this.#what.replaceChildren(
      'At most ',
      h('b', { class: 'peak' }, count(app.peak)),
      ` at once${app.peak_at === null ? '' : `, at ${dayMinute(app.peak_at, zone)}`}; ${app.average === null ? '–' : app.average.toFixed(1)} on average. App ${app.app_id}; each bar is the peak of one ${stepWords(answer.step_ms)}.`,
    );
    this.#chart.show({ ...answer, layers: [{ name: 'peak', words: 'Peak', values: app.peaks }] }, zone);
  }
}
