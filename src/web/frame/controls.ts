import { h } from '../parts/dom.js';
import type { App } from '../parts/types.js';
import { get } from './client.js';
import type { Frame } from './page.js';
import { browserZone } from './state.js';

const RETRY_MS = 10_000;

/** Which app, of those that there are. */
export class AppSelect {
  readonly element: HTMLSelectElement;
  readonly #frame: Frame;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.element = h(
      'select',
      { 'aria-label': 'App', change: () => frame.update({ app: this.element.value }) },
      h('option', { value: '' }, 'All apps'),
    );
    void this.#fill();
  }

  sync(): void {
    const { app } = this.#frame.state;
    // An address may name an app that has no calls yet.
    if (app !== '' && ![...this.element.options].some((option) => option.value === app))
      this.element.append(h('option', { value: app }, app));
    this.element.value = app;
  }

  async #fill(): Promise<void> {
    try {
      const { apps } = await get<{ apps: App[] }>('/api/v1/apps');
      const [all] = this.element.options;
      this.element.replaceChildren(all!, ...apps.map((app) => h('option', { value: app.app_id }, `${app.app_id} (${app.provider})`)));
      this.sync();
    } catch {
      // The page itself says what is wrong with the server; the list comes later.
      window.setTimeout(() => void this.#fill(), RETRY_MS);
    }
  }
}

const named = (zone: string): HTMLElement => h('option', { value: zone }, zone.replaceAll('_', ' '));

/** In which time zone times are shown: the reader's, UTC, or any other. */
export class ZoneSelect {
  readonly element: HTMLSelectElement;
  readonly #frame: Frame;

  constructor(frame: Frame) {
    this.#frame = frame;
    this.element = h('select', { 'aria-label': 'Time zone', class: 'zone', change: () => frame.update({ tz: this.element.value }) });
    const first = [...new Set([browserZone(), 'UTC', frame.state.tz])];
    const regions = new Map<string, string[]>();
    for (const zone of Intl.supportedValuesOf('timeZone')) {
      if (first.includes(zone)) continue;
      const region = zone.split('/')[0] ?? zone;
      regions.set(region, [...(regions.get(region) ?? []), zone]);
    }
    this.element.append(
      ...first.map(named),
      ...[...regions].map(([region, zones]) => h('optgroup', { label: region }, ...zones.map(named))),
    );
  }

  sync(): void {
    this.element.value = this.#frame.state.tz;
  }
}
