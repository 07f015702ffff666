import { get } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import { periodParams, periodWithin, type State, samePeriod } from '../frame/state.js';
import { type CallFilter, isEmpty, matches, readFilter } from '../parts/call-filter.js';
import { CallFilters } from '../parts/call-filters.js';
import { CALL_HEADS, callCells, callKey, linkedRow, newestFirst } from '../parts/call-row.js';
import { definitions } from '../parts/definitions.js';
import { h } from '../parts/dom.js';
import { ExportControl } from '../parts/export.js';
import { count } from '../parts/format.js';
import { info } from '../parts/info.js';
import { callLink, personLink } from '../parts/links.js';
import { Loader } from '../parts/loader.js';
import { PagedRows } from '../parts/paged-rows.js';
import { PeriodPicker } from '../parts/period.js';
import { Refresher } from '../parts/refresher.js';
import type { Call } from '../parts/types.js';
import { WindowedTable } from '../parts/windowed.js';

const WINDOW = '24h';
const PAGE = '500';
/** As far back as the API looks. */
const EVERYTHING_MS = 5 * 365 * 86_400_000;

/** Search among all calls: filters, how many there are, the calls themselves however many, and all of them as a file. */
export class CallsPage implements Page {
  readonly title = 'Calls';
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #picker: PeriodPicker;
  readonly #filters: CallFilters;
  readonly #table: WindowedTable<Call>;
  readonly #rows: PagedRows<Call>;
  readonly #loader = new Loader(() => this.load());
  readonly #refresher = new Refresher(() => this.#loadCount());
  readonly #export = new ExportControl(() => this.#params());
  readonly #found = h('p', { class: 'found' }, ' ');
  /** Says the number once after each choice: live changes would otherwise be read out all the time. */
  readonly #said = h('p', { class: 'sr', role: 'status' });
  #chosen = true;
  readonly #about = h('span', { class: 'about-found' });
  readonly #empty = h('div', { class: 'empty', hidden: true });

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#picker = new PeriodPicker(frame, WINDOW);
    this.#filters = new CallFilters(frame);
    this.#table = new WindowedTable<Call>({
      caption: 'Calls, newest first',
      kind: 'calls',
      heads: CALL_HEADS,
      keyOf: callKey,
      compare: newestFirst,
      isNewer: (next, known) => next.revision > known.revision,
      row: (call) => this.#row(call),
      more: () => void this.#rows.loadMore(),
    });
    this.#rows = new PagedRows<Call>({
      loader: this.#loader,
      table: this.#table,
      question: () => ({ path: '/api/v1/calls', params: { ...this.#params(), limit: PAGE } }),
      loaded: (asOf) => {
        this.#sayEmpty();
        frame.listen(frame.state.app, asOf);
      },
    });
    this.element = h(
      'div',
      { class: 'page calls-page' },
      h('div', { class: 'head' }, h('h1', {}, 'Calls'), this.#picker.element),
      this.#loader.notice,
      h('section', { class: 'card', 'aria-label': 'Filters' }, this.#filters.element),
      h(
        'section',
        { class: 'card' },
        h('div', { class: 'card-head' }, h('div', { class: 'with-info' }, this.#found, this.#about, this.#said), this.#export.element),
        this.#table.element,
        this.#rows.notice,
        this.#empty,
      ),
    );
  }

  load(): void {
    this.#refresher.resume();
    void this.#refresher.now();
    void this.#rows.loadFirst(this.#table.atTop);
  }

  pause(): void {
    this.#refresher.pause();
    this.#loader.pause();
    this.#rows.pause();
  }

  stateChanged(before: State): void {
    const { state } = this.#frame;
    this.#picker.sync();
    this.#filters.sync();
    const elsewhere = before.app !== state.app || !samePeriod(before.period, state.period);
    if (elsewhere || JSON.stringify(before.own) !== JSON.stringify(state.own)) {
      this.#chosen = true;
      void this.#refresher.now();
      void this.#rows.loadFirst(true);
    } else if (before.tz !== state.tz) this.#table.redraw();
  }

  calls(calls: Call[], truncated: boolean): void {
    if (truncated) void this.#rows.loadFirst(false);
    const { app, period } = this.#frame.state;
    const filter = this.#filter();
    const belongs = (call: Call): boolean => matches(call, filter, app) && periodWithin(period, WINDOW, this.#rows.asOf)(call.started_at);
    for (const call of calls) if (!belongs(call)) this.#table.drop(call);
    this.#table.merge(calls.filter(belongs));
    this.#sayEmpty();
    this.#refresher.soon();
  }

  destroy(): void {
    this.#refresher.stop();
    this.#loader.stop();
    this.#rows.stop();
    this.#export.stop();
    this.#table.destroy();
  }

  #filter(): CallFilter {
    return readFilter(this.#frame.state.own);
  }

  #params(): Record<string, string> {
    const { app, period } = this.#frame.state;
    return { app, ...this.#filter(), ...periodParams(period, WINDOW) };
  }

  #row(call: Call): HTMLTableRowElement {
    const frame = this.#frame;
    const options = {
      zone: frame.state.tz,
      today: this.#rows.asOf,
      linkOf: callLink(frame),
      personOf: personLink(frame),
    };
    return linkedRow(callCells(call, options), { 'data-call': call.call_id });
  }

  async #loadCount(): Promise<void> {
    await this.#loader.run('count', async (signal) => {
      const [found, { calls_found }] = await Promise.all([
        get<{ count: number }>('/api/v1/calls/count', this.#params(), signal),
        definitions(),
      ]);
      const text = `${count(found.count)} ${found.count === 1 ? 'call' : 'calls'}`;
      if (this.#found.textContent !== text) this.#found.textContent = text;
      if (this.#chosen) this.#said.textContent = `${text} found`;
      this.#chosen = false;
      if (this.#about.childElementCount === 0) this.#about.append(info(calls_found!.label, calls_found!.definition));
      this.#table.setTotal(found.count);
    });
  }

  #sayEmpty(): void {
    this.#empty.hidden = this.#table.size > 0;
    if (this.#empty.hidden) return;
    const now = Date.now();
    const everything = { from: now - EVERYTHING_MS, to: now + 60_000 };
    this.#empty.replaceChildren(
      h(
        'p',
        {},
        isEmpty(this.#filter())
          ? 'No call began in this period.'
          : 'No call of this period matches these filters. Ids are compared exactly, upper and lower case too.',
      ),
      h(
        'p',
        {},
        h('button', { type: 'button', click: () => this.#frame.update({ period: everything }) }, 'Look back five years'),
        !isEmpty(this.#filter()) && h('button', { type: 'button', click: () => this.#filters.clear() }, 'Clear filters'),
      ),
    );
  }
}
