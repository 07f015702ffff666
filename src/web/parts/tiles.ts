import { type Better, changeMark, valueText } from './changes.js';
import { h } from './dom.js';
import { count } from './format.js';
import type { Summary } from './types.js';

export interface Tile {
  title: string;
  /** The first is the large number; the others stand below it with their names. */
  measures: readonly { name: string; as?: string }[];
  /** Of the large number. */
  better?: Better;
  /** It is of this moment: the period before has none like it. */
  ofNow?: boolean;
}

const TILES: readonly Tile[] = [
  { title: 'Calls', measures: [{ name: 'calls' }, { name: 'answered', as: 'answered' }] },
  { title: 'Answer rate (ASR)', measures: [{ name: 'asr' }], better: 'up' },
  { title: 'Effectiveness (NER)', measures: [{ name: 'ner' }], better: 'up' },
  { title: 'Missed', measures: [{ name: 'missed' }, { name: 'missed_inclusive', as: 'inclusive' }] },
  { title: 'Ring time, median', measures: [{ name: 'ring_p50_ms' }, { name: 'ring_p95_ms', as: 'p95' }] },
  { title: 'Talk time, median', measures: [{ name: 'talk_p50_ms' }, { name: 'talk_p95_ms', as: 'p95' }] },
  { title: 'Talk time, average (ACD)', measures: [{ name: 'acd_ms' }] },
  { title: 'In progress now', measures: [{ name: 'active' }, { name: 'ringing', as: 'ringing' }], ofNow: true },
];

/** The numbers of one user. */
export const USER_TILES: readonly Tile[] = [
  { title: 'Calls', measures: [{ name: 'calls' }] },
  { title: 'Made', measures: [{ name: 'placed' }, { name: 'placed_answered', as: 'answered' }] },
  { title: 'Received', measures: [{ name: 'called' }, { name: 'called_answered', as: 'answered' }] },
  { title: 'Missed', measures: [{ name: 'missed' }, { name: 'missed_inclusive', as: 'inclusive' }] },
  { title: 'Talk time', measures: [{ name: 'talk_ms' }] },
];

/** Of missed calls that nobody has returned. */
export const MISSED_TILES: readonly Tile[] = [
  { title: 'Not called back', measures: [{ name: 'missed_unreturned' }] },
  { title: 'Their missed calls', measures: [{ name: 'unreturned_calls' }] },
  { title: 'Longest wait', measures: [{ name: 'longest_wait' }] },
];

/** The numbers of the period. Each tile says what it is taken over (n) and, on hover or focus, what it means. */
export class Tiles {
  readonly element = h('section', { class: 'tiles', 'aria-label': 'Key figures' });
  readonly #of: readonly Tile[];
  readonly #bodies: HTMLElement[];
  readonly #tips: HTMLElement[];

  constructor(tiles: readonly Tile[] = TILES) {
    this.#of = tiles;
    this.#bodies = tiles.map(() => h('div', {}, h('p', { class: 'value' }, '–'), h('p', { class: 'sub' }, ' ')));
    this.#tips = tiles.map((_, i) => h('div', { class: 'about', role: 'tooltip', id: `about-${i}` }));
    this.element.append(
      ...tiles.map((tile, i) =>
        h(
          'article',
          {
            class: 'tile',
            'data-tile': tile.measures[0]!.name,
            keydown: (event: KeyboardEvent) => event.key === 'Escape' && (event.currentTarget as HTMLElement).classList.add('quiet'),
          },
          h(
            'h2',
            {},
            tile.title,
            h(
              'button',
              {
                type: 'button',
                class: 'info',
                'aria-label': `What does “${tile.title}” mean?`,
                'aria-describedby': `about-${i}`,
                focus: (event: FocusEvent) => (event.currentTarget as HTMLElement).closest('.tile')?.classList.remove('quiet'),
              },
              'i',
            ),
          ),
          this.#bodies[i]!,
          this.#tips[i]!,
        ),
      ),
    );
  }

  show({ measures: all, previous }: Pick<Summary, 'measures' | 'previous'>): void {
    this.#of.forEach((tile, i) => {
      const measures = tile.measures.map(({ name, as }) => ({ as, measure: all[name]! }));
      const [main, ...rest] = measures;
      const { n, of } = main!.measure;
      const before = tile.ofNow ? undefined : previous?.measures[tile.measures[0]!.name];
      this.#bodies[i]!.replaceChildren(
        h(
          'div',
          { class: 'figure' },
          h('p', { class: 'value' }, valueText(main!.measure)),
          before === undefined ? null : changeMark(main!.measure, before, tile.better),
        ),
        h(
          'p',
          { class: 'sub' },
          ...rest.map(({ as, measure }) =>
            h('span', {}, as === 'p95' ? 'p95 ' : '', h('b', {}, valueText(measure)), as === 'p95' ? '' : ` ${as}`),
          ),
          h('span', { class: 'n-of', title: of }, `n = ${count(n)}`),
        ),
      );
      this.#tips[i]!.replaceChildren(
        ...measures.map(({ measure }) => h('p', {}, h('strong', {}, `${measure.label}: `), measure.definition)),
        h('p', { class: 'over' }, `Taken over ${count(n)} ${of}.`),
      );
    });
  }
}
