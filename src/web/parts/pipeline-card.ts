import { h, hidden } from './dom.js';
import { count, dayTime, percent, span } from './format.js';
import { info } from './info.js';
import { PlainTable } from './plain-table.js';
import { scroller } from './scroller.js';
import type { Definition } from './types.js';
import type { Pipeline } from './types-operations.js';

/** What only the roles themselves know: how far behind they are, the spool, and the vendors' limits. */
export class PipelineCard {
  readonly element: HTMLElement;
  readonly #unknown = h('p', { class: 'empty', hidden: true });
  readonly #known = h('div', { class: 'two', hidden: true });
  readonly #workers = new PlainTable('Records that each worker has not worked off yet', [['Worker'], ['Behind', 'n']]);
  readonly #limits = new PlainTable('Requests to the vendors’ APIs', [
    ['API'],
    ['Requests a second', 'n'],
    ['Allowed', 'n'],
    ['Limit used', 'n'],
    ['“Slow down”', 'n'],
  ]);
  readonly #sweeps = new PlainTable('How far the vendors’ APIs have been read', [['API'], ['App'], ['Read up to', 'n'], ['State']]);
  readonly #workersTitle = h('h3', {}, 'Workers');
  readonly #limitsTitle = h('h3', {}, 'Vendors’ limits');
  readonly #spool = h('p', { class: 'lead' });
  readonly #polling: HTMLElement;

  constructor() {
    this.#polling = h(
      'div',
      {},
      this.#limitsTitle,
      scroller('Requests to the vendors’ APIs', this.#limits.element),
      scroller('How far the vendors’ APIs have been read', this.#sweeps.element),
    );
    this.#known.append(h('div', {}, this.#workersTitle, scroller('Workers', this.#workers.element), this.#spool), this.#polling);
    this.element = h('section', { class: 'card pipeline' }, h('h2', {}, 'Workers, spool and vendors, now'), this.#unknown, this.#known);
  }

  show(pipeline: Pipeline | null, now: number, tz: string, words: Record<string, Definition>): void {
    const answers = pipeline?.admins.some(({ ready }) => ready !== null) === true;
    this.#unknown.hidden = answers;
    this.#known.hidden = !answers;
    this.#unknown.textContent =
      pipeline === null
        ? 'This server was not told where the roles are. Name their admin addresses as api.admins, or in CALLSTREAM_ADMIN_URLS (docs/configuration.md).'
        : 'None of the addresses in api.admins answers. Are the roles running?';
    if (pipeline === null || !answers) return;
    if (this.#workersTitle.childElementCount === 0) {
      this.#workersTitle.append(' ', info(words.lag!.label, words.lag!.definition));
      this.#limitsTitle.append(' ', info(words.limit_used!.label, words.limit_used!.definition));
    }
    this.#workers.show(pipeline.workers.map(({ worker, lag }) => [worker, count(lag)]));
    const { spool } = pipeline;
    this.#spool.replaceChildren(
      'Spool: ',
      ...(spool === null
        ? ['no role that answers takes callbacks.']
        : [h('b', {}, count(spool.events)), ` callbacks (${count(spool.bytes)} bytes). ${words.spooled!.definition}`]),
    );
    this.#polling.hidden = pipeline.limits.length === 0 && pipeline.sweeps.length === 0;
    this.#limits.show(
      pipeline.limits.map(({ source, operation, limit_per_second, per_second, slow_downs }) => [
        `${source} ${operation}`,
        per_second === null
          ? h('span', { title: 'Known with the next reading' }, '–', hidden('known with the next reading'))
          : per_second.toFixed(1),
        String(Math.round(limit_per_second * 10) / 10),
        per_second === null ? '–' : percent(per_second / limit_per_second),
        count(slow_downs),
      ]),
    );
    this.#sweeps.show(
      pipeline.sweeps.map(({ source, app_id, swept_to, stopped, lost_ms }) => [
        source,
        app_id,
        swept_to === null ? '–' : { content: `${span(now - swept_to)} ago`, title: dayTime(swept_to, tz) },
        stopped ? h('b', { class: 'bad' }, 'refused') : lost_ms > 0 ? `${span(lost_ms)} lost` : 'in order',
      ]),
    );
  }
}
