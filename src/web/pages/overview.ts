import { get } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import { oneOf, periodParams, type State, samePeriod } from '../frame/state.js';
import { BarChart, stepWords } from '../parts/chart.js';
import { Concurrency } from '../parts/concurrency.js';
import { definitions } from '../parts/definitions.js';
import { h } from '../parts/dom.js';
import { dayMinute } from '../parts/format.js';
import { callLink } from '../parts/links.js';
import { Loader } from '../parts/loader.js';
import { PeriodPicker } from '../parts/period.js';
import { Refresher } from '../parts/refresher.js';
import { CallsTable } from '../parts/table.js';
import { Tiles } from '../parts/tiles.js';
import type { Call, CallsPage, Outcome, Series, Summary } from '../parts/types.js';
import type { ConcurrencyAnswer } from '../parts/types-operations.js';
import { WeekCard } from '../parts/week-card.js';
import { OUTCOME_WORDS, OUTCOMES } from '../parts/words.js';

const WINDOW = '1h';
const PAGE = '50';

/** What takes longer to read, and changes slowly. */
const SLOWLY_MS = 10_000;

/** Figures, charts and latest calls of a period. */
export class OverviewPage implements Page {
  readonly title = 'Overview';
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #tiles = new Tiles();
  readonly #chart = new BarChart({
    label: 'Chart of calls by outcome over time',
    caption: 'Calls by outcome',
    legend: 'Outcomes shown',
    total: 'Calls',
  });
  readonly #concurrency = new Concurrency();
  readonly #week: WeekCard;
  readonly #table: CallsTable;
  readonly #loader = new Loader(() => this.load());
  readonly #refresher = new Refresher(() => this.#loadFigures());
  readonly #slowly = new Refresher(() => this.#loadRest(), SLOWLY_MS);
  readonly #picker: PeriodPicker;
  readonly #period = h('p', { class: 'period' });
  readonly #against = h('p', { class: 'period', hidden: true });
  readonly #chartTitle = h('h2', {}, 'Calls by outcome');
  readonly #chartEmpty = h('p', { class: 'empty', hidden: true });
  readonly #tableEmpty = h('p', { class: 'empty', hidden: true });
  readonly #more = h('button', { type: 'button', class: 'more', hidden: true, click: () => this.#loadMore() }, 'Show older calls');
  readonly #all = h('a', { class: 'all', 'data-link': true, href: '' }, 'All calls of this period');
  readonly #outcome: HTMLSelectElement;
  readonly #search: HTMLInputElement;
  #cursor: string | null = null;
  #hasFigures = false;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#table = new CallsTable(callLink(frame));
    this.#picker = new PeriodPicker(frame, WINDOW);
    this.#week = new WeekCard('calls', WINDOW);
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
      this.#against,
      h('section', { class: 'card' }, h('div', { class: 'card-head' }, this.#chartTitle), this.#chartEmpty, this.#chart.element),
      this.#concurrency.element,
      this.#week.element,
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
    for (const one of [this.#refresher, this.#slowly]) one.resume();
    void this.#loadAll();
  }

  pause(): void {
    this.#refresher.pause();
    this.#slowly.pause();
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
    if (elsewhere || !samePeriod(before.period, state.period)) void this.#refresher.now().then(() => this.#slowly.now());
    if (elsewhere || before.own.outcome !== state.own.outcome || before.own.q !== state.own.q) void this.#loadList();
  }

  themeChanged(): void {
    this.#chart.redraw();
    this.#concurrency.redraw();
  }

  calls(calls: Call[], truncated: boolean): void {
    if (truncated) void this.#loadList();
    const matching = calls.filter((call) => this.#matches(call));
    for (const call of calls) if (!matching.includes(call)) this.#table.drop(call);
    this.#table.merge(matching, true);
    this.#sayEmpty();
    this.#refresher.soon();
    this.#slowly.soon();
  }

  destroy(): void {
    this.#refresher.stop();
    this.#slowly.stop();
    this.#loader.stop();
    this.#chart.destroy();
    this.#concurrency.destroy();
  }

  /** As the API's filters (`callsStatement`). */
  #matches(call: Call): boolean {
    const { app, outcome, q } = this.#filters();
    if (call.end_reason === 'merged' || (app !== '' && call.app_id !== app)) return false;
    if (outcome !== '' && (call.status !== 'ended' || call.outcome !== outcome)) return false;
    return q === '' || [call.call_id, call.room_id, call.caller, ...call.callees].includes(q);
  }

  /** What is looked at first comes first. */
  async #loadAll(): Promise<void> {
    await Promise.all([this.#refresher.now(), this.#loadList()]);
    await this.#slowly.now();
  }

  async #loadFigures(): Promise<void> {
    const { period, app, tz } = this.#frame.state;
    await this.#loader.run('figures', async (signal) => {
      const params = { ...periodParams(period, WINDOW), app };
      // The period before costs as much as this one: the first numbers do not wait for it.
      if (!this.#hasFigures) this.#tiles.show(await get<Summary>('/api/v1/summary', params, signal));
      this.#hasFigures = true;
      const [summary, series] = await Promise.all([
        get<Summary>('/api/v1/summary', { ...params, compare: 'previous' }, signal),
        get<Series>('/api/v1/series', { ...params, tz }, signal),
      ]);
      const { previous } = summary;
      this.#tiles.show(summary);
      this.#against.hidden = !previous;
      if (previous)
        this.#against.textContent = `▲ and ▼ compare with the period before: ${dayMinute(previous.from, tz)} until ${dayMinute(previous.to, tz)}.`;
      this.#chartTitle.textContent = `Calls per ${stepWords(series.step_ms)} by outcome`;
      this.#period.replaceChildren(`${dayMinute(series.from, tz)} until ${dayMinute(Math.min(series.to, series.as_of), tz)} (${tz})`);
      const empty = series.calls.every((n) => n === 0);
      this.#chart.element.hidden = empty;
      this.#chartEmpty.hidden = !empty;
      if (empty)
        this.#chartEmpty.textContent = `No call ended in this period${app === '' ? '' : ` for app ${app}`}. Choose a longer one, or wait: calls appear here by themselves.`;
      else
        this.#chart.show(
          { ...series, layers: OUTCOMES.map((name) => ({ name, words: OUTCOME_WORDS[name], values: series.outcomes[name] })) },
          tz,
        );
    });
  }

  async #loadRest(): Promise<void> {
    const { period, app, tz } = this.#frame.state;
    await this.#loader.run('rest', async (signal) => {
      const params = { ...periodParams(period, WINDOW), app, tz };
      const [concurrency, words] = await Promise.all([get<ConcurrencyAnswer>('/api/v1/concurrency', params, signal), definitions()]);
      this.#concurrency.show(concurrency, tz, words.peak_concurrency!);
      await this.#week.load(this.#frame.state, words, signal);
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
