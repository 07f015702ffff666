import { h } from './dom.js';
import { count, dayTime, duration, exactTime } from './format.js';
import { info } from './info.js';
import { PlainTable } from './plain-table.js';
import { scroller } from './scroller.js';
import type { ContactsAnswer, Definition } from './types.js';

/** Who was in calls with a user. */
export class ContactsCard {
  readonly #title = h('div', { class: 'with-info' }, h('h2', {}, 'Spoke with'));
  readonly #table = new PlainTable('Users who were in calls with this one, whom they spoke with most often first', [
    ['User'],
    ['Spoke', 'n'],
    ['In calls together', 'n'],
    ['Calls with', 'n'],
    ['Last call', 'n'],
  ]);
  readonly #none = h('p', { class: 'empty', hidden: true }, 'Nobody was in a call with this user in this period.');
  readonly #more = h('p', { class: 'dim', hidden: true });
  readonly element = h(
    'section',
    { class: 'card contacts' },
    h('div', { class: 'card-head' }, this.#title),
    scroller('Spoke with', this.#table.element),
    this.#none,
    this.#more,
  );

  /** @param linkOf the address of a user's page */
  show({ contacts, total }: ContactsAnswer, tz: string, linkOf: (user: string) => string, words: Record<string, Definition>): void {
    if (this.#title.childElementCount === 1)
      this.#title.append(
        info(
          'Spoke with',
          (['contact_spoken', 'contact_talk_ms', 'contact_calls'] as const)
            .map((name) => `${words[name]!.label}: ${words[name]!.definition}`)
            .join(' '),
        ),
      );
    this.#none.hidden = contacts.length > 0;
    this.#table.element.hidden = contacts.length === 0;
    this.#more.hidden = total <= contacts.length;
    this.#more.textContent = `The first ${count(contacts.length)} of ${count(total)} are shown.`;
    this.#table.show(
      contacts.map(({ user_id, calls, spoken, talk_ms, last_call_at }) => [
        h('a', { href: linkOf(user_id), 'data-link': true, class: 'person' }, user_id),
        spoken === 0 ? 'never' : count(spoken),
        talk_ms === 0 ? '–' : duration(talk_ms),
        count(calls),
        { content: dayTime(last_call_at, tz), title: exactTime(last_call_at, tz) },
      ]),
    );
  }
}
