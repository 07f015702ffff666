import type { Frame } from '../frame/page.js';
import { periodParams } from '../frame/state.js';
import { inUnit } from './alert-words.js';
import { h } from './dom.js';
import { count, dayTime, exactTime, span } from './format.js';
import type { Loader } from './loader.js';
import { OlderRows } from './older-rows.js';
import { PeriodPicker } from './period.js';
import { type Cell, PlainTable } from './plain-table.js';
import { scroller } from './scroller.js';
import type { Alert, AlertUnit } from './types-operations.js';

const WINDOW = '7d';
const PAGE = '50';

/** What fired in a period of the reader's choice. */
export class AlertHistory {
  readonly picker: PeriodPicker;
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #table = new PlainTable('Alerts of the period, the last fired first', [
    ['Fired'],
    ['Rule'],
    ['App'],
    ['Value', 'n'],
    ['n', 'n'],
    ['Threshold', 'n'],
    ['Lasted', 'n'],
    ['Silenced'],
  ]);
  readonly #none = h('p', { class: 'empty', hidden: true });
  readonly #alerts: OlderRows<Alert>;
  #units: ReadonlyMap<string, AlertUnit> = new Map();

  constructor(frame: Frame, loader: Loader) {
    this.#frame = frame;
    this.picker = new PeriodPicker(frame, WINDOW);
    this.#alerts = new OlderRows<Alert>({
      loader,
      list: 'alerts',
      question: () => ({
        path: '/api/v1/alerts',
        params: { ...periodParams(frame.state.period, WINDOW), app: frame.state.app, limit: PAGE },
      }),
      show: (alerts) => this.#show(alerts),
    });
    this.element = h(
      'section',
      { class: 'card' },
      h('div', { class: 'card-head' }, h('h2', {}, 'History'), this.picker.element),
      scroller('Alerts of the period', this.#table.element),
      this.#none,
      this.#alerts.button,
    );
  }

  load(): Promise<void> {
    return this.#alerts.load();
  }

  /** @param units of the metrics that rules measure */
  redraw(units: ReadonlyMap<string, AlertUnit>): void {
    this.#units = units;
    this.#draw(this.#alerts.rows);
  }

  #show(alerts: readonly Alert[]): void {
    const { app } = this.#frame.state;
    this.#table.element.hidden = alerts.length === 0;
    this.#none.hidden = alerts.length > 0;
    this.#none.textContent = `No alert fired in this period${app === '' ? '' : ` in app ${app}`}. Choose a longer one to see earlier ones.`;
    this.#draw(alerts);
  }

  #draw(alerts: readonly Alert[]): void {
    const { tz } = this.#frame.state;
    const value = (of: number, metric: string): string => inUnit(of, this.#units.get(metric) ?? 'count');
    this.#table.show(
      alerts.map((alert): Cell[] => [
        { content: dayTime(alert.fired_at, tz), title: exactTime(alert.fired_at, tz) },
        alert.rule,
        alert.app_id,
        value(alert.value, alert.metric),
        count(alert.n),
        value(alert.threshold, alert.metric),
        alert.resolved_at === null ? h('b', { class: 'bad' }, 'fires') : span(alert.resolved_at - alert.fired_at),
        alert.silenced ? 'yes' : 'no',
      ]),
    );
  }
}
