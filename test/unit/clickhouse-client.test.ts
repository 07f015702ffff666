import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ClickHouse, Roller } from '../../src/clickhouse/index.js';

let server: Server;
let url: string;
let client: ClickHouse;
let answer: (response: ServerResponse, body: string) => void;
const asked: { settings: URLSearchParams; body: string }[] = [];

beforeEach(async () => {
  asked.length = 0;
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('latin1').on('data', (part: string) => (body += part));
    request.on('end', () => {
      asked.push({ settings: new URL(request.url ?? '', 'http://x').searchParams, body });
      answer(response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = new ClickHouse({ url, username: 'default', password: '', database: 'd' });
});
afterEach(async () => {
  await client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('an insert is neither asynchronous nor deduplicated: acknowledged is stored, and equal touches count (§3)', async () => {
  answer = (response) => response.end();
  await client.insert('touched', ['kind'], [Buffer.from('rows')]);
  expect(asked).toHaveLength(1);
  expect(asked[0]?.settings.get('async_insert')).toBe('0');
  expect(asked[0]?.settings.get('insert_deduplicate')).toBe('0');
  await client.command('INSERT INTO touched SELECT 1');
  expect(asked[1]?.settings.get('async_insert')).toBe('0');
  expect(asked[1]?.settings.get('insert_deduplicate')).toBe('0');
});

test('an insert is acknowledged by the end of its answer, not by the beginning (§3)', async () => {
  let finish = () => {};
  const begun = new Promise<void>((resolve) => {
    answer = (response) => {
      response.flushHeaders();
      finish = () => response.end();
      resolve();
    };
  });
  let acknowledged = false;
  const insert = client.insert('calls_latest', ['app_id'], [Buffer.from('rows')]).then(() => {
    acknowledged = true;
  });
  await begun;
  // The answer to a later question has come, so that the beginning of the first has, too.
  answer = (response) => response.end('{"one":1}\n');
  await client.query('SELECT 1 AS one');
  expect(acknowledged).toBe(false);
  finish();
  await insert;
});

test('an insert whose answer breaks off has failed, and may be tried again (§3)', async () => {
  answer = (response) => {
    response.write('\n');
    setImmediate(() => response.destroy());
  };
  await expect(client.insert('calls_latest', ['app_id'], [Buffer.from('rows')])).rejects.toMatchObject({ kind: 'retriable' });
});

test.each([
  ['a question', (impatient: ClickHouse) => impatient.query('SELECT 1 AS one')],
  ['a statement', (impatient: ClickHouse) => impatient.command('OPTIMIZE TABLE calls_latest')],
  ['an insert', (impatient: ClickHouse) => impatient.insert('calls_latest', ['app_id'], [Buffer.from('rows')])],
])(
  '%s whose answer begins and never ends has failed within its time, and may be asked again; its connection is gone (§7)',
  async (_, ask) => {
    const gone = new Promise<void>((resolve) => {
      answer = (response) => {
        response.once('close', resolve).write('{"one":1}\n{"one":');
      };
    });
    const impatient = new ClickHouse({ url, username: 'default', password: '', database: 'd', requestTimeoutMs: 200 });
    await expect(ask(impatient)).rejects.toMatchObject({ kind: 'retriable', message: expect.stringContaining('no answer within 200 ms') });
    await gone;
    await impatient.close();
  },
);

test('the roller looks back from the beginning of its last pass, not from its end (§3)', async () => {
  let now = 1_000_000;
  const since: unknown[] = [];
  const stub: Pick<ClickHouse, 'query' | 'command'> = {
    query: async <T>(sql: string, params: Record<string, unknown> = {}): Promise<T[]> => {
      if (sql.startsWith('SELECT toUnixTimestamp(now())')) return [{ now }] as T[];
      since.push(params.since);
      return [{ kind: 'metrics', app_id: 'a', bucket: 60, n: 1, first: 0 }] as T[];
    },
    command: async () => {
      now += 600;
    },
  };
  const roller = new Roller(stub as ClickHouse, 86_400_000);
  await roller.pass();
  await roller.pass();
  expect(since[1]).toBeLessThan(1_000_000);
});
