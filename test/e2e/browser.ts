import { existsSync, rmSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { type Api, type ApiOptions, type Query, startApi } from '../../src/api/index.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { ApiFixture, compileWeb } from '../integration/api-fixture.js';
import { MemoryDesk } from '../support/alert-desk.js';
import { useStack } from '../support/stack.js';

/*
 * A dashboard to look at in a browser: an API with a ClickHouse of its own, and a headless Chromium.
 */

const CHROMIUM = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
);
/** Without one, the browser tests are skipped. */
export const hasBrowser = CHROMIUM !== undefined;
if (!hasBrowser)
  console.warn('The browser tests are skipped: no Chromium here. Install one (apt-get install chromium) or set CHROMIUM_PATH.');

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Live changes come within two seconds on a machine that is not busy with everything else. */
export const WITHIN = { timeout: 15_000 };

/** A number as the pages write it. */
export const numberIn = (text: string | null): number => Number((text ?? '').replaceAll(',', ''));

export interface Pages {
  /** Of every page opened so far: errors in the console, exceptions, requests to other servers. A file's last test wants none. */
  readonly errors: readonly string[];
  /** A page of the site at this origin in a context of its own, in Berlin unless the options say otherwise. Whoever opens it closes the context. */
  openAt(origin: string, path: string, options?: BrowserContextOptions): Promise<Page>;
}

/** A headless browser for the tests of a `describe`, started before and stopped after them. */
export function useBrowser(): Pages {
  const errors: string[] = [];
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: FLAGS });
  });
  afterAll(() => browser?.close());
  return {
    errors,
    async openAt(origin, path, options = {}) {
      const context = await browser.newContext({ timezoneId: 'Europe/Berlin', viewport: { width: 1280, height: 900 }, ...options });
      const page = await context.newPage();
      page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
      page.on('pageerror', (error) => errors.push(error.message));
      page.on('request', (request) => request.url().startsWith(origin) || errors.push(`foreign request: ${request.url()}`));
      await page.goto(origin + path);
      return page;
    },
  };
}

export interface Dashboard {
  readonly fixture: ApiFixture;
  /** The one that pages are opened at. */
  readonly api: Api;
  /** Rules, silences and receivers of every API that is served. */
  readonly desk: MemoryDesk;
  readonly errors: readonly string[];
  /** One more API on the same data; who starts it stops it. @param query what it asks instead of the database */
  serve(options?: Partial<ApiOptions>, query?: Query): Promise<Api>;
  /** As {@link Pages.openAt}. */
  open(path: string, options?: BrowserContextOptions, base?: Api): Promise<Page>;
}

/**
 * Servers and browser for the tests of a `describe`, started before and stopped after them.
 * @param fill puts the data there
 */
export function useDashboard(fill: (fixture: ApiFixture) => Promise<void>): Dashboard {
  const server = useStack(['clickhouse']);
  const { errors, openAt } = useBrowser();
  const desk = new MemoryDesk();
  let fixture: ApiFixture;
  let webDir: string;
  let api: Api;

  const serve = (options: Partial<ApiOptions> = {}, query = fixture.query): Promise<Api> =>
    startApi(
      { host: '127.0.0.1', port: 0, apps: [{ provider: 'tencent', app_id: '1400000001' }], webDir, livePollMs: 200, ...options },
      { query, alerts: desk, clock: systemClock, log: silentLogger(), metrics: createMetrics() },
    );

  beforeAll(async () => {
    webDir = compileWeb();
    fixture = await ApiFixture.create(server.clickhouseUrl);
    await fill(fixture);
    api = await serve();
  });
  afterAll(async () => {
    await api?.stop();
    await fixture?.close();
    rmSync(webDir, { recursive: true, force: true });
  });

  return {
    get fixture() {
      return fixture;
    },
    get api() {
      return api;
    },
    errors,
    desk,
    serve,
    open: (path, options = {}, base = api) => openAt(base.address, path, options),
  };
}
