import uPlot from '/assets/uplot.js';
import { h } from './dom.js';
import { clockTime, count, dayMinute, minuteTime } from './format.js';
import type { Outcome, Series } from './types.js';
import { OUTCOME_WORDS, OUTCOMES } from './words.js';

const HEIGHT = 260;

/** A colour of the style sheet as the canvas understands it, in the present theme. */
function color(name: string): string {
  const probe = h('span', { hidden: true });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export const stepWords = (ms: number): string =>
  ms === 60_000 ? 'minute' : ms < 3_600_000 ? `${ms / 60_000} minutes` : ms === 3_600_000 ? 'hour' : 'day';

/** Calls per bucket, stacked by outcome: bars, a legend that switches outcomes on and off, a readout for pointer and arrow keys, a table. */
export class OutcomeChart {
  readonly element: HTMLElement;
  readonly #plotBox: HTMLElement;
  readonly #legend: HTMLElement;
  readonly #tip: HTMLElement;
  readonly #spoken: HTMLElement;
  readonly #table: HTMLElement;
  readonly #off = new Set<Outcome>();
  readonly #resize: ResizeObserver;
  #plot: uPlot | null = null;
  #series: Series | null = null;
  #zone = 'UTC';
  #drawn = '';

  constructor() {
    this.#plotBox = h('div', {
      class: 'plot',
      tabindex: 0,
      role: 'group',
      'aria-label': 'Chart of calls by outcome over time. The left and right arrow keys read one bar after the other.',
      keydown: (event: KeyboardEvent) => this.#key(event),
      blur: () => this.#plot?.setCursor({ left: -10, top: -10 }),
    });
    this.#tip = h('div', { class: 'tip', 'aria-hidden': 'true', hidden: true });
    this.#spoken = h('div', { class: 'sr', 'aria-live': 'polite' });
    this.#legend = h('div', { class: 'legend', role: 'group', 'aria-label': 'Outcomes shown' });
    this.#table = h('div', { class: 'scroll' });
    const details = h('details', { class: 'as-table', toggle: () => this.#fillTable() }, h('summary', {}, 'Show as table'), this.#table);
    this.element = h('div', { class: 'chart' }, this.#legend, this.#plotBox, this.#spoken, details);
    this.#resize = new ResizeObserver(() => this.#plot?.setSize({ width: this.#plotBox.clientWidth, height: HEIGHT }));
    this.#resize.observe(this.#plotBox);
  }

  show(series: Series, zone: string): void {
    this.#series = series;
    this.#zone = zone;
    this.#fillLegend();
    this.#fillTable();
    // Axis and range live in the options: they are made anew only when those change.
    const frame = `${series.from} ${series.to} ${zone}`;
    if (this.#plot === null || this.#drawn !== frame) this.redraw();
    else this.#plot.setData(this.#stacked(series));
    this.#drawn = frame;
  }

  /** Also after a change of theme: canvas colours do not follow by themselves. */
  redraw(): void {
    const series = this.#series;
    if (series === null) return;
    const at = this.#plot?.cursor.idx;
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#options(series), this.#stacked(series), this.#plotBox);
    this.#plot.over.append(this.#tip);
    if (at !== null && at !== undefined && document.activeElement === this.#plotBox) this.#moveTo(at);
  }

  destroy(): void {
    this.#resize.disconnect();
    this.#plot?.destroy();
  }

  #shown(): Outcome[] {
    return OUTCOMES.filter((name) => !this.#off.has(name));
  }

  /** Running sums, the highest first: each is painted over by the next lower. */
  #stacked(series: Series): uPlot.AlignedData {
    const sums = new Array<number>(series.at.length).fill(0);
    const layers = OUTCOMES.map((name) =>
      series.at.map((_, i) => {
        sums[i] = sums[i]! + (this.#off.has(name) ? 0 : series.outcomes[name][i]!);
        return sums[i]!;
      }),
    );
    return [series.at.map((ms) => ms / 1000), ...layers.reverse()];
  }

  #options(series: Series): uPlot.Options {
    const bars = uPlot.paths.bars!({ align: 1, size: [0.82, 64], radius: 0 });
    const axis = {
      stroke: color('--muted'),
      font: '12px "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif',
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    const zone = this.#zone;
    return {
      width: this.#plotBox.clientWidth || 600,
      height: HEIGHT,
      padding: [12, 20, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: false, y: false, setScale: false },
        dataIdx: (_plot, _series, _closest, x) =>
          Math.max(0, Math.min(series.at.length - 1, Math.floor((x * 1000 - series.from) / series.step_ms))),
      },
      scales: {
        x: { range: [series.from / 1000, series.to / 1000] },
        y: { range: (_plot, _min, max) => [0, Math.max(4, max * 1.08)] },
      },
      axes: [
        {
          ...axis,
          size: 30,
          grid: { show: false },
          space: 72,
          values: (_plot, splits) => splits.map((seconds) => minuteTime(seconds * 1000, zone)),
        },
        {
          ...axis,
          size: 46,
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000],
          values: (_plot, splits) => splits.map(count),
        },
      ],
      series: [
        {},
        ...[...OUTCOMES].reverse().map((name) => ({ paths: bars, fill: color(`--o-${name}`), width: 0, points: { show: false } })),
      ],
      hooks: { setCursor: [(plot) => this.#read(plot)] },
    };
  }

  #read(plot: uPlot): void {
    const series = this.#series;
    const { idx, left } = plot.cursor;
    const visible = series !== null && idx !== null && idx !== undefined && (left ?? -1) >= 0;
    this.#tip.hidden = !visible;
    if (!visible) return;
    const rows = this.#shown().filter((name) => series.outcomes[name][idx]! > 0);
    const total = rows.reduce((sum, name) => sum + series.outcomes[name][idx]!, 0);
    const from = series.at[idx]!;
    const span = `${dayMinute(from, this.#zone)} – ${minuteTime(from + series.step_ms, this.#zone)}`;
    this.#tip.replaceChildren(
      h('strong', {}, span),
      ...rows.map((name) =>
        h('div', {}, h('i', { class: `o-${name}` }), h('span', {}, OUTCOME_WORDS[name]), h('b', {}, count(series.outcomes[name][idx]!))),
      ),
      h('div', { class: 'total' }, h('span', {}, 'Calls'), h('b', {}, count(total))),
    );
    const x = left ?? 0;
    const right = x > plot.over.clientWidth / 2;
    this.#tip.style.left = right ? '' : `${x + 14}px`;
    this.#tip.style.right = right ? `${plot.over.clientWidth - x + 14}px` : '';
    if (document.activeElement === this.#plotBox)
      this.#spoken.textContent = `${span}: ${total} calls. ${rows.map((name) => `${OUTCOME_WORDS[name]} ${series.outcomes[name][idx]}`).join(', ')}`;
  }

  #key(event: KeyboardEvent): void {
    const series = this.#series;
    if (series === null || !['ArrowLeft', 'ArrowRight', 'Home', 'End'].includes(event.key)) return;
    event.preventDefault();
    const last = series.at.length - 1;
    const now = (this.#plot?.cursor.left ?? -1) >= 0 ? (this.#plot?.cursor.idx ?? last) : last + (event.key === 'ArrowLeft' ? 1 : 0);
    this.#moveTo(
      event.key === 'Home' ? 0 : event.key === 'End' ? last : Math.max(0, Math.min(last, now + (event.key === 'ArrowLeft' ? -1 : 1))),
    );
  }

  #moveTo(index: number): void {
    const middle = (this.#series!.at[index]! + this.#series!.step_ms / 2) / 1000;
    this.#plot?.setCursor({ left: this.#plot.valToPos(middle, 'x'), top: 10 });
  }

  #fillLegend(): void {
    const series = this.#series!;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.outcome : undefined;
    this.#legend.replaceChildren(
      ...OUTCOMES.map((name) =>
        h(
          'button',
          { type: 'button', 'data-outcome': name, 'aria-pressed': this.#off.has(name) ? 'false' : 'true', click: () => this.#toggle(name) },
          h('i', { class: `o-${name}`, 'aria-hidden': 'true' }),
          OUTCOME_WORDS[name],
          ' ',
          h('b', {}, count(series.outcomes[name].reduce((sum, n) => sum + n, 0))),
        ),
      ),
    );
    if (focused !== undefined) this.#legend.querySelector<HTMLElement>(`[data-outcome="${focused}"]`)?.focus();
  }

  #toggle(name: Outcome): void {
    if (!this.#off.delete(name)) this.#off.add(name);
    this.#fillLegend();
    this.#plot?.setData(this.#stacked(this.#series!));
  }

  #fillTable(): void {
    const series = this.#series;
    const details = this.#table.parentElement as HTMLDetailsElement | null;
    if (series === null || details === null || !details.open) return;
    const rows = series.at.map((_, i) => series.at.length - 1 - i).filter((i) => series.calls[i]! > 0);
    this.#table.replaceChildren(
      h(
        'table',
        {},
        h('caption', { class: 'sr' }, 'Calls by outcome, newest first; times without calls are left out'),
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            h('th', { scope: 'col' }, 'From'),
            ...OUTCOMES.map((name) => h('th', { scope: 'col', class: 'n' }, OUTCOME_WORDS[name])),
            h('th', { scope: 'col', class: 'n' }, 'Calls'),
          ),
        ),
        h(
          'tbody',
          {},
          ...rows.map((i) =>
            h(
              'tr',
              {},
              h('th', { scope: 'row' }, clockTime(series.at[i]!, this.#zone)),
              ...OUTCOMES.map((name) => h('td', { class: 'n' }, count(series.outcomes[name][i]!))),
              h('td', { class: 'n' }, count(series.calls[i]!)),
            ),
          ),
        ),
      ),
    );
  }
}
