import { CallPage } from './call.js';
import { get } from './client.js';
import { h } from './dom.js';
import { Live, type LiveStatus } from './live.js';
import { OverviewPage } from './overview.js';
import type { Frame, Page } from './page.js';
import { browserZone, readState, writeState } from './state.js';
import type { App } from './types.js';

const THEME = 'callstream-theme';
const STATUS_WORDS: Record<LiveStatus, string> = {
  connecting: 'Connecting',
  live: 'Live',
  stale: 'No live data, trying again',
  paused: 'Paused',
};

let state = readState(location.search);
let page: Page;
let paused = false;

const live = new Live({
  calls: (calls) => page.calls(calls),
  status: (status) => {
    statusText.textContent = STATUS_WORDS[status];
    liveButton.dataset.status = status;
  },
});

const frame: Frame = {
  get state() {
    return state;
  },
  update(change) {
    const before = state;
    state = { ...state, ...change };
    history.replaceState(null, '', address());
    for (const link of top.querySelectorAll<HTMLAnchorElement>('a[data-home]')) link.href = frame.link('/');
    page.stateChanged(before);
  },
  link(path, params = {}) {
    const search = writeState(state);
    for (const [name, value] of Object.entries(params)) search.set(name, value);
    const text = search.toString();
    return text === '' ? path : `${path}?${text}`;
  },
  listen(app, since) {
    if (!paused) live.start(app, since);
  },
};

/** The address of this page in its present state: what names the page itself (a call) stays. */
function address(): string {
  const search = new URLSearchParams(location.search);
  const own = Object.fromEntries(['provider', 'app_id', 'id'].flatMap((name) => (search.has(name) ? [[name, search.get(name)!]] : [])));
  return frame.link(location.pathname, own);
}

function open(): void {
  live.stop();
  page?.destroy();
  state = readState(location.search);
  page = location.pathname === '/call' ? new CallPage(frame, new URLSearchParams(location.search)) : new OverviewPage(frame);
  document.title = `${page.title} – callstream`;
  document.getElementById('main')!.replaceChildren(page.element);
  appSelect.value = state.app;
  zoneSelect.value = state.tz;
  page.load();
}

const statusText = h('span', { role: 'status' }, 'Connecting');
const pauseText = h('span', { class: 'verb' }, 'Pause');
const liveButton = h(
  'button',
  {
    type: 'button',
    class: 'live',
    'data-status': 'connecting',
    click: () => {
      paused = !paused;
      pauseText.textContent = paused ? 'Resume' : 'Pause';
      if (paused) {
        live.pause();
        page.pause();
      } else page.load();
    },
  },
  h('i', { 'aria-hidden': 'true' }),
  statusText,
  pauseText,
);

const appSelect = h(
  'select',
  { 'aria-label': 'App', change: () => frame.update({ app: appSelect.value }) },
  h('option', { value: '' }, 'All apps'),
);
const zoneSelect = h('select', { 'aria-label': 'Time zone', class: 'zone', change: () => frame.update({ tz: zoneSelect.value }) });

function fillZones(): void {
  const own = browserZone();
  const zones = Intl.supportedValuesOf('timeZone').filter((zone) => zone !== 'UTC' && zone !== own);
  const first = [...new Set([own, 'UTC', state.tz])];
  zoneSelect.append(...first.map((zone) => h('option', { value: zone }, zone.replaceAll('_', ' '))));
  const regions = new Map<string, string[]>();
  for (const zone of zones) {
    if (first.includes(zone)) continue;
    const region = zone.split('/')[0] ?? zone;
    regions.set(region, [...(regions.get(region) ?? []), zone]);
  }
  for (const [region, names] of regions)
    zoneSelect.append(h('optgroup', { label: region }, ...names.map((zone) => h('option', { value: zone }, zone.replaceAll('_', ' ')))));
}

async function fillApps(): Promise<void> {
  try {
    const { apps } = await get<{ apps: App[] }>('/api/v1/apps');
    const known = apps.some((app) => app.app_id === state.app) || state.app === '' ? apps : [...apps, { provider: '', app_id: state.app }];
    appSelect.append(
      ...known.map((app) => h('option', { value: app.app_id }, app.provider === '' ? app.app_id : `${app.app_id} (${app.provider})`)),
    );
    appSelect.value = state.app;
  } catch {
    // The page itself says what is wrong with the server; the list comes with the next visit.
    window.setTimeout(() => void fillApps(), 10_000);
  }
}

const dark = window.matchMedia('(prefers-color-scheme: dark)');
const isDark = (): boolean => (document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
const themeButton = h('button', {
  type: 'button',
  class: 'theme',
  click: () => {
    const next = isDark() ? 'light' : 'dark';
    localStorage.setItem(THEME, next);
    setTheme(next);
  },
});

function setTheme(theme: string | null): void {
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  themeButton.textContent = isDark() ? '☀' : '☾';
  themeButton.setAttribute('aria-label', isDark() ? 'Switch to light colours' : 'Switch to dark colours');
  page?.themeChanged();
}

const top = document.getElementById('top')!;
top.append(
  h(
    'a',
    { class: 'brand', href: frame.link('/'), 'data-link': true, 'data-home': true },
    h('img', { src: '/assets/icon.svg', alt: '', width: 24, height: 24 }),
    'callstream',
  ),
  h('div', { class: 'controls' }, liveButton, appSelect, zoneSelect, themeButton),
);

document.addEventListener('click', (event) => {
  const link = (event.target as Element).closest<HTMLAnchorElement>('a[data-link]');
  if (link === null || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, '', link.href);
  open();
  window.scrollTo(0, 0);
  document.getElementById('main')!.focus({ preventScroll: true });
});
window.addEventListener('popstate', open);
dark.addEventListener('change', () => setTheme(null));

fillZones();
setTheme(localStorage.getItem(THEME));
open();
void fillApps();
