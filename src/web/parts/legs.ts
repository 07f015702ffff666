import { personName } from './call-row.js';
import { h } from './dom.js';
import { clockTime, count, duration, exactTime, offset } from './format.js';
import { gradual, type Shown } from './gradual.js';
import { lanesOf } from './ladder.js';
import { scroller } from './scroller.js';
import type { Call, Leg } from './types.js';
import { outcomeMark } from './words.js';

const STEP = 100;

/** The users of a call. @param personOf the address of a user's page */
export function legsTable(legs: readonly Leg[], call: Call, tz: string, personOf: (user: string) => string, shown: Shown): HTMLElement[] {
  if (legs.length === 0) return [h('p', { class: 'empty' }, 'No event of this call names a user.')];
  const time = (at: number | null): Node =>
    at === null
      ? h('td', { class: 'n' }, '–')
      : h('td', { class: 'n', title: exactTime(at, tz) }, clockTime(at, tz), h('small', {}, ` ${offset(at - call.started_at)}`));
  // Only some calls are asked about: without any answer the columns would say that nobody had media.
  const media = legs.some((leg) => leg.media_joined_at !== null || leg.media_left_at !== null || leg.media_drops > 0);
  const numbers = ['Rang', 'Joined', 'Left', 'Talk', ...(media ? ['Media from', 'Media until', 'Drops'] : [])];
  const heads = ['User', 'Role', 'Outcome', ...numbers, 'Platform'];
  const body = h('tbody');
  const row = (leg: Leg): HTMLElement =>
    h(
      'tr',
      {},
      h('th', { scope: 'row', title: leg.user_id }, h('span', { class: 'user' }, personName(leg.user_id, personOf(leg.user_id)))),
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
    );
  const more = gradual(body, lanesOf(legs), (leg) => [row(leg)], shown, STEP);
  const table = h(
    'table',
    { class: 'legs' },
    h('caption', { class: 'sr' }, 'Participants'),
    h('thead', {}, h('tr', {}, ...heads.map((name) => h('th', { scope: 'col', class: numbers.includes(name) ? 'n' : '' }, name)))),
    body,
  );
  return [scroller('Participants', table), ...(more === null ? [] : [more])];
}
