import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { story } from '../integration/api-fixture.js';
import { hasBrowser, useDashboard, WITHIN } from './browser.js';

const MINUTE = 60_000;
const INPUTS = 3000;
const LONG_ID = `long-${'x'.repeat(1500)}/ü?&#"'<b>\u{1F600}`;
const callPage = (id: string): string => `/call?${new URLSearchParams({ provider: 'tencent', app_id: '1400000001', id })}`;

describe.skipIf(!hasBrowser)('the pages Recordings and Call', () => {
  const now = Date.now();
  const at = now - 50 * MINUTE;
  const lesson = story({
    id: 'lesson',
    startedAt: at,
    outcome: 'answered',
    ringMs: 8000,
    talkMs: 10 * MINUTE,
    caller: 'teacher',
    callees: ['ann', 'ben', 'cleo'],
    anomalies: ['record_conflict', 'time_conflict'],
  });
  Object.assign(lesson.call.legs.find((leg) => leg.user_id === 'ann')!, {
    media_joined_at: at + 10_000,
    media_left_at: at + 5 * MINUTE,
    media_drops: 2,
  });
  const crowd = story({
    id: 'crowd',
    startedAt: at,
    outcome: 'answered',
    ringMs: 5000,
    talkMs: 3 * MINUTE,
    caller: 'host',
    callees: Array.from({ length: 50 }, (_, i) => `member-${i}`),
  });
  const busy = story({ id: 'busy', startedAt: at, outcome: 'answered', ringMs: 5000, talkMs: 9 * MINUTE, caller: 'eve', callees: ['fay'] });
  for (let i = 0; i < INPUTS; i++)
    busy.events.push({ ...busy.events[1], event: 'invite_user', event_at: at + i * 100, event_id: `more-${i}` });
  const long = story({
    id: LONG_ID,
    startedAt: at,
    outcome: 'answered',
    ringMs: 5000,
    talkMs: MINUTE,
    caller: 'a'.repeat(300),
    callees: ['<i>b</i>'],
  });
  const { legs: _legs, state: _state, ...record } = lesson.call;
  const task = {
    provider: 'tencent',
    app_id: '1400000001',
    room_id: lesson.call.room_id,
    group_id: 'board',
    record_user_id: 'robot',
    revision: 2,
    first_seen_at: at,
    updated_at: at,
  };
  const video = {
    user_id: 'teacher',
    type: 'camera',
    format: 'mp4',
    duration_ms: 600_000,
    size_bytes: 88_100_000,
    width: 640,
    height: 480,
  };
  const recordings = [
    {
      ...task,
      task_id: 'around',
      status: 'finished',
      started_at: at - MINUTE,
      stopped_at: at + 20 * MINUTE,
      total_ms: 21 * MINUTE,
      finish_reason: 'user_call',
      pauses: 1,
      videos: [
        { ...video, video_id: 'v1', url: 'https://example.org/v1.mp4' },
        { ...video, video_id: 'v2', type: 'screen', url: 'javascript:document.title=1' },
      ],
      omitted: [{ video_time_ms: 1, pause_time_ms: 5000, resume_time_ms: 65_000 }],
    },
    {
      ...task,
      task_id: 'within',
      status: 'failed',
      started_at: at + MINUTE,
      stopped_at: at + 2 * MINUTE,
      exceptions: 3,
      error_code: 'InternalError',
      error_message: 'the recorder was lost',
    },
    { ...task, task_id: 'elsewhere', room_id: 'empty', status: 'recording', started_at: at + 3 * MINUTE },
    ...Array.from({ length: 60 }, (_, i) => ({
      ...task,
      task_id: `old-${String(i).padStart(2, '0')}`,
      room_id: 'empty',
      status: 'finished',
      started_at: at - (10 + i) * MINUTE,
      stopped_at: at - (9 + i) * MINUTE,
    })),
  ];
  const dashboard = useDashboard(async (fixture) => {
    await fixture.put([lesson, crowd, busy, long]);
    await fixture.insert('recordings_latest', recordings);
    const open = { accepted_at: null, ended_at: null, end_reason: '', ring_ms: 0, talk_ms: 0, final: false, anomalies: [] };
    await fixture.insert('call_revisions', [
      { ...record, ...open, revision: 1, status: 'ringing', outcome: 'unknown', callees: ['ann'], total_users: 2, updated_at: at + 1000 },
      { ...record, ...open, revision: 2, status: 'active', accepted_at: at + 8000, ring_ms: 8000, updated_at: at + 9000 },
      { ...record, revision: 3 },
    ]);
    await fixture.insert('dead_letter_rows', [
      {
        stage: 'parse',
        reason: 'event_unknown',
        error: 'EVENT_UNKNOWN: "teleport" is no event of the vendor',
        source: 'tuicallkit',
        app_id: '1400000001',
        received_at: at,
        origin_topic: 'callstream.raw.tuicallkit',
        origin_partition: 0,
        origin_offset: 7,
        origin_index: -1,
        key: 'tencent:1400000001:lesson',
        body: '{"CallId":"lesson","Event":"teleport"}',
      },
    ]);
  });
  const { open } = dashboard;
  const rows = (page: Page) => page.locator('tr[data-task]');
  const tasks = (page: Page): Promise<(string | null)[]> =>
    rows(page).evaluateAll((all) => all.map((row) => row.getAttribute('data-task')));
  const expected = [...recordings].sort((a, b) => b.started_at - a.started_at).map((r) => r.task_id);

  it('lists recordings page by page, with what became of them', async () => {
    const page = await open('/recordings');
    await expect.poll(() => tasks(page), WITHIN).toEqual(expected.slice(0, 50));
    await page.getByRole('button', { name: 'Show older recordings' }).click();
    await expect.poll(() => tasks(page), WITHIN).toEqual(expected);
    expect(await page.getByRole('button', { name: 'Show older recordings' }).isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Details of the recording around' }).click();
    const details = page.locator('tr[data-task=around] + tr');
    expect(await details.locator('.facts').textContent()).toContain('one stretch, 1m 00s');
    expect(await details.getByRole('link', { name: 'camera · mp4' }).getAttribute('href')).toBe('https://example.org/v1.mp4');
    // What is no address of the web is text.
    expect(await details.getByRole('link', { name: 'screen · mp4' }).count()).toBe(0);
    expect(await details.getByText('screen · mp4').isVisible()).toBe(true);
    await details.getByRole('link', { name: 'teacher → ann, ben, cleo' }).click();
    await page.locator('.legs').waitFor();
    expect(new URL(page.url()).searchParams.get('id')).toBe('lesson');
    await page.context().close();
  });

  it('filters recordings, and keeps that in the address', async () => {
    const page = await open('/recordings');
    await rows(page).first().waitFor();
    await page.getByLabel('Problems').selectOption('true');
    await expect.poll(() => tasks(page), WITHIN).toEqual(['within']);
    expect(new URL(page.url()).search).toBe('?exceptions=true');
    await page.getByRole('button', { name: 'Details of the recording within' }).click();
    await page.getByText('InternalError: the recorder was lost').waitFor();
    await page.getByLabel('Problems').selectOption('');
    await page.getByLabel('Status').selectOption('recording');
    await expect.poll(() => tasks(page), WITHIN).toEqual(['elsewhere']);
    await page.getByLabel('Room').fill('nowhere');
    await page.keyboard.press('Enter');
    await page.getByText('No recording of this period matches these filters').waitFor();
    await page.context().close();
  });

  it('shows the recordings, the media and the history of a call', async () => {
    const page = await open(callPage('lesson'));
    const ladder = page.locator('svg.ladder[role=img]');
    await ladder.waitFor();
    expect(await ladder.locator('.recorded rect title').allTextContents()).toEqual([
      'recording around: began 1m 00s before, went on 9m 52s after',
      'recording within: within the call',
    ]);
    expect(await ladder.locator('.media title').allTextContents()).toEqual(['ann in the room by media events: 4m 50s, 2 drops']);
    const bar = async (kind: string) => (await ladder.locator(kind).first().boundingBox())!;
    const [talk, media] = [await bar('.lane:nth-of-type(2) .talk'), await bar('.media')];
    // Half of the call: drawn on the same axis.
    expect(media.width / talk.width).toBeCloseTo((4 * MINUTE + 50_000) / (10 * MINUTE - 900), 1);
    expect(await page.locator('.facts').textContent()).toMatch(/Recorded.* and 1 more/);

    const changes = await page.locator('.revisions tbody tr').allTextContents();
    expect(changes).toHaveLength(3);
    expect(changes[0]).toContain('3 final');
    expect(changes[0]).toContain('status active → ended');
    expect(changes[0]).toContain('talk 0 s → 10m 00s');
    expect(changes[0]).not.toContain('callees');
    expect(changes[1]).toContain('callees ann → ann, ben, cleo');
    expect(changes[2]).toContain('The first record of this call');

    const { anomalies } = (await (await fetch(`${dashboard.api.address}/api/v1/calls/tencent/1400000001/lesson`)).json()) as {
      anomalies: { explanation: string }[];
    };
    expect(await page.locator('.odd-card dd').allTextContents()).toEqual(anomalies.map(({ explanation }) => explanation));
    expect(anomalies).toHaveLength(2);

    await page.getByText('1 input under the name of this call').waitFor();
    expect(await page.locator('.letters pre').isVisible()).toBe(false);
    await page.getByRole('button', { name: /^Content of the input/ }).click();
    expect(await page.locator('.letters pre').textContent()).toBe('{"CallId":"lesson","Event":"teleport"}');

    await page.locator('.of-call a').first().click();
    await expect.poll(() => tasks(page), WITHIN).toEqual(['around']);
    await page.getByRole('button', { name: 'Show all' }).click();
    await expect.poll(async () => (await tasks(page)).length, WITHIN).toBe(50);
    await page.context().close();
  });

  it('stays usable with fifty legs, thousands of inputs and odd ids', async () => {
    const page = await open(callPage('crowd'));
    const ladder = page.locator('svg.ladder[role=img]');
    await ladder.waitFor();
    expect(await ladder.locator('.lane').count()).toBe(51);
    expect((await ladder.boundingBox())!.height).toBeLessThan(1500);
    expect(await page.locator('.legs tbody tr').count()).toBe(51);

    await page.goto(dashboard.api.address + callPage('busy'));
    await ladder.waitFor();
    const inputs = page.locator('.events tbody tr:not(.body)');
    expect(await inputs.count()).toBe(200);
    await page.getByRole('button', { name: `Show 500 more of ${(busy.events.length - 200).toLocaleString('en')}` }).click();
    expect(await inputs.count()).toBe(700);

    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(dashboard.api.address + callPage(LONG_ID));
    await ladder.waitFor();
    expect(await page.locator('.call > .id').textContent()).toContain(LONG_ID);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    await page.locator('.legs a', { hasText: '<i>b</i>' }).click();
    await page.getByRole('heading', { name: '<i>b</i>', level: 1 }).waitFor();
    await page.goto(`${dashboard.api.address}/recordings`);
    await rows(page).first().waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    await page.context().close();
  });

  it('has no errors in the console and asks no other server', () => {
    expect(dashboard.errors).toEqual([]);
  });
});
