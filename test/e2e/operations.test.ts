import type { Locator } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../../src/api/index.js';
import { CallstreamError } from '../../src/domain/errors.js';
import { story } from '../integration/api-fixture.js';
import { hasBrowser, numberIn, useDashboard, WITHIN } from './browser.js';
import { type Admin, APP, putAlerts, putDeadLetters, putTraffic, startAdmin } from './operations-data.js';

/*
 * The pages Missed, Health and Alerts, and what the overview compares.
 */

const HOUR = 3_600_000;
const textsOf = (row: Locator): Promise<string[]> => row.locator('th, td').allTextContents();

describe.skipIf(!hasBrowser)('the pages about operations', () => {
  const now = Date.now();
  const miss = (id: string, caller: string, callees: string[], agoMs: number, outcome = 'no_answer', app = APP) =>
    story({ id, app, startedAt: now - agoMs, outcome, ringMs: 30_000, talkMs: outcome === 'answered' ? 60_000 : 0, caller, callees });
  const stories = [
    miss('a1', 'ann', ['bob'], 5 * HOUR),
    miss('a2', 'ann', ['bob'], 3 * HOUR),
    miss('a3', 'ann', ['bob'], 2 * HOUR, 'busy'),
    miss('c1', 'cleo', ['bob'], 4 * HOUR),
    // Called back.
    miss('d1', 'dan', ['eve'], 3 * HOUR),
    miss('d2', 'eve', ['dan'], 2 * HOUR, 'answered'),
    miss('f1', 'fay', ['gus'], 1.5 * HOUR, 'no_answer', 'other'),
    // Two calls of the last half hour, and one of the half hour before.
    miss('g1', 'hal', ['ida'], 20 * 60_000, 'answered'),
    miss('g2', 'hal', ['jo'], 20 * 60_000, 'answered'),
    miss('g3', 'hal', ['kim'], 40 * 60_000, 'rejected'),
    // Going on.
    ...['t1', 't2'].map((id) =>
      story({
        id,
        app: 'talks',
        startedAt: now - 90_000,
        outcome: 'answered',
        open: true,
        ringMs: 3000,
        talkMs: 0,
        caller: `${id}a`,
        callees: [`${id}b`],
      }),
    ),
  ];
  const dashboard = useDashboard(async (fixture) => {
    await fixture.put(stories);
    await putTraffic(fixture, now, [
      { app: APP, source: 'tuicallkit', count: 400, silentMs: 1000, delayMs: 100, twice: 12 },
      { app: APP, source: 'tiw', count: 300, silentMs: 25 * 60_000 },
      { app: APP, source: 'call-record', count: 20, silentMs: 1000 },
    ]);
    await putDeadLetters(fixture, 'not_json', 'Unexpected token <', '<html>', [now - 60_000, now - 70_000]);
    await putDeadLetters(fixture, 'unknown_event', 'no such event', '{"Event":"x"}', [now - 80_000]);
    await putAlerts(fixture, [
      { rule: 'missed-rate', firedAt: now - 10 * 60_000, lastedMs: null, metric: 'missed_rate', value: 0.61, n: 84, threshold: 0.5 },
      { rule: 'failed-rate', firedAt: now - 5 * HOUR, lastedMs: 20 * 60_000, metric: 'failed_rate', value: 0.04, n: 210, threshold: 0.1 },
    ]);
  });
  const { desk } = dashboard;
  let admin: Admin;
  let api: Api;
  beforeAll(async () => {
    admin = await startAdmin();
    admin.metrics.callstream_task_lag.set({ worker: 'sessions', topic: 't' }, 7);
    admin.metrics.callstream_spool_events.set(0);
    admin.metrics.callstream_poll_limit_per_second.set({ source: 'call-record', app: APP, operation: 'page' }, 16);
    desk.samples = { 'missed-rate': new Map([[APP, { value: 0.58, n: 90 }]]), 'failed-rate': new Map([[APP, { value: 0.02, n: 3 }]]) };
    api = await dashboard.serve({ admins: [admin.address] });
  });
  afterAll(async () => {
    await api?.stop();
    await admin?.close();
  });
  const open: typeof dashboard.open = (path, options) => dashboard.open(path, options, api);

  it('who has not been called back, how often they tried and since when; by user, by callee, by hour', async () => {
    const page = await open('/missed');
    const rows = page.locator('.missed tbody tr:not(.attempts)');
    await rows.first().waitFor();
    const cells = async () => Promise.all((await rows.all()).map(async (row) => (await textsOf(row)).slice(0, 3)));
    expect(await cells()).toEqual([
      ['fay', 'gus', '1'],
      ['ann', 'bob', '3'],
      ['cleo', 'bob', '1'],
    ]);
    await expect.poll(() => page.locator('[data-tile=missed_unreturned] .value').textContent(), WITHIN).toBe('3');
    expect(await page.locator('[data-tile=unreturned_calls] .value').textContent()).toBe('5');
    expect(await page.locator('[data-tile=missed_unreturned] .about').textContent()).toContain('no answered call between the two since');
    expect((await textsOf(page.locator('.callees tbody tr').first())).slice(0, 4)).toEqual(['bob', APP, '2', '4']);

    await page.getByRole('button', { name: 'Calls of ann to bob' }).click();
    await expect.poll(() => page.locator('.attempts li').count(), WITHIN).toBe(3);
    expect(await page.locator('.attempts .badge').allTextContents()).toEqual(['Busy', 'No answer', 'No answer']);
    expect(await page.locator('.attempts a').first().getAttribute('href')).toContain('/call?provider=tencent&app_id=1400000001&id=a3');

    // What was missed, whether or not it was returned.
    await page.locator('.heatmap tbody td').first().waitFor();
    const missed = stories.filter(({ call }) => call.missed);
    expect(numberIn(await page.locator('.heatmap tbody tr:last-child .sum').textContent())).toBe(missed.length);
    await page.getByLabel('Calls', { exact: true }).check();
    expect(numberIn(await page.locator('.heatmap tbody tr:last-child .sum').textContent())).toBe(
      stories.filter(({ call }) => call.status === 'ended').length,
    );

    await page.getByLabel(/Only missed calls with the user/).fill('cleo');
    await page.keyboard.press('Enter');
    await expect.poll(() => rows.count(), WITHIN).toBe(1);
    expect(new URL(page.url()).searchParams.get('user')).toBe('cleo');
    await page.getByLabel(/Only missed calls with the user/).fill('nobody');
    await page.keyboard.press('Enter');
    await page.getByText('Nobody waits for a call back with nobody').waitFor();
    await page.context().close();
  });

  it.each(['/missed', '/health'])('%s shows a week at most of a longer window that another page has', async (path) => {
    const page = await open('/?window=30d');
    const asked: string[] = [];
    page.on('request', (request) => {
      const { pathname, search } = new URL(request.url());
      if (pathname.startsWith(`/api/v1${path}`)) asked.push(search);
    });
    await page.locator(`nav a[href^="${path}"]`).click();
    await expect.poll(() => asked.length, WITHIN).toBeGreaterThan(0);
    expect(asked.filter((search) => !search.includes('window=7d'))).toEqual([]);
    const windows = page.locator('.choose-period .windows label:visible');
    expect((await windows.allTextContents()).at(-1)).toBe('7 days');
    expect(await page.locator('.choose-period input[type=radio]:checked').inputValue()).toBe('7d');
    await page.context().close();
  });

  it('a missed call appears within two seconds, says so when it is returned, and goes', async () => {
    // As in production: the live tail looks once a second.
    const live = await dashboard.serve({ livePollMs: 1000 });
    const page = await dashboard.open('/missed?app=live', {}, live);
    await page.getByText('Everybody has been called back in app live').waitFor();
    await page.locator('.live[data-status=live]').waitFor();
    const row = page.locator('[data-pair="zoe yan"]');
    const plot = { app: 'live', ringMs: 800, talkMs: 500, caller: 'zoe', callees: ['yan'] };

    await dashboard.fixture.put([story({ ...plot, id: 'z1', startedAt: Date.now() - 1000, outcome: 'no_answer' })]);
    await expect.poll(() => row.count(), WITHIN).toBe(1);
    await expect.poll(() => page.locator('[data-tile=missed_unreturned] .value').textContent(), WITHIN).toBe('1');
    await dashboard.fixture.put([story({ ...plot, id: 'z2', startedAt: Date.now() - 1000, outcome: 'no_answer' })]);
    await expect.poll(() => row.locator('td.n').textContent(), WITHIN).toBe('2');

    await dashboard.fixture.put([
      story({ ...plot, id: 'z3', startedAt: Date.now() - 1000, ringMs: 200, outcome: 'answered', caller: 'yan', callees: ['zoe'] }),
    ]);
    await expect.poll(() => row.getAttribute('class'), WITHIN).toContain('cleared');
    expect(await row.textContent()).toContain('They have reached each other: cleared');
    expect(await page.getByRole('status').allTextContents()).toContain('Cleared: zoe and yan have reached each other');
    await row.waitFor({ state: 'detached', ...WITHIN });
    await page.getByText('Everybody has been called back in app live').waitFor();
    await page.context().close();
    await live.stop();
  });

  it('health says whether the numbers can be trusted, and why not', async () => {
    const page = await open('/health');
    const verdict = page.locator('.verdict');
    await verdict.getByText('Yes, with care.').waitFor();
    const findings = page.locator('.findings li');
    const said = async () => (await findings.allTextContents()).join('\n');
    expect(await said()).toContain(`tiw of app ${APP} has been silent for 2`);
    expect(await said()).toContain('3 of 735 inputs could not be processed (0.4%)');
    expect(await said()).toContain(`Callbacks arrived for 100.0% of the calls of app ${APP}`);
    expect(await said()).toContain('The workers have caught up');
    expect(await said()).toContain('On their way: sessions 7.');
    const arrived = page.locator('.card', { hasText: 'What arrived' }).locator('tbody tr').filter({ hasText: 'tuicallkit' });
    expect((await textsOf(arrived)).slice(0, 6)).toEqual(['tuicallkit', APP, '415', '400', '12', '3']);

    admin.metrics.callstream_task_lag.set({ worker: 'sessions', topic: 't' }, 12_345);
    admin.metrics.callstream_spool_events.set(17);
    admin.problems = ['sink: ClickHouse does not answer'];
    await verdict.getByText('Not now').waitFor(WITHIN);
    await expect.poll(said, WITHIN).toContain('12,345 records are not worked off yet');
    expect(await said()).toContain('17 callbacks wait in the spool');
    expect(await said()).toContain('sink: ClickHouse does not answer');
    await expect.poll(() => textsOf(page.locator('.pipeline tbody tr').first()), WITHIN).toEqual(['sessions', '12,345']);
    await page.context().close();
  });

  it('health shows dead letters by reason, with their bytes on demand', async () => {
    const page = await open('/health');
    await page.getByRole('button', { name: /Show dead letters: not json/ }).click();
    const letters = page.locator('.letters tbody tr:not(.body)');
    await expect.poll(() => letters.count(), WITHIN).toBe(2);
    expect(new URL(page.url()).searchParams.get('reason')).toBe('parse|not_json|tuicallkit');
    await letters.first().getByRole('button').click();
    expect(await page.locator('.letters pre:visible').textContent()).toBe('<html>');
    await page.reload();
    await expect.poll(() => letters.count(), WITHIN).toBe(2);
    await page.getByRole('button', { name: /Hide dead letters: not json/ }).click();
    await expect.poll(() => letters.count(), WITHIN).toBe(0);
    await page.context().close();
  });

  it('health says what it cannot know', async () => {
    const page = await dashboard.open('/health');
    await page.getByText('This server was not told where the roles are').waitFor();
    expect(await page.locator('.findings').textContent()).toContain('Whether the workers keep up is not known here');
    await page.context().close();
  });

  it('alerts shows what fires and what fired, with the rules and what their metrics are now', async () => {
    const page = await open('/alerts');
    const firing = page.locator('.card', { hasText: 'Firing now' }).locator('tbody tr');
    await firing.first().waitFor();
    expect(await firing.count()).toBe(1);
    expect(await textsOf(firing)).toEqual(['missed-rate', APP, '58.0% (n = 90)', '50.0%', expect.stringMatching(/^1\d min$/), 'no']);
    const rule = page.locator('.rules tbody tr').filter({ hasText: 'failed-rate' });
    expect(await rule.textContent()).toContain('above 10.0% over 15 min, n at least 20, for 5 min');
    expect(await rule.textContent()).toContain('too few to say');
    const history = page.locator('.card', { hasText: 'History' }).locator('tbody tr');
    expect(await history.count()).toBe(2);
    expect((await textsOf(history.nth(1))).slice(1)).toEqual(['failed-rate', APP, '4.0%', '210', '10.0%', '20 min', 'no']);
    await page.getByLabel('1 hour').check();
    await expect.poll(() => history.count(), WITHIN).toBe(1);
    await page.context().close();
  });

  it('alerts silences a rule with a comment, ends the silence, and tests a webhook', async () => {
    const page = await open('/alerts');
    await page.getByRole('button', { name: 'Silence missed-rate' }).click();
    const dialog = page.getByRole('dialog', { name: 'Silence missed-rate' });
    await dialog.getByLabel('For').selectOption('8h');
    await dialog.getByLabel('In').selectOption(APP);
    await dialog.getByLabel('Comment').fill('load test');
    await dialog.getByRole('button', { name: 'Silence' }).click();
    await dialog.waitFor({ state: 'hidden' });
    await page.getByText(`missed-rate is silent for app ${APP}.`).waitFor();
    const silence = desk.kept.get(`missed-rate:${APP}`)!;
    expect(silence.comment).toBe('load test');
    expect(Math.abs(silence.until - Date.now() - 8 * HOUR)).toBeLessThan(60_000);
    const row = page.locator('.card', { hasText: 'Silences' }).locator('tbody tr').filter({ hasText: 'load test' });
    await row.getByRole('button', { name: /End now/ }).click();
    await page.getByText(`missed-rate is not silent any more for app ${APP}.`).waitFor();
    await row.waitFor({ state: 'detached' });

    await page.getByRole('button', { name: 'Send a test to ops' }).click();
    await page.getByText('ops: the test was delivered. The receiver answers 200.').waitFor();
    desk.answer = { delivered: false, detail: 'the receiver answers 500.' };
    await page.getByRole('button', { name: 'Send a test to chat' }).click();
    await page.getByText('chat: the test was not delivered. The receiver answers 500.').waitFor();
    expect(desk.tested).toEqual(['ops', 'chat']);
    await page.context().close();
  });

  it('alerts says that Kafka is away, and shows everything else', async () => {
    desk.trouble = new CallstreamError('KAFKA_UNAVAILABLE', 'away');
    const before = dashboard.errors.length;
    const page = await open('/alerts');
    await page.getByText('Silences are kept in Kafka').waitFor();
    expect(await page.locator('.rules tbody tr').count()).toBe(desk.rules.length);
    desk.trouble = null;
    await page.getByRole('alert').waitFor({ state: 'hidden', ...WITHIN });
    await page.context().close();
    // The browser itself reports the status 503.
    (dashboard.errors as string[]).splice(before);
  });

  it('the overview compares with the period before, in words too', async () => {
    const [from, to] = [now - 30 * 60_000, now];
    const page = await open(`/?from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}&app=${APP}`);
    const change = page.locator('[data-tile=calls] .change');
    await change.waitFor();
    expect(await page.locator('[data-tile=calls] .value').textContent()).toBe('2');
    expect(await change.textContent()).toBe('▲ up by 100.0%, 1 in the period before');
    expect(await page.locator('[data-tile=asr] .change').textContent()).toBe('▲ up by 100.0 points, 0.0% in the period before');
    expect(await page.locator('[data-tile=asr] .change').getAttribute('class')).toContain('good');
    expect(await change.getAttribute('class')).not.toMatch(/good|bad/);
    // Nothing was answered before, so there is nothing to compare with.
    expect(await page.locator('[data-tile=acd_ms] .change').count()).toBe(0);
    await page.context().close();
  });

  it('the overview shows peak concurrency with its moment, and calls by weekday and hour', async () => {
    const page = await open('/?window=1h&app=talks');
    await expect.poll(() => page.locator('.concurrency .peak').textContent(), WITHIN).toBe('2');
    expect(await page.locator('.concurrency .lead').textContent()).toContain('at once, at ');
    await page.locator('.concurrency summary').click();
    await page.locator('.concurrency tbody tr').first().waitFor();
    await page.goto(`${api.address}/?app=${APP}`);
    const week = page.locator('.week');
    await week.locator('tbody td').first().waitFor();
    const at = new Date(now - 4 * HOUR).toLocaleString('en-GB', { timeZone: 'Europe/Berlin', weekday: 'short', hour: '2-digit' });
    const [weekday, hour] = at.split(', ') as [string, string];
    const cell = week
      .locator('tbody tr')
      .filter({ has: page.locator('th', { hasText: weekday }) })
      .locator('td')
      .nth(Number(hour));
    expect(numberIn(await cell.textContent())).toBeGreaterThan(0);
    expect(await cell.getAttribute('title')).toMatch(/day \d\d:00 to \d\d:00: \d+ calls$/);
    await page.context().close();
  });

  it.each(['/', '/missed', '/health', '/alerts'])('%s fits a narrow screen, and stands still when paused', async (path) => {
    const page = await open(path, { viewport: { width: 390, height: 844 } });
    await page.locator('.live[data-status=live]').waitFor();
    await page.locator('tbody td:visible').first().waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    await page.getByRole('button', { name: /Pause/ }).click();
    await page.locator('.live[data-status=paused]').waitFor();
    await page.context().close();
  });

  it('has no errors in the console and asks no other server', () => {
    expect(dashboard.errors).toEqual([]);
  });
});
