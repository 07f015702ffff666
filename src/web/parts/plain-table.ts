import { h, hidden } from './dom.js';

/** A column: its head, and whether its cells are numbers. A head that begins with `!` is for screen readers only. */
export type Head = readonly [name: string, kind?: string];
export type Cell = Node | string | { readonly content: Node | string; readonly title: string };

/**
 * A table whose rows are replaced as a whole. The first cell of a row is its head. Where there is no room each row stands as a list, every cell under the other
 * with its head before it; the roles are named because an element that is not laid out as a table would lose them.
 */
export class PlainTable {
  readonly element: HTMLElement;
  readonly #heads: readonly Head[];
  readonly #body = h('tbody', { role: 'rowgroup' });

  constructor(caption: string, heads: readonly Head[], kind = '') {
    this.#heads = heads;
    this.element = h(
      'table',
      { class: `stacks ${kind}`.trim(), role: 'table' },
      h('caption', { class: 'sr' }, caption),
      h(
        'thead',
        { role: 'rowgroup' },
        h(
          'tr',
          { role: 'row' },
          ...heads.map(([name, type]) =>
            h('th', { scope: 'col', role: 'columnheader', class: type }, name.startsWith('!') ? hidden(name.slice(1)) : name),
          ),
        ),
      ),
      this.#body,
    );
  }

  show(rows: readonly (readonly Cell[])[]): void {
    this.#body.replaceChildren(...rows.map((cells) => h('tr', { role: 'row' }, ...cells.map((cell, i) => this.#cell(cell, i)))));
  }

  #cell(cell: Cell, i: number): HTMLElement {
    const [name = '', type] = this.#heads[i] ?? [];
    const plain = typeof cell === 'string' || cell instanceof Node;
    const props = { class: type, ...(plain ? {} : { title: cell.title }) };
    const content = h('div', {}, plain ? cell : cell.content);
    if (i === 0) return h('th', { scope: 'row', role: 'rowheader', ...props }, content);
    return h('td', { role: 'cell', ...(name.startsWith('!') ? {} : { 'data-head': name }), ...props }, content);
  }
}
