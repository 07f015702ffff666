import { linkedRow, personName, startCell } from './call-row.js';
import { h } from './dom.js';
import { duration } from './format.js';
import type { Call, UserCall } from './types.js';
import { outcomeBadge, outcomeMark, typeText } from './words.js';

/** Name and class of each column of a user's history. */
export const USER_CALL_HEADS: readonly (readonly [string, string])[] = [
  ['Started', ''],
  ['Direction', ''],
  ['With', 'who'],
  ['Type', 'wide'],
  ['For this user', ''],
  ['The call', 'wide'],
  ['Talk', 'n'],
];

export interface UserCallOptions {
  user: string;
  zone: string;
  /** Epoch ms: times of this day are shown without it. */
  today: number;
  linkOf: (call: Call) => string;
  personOf: (call: Call, user: string) => string;
}

/** A call as one of its users had it. */
export function userCallRow({ call, leg }: UserCall, options: UserCallOptions): HTMLTableRowElement {
  const others = [call.caller, ...call.callees].filter((user) => user !== '' && user !== options.user);
  const [first, ...more] = others;
  const over = call.status === 'ended';
  return linkedRow(
    [
      startCell(call, options),
      h('td', {}, leg.role === 'caller' ? 'made' : 'received'),
      h(
        'td',
        { class: 'who', title: others.join(', ') },
        first === undefined ? h('em', {}, 'nobody') : personName(first, options.personOf(call, first)),
        more.length > 0 && h('small', {}, ` +${more.length}`),
      ),
      h('td', { class: 'wide dim' }, typeText(call)),
      h('td', {}, over ? outcomeMark(leg.outcome) : outcomeBadge(call), leg.missed && h('small', { class: 'wide' }, ' missed')),
      h('td', { class: 'wide' }, outcomeBadge(call)),
      h('td', { class: 'n' }, leg.talk_ms > 0 ? duration(leg.talk_ms) : '–'),
    ],
    { 'data-call': call.call_id },
  );
}
