import { h } from './dom.js';
import { count } from './format.js';
import { scroller } from './scroller.js';

const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
const LEVELS = 6;
const two = (n: number): string => String(n).padStart(2, '0');

/** Numbers by weekday and hour, as a table: every cell has its number, and a shade that says the same. The last row adds up the days. */
export class Heatmap {
  readonly element: HTMLElement;
  readonly #caption = h('caption', { class: 'sr' });
  readonly #body = h('tbody');

  constructor(label: string) {
    this.element = scroller(
      label,
      h(
        'table',
        { class: 'heatmap' },
        this.#caption,
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            h('th', { scope: 'col' }, 'Hour'),
            ...HOURS.map((hour) => h('th', { scope: 'col' }, two(hour))),
            h('th', { scope: 'col' }, 'Day'),
          ),
        ),
        this.#body,
      ),
    );
  }

  /** @param week Monday first, of 24 hours each @param what is counted, in the plural */
  show(week: readonly (readonly number[])[], what: string): void {
    const byHour = HOURS.map((hour) => week.reduce((sum, day) => sum + day[hour]!, 0));
    this.#caption.textContent = `${what} by weekday and hour of the day; the last row adds up the days`;
    const highest = Math.max(...week.flat());
    this.#body.replaceChildren(
      ...DAYS.map((day, i) => row(day.slice(0, 3), day, week[i]!, highest, what)),
      row('All', 'All days', byHour, Math.max(...byHour), what),
    );
  }
}

function row(short: string, name: string, hours: readonly number[], highest: number, what: string): HTMLElement {
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, h('abbr', { title: name }, short)),
    ...hours.map((n, hour) => {
      const level = n === 0 ? 0 : Math.max(1, Math.ceil((n / highest) * LEVELS));
      return h(
        'td',
        { class: `heat-${level}`, title: `${name} ${two(hour)}:00 to ${two((hour + 1) % 24)}:00: ${count(n)} ${what}` },
        brief(n),
      );
    }),
    h('td', { class: 'sum' }, count(hours.reduce((sum, n) => sum + n, 0))),
  );
}

/** Room for three digits. */
const brief = (n: number): string => (n < 1000 ? String(n) : n < 1e6 ? `${Math.round(n / 1000)}k` : `${Math.round(n / 1e6)}M`);
