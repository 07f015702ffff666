import { get } from '../frame/client.js';
import { type Period, periodParams, type State, WINDOW_MS, type Window } from '../frame/state.js';
import { h } from './dom.js';
import { count, dayMinute } from './format.js';
import { Heatmap } from './heatmap.js';
import { info } from './info.js';
import type { Definition } from './types.js';
import type { HeatmapAnswer } from './types-operations.js';

type Counted = 'calls' | 'missed';
const COUNTED: readonly Counted[] = ['calls', 'missed'];
const WORDS: Record<Counted, string> = { calls: 'calls', missed: 'missed calls' };
const TITLES: Record<Counted, string> = { calls: 'Calls', missed: 'Missed calls' };
const WEEK = WINDOW_MS['7d'];

/** A week at least: of less, most hours would say nothing. */
function atLeastAWeek(period: Period | null, fallback: Window): Period {
  const shown = period ?? { window: fallback };
  if ('window' in shown) return WINDOW_MS[shown.window] < WEEK ? { window: '7d' } : shown;
  return shown.to - shown.from < WEEK ? { from: shown.to - WEEK, to: shown.to } : shown;
}

/** When there are calls, and when they are missed: by weekday and hour of the day, on the reader's clock. */
export class WeekCard {
  readonly element: HTMLElement;
  readonly #heatmap = new Heatmap('Weekdays and hours of the day');
  readonly #fallback: Window;
  readonly #title = h('h2');
  readonly #what = h('p', { class: 'lead' });
  readonly #switch: HTMLElement;
  #counted: Counted;
  #shown: { answer: HeatmapAnswer; tz: string; words: Record<string, Definition>; widened: boolean } | null = null;

  /** @param counted what is shown first @param fallback of the page, when nobody has chosen */
  constructor(counted: Counted, fallback: Window) {
    this.#counted = counted;
    this.#fallback = fallback;
    this.#switch = h(
      'div',
      { class: 'windows', role: 'radiogroup', 'aria-label': 'Counted' },
      ...COUNTED.map((name) =>
        h(
          'label',
          {},
          h('input', { type: 'radio', name: 'counted', value: name, checked: name === counted, change: () => this.#count(name) }),
          h('span', {}, TITLES[name]),
        ),
      ),
    );
    this.element = h(
      'section',
      { class: 'card week' },
      h('div', { class: 'card-head' }, this.#title, this.#switch),
      this.#what,
      this.#heatmap.element,
    );
  }

  /** @throws Failure */
  async load({ period, app, tz }: State, words: Record<string, Definition>, signal: AbortSignal): Promise<void> {
    const widest = atLeastAWeek(period, this.#fallback);
    const answer = await get<HeatmapAnswer>('/api/v1/heatmap', { ...periodParams(widest, this.#fallback), app, tz }, signal);
    this.#shown = { answer, tz, words, widened: widest !== period };
    this.#draw();
  }

  #count(name: Counted): void {
    this.#counted = name;
    this.#draw();
  }

  #draw(): void {
    if (this.#shown === null) return;
    const { answer, tz, words, widened } = this.#shown;
    const week = answer[this.#counted];
    const { label, definition } = words[this.#counted]!;
    const n = week.flat().reduce((sum, cell) => sum + cell, 0);
    this.#title.replaceChildren(`${TITLES[this.#counted]} by weekday and hour `, info(label, definition));
    this.#what.textContent = `${count(n)} ${WORDS[this.#counted]}, ${dayMinute(answer.from, tz)} until ${dayMinute(answer.to, tz)}${widened ? ' (a week at least, whatever period is chosen)' : ''}. Hours are those of ${tz}.`;
    this.#heatmap.show(week, WORDS[this.#counted]);
  }
}
