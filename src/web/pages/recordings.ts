import { get } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import { oneOf, periodParams, type State, samePeriod } from '../frame/state.js';
import { h } from '../parts/dom.js';
import { callLink, personLink } from '../parts/links.js';
import { Loader } from '../parts/loader.js';
import { PeriodPicker } from '../parts/period.js';
import { RECORDING_WORDS } from '../parts/recordings.js';
import { RecordingsTable } from '../parts/recordings-table.js';
import { Refresher } from '../parts/refresher.js';
import type { Call, RecordingRow, RecordingStatus } from '../parts/types.js';

const WINDOW = '7d';
const PAGE = '50';
const STATUSES = Object.keys(RECORDING_WORDS) as RecordingStatus[];

interface RecordingsAnswer {
  as_of: number;
  recordings: RecordingRow[];
  next_cursor: string | null;
}

/** Whiteboard recordings: what became of each, its files, and the calls that it overlaps. */
export class RecordingsPage implements Page {
  readonly title = 'Recordings';
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #picker: PeriodPicker;
  readonly #table: RecordingsTable;
  readonly #loader = new Loader(() => this.load());
  readonly #refresher = new Refresher(() => this.#loadNewest());
  readonly #status: HTMLSelectElement;
  readonly #exceptions: HTMLSelectElement;
  readonly #room: HTMLInputElement;
  readonly #one = h('p', { class: 'one', hidden: true });
  readonly #empty = h('p', { class: 'empty', hidden: true });
  readonly #more = h(
    'button',
    { type: 'button', class: 'more', hidden: true, click: () => void this.#loadMore() },
    'Show older recordings',
  );
  #cursor: string | null = null;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#picker = new PeriodPicker(frame, WINDOW);
    this.#table = new RecordingsTable(callLink(frame), personLink(frame));
    this.#status = h(
      'select',
      { 'aria-label': 'Status', change: () => frame.updateOwn({ status: this.#status.value }) },
      h('option', { value: '' }, 'Any status'),
      ...STATUSES.map((value) => h('option', { value }, RECORDING_WORDS[value])),
    );
    this.#exceptions = h(
      'select',
      { 'aria-label': 'Problems', change: () => frame.updateOwn({ exceptions: this.#exceptions.value }) },
      h('option', { value: '' }, 'With or without problems'),
      h('option', { value: 'true' }, 'With exceptions or an error'),
      h('option', { value: 'false' }, 'Without'),
    );
    this.#room = h('input', { type: 'search', 'aria-label': 'Room', placeholder: 'Room' });
    this.#room.addEventListener('input', () => this.#room.value === '' && frame.updateOwn({ room: '' }));
    this.element = h(
      'div',
      { class: 'page recordings' },
      h('div', { class: 'head' }, h('h1', {}, 'Recordings'), this.#picker.element),
      this.#loader.notice,
      h(
        'section',
        { class: 'card' },
        h(
          'form',
          {
            class: 'fields',
            role: 'search',
            submit: (event: Event) => {
              event.preventDefault();
              frame.updateOwn({ room: this.#room.value.trim() });
            },
          },
          this.#status,
          this.#exceptions,
          this.#room,
          h('button', { type: 'submit', class: 'primary' }, 'Find'),
        ),
        this.#one,
        this.#table.element,
        this.#empty,
        this.#more,
      ),
    );
    this.#sync();
  }

  load(): void {
    this.#refresher.resume();
    void this.#refresher.now();
  }

  pause(): void {
    this.#refresher.pause();
    this.#loader.pause();
  }

  stateChanged(before: State): void {
    const { state } = this.#frame;
    this.#picker.sync();
    this.#sync();
    const other = before.app !== state.app || !samePeriod(before.period, state.period);
    if (other || before.tz !== state.tz || JSON.stringify(before.own) !== JSON.stringify(state.own)) {
      this.#table.clear();
      void this.#refresher.now();
    }
  }

  /** Recordings have no live tail of their own; a call that changes is a sign that something goes on. */
  calls(_calls: Call[]): void {
    this.#refresher.soon();
  }

  destroy(): void {
    this.#refresher.stop();
    this.#loader.stop();
  }

  #sync(): void {
    const { status, exceptions, room, task } = this.#filters();
    this.#status.value = status!;
    this.#exceptions.value = exceptions!;
    if (!this.#room.matches(':focus')) this.#room.value = room!;
    this.#one.hidden = task === '';
    this.#one.replaceChildren(
      `Only the recording ${task}. `,
      h('button', { type: 'button', class: 'plain', click: () => this.#frame.updateOwn({ task: '' }) }, 'Show all'),
    );
  }

  #filters(): Record<'status' | 'exceptions' | 'room' | 'task', string> {
    const { own } = this.#frame.state;
    return {
      status: oneOf(STATUSES, own.status) ?? '',
      exceptions: oneOf(['true', 'false'], own.exceptions) ?? '',
      room: own.room ?? '',
      task: own.task ?? '',
    };
  }

  #params(): Record<string, string> {
    const { app, period } = this.#frame.state;
    const filters = this.#filters();
    // One recording is found whenever it was.
    return { app, ...filters, ...(filters.task !== '' && period === null ? {} : periodParams(period, WINDOW)), limit: PAGE };
  }

  /** The newest ones; older pages that are there stay. */
  async #loadNewest(): Promise<void> {
    await this.#loader.run('list', async (signal) => {
      const page = await get<RecordingsAnswer>('/api/v1/recordings', this.#params(), signal);
      const first = this.#table.size <= page.recordings.length;
      this.#table.show(page.recordings, this.#frame.state.tz);
      if (first) this.#setCursor(page.next_cursor);
      this.#frame.listen(this.#frame.state.app, page.as_of);
    });
  }

  async #loadMore(): Promise<void> {
    const cursor = this.#cursor;
    if (cursor === null) return;
    await this.#loader.run('page', async (signal) => {
      const page = await get<RecordingsAnswer>('/api/v1/recordings', { ...this.#params(), cursor }, signal);
      this.#table.show(page.recordings, this.#frame.state.tz);
      this.#setCursor(page.next_cursor);
    });
  }

  #setCursor(cursor: string | null): void {
    this.#cursor = cursor;
    this.#more.hidden = cursor === null;
    this.#empty.hidden = this.#table.size > 0;
    const { status, exceptions, room, task } = this.#filters();
    this.#empty.textContent =
      status !== '' || exceptions !== '' || room !== '' || task !== ''
        ? 'No recording of this period matches these filters. Ids are compared exactly, upper and lower case too.'
        : 'No recording began in this period. Choose a longer one, or point the callbacks of your whiteboard recordings at /callbacks/tiw.';
  }
}
