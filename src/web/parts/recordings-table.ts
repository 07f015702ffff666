import { h, hidden } from './dom.js';
import { clockTime, count, dayTime, duration, exactTime } from './format.js';
import { recordingBadge, sizeText, spanText, videoList } from './recordings.js';
import type { CallOfRecording, RecordingRow } from './types.js';
import { nobodyText, outcomeBadge } from './words.js';

type PersonOf = (of: { readonly app_id: string }, user: string) => string;

const HEADS: readonly (readonly [string, string])[] = [
  ['Started', ''],
  ['Status', ''],
  ['Room', 'wide'],
  ['Length', 'n wide'],
  ['Pauses', 'n wide'],
  ['Exceptions', 'n'],
  ['Files', 'n wide'],
  ['Calls', 'n wide'],
];

/** Recordings, each with its files, its calls and what went wrong on demand. */
export class RecordingsTable {
  readonly element: HTMLElement;
  readonly #body = h('tbody');
  readonly #linkOf: (call: CallOfRecording) => string;
  readonly #personOf: PersonOf;
  readonly #rows = new Map<string, RecordingRow>();
  /** Those that the reader has opened. */
  readonly #open = new Set<string>();
  #drawn = '';

  /** @param linkOf the address of a call @param personOf that of a user */
  constructor(linkOf: (call: CallOfRecording) => string, personOf: PersonOf) {
    this.#linkOf = linkOf;
    this.#personOf = personOf;
    this.element = h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Recordings', hidden: true },
      h(
        'table',
        { class: 'list' },
        h('caption', { class: 'sr' }, 'Recordings, newest first'),
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            ...HEADS.map(([name, kind]) => h('th', { scope: 'col', class: kind }, name)),
            h('th', { scope: 'col' }, hidden('Details')),
          ),
        ),
        this.#body,
      ),
    );
  }

  get size(): number {
    return this.#rows.size;
  }

  clear(): void {
    this.#rows.clear();
    this.#draw('UTC');
  }

  /** Adds these to those that are there, or puts them in the place of what was known of them. */
  show(rows: readonly RecordingRow[], tz: string): void {
    for (const row of rows) this.#rows.set(keyOf(row), row);
    this.#draw(tz);
  }

  #draw(tz: string): void {
    const rows = [...this.#rows.values()].sort(newestFirst);
    // Nothing moves under the reader's hands while nothing has changed.
    const state = JSON.stringify([rows, tz]);
    if (state === this.#drawn) return;
    this.#drawn = state;
    const focused = [...this.element.querySelectorAll('a, button')].findIndex((element) => element.matches(':focus'));
    this.element.hidden = rows.length === 0;
    this.#body.replaceChildren(...rows.flatMap((row) => this.#rowsOf(row, tz)));
    this.element.querySelectorAll<HTMLElement>('a, button')[focused]?.focus({ preventScroll: true });
  }

  #rowsOf(row: RecordingRow, tz: string): HTMLElement[] {
    const { recording, calls_total } = row;
    const key = keyOf(row);
    const at = recording.started_at;
    const details = h('tr', { class: 'details' }, h('td', { colspan: HEADS.length + 1 }, this.#details(row, tz)));
    const button = h(
      'button',
      {
        type: 'button',
        class: 'plain',
        'aria-label': `Details of the recording ${recording.task_id}`,
        click: () => show(!this.#open.has(key)),
      },
      'details',
    );
    const show = (shown: boolean): void => {
      if (shown) this.#open.add(key);
      else this.#open.delete(key);
      details.hidden = !shown;
      button.setAttribute('aria-expanded', String(shown));
    };
    show(this.#open.has(key));
    return [
      h(
        'tr',
        { 'data-task': recording.task_id },
        at === null ? h('td', { class: 'dim' }, 'unknown') : h('td', { title: exactTime(at, tz) }, dayTime(at, tz)),
        h('td', {}, recordingBadge(recording.status)),
        h('td', { class: 'wide', title: recording.room_id }, h('span', { class: 'user' }, recording.room_id || '–')),
        h('td', { class: 'n wide' }, recording.total_ms > 0 ? duration(recording.total_ms) : '–'),
        h('td', { class: 'n wide' }, count(recording.pauses)),
        h('td', { class: `n${recording.exceptions > 0 ? ' bad' : ''}` }, count(recording.exceptions)),
        h('td', { class: 'n wide' }, count(recording.videos.length)),
        h('td', { class: 'n wide' }, count(calls_total)),
        h('td', {}, button),
      ),
      details,
    ];
  }

  #details({ recording, calls, calls_total }: RecordingRow, tz: string): HTMLElement {
    const { error_code, error_message, finish_reason, omitted, pauses, total_ms } = recording;
    const left_out = omitted.reduce((sum, { pause_time_ms, resume_time_ms }) => sum + Math.max(0, resume_time_ms - pause_time_ms), 0);
    const size = recording.videos.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    const facts: [string, string][] = [
      ['When', spanText(recording, tz)],
      ['Length', total_ms > 0 ? duration(total_ms) : 'not known yet'],
      ['Long pauses', count(pauses)],
      ['Why it ended', finish_reason.replaceAll('_', ' ') || 'not known'],
      ['Error', [error_code, error_message].filter((part) => part !== '').join(': ') || 'none'],
      [
        'Left out of the videos',
        omitted.length === 0
          ? 'nothing'
          : `${omitted.length === 1 ? 'one stretch' : `${count(omitted.length)} stretches`}, ${duration(left_out)}`,
      ],
      ['Room', recording.room_id || '–'],
      ['Task', recording.task_id],
      ['Recording user', recording.record_user_id || '–'],
      ['Whiteboard group', recording.group_id || '–'],
      ['App', recording.app_id],
    ];
    return h(
      'div',
      { class: 'of-recording' },
      h('dl', { class: 'facts' }, ...facts.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
      h('h2', {}, 'Files', size > 0 && h('small', {}, ` ${sizeText(size)} in all`)),
      videoList(recording.videos, (user) => this.#personOf(recording, user)),
      h('h2', {}, 'Calls in this room while it ran'),
      calls.length === 0
        ? h('p', { class: 'dim' }, recording.started_at === null ? 'Not known: its start is missing.' : 'None.')
        : h('ul', { class: 'pairs' }, ...calls.map((call) => this.#call(call, tz))),
      ...(calls_total > calls.length
        ? [h('p', { class: 'dim' }, `The first ${count(calls.length)} of ${count(calls_total)} are shown.`)]
        : []),
    );
  }

  #call(call: CallOfRecording, tz: string): HTMLElement {
    const users = `${call.caller || 'unknown caller'} → ${call.callees.join(', ') || nobodyText(call)}`;
    const until = call.ended_at === null ? 'now' : clockTime(call.ended_at, tz);
    return h(
      'li',
      {},
      h('a', { href: this.#linkOf(call), 'data-link': true }, users),
      outcomeBadge(call),
      h('small', { title: exactTime(call.started_at, tz) }, `${dayTime(call.started_at, tz)} – ${until}`),
    );
  }
}

const keyOf = ({ recording }: RecordingRow): string => JSON.stringify([recording.app_id, recording.task_id]);

/** The order of the API: newest start first, unknown ones last. */
function newestFirst({ recording: a }: RecordingRow, { recording: b }: RecordingRow): number {
  const later = (b.started_at ?? 0) - (a.started_at ?? 0);
  if (later !== 0) return later;
  for (const name of ['app_id', 'task_id'] as const) if (a[name] !== b[name]) return a[name] < b[name] ? 1 : -1;
  return 0;
}
