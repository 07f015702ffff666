import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe, { type AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openClickHouse } from '../../src/cli/parts.js';
import type { ClickHouse } from '../../src/clickhouse/index.js';
import { freePort } from '../../src/local/index.js';
import type { SimulationReport } from '../../src/simulator/index.js';
import { System } from '../support/system.js';
import { hasBrowser, numberIn, useBrowser, WITHIN } from './browser.js';

/*
 * The pages of a whole system: `callstream up` and the simulator as processes. The simulator compares ClickHouse with its truth, and what the pages show is compared
 * with plain SQL over the relations.
 */

const APP = '1400000001';
const CALLS = 150;

const PAGES = ['/', '/missed', '/calls', '/call', '/people', '/recordings', '/health', '/alerts'];
const LOOKS: readonly { name: string; look: (page: Page) => Promise<void> }[] = [
  { name: 'light', look: (page) => page.emulateMedia({ colorScheme: 'light' }) },
  { name: 'dark', look: (page) => page.emulateMedia({ colorScheme: 'dark' }) },
  { name: 'narrow', look: (page) => page.setViewportSize({ width: 390, height: 844 }) },
];

interface Row {
  call_id: string;
  caller: string;
  callees: string[];
  outcome: string;
  status: string;
  missed: boolean;
  started: number;
}

describe.skipIf(!hasBrowser)('the pages of a running system', () => {
  const dir = mkdtempSync(join(tmpdir(), 'callstream-pages-'));
  const { openAt, errors } = useBrowser();
  let system: System;
  let clickhouse: ClickHouse;
  let simulated: SimulationReport;
  let calls: Row[];
  let origin: string;
  /** Everything that was simulated, whenever a test runs. */
  let period: string;

  beforeAll(async () => {
    const vendor = `http://127.0.0.1:${await freePort()}`;
    const file = join(dir, 'callstream.yaml');
    writeFileSync(
      file,
      `apps:
  - provider: tencent
    appId: "${APP}"
    tiwCallbackKey: tiw-key
    records: { endpoint: "${vendor}", identifier: administrator, secretKey: records-key }
sessions: { ringTimeout: 5s, settle: 1s, maxCall: 30s, retention: 10s }
polling: { sweepEvery: 1s, overlap: 2h, delay: 0s, userEvents: off }
`,
    );
    const began = Date.now();
    system = await System.start(dir, file);
    origin = `http://127.0.0.1:${system.config.api.port}`;
    clickhouse = openClickHouse(system.config);
    simulated = await system.simulate({ seed: 'pages', chaos: 'mild', calls: CALLS, live: 0, verify: true }, file).report;
    calls = await clickhouse.query<Row>(
      `SELECT call_id, caller, callees, outcome, status, missed, toUnixTimestamp64Milli(started_at) AS started FROM calls WHERE end_reason != 'merged'`,
    );
    const day = 86_400_000;
    period = new URLSearchParams({ from: new Date(began - day).toISOString(), to: new Date(began + day).toISOString() }).toString();
  }, 400_000);
  afterAll(async () => {
    await clickhouse?.close();
    await system?.stop();
    system?.kill();
    rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
  });

  /** One call of two users in real time, as the vendor tells of it. */
  async function call(call_id: string, caller: string, callee: string, end: 'NOT_ANSWER' | 'NORMAL_END'): Promise<void> {
    const now = Math.floor(Date.now() / 1_000);
    const told: [string, string, string][] =
      end === 'NOT_ANSWER'
        ? [
            ['start_call', caller, 'caller'],
            ['receive_call', callee, 'callee'],
            ['call_missed', caller, 'caller'],
            ['not_answer_call', callee, 'callee'],
          ]
        : [
            ['start_call', caller, 'caller'],
            ['accept_call', callee, 'callee'],
            ['call_end', callee, 'callee'],
          ];
    for (const [i, [Event, UserId, Role]] of told.entries()) {
      const body = {
        CallId: call_id,
        RoomId: call_id,
        CallType: 'single',
        MediaType: 'audio',
        TotalNum: 2,
        CallResult: i < 2 ? '' : end,
        Event,
        UserId,
        Role,
        EventTime: now - told.length + i,
      };
      const path = `/callbacks/tuicallkit?sdkappid=${APP}&command=event&contenttype=json`;
      const answer = await fetch(`http://127.0.0.1:${system.config.ingest.port}${path}`, { method: 'POST', body: JSON.stringify(body) });
      expect(answer.status).toBe(200);
    }
  }

  const open = (path: string, options = {}): Promise<Page> => openAt(origin, path, options);
  const at = (path: string): string => `${path}?${period}`;

  it('have a simulator whose truth ClickHouse has', () => {
    expect(simulated.verify).toMatchObject({ total: 0, first: [] });
    expect(calls.length).toBe(simulated.verify!.compared.calls);
  });

  it('count what the truth counts', async () => {
    const page = await open(at('/'));
    const over = calls.filter(({ status }) => status === 'ended');
    const answered = over.filter(({ outcome }) => outcome === 'answered').length;
    const value = (name: string) => page.locator(`[data-tile=${name}] .value`);
    await expect.poll(async () => numberIn(await value('calls').textContent()), WITHIN).toBe(over.length);
    expect(await value('asr').textContent()).toBe(`${((100 * answered) / over.length).toFixed(1)}%`);
    expect(await value('missed').textContent()).toBe(String(over.filter(({ missed }) => missed).length));
    for (const outcome of ['answered', 'no_answer', 'cancelled'])
      expect(numberIn(await page.locator(`.legend [data-outcome=${outcome}] b`).textContent()), outcome).toBe(
        over.filter((one) => one.outcome === outcome).length,
      );
    await page.context().close();
  });

  it('export what the query finds', async () => {
    const page = await open(`${at('/calls')}&outcome=no_answer`);
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export as NDJSON' }).click();
    const lines = (await readFile(await (await saved).path(), 'utf8')).trimEnd().split('\n');
    const expected = calls.filter(({ status, outcome }) => status === 'ended' && outcome === 'no_answer');
    expect(expected.length).toBeGreaterThan(3);
    expect(lines.map((line) => (JSON.parse(line) as Row).call_id).sort()).toEqual(expected.map(({ call_id }) => call_id).sort());
    await page.context().close();
  });

  it('show a missed call when it is missed, and let it go when it is returned', async () => {
    const page = await open('/missed');
    await page.locator('.live[data-status=live]').waitFor();
    const row = page.locator('table.missed tbody tr').filter({ hasText: 'waiting-wanda' });
    expect(await row.count()).toBe(0);
    await call('missed-1', 'waiting-wanda', 'busy-bert', 'NOT_ANSWER');
    await row.first().waitFor(WITHIN);
    await call('returned-1', 'busy-bert', 'waiting-wanda', 'NORMAL_END');
    await expect.poll(() => row.count(), WITHIN).toBe(0);
    await page.context().close();
  });

  it.each(PAGES)('are for everybody: %s has no serious violation that axe knows, light, dark or narrow', async (path) => {
    const [one] = calls;
    const own: Record<string, Record<string, string>> = {
      '/call': { provider: 'tencent', app_id: APP, id: one!.call_id },
      '/people': { app: APP, user: one!.caller },
    };
    const page = await open(`${at(path)}&${new URLSearchParams(own[path])}`);
    await page.locator('.live[data-status=live]').waitFor(WITHIN);
    await page.evaluate(axe.source);
    const found: string[] = [];
    for (const { name, look } of LOOKS) {
      await look(page);
      const { violations } = await page.evaluate<AxeResults>('axe.run()');
      for (const { id, impact, nodes } of violations)
        if (impact === 'serious' || impact === 'critical') found.push(`${name}: ${id} at ${nodes.map((node) => node.target).join(', ')}`);
    }
    expect(found).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    await page.context().close();
  });

  it('have no errors in the console and ask no other server', () => {
    expect(errors).toEqual([]);
  });
});
