import { OutcomeChart, stepWords } from './chart.js';
import { Failure, get } from './client.js';
import { h } from './dom.js';
import { clockTime, dayMinute } from './format.js';
import type { Frame, Page } from './page.js';
import { type State, WINDOWS } from './state.js';
import { CallsTable } from './table.js';
import { Tiles } from './tiles.js';
import type { Call, CallsPage, Outcome, Series, Summary } from './types.js';
import { OUTCOME_WORDS, OUTCOMES } from './words.js';

const WINDOW_WORDS = { '15m': '15 min', '1h': '1 hour', '6h': '6 hours', '24h': '24 hours' } as const;
/** Figures follow live calls at most this often, and time itself this often. */
const REFRESH_MS = 2000;
const WALK_MS = 10_000;
const RETRY_MS = 4000;
const PAGE = '50';

/** Figures, chart and latest calls of a period that ends now. */
export class OverviewPage implements Page {
  readonly title = 'Overview';
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #tiles = new Tiles();
  readonly #chart = new OutcomeChart();
  readonly #table: CallsTable;
  readonly #notice = h('div', { class: 'notice', role: 'alert', hidden: true });
  readonly #period = h('p', { class: 'period' });
  readonly #chartTitle = h('h2', {}, 'Calls by outcome');
  readonly #chartEmpty = h('p', { class: 'empty', hidden: true });
  readonly #tableEmpty = h('p', { class: 'empty', hidden: true });
  readonly #more = h('button', { type: 'button', class: 'more', hidden: true, click: () => this.#loadMore() }, 'Show older calls');
  readonly #windows: HTMLElement;
  readonly #outcome: HTMLSelectElement;
  readonly #search: HTMLInputElement;
  readonly #walk: number;
  /** The look at the figures that is under way. */
  #figures: AbortController | null = null;
  /** How long the last one took, ms. */
  #took = 0;
  #list: AbortController | null = null;
  #due: number | undefined;
  #retry: number | undefined;
  #cursor: string | null = null;
  #paused = false;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#table = new CallsTable((call) => frame.link('/call', { provider: call.provider, app_id: call.app_id, id: call.call_id }));
    this.#windows = h('div', { class: 'windows', role: 'radiogroup', 'aria-label': 'Period' });
    for (const value of WINDOWS)
      this.#windows.append(
        h(
          'label',
          {},
          h('input', {
            type: 'radio',
            name: 'window',
            value,
            checked: value === frame.state.window,
            change: () => frame.update({ window: value }),
          }),
          h('span', {}, WINDOW_WORDS[value]),
        ),
      );
    this.#outcome = h(
      'select',
      { 'aria-label': 'Outcome', change: () => frame.update({ outcome: this.#outcome.value as Outcome | '' }) },
      h('option', { value: '' }, 'Every outcome'),
      ...OUTCOMES.map((name) => h('option', { value: name, selected: name === frame.state.outcome }, OUTCOME_WORDS[name])),
    );
    this.#search = h('input', {
      type: 'search',
      placeholder: 'User, room or call id',
      'aria-label': 'Find calls by the exact id of a user, a room or a call',
      value: frame.state.q,
    });
    this.element = h(
      'div',
      { class: 'overview' },
      h('div', { class: 'head' }, h('h1', {}, 'Overview'), this.#period, this.#windows),
      this.#notice,
      this.#tiles.element,
      h('section', { class: 'card' }, h('div', { class: 'card-head' }, this.#chartTitle), this.#chartEmpty, this.#chart.element),
      h(
        'section',
        { class: 'card' },
        h(
          'div',
          { class: 'card-head' },
          h('h2', {}, 'Latest calls'),
          h(
            'form',
            {
              class: 'filters',
              role: 'search',
              submit: (event: Event) => {
                event.preventDefault();
                frame.update({ q: this.#search.value.trim() });
              },
            },
            this.#outcome,
            this.#search,
          ),
        ),
        h('div', { class: 'scroll' }, this.#table.element),
        this.#tableEmpty,
        this.#more,
      ),
    );
    // A cleared search field is a wish of its own; typing waits for Enter.
    this.#search.addEventListener('input', () => this.#search.value === '' && frame.update({ q: '' }));
    this.#walk = window.setInterval(() => this.#paused || this.#refreshSoon(), WALK_MS);
  }

  load(): void {
    this.#paused = false;
    this.#loadFigures();
    this.#loadList();
  }

  /** Numbers stand still while the reader looks at them. */
  pause(): void {
    this.#paused = true;
    window.clearTimeout(this.#due);
    window.clearTimeout(this.#retry);
    this.#due = undefined;
  }

  stateChanged(before: State): void {
    const { state } = this.#frame;
    for (const input of this.#windows.querySelectorAll('input')) input.checked = input.value === state.window;
    this.#outcome.value = state.outcome;
    if (document.activeElement !== this.#search) this.#search.value = state.q;
    if (before.window !== state.window || before.app !== state.app || before.tz !== state.tz) this.#loadFigures();
    if (before.app !== state.app || before.tz !== state.tz || before.outcome !== state.outcome || before.q !== state.q) this.#loadList();
  }

  themeChanged(): void {
    this.#chart.redraw();
  }

  calls(calls: Call[]): void {
    const matching = calls.filter((call) => this.#matches(call));
    for (const call of calls) if (!matching.includes(call)) this.#table.drop(call);
    this.#table.merge(matching, true);
    this.#sayEmpty();
    this.#refreshSoon();
  }

  destroy(): void {
    window.clearInterval(this.#walk);
    window.clearTimeout(this.#due);
    window.clearTimeout(this.#retry);
    this.#figures?.abort();
    this.#list?.abort();
    this.#chart.destroy();
  }

  /** As the API's filters (`callsStatement`). */
  #matches(call: Call): boolean {
    const { app, outcome, q } = this.#frame.state;
    if (call.end_reason === 'merged' || (app !== '' && call.app_id !== app)) return false;
    if (outcome !== '' && (call.status !== 'ended' || call.outcome !== outcome)) return false;
    return q === '' || [call.call_id, call.room_id, call.caller, ...call.callees].includes(q);
  }

  /** Many changes share one look. A look that takes long is waited for, and makes the next ones rarer. */
  #refreshSoon(): void {
    this.#due ??= window.setTimeout(
      () => {
        this.#due = undefined;
        if (this.#figures === null) void this.#loadFigures();
        else this.#refreshSoon();
      },
      Math.min(WALK_MS, Math.max(REFRESH_MS, 3 * this.#took)),
    );
  }

  async #loadFigures(): Promise<void> {
    this.#figures?.abort();
    const abort = new AbortController();
    this.#figures = abort;
    const began = performance.now();
    const { window: length, app, tz } = this.#frame.state;
    await this.#guard(abort, async () => {
      const params = { window: length, app };
      const [summary, series] = await Promise.all([
        get<Summary>('/api/v1/summary', params, abort.signal),
        get<Series>('/api/v1/series', params, abort.signal),
      ]);
      this.#tiles.show(summary);
      this.#chartTitle.textContent = `Calls per ${stepWords(series.step_ms)} by outcome`;
      this.#period.replaceChildren(`${dayMinute(series.from, tz)} until ${clockTime(series.as_of, tz)} (${tz})`);
      const empty = series.calls.every((n) => n === 0);
      this.#chart.element.hidden = empty;
      this.#chartEmpty.hidden = !empty;
      if (empty)
        this.#chartEmpty.textContent = `No call ended in this period${app === '' ? '' : ` for app ${app}`}. Choose a longer one, or wait: calls appear here by themselves.`;
      else this.#chart.show(series, tz);
    });
    if (this.#figures !== abort) return;
    this.#figures = null;
    this.#took = performance.now() - began;
  }

  async #loadList(): Promise<void> {
    this.#list?.abort();
    const abort = new AbortController();
    this.#list = abort;
    await this.#guard(abort, async () => {
      const page = await get<CallsPage>('/api/v1/calls', { ...this.#filters(), limit: PAGE }, abort.signal);
      this.#table.reset(page.calls, this.#frame.state.tz, page.as_of);
      this.#setCursor(page.next_cursor);
      this.#frame.listen(this.#frame.state.app, page.as_of);
    });
  }

  async #loadMore(): Promise<void> {
    const cursor = this.#cursor;
    const abort = this.#list;
    if (cursor === null || abort === null) return;
    await this.#guard(abort, async () => {
      const page = await get<CallsPage>('/api/v1/calls', { ...this.#filters(), limit: PAGE, cursor }, abort.signal);
      this.#table.append(page.calls);
      this.#setCursor(page.next_cursor);
    });
  }

  #filters(): Record<string, string> {
    const { app, outcome, q } = this.#frame.state;
    return { app, outcome, q };
  }

  #setCursor(cursor: string | null): void {
    this.#cursor = cursor;
    this.#more.hidden = cursor === null;
    this.#sayEmpty();
  }

  #sayEmpty(): void {
    const { outcome, q, app } = this.#frame.state;
    this.#tableEmpty.hidden = this.#table.size > 0;
    this.#table.element.hidden = this.#table.size === 0;
    this.#tableEmpty.textContent =
      outcome !== '' || q !== '' || app !== ''
        ? 'No call matches these filters. Ids are compared exactly, upper and lower case too.'
        : 'No calls yet. Point your app’s callbacks at /callbacks/tuicallkit, or run: callstream simulate';
  }

  /** Runs one load; a failure is shown with its reason, and everything is tried again. */
  async #guard(abort: AbortController, load: () => Promise<void>): Promise<void> {
    try {
      await load();
      this.#notice.hidden = true;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#notice.textContent = error instanceof Failure ? error.message : `This page failed: ${String(error)}`;
      this.#notice.hidden = false;
      window.clearTimeout(this.#retry);
      this.#retry = window.setTimeout(() => this.load(), RETRY_MS);
    }
  }
}
