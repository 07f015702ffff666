import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe, { type AxeResults } from 'axe-core';
import type { Locator, Page } from 'playwright-core';
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

/** The texts of a row's cells, the first so many. */
const cells = (rows: Locator, count: number): Promise<string[][]> =>
  rows.evaluateAll(
    (found, n) =>
      found.map((row) => [...row.children].slice(0, n).map((cell) => (cell as { textContent: string | null }).textContent?.trim() ?? '')),
    count,
  );

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

  it('list who waits for a call back, and how often they tried', async () => {
    const page = await open(at('/missed'));
    const waiting = await clickhouse.query<{ caller: string; callee: string; missed_count: number }>(
      'SELECT caller, callee, missed_count FROM missed_unreturned',
    );
    expect(waiting.length).toBeGreaterThan(5);
    expect(waiting.length).toBe(simulated.verify!.compared.missed_pairs);
    const rows = page.locator('.missed tbody tr:not(.attempts)');
    await expect.poll(() => rows.count(), WITHIN).toBe(waiting.length);
    expect((await cells(rows, 3)).sort()).toEqual(waiting.map((pair) => [pair.caller, pair.callee, String(pair.missed_count)]).sort());
    const tile = (name: string) => page.locator(`[data-tile=${name}] .value`);
    await expect.poll(() => tile('missed_unreturned').textContent(), WITHIN).toBe(String(waiting.length));
    expect(numberIn(await tile('unreturned_calls').textContent())).toBe(waiting.reduce((sum, pair) => sum + Number(pair.missed_count), 0));
    await page.context().close();
  });

  it('find every call, and say so', async () => {
    const page = await open(at('/calls'));
    await expect.poll(() => page.locator('.found').textContent(), WITHIN).toBe(`${calls.length} calls`);
    await page.context().close();
  });

  it('tell of a call what its record, its legs, its inputs and its revisions are', async () => {
    const [one] = await clickhouse.query<{ call_id: string; revision: number }>(
      `SELECT call_id, revision FROM calls_latest FINAL WHERE outcome = 'answered' AND status = 'ended' AND end_reason != 'merged' ORDER BY length(legs) DESC, call_id LIMIT 1`,
    );
    const id = one!.call_id;
    const page = await open(`/call?${new URLSearchParams({ provider: 'tencent', app_id: APP, id })}`);
    await page.locator('table.legs').waitFor(WITHIN);
    const legs = await clickhouse.query<{ user_id: string; role: string }>(
      'SELECT user_id, role FROM call_legs WHERE call_id = {id:String}',
      { id },
    );
    const [inputs] = await clickhouse.query<{ n: number }>('SELECT count() AS n FROM call_events WHERE call_id = {id:String}', { id });
    expect((await cells(page.locator('table.legs tbody tr'), 2)).sort()).toEqual(legs.map(({ user_id, role }) => [user_id, role]).sort());
    expect(await page.locator('table.events tbody tr:not(.body)').count()).toBe(Number(inputs!.n));
    expect(await page.locator('table.revisions tbody tr').count()).toBe(Number(one!.revision));
    await page.context().close();
  });

  it('tell of a user whom they called, missed and spoke with', async () => {
    const [busiest] = await clickhouse.query<{ user_id: string }>(
      'SELECT user_id, count() AS n, uniqExact(role) AS roles FROM call_legs GROUP BY user_id ORDER BY roles DESC, n DESC, user_id LIMIT 1',
    );
    const user = busiest!.user_id;
    const [own] = await clickhouse.query<Record<string, number>>(
      `SELECT countIf(role = 'caller') AS placed, countIf(role = 'callee') AS called, countIf(missed) AS missed FROM call_legs WHERE user_id = {user:String}`,
      { user },
    );
    const others = await clickhouse.query<{ user_id: string; spoke: number; both: number }>(
      `SELECT l.user_id AS user_id, countIf(l.outcome = 'answered' AND m.outcome = 'answered') AS spoke, count() AS both
       FROM call_legs AS l INNER JOIN (SELECT call_id, outcome FROM call_legs WHERE user_id = {user:String}) AS m ON l.call_id = m.call_id
       WHERE l.user_id != {user:String} GROUP BY user_id ORDER BY spoke DESC, both DESC, user_id LIMIT 10`,
      { user },
    );
    const page = await open(`${at('/people')}&${new URLSearchParams({ app: APP, user })}`);
    for (const [name, count] of Object.entries(own!))
      await expect.poll(() => page.locator(`[data-tile=${name}] .value`).textContent(), WITHIN).toBe(String(count));
    const rows = await cells(page.locator('.contacts tbody tr'), 4);
    expect(rows.map(([name, spoke, , both]) => [name, spoke, both])).toEqual(
      others.map((one) => [one.user_id, Number(one.spoke) === 0 ? 'never' : String(one.spoke), String(one.both)]),
    );
    expect(others.length).toBeGreaterThan(1);
    await page.context().close();
  });

  it('list every recording', async () => {
    const page = await open(at('/recordings'));
    const rows = page.locator('.recordings tbody tr[data-task]');
    await expect.poll(() => rows.count(), WITHIN).toBe(simulated.verify!.compared.recordings);
    expect(simulated.verify!.compared.recordings).toBeGreaterThan(0);
    await page.context().close();
  });

  it('say how much arrived: new, twice, and unreadable', async () => {
    const page = await open('/health?window=24h');
    const { received, folded, duplicates, dead } = simulated.verify!.compared;
    const rows = page.locator('.card', { hasText: 'What arrived' }).locator('tbody tr');
    await rows.first().waitFor(WITHIN);
    // A sweep may bring what is known already again, as long as the system runs.
    const [again] = await clickhouse.query<Record<string, number>>(
      'SELECT sum(received) AS received, sum(folded) AS folded, sum(duplicates) AS duplicates, sum(dead) AS dead FROM delivery_minutes',
    );
    const shown = await cells(rows, 6);
    const sum = (column: number): number => shown.reduce((total, row) => total + numberIn(row[column] ?? ''), 0);
    expect([sum(3), sum(5)]).toEqual([folded, dead]);
    expect([Number(again!.folded), Number(again!.dead)]).toEqual([folded, dead]);
    expect(sum(2)).toBe(sum(3) + sum(4) + sum(5));
    expect(sum(2)).toBeGreaterThanOrEqual(received);
    expect(sum(4)).toBeGreaterThanOrEqual(duplicates);
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
