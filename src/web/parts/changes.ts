import { h, hidden } from './dom.js';
import { count, duration, percent } from './format.js';
import type { Measure } from './types.js';

/** Which way is the better one; most numbers have none. */
export type Better = 'up' | 'down' | undefined;

export function valueText({ value, unit }: Pick<Measure, 'value' | 'unit'>): string {
  if (value === null) return '–';
  return unit === 'count' ? count(value) : unit === 'ratio' ? percent(value) : duration(value);
}

/** By how much a number has changed, unsigned: counts in percent of what they were, rates in points, durations as they are. */
function amount(now: number, before: number, unit: Measure['unit']): string {
  const difference = Math.abs(now - before);
  if (unit === 'ratio') return `${(difference * 100).toFixed(1)} points`;
  if (unit === 'ms') return duration(difference);
  return before === 0 ? count(difference) : percent(difference / before);
}

/** How a number stands against the same one of the period before; null where one of the two is unknown. */
export function changeMark(now: Measure, before: Measure, better: Better): HTMLElement | null {
  if (now.value === null || before.value === null) return null;
  const was = `${valueText(before)} in the period before`;
  if (now.value === before.value) return h('p', { class: 'change', title: was }, 'unchanged', hidden(`, ${was}`));
  const direction = now.value > before.value ? 'up' : 'down';
  const judged = better === undefined ? '' : better === direction ? 'good' : 'bad';
  return h(
    'p',
    { class: `change ${judged}`, title: was },
    h('span', { 'aria-hidden': 'true' }, direction === 'up' ? '▲ ' : '▼ '),
    hidden(`${direction} by `),
    amount(now.value, before.value, now.unit),
    hidden(`, ${was}`),
  );
}
