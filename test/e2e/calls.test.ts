import { readFile } from 'node:fs/promises';
import type { Download, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import type { Query } from '../../src/api/index.js';
import { day, type Story, story } from '../integration/api-fixture.js';
import { hasBrowser, numberIn, useDashboard, WITHIN } from './browser.js';

const MANY = 50_000;
const idOf = (i: number): string => `bulk-${String(i).padStart(5, '0')}`;

/** A heap of calls, one a second, the newest first. */
const heap = (now: number, from: number, to: number): object[] =>
  Array.from({ length: to - from }, (_, k) => {
    const i = from + k;
    const outcome = ['answered', 'no_answer', 'busy'][i % 3]!;
    const startedAt = now - 60_000 - i * 1000;
    return story({
      id: idOf(i),
      app: 'bulk',
      startedAt,
      outcome,
      ringMs: 3000,
      talkMs: 20_000,
      caller: `user-${i % 400}`,
      callees: [`user-${(i * 7 + 1) % 400}`],
    }).call;
  });

describe.skipIf(!hasBrowser)('the pages Calls and People', () => {
  const started = Date.now();
  const plain = { startedAt: started - 600_000, ringMs: 20_000, talkMs: 0 };
  const stories: Story[] = [
    ...day(started, 800),
    story({ ...plain, id: 'not-called-back', outcome: 'no_answer', caller: 'nadia', callees: ['alice'] }),
    // A line within a field of CSV.
    story({ ...plain, id: 'of two lines', outcome: 'rejected', caller: 'new\nline, "quoted"', callees: ['bob'] }),
  ];
  const calls = stories.map((s) => s.call);
  const dashboard = useDashboard(async (fixture) => {
    await fixture.put(stories);
    for (let from = 0; from < MANY; from += 10_000) await fixture.insert('calls_latest', heap(started, from, from + 10_000));
  });
  const { open } = dashboard;

  const rows = (page: Page) => page.locator('table.calls tbody tr');
  const found = (page: Page) => page.locator('.found');
  const users = (call: Story['call']): unknown[] => [call.caller, ...(call.callees as string[])];
  const ids = (page: Page): Promise<(string | null)[]> => rows(page).evaluateAll((all) => all.map((row) => row.getAttribute('data-call')));

  it('find what the filters say, and the address has them', async () => {
    const page = await open('/calls?app=1400000001&window=7d');
    await expect.poll(async () => numberIn((await found(page).textContent())!.split(' ')[0]!), WITHIN).toBe(calls.length);
    await page.locator('.chips label', { hasText: 'No answer' }).click();
    await page.locator('.chips label', { hasText: 'Busy' }).click();
    await page.getByLabel('Find calls by the exact id').fill('alice');
    await page.getByRole('button', { name: 'Find' }).click();
    const expected = calls
      .filter((c) => c.status === 'ended' && ['no_answer', 'busy'].includes(c.outcome) && users(c).includes('alice'))
      .sort((a, b) => b.started_at - a.started_at);
    expect(expected.length).toBeGreaterThan(5);
    await expect.poll(() => found(page).textContent(), WITHIN).toBe(`${expected.length} calls`);
    await expect.poll(async () => (await ids(page)).slice(0, 5), WITHIN).toEqual(expected.slice(0, 5).map((c) => c.call_id));
    expect(await page.locator('table.calls').getAttribute('aria-rowcount')).toBe(String(expected.length + 1));
    const search = '?window=7d&app=1400000001&q=alice&outcome=no_answer%2Cbusy';
    expect(new URL(page.url()).search).toBe(search);
    await page.reload();
    await expect.poll(() => found(page).textContent(), WITHIN).toBe(`${expected.length} calls`);
    expect(await page.getByRole('checkbox', { name: 'Busy' }).isChecked()).toBe(true);
    await page.getByRole('button', { name: 'What does “Calls found” mean?' }).focus();
    await page.getByText('match every filter, also those that are not over').waitFor();
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await expect.poll(async () => numberIn((await found(page).textContent())!.split(' ')[0]!), WITHIN).toBe(calls.length);
    await page.context().close();
  });

  it('say what to do when nothing is found', async () => {
    const page = await open('/calls?q=nobody');
    await page.getByText('No call of this period matches these filters').waitFor();
    await expect.poll(() => found(page).textContent(), WITHIN).toBe('0 calls');
    await page.getByRole('button', { name: 'Look back five years' }).click();
    await expect.poll(() => new URL(page.url()).searchParams.has('from'), WITHIN).toBe(true);
    await page.context().close();
  });

  it(`draws ${MANY.toLocaleString('en')} rows in order, each once, and never more than are seen`, async () => {
    const page = await open('/calls?app=bulk', { viewport: { width: 400, height: 3000 } });
    await rows(page).nth(20).waitFor();
    const seen = (await page.evaluate(`(${SCROLL_THROUGH})(${MANY})`)) as Seen;
    expect(seen.first).toBe(idOf(0));
    expect(seen.outOfOrder).toEqual([]);
    expect(seen.rows).toBe(MANY);
    // Those in sight, and twelve above and below.
    expect(seen.most).toBeLessThanOrEqual(Math.ceil(seen.height / 40) + 25);
    expect(await page.locator('table.calls').getAttribute('aria-rowcount')).toBe(String(MANY + 1));
    expect(await rows(page).last().getAttribute('aria-rowindex')).toBe(String(MANY + 1));
    await page.context().close();
  });

  it('scrolls with wheel and keys; the focus is never lost', async () => {
    const page = await open('/calls?app=bulk');
    const region = page.getByRole('region', { name: 'Calls, newest first' });
    const top = (): Promise<number> => region.evaluate((element) => element.scrollTop);
    await rows(page).first().locator('a').first().focus();
    for (const key of ['ArrowDown', 'ArrowDown', 'PageDown', 'ArrowUp']) await page.keyboard.press(key);
    const focused = await page.evaluate('document.activeElement.closest("tr").dataset.call');
    expect(Number(String(focused).slice(5))).toBeGreaterThan(10);
    await region.hover();
    await page.mouse.wheel(0, 12_000);
    await expect.poll(top, WITHIN).toBeGreaterThan(10_000);
    // What stands in the middle of the table is the row that belongs there.
    await expect.poll(() => page.evaluate(ROW_IN_THE_MIDDLE), WITHIN).toMatch(/^(\d+) \1$/);
    // The row that had the focus is not drawn any more: the table itself has it, and scrolls.
    await expect.poll(() => page.evaluate('document.activeElement.getAttribute("role")'), WITHIN).toBe('region');
    const before = await top();
    await page.keyboard.press('PageDown');
    await expect.poll(top, WITHIN).toBeGreaterThan(before);
    await page.context().close();
  });

  it('takes live calls in without moving what the reader looks at', async () => {
    const plot = { app: 'newcomer', outcome: 'answered', ringMs: 10, talkMs: 20, caller: 'ada', callees: ['grace'] };
    const at = Date.now() - 100_000;
    await dashboard.fixture.put(Array.from({ length: 60 }, (_, i) => story({ ...plot, id: `old-${i}`, startedAt: at - i * 1000 })));
    const page = await open('/calls?app=newcomer&outcome=answered');
    await page.locator('.live[data-status=live]').waitFor();
    await expect.poll(() => found(page).textContent(), WITHIN).toBe('60 calls');
    await dashboard.fixture.put([story({ ...plot, id: 'at-the-top', startedAt: Date.now() - 1000 })]);
    await expect.poll(async () => (await ids(page))[0], WITHIN).toBe('at-the-top');

    const region = page.getByRole('region', { name: 'Calls, newest first' });
    await region.evaluate((element) => element.scrollTo(0, 1000));
    await page.locator('tr[data-call=old-30]').waitFor();
    const box = async () => (await page.locator('tr[data-call=old-30]').boundingBox())!.y;
    const before = await box();
    await dashboard.fixture.put([
      story({ ...plot, id: 'missed', outcome: 'no_answer', startedAt: Date.now() - 900 }),
      story({ ...plot, id: 'one', startedAt: Date.now() - 800 }),
      story({ ...plot, id: 'two', startedAt: Date.now() - 700 }),
    ]);
    const jump = page.getByRole('button', { name: '2 new calls' });
    await jump.waitFor(WITHIN);
    expect(Math.abs((await box()) - before)).toBeLessThan(1);
    await expect.poll(() => found(page).textContent(), WITHIN).toBe('63 calls');
    await jump.click();
    await expect.poll(async () => (await ids(page)).slice(0, 3), WITHIN).toEqual(['two', 'one', 'at-the-top']);
    expect(await jump.isVisible()).toBe(false);
    await page.context().close();
  });

  const text = async (download: Download): Promise<string> => readFile(await download.path(), 'utf8');

  it('exports what the query says, as CSV and as NDJSON', async () => {
    const page = await open('/calls?app=1400000001&window=7d&outcome=rejected');
    const expected = calls.filter((c) => c.status === 'ended' && c.outcome === 'rejected').sort((a, b) => b.started_at - a.started_at);
    await expect.poll(() => found(page).textContent(), WITHIN).toBe(`${expected.length} calls`);
    for (const [name, format] of [
      ['CSV', 'csv'],
      ['NDJSON', 'ndjson'],
    ] as const) {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: `Export as ${name}`, exact: true }).click(),
      ]);
      expect(download.suggestedFilename()).toMatch(new RegExp(`^calls-.*\\.${format}$`));
      const content = await text(download);
      expect(content).toBe(
        await (
          await fetch(`${dashboard.api.address}/api/v1/calls/export?app=1400000001&window=7d&outcome=rejected&format=${format}`)
        ).text(),
      );
      if (format === 'ndjson')
        expect(
          content
            .trimEnd()
            .split('\n')
            .map((line) => (JSON.parse(line) as { call_id: string }).call_id),
        ).toEqual(expected.map((c) => c.call_id));
      await page.getByText(`Saved ${expected.length} calls.`).waitFor();
    }
    await page.context().close();
  });

  /** The second piece of an export is asked for with the place where the first ended. */
  const secondPiece = (params: Record<string, unknown>): boolean => params.limit === 5000 && 'afterCall' in params;

  it('says that an export broke off, and saves nothing', async () => {
    const broken: Query = (sql, params) => (secondPiece(params) ? Promise.reject(new Error('gone')) : dashboard.fixture.query(sql, params));
    const api = await dashboard.serve({}, broken);
    try {
      const page = await open('/calls?app=bulk', {}, api);
      let saved = 0;
      page.on('download', () => saved++);
      await page.getByRole('button', { name: 'Export as CSV' }).click();
      await page.getByText(/The export broke off after [\d,]+ of 50,000 calls, so nothing was saved/).waitFor(WITHIN);
      expect(saved).toBe(0);
      await page.getByRole('button', { name: 'Export as CSV' }).waitFor();
      await page.context().close();
    } finally {
      await api.stop();
    }
  });

  it('shows how far an export is, and stops it when asked to', async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow: Query = async (sql, params) => {
      if (secondPiece(params)) await held;
      return dashboard.fixture.query(sql, params);
    };
    const api = await dashboard.serve({}, slow);
    try {
      const page = await open('/calls?app=bulk', {}, api);
      let saved = 0;
      page.on('download', () => saved++);
      await page.getByRole('button', { name: 'Export as NDJSON' }).click();
      await page.getByText(/^[1-9][\d,]+ of 50,000$/).waitFor(WITHIN);
      expect(await page.getByLabel('Rows of the export').getAttribute('max')).toBe(String(MANY));
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByText('Cancelled: nothing was saved.').waitFor();
      expect(saved).toBe(0);
      await page.context().close();
    } finally {
      release();
      await api.stop();
    }
  });

  it('lead to a user, whose numbers are those of the data', async () => {
    const page = await open('/calls?app=1400000001&window=24h&q=alice');
    await page.locator('a.person', { hasText: 'alice' }).first().click();
    await page.getByRole('heading', { name: 'alice', level: 1 }).waitFor();
    expect(new URL(page.url()).search).toBe('?window=24h&app=1400000001&user=alice');
    const { from } = (await (await fetch(`${dashboard.api.address}/api/v1/summary?window=24h`)).json()) as { from: number };
    const own = calls.filter((c) => users(c).includes('alice') && c.started_at >= from);
    const legs = own.map((c) => c.legs.find((leg) => leg.user_id === 'alice')!);
    const value = (name: string) => page.locator(`[data-tile=${name}] .value`).textContent();
    await expect.poll(() => value('calls'), WITHIN).toBe(String(own.length));
    expect(await value('placed')).toBe(String(legs.filter((leg) => leg.role === 'caller').length));
    expect(await value('called')).toBe(String(legs.filter((leg) => leg.role === 'callee').length));
    expect(await value('missed')).toBe(String(legs.filter((leg) => leg.missed).length));
    const called = legs.filter((leg) => leg.role === 'callee').length;
    expect(await page.locator('[data-tile=missed] .n-of').textContent()).toBe(`n = ${called}`);
    const newest = own.sort((a, b) => b.started_at - a.started_at);
    expect((await ids(page)).slice(0, 5)).toEqual(newest.slice(0, 5).map((c) => c.call_id));
    const waiting = (await (await fetch(`${dashboard.api.address}/api/v1/missed?window=24h&app=1400000001&callee=alice`)).json()) as {
      missed: { caller: string; missed_count: number }[];
    };
    expect(waiting.missed.map((pair) => pair.caller)).toContain('nadia');
    expect(await page.locator('.two > div').first().locator('li a').allTextContents()).toEqual(waiting.missed.map((pair) => pair.caller));
    await page.locator('table.of-user tbody tr a').first().click();
    await page.locator('.legs').waitFor();
    await page.context().close();
  });

  it('ask in which app a user is, where there are several, and have a narrow form', async () => {
    const page = await open('/people?user=ada', { viewport: { width: 390, height: 844 } });
    await page.getByRole('heading', { name: 'ada', level: 1 }).waitFor();
    await expect.poll(() => new URL(page.url()).searchParams.get('app'), WITHIN).toBe('newcomer');
    await rows(page).first().waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    await page.goto(`${dashboard.api.address}/people`);
    await page.getByLabel('User', { exact: true }).fill('user-3');
    await page.keyboard.press('Enter');
    await expect.poll(() => new URL(page.url()).searchParams.get('app'), WITHIN).toBe('bulk');
    await rows(page).first().waitFor();
    await page.goto(`${dashboard.api.address}/calls?app=bulk`);
    await rows(page).first().waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    await page.context().close();
  });

  it('are reached from the overview with its period and filters', async () => {
    const page = await open('/?window=6h&outcome=busy&app=1400000001');
    await page.getByRole('link', { name: 'All calls of this period' }).click();
    await rows(page).first().waitFor();
    expect(new URL(page.url()).search).toBe('?window=6h&app=1400000001&outcome=busy');
    await page.context().close();
  });

  it('have no errors in the console and ask no other server', () => {
    // Chromium tells of the export that was broken on purpose.
    expect(dashboard.errors.filter((text) => !text.includes('ERR_INCOMPLETE_CHUNKED_ENCODING'))).toEqual([]);
  });
});

/** Number of the row in the middle of the region, as it says itself and as the place says. */
const ROW_IN_THE_MIDDLE = `(() => {
  const region = document.querySelector('.windowed');
  const { left, top, width, height } = region.getBoundingClientRect();
  const row = document.elementFromPoint(left + width / 2, top + height / 2).closest('tr');
  const head = region.querySelector('thead').offsetHeight;
  return row.getAttribute('aria-rowindex') + ' ' + (Math.floor((region.scrollTop + height / 2 - head) / 40) + 2);
})()`;

interface Seen {
  first: string;
  rows: number;
  /** Rows in the document at once. */
  most: number;
  outOfOrder: unknown[];
  height: number;
}

/**
 * Goes down the table a page at a time with the keyboard, which draws at once, and waits only for pages of the API. As text: it runs in the browser, whose types
 * the tests do not have.
 */
const SCROLL_THROUGH = `async (many) => {
  const region = document.querySelector('.windowed');
  const outOfOrder = [];
  let [next, most, last] = [0, 0, ''];
  const first = region.querySelector('tbody tr').dataset.call;
  region.querySelector('tbody a').focus();
  for (;;) {
    const drawn = [...region.querySelectorAll('tbody tr')];
    most = Math.max(most, drawn.length);
    for (const row of drawn) {
      const index = Number(row.getAttribute('aria-rowindex')) - 2;
      const id = 'bulk-' + String(index).padStart(5, '0');
      if (index > next || row.dataset.call !== id) outOfOrder.push([next, index, row.dataset.call]);
      if (index === next) next++;
    }
    if (next >= many || outOfOrder.length > 0) return { first, rows: next, most, outOfOrder, height: region.clientHeight };
    const before = document.activeElement;
    before.dispatchEvent(new KeyboardEvent('keydown', { key: 'PageDown', bubbles: true }));
    if (document.activeElement === before) await new Promise((resolve) => setTimeout(resolve, 20));
  }
}`;
