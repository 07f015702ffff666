import { h } from './dom.js';
import { clockTime, dayTime, duration, exactTime, sameDay } from './format.js';
import { gradual, type Shown } from './gradual.js';
import { scroller } from './scroller.js';
import type { Call } from './types.js';

const STEP = 50;
/** These differ with every revision. */
const OF_THE_REVISION = ['revision', 'updated_at'];

/** A field that a revision says otherwise than the one before. */
interface Change {
  name: string;
  before: unknown;
  after: unknown;
}

const changesOf = (before: Call, after: Call): Change[] =>
  Object.entries(after).flatMap(([name, value]) => {
    const was = before[name as keyof Call];
    return OF_THE_REVISION.includes(name) || JSON.stringify(was) === JSON.stringify(value) ? [] : [{ name, before: was, after: value }];
  });

/** What the record said over time, and what each revision changed; the newest first. */
export function revisionsTable(revisions: readonly Call[], tz: string, shown: Shown): HTMLElement[] {
  if (revisions.length === 0) return [h('p', { class: 'empty' }, 'No earlier state of this record is kept.')];
  const body = h('tbody');
  const row = (call: Call, index: number): HTMLElement => {
    const before = newest[index + 1];
    const changes = before === undefined ? null : changesOf(before, call);
    return h(
      'tr',
      {},
      h('th', { scope: 'row', class: 'n' }, call.revision, call.final && h('small', {}, ' final')),
      h('td', { title: exactTime(call.updated_at, tz) }, dayTime(call.updated_at, tz)),
      h(
        'td',
        { class: 'changes' },
        changes === null
          ? call.revision === 1
            ? 'The first record of this call'
            : 'The oldest record that is kept'
          : changes.length === 0
            ? 'Only its legs, of which the latest state alone is kept; the inputs tell what happened'
            : h('ul', {}, ...changes.map((change) => changeItem(change, call, tz))),
      ),
    );
  };
  const newest = [...revisions].reverse();
  const more = gradual(body, newest, (call, index) => [row(call, index)], shown, STEP);
  const table = h(
    'table',
    { class: 'revisions' },
    h('caption', { class: 'sr' }, 'Revisions, newest first'),
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col', class: 'n' }, 'Revision'),
        ...['Made', 'What changed'].map((name) => h('th', { scope: 'col' }, name)),
      ),
    ),
    body,
  );
  return [scroller('Revisions', table), ...(more === null ? [] : [more])];
}

const changeItem = ({ name, before, after }: Change, call: Call, tz: string): HTMLElement =>
  h(
    'li',
    {},
    h('span', { class: 'dim' }, `${name.replaceAll('_', ' ').replace(/ (at|ms)$/, '')} `),
    h('s', {}, valueText(name, before, call, tz)),
    ' → ',
    h('b', {}, valueText(name, after, call, tz)),
  );

function valueText(name: string, value: unknown, call: Call, tz: string): string {
  if (value === null || value === '') return 'none';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ');
  if (typeof value !== 'number') return String(value).replaceAll('_', ' ');
  if (name.endsWith('_ms')) return duration(value);
  if (!name.endsWith('_at')) return String(value);
  return sameDay(value, call.started_at, tz) ? clockTime(value, tz) : dayTime(value, tz);
}
