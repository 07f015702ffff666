import { get } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import { atMost, periodParams, type State, samePeriod } from '../frame/state.js';
import { deadLettersTable } from '../parts/dead-letters.js';
import { definitions } from '../parts/definitions.js';
import { h, hidden } from '../parts/dom.js';
import { count, dayMinute, dayTime, duration, exactTime, percent, span } from '../parts/format.js';
import { Loader } from '../parts/loader.js';
import { OlderRows } from '../parts/older-rows.js';
import { PeriodPicker } from '../parts/period.js';
import { PipelineCard } from '../parts/pipeline-card.js';
import { PlainTable } from '../parts/plain-table.js';
import { Refresher } from '../parts/refresher.js';
import { scroller } from '../parts/scroller.js';
import { type Finding, findingsOf, verdictOf } from '../parts/trust.js';
import type { Call, DeadLetter, Definition } from '../parts/types.js';
import type { DeadReason, HealthAnswer, Pipeline } from '../parts/types-operations.js';

const WINDOW = '1h';
/** Single deliveries are read, of which there are several to a call: a window on another page may be longer. */
const LONGEST = '7d';
const PAGE = '20';
const FOLLOW_MS = 5_000;

const KINDS: Record<Finding['kind'], [sign: string, word: string]> = {
  good: ['✓', 'Good'],
  warn: ['!', 'To know'],
  bad: ['✕', 'Trouble'],
  unknown: ['?', 'Not known'],
};

/** Columns of what arrived, by the names of their definitions. */
const NUMBERS = [
  'received',
  'folded',
  'duplicates',
  'dead',
  'delay_p50_ms',
  'delay_p95_ms',
  'calls_from_records_only',
  'undelivered',
] as const;

/** Whether the numbers of the other pages can be trusted, and why. */
export class HealthPage implements Page {
  readonly title = 'Health';
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #loader = new Loader(() => this.load());
  readonly #refresher = new Refresher(() => this.#loadHealth(), FOLLOW_MS);
  readonly #picker: PeriodPicker;
  readonly #period = h('p', { class: 'period' });
  readonly #verdict = h('p', { class: 'verdict', role: 'status' });
  readonly #findings = h('ul', { class: 'findings' });
  readonly #sources = new PlainTable('What arrived, by app and source', [
    ['Source'],
    ['App'],
    ['Received', 'n'],
    ['New', 'n'],
    ['Duplicates', 'n'],
    ['Dead', 'n'],
    ['Delay p50', 'n'],
    ['Delay p95', 'n'],
    ['No callbacks', 'n'],
    ['Undelivered', 'n'],
    ['Last input', 'n'],
  ]);
  readonly #sourcesEmpty = h('p', { class: 'empty', hidden: true }, 'Nothing arrived in this period. Choose a longer one.');
  readonly #words = h('div', { class: 'definitions' });
  readonly #reasons = new PlainTable('Why inputs could not be processed, most frequent first', [
    ['Reason'],
    ['Stage'],
    ['Source'],
    ['How many', 'n'],
    ['Last', 'n'],
    ['!Show'],
  ]);
  readonly #reasonsCard: HTMLElement;
  readonly #letters: OlderRows<DeadLetter>;
  readonly #lettersList = h('div', { class: 'letters-list' });
  readonly #pipeline = new PipelineCard();
  readonly #open = new Set<string>();
  #reasonsKnown: readonly DeadReason[] = [];

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#picker = new PeriodPicker(frame, WINDOW, LONGEST);
    this.#letters = new OlderRows<DeadLetter>({
      loader: this.#loader,
      list: 'dead_letters',
      question: () => {
        const wanted = this.#reason();
        return wanted && { path: '/api/v1/dead-letters', params: { ...this.#asked, ...wanted, app: frame.state.app, limit: PAGE } };
      },
      show: (letters) => this.#showLetters(letters),
    });
    this.#reasonsCard = h(
      'section',
      { class: 'card', hidden: true },
      h('h2', {}, 'Dead letters: what could not be processed'),
      scroller('Reasons', this.#reasons.element),
      this.#lettersList,
      this.#letters.button,
    );
    this.element = h(
      'div',
      { class: 'page health' },
      h('div', { class: 'head' }, h('h1', {}, 'Health'), this.#period, this.#picker.element),
      this.#loader.notice,
      h('section', { class: 'card' }, h('h2', {}, 'Can the numbers be trusted?'), this.#verdict, this.#findings),
      h(
        'section',
        { class: 'card' },
        h('h2', {}, 'What arrived'),
        scroller('What arrived', this.#sources.element),
        this.#sourcesEmpty,
        h('details', { class: 'as-table' }, h('summary', {}, 'What these numbers mean'), this.#words),
      ),
      this.#reasonsCard,
      this.#pipeline.element,
    );
  }

  load(): void {
    this.#refresher.resume();
    void this.#refresher.now();
    if (this.#reason() !== null) void this.#letters.load();
  }

  pause(): void {
    this.#refresher.pause();
    this.#loader.pause();
  }

  stateChanged(before: State): void {
    const { state } = this.#frame;
    this.#picker.sync();
    const elsewhere = before.app !== state.app || before.tz !== state.tz || !samePeriod(before.period, state.period);
    if (elsewhere) void this.#refresher.now();
    else this.#showReasons(this.#reasonsKnown);
    if (elsewhere || before.own.reason !== state.own.reason) void this.#letters.load();
  }

  calls(_calls: Call[]): void {
    this.#refresher.soon();
  }

  destroy(): void {
    this.#refresher.stop();
    this.#loader.stop();
  }

  get #asked(): Record<string, string> {
    return periodParams(atMost(this.#frame.state.period, LONGEST), WINDOW);
  }

  async #loadHealth(): Promise<void> {
    const { app, tz } = this.#frame.state;
    await this.#loader.run('health', async (signal) => {
      const [health, { pipeline }, words] = await Promise.all([
        get<HealthAnswer>('/api/v1/health', { ...this.#asked, app }, signal),
        get<{ pipeline: Pipeline | null }>('/api/v1/pipeline', {}, signal),
        definitions(),
      ]);
      this.#period.textContent = `${dayMinute(health.from, tz)} until ${dayMinute(Math.min(health.to, health.as_of), tz)} (${tz})`;
      this.#showFindings(findingsOf(health, pipeline));
      this.#showSources(health, words);
      this.#showReasons(health.dead_letters);
      this.#pipeline.show(pipeline, health.as_of, tz, words);
      this.#frame.listen(app, health.as_of);
    });
  }

  #showFindings(findings: readonly Finding[]): void {
    const { kind, title, detail } = verdictOf(findings);
    const said = `${title} ${detail}`;
    // A status that says the same is not to be read out again.
    if (this.#verdict.textContent !== said) this.#verdict.replaceChildren(h('strong', { class: kind }, title), ` ${detail}`);
    this.#findings.replaceChildren(
      ...findings.map((finding) =>
        h(
          'li',
          { class: finding.kind },
          h('i', { 'aria-hidden': 'true' }, KINDS[finding.kind][0]),
          hidden(`${KINDS[finding.kind][1]}: `),
          h('span', {}, h('b', {}, finding.title), finding.detail === '' ? null : h('small', {}, ` ${finding.detail}`)),
        ),
      ),
    );
  }

  #showSources({ sources, as_of }: HealthAnswer, words: Record<string, Definition>): void {
    const { tz } = this.#frame.state;
    const delay = (ms: number | null): string => (ms === null ? '–' : duration(ms));
    this.#sourcesEmpty.hidden = sources.length > 0;
    this.#sources.element.hidden = sources.length === 0;
    this.#sources.show(
      sources.map((row) => [
        row.source,
        row.app_id,
        count(row.received),
        count(row.folded),
        count(row.duplicates),
        row.dead === 0
          ? '0'
          : { content: h('b', { class: 'bad' }, count(row.dead)), title: `${percent(row.dead / row.received)} of what was received` },
        delay(row.delay_p50_ms),
        delay(row.delay_p95_ms),
        row.source === 'call-record' ? count(row.calls_from_records_only) : '–',
        count(row.undelivered),
        row.last_at === null ? '–' : { content: `${span(as_of - row.last_at)} ago`, title: exactTime(row.last_at, tz) },
      ]),
    );
    if (this.#words.childElementCount === 0)
      this.#words.append(
        h('dl', {}, ...NUMBERS.flatMap((name) => [h('dt', {}, words[name]!.label), h('dd', {}, words[name]!.definition)])),
      );
  }

  #showReasons(reasons: readonly DeadReason[]): void {
    this.#reasonsKnown = reasons;
    const { tz } = this.#frame.state;
    const chosen = this.#reason();
    this.#reasonsCard.hidden = reasons.length === 0 && chosen === null;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.reason : undefined;
    this.#reasons.show(
      reasons.map((row) => {
        const key = reasonKey(row);
        const shown = this.#frame.state.own.reason === key;
        return [
          row.reason.replaceAll('_', ' '),
          row.stage,
          row.source,
          count(row.count),
          { content: dayTime(row.last_at, tz), title: exactTime(row.last_at, tz) },
          h(
            'button',
            {
              type: 'button',
              class: 'plain',
              'data-reason': key,
              'aria-expanded': String(shown),
              'aria-label': `${shown ? 'Hide' : 'Show'} dead letters: ${row.reason.replaceAll('_', ' ')}, stage ${row.stage}, ${row.source}`,
              click: () => this.#frame.updateOwn({ reason: this.#frame.state.own.reason === key ? '' : key }),
            },
            shown ? 'hide' : 'show',
          ),
        ];
      }),
    );
    if (focused !== undefined) this.#reasonsCard.querySelector<HTMLElement>(`[data-reason="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Which dead letters are shown, as the address says. */
  #reason(): { stage: string; reason: string; source: string } | null {
    const [stage, reason, source] = (this.#frame.state.own.reason ?? '').split('|');
    return stage === undefined || reason === undefined || source === undefined ? null : { stage, reason, source };
  }

  #showLetters(letters: readonly DeadLetter[]): void {
    if (this.#reason() === null) this.#lettersList.replaceChildren();
    else
      this.#lettersList.replaceChildren(
        letters.length === 0
          ? h('p', { class: 'empty' }, 'None of these in this period.')
          : deadLettersTable(letters, this.#frame.state.tz, this.#open),
      );
  }
}

const reasonKey = ({ stage, reason, source }: DeadReason): string => `${stage}|${reason}|${source}`;
