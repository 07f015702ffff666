import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, startApi } from '../../src/api/index.js';
import { readDeadLetters } from '../../src/cli/dead-letters/read.js';
import type { ClickHouse } from '../../src/clickhouse/index.js';
import { keysOf } from '../../src/clickhouse/keys.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { MemoryDesk } from '../support/alert-desk.js';
import { fuzz, fuzzAsync } from '../support/fuzz.js';

/*
 * The query API against those who may reach it and should not, and against filters that are meant to be more than filters.
 */

const SECRET = 'a-password-of-the-test';
const webDir = mkdtempSync(join(tmpdir(), 'callstream-web-'));
const asked: { sql: string; params: Record<string, unknown> }[] = [];
let failing = false;
const lines: string[] = [];
let api: Api;

beforeAll(async () => {
  writeFileSync(join(webDir, 'main.js'), '');
  api = await startApi(
    { host: '127.0.0.1', port: 0, apps: [], webDir, livePollMs: 60_000 },
    {
      alerts: new MemoryDesk(),
      query: async (sql, params) => {
        asked.push({ sql, params });
        if (failing) throw new Error(`refused for user api with password ${SECRET}`);
        return [];
      },
      clock: { now: () => 1_704_695_566_000 },
      log: pino({}, { write: (line: string) => void lines.push(line) }),
      metrics: createMetrics(),
    },
  );
});
afterAll(async () => {
  await api?.stop();
  rmSync(webDir, { recursive: true, force: true });
});

/** Bytes as they are; the answer until the server closes. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(api.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (data) => {
    answer += data.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return answer;
}
const get = (path: string, more = ''): Promise<string> =>
  raw(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${more}\r\n`);
const status = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
const DETAIL = '/api/v1/calls/tencent/a/b';

describe('every answer', () => {
  it.each<[number, string, () => Promise<string>]>([
    [200, 'a page', () => get('/')],
    [200, 'a script', () => get('/assets/main.js')],
    [200, 'data', () => get('/api/v1/apps')],
    [404, 'nothing', () => get('/nothing')],
    [404, 'a path that climbs', () => get('/assets/../../package.json')],
    [404, 'a path that climbs in disguise', () => get('/assets/%2e%2e%2f%2e%2e%2fpackage.json')],
    [404, 'no call', () => get(DETAIL)],
    [400, 'a wrong parameter', () => get('/api/v1/calls?limit=0')],
    [400, 'a path that cannot be decoded', () => get('/api/v1/calls/%zz/a/b')],
    [405, 'another method', () => raw('DELETE / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')],
    [
      413,
      'a body',
      () =>
        raw(
          `POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n${'x'.repeat(5_000)}`,
        ),
    ],
    [421, 'another host', () => raw('GET /api/v1/apps HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')],
    [431, 'a URL without end', () => get(`/${'a'.repeat(20_000)}`)],
    [400, 'no HTTP', () => raw('\x16\x03\x01\r\n\r\n')],
    [
      400,
      'a length and chunks',
      () => raw('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    ],
  ])('%i, %s: has the headers that keep a browser in bounds, and none that let other sites in', async (expected, _what, ask) => {
    const answer = await ask();
    expect(status(answer)).toBe(expected);
    const head = answer.split('\r\n\r\n')[0]!.toLowerCase();
    expect(head).toMatch(/content-security-policy: default-src 'none';.*frame-ancestors 'none'/);
    for (const header of [
      'x-content-type-options: nosniff',
      'x-frame-options: deny',
      'referrer-policy: no-referrer',
      'cross-origin-resource-policy: same-origin',
    ])
      expect(head).toContain(header);
    expect(head).not.toContain('access-control-');
    expect(head).not.toMatch(/^(?:server|x-powered-by):/m);
  });

  it('to another site is not for its scripts', async () => {
    const asked = 'Origin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\n';
    expect(await get('/api/v1/apps', asked)).not.toMatch(/access-control-/i);
    expect(await raw(`OPTIONS /api/v1/apps HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${asked}\r\n`)).toMatch(/^HTTP\/1\.1 405/);
  });

  it('of a database that fails says nothing of why; the log does', async () => {
    failing = true;
    lines.length = 0;
    const answer = await get('/api/v1/apps');
    failing = false;
    expect(status(answer)).toBe(503);
    expect(answer).not.toContain(SECRET);
    expect(lines.join('')).toContain('refused for user api');
  });
});

it.each([
  'evil.example',
  '127.0.0.1.evil.example',
  'localhost.evil.example:8090',
  '10.0.0.1',
  '[::ffff:10.0.0.1]',
  '0.0.0.0',
  '127.0.0.1@evil.example',
  '',
])('without a token, no data for the host "%s"', async (host) => {
  for (const path of ['/api/v1/apps', '/api/v1/live', DETAIL, '/api/v1/calls', '/api/v1/summary', '/api/v1/series'])
    expect(status(await raw(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`))).toBe(421);
});

describe('a filter', () => {
  const hostile = fc.oneof(
    fc.constantFrom(
      "' OR 1=1 --",
      "\\' OR 1=1 --",
      '{app:String}',
      '{x:Identifier}',
      ') OR (1',
      "'; DROP TABLE calls; --",
      '\0',
      '\n',
      '/*',
      'ü\u{1F600}',
      '%27',
      '$1',
      '?',
    ),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }),
  );
  const sqlOf = async (path: string): Promise<string[]> => {
    asked.length = 0;
    const response = await fetch(api.address + path);
    await response.text();
    return asked.map(({ sql }) => sql);
  };
  const encode = (value: string): string => encodeURIComponent(value.toWellFormed());

  it.each(['app', 'user', 'room', 'call', 'q'])('%s changes no query, only its parameters', async (name) => {
    const plain = await sqlOf(`/api/v1/calls?${name}=x`);
    expect(plain.length).toBeGreaterThan(0);
    await fuzzAsync(
      hostile,
      async (value) => {
        const texts = await sqlOf(`/api/v1/calls?${name}=${encode(value)}`);
        expect(texts).toEqual(plain);
        expect(asked.every(({ params }) => Object.values(params).includes(value.toWellFormed()))).toBe(true);
      },
      40,
    );
  });

  it('of the other endpoints neither', async () => {
    for (const path of ['/api/v1/summary?app=', '/api/v1/series?app=']) {
      const plain = await sqlOf(`${path}x`);
      await fuzzAsync(hostile, async (value) => expect(await sqlOf(path + encode(value))).toEqual(plain), 20);
    }
    const plain = await sqlOf(DETAIL);
    await fuzzAsync(
      fc.tuple(hostile, hostile, hostile),
      async (parts) => {
        const texts = await sqlOf(`/api/v1/calls/${parts.map((part) => encode(part).replaceAll('.', '%2E')).join('/')}`);
        // Dots alone are no path that reaches anyone.
        if (texts.length > 0) expect(texts).toEqual(plain);
      },
      40,
    );
  });

  it('of a cursor neither', async () => {
    const cursor = (id: string) => Buffer.from(JSON.stringify([1_704_695_566_000, id, id, id])).toString('base64url');
    const plain = await sqlOf(`/api/v1/calls?cursor=${cursor('x')}`);
    expect(plain.length).toBeGreaterThan(0);
    await fuzzAsync(hostile, async (value) => expect(await sqlOf(`/api/v1/calls?cursor=${cursor(value)}`)).toEqual(plain), 40);
  });

  it('of the command line neither', async () => {
    const texts: string[] = [];
    const query = async (sql: string): Promise<never[]> => {
      texts.push(sql);
      return [];
    };
    const clickhouse = { query } as unknown as ClickHouse;
    await readDeadLetters(clickhouse, { stage: 'x', reason: 'x', app: 'x', since: 1, origins: ['x'] }, 10);
    await fuzzAsync(
      hostile,
      async (value) => {
        await readDeadLetters(clickhouse, { stage: value, reason: value, app: value, since: 1, origins: [value] }, 10);
        expect(texts.pop()).toBe(texts[0]);
      },
      100,
    );
  });

  it('in a list of calls to look up is hexadecimal', () => {
    fuzz(hostile, (value) => {
      expect(keysOf([{ app_id: value, call_id: value }])).toMatch(
        /^\(SELECT arrayJoin\(arrayZip\((?:arrayMap\(x -> unhex\(x\), splitByChar\(',', '[0-9a-f,]*'\)\)(?:, )?){2}\)\)\)$/,
      );
    });
  });
});
