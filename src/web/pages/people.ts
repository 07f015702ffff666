import { get } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import { periodParams, type State, samePeriod } from '../frame/state.js';
import { callKey, newestFirst } from '../parts/call-row.js';
import { ContactsCard } from '../parts/contacts-card.js';
import { definitions } from '../parts/definitions.js';
import { h } from '../parts/dom.js';
import { count } from '../parts/format.js';
import { info } from '../parts/info.js';
import { callLink, personLink } from '../parts/links.js';
import { Loader } from '../parts/loader.js';
import { PagedRows } from '../parts/paged-rows.js';
import { PeriodPicker } from '../parts/period.js';
import { Refresher } from '../parts/refresher.js';
import { Tiles, USER_TILES } from '../parts/tiles.js';
import type { App, Call, ContactsAnswer, MissedPair, UserCall, UserTotals } from '../parts/types.js';
import { unreturnedList } from '../parts/unreturned.js';
import { USER_CALL_HEADS, userCallRow } from '../parts/user-row.js';
import { WindowedTable } from '../parts/windowed.js';

const WINDOW = '7d';
const PAGE = '200';
/** Pairs of each side that are shown. */
const PAIRS = '20';
const CONTACTS = '10';

/** One user: numbers, misses that nobody has returned, whom they spoke with, and every call. */
export class PeoplePage implements Page {
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #picker: PeriodPicker;
  readonly #input = h('input', { type: 'search', id: 'user', required: true, autocomplete: 'off', placeholder: 'Exact user id' });
  readonly #title = h('h1', {}, 'People');
  readonly #choose = h('div', { class: 'card', hidden: true });
  readonly #tiles = new Tiles(USER_TILES);
  readonly #waiting = { caller: h('div'), callee: h('div') };
  readonly #missedTitle = h('div', { class: 'with-info' }, h('h2', {}, 'Missed and not returned'));
  readonly #contacts = new ContactsCard();
  readonly #history: WindowedTable<UserCall>;
  readonly #rows: PagedRows<UserCall>;
  readonly #historyTitle = h('h2', {}, 'Calls');
  readonly #empty = h(
    'p',
    { class: 'empty', hidden: true },
    'This user has no call in this period. Ids are compared exactly, upper and lower case too.',
  );
  readonly #found: HTMLElement;
  readonly #loader = new Loader(() => this.load());
  readonly #refresher = new Refresher(() => this.#loadNumbers());

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#picker = new PeriodPicker(frame, WINDOW);
    this.#history = new WindowedTable<UserCall>({
      caption: 'Calls of this user, newest first',
      kind: 'calls of-user',
      heads: USER_CALL_HEADS,
      keyOf: ({ call }) => callKey(call),
      compare: (a, b) => newestFirst(a.call, b.call),
      isNewer: (next, known) => next.call.revision > known.call.revision,
      row: (item) => this.#row(item),
      more: () => void this.#rows.loadMore(),
    });
    this.#rows = new PagedRows<UserCall>({
      loader: this.#loader,
      table: this.#history,
      question: () => ({ path: `${this.#path}/calls`, params: { ...this.#period, limit: PAGE } }),
      loaded: (asOf) => {
        this.#empty.hidden = this.#history.size > 0;
        frame.listen(frame.state.app, asOf);
      },
    });
    this.#found = h(
      'div',
      { class: 'found-user', hidden: true },
      this.#tiles.element,
      h(
        'section',
        { class: 'card' },
        h('div', { class: 'card-head' }, this.#missedTitle),
        h('div', { class: 'two' }, this.#waiting.caller, this.#waiting.callee),
      ),
      this.#contacts.element,
      h('section', { class: 'card' }, this.#historyTitle, this.#history.element, this.#rows.notice, this.#empty),
    );
    this.element = h(
      'div',
      { class: 'page people' },
      h('div', { class: 'head' }, this.#title, this.#picker.element),
      h(
        'form',
        {
          class: 'fields first card',
          role: 'search',
          submit: (event: Event) => {
            event.preventDefault();
            frame.updateOwn({ user: this.#input.value.trim() });
          },
        },
        h('label', { for: 'user' }, 'User'),
        this.#input,
        h('button', { type: 'submit', class: 'primary' }, 'Show'),
      ),
      this.#loader.notice,
      this.#choose,
      this.#found,
    );
    this.#input.value = this.#user;
  }

  get title(): string {
    return this.#user === '' ? 'People' : `User ${this.#user}`;
  }

  load(): void {
    this.#refresher.resume();
    this.#show();
  }

  #show(): void {
    const { app } = this.#frame.state;
    const user = this.#user;
    this.#title.textContent = user === '' ? 'People' : user;
    const known = user !== '' && app !== '';
    this.#found.hidden = !known;
    this.#choose.hidden = known;
    if (known) {
      void this.#refresher.now();
      void this.#rows.loadFirst(this.#history.atTop);
    } else if (user === '') this.#sayHow();
    else void this.#loadApps();
  }

  pause(): void {
    this.#refresher.pause();
    this.#loader.pause();
    this.#rows.pause();
  }

  stateChanged(before: State): void {
    const { state } = this.#frame;
    this.#picker.sync();
    if (!this.#input.matches(':focus')) this.#input.value = this.#user;
    const other = before.app !== state.app || before.own.user !== state.own.user || !samePeriod(before.period, state.period);
    if (other) {
      this.#history.reset([], false);
      this.#show();
    } else if (before.tz !== state.tz) {
      this.#history.redraw();
      this.#refresher.soon();
    }
  }

  calls(calls: Call[], truncated: boolean): void {
    const user = this.#user;
    if (user === '' || this.#frame.state.app === '') return;
    if (!truncated && !calls.some(({ caller, callees }) => caller === user || callees.includes(user))) return;
    // A call that comes by itself has no legs: the first page is read again.
    void this.#rows.loadFirst(false);
    this.#refresher.soon();
  }

  destroy(): void {
    this.#refresher.stop();
    this.#loader.stop();
    this.#rows.stop();
    this.#history.destroy();
  }

  get #user(): string {
    return this.#frame.state.own.user ?? '';
  }

  get #path(): string {
    return `/api/v1/users/${[this.#frame.state.app, this.#user].map(encodeURIComponent).join('/')}`;
  }

  get #period(): Record<string, string> {
    return periodParams(this.#frame.state.period, WINDOW);
  }

  #row(item: UserCall): HTMLTableRowElement {
    const frame = this.#frame;
    return userCallRow(item, {
      user: this.#user,
      zone: frame.state.tz,
      today: this.#rows.asOf,
      linkOf: callLink(frame),
      personOf: personLink(frame),
    });
  }

  #sayHow(): void {
    this.#choose.replaceChildren(
      h(
        'p',
        { class: 'empty' },
        'Enter the id of a user, exactly as your app gives it to the calling SDK: you see what they missed, who waits for them, and every call of theirs. Users’ names on the other pages lead here too.',
      ),
    );
    this.#frame.listen(this.#frame.state.app, Date.now());
  }

  /** A user id means somebody else in another app: where there are several, the reader says which. */
  async #loadApps(): Promise<void> {
    const user = this.#user;
    await this.#loader.run('apps', async (signal) => {
      const { apps } = await get<{ apps: App[] }>('/api/v1/apps', {}, signal);
      const counts = await Promise.all(
        apps.map(({ app_id }) => get<{ count: number }>('/api/v1/calls/count', { app: app_id, user, ...this.#period }, signal)),
      );
      const found = apps.flatMap((app, i) => (counts[i]!.count > 0 ? [{ ...app, calls: counts[i]!.count }] : []));
      const [only] = found.length > 0 ? found : apps;
      if (only !== undefined && (found.length === 1 || apps.length === 1)) this.#frame.update({ app: only.app_id });
      else
        this.#choose.replaceChildren(
          h('h2', {}, found.length === 0 ? `No app has a call of ${user} in this period` : `In which app is ${user}?`),
          found.length === 0
            ? h('p', { class: 'dim' }, 'Choose a longer period. Ids are compared exactly, upper and lower case too.')
            : h(
                'ul',
                { class: 'pairs' },
                ...found.map(({ app_id, provider, calls }) =>
                  h(
                    'li',
                    {},
                    h('a', { href: this.#frame.link('/people', { user }, { app: app_id }), 'data-link': true }, `${app_id} (${provider})`),
                    h('b', { class: 'n' }, `${count(calls)} ${calls === 1 ? 'call' : 'calls'}`),
                  ),
                ),
              ),
        );
      this.#frame.listen('', Date.now());
    });
  }

  async #loadNumbers(): Promise<void> {
    const { app, tz } = this.#frame.state;
    const user = this.#user;
    if (user === '' || app === '') return;
    await this.#loader.run('numbers', async (signal) => {
      const missed = (side: 'caller' | 'callee') =>
        get<{ missed: MissedPair[]; next_cursor: string | null }>(
          '/api/v1/missed',
          { app, [side]: user, limit: PAIRS, ...this.#period },
          signal,
        );
      const [totals, byMe, ofMe, contacts, words] = await Promise.all([
        get<UserTotals>(this.#path, this.#period, signal),
        missed('callee'),
        missed('caller'),
        get<ContactsAnswer>(`${this.#path}/contacts`, { ...this.#period, limit: CONTACTS }, signal),
        definitions(),
      ]);
      this.#tiles.show(totals);
      if (this.#missedTitle.childElementCount === 1)
        this.#missedTitle.append(info(words.missed_unreturned!.label, words.missed_unreturned!.definition));
      const linkOf = (other: string): string => personLink(this.#frame)({ app_id: app }, other);
      this.#contacts.show(contacts, tz, linkOf, words);
      const list = (title: string, { missed: pairs, next_cursor }: typeof byMe, side: 'caller' | 'callee', none: string): HTMLElement[] => [
        h('h3', {}, title),
        pairs.length === 0 ? h('p', { class: 'dim' }, none) : unreturnedList(pairs, side, tz, linkOf),
        ...(next_cursor === null ? [] : [h('p', { class: 'dim' }, `The latest ${PAIRS} are shown.`)]),
      ];
      this.#waiting.caller.replaceChildren(
        ...list(`${user} has not called back`, byMe, 'caller', 'Nobody waits for a call from this user.'),
      );
      this.#waiting.callee.replaceChildren(...list(`Has not called ${user} back`, ofMe, 'callee', 'This user waits for nobody.'));
    });
  }
}
