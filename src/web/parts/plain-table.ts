import { h, hidden } from './dom.js';

/** A column: its head, and whether its cells are numbers. A head that begins with `!` is for screen readers only. */
export type Head = readonly [name: string, kind?: string];
export type Cell = Node | string | { readonly content: Node | string; readonly title: string };

/** A table whose rows are replaced as a whole. The first cell of a row is its head. */
export class PlainTable {
  readonly element: HTMLElement;
  readonly #heads: readonly Head[];
  readonly #body = h('tbody');

  constructor(caption: string, heads: readonly Head[], kind = '') {
    this.#heads = heads;
    this.element = h(
      'table',
      { class: kind },
      h('caption', { class: 'sr' }, caption),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ...heads.map(([name, type]) => h('th', { scope: 'col', class: type }, name.startsWith('!') ? hidden(name.slice(1)) : name)),
        ),
      ),
      this.#body,
    );
  }

  show(rows: readonly (readonly Cell[])[]): void {
    this.#body.replaceChildren(...rows.map((cells) => h('tr', {}, ...cells.map((cell, i) => this.#cell(cell, i)))));
  }

  #cell(cell: Cell, i: number): HTMLElement {
    const plain = typeof cell === 'string' || cell instanceof Node;
    const props = { class: this.#heads[i]?.[1], ...(plain ? {} : { title: cell.title }) };
    return i === 0 ? h('th', { scope: 'row', ...props }, plain ? cell : cell.content) : h('td', props, plain ? cell : cell.content);
  }
}
