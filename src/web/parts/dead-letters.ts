import { h, hidden } from './dom.js';
import { count, dayTime, exactTime } from './format.js';
import { scroller } from './scroller.js';
import type { DeadLetter } from './types.js';

const HEADS = ['Arrived', 'Stage', 'Reason', 'Source', 'What was wrong', ''] as const;
/** Said, because on a narrow screen the table is laid out as a list. */
const ROW = { role: 'row' } as const;

/** Inputs that could not be processed, each with its bytes on demand. @param open origins of those whose bytes are shown; kept up to date */
export const deadLettersTable = (letters: readonly DeadLetter[], tz: string, open: Set<string>): HTMLElement =>
  scroller(
    'Inputs that could not be processed',
    h(
      'table',
      { class: 'letters stacks', role: 'table' },
      h('caption', { class: 'sr' }, 'Inputs that could not be processed, newest first'),
      h(
        'thead',
        { role: 'rowgroup' },
        h('tr', ROW, ...HEADS.map((name) => h('th', { scope: 'col', role: 'columnheader' }, name || hidden('Content')))),
      ),
      h('tbody', { role: 'rowgroup' }, ...letters.flatMap((letter) => rowsOf(letter, tz, open))),
    ),
  );

function rowsOf(letter: DeadLetter, tz: string, open: Set<string>): HTMLElement[] {
  const shown =
    letter.body.length < letter.body_bytes ? `The beginning of ${count(letter.body_bytes)} bytes` : `${count(letter.body_bytes)} bytes`;
  const body = h(
    'tr',
    { class: 'body', ...ROW },
    h(
      'td',
      { role: 'cell', colspan: HEADS.length },
      h('p', { class: 'dim' }, `${shown}, from ${letter.origin}`),
      h('pre', {}, letter.body),
    ),
  );
  const button = h(
    'button',
    {
      type: 'button',
      class: 'plain',
      'aria-label': `Content of the input that arrived ${exactTime(letter.received_at, tz)}`,
      click: () => show(!open.has(letter.origin)),
    },
    'content',
  );
  const show = (wanted: boolean): void => {
    if (wanted) open.add(letter.origin);
    else open.delete(letter.origin);
    body.hidden = !wanted;
    button.setAttribute('aria-expanded', String(wanted));
  };
  show(open.has(letter.origin));
  return [
    h(
      'tr',
      ROW,
      cell(0, { title: exactTime(letter.received_at, tz) }, dayTime(letter.received_at, tz)),
      cell(1, {}, letter.stage),
      cell(2, {}, letter.reason.replaceAll('_', ' ')),
      cell(3, { class: 'dim' }, letter.source),
      cell(4, { class: 'error' }, letter.error),
      cell(5, {}, button),
    ),
    body,
  ];
}

const cell = (column: number, props: Record<string, string>, content: Node | string): HTMLElement =>
  h('td', { role: 'cell', 'data-head': HEADS[column], ...props }, h('div', {}, content));
