import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Api, startApi } from '../../src/api/index.js';
import { CallstreamError } from '../../src/domain/errors.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { MemoryDesk } from '../support/alert-desk.js';
import { answerErrors } from '../support/openapi.js';

const NOW = 1_764_158_400_000;
const SILENCES = '/api/v1/alerts/silences';
const END = `${SILENCES}/end`;
const TEST = '/api/v1/alerts/webhooks/test';
const JSON_BODY = { 'content-type': 'application/json' };
const webDir = mkdtempSync(join(tmpdir(), 'callstream-web-'));
let desk: MemoryDesk;
let api: Api;

beforeAll(() => writeFileSync(join(webDir, 'main.js'), ''));
afterAll(() => rmSync(webDir, { recursive: true, force: true }));
beforeEach(async () => {
  desk = new MemoryDesk();
  api = await startApi(
    { host: '127.0.0.1', port: 0, apps: [{ provider: 'tencent', app_id: '1' }], webDir },
    { query: async () => [], alerts: desk, clock: { now: () => NOW }, log: silentLogger(), metrics: createMetrics() },
  );
  return () => api.stop();
});

const send = (path: string, body: unknown, headers: Record<string, string> = JSON_BODY): Promise<Response> =>
  fetch(api.address + path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) });
// biome-ignore lint/suspicious/noExplicitAny: bodies are looked at field by field
async function read(path: string): Promise<any> {
  const response = await fetch(api.address + path);
  const body = await response.json();
  expect([path, answerErrors(path, response.status, body)]).toEqual([path, []]);
  return body;
}

it('silences a rule of an app for a while, shows it, and ends it', async () => {
  const made = await send(SILENCES, { rule: 'missed-rate', app: '1', for: '2h', comment: 'load test' });
  const silence = { rule: 'missed-rate', app_id: '1', until: NOW + 7_200_000, comment: 'load test' };
  expect([made.status, await made.json()]).toEqual([200, { as_of: NOW, silence }]);
  expect((await read(SILENCES)).silences).toEqual([silence]);
  expect((await send(END, { rule: 'missed-rate' })).status).toBe(200);
  expect((await read(SILENCES)).silences).toEqual([silence]);
  expect((await send(END, { rule: 'missed-rate', app: '1' })).status).toBe(200);
  expect((await read(SILENCES)).silences).toEqual([]);
});

it('shows the rules in force with their metric, and what it is now in the apps that they watch', async () => {
  desk.samples = {
    'missed-rate': new Map([
      ['1', { value: 0.61, n: 84 }],
      ['of-nobody', { value: 1, n: 99 }],
    ]),
  };
  const { rules } = await read('/api/v1/alerts/rules');
  expect(rules.map(({ name }: { name: string }) => name)).toEqual(desk.rules.map(({ name }) => name));
  expect(rules[0]).toMatchObject({ name: 'missed-rate', built_in: true, unit: 'rate', threshold: 0.5, window_ms: 900_000, apps: null });
  expect(rules[0].now).toEqual([{ app_id: '1', value: 0.61, n: 84, above: true }]);
  expect(rules[1].now).toEqual([]);
});

it('tests a webhook and says what it answered; its address is nowhere', async () => {
  expect(await (await send(TEST, { webhook: 'ops' })).json()).toMatchObject({ delivered: true, detail: 'The receiver answers 200.' });
  desk.answer = { delivered: false, detail: 'the receiver answers 500.' };
  expect(await (await send(TEST, { webhook: 'chat' })).json()).toMatchObject({ delivered: false });
  expect(desk.tested).toEqual(['ops', 'chat']);
  expect(await read('/api/v1/alerts/webhooks')).toEqual({ webhooks: desk.receivers });
});

describe('what is wrong is said, and changes nothing', () => {
  it.each<[string, unknown, string[]]>([
    [SILENCES, {}, ['rule', 'for']],
    [SILENCES, { rule: 'missed-rate', for: '2 hours' }, ['for']],
    [SILENCES, { rule: 'missed-rate', for: '91d' }, ['for']],
    [SILENCES, { rule: 'missed-rate', for: 3600 }, ['for']],
    [SILENCES, { rule: 'none', for: '2h' }, ['rule']],
    [SILENCES, { rule: 'missed-rate', for: '2h', app: '2' }, ['app']],
    [SILENCES, { rule: 'missed-rate', for: '2h', until: 5 }, ['until']],
    [SILENCES, { rule: 'missed-rate', for: '2h', comment: 'x'.repeat(501) }, ['comment']],
    [SILENCES, [], ['']],
    [SILENCES, 'null', ['']],
    [END, { rule: 'none' }, ['rule']],
    [TEST, { webhook: 'none' }, ['webhook']],
  ])('%s %j', async (path, body, wrong) => {
    const response = await send(path, body);
    const problem = (await response.json()) as { code: string; errors: { parameter: string }[] };
    expect([response.status, problem.code]).toEqual([400, 'PARAMETER_INVALID']);
    expect(problem.errors.map(({ parameter }) => parameter).sort()).toEqual(wrong.sort());
    expect([desk.kept.size, desk.tested]).toEqual([0, []]);
  });

  it.each(['', '{', '{"rule":"missed-rate","__proto__":{}}'])('the body %j is no JSON object', async (body) => {
    expect((await send(SILENCES, body)).status).toBe(400);
    expect(desk.kept.size).toBe(0);
  });

  it('a body that is too long', async () => {
    expect((await send(SILENCES, { rule: 'x'.repeat(5_000), for: '1h' })).status).toBe(413);
  });

  it('Kafka is away', async () => {
    desk.trouble = new CallstreamError('KAFKA_UNAVAILABLE', 'connect ECONNREFUSED 10.0.0.5:9092');
    for (const response of [await send(SILENCES, { rule: 'missed-rate', for: '2h' }), await fetch(api.address + SILENCES)]) {
      const text = await response.text();
      expect([response.status, JSON.parse(text).code, response.headers.get('retry-after')]).toEqual([503, 'KAFKA_UNAVAILABLE', '2']);
      expect(text).not.toContain('10.0.0.5');
    }
  });
});

describe('a page of another site', () => {
  const silence = { rule: 'missed-rate', for: '2h' };
  const host = () => api.address.replace('http://', '');

  it.each(['https://evil.example', 'http://127.0.0.1', 'http://127.0.0.1:1', 'http://127.0.0.1.evil.example', 'null', 'no origin'])(
    'cannot silence an alert: Origin %s',
    async (origin) => {
      for (const path of [SILENCES, END, TEST]) {
        const response = await send(path, silence, { ...JSON_BODY, origin });
        expect([path, response.status, ((await response.json()) as { code: string }).code]).toEqual([path, 403, 'ORIGIN_REFUSED']);
      }
      expect([desk.kept.size, desk.tested]).toEqual([0, []]);
    },
  );

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'text/plain; application/json',
  ])('cannot with what a form may send: %s', async (type) => {
    const response = await send(SILENCES, JSON.stringify(silence), { 'content-type': type });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([415, 'CONTENT_TYPE_REFUSED']);
    expect(desk.kept.size).toBe(0);
  });

  it('is not allowed to ask with more', async () => {
    const response = await fetch(api.address + SILENCES, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://evil.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    });
    expect(response.status).toBe(405);
    expect([...response.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
  });

  it('of this server may', async () => {
    expect((await send(SILENCES, silence, { ...JSON_BODY, origin: `http://${host()}` })).status).toBe(200);
    expect((await send(SILENCES, silence, { 'content-type': 'application/json; charset=utf-8' })).status).toBe(200);
  });
});

it('says with which methods an address is asked', async () => {
  const allowed = async (path: string, method: string) => {
    const response = await fetch(api.address + path, { method });
    return [response.status, response.headers.get('allow')];
  };
  expect(await allowed(SILENCES, 'DELETE')).toEqual([405, 'GET, HEAD, POST']);
  expect(await allowed(END, 'GET')).toEqual([405, 'POST']);
  expect(await allowed('/api/v1/alerts/rules', 'PUT')).toEqual([405, 'GET, HEAD']);
});
