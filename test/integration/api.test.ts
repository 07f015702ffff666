import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, type ApiOptions, startApi } from '../../src/api/index.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { MemoryDesk } from '../support/alert-desk.js';
import { answerErrors } from '../support/openapi.js';
import { useStack } from '../support/stack.js';
import { ApiFixture, compileWeb, day, type Story, story } from './api-fixture.js';

const NOW = Date.parse('2026-03-04T10:17:23.456Z');
const HOUR = 3_600_000;
const ODD_ID = 'a/b?c=1&d="ü" \u{1F600}\\\'';
const TOKEN = 'a-token-of-the-test';

const server = useStack(['clickhouse']);
const stories: Story[] = [
  ...day(NOW, 1500),
  story({
    id: ODD_ID,
    startedAt: NOW - 200_000,
    outcome: 'answered',
    ringMs: 4000,
    talkMs: 9000,
    caller: "o'brien",
    callees: ['{app:String}', 'ünï'],
  }),
  story({
    id: 'of-another-app',
    app: 'other',
    startedAt: NOW - 100_000,
    outcome: 'no_answer',
    ringMs: 30_000,
    talkMs: 0,
    caller: 'zoe',
    callees: ['bob'],
  }),
  // Twins in time: only the rest of the sort key tells them apart.
  ...['t1', 't2', 't3'].map((id) =>
    story({ id, startedAt: NOW - 50_000, outcome: 'busy', ringMs: 1000, talkMs: 0, caller: 'twin', callees: ['bob'] }),
  ),
];
const merged = story({ id: 'merged-away', startedAt: NOW - 60_000, outcome: 'unknown', ringMs: 1, talkMs: 0, caller: 'm', callees: ['n'] });
merged.call.end_reason = 'merged';

let fixture: ApiFixture;
let webDir: string;
let api: Api;
const clock = { value: NOW, now: () => clock.value };

const start = (options: Partial<ApiOptions> = {}): Promise<Api> =>
  startApi(
    { host: '127.0.0.1', port: 0, apps: [{ provider: 'tencent', app_id: 'configured' }], webDir, livePollMs: 50, ...options },
    { query: fixture.query, alerts: new MemoryDesk(), clock, log: silentLogger(), metrics: createMetrics() },
  );

beforeAll(async () => {
  webDir = compileWeb();
  fixture = await ApiFixture.create(server.clickhouseUrl);
  await fixture.put([...stories, merged]);
  // A delivery that came twice: relations show it once.
  await fixture.insert('calls_latest', [stories[0]!.call]);
  await fixture.insert('call_event_rows', stories.at(-5)!.events);
  api = await start();
});
afterAll(async () => {
  await api?.stop();
  await fixture?.close();
  rmSync(webDir, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: bodies are looked at field by field
async function get(path: string, status = 200, base = api): Promise<any> {
  const response = await fetch(base.address + path);
  expect([path, response.status]).toEqual([path, status]);
  expect(response.headers.get('content-type')).toMatch(status < 400 ? /^application\/json/ : /^application\/problem\+json/);
  const body = await response.json();
  expect([path, answerErrors(path, response.status, body)]).toEqual([path, []]);
  return body;
}

const over = (from: number, to: number): Story['call'][] =>
  stories.map((s) => s.call).filter((c) => c.status === 'ended' && c.started_at >= from && c.started_at < to);
const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);
/** The smallest value with at least p of all values at or below it. */
const nearestRank = (values: number[], p: number): number => values.sort((a, b) => a - b)[Math.ceil(p * values.length) - 1]!;
/** Percentiles are those of the rolled minutes, at most 1% off (contract §5). */
const near = (value: number): number =>
  ({ asymmetricMatch: (other: number) => Math.abs(other - value) <= value / 100 }) as unknown as number;

describe('the summary', () => {
  it.each(['15m', '1h', '6h', '24h', '7d', '60d'])(
    'of %s equals a recomputation from the calls, each number with its n and meaning',
    async (window) => {
      const { from, to, measures } = await get(`/api/v1/summary?window=${window}`);
      const calls = over(from, to);
      const answered = calls.filter((c) => c.outcome === 'answered');
      const reached = calls.filter((c) => !['failed', 'unknown'].includes(c.outcome));
      const ring = calls.map((c) => c.ring_ms);
      const talk = answered.map((c) => c.talk_ms);
      const open = stories.map((s) => s.call).filter((c) => c.status !== 'ended' && c.started_at >= from && c.started_at < to);
      const values = Object.fromEntries(
        Object.entries(measures).map(([name, m]) => [name, [(m as { value: number }).value, (m as { n: number }).n]]),
      );
      expect(values).toEqual({
        calls: [calls.length, calls.length],
        answered: [answered.length, calls.length],
        asr: [answered.length / calls.length, calls.length],
        ner: [reached.length / calls.length, calls.length],
        acd_ms: [expect.closeTo(sum(talk) / talk.length, 6), answered.length],
        ring_p50_ms: [near(nearestRank(ring, 0.5)), calls.length],
        ring_p95_ms: [near(nearestRank(ring, 0.95)), calls.length],
        talk_p50_ms: [near(nearestRank(talk, 0.5)), answered.length],
        talk_p95_ms: [near(nearestRank(talk, 0.95)), answered.length],
        missed: [calls.filter((c) => c.missed).length, calls.length],
        missed_inclusive: [calls.filter((c) => c.missed_inclusive).length, calls.length],
        ringing: [open.filter((c) => c.status === 'ringing').length, open.length],
        active: [open.filter((c) => c.status === 'active').length, open.length],
      });
      expect(calls.length).toBeGreaterThan(50);
      for (const measure of Object.values(measures))
        expect(measure).toMatchObject({ label: expect.any(String), definition: expect.stringMatching(/.{20}/), of: expect.any(String) });
    },
  );

  it('has no rate where there is nothing to take it over', async () => {
    const { measures } = await get('/api/v1/summary?app=nobody');
    expect([
      measures.calls.value,
      measures.asr.value,
      measures.ner.value,
      measures.acd_ms.value,
      measures.ring_p50_ms.value,
      measures.talk_p95_ms.value,
    ]).toEqual([0, null, null, null, null, null]);
  });

  it('can be narrowed to an app, a type and a medium', async () => {
    const { from, to, measures } = await get('/api/v1/summary?window=24h&app=1400000001&type=group&media=audio');
    const calls = over(from, to).filter((c) => c.app_id === '1400000001' && c.call_type === 'group' && c.media_type === 'audio');
    expect(calls.length).toBeGreaterThan(5);
    expect([measures.calls.value, measures.ring_p95_ms.n]).toEqual([calls.length, calls.length]);
  });
});

describe('the series', () => {
  it.each(['15m', '6h', '24h', '7d', '60d'])('of %s has every bucket, and its sums are the summary', async (window) => {
    const series = await get(`/api/v1/series?window=${window}`);
    const { measures } = await get(`/api/v1/summary?window=${window}`);
    expect(series.at).toHaveLength((series.to - series.from) / series.step_ms);
    expect(sum(series.calls)).toBe(measures.calls.value);
    series.at.forEach((at: number, i: number) => {
      const calls = over(at, at + series.step_ms);
      const counts = Object.fromEntries(Object.keys(series.outcomes).map((name) => [name, calls.filter((c) => c.outcome === name).length]));
      expect(Object.fromEntries(Object.entries(series.outcomes).map(([name, list]) => [name, (list as number[])[i]]))).toEqual(counts);
    });
  });
});

describe('the calls', () => {
  const newest = [...stories]
    .map((s) => s.call)
    .sort((a, b) => b.started_at - a.started_at || (String(a.app_id) + a.call_id < String(b.app_id) + b.call_id ? 1 : -1));

  it('come newest first, and cursors walk through all of them without a gap or a repeat', async () => {
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: { calls: { call_id: string }[]; next_cursor: string | null } = await get(
        `/api/v1/calls?limit=167${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      seen.push(...page.calls.map((call) => call.call_id));
      cursor = page.next_cursor;
    }
    expect(seen).toHaveLength(stories.length);
    expect(seen).toEqual(newest.map((call) => call.call_id));
  });

  it('walk through twins one by one', async () => {
    const first = await get('/api/v1/calls?limit=1&user=twin');
    const second = await get(`/api/v1/calls?limit=1&user=twin&cursor=${first.next_cursor}`);
    const third = await get(`/api/v1/calls?limit=1&user=twin&cursor=${second.next_cursor}`);
    expect([first, second, third].map((page) => page.calls[0].call_id)).toEqual(['t3', 't2', 't1']);
    expect(third.next_cursor).toBeNull();
  });

  it('are found by outcome, missed, status, user, room, call, app and time', async () => {
    const find = async (query: string, like: (call: Story['call']) => boolean): Promise<void> => {
      const { calls } = await get(`/api/v1/calls?limit=500&${query}`);
      const expected = newest.filter(like).slice(0, 500);
      expect(expected.length).toBeGreaterThan(0);
      expect([query, calls.map((c: Story['call']) => c.call_id)]).toEqual([query, expected.map((c) => c.call_id)]);
    };
    const ended = (c: Story['call']): boolean => c.status === 'ended';
    const users = (c: Story['call']): unknown[] => [c.caller, ...(c.callees as string[])];
    await find('outcome=busy,failed', (c) => ended(c) && ['busy', 'failed'].includes(c.outcome));
    await find('outcome=answered', (c) => ended(c) && c.outcome === 'answered');
    await find('missed=true', (c) => c.missed);
    await find('status=ringing,active', (c) => !ended(c));
    await find('user=mei', (c) => users(c).includes('mei'));
    await find('user=%7Bapp:String%7D', (c) => c.call_id === ODD_ID);
    await find("user=o'brien", (c) => c.call_id === ODD_ID);
    await find('room=room-t2', (c) => c.call_id === 't2');
    await find('call=t1', (c) => c.call_id === 't1');
    await find(`q=${encodeURIComponent(ODD_ID)}`, (c) => c.call_id === ODD_ID);
    await find('q=room-t1', (c) => c.call_id === 't1');
    await find('app=other', (c) => c.app_id === 'other');
    await find(`from=${NOW - 2 * HOUR}&to=${NOW - HOUR}`, (c) => c.started_at >= NOW - 2 * HOUR && c.started_at < NOW - HOUR);
    expect((await get('/api/v1/calls?user=nobody')).calls).toEqual([]);
    expect((await get('/api/v1/calls?call=merged-away')).calls).toEqual([]);
  });

  it('are shown whole, times in milliseconds', async () => {
    const { call } = stories.find((s) => s.call.call_id === ODD_ID)!;
    const { legs: _legs, state: _state, ...columns } = call;
    expect((await get(`/api/v1/calls?call=${encodeURIComponent(ODD_ID)}`)).calls).toEqual([columns]);
  });
});

describe('one call', () => {
  it('comes with its legs and distinct inputs, in order', async () => {
    const { call, events } = stories.find((s) => s.call.call_id === ODD_ID)!;
    const found = await get(`/api/v1/calls/tencent/1400000001/${encodeURIComponent(ODD_ID)}`);
    expect(found.call).toMatchObject({ call_id: ODD_ID, started_at: call.started_at, talk_ms: 9000, callees: call.callees });
    expect(found.legs).toHaveLength(3);
    expect(found.legs.find((leg: { role: string }) => leg.role === 'caller')).toMatchObject({
      user_id: "o'brien",
      rang_at: null,
      joined_at: call.started_at + 4120,
    });
    expect(found.events).toHaveLength(events.length);
    const times = found.events.map((event: { event_at: number }) => event.event_at);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(JSON.parse(found.events[0].detail)).toMatchObject({ CallId: ODD_ID, Event: 'start_call' });
  });

  it('that is not there is a 404 problem', async () => {
    expect(await get('/api/v1/calls/tencent/1400000001/nope', 404)).toMatchObject({
      code: 'NOT_FOUND',
      status: 404,
      instance: '/api/v1/calls/tencent/1400000001/nope',
    });
  });
});

describe('the server', () => {
  it('lists configured apps and those that have calls', async () => {
    expect((await get('/api/v1/apps')).apps).toEqual([
      { provider: 'tencent', app_id: '1400000001' },
      { provider: 'tencent', app_id: 'configured' },
      { provider: 'tencent', app_id: 'other' },
    ]);
  });

  it('explains what is wrong with a request', async () => {
    expect((await get('/api/v1/calls?limit=9999&x=1', 400)).errors).toHaveLength(2);
    expect(await get('/api/v1/calls?cursor=zzz', 400)).toMatchObject({ code: 'PARAMETER_INVALID' });
    expect(await get('/api/v1/live?since=soon', 400)).toMatchObject({ code: 'PARAMETER_INVALID' });
    expect(await get('/nothing/here', 404)).toMatchObject({ code: 'NOT_FOUND' });
    const post = await fetch(`${api.address}/api/v1/calls`, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('serves the dashboard with a strict policy and etags', async () => {
    for (const path of ['/', '/call?id=1', '/assets/main.js', '/assets/styles/base.css', '/assets/parts/dom.js', '/assets/uplot.js']) {
      const response = await fetch(api.address + path);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-security-policy')).toMatch(/default-src 'none'.*script-src 'self'/);
      expect(response.headers.get('x-content-type-options')).toBe('nosniff');
      expect(response.headers.get('referrer-policy')).toBe('no-referrer');
      expect((await response.text()).length).toBeGreaterThan(100);
      const again = await fetch(api.address + path, { headers: { 'if-none-match': response.headers.get('etag')! } });
      expect([again.status, await again.text()]).toEqual([304, '']);
    }
    for (const path of ['/assets/../package.json', '/assets/%2e%2e/index.html', '/src/web/main.ts'])
      expect((await fetch(api.address + path)).status).toBe(404);
  });

  it('answers only to local names without a token, and with one only to its bearer', async () => {
    const { request } = await import('node:http');
    const status = await new Promise((resolve) =>
      request({ port: api.port, host: '127.0.0.1', path: '/api/v1/apps', headers: { host: 'evil.example' } }, (r) =>
        resolve(r.resume().statusCode),
      ).end(),
    );
    expect(status).toBe(421);
    await expect(start({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'API_TOKEN_REQUIRED' });
    const guarded = await start({ tokenHash: createHash('sha256').update(TOKEN).digest('hex') });
    try {
      expect(await get('/api/v1/summary', 401, guarded)).toMatchObject({ code: 'TOKEN_REQUIRED' });
      expect((await fetch(`${guarded.address}/api/v1/live`)).status).toBe(401);
      expect((await fetch(`${guarded.address}/`)).status).toBe(200);
      expect((await fetch(`${guarded.address}/api/v1/apps`, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(200);
    } finally {
      await guarded.stop();
    }
  });

  it('says that the database is away, not why, and recovers', async () => {
    let away = true;
    const flaky = await startApi(
      { host: '127.0.0.1', port: 0, apps: [], webDir },
      {
        query: (sql, params) => (away ? Promise.reject(new Error('password=hunter2')) : fixture.query(sql, params)),
        alerts: new MemoryDesk(),
        clock,
        log: silentLogger(),
        metrics: createMetrics(),
      },
    );
    try {
      const response = await fetch(`${flaky.address}/api/v1/apps`);
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2']);
      expect(await response.text()).not.toContain('hunter2');
      away = false;
      await get('/api/v1/apps', 200, flaky);
    } finally {
      await flaky.stop();
    }
  });

  it('says which port is taken', async () => {
    await expect(start({ port: api.port })).rejects.toMatchObject({
      code: 'API_LISTEN_FAILED',
      message: expect.stringContaining(String(api.port)),
    });
  });
});

describe('the live tail', () => {
  it('announces a call that changes, resumes where it was left, and ends with the server', async () => {
    const own = await start();
    const read = async (headers: Record<string, string>, until: string): Promise<string> => {
      const abort = new AbortController();
      const response = await fetch(`${own.address}/api/v1/live?app=live`, { headers, signal: abort.signal });
      expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
      let text = '';
      for await (const chunk of response.body!) {
        text += Buffer.from(chunk).toString();
        if (text.includes(until)) break;
      }
      abort.abort();
      return text;
    };
    const first = read({}, '"revision":4');
    const plot = {
      id: 'live-1',
      app: 'live',
      startedAt: NOW - 5000,
      outcome: null,
      ringMs: 4000,
      talkMs: 800,
      caller: 'a',
      callees: ['b'],
    };
    await fixture.put([story({ ...plot, revision: 3 })]);
    await fixture.put([story({ ...plot, outcome: 'answered', revision: 4 })]);
    const text = await first;
    const id = /^id: (\d+)$/m.exec(text)![1]!;
    expect(Number(id)).toBeGreaterThanOrEqual(NOW - 5000);
    expect(await read({ 'last-event-id': id }, '"revision":4')).not.toContain('"revision":3');
    const last = await fetch(`${own.address}/api/v1/live`);
    const ended = (async () => {
      for await (const _ of last.body!);
    })();
    await own.stop();
    await ended.catch(() => undefined);
  });
});
