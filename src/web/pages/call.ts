import { Failure, get } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import type { State } from '../frame/state.js';
import { h, hidden, s } from '../parts/dom.js';
import { clockTime, count, duration, exactTime, offset } from '../parts/format.js';
import { inputsTable } from '../parts/inputs.js';
import { ladder, lanesOf, mark } from '../parts/ladder.js';
import type { Call, CallDetail, Leg } from '../parts/types.js';
import { anomalyText, endReason, outcomeBadge, outcomeMark, typeText } from '../parts/words.js';

/** An open call's picture grows by itself. */
const GROW_MS = 1000;
const RETRY_MS = 4000;

/** One call: its facts, its ladder, its legs and inputs, and what is odd about it. */
export class CallPage implements Page {
  readonly element = h('div', { class: 'page call' });
  readonly #frame: Frame;
  readonly #name: { provider: string; app_id: string; id: string };
  readonly #picture = h('div', { class: 'picture' });
  readonly #resize: ResizeObserver;
  readonly #openEvents = new Set<string>();
  #detail: CallDetail | null = null;
  /** Server time minus this machine's: an open call is drawn up to the server's now. */
  #skew = 0;
  #abort: AbortController | null = null;
  #grow: number | undefined;
  #retry: number | undefined;

  constructor(frame: Frame) {
    this.#frame = frame;
    const { provider = '', app_id = '', id = '' } = frame.state.own;
    this.#name = { provider, app_id, id };
    this.#resize = new ResizeObserver(() => this.#draw());
    this.#resize.observe(this.#picture);
    this.element.append(this.#back(), h('p', { class: 'empty' }, 'Reading the call…'));
  }

  get title(): string {
    return `Call ${this.#name.id}`;
  }

  load(): void {
    void this.#load(true);
  }

  pause(): void {
    window.clearInterval(this.#grow);
    this.#grow = undefined;
  }

  stateChanged(_before: State): void {
    this.#show();
  }

  calls(calls: Call[]): void {
    const newer = calls.some(
      (call) =>
        call.provider === this.#name.provider &&
        call.app_id === this.#name.app_id &&
        call.call_id === this.#name.id &&
        call.revision > (this.#detail?.call.revision ?? 0),
    );
    if (newer) void this.#load(false);
  }

  destroy(): void {
    this.pause();
    window.clearTimeout(this.#retry);
    this.#abort?.abort();
    this.#resize.disconnect();
  }

  async #load(listen: boolean): Promise<void> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const { provider, app_id, id } = this.#name;
    try {
      const detail = await get<CallDetail>(`/api/v1/calls/${[provider, app_id, id].map(encodeURIComponent).join('/')}`, {}, abort.signal);
      this.#detail = detail;
      this.#skew = detail.as_of - Date.now();
      this.#show();
      this.pause();
      if (detail.call.status !== 'ended') this.#grow = window.setInterval(() => this.#draw(), GROW_MS);
      if (listen) this.#frame.listen(app_id, detail.as_of);
    } catch (error) {
      if (abort.signal.aborted) return;
      const missing = error instanceof Failure && error.status === 404;
      const text = missing
        ? 'There is no such call (any more). A call that began just now may take a second to arrive; older ones are deleted when their retention is over.'
        : error instanceof Failure
          ? error.message
          : `This page failed: ${String(error)}`;
      this.element.replaceChildren(
        this.#back(),
        h('h1', {}, 'Call'),
        h('p', { class: 'id' }, id),
        h('div', { class: 'notice', role: 'alert' }, text),
      );
      this.#retry = window.setTimeout(() => this.load(), RETRY_MS);
    }
  }

  #back(): HTMLElement {
    return h('p', { class: 'back' }, h('a', { href: this.#frame.link('/'), 'data-link': true }, '← Overview'));
  }

  #show(): void {
    const detail = this.#detail;
    if (detail === null) return;
    const { call, legs, events } = detail;
    this.element.replaceChildren(
      this.#back(),
      h(
        'div',
        { class: 'head' },
        h('h1', {}, call.caller || 'Unknown caller', h('span', { class: 'to' }, ' → '), several(call.callees)),
        outcomeBadge(call),
      ),
      h('p', { class: 'id' }, hidden('Call id '), call.call_id),
      this.#facts(call),
      ...(call.anomalies.length === 0
        ? []
        : [
            h(
              'section',
              { class: 'card odd-card' },
              h(
                'h2',
                {},
                call.anomalies.length === 1
                  ? 'One thing is odd about this call'
                  : `${call.anomalies.length} things are odd about this call`,
              ),
              h('dl', {}, ...call.anomalies.flatMap((name) => [h('dt', {}, name.replaceAll('_', ' ')), h('dd', {}, anomalyText(name))])),
            ),
          ]),
      h('section', { class: 'card' }, h('div', { class: 'card-head' }, h('h2', {}, 'Timeline'), key()), this.#picture),
      h(
        'section',
        { class: 'card' },
        h('h2', {}, 'Participants'),
        legs.length === 0
          ? h('p', { class: 'empty' }, 'No event of this call names a user.')
          : h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Participants' }, this.#legs(legs, call)),
      ),
      h(
        'section',
        { class: 'card' },
        h('h2', {}, 'What arrived ', h('small', {}, `${count(events.length)} distinct inputs, by the time they speak of`)),
        h(
          'div',
          { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'What arrived' },
          inputsTable(events, call, this.#frame.state.tz, this.#openEvents),
        ),
      ),
    );
    this.#draw();
  }

  #draw(): void {
    if (this.#detail === null || this.#picture.clientWidth === 0) return;
    this.#picture.replaceChildren(ladder(this.#detail, this.#picture.clientWidth, Date.now() + this.#skew));
  }

  #facts(call: Call): HTMLElement {
    const { tz } = this.#frame.state;
    const time = (at: number | null): string => (at === null ? '–' : exactTime(at, tz));
    const facts: [string, string | Node][] = [
      ['Started', time(call.started_at)],
      ['Accepted', call.accepted_at === null ? (call.status === 'ended' ? 'never' : 'not yet') : time(call.accepted_at)],
      ['Ended', call.ended_at === null ? (call.status === 'ended' ? 'unknown' : 'not yet') : time(call.ended_at)],
      ['Ring time', duration(call.ring_ms)],
      ['Talk time', call.status === 'ended' ? duration(call.talk_ms) : '–'],
      ['How it ended', call.status === 'ended' ? endReason(call.end_reason) : 'Not over'],
      ['Missed', call.missed ? 'Yes' : call.missed_inclusive ? 'Only when cancelled and busy count' : 'No'],
      ['Type', typeText(call)],
      ['Room', call.room_id || '–'],
      ['App', `${call.app_id} (${call.provider})`],
      ['Known from', call.sources.join(', ')],
      ['Record', `revision ${call.revision}, ${call.final ? 'final' : 'may still change'}`],
    ];
    return h('dl', { class: 'facts card' }, ...facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
  }

  #legs(legs: Leg[], call: Call): HTMLElement {
    const { tz } = this.#frame.state;
    const time = (at: number | null): Node =>
      at === null
        ? h('td', { class: 'n' }, '–')
        : h('td', { class: 'n', title: exactTime(at, tz) }, clockTime(at, tz), h('small', {}, ` ${offset(at - call.started_at)}`));
    // Only some calls are asked about: without any answer the columns would say that nobody had media.
    const media = legs.some((leg) => leg.media_joined_at !== null || leg.media_left_at !== null || leg.media_drops > 0);
    const numbers = ['Rang', 'Joined', 'Left', 'Talk', ...(media ? ['Media from', 'Media until', 'Drops'] : [])];
    const heads = ['User', 'Role', 'Outcome', ...numbers, 'Platform'];
    return h(
      'table',
      { class: 'legs' },
      h('thead', {}, h('tr', {}, ...heads.map((name) => h('th', { scope: 'col', class: numbers.includes(name) ? 'n' : '' }, name)))),
      h(
        'tbody',
        {},
        ...lanesOf({ legs }).map((leg) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row', title: leg.user_id }, h('span', { class: 'user' }, leg.user_id)),
            h('td', {}, leg.role),
            h(
              'td',
              {},
              call.status === 'ended' || leg.outcome !== 'unknown' ? outcomeMark(leg.outcome) : '–',
              leg.missed && h('small', {}, ' missed'),
            ),
            time(leg.rang_at),
            time(leg.joined_at),
            time(leg.left_at),
            h('td', { class: 'n' }, leg.talk_ms > 0 ? duration(leg.talk_ms) : '–'),
            ...(media ? [time(leg.media_joined_at), time(leg.media_left_at), h('td', { class: 'n' }, count(leg.media_drops))] : []),
            h('td', {}, leg.platform || '–'),
          ),
        ),
      ),
    );
  }
}

/** At most three names: a group call's others stand among the participants. */
const several = (users: string[]): string =>
  users.length === 0 ? 'nobody yet' : users.length <= 3 ? users.join(', ') : `${users.slice(0, 2).join(', ')} and ${users.length - 2} more`;

/** What the marks and bars of the ladder mean. */
function key(): HTMLElement {
  const entry = (shape: SVGElement, word: string): HTMLElement =>
    h('span', {}, s('svg', { width: 18, height: 14, viewBox: '0 0 18 14', 'aria-hidden': 'true', class: 'ladder' }, shape), word);
  return h(
    'div',
    { class: 'key' },
    entry(s('rect', { class: 'ring of-answered', x: 0, y: 2, width: 18, height: 10, rx: 3 }), 'ringing'),
    entry(s('rect', { class: 'talk', x: 0, y: 2, width: 18, height: 10, rx: 3 }), 'talking'),
    entry(mark('rang', 9, 7, 'rang'), 'rang'),
    entry(mark('joined', 9, 7, 'joined'), 'joined'),
    entry(mark('left', 9, 7, 'left'), 'left'),
    entry(mark('other', 9, 7, 'other event'), 'other event'),
  );
}
