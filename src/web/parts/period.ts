import type { Frame } from '../frame/page.js';
import { atMost, WINDOW_MS, WINDOWS, type Window } from '../frame/state.js';
import { h } from './dom.js';
import { wallTime, wallTimeToEpoch, wholeDay } from './format.js';

const WORDS: Record<Window, string> = {
  '15m': '15 min',
  '1h': '1 hour',
  '6h': '6 hours',
  '24h': '24 hours',
  '7d': '7 days',
  '30d': '30 days',
};

/** The period of a page: one that ends now, or any between two moments in the reader's time zone. */
export class PeriodPicker {
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #fallback: Window;
  readonly #longest: Window;
  readonly #radios: HTMLInputElement[];
  readonly #from: HTMLInputElement;
  readonly #to: HTMLInputElement;
  readonly #own: HTMLButtonElement;
  readonly #form: HTMLFormElement;
  readonly #wrong = h('p', { class: 'wrong', role: 'alert', hidden: true });

  /** @param fallback of the page, when nobody has chosen @param longest of the windows that the page can show in time */
  constructor(frame: Frame, fallback: Window, longest: Window = '30d') {
    this.#frame = frame;
    this.#fallback = fallback;
    this.#longest = longest;
    this.#radios = WINDOWS.filter((value) => WINDOW_MS[value] <= WINDOW_MS[longest]).map((value) =>
      h('input', { type: 'radio', name: 'window', value, change: () => frame.update({ period: { window: value } }) }),
    );
    const moment = (): HTMLInputElement => h('input', { type: 'datetime-local', step: 60, required: true });
    this.#from = moment();
    this.#to = moment();
    this.#own = h(
      'button',
      { type: 'button', class: 'plain own', 'aria-expanded': 'false', click: () => this.#open(this.#form.hidden === true) },
      'From … to …',
    );
    this.#form = h(
      'form',
      {
        class: 'between',
        hidden: true,
        submit: (event: Event) => {
          event.preventDefault();
          this.#take();
        },
      },
      h('label', {}, 'From ', this.#from),
      h('label', {}, 'to ', this.#to),
      h('button', { type: 'submit', class: 'primary' }, 'Show'),
      this.#day('Today', 0),
      this.#day('Yesterday', 1),
      this.#wrong,
    );
    this.element = h(
      'div',
      { class: 'choose-period' },
      h(
        'div',
        { class: 'windows', role: 'radiogroup', 'aria-label': 'Period' },
        ...this.#radios.map((radio) => h('label', {}, radio, h('span', {}, WORDS[radio.value as Window]))),
      ),
      this.#own,
      this.#form,
    );
    this.sync();
  }

  /** To the frame's state. */
  sync(): void {
    const { period, tz } = this.#frame.state;
    const shown = atMost(period, this.#longest) ?? { window: this.#fallback };
    for (const radio of this.#radios) radio.checked = 'window' in shown && radio.value === shown.window;
    this.#own.classList.toggle('chosen', 'from' in shown);
    if ('from' in shown) this.#open(true);
    const now = Date.now();
    const [from, to] = 'from' in shown ? [shown.from, shown.to] : [now - WINDOW_MS[shown.window], now];
    this.#from.value = wallTime(from, tz);
    this.#to.value = wallTime(to, tz);
    this.#wrong.hidden = true;
  }

  /** A whole day at once; its evening is two key strokes from there. */
  #day(name: string, daysAgo: number): HTMLElement {
    const show = (): void => this.#frame.update({ period: wholeDay(Date.now(), daysAgo, this.#frame.state.tz) });
    return h('button', { type: 'button', class: 'plain', click: show }, name);
  }

  #open(open: boolean): void {
    this.#form.hidden = !open;
    this.#own.setAttribute('aria-expanded', String(open));
  }

  #take(): void {
    const { tz } = this.#frame.state;
    const [from, to] = [wallTimeToEpoch(this.#from.value, tz), wallTimeToEpoch(this.#to.value, tz)];
    this.#wrong.hidden = from < to;
    this.#wrong.textContent = 'The period must end after it begins.';
    if (from < to) this.#frame.update({ period: { from, to } });
  }
}
