import { get } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import { atMost, type Period, periodParams, type State, samePeriod } from '../frame/state.js';
import { definitions } from '../parts/definitions.js';
import { h } from '../parts/dom.js';
import { count, dayMinute, exactTime, span } from '../parts/format.js';
import { callLink, personLink } from '../parts/links.js';
import { Loader } from '../parts/loader.js';
import { MissedTable } from '../parts/missed-table.js';
import { PeriodPicker } from '../parts/period.js';
import { Refresher } from '../parts/refresher.js';
import { scroller } from '../parts/scroller.js';
import { MISSED_TILES, Tiles } from '../parts/tiles.js';
import type { Call, CallsPage, Definition, MissedPair } from '../parts/types.js';
import type { MissedAnswer, MissedTotals } from '../parts/types-operations.js';
import { WeekCard } from '../parts/week-card.js';
import { outcomeBadge } from '../parts/words.js';

const WINDOW = '7d';
/** Every pair of the period is looked at: among 10 million calls a month takes more than a second. */
const LONGEST = '7d';
const [FEW, MANY] = [100, 500];
/** A missed call, and a call back, must be seen within two seconds of their records. */
const SOON_MS = 300;
const TOTALS_MS = 800;
const SLOWLY_MS = 10_000;
const ATTEMPTS = 50;

/** Missed calls that nobody has returned. */
export class MissedPage implements Page {
  readonly title = 'Missed calls';
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #tiles = new Tiles(MISSED_TILES);
  readonly #table: MissedTable;
  readonly #week = new WeekCard('missed', WINDOW);
  readonly #loader = new Loader(() => this.load());
  readonly #refresher = new Refresher(() => this.#loadPairs(), SOON_MS);
  readonly #totals = new Refresher(() => this.#loadTotals(), TOTALS_MS);
  readonly #slowly = new Refresher(() => this.#loadWeek(), SLOWLY_MS);
  readonly #picker: PeriodPicker;
  readonly #period = h('p', { class: 'period' });
  readonly #user: HTMLInputElement;
  readonly #empty = h('p', { class: 'empty', hidden: true });
  readonly #note = h('p', { class: 'lead', hidden: true });
  readonly #more = h('button', { type: 'button', class: 'more', hidden: true, click: () => this.#showMore() }, 'Show more');
  readonly #callees = h('tbody');
  readonly #calleesCard: HTMLElement;
  #limit = FEW;
  /** Other rows are wanted than those that are shown. */
  #anew = true;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#picker = new PeriodPicker(frame, WINDOW, LONGEST);
    this.#table = new MissedTable({ personLink: personLink(frame), showCalls: (pair, into) => void this.#showCalls(pair, into) });
    this.#user = h('input', {
      type: 'search',
      placeholder: 'User id',
      'aria-label': 'Only missed calls with the user of exactly this id',
      value: this.#wanted(),
    });
    this.#user.addEventListener('input', () => this.#user.value === '' && frame.updateOwn({ user: '' }));
    this.#calleesCard = h(
      'section',
      { class: 'card' },
      h('h2', {}, 'Who has most to call back'),
      scroller(
        'Who has most to call back',
        h(
          'table',
          { class: 'callees' },
          h('caption', { class: 'sr' }, 'Users with missed calls that they have not returned, most first'),
          h(
            'thead',
            {},
            h(
              'tr',
              {},
              ...(['User', 'App', 'Callers waiting', 'Missed calls', 'Longest wait'] as const).map((name, i) =>
                h('th', { scope: 'col', class: i > 1 ? 'n' : i === 1 ? 'wide' : '' }, name),
              ),
            ),
          ),
          this.#callees,
        ),
      ),
    );
    this.element = h(
      'div',
      { class: 'page missed-page' },
      h('div', { class: 'head' }, h('h1', {}, 'Missed calls'), this.#period, this.#picker.element),
      this.#loader.notice,
      this.#tiles.element,
      h(
        'section',
        { class: 'card' },
        h(
          'div',
          { class: 'card-head' },
          h('h2', {}, 'Who has not been called back'),
          h(
            'form',
            {
              class: 'filters',
              role: 'search',
              submit: (event: Event) => {
                event.preventDefault();
                frame.updateOwn({ user: this.#user.value.trim() });
              },
            },
            this.#user,
          ),
        ),
        this.#note,
        scroller('Who has not been called back', this.#table.element),
        this.#empty,
        this.#more,
        this.#table.spoken,
      ),
      this.#calleesCard,
      this.#week.element,
    );
  }

  load(): void {
    for (const one of [this.#refresher, this.#totals, this.#slowly]) one.resume();
    void this.#loadAll();
  }

  pause(): void {
    this.#refresher.pause();
    this.#totals.pause();
    this.#slowly.pause();
    this.#loader.pause();
  }

  stateChanged(before: State): void {
    const { state } = this.#frame;
    this.#picker.sync();
    if (document.activeElement !== this.#user) this.#user.value = this.#wanted();
    if (
      before.app !== state.app ||
      before.tz !== state.tz ||
      before.own.user !== state.own.user ||
      !samePeriod(before.period, state.period)
    )
      void this.#loadAll();
  }

  calls(calls: Call[], truncated: boolean): void {
    // What rings neither adds a miss nor returns one.
    if (!truncated && calls.every(({ status }) => status === 'ringing')) return;
    this.#refresher.soon();
    this.#totals.soon();
  }

  destroy(): void {
    this.#refresher.stop();
    this.#totals.stop();
    this.#slowly.stop();
    this.#loader.stop();
    this.#table.stop();
  }

  async #loadAll(): Promise<void> {
    this.#limit = FEW;
    this.#anew = true;
    await this.#refresher.now();
    await this.#totals.now();
    await this.#slowly.now();
  }

  get #within(): Period | null {
    return atMost(this.#frame.state.period, LONGEST);
  }

  #wanted(): string {
    return this.#frame.state.own.user ?? '';
  }

  #showMore(): void {
    this.#limit = MANY;
    void this.#refresher.now();
  }

  async #loadPairs(): Promise<void> {
    const { app, tz } = this.#frame.state;
    await this.#loader.run('pairs', async (signal) => {
      const params = { ...periodParams(this.#within, WINDOW), app, user: this.#wanted() };
      const answer = await get<MissedAnswer>('/api/v1/missed', { ...params, limit: String(this.#limit) }, signal);
      if (this.#anew) {
        this.#anew = false;
        this.#table.reset(answer.missed, tz, answer.as_of, app === '');
        this.#frame.listen(app, answer.as_of);
      } else this.#table.update(answer.missed, answer.as_of, (pair) => hasSpoken(pair, answer));
      this.#period.textContent = `${dayMinute(answer.from, tz)} until ${dayMinute(answer.to, tz)} (${tz})`;
      this.#sayEmpty(answer);
    });
  }

  async #loadTotals(): Promise<void> {
    const { app } = this.#frame.state;
    await this.#loader.run('totals', async (signal) => {
      const params = { ...periodParams(this.#within, WINDOW), app, user: this.#wanted() };
      this.#showTotals(await get<MissedTotals>('/api/v1/missed/callees', params, signal), await definitions());
    });
  }

  async #loadWeek(): Promise<void> {
    await this.#loader.run('week', async (signal) =>
      this.#week.load({ ...this.#frame.state, period: this.#within }, await definitions(), signal),
    );
  }

  #showTotals({ as_of, pairs, calls, oldest, callees }: MissedTotals, words: Record<string, Definition>): void {
    this.#tiles.show({
      measures: {
        missed_unreturned: { ...words.missed_unreturned!, value: pairs, n: pairs },
        unreturned_calls: { ...words.unreturned_calls!, value: calls, n: calls },
        longest_wait: { ...words.longest_wait!, value: oldest === null ? null : as_of - oldest, n: pairs },
      },
    });
    this.#calleesCard.hidden = callees.length === 0;
    this.#callees.replaceChildren(
      ...callees
        .slice(0, 20)
        .map((row) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, h('a', { href: this.#frame.link('/missed', { user: row.callee }), 'data-link': true }, row.callee)),
            h('td', { class: 'dim wide' }, row.app_id),
            h('td', { class: 'n' }, count(row.callers)),
            h('td', { class: 'n' }, count(row.missed_count)),
            h('td', { class: 'n', title: exactTime(row.first_missed_at, this.#frame.state.tz) }, span(as_of - row.first_missed_at)),
          ),
        ),
    );
  }

  #sayEmpty({ missed, next_cursor }: MissedAnswer): void {
    this.#empty.hidden = missed.length > 0;
    this.#table.element.hidden = this.#table.size === 0;
    this.#more.hidden = next_cursor === null || this.#limit === MANY;
    this.#note.hidden = next_cursor === null;
    this.#note.textContent = `These are the latest ${count(missed.length)}. Choose a shorter period or an app to see the others.`;
    const { app } = this.#frame.state;
    const user = this.#wanted();
    this.#empty.textContent =
      user !== ''
        ? `Nobody waits for a call back with ${user}. Ids are compared exactly, upper and lower case too.`
        : `Everybody has been called back${app === '' ? '' : ` in app ${app}`}: no missed call of this period is left. A new one appears here by itself.`;
  }

  /** The misses of a pair, each with a link to its page. */
  async #showCalls({ app_id, caller, callee, first_missed_at, last_missed_at }: MissedPair, into: HTMLElement): Promise<void> {
    const { tz } = this.#frame.state;
    into.replaceChildren(h('p', { class: 'dim' }, 'Reading …'));
    const read = await this.#loader.run(`calls ${app_id} ${caller} ${callee}`, async (signal) => {
      const { calls } = await get<CallsPage>(
        '/api/v1/calls',
        {
          app: app_id,
          user: caller,
          with: callee,
          from: String(first_missed_at),
          to: String(last_missed_at + 1),
          status: 'ended',
          limit: String(ATTEMPTS),
        },
        signal,
      );
      into.replaceChildren(
        h(
          'ul',
          {},
          ...calls.map((call) =>
            h(
              'li',
              {},
              h(
                'a',
                {
                  href: callLink(this.#frame)(call),
                  'data-link': true,
                },
                exactTime(call.started_at, tz).replace(/\.\d+$/, ''),
              ),
              ' ',
              outcomeBadge(call),
              h(
                'span',
                { class: 'dim' },
                ` rang ${span(call.ring_ms)}${call.callees.length > 1 ? `, ${call.callees.length} callees${call.outcome === 'answered' ? ', others answered' : ''}` : ''}`,
              ),
            ),
          ),
        ),
      );
    });
    if (!read) into.replaceChildren();
  }
}

/** Whether a pair that an answer no longer has is gone because the two have spoken: nothing else takes it from a list that reaches as far back as its misses. */
const hasSpoken = ({ last_missed_at }: MissedPair, { from, to, missed, next_cursor }: MissedAnswer): boolean =>
  last_missed_at >= from && last_missed_at < to && (next_cursor === null || last_missed_at > missed.at(-1)!.last_missed_at);
