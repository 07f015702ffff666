import { h } from './dom.js';
import { clockTime, dayTime, duration, exactTime, sameDay } from './format.js';
import type { Call } from './types.js';
import { anomalyName, nobodyText, OUTCOME_WORDS, outcomeBadge, typeText } from './words.js';

/*
 * A call as a row of a table, wherever calls are listed.
 */

type Named = Pick<Call, 'provider' | 'app_id' | 'call_id'>;

export const callKey = (call: Named): string => `${call.provider}:${call.app_id}:${call.call_id}`;

/** The order of the API: newest start first, then by name, descending. */
export function newestFirst(a: Call, b: Call): number {
  if (a.started_at !== b.started_at) return b.started_at - a.started_at;
  for (const name of ['provider', 'app_id', 'call_id'] as const) if (a[name] !== b[name]) return a[name] < b[name] ? 1 : -1;
  return 0;
}

/** Name and class of each column. */
export const CALL_HEADS: readonly (readonly [string, string])[] = [
  ['Started', ''],
  ['Caller', 'who'],
  ['Callees', 'who'],
  ['Type', 'wide'],
  ['Outcome', ''],
  ['Ring', 'n wide'],
  ['Talk', 'n'],
  ['Call', 'wide'],
];

export const headRow = (heads: readonly (readonly [string, string])[]): HTMLTableRowElement =>
  h('tr', {}, ...heads.map(([name, kind]) => h('th', { scope: 'col', class: kind }, name)));

/** What the cells of a call need to know. */
export interface CallCellOptions {
  zone: string;
  /** Epoch ms: times of this day are shown without it. */
  today: number;
  linkOf: (call: Call) => string;
  /** Where users' names lead; absent: nowhere. */
  personOf?: ((call: Call, user: string) => string) | undefined;
}

/** When a call began, as the link to it: the only cell that every table of calls has in common. */
export function startCell(call: Call, { zone, today, linkOf }: CallCellOptions): HTMLElement {
  const at = call.started_at;
  const time = sameDay(at, today, zone) ? clockTime(at, zone) : dayTime(at, zone);
  const words = `${call.status === 'ended' ? OUTCOME_WORDS[call.outcome] : call.status}, ${call.caller || 'unknown caller'} to ${call.callees.join(', ') || nobodyText(call)}`;
  return h(
    'td',
    {},
    h('a', { href: linkOf(call), 'data-link': true, 'aria-label': `${time}: ${words}`, title: exactTime(at, zone) }, time),
  );
}

/** A user's name, leading to that user's page where there is one. */
export const personName = (user: string, link: string | undefined): HTMLElement =>
  link === undefined ? h('span', {}, user) : h('a', { href: link, 'data-link': true, class: 'person' }, user);

export function callCells(call: Call, options: CallCellOptions): HTMLElement[] {
  const { personOf } = options;
  const [first, ...others] = call.callees;
  const name = (user: string): HTMLElement => personName(user, personOf?.(call, user));
  return [
    startCell(call, options),
    h('td', { class: 'who', title: call.caller }, call.caller === '' ? h('em', {}, 'unknown') : name(call.caller)),
    h(
      'td',
      { class: 'who', title: call.callees.join(', ') },
      first === undefined ? h('em', {}, nobodyText(call)) : name(first),
      others.length > 0 && h('small', {}, ` +${others.length}`),
    ),
    h('td', { class: 'wide dim' }, typeText(call)),
    h('td', {}, outcomeBadge(call), call.anomalies.length > 0 && oddMark(call.anomalies)),
    h('td', { class: 'n wide' }, call.ring_ms > 0 ? duration(call.ring_ms) : '–'),
    h('td', { class: 'n' }, call.talk_ms > 0 ? duration(call.talk_ms) : '–'),
    h('td', { class: 'wide id', title: call.call_id }, h('span', {}, call.call_id)),
  ];
}

/** That something is odd about a call; the call's page says what. */
const oddMark = (anomalies: readonly string[]): HTMLElement =>
  h(
    'span',
    {
      class: 'odd',
      role: 'img',
      title: anomalies.map(anomalyName).join(', '),
      'aria-label': `odd: ${anomalies.map(anomalyName).join(', ')}`,
    },
    '!',
  );

/** A row that leads where its first link does, wherever it is clicked. */
export const linkedRow = (cells: readonly HTMLElement[], attributes: Record<string, string>): HTMLTableRowElement =>
  h(
    'tr',
    {
      ...attributes,
      click: (event: MouseEvent) =>
        (event.target as Element).closest('a') ?? (event.currentTarget as HTMLElement).querySelector('a')?.click(),
    },
    ...cells,
  );
