import uPlot from '/assets/uplot.js';
import { h } from './dom.js';
import { count, dayMinute, minuteTime } from './format.js';

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

/** One colour of the bars: the CSS variable `--o-<name>` and the class `o-<name>`. */
export interface Layer {
  name: string;
  words: string;
  /** One for each bucket. */
  values: readonly number[];
}

/** Numbers by bucket; times in epoch ms. */
export interface Bars {
  from: number;
  to: number;
  step_ms: number;
  at: readonly number[];
  /** The lowest first. */
  layers: readonly Layer[];
}

export interface ChartWords {
  /** What the chart shows. */
  label: string;
  /** What its table shows. */
  caption: string;
  /** What the layers are. */
  legend: string;
  /** What their sum is. */
  total: string;
}

/** Numbers over time as stacked bars, with a legend that switches layers on and off (where there are several), a readout for pointer and arrow keys, a table. */
export class BarChart {
  readonly element: HTMLElement;
  readonly #plotBox: HTMLElement;
  readonly #legend: HTMLElement;
  readonly #tip: HTMLElement;
  readonly #spoken: HTMLElement;
  readonly #table: HTMLElement;
  readonly #words: ChartWords;
  readonly #off = new Set<string>();
  readonly #resize: ResizeObserver;
  #plot: uPlot | null = null;
  #series: Bars | null = null;
  #zone = 'UTC';
  #drawn = '';

  constructor(words: ChartWords) {
    this.#words = words;
    this.#plotBox = h('div', {
      class: 'plot',
      tabindex: 0,
      role: 'group',
      'aria-label': `${words.label}. The left and right arrow keys read one bar after the other.`,
      keydown: (event: KeyboardEvent) => this.#key(event),
      blur: () => this.#plot?.setCursor({ left: -10, top: -10 }),
    });
    this.#tip = h('div', { class: 'tip', 'aria-hidden': 'true', hidden: true });
    this.#spoken = h('div', { class: 'sr', 'aria-live': 'polite' });
    this.#legend = h('div', { class: 'legend', role: 'group', 'aria-label': words.legend });
    this.#table = h('div', { class: 'scroll' });
    const details = h('details', { class: 'as-table', toggle: () => this.#fillTable() }, h('summary', {}, 'Show as table'), this.#table);
    this.element = h('div', { class: 'chart' }, this.#legend, this.#plotBox, this.#spoken, details);
    this.#resize = new ResizeObserver(() => this.#plot?.setSize({ width: this.#plotBox.clientWidth, height: HEIGHT }));
    this.#resize.observe(this.#plotBox);
  }

  show(series: Bars, zone: string): void {
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

  #shown(): Layer[] {
    return this.#series?.layers.filter(({ name }) => !this.#off.has(name)) ?? [];
  }

  /** Running sums, the highest first: each is painted over by the next lower. */
  #stacked(series: Bars): uPlot.AlignedData {
    const sums = new Array<number>(series.at.length).fill(0);
    const layers = series.layers.map(({ name, values }) =>
      series.at.map((_, i) => {
        sums[i] = sums[i]! + (this.#off.has(name) ? 0 : values[i]!);
        return sums[i]!;
      }),
    );
    return [series.at.map((ms) => ms / 1000), ...layers.reverse()];
  }

  #options(series: Bars): uPlot.Options {
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
        ...series.layers.toReversed().map(({ name }) => ({ paths: bars, fill: color(`--o-${name}`), width: 0, points: { show: false } })),
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
    const rows = this.#shown().filter(({ values }) => values[idx]! > 0);
    const total = count(rows.reduce((sum, { values }) => sum + values[idx]!, 0));
    const stacked = series.layers.length > 1;
    const from = series.at[idx]!;
    const span = `${dayMinute(from, this.#zone)} – ${minuteTime(from + series.step_ms, this.#zone)}`;
    this.#tip.replaceChildren(
      h('strong', {}, span),
      ...(stacked
        ? rows.map(({ name, words, values }) =>
            h('div', {}, h('i', { class: `o-${name}` }), h('span', {}, words), h('b', {}, count(values[idx]!))),
          )
        : []),
      h('div', { class: stacked ? 'total' : '' }, h('span', {}, this.#words.total), h('b', {}, total)),
    );
    const x = left ?? 0;
    const right = x > plot.over.clientWidth / 2;
    this.#tip.style.left = right ? '' : `${x + 14}px`;
    this.#tip.style.right = right ? `${plot.over.clientWidth - x + 14}px` : '';
    if (document.activeElement === this.#plotBox)
      this.#spoken.textContent = `${span}: ${total} ${this.#words.total.toLowerCase()}. ${stacked ? rows.map(({ words, values }) => `${words} ${values[idx]}`).join(', ') : ''}`;
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
    const { layers } = this.#series!;
    this.#legend.hidden = layers.length < 2;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.outcome : undefined;
    this.#legend.replaceChildren(
      ...layers.map(({ name, words, values }) =>
        h(
          'button',
          { type: 'button', 'data-outcome': name, 'aria-pressed': this.#off.has(name) ? 'false' : 'true', click: () => this.#toggle(name) },
          h('i', { class: `o-${name}`, 'aria-hidden': 'true' }),
          words,
          ' ',
          h('b', {}, count(values.reduce((sum, n) => sum + n, 0))),
        ),
      ),
    );
    if (focused !== undefined) this.#legend.querySelector<HTMLElement>(`[data-outcome="${focused}"]`)?.focus();
  }

  #toggle(name: string): void {
    if (!this.#off.delete(name)) this.#off.add(name);
    this.#fillLegend();
    this.#plot?.setData(this.#stacked(this.#series!));
  }

  #fillTable(): void {
    const series = this.#series;
    const details = this.#table.parentElement as HTMLDetailsElement | null;
    if (series === null || details === null || !details.open) return;
    const { layers } = series;
    const sumAt = (i: number): number => layers.reduce((sum, { values }) => sum + values[i]!, 0);
    const rows = series.at.map((_, i) => series.at.length - 1 - i).filter((i) => sumAt(i) > 0);
    const several = layers.length > 1 ? layers : [];
    this.#table.replaceChildren(
      h(
        'table',
        {},
        h('caption', { class: 'sr' }, `${this.#words.caption}, newest first; times without any are left out`),
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            h('th', { scope: 'col' }, 'From'),
            ...several.map(({ words }) => h('th', { scope: 'col', class: 'n' }, words)),
            h('th', { scope: 'col', class: 'n' }, this.#words.total),
          ),
        ),
        h(
          'tbody',
          {},
          ...rows.map((i) =>
            h(
              'tr',
              {},
              h('th', { scope: 'row' }, dayMinute(series.at[i]!, this.#zone)),
              ...several.map(({ values }) => h('td', { class: 'n' }, count(values[i]!))),
              h('td', { class: 'n' }, count(sumAt(i))),
            ),
          ),
        ),
      ),
    );
  }
}
