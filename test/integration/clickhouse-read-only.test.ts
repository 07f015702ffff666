import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClickHouse } from '../../src/clickhouse/index.js';
import { useStack } from '../support/stack.js';

/*
 * What the query API may ask of a real server, with no user but the default one.
 */

const server = useStack(['clickhouse']);
let admin: ClickHouse;
const opened: ClickHouse[] = [];
const reader = (): ClickHouse => {
  const client = new ClickHouse({
    url: server.clickhouseUrl,
    username: 'default',
    password: '',
    database: 'default',
    readOnly: true,
  });
  opened.push(client);
  return client;
};
const codeOf = (work: Promise<unknown>): Promise<number | null | undefined> =>
  work.then(
    () => undefined,
    (error: { server: number | null }) => error.server,
  );

beforeAll(async () => {
  admin = new ClickHouse({ url: server.clickhouseUrl, username: 'default', password: '', database: 'default' });
  await admin.command('CREATE TABLE IF NOT EXISTS read_only_probe (x UInt32) ENGINE = MergeTree ORDER BY x');
  await admin.command('INSERT INTO read_only_probe SELECT number FROM numbers(10)');
});
afterAll(async () => {
  await admin?.command('DROP TABLE IF EXISTS read_only_probe');
  await Promise.all([admin, ...opened].map((client) => client?.close()));
});

describe('a reader', () => {
  it('reads with parameters, short and long', async () => {
    const client = reader();
    expect(
      await client.query('SELECT {s:String} AS s, x FROM read_only_probe WHERE x IN {n:Array(UInt32)} ORDER BY x', {
        s: "'; DROP",
        n: [1, 2],
      }),
    ).toEqual([
      { s: "'; DROP", x: 1 },
      { s: "'; DROP", x: 2 },
    ]);
    expect(await client.query('SELECT length({s:String}) AS n', { s: 'x'.repeat(100_000) })).toEqual([{ n: 100_000 }]);
  });

  it.each([
    'INSERT INTO read_only_probe SELECT 1',
    'DROP TABLE read_only_probe',
    'CREATE TABLE t (x UInt8) ENGINE = Memory',
    'SET max_execution_time = 0',
    'SYSTEM FLUSH LOGS',
  ])('may not: %s', async (sql) => {
    const client = reader();
    // The same statement as a query of its own, without the FORMAT clause that a query gets.
    expect(await codeOf(client.query(`${sql} --`))).not.toBeUndefined();
    expect(await admin.query('SELECT count() AS n FROM read_only_probe')).toEqual([{ n: 10 }]);
  });

  it('may not lift its limits', async () => {
    expect(await codeOf(reader().query('SELECT 1 SETTINGS readonly = 0'))).toBe(164);
    expect(await codeOf(reader().query('SELECT 1 SETTINGS max_execution_time = 0'))).toBe(164);
  });

  it('gets no answer without end', async () => {
    expect(await codeOf(reader().query('SELECT number FROM numbers(100000)'))).toBe(396);
    expect(await codeOf(reader().query('SELECT repeat(toString(number), 300000) AS t FROM numbers(1000)'))).toBe(396);
  });
});
