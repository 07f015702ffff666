import { AppSelect, ZoneSelect } from './frame/controls.js';
import { Live, type LiveStatus } from './frame/live.js';
import type { Frame, Page, Place } from './frame/page.js';
import { PLACES } from './frame/places.js';
import { readState, type State, writeState } from './frame/state.js';
import { themeButton } from './frame/theme.js';
import { h } from './parts/dom.js';

const STATUS_WORDS: Record<LiveStatus, string> = {
  connecting: 'Connecting',
  live: 'Live',
  stale: 'No live data, trying again',
  paused: 'Paused',
};

const placeAt = (path: string): Place => PLACES.find((place) => place.path === path) ?? PLACES[0]!;

let place = placeAt(location.pathname);
let state = readState(location.search, place.own);
let page: Page | null = null;
let paused = false;

const statusText = h('span', { role: 'status' }, STATUS_WORDS.connecting);
const pauseText = h('span', { class: 'verb' }, 'Pause');
const liveButton = h(
  'button',
  { type: 'button', class: 'live', 'data-status': 'connecting', click: pauseOrResume },
  h('i', { 'aria-hidden': 'true' }),
  statusText,
  pauseText,
);

const live = new Live({
  calls: (calls, truncated) => page?.calls?.(calls, truncated),
  status: (status) => {
    statusText.textContent = STATUS_WORDS[status];
    liveButton.dataset.status = status;
  },
});

const frame: Frame = {
  get state() {
    return state;
  },
  update: (change) => changeTo({ ...state, ...change }),
  updateOwn(change) {
    const values = { ...state.own, ...change };
    changeTo({ ...state, own: Object.fromEntries(place.own.flatMap((name) => (values[name] ? [[name, values[name]]] : []))) });
  },
  link: (path, own = {}, change = {}) => address(path, { ...state, ...change, own }),
  listen(app, since) {
    if (!paused) live.start(app, since);
  },
};

function address(path: string, of: State): string {
  const search = writeState(of).toString();
  return search === '' ? path : `${path}?${search}`;
}

function changeTo(next: State): void {
  const before = state;
  state = next;
  history.replaceState(null, '', address(location.pathname, state));
  syncTop();
  page?.stateChanged(before);
}

function pauseOrResume(): void {
  paused = !paused;
  pauseText.textContent = paused ? 'Resume' : 'Pause';
  if (paused) {
    live.pause();
    page?.pause();
  } else page?.load();
}

function open(): void {
  live.stop();
  page?.destroy();
  place = placeAt(location.pathname);
  state = readState(location.search, place.own);
  page = place.open(frame);
  document.title = `${page.title} – callstream`;
  document.getElementById('main')!.replaceChildren(page.element);
  syncTop();
  // Where there is no room for all of them.
  const current = links.find((link) => link.hasAttribute('aria-current'));
  if (current !== undefined) nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
  page.load();
}

function go(href: string): void {
  history.pushState(null, '', href);
  open();
  window.scrollTo(0, 0);
  document.getElementById('main')!.focus({ preventScroll: true });
}

const apps = new AppSelect(frame);
const zones = new ZoneSelect(frame);
const home = h(
  'a',
  { class: 'brand', href: '/', 'data-link': true },
  h('img', { src: '/assets/icon.svg', alt: '', width: 24, height: 24 }),
  'callstream',
);
const sought = h('input', { type: 'search', placeholder: 'Search', 'aria-label': 'Search', autocomplete: 'off' });
/** From every page: ids that somebody was told, of whatever they are. */
const finder = h(
  'form',
  {
    class: 'finder',
    role: 'search',
    title: 'A call, a room or a user, by the exact id',
    submit: (event: Event) => {
      event.preventDefault();
      const q = sought.value.trim();
      sought.value = '';
      if (q !== '') go(frame.link('/calls', { q }, { period: { window: '30d' } }));
    },
  },
  sought,
);
const links = PLACES.filter(({ name }) => name !== '').map(({ path, name }) =>
  h('a', { href: path, 'data-link': true, 'data-path': path }, name),
);

const nav = h('nav', { 'aria-label': 'Pages' }, ...links);

/** Links and controls as the state has them. */
function syncTop(): void {
  home.href = frame.link('/');
  for (const link of links) {
    const { path } = link.dataset;
    link.href = frame.link(path!);
    if (path === place.path) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  apps.sync();
  zones.sync();
}

document.getElementById('top')!.append(
  home,
  nav,
  h(
    'div',
    { class: 'controls' },
    finder,
    liveButton,
    apps.element,
    zones.element,
    themeButton(() => page?.themeChanged?.()),
  ),
);

document.addEventListener('click', (event) => {
  const link = (event.target as Element).closest<HTMLAnchorElement>('a[data-link]');
  if (link === null || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  go(link.href);
});
window.addEventListener('popstate', open);

open();
