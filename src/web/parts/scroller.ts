import { h } from './dom.js';

/** Around a table that may be wider than the page: it scrolls by itself, from the keyboard too. */
export const scroller = (label: string, ...children: (Node | null)[]): HTMLElement =>
  h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label }, ...children);
