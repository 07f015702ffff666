import { h } from './dom.js';
import { count } from './format.js';

/** How many of a list's rows are shown, kept over a drawing anew. */
export interface Shown {
  n: number;
}

/**
 * Fills a table with the first rows of a list that may be long.
 * @param make the table's rows of an item
 * @param step how many more a press of the button brings
 * @returns the button, or null when all rows are there
 */
export function gradual<T>(
  body: HTMLTableSectionElement,
  items: readonly T[],
  make: (item: T, index: number) => HTMLElement[],
  shown: Shown,
  step: number,
): HTMLButtonElement | null {
  const add = (from: number, to: number): void => body.append(...items.slice(from, to).flatMap((item, i) => make(item, from + i)));
  add(0, shown.n);
  if (shown.n >= items.length) return null;
  const button = h('button', {
    type: 'button',
    class: 'more',
    click: () => {
      const from = shown.n;
      shown.n = Math.min(items.length, from + step);
      add(from, shown.n);
      label();
    },
  });
  const label = (): void => {
    const left = items.length - shown.n;
    button.hidden = left === 0;
    button.textContent = left > step ? `Show ${count(step)} more of ${count(left)}` : `Show the other ${count(left)}`;
  };
  label();
  return button;
}
