import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../src/local/index.js';
import { formatReport, runSimulation } from '../../src/simulator/index.js';
import { Ledger } from '../../src/simulator/ledger.js';
import { Sender } from '../../src/simulator/sender.js';
import { Timeline } from '../../src/simulator/timeline.js';
import type { Delivery } from '../../src/simulator/wire.js';
import { aliyunRtc } from '../../src/sources/aliyun-rtc.js';
import { callRecord, firstPage } from '../../src/sources/call-record.js';
import { systemClock } from '../../src/telemetry/clock.js';

const APP = '1400000001';
const SUCCESS = '{"ErrorCode":0,"ErrorMessage":"Success"}';
const V4_SUCCESS = '{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}';
type Answer = (request: { url: string; body: string }, response: ServerResponse) => void;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function ingest(answer: Answer) {
  const seen: { url: string; body: string }[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const one = { url: request.url ?? '', body: Buffer.concat(chunks).toString() };
      seen.push(one);
      answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const ok: Answer = (_request, response) => response.end(SUCCESS);
const delivery = (text: string, expect: 200 | 403 = 200): Delivery => ({
  send_at: 0,
  source: 'tuicallkit',
  app_id: '1',
  query: 'sdkappid=1&optplatform=Web',
  body: Buffer.from(text),
  expect,
});
const once = (deliveries: Delivery[]) => [
  new Timeline([{ start_at: 0, plan: () => ({ plot: 'answered' as const, group: false, deliveries }) }].values()),
];
const base = (origin: string) => ({
  origin,
  secrets: new Map([['1', 's p']]),
  concurrency: 8,
  clock: systemClock,
  signal: new AbortController().signal,
  ledger: null,
});
const sender = (origin: string, ledger: Ledger | null = null, signal = new AbortController().signal) =>
  new Sender({ ...base(origin), signal, ledger });

describe('the sender', () => {
  it('posts to the path with the secret, and books what was acknowledged', async () => {
    const { seen, origin } = await ingest(ok);
    const ledger = new Ledger();
    const s = sender(origin, ledger);
    await s.run(once([delivery('a'), delivery('b'), delivery('a')]));
    await s.close();
    expect(seen.map((r) => r.url)).toEqual(Array(3).fill('/callbacks/tuicallkit/s%20p?sdkappid=1&optplatform=Web'));
    expect(s.counts).toMatchObject({ settled: 3, acknowledged: 3, retries: 0, unexpected: 0 });
    expect([...ledger.entries.values()].map((e) => [e.attempts, e.acknowledged])).toEqual([
      [2, 2],
      [1, 1],
    ]);
  });

  it('tries again after 5xx, a broken connection and a body that is not success', async () => {
    const answers: Answer[] = [
      (_r, response) => response.writeHead(503).end(),
      (_r, response) => response.destroy(),
      (_r, response) => response.end('{"ErrorCode":1}'),
      ok,
    ];
    const { origin } = await ingest((request, response) => answers.shift()!(request, response));
    const ledger = new Ledger();
    const s = sender(origin, ledger);
    await s.run(once([delivery('a')]));
    await s.close();
    expect(s.counts).toMatchObject({ settled: 1, acknowledged: 1, retries: 3 });
    expect([...ledger.entries.values()][0]).toMatchObject({ attempts: 4, acknowledged: 1 });
  });

  it('takes only the answer of the generation that it speaks for success', async () => {
    const answers = [SUCCESS, '{"ActionStatus":"FAIL","ErrorInfo":"","ErrorCode":0}', V4_SUCCESS, V4_SUCCESS, SUCCESS];
    const { origin } = await ingest((_request, response) => response.end(answers.shift()));
    const s = sender(origin);
    await s.run(once([{ ...delivery('a'), v4: true }]));
    await s.run(once([delivery('b')]));
    await s.close();
    expect(s.counts).toMatchObject({ settled: 2, acknowledged: 2, retries: 3 });
    expect(answers).toEqual([]);
  });

  it('expects 403 where it is due and notices where it is not', async () => {
    const { origin } = await ingest(({ body }, response) => (body === 'open' ? response.end(SUCCESS) : response.writeHead(403).end()));
    const ledger = new Ledger();
    const s = sender(origin, ledger);
    await s.run(once([delivery('stranger', 403), delivery('open', 403), delivery('mine', 200)]));
    await s.close();
    expect(s.counts).toMatchObject({ refused: 2, unexpected: 2 });
    expect(ledger.unexpected.map((u) => [u.expected, u.status])).toEqual(
      expect.arrayContaining([
        [403, 200],
        [200, 403],
      ]),
    );
  });

  it('gives up what is unanswered when it is stopped', async () => {
    const stop = new AbortController();
    const { origin } = await ingest((_r, response) => {
      response.writeHead(503).end();
      stop.abort();
    });
    const s = sender(origin, null, stop.signal);
    await s.run(once([delivery('a')]));
    await s.close();
    expect(s.counts).toMatchObject({ abandoned: 1, acknowledged: 0 });
  });

  it('plays a whole small run and reports it', async () => {
    const { seen, origin } = await ingest(({ url }, response) => {
      if (url.includes('?sdkappid=1400000001&')) response.end(SUCCESS);
      else if (url.includes('?SdkAppid=1400000001&')) response.end(V4_SUCCESS);
      else response.writeHead(403).end();
    });
    const report = await runSimulation(
      { seed: '3', chaos: 'hard', calls: 200, live: 0 },
      { ingest: origin, apps: [{ app_id: '1400000001' }], clock: systemClock },
    );
    expect(report.sent.unexpected).toBe(0);
    expect(report.sent.settled).toBe(seen.length);
    expect(Object.values(report.plots).reduce((a, b) => a + b, 0)).toBe(200);
    expect(report.verify).toBe(null);
  });

  it('posts to the path of each webhook, and takes what each calls success', async () => {
    const answers: Record<string, string[]> = {
      '/callbacks/tuicallkit': [SUCCESS],
      '/callbacks/tiw': ['{"error_code":1}', '{"error_code":0}'],
      '/callbacks/aliyun-rtc': [''],
    };
    const { seen, origin } = await ingest(({ url }, response) => response.end(answers[url.split('?')[0]!]?.shift()));
    const s = new Sender({ ...base(origin), secrets: new Map() });
    await s.run(
      once([delivery('a'), { ...delivery('b'), source: 'tiw', query: '' }, { ...delivery('c'), source: 'aliyun-rtc', query: '' }]),
    );
    await s.close();
    expect(seen.map((r) => `${r.url} ${r.body}`).sort()).toEqual([
      '/callbacks/aliyun-rtc c',
      '/callbacks/tiw b',
      '/callbacks/tiw b',
      '/callbacks/tuicallkit?sdkappid=1&optplatform=Web a',
    ]);
    expect(s.counts).toMatchObject({ acknowledged: 3, retries: 1, unexpected: 0 });
  });

  it('tells how each push went, and sends none that is lost', async () => {
    const { seen, origin } = await ingest(({ body }, response) => response.writeHead(body === 'refused' ? 403 : 200).end());
    const told: Record<string, number> = {};
    const s = new Sender({ ...base(origin), onPushed: ({ push }, { status }) => (told[push.message_id] = status) });
    const push = (text: string, more: Partial<Delivery> = {}): Delivery => ({
      ...delivery(text),
      source: 'aliyun-rtc',
      push: { subscribe_id: 's', channel_id: 'c', message_id: text, escapedTwice: false, code: null },
      ...more,
    });
    await s.run(once([push('sent'), push('refused', { expect: 403 }), push('lost', { lost: true })]));
    await s.close();
    expect(told).toEqual({ sent: 200, refused: 403, lost: 0 });
    expect(seen.map((r) => r.body).sort()).toEqual(['refused', 'sent']);
    expect(s.counts).toMatchObject({ settled: 2, acknowledged: 1 });
  });

  it('plays whole vendors: calls, recordings, channels, and APIs that tell of them while it lasts', async () => {
    const vendor = await freePort();
    const endpoint = `http://127.0.0.1:${vendor}`;
    const records = { endpoint, generation: 'v1', identifier: 'administrator', secretKey: 'key-of-nobody' } as const;
    const api = { endpoint, subscribeIds: ['s-1'], accessKeyId: 'id-of-nobody', accessKeySecret: 'key-of-nobody' };
    const told = { calls: new Set<string>(), messages: new Set<string>() };
    const ask = async () => {
      const now = Date.now();
      const [list, log] = [
        callRecord.request(firstPage('v1', APP, now - 86_400_000, now), records, now, randomBytes(8).toString('hex')),
        // The next minute too: the log has whole minutes only.
        aliyunRtc.request(
          { appId: 'rtc', subscribeId: 's-1', from: now - 600_000, to: now + 60_000, page: 1 },
          api,
          now,
          randomBytes(8).toString('hex'),
        ),
      ];
      for (const { url, headers, body } of [list!, log!]) {
        const response = await request(url, { method: 'POST', headers, body });
        const text = await response.body.text();
        for (const [, id] of text.matchAll(/"callId":"([^"]+)"/g)) told.calls.add(id!);
        for (const [, id] of text.matchAll(/"MessageId":"([^"]+)"/g)) told.messages.add(id!);
      }
    };
    let count = 0;
    const answer: Answer = ({ url }, response) => {
      if (url.startsWith('/callbacks/tiw')) response.end('{"error_code":0}');
      else if (url.startsWith('/callbacks/aliyun-rtc/path-secret')) response.end('');
      else if (url.includes(`?sdkappid=${APP}&`)) response.end(SUCCESS);
      else if (url.includes(`?SdkAppid=${APP}&`)) response.end(V4_SUCCESS);
      else response.writeHead(403).end();
    };
    const { seen, origin } = await ingest((request, response) => {
      // The run does not end while a callback has no answer.
      if (++count % 100 === 0) void ask().then(() => answer(request, response));
      else answer(request, response);
    });
    const report = await runSimulation(
      { seed: '3', chaos: 'none', calls: 400, live: 0 },
      {
        ingest: origin,
        apps: [{ app_id: APP, records, tiwCallbackKey: 'key-of-nobody' }],
        channelApps: [{ app_id: 'rtc', secret: 'path-secret', api }],
        clock: systemClock,
      },
    );
    expect(report.sent.unexpected).toBe(0);
    expect(report.recordings).toBeGreaterThan(5);
    expect(report.channels).toBeGreaterThan(20);
    expect(Object.values(report.plots).reduce((a, b) => a + b, 0) + report.channels).toBe(400);
    expect(seen.filter((r) => r.url === '/callbacks/tiw').length).toBeGreaterThan(report.recordings);
    expect(told.calls.size).toBeGreaterThan(50);
    expect(told.messages.size).toBeGreaterThan(20);
    expect(report.api['v1/records/get_records_by_filter']?.ok).toBeGreaterThan(0);
    expect(report.api.ListEventSubEvent?.ok).toBeGreaterThan(0);
    const lines = formatReport(report).join('\n');
    expect(lines).toMatch(/asked for ListEventSubEvent: ok \d+, rate_limited 0/);
    expect(lines).toMatch(/\d+ recordings, \d+ times something in a channel/);
    await expect(request(endpoint)).rejects.toThrow();
  });

  it('refuses an outage that would never begin', async () => {
    const deps = { ingest: 'http://127.0.0.1:9', apps: [{ app_id: '1' }], clock: systemClock };
    const code = (options: object) =>
      runSimulation({ seed: '1', chaos: 'none', outageMs: 1, ...options }, deps).catch((error) => error.code);
    expect(await code({})).toBe('SIMULATOR_OPTIONS');
    expect(await code({ calls: 5 })).toBe('SIMULATOR_OPTIONS');
  });

  it('refuses to verify what never ends or what it cannot see', async () => {
    const deps = { ingest: 'http://127.0.0.1:9', apps: [{ app_id: '1' }], clock: systemClock };
    await expect(runSimulation({ seed: '1', chaos: 'none', calls: 1, verify: true }, deps)).rejects.toMatchObject({
      code: 'SIMULATOR_OPTIONS',
    });
    await expect(runSimulation({ seed: '1', chaos: 'none' }, { ...deps, apps: [] })).rejects.toMatchObject({ code: 'SIMULATOR_OPTIONS' });
  });
});
