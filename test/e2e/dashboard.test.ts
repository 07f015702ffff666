import { createHash } from 'node:crypto';
import type { Locator, Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { day, type Story, story } from '../integration/api-fixture.js';
import { hasBrowser, numberIn, useDashboard, WITHIN } from './browser.js';

const TOKEN = 'a-token-of-the-test';
const MARKUP = '<img src=x onerror="document.title=1">';

describe.skipIf(!hasBrowser)('the dashboard in a browser', () => {
  const started = Date.now();
  const refused = story({
    id: 'refused-by-one',
    startedAt: started - 150_000,
    outcome: 'answered',
    ringMs: 9000,
    talkMs: 81_000,
    caller: 'hana',
    callees: ['ivan', 'júlia', 'kofi', 'lena'],
    rejects: { júlia: 4360 },
  });
  // The status callback of the call: an input of its own, which names the caller.
  refused.events.push({ ...refused.events[0], event: 'record', event_at: started - 50_000, event_id: 'status' });
  // What was polled: speaks of no moment of its own, and names no caller.
  refused.events.push(
    {
      ...refused.events[0]!,
      event: 'record',
      source: 'call-record',
      user_id: '',
      event_at: started,
      received_at: started,
      event_id: 'rest',
    },
    {
      ...refused.events[0]!,
      event: 'media',
      source: 'user-event',
      user_id: 'ivan',
      event_at: started + 1,
      received_at: started + 1,
      event_id: 'media',
    },
  );
  Object.assign(refused.call.legs.find((leg) => leg.user_id === 'ivan')!, {
    media_joined_at: started - 140_000,
    media_left_at: started - 61_000,
    media_drops: 3,
  });
  const stories: Story[] = [
    ...day(started, 800),
    refused,
    story({
      id: 'refused-and-open',
      startedAt: started - 60_000,
      outcome: 'answered',
      ringMs: 5000,
      talkMs: 0,
      caller: 'mei',
      callees: ['noor', 'oskar', 'priya'],
      rejects: { noor: 20_300 },
      open: true,
    }),
    story({
      id: 'call-to-look-at',
      startedAt: started - 120_000,
      outcome: 'answered',
      ringMs: 6000,
      talkMs: 24_000,
      caller: 'dora',
      callees: ['erik', 'frida', 'gustav'],
      anomalies: ['record_conflict'],
    }),
    story({ id: MARKUP, startedAt: started - 90_000, outcome: 'rejected', ringMs: 3000, talkMs: 0, caller: MARKUP, callees: ['bob'] }),
  ];
  const dashboard = useDashboard((fixture) => fixture.put(stories));
  const { errors, open, serve } = dashboard;

  const tile = (page: Page, name: string) => page.locator(`[data-tile=${name}]`);

  it('shows the numbers that the data have, each with its n and its meaning', async () => {
    const page = await open('/?window=24h');
    const { from } = (await (await page.waitForResponse((response) => response.url().includes('/api/v1/summary'))).json()) as {
      from: number;
    };
    await page.locator('.tile .value', { hasText: '%' }).first().waitFor();
    const calls = stories.map((s) => s.call).filter((c) => c.status === 'ended' && c.started_at >= from);
    const answered = calls.filter((c) => c.outcome === 'answered').length;
    const n = calls.length.toLocaleString('en');
    expect(await tile(page, 'calls').locator('.value').textContent()).toBe(n);
    expect(await tile(page, 'asr').locator('.value').textContent()).toBe(`${((100 * answered) / calls.length).toFixed(1)}%`);
    expect(await tile(page, 'asr').locator('.n-of').textContent()).toBe(`n = ${n}`);
    expect(await tile(page, 'missed').locator('.value').textContent()).toBe(String(calls.filter((c) => c.missed).length));
    for (const outcome of ['answered', 'no_answer', 'rejected'])
      expect(await page.locator(`.legend [data-outcome=${outcome}] b`).textContent()).toBe(
        calls.filter((c) => c.outcome === outcome).length.toLocaleString('en'),
      );
    const about = tile(page, 'asr').getByRole('tooltip', { includeHidden: true });
    expect(await about.isVisible()).toBe(false);
    await tile(page, 'asr').getByRole('button').focus();
    await about.waitFor({ state: 'visible' });
    expect(await about.textContent()).toContain('answered calls divided by all calls');
    await page.keyboard.press('Escape');
    await about.waitFor({ state: 'hidden' });
    await page.context().close();
  });

  it('shows a call that begins, and its end, without a reload', async () => {
    // An app of its own: the period moves on while this runs, and older calls would leave it.
    const page = await open('/?app=newcomer');
    await page.locator('.live[data-status=live]').waitFor();
    const value = tile(page, 'calls').locator('.value').filter({ hasText: /\d/ });
    expect(await value.textContent()).toBe('0');
    const plot = {
      id: 'fresh',
      app: 'newcomer',
      startedAt: Date.now() - 1000,
      outcome: null,
      ringMs: 900,
      talkMs: 60,
      caller: 'ada',
      callees: ['grace'],
    };
    await dashboard.fixture.put([story({ ...plot, revision: 1 })]);
    const row = page.locator('tr[data-call=fresh]');
    await row.getByText('Ringing').waitFor(WITHIN);
    await dashboard.fixture.put([story({ ...plot, outcome: 'no_answer', revision: 2 })]);
    await row.getByText('No answer').waitFor(WITHIN);
    await expect.poll(async () => numberIn(await value.textContent()), WITHIN).toBe(1);
    await page.getByRole('button', { name: /Pause/ }).click();
    await page.locator('.live[data-status=paused]').waitFor();
    await dashboard.fixture.put([story({ ...plot, id: 'unseen', startedAt: Date.now() - 500, revision: 1 })]);
    await page.getByRole('button', { name: /Resume/ }).click();
    await page.locator('tr[data-call=unseen]').waitFor();
    await page.context().close();
  });

  it('opens a call as a ladder with every leg and input, from the keyboard, and comes back', async () => {
    const page = await open('/?window=6h');
    await page.locator('tr[data-call=call-to-look-at] a').focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'dora → erik, frida, gustav' }).waitFor();
    expect(new URL(page.url()).searchParams.get('id')).toBe('call-to-look-at');
    await page.locator('svg.ladder[role=img]').waitFor();
    expect(await page.locator('svg.ladder[role=img] .lane').count()).toBe(4);
    expect(await page.locator('svg.ladder[role=img] rect.talk').count()).toBe(3);
    expect(await page.locator('.legs tbody tr').count()).toBe(4);
    expect(await page.locator('.events tbody tr:not(.body)').count()).toBe(stories.at(-2)!.events.length);
    expect(await page.locator('.odd-card').textContent()).toContain('The record wins');
    await page.getByRole('button', { name: 'Fields of start_call' }).click();
    expect(await page.locator('.events pre:visible').textContent()).toContain('"CallId": "call-to-look-at"');
    await page.goBack();
    await page.locator('tr[data-call=call-to-look-at]').waitFor();
    expect(new URL(page.url()).searchParams.get('window')).toBe('6h');
    await page.context().close();
  });

  it('shows what was polled by its arrival, and the media of the legs; neither is a mark of the ladder', async () => {
    const page = await open(`/call?${new URLSearchParams({ provider: 'tencent', app_id: '1400000001', id: 'refused-by-one' })}`);
    await page.locator('svg.ladder[role=img]').waitFor();
    const rows = page.locator('.events tbody tr:not(.body)');
    const polled = rows.filter({ hasText: 'polled' });
    expect(await polled.locator('td:nth-child(4)').allTextContents()).toEqual(['call-record', 'user-event']);
    expect(await polled.locator('td:nth-child(5)').allTextContents()).toEqual(['–', '–']);
    expect(await rows.count()).toBe(refused.events.length);
    expect(await page.locator('svg.ladder .mark title', { hasText: 'media' }).count()).toBe(0);
    expect(await page.locator('.legs thead th').allTextContents()).toEqual(
      expect.arrayContaining(['Talk', 'Media from', 'Media until', 'Drops', 'Platform']),
    );
    const ivan = page.locator('.legs tbody tr').filter({ hasText: 'ivan' });
    expect(await ivan.locator('td').allTextContents()).toEqual(expect.arrayContaining(['3']));
    const lena = page.locator('.legs tbody tr').filter({ hasText: 'lena' });
    expect((await lena.locator('td').allTextContents()).slice(-4, -1)).toEqual(['–', '–', '0']);
    expect(await page.locator('.events pre').allTextContents()).toEqual(refused.events.map(() => ''));
    await page.getByRole('button', { name: 'Fields of media' }).click();
    expect(await page.locator('.events pre:visible').count()).toBe(1);
    await page.context().close();
  });

  it('lets a callee who refuses ring until then, and says what ended it', async () => {
    const callPage = (id: string) => `/call?${new URLSearchParams({ provider: 'tencent', app_id: '1400000001', id })}`;
    const lane = (page: Page, user: string) => page.locator('svg.ladder .lane').filter({ has: page.locator('.name', { hasText: user }) });
    const ring = (page: Page, user: string) => lane(page, user).locator('rect.ring');
    const centre = async (mark: Locator) =>
      mark.evaluate((element) => element.getBoundingClientRect()).then((box) => box.x + box.width / 2);
    const end = async (bar: Locator) => bar.evaluate((element) => element.getBoundingClientRect()).then((box) => box.right);

    const group = await open(callPage('refused-by-one'));
    await group.locator('svg.ladder[role=img]').waitFor();
    expect(await ring(group, 'júlia').locator('title').textContent()).toBe('ringing 3.9 s, rejected');
    expect(await lane(group, 'júlia').locator('text.beside').textContent()).toBe('rejected');
    expect(Math.abs((await end(ring(group, 'júlia'))) - (await centre(lane(group, 'júlia').locator('.mark.other'))))).toBeLessThan(1.5);
    expect(await lane(group, 'hana').locator('.mark.other').count()).toBe(0);
    expect(await ring(group, 'ivan').locator('title').textContent()).toBe('ringing 8.6 s');
    expect(await ring(group, 'lena').locator('title').textContent()).toBe('ringing 29 s, did not answer');
    await group.context().close();

    const running = await open(callPage('refused-and-open'));
    await running.locator('svg.ladder[role=img]').waitFor();
    expect(await ring(running, 'noor').locator('title').textContent()).toBe('ringing 20 s, rejected');
    expect(await ring(running, 'noor').getAttribute('class')).not.toContain('open');
    expect(await ring(running, 'priya').getAttribute('class')).toContain('open');
    expect(await ring(running, 'priya').locator('title').textContent()).toMatch(/^ringing .* so far$/);
    await running.context().close();

    const single = await open(callPage(MARKUP));
    await single.locator('svg.ladder[role=img]').waitFor();
    expect(await lane(single, 'bob').locator('text.inside').textContent()).toBe('ringing 2.6 s, rejected');
    expect(await lane(single, 'bob').locator('text.beside').count()).toBe(0);
    await single.context().close();
  });

  it('shows what users sent as text, never as markup', async () => {
    const page = await open(`/?q=${encodeURIComponent(MARKUP)}`);
    await page.locator('table.calls tbody tr').waitFor();
    expect(await page.locator('table.calls td.who').first().textContent()).toBe(MARKUP);
    await page.locator('table.calls tbody tr').click();
    await page.locator('.legs').waitFor();
    expect(await page.locator('main img').count()).toBe(0);
    await page.context().close();
  });

  it('keeps filters, period and time zone in the address', async () => {
    const page = await open('/');
    await page.locator('table.calls tbody tr').first().waitFor();
    await page.getByLabel('24 hours').check();
    await page.getByLabel('Outcome', { exact: true }).selectOption('rejected');
    await page.getByLabel('Time zone').selectOption('Asia/Tokyo');
    await page.getByLabel(/Find calls/).fill('bob');
    await page.keyboard.press('Enter');
    const rows = page.locator('table.calls tbody tr');
    const expected = stories
      .map((s) => s.call)
      .filter((c) => c.outcome === 'rejected' && c.status === 'ended' && [c.caller, ...(c.callees as string[])].includes('bob'));
    expect(expected.length).toBeGreaterThan(0);
    await expect.poll(() => rows.count(), WITHIN).toBe(expected.length);
    expect((await rows.locator('.badge').allTextContents()).every((text) => text === 'Rejected')).toBe(true);
    expect(new URL(page.url()).search).toBe('?window=24h&outcome=rejected&q=bob&tz=Asia%2FTokyo');
    await page.reload();
    await page.locator('table.calls tbody tr').first().waitFor();
    expect(await page.getByLabel('24 hours').isChecked()).toBe(true);
    const [newest] = expected.sort((a, b) => b.started_at - a.started_at);
    expect(await page.locator('table.calls tbody a').first().getAttribute('title')).toContain(
      new Date(newest!.started_at + 9 * 3_600_000).toISOString().slice(11, 23),
    );
    await page.context().close();
  });

  it('reads the chart with the arrow keys and as a table', async () => {
    const page = await open('/?window=1h');
    const chart = page.locator('.card', { hasText: 'by outcome' }).locator('.chart');
    await chart.locator('.uplot').waitFor();
    await chart.locator('.plot').focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await chart.locator('.tip').waitFor({ state: 'visible' });
    expect(await chart.locator('[aria-live]').textContent()).toMatch(/\d+ calls\./);
    await chart.getByText('Show as table').click();
    // A browser tells of the opening a moment later.
    await expect.poll(() => chart.locator('.as-table tbody tr').count(), WITHIN).toBeGreaterThan(10);
    await page.context().close();
  });

  it('fits a narrow screen and follows the theme of the device and the reader', async () => {
    const page = await open('/', { viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
    await page.locator('table.calls tbody tr').first().waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    const background = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(await background()).toBe('rgb(14, 19, 25)');
    await page.getByRole('button', { name: 'Switch to light colours' }).click();
    expect(await background()).toBe('rgb(245, 246, 248)');
    await page.goto(`${dashboard.api.address}/call?provider=tencent&app_id=1400000001&id=call-to-look-at`);
    await page.locator('svg.ladder[role=img]').waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    await page.context().close();
  });

  it('says what to do when there is nothing to see', async () => {
    const page = await open('/?app=nobody');
    await page.getByText('No call ended in this period for app nobody').waitFor();
    await page.getByText('No call matches these filters').waitFor();
    expect(await tile(page, 'asr').locator('.value').textContent()).toBe('–');
    await page.context().close();
  });

  it('has no errors in the console and asks no other server', () => {
    expect(errors).toEqual([]);
  });

  it('asks for the access token once where one is needed', async () => {
    const guarded = await serve({ tokenHash: createHash('sha256').update(TOKEN).digest('hex') });
    try {
      const page = await open('/', {}, guarded);
      await page.getByRole('textbox', { name: 'Token' }).fill(TOKEN);
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.locator('.live[data-status=live]').waitFor();
      expect(await page.locator('table.calls tbody tr').count()).toBeGreaterThan(10);
      await page.context().close();
    } finally {
      await guarded.stop();
    }
  });

  it('says that the server is gone and goes on when it is back', async () => {
    const first = await serve();
    const page = await open('/', {}, first);
    await page.locator('.live[data-status=live]').waitFor();
    await first.stop();
    await page.locator('.live[data-status=stale]').waitFor();
    await page.getByRole('alert').waitFor();
    const second = await serve({ port: first.port });
    try {
      await page.locator('.live[data-status=live]').waitFor();
      await page.getByRole('alert').waitFor({ state: 'hidden' });
    } finally {
      await page.context().close();
      await second.stop();
    }
  });
});
