import { get } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import { oneOf, periodParams, type State, samePeriod } from '../frame/state.js';
import { OutcomeChart, stepWords } from '../parts/chart.js';
import { h } from '../parts/dom.js';
import { dayMinute } from '../parts/format.js';
import { callLink } from '../parts/links.js';
import { Loader } from '../parts/loader.js';
import { PeriodPicker } from '../parts/period.js';
import { Refresher } from '../parts/refresher.js';
import { CallsTable } from '../parts/table.js';
import { Tiles } from '../parts/tiles.js';
import type { Call, CallsPage, Outcome, Series, Summary } from '../parts/types.js';
import { OUTCOME_WORDS, OUTCOMES } from '../parts/words.js';

const WINDOW = '1h';
const PAGE = '50';

/** Figures, chart and latest calls of a period that ends now. */
export class OverviewPage implements Page {
  readonly title = 'Overview';
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #tiles = new Tiles();
  readonly #chart = new OutcomeChart();
  readonly #table: CallsTable;
  readonly #loader = new Loader(() => this.load());
  readonly #refresher = new Refresher(() => this.#loadFigures());
  readonly #picker: PeriodPicker;
  readonly #period = h('p', { class: 'period' });
  readonly #chartTitle = h('h2', {}, 'Calls by outcome');
  readonly #chartEmpty = h('p', { class: 'empty', hidden: true });
  readonly #tableEmpty = h('p', { class: 'empty', hidden: true });
  readonly #more = h('button', { type: 'button', class: 'more', hidden: true, click: () => this.#loadMore() }, 'Show older calls');
  readonly #all = h('a', { class: 'all', 'data-link': true, href: '' }, 'All calls of this period');
  readonly #outcome: HTMLSelectElement;
  readonly #search: HTMLInputElement;
  #cursor: string | null = null;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#table = new CallsTable(callLink(frame));
    this.#picker = new PeriodPicker(frame, WINDOW);
    this.#outcome = h(
      'select',
      { 'aria-label': 'Outcome', change: () => frame.updateOwn({ outcome: this.#outcome.value }) },
      h('option', { value: '' }, 'Every outcome'),
      ...OUTCOMES.map((name) => h('option', { value: name, selected: name === this.#filters().outcome }, OUTCOME_WORDS[name])),
    );
    this.#search = h('input', {
      type: 'search',
      placeholder: 'User, room or call id',
      'aria-label': 'Find calls by the exact id of a user, a room or a call',
      value: this.#filters().q,
    });
    this.element = h(
      'div',
      { class: 'page overview' },
      h('div', { class: 'head' }, h('h1', {}, 'Overview'), this.#period, this.#picker.element),
      this.#loader.notice,
      this.#tiles.element,
      h('section', { class: 'card' }, h('div', { class: 'card-head' }, this.#chartTitle), this.#chartEmpty, this.#chart.element),
      h(
        'section',
        { class: 'card' },
        h(
          'div',
          { class: 'card-head' },
          h('h2', {}, 'Latest calls'),
          this.#all,
          h(
            'form',
            {
              class: 'filters',
              role: 'search',
              submit: (event: Event) => {
                event.preventDefault();
                frame.updateOwn({ q: this.#search.value.trim() });
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
    this.#linkToAll();
    // A cleared search field is a wish of its own; typing waits for Enter.
    this.#search.addEventListener('input', () => this.#search.value === '' && frame.updateOwn({ q: '' }));
  }

  load(): void {
    void this.#refresher.now();
    void this.#loadList();
  }

  pause(): void {
    this.#refresher.pause();
    this.#loader.pause();
  }

  stateChanged(before: State): void {
    const { state } = this.#frame;
    const { outcome, q } = this.#filters();
    this.#picker.sync();
    this.#linkToAll();
    this.#outcome.value = outcome;
    if (document.activeElement !== this.#search) this.#search.value = q;
    const elsewhere = before.app !== state.app || before.tz !== state.tz;
    if (elsewhere || !samePeriod(before.period, state.period)) void this.#refresher.now();
    if (elsewhere || before.own.outcome !== state.own.outcome || before.own.q !== state.own.q) void this.#loadList();
  }

  themeChanged(): void {
    this.#chart.redraw();
  }

  calls(calls: Call[]): void {
    const matching = calls.filter((call) => this.#matches(call));
    for (const call of calls) if (!matching.includes(call)) this.#table.drop(call);
    this.#table.merge(matching, true);
    this.#sayEmpty();
    this.#refresher.soon();
  }

  destroy(): void {
    this.#refresher.stop();
    this.#loader.stop();
    this.#chart.destroy();
  }

  /** As the API's filters (`callsStatement`). */
  #matches(call: Call): boolean {
    const { app, outcome, q } = this.#filters();
    if (call.end_reason === 'merged' || (app !== '' && call.app_id !== app)) return false;
    if (outcome !== '' && (call.status !== 'ended' || call.outcome !== outcome)) return false;
    return q === '' || [call.call_id, call.room_id, call.caller, ...call.callees].includes(q);
  }

  async #loadFigures(): Promise<void> {
    const { period, app, tz } = this.#frame.state;
    await this.#loader.run('figures', async (signal) => {
      const params = { ...periodParams(period, WINDOW), app };
      const [summary, series] = await Promise.all([
        get<Summary>('/api/v1/summary', params, signal),
        get<Series>('/api/v1/series', { ...params, tz }, signal),
      ]);
      this.#tiles.show(summary);
      this.#chartTitle.textContent = `Calls per ${stepWords(series.step_ms)} by outcome`;
      this.#period.replaceChildren(`${dayMinute(series.from, tz)} until ${dayMinute(Math.min(series.to, series.as_of), tz)} (${tz})`);
      const empty = series.calls.every((n) => n === 0);
      this.#chart.element.hidden = empty;
      this.#chartEmpty.hidden = !empty;
      if (empty)
        this.#chartEmpty.textContent = `No call ended in this period${app === '' ? '' : ` for app ${app}`}. Choose a longer one, or wait: calls appear here by themselves.`;
      else this.#chart.show(series, tz);
    });
  }

  async #loadList(): Promise<void> {
    await this.#loader.run('list', async (signal) => {
      const page = await get<CallsPage>('/api/v1/calls', { ...this.#filters(), limit: PAGE }, signal);
      this.#table.reset(page.calls, this.#frame.state.tz, page.as_of);
      this.#setCursor(page.next_cursor);
      this.#frame.listen(this.#frame.state.app, page.as_of);
    });
  }

  async #loadMore(): Promise<void> {
    const cursor = this.#cursor;
    if (cursor === null) return;
    await this.#loader.run('list', async (signal) => {
      const page = await get<CallsPage>('/api/v1/calls', { ...this.#filters(), limit: PAGE, cursor }, signal);
      this.#table.append(page.calls);
      this.#setCursor(page.next_cursor);
    });
  }

  /** With what is chosen here; the period is this page's, where nobody has chosen one. */
  #linkToAll(): void {
    const { outcome, q } = this.#filters();
    this.#all.href = this.#frame.link('/calls', { outcome, q }, { period: this.#frame.state.period ?? { window: WINDOW } });
  }

  #filters(): { app: string; outcome: Outcome | ''; q: string } {
    const { app, own } = this.#frame.state;
    return { app, outcome: oneOf(OUTCOMES, own.outcome) ?? '', q: own.q ?? '' };
  }

  #setCursor(cursor: string | null): void {
    this.#cursor = cursor;
    this.#more.hidden = cursor === null;
    this.#sayEmpty();
  }

  #sayEmpty(): void {
    const { outcome, q, app } = this.#filters();
    this.#tableEmpty.hidden = this.#table.size > 0;
    this.#table.element.hidden = this.#table.size === 0;
    this.#tableEmpty.textContent =
      outcome !== '' || q !== '' || app !== ''
        ? 'No call matches these filters. Ids are compared exactly, upper and lower case too.'
        : 'No calls yet. Point your app’s callbacks at /callbacks/tuicallkit, or run: callstream simulate';
  }
}
