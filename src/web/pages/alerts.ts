import { Failure, get, post } from '../frame/client.js';
import type { Frame, Page } from '../frame/page.js';
import { type State, samePeriod } from '../frame/state.js';
import { AlertHistory } from '../parts/alert-history.js';
import { appText, conditionText, inUnit } from '../parts/alert-words.js';
import { h } from '../parts/dom.js';
import { count, dayMinute, exactTime, span } from '../parts/format.js';
import { Loader } from '../parts/loader.js';
import { type Cell, PlainTable } from '../parts/plain-table.js';
import { Refresher } from '../parts/refresher.js';
import { scroller } from '../parts/scroller.js';
import { SilenceDialog } from '../parts/silence-dialog.js';
import type { App } from '../parts/types.js';
import type { Alert, AlertRule, AlertUnit, Silence, Webhook } from '../parts/types-operations.js';

interface Alerts {
  as_of: number;
  alerts: Alert[];
}

/** What fires, what fired, the rules, and who is told. */
export class AlertsPage implements Page {
  readonly title = 'Alerts';
  readonly element: HTMLElement;
  readonly #frame: Frame;
  readonly #loader = new Loader(() => this.load());
  readonly #refresher = new Refresher(() => this.#loadNow());
  readonly #firing = new PlainTable('Alerts that fire', [
    ['Rule'],
    ['App'],
    ['Value now', 'n'],
    ['Threshold', 'n'],
    ['For', 'n'],
    ['Silenced'],
  ]);
  readonly #firingNone = h('p', { class: 'calm', hidden: true }, '✓ Nothing fires.');
  readonly #rules = new PlainTable('Alert rules in force', [['Rule'], ['Now'], ['Fires when'], ['!Silence']], 'rules');
  readonly #silences = new PlainTable('Silences in force', [['Rule'], ['In'], ['Until'], ['Comment'], ['!End']]);
  readonly #silencesCard: HTMLElement;
  readonly #webhooks = new PlainTable('Webhooks', [['Webhook'], ['Is told of'], ['In'], ['!Test']]);
  readonly #webhooksNone = h(
    'p',
    { class: 'empty', hidden: true },
    'Nobody is told of alerts: name a receiver under webhooks in the configuration (docs/alerts.md).',
  );
  readonly #history: AlertHistory;
  readonly #said = h('p', { class: 'said', role: 'status' });
  readonly #dialog = new SilenceDialog((said) => this.#changed(said));
  #units = new Map<string, AlertUnit>();
  /** As they were last read. */
  #silent: readonly Silence[] = [];

  constructor(frame: Frame) {
    this.#frame = frame;
    this.#history = new AlertHistory(frame, this.#loader);
    this.#silencesCard = h(
      'section',
      { class: 'card', hidden: true },
      h('h2', {}, 'Silences'),
      scroller('Silences in force', this.#silences.element),
    );
    this.element = h(
      'div',
      { class: 'page alerts' },
      h('div', { class: 'head' }, h('h1', {}, 'Alerts')),
      this.#loader.notice,
      this.#said,
      h('section', { class: 'card' }, h('h2', {}, 'Firing now'), scroller('Alerts that fire', this.#firing.element), this.#firingNone),
      this.#silencesCard,
      h('section', { class: 'card' }, h('h2', {}, 'Rules'), scroller('Alert rules in force', this.#rules.element)),
      h('section', { class: 'card' }, h('h2', {}, 'Who is told'), scroller('Webhooks', this.#webhooks.element), this.#webhooksNone),
      this.#history.element,
      this.#dialog.element,
    );
  }

  load(): void {
    this.#refresher.resume();
    void this.#refresher.now();
    void this.#history.load();
  }

  pause(): void {
    this.#refresher.pause();
    this.#loader.pause();
  }

  stateChanged(before: State): void {
    const { state } = this.#frame;
    this.#history.picker.sync();
    const elsewhere = before.app !== state.app || before.tz !== state.tz;
    if (elsewhere) void this.#refresher.now();
    if (elsewhere || !samePeriod(before.period, state.period)) void this.#history.load();
  }

  destroy(): void {
    this.#refresher.stop();
    this.#loader.stop();
  }

  /** Says what has been done, and shows it. */
  #changed(said: string): void {
    this.#said.textContent = said;
    void this.#refresher.now();
  }

  async #loadNow(): Promise<void> {
    const { app } = this.#frame.state;
    await this.#loader.run('now', async (signal) => {
      const [{ rules }, { alerts, as_of }, { webhooks }, { apps }] = await Promise.all([
        get<{ rules: AlertRule[] }>('/api/v1/alerts/rules', {}, signal),
        get<Alerts>('/api/v1/alerts', { state: 'firing', app, limit: '500' }, signal),
        get<{ webhooks: Webhook[] }>('/api/v1/alerts/webhooks', {}, signal),
        get<{ apps: App[] }>('/api/v1/apps', {}, signal),
      ]);
      this.#units = new Map(rules.map(({ metric, unit }) => [metric, unit]));
      this.#showFiring(alerts, rules, as_of);
      this.#showWebhooks(webhooks);
      this.#showRules(rules, this.#silent, apps);
      this.#history.redraw(this.#units);
      this.#frame.listen(app, as_of);
      // Kafka may be away while all else is there.
      const { silences } = await get<{ silences: Silence[] }>('/api/v1/alerts/silences', {}, signal);
      this.#silent = silences;
      this.#showSilences(silences);
      this.#showRules(rules, silences, apps);
    });
  }

  #value(value: number, metric: string): string {
    return inUnit(value, this.#units.get(metric) ?? 'count');
  }

  #showFiring(alerts: readonly Alert[], rules: readonly AlertRule[], now: number): void {
    this.#firing.element.hidden = alerts.length === 0;
    this.#firingNone.hidden = alerts.length > 0;
    this.#firing.show(
      alerts.map((alert): Cell[] => {
        const current = rules.find(({ name }) => name === alert.rule)?.now.find(({ app_id }) => app_id === alert.app_id);
        const { value, n } = current ?? alert;
        return [
          h('b', { class: 'bad' }, alert.rule),
          alert.app_id,
          `${this.#value(value, alert.metric)} (n = ${count(n)}${current === undefined ? ', when it fired' : ''})`,
          this.#value(alert.threshold, alert.metric),
          { content: span(now - alert.fired_at), title: `Since ${exactTime(alert.fired_at, this.#frame.state.tz)}` },
          alert.silenced ? 'yes' : 'no',
        ];
      }),
    );
  }

  #showRules(rules: readonly AlertRule[], silences: readonly Silence[], apps: readonly App[]): void {
    const { app } = this.#frame.state;
    const shown = rules.filter((rule) => app === '' || rule.apps === null || rule.apps.includes(app));
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.rule : undefined;
    this.#rules.show(
      shown.map((rule): Cell[] => {
        const silent = silences.some(
          (silence) => silence.rule === rule.name && (app === '' || silence.app_id === '' || silence.app_id === app),
        );
        const watched = rule.apps ?? apps.map(({ app_id }) => app_id);
        return [
          h('span', {}, rule.name, silent ? h('small', {}, ' silenced') : null),
          this.#nowOf(rule, app),
          h('span', { class: 'what' }, `${sentence(rule.means)} `, h('small', {}, conditionText(rule))),
          h(
            'button',
            {
              type: 'button',
              'data-rule': rule.name,
              'aria-label': `Silence ${rule.name}`,
              click: () => this.#dialog.open(rule.name, watched, watched.includes(app) ? app : ''),
            },
            'Silence …',
          ),
        ];
      }),
    );
    if (focused !== undefined) this.#rules.element.querySelector<HTMLElement>(`[data-rule="${CSS.escape(focused)}"]`)?.focus();
  }

  #nowOf({ now, unit, minimum, counts }: AlertRule, app: string): Node {
    const own = now.filter(({ app_id }) => app === '' || app_id === app);
    if (own.length === 0) return h('span', { class: 'dim' }, 'nothing known');
    return h(
      'ul',
      { class: 'now' },
      ...own.map(({ app_id, value, n, above }) =>
        h(
          'li',
          { title: `n counts ${counts}` },
          h('b', { class: above ? 'bad' : '' }, inUnit(value, unit)),
          h(
            'small',
            {},
            ` n = ${count(n)}${above ? ', above' : n < minimum ? ', too few to say' : ''}${own.length > 1 || app === '' ? `, app ${app_id}` : ''}`,
          ),
        ),
      ),
    );
  }

  #showSilences(silences: readonly Silence[]): void {
    const { app, tz } = this.#frame.state;
    const shown = silences.filter(({ app_id }) => app === '' || app_id === '' || app_id === app);
    this.#silencesCard.hidden = shown.length === 0;
    this.#silences.show(
      shown.map((silence): Cell[] => [
        silence.rule,
        appText(silence.app_id),
        { content: dayMinute(silence.until, tz), title: exactTime(silence.until, tz) },
        h('span', { class: 'what' }, silence.comment || '–'),
        h(
          'button',
          {
            type: 'button',
            'aria-label': `End now the silence of ${silence.rule} for ${appText(silence.app_id)}`,
            click: () => void this.#unsilence(silence),
          },
          'End now',
        ),
      ]),
    );
  }

  async #unsilence({ rule, app_id }: Silence): Promise<void> {
    await this.#doing(async () => {
      await post('/api/v1/alerts/silences/end', { rule, app: app_id });
      return `${rule} is not silent any more for ${appText(app_id)}.`;
    });
  }

  #showWebhooks(webhooks: readonly Webhook[]): void {
    this.#webhooks.element.hidden = webhooks.length === 0;
    this.#webhooksNone.hidden = webhooks.length > 0;
    if (this.#webhooks.element.querySelectorAll('tbody tr').length === webhooks.length) return;
    this.#webhooks.show(
      webhooks.map(({ name, events, apps, format }): Cell[] => [
        name,
        h('span', { class: 'what' }, events.join(', '), format === 'standard' ? null : h('small', {}, ` as ${format} text`)),
        apps === null ? 'every app' : apps.join(', '),
        h('button', { type: 'button', 'aria-label': `Send a test to ${name}`, click: () => void this.#test(name) }, 'Send a test'),
      ]),
    );
  }

  async #test(webhook: string): Promise<void> {
    this.#said.textContent = `A test is on its way to ${webhook} …`;
    await this.#doing(async () => {
      const { delivered, detail } = await post<{ delivered: boolean; detail: string }>('/api/v1/alerts/webhooks/test', { webhook });
      return `${webhook}: ${delivered ? 'the test was delivered.' : 'the test was not delivered.'} ${sentence(detail)}`;
    });
  }

  /** Does what was asked for; says what came of it, whatever that was. */
  async #doing(what: () => Promise<string>): Promise<void> {
    try {
      this.#changed(await what());
    } catch (error) {
      this.#said.textContent = error instanceof Failure ? error.message : `That failed: ${String(error)}`;
    }
  }
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
