import { h, hidden } from './dom.js';
import { clockTime, duration, exactTime, offset } from './format.js';
import { gradual, type Shown } from './gradual.js';
import { scroller } from './scroller.js';
import type { Call, CallEvent } from './types.js';
import { eventText } from './words.js';

const STEP = 500;

/**
 * The distinct inputs of a call, each with its fields on demand.
 * @param open ids of the inputs whose fields are shown; kept up to date
 */
export function inputsTable(events: readonly CallEvent[], call: Call, tz: string, open: Set<string>, shown: Shown): HTMLElement[] {
  const heads = ['Time', 'User', 'Event', 'Source', 'Arrived after', ''];
  const body = h('tbody');
  const more = gradual(body, events, (event) => inputRows(event, call, tz, open), shown, STEP);
  const table = h(
    'table',
    { class: 'events' },
    h('caption', { class: 'sr' }, 'Distinct inputs of the call'),
    h('thead', {}, h('tr', {}, ...heads.map((name, i) => h('th', { scope: 'col', class: i === 4 ? 'n' : '' }, name || hidden('Fields'))))),
    body,
  );
  return [scroller('What arrived', table), ...(more === null ? [] : [more])];
}

function inputRows(event: CallEvent, call: Call, tz: string, open: Set<string>): HTMLElement[] {
  // Written out only when it is looked at: the media events of a long call are thousands.
  const fields = h('pre');
  const body = h('tr', { class: 'body' }, h('td', { colspan: 6 }, fields));
  const button = h(
    'button',
    { type: 'button', class: 'plain', 'aria-label': `Fields of ${event.event}`, click: () => show(!open.has(event.event_id)) },
    'fields',
  );
  const show = (shown: boolean): void => {
    if (shown) open.add(event.event_id);
    else open.delete(event.event_id);
    if (shown && fields.textContent === '') fields.textContent = pretty(event.detail);
    body.hidden = !shown;
    button.setAttribute('aria-expanded', String(shown));
  };
  show(open.has(event.event_id));
  const polled = isPolled(event);
  return [
    h(
      'tr',
      {},
      h(
        'td',
        { title: polled ? `Polled ${exactTime(event.received_at, tz)}` : exactTime(event.event_at, tz) },
        clockTime(event.event_at, tz),
        h('small', {}, polled ? ' polled' : ` ${offset(event.event_at - call.started_at)}`),
      ),
      h('td', { title: event.user_id }, h('span', { class: 'user' }, event.user_id || '–')),
      h('td', {}, eventText(event.event), h('small', {}, ` ${event.event}`)),
      h('td', { class: 'dim' }, event.source),
      h(
        'td',
        { class: 'n', title: `Received ${exactTime(event.received_at, tz)}` },
        polled ? '–' : duration(event.received_at - event.event_at),
      ),
      h('td', {}, button),
    ),
    body,
  ];
}

/** What is polled speaks of no moment of its own, and stands at its arrival. A status callback is a record too, but was pushed. */
const isPolled = ({ event, source }: CallEvent): boolean => event === 'media' || source === 'call-record';

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
