import { h } from './dom.js';
import { count, dayTime, exactTime } from './format.js';
import type { MissedPair } from './types.js';

/**
 * Misses between one user and others that nobody has returned: who waits for whom.
 * @param side which of the two the others are
 */
export function unreturnedList(
  pairs: readonly MissedPair[],
  side: 'caller' | 'callee',
  tz: string,
  linkOf: (user: string) => string,
): HTMLElement {
  return h(
    'ul',
    { class: 'pairs' },
    ...pairs.map((pair) =>
      h(
        'li',
        {},
        h('a', { href: linkOf(pair[side]), 'data-link': true, class: 'person' }, pair[side]),
        h('b', { class: 'n' }, `${count(pair.missed_count)} ${pair.missed_count === 1 ? 'attempt' : 'attempts'}`),
        h('small', { title: exactTime(pair.last_missed_at, tz) }, `last ${dayTime(pair.last_missed_at, tz)}`),
      ),
    ),
  );
}
