import { Failure, get } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import type { State } from '../frame/state.js';
import { deadLettersTable } from '../parts/dead-letters.js';
import { h, hidden } from '../parts/dom.js';
import { count, duration, exactTime } from '../parts/format.js';
import { inputsTable } from '../parts/inputs.js';
import { ladder, ladderKey } from '../parts/ladder.js';
import { legsTable } from '../parts/legs.js';
import { personLink } from '../parts/links.js';
import { recordingsOfCall, spanText } from '../parts/recordings.js';
import { revisionsTable } from '../parts/revisions.js';
import type { Call, CallDetail } from '../parts/types.js';
import { anomalyName, endReason, nobodyText, outcomeBadge, typeText } from '../parts/words.js';

/** An open call's picture grows by itself. */
const GROW_MS = 1000;
const RETRY_MS = 4000;
const DAY = 86_400_000;

/** One call: its facts, its ladder, its legs and inputs, and what is odd about it. */
export class CallPage implements Page {
  readonly element = h('div', { class: 'page call' });
  readonly #frame: Frame;
  readonly #name: { provider: string; app_id: string; id: string };
  readonly #picture = h('div', { class: 'picture' });
  readonly #resize: ResizeObserver;
  /** What the reader has opened: it stays open when the call changes. */
  readonly #open = { events: new Set<string>(), letters: new Set<string>() };
  readonly #shown = { legs: { n: 100 }, events: { n: 200 }, revisions: { n: 20 } };
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

  calls(calls: Call[], truncated: boolean): void {
    const newer = calls.some(
      (call) =>
        call.provider === this.#name.provider &&
        call.app_id === this.#name.app_id &&
        call.call_id === this.#name.id &&
        call.revision > (this.#detail?.call.revision ?? 0),
    );
    if (newer || truncated) void this.#load(false);
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
    return h('p', { class: 'back' }, h('a', { href: this.#frame.link('/calls'), 'data-link': true }, '← All calls'));
  }

  #show(): void {
    const detail = this.#detail;
    if (detail === null) return;
    const { call } = detail;
    const focused = this.#focusables().findIndex((element) => element.matches(':focus'));
    this.element.replaceChildren(
      this.#back(),
      h(
        'div',
        { class: 'head' },
        h('h1', {}, call.caller || 'Unknown caller', h('span', { class: 'to' }, ' → '), several(call)),
        outcomeBadge(call),
      ),
      h('p', { class: 'id' }, hidden('Call id '), call.call_id),
      this.#facts(detail),
      ...this.#sections(detail),
    );
    this.#draw();
    // A call that changes is drawn anew; who stands on a button goes on standing there.
    if (focused >= 0) this.#focusables()[focused]?.focus({ preventScroll: true });
  }

  #focusables(): HTMLElement[] {
    return [...this.element.querySelectorAll<HTMLElement>('a[href], button, [tabindex]')];
  }

  #sections({ call, legs, events, revisions, recordings, anomalies, dead_letters }: CallDetail): HTMLElement[] {
    const { tz } = this.#frame.state;
    const { link } = this.#frame;
    const personOf = (user: string): string => personLink(this.#frame)(call, user);
    const card = (title: (string | Node)[], ...content: HTMLElement[]): HTMLElement =>
      h('section', { class: 'card' }, h('h2', {}, ...title), ...content);
    const odd = anomalies.length === 1 ? 'One thing is odd about this call' : `${anomalies.length} things are odd about this call`;
    return [
      ...(anomalies.length === 0 ? [] : [oddCard(odd, anomalies)]),
      h(
        'section',
        { class: 'card' },
        h('div', { class: 'card-head' }, h('h2', {}, 'Timeline'), ladderKey({ legs, recordings })),
        this.#picture,
      ),
      card(['Participants'], ...legsTable(legs, call, tz, personOf, this.#shown.legs)),
      ...(recordings.length === 0
        ? []
        : [
            card(
              ['Recordings'],
              recordingsOfCall(recordings, tz, (task) => link('/recordings', { task }, { app: call.app_id, period: null }), personOf),
            ),
          ]),
      card(
        ['What arrived ', h('small', {}, `${inputCount(events.length)}, by the time they speak of`)],
        ...inputsTable(events, call, tz, this.#open.events, this.#shown.events),
      ),
      ...(dead_letters.length === 0
        ? []
        : [
            card(
              [
                'What could not be processed ',
                h(
                  'small',
                  {},
                  `${dead_letters.length === 1 ? '1 input' : `${count(dead_letters.length)} inputs`} under the name of this call`,
                ),
              ],
              deadLettersTable(dead_letters, tz, this.#open.letters),
            ),
          ]),
      card(['Revisions ', h('small', {}, 'how the record came to say this')], ...revisionsTable(revisions, tz, this.#shown.revisions)),
    ];
  }

  #draw(): void {
    if (this.#detail === null || this.#picture.clientWidth === 0) return;
    this.#picture.replaceChildren(ladder(this.#detail, this.#picture.clientWidth, Date.now() + this.#skew));
  }

  #facts({ call, recordings }: CallDetail): HTMLElement {
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
      ['Room', this.#room(call)],
      ['App', `${call.app_id} (${call.provider})`],
      ['Known from', call.sources.join(', ')],
      ['Record', `revision ${call.revision}, ${call.final ? 'final' : 'may still change'}`],
    ];
    const [first, ...others] = recordings;
    if (first !== undefined)
      facts.push(['Recorded', others.length === 0 ? spanText(first, tz) : `${spanText(first, tz)} and ${others.length} more`]);
    return h('dl', { class: 'facts card' }, ...facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
  }

  #room({ room_id, started_at }: Call): string | Node {
    if (room_id === '') return '–';
    const period = { from: started_at - DAY, to: started_at + DAY };
    return h(
      'a',
      {
        href: this.#frame.link('/calls', { room: room_id }, { period }),
        'data-link': true,
        title: 'Calls in this room, a day before and after',
      },
      room_id,
    );
  }
}

const oddCard = (title: string, anomalies: CallDetail['anomalies']): HTMLElement =>
  h(
    'section',
    { class: 'card odd-card' },
    h('h2', {}, title),
    h('dl', {}, ...anomalies.flatMap(({ name, explanation }) => [h('dt', {}, anomalyName(name)), h('dd', {}, explanation)])),
  );

/** As many as the API gives at most. */
const MOST_INPUTS = 5000;

const inputCount = (n: number): string =>
  n >= MOST_INPUTS ? `the first ${count(n)} distinct inputs` : n === 1 ? 'one input' : `${count(n)} distinct inputs`;

/** At most three names: a group call's others stand among the participants. */
function several(call: Call): string {
  const users = call.callees;
  if (users.length === 0) return nobodyText(call);
  return users.length <= 3 ? users.join(', ') : `${users.slice(0, 2).join(', ')} and ${users.length - 2} more`;
}
