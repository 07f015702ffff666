import { h, hidden } from './dom.js';
import { count, dayTime, exactTime } from './format.js';
import { scroller } from './scroller.js';
import type { DeadLetter } from './types.js';

const HEADS = ['Arrived', 'Stage', 'Reason', 'Source', 'What was wrong', ''] as const;

/** Inputs that could not be processed, each with its bytes on demand. @param open origins of those whose bytes are shown; kept up to date */
export const deadLettersTable = (letters: readonly DeadLetter[], tz: string, open: Set<string>): HTMLElement =>
  scroller(
    'Inputs that could not be processed',
    h(
      'table',
      { class: 'letters' },
      h('caption', { class: 'sr' }, 'Inputs that could not be processed, newest first'),
      h('thead', {}, h('tr', {}, ...HEADS.map((name) => h('th', { scope: 'col' }, name || hidden('Content'))))),
      h('tbody', {}, ...letters.flatMap((letter) => rowsOf(letter, tz, open))),
    ),
  );

function rowsOf(letter: DeadLetter, tz: string, open: Set<string>): HTMLElement[] {
  const shown =
    letter.body.length < letter.body_bytes ? `The beginning of ${count(letter.body_bytes)} bytes` : `${count(letter.body_bytes)} bytes`;
  const body = h(
    'tr',
    { class: 'body' },
    h('td', { colspan: HEADS.length }, h('p', { class: 'dim' }, `${shown}, from ${letter.origin}`), h('pre', {}, letter.body)),
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
      {},
      h('td', { title: exactTime(letter.received_at, tz) }, dayTime(letter.received_at, tz)),
      h('td', {}, letter.stage),
      h('td', {}, letter.reason.replaceAll('_', ' ')),
      h('td', { class: 'dim' }, letter.source),
      h('td', { class: 'error' }, letter.error),
      h('td', {}, button),
    ),
    body,
  ];
}
