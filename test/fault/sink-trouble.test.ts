import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ClickHouse } from '../../src/clickhouse/index.js';
import { type Server, startClickHouse } from '../../src/local/index.js';
import { Dice } from '../support/clickhouse-model.js';
import { expectViews } from '../support/clickhouse-views.js';
import { MemoryTopics } from '../support/memory-source.js';
import { closeDatabases, drained, fill, freshDatabase, openDatabase, rolled, startSink } from '../support/sink-kit.js';
import { isInsertInto, TcpProxy } from '../support/tcp-proxy.js';

const dir = mkdtempSync(join(tmpdir(), 'callstream-sink-'));
let server: Server;
let proxy: TcpProxy;

beforeAll(async () => {
  server = await startClickHouse({ port: 0, dataDir: join(dir, 'data'), logDir: join(dir, 'log') });
});
afterEach(() => proxy?.close());
afterAll(async () => {
  await closeDatabases();
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A database, and the way to it that the sink goes. */
async function databaseBehindProxy(requestTimeoutMs = 30_000): Promise<{ direct: ClickHouse; proxied: ClickHouse }> {
  proxy = await TcpProxy.listen(server.port);
  const direct = await freshDatabase(server.address);
  return { direct, proxied: openDatabase({ url: `http://127.0.0.1:${proxy.port}`, database: direct.database, requestTimeoutMs }) };
}

/** An error as ClickHouse answers it. */
const refusal = (code: number, name: string): string => {
  const text = `Code: ${code}. DB::Exception: made up by a test. (${name})\n`;
  return [
    'HTTP/1.1 500 Internal Server Error',
    'content-type: text/plain; charset=UTF-8',
    `x-clickhouse-exception-code: ${code}`,
    `content-length: ${text.length}`,
    'connection: close',
    '',
    text,
  ].join('\r\n');
};

describe('the sink, when ClickHouse', () => {
  test.each([0, 60])(
    'has stored an insert and the connection is torn %i bytes into its answer: leaves exact relations',
    async (afterBytes) => {
      const { direct, proxied } = await databaseBehindProxy();
      const topics = new MemoryTopics();
      const records = fill(topics, new Dice(41));
      const cut = (table: string) => proxy.cutAnswers(isInsertInto(table), { times: 2, afterBytes });
      const flushed = ['calls_latest', 'call_revisions', 'call_event_rows', 'deliveries', 'dead_letter_rows', 'touched'].map(cut);
      const rollups = ['metrics_minutes', 'concurrency_minutes'].map(cut);
      const sink = startSink(topics, proxied);
      await drained(topics);
      await rolled(direct);
      await sink.stop();
      // What the sink is not told of it sends again, so it meets both. A rollup that was stored needs no second time, unless more is touched.
      for (const { left } of flushed) expect(left).toBe(0);
      for (const { left } of rollups) expect(left).toBeLessThan(2);
      expect(proxy.cuts).toBe([...flushed, ...rollups].reduce((sum, { left }) => sum + 2 - left, 0));
      await expectViews(direct, records);
    },
  );

  test('takes connections and never answers: says so, and goes on by itself when it answers again', async () => {
    const { direct, proxied } = await databaseBehindProxy(1_000);
    const topics = new MemoryTopics();
    let flushes = 0;
    const sink = startSink(topics, proxied, {
      fault: (point) => {
        if (point === 'sink:before-touched-insert' && flushes++ === 1) proxy.hang();
      },
    });
    const records = fill(topics, new Dice(43));
    await vi.waitFor(() => expect(sink.worker.problems().join()).toContain('no answer within 1000 ms'), { timeout: 30_000 });
    expect(topics.lag).toBeGreaterThan(0);
    proxy.resume();
    await drained(topics);
    await rolled(direct);
    await vi.waitFor(() => expect(sink.worker.problems()).toEqual([]), { timeout: 30_000 });
    await sink.stop();
    expect(proxy.hung).toBeGreaterThan(0);
    await expectViews(direct, records);
  });

  test('is slow, and answers some requests only after the sink has given up on them: leaves exact relations', async () => {
    const { direct, proxied } = await databaseBehindProxy(400);
    const topics = new MemoryTopics();
    proxy.delayMs = 1_000;
    proxy.bytesPerSecond = 20_000;
    const sink = startSink(topics, proxied);
    const records = fill(topics, new Dice(47));
    await vi.waitFor(() => expect(sink.worker.problems().join()).toContain('no answer within 400 ms'), { timeout: 30_000 });
    proxy.delayMs = 50;
    await drained(topics);
    await rolled(direct);
    await sink.stop();
    await expectViews(direct, records);
  });

  test.each<[number, string]>([
    [241, 'MEMORY_LIMIT_EXCEEDED'],
    [202, 'TOO_MANY_SIMULTANEOUS_QUERIES'],
    [243, 'NOT_ENOUGH_SPACE'],
  ])('answers %i %s: waits, says so, and loses and doubles nothing', async (code, name) => {
    const { direct, proxied } = await databaseBehindProxy();
    const topics = new MemoryTopics();
    const records = fill(topics, new Dice(code));
    for (const table of ['calls_latest', 'call_event_rows', 'touched']) proxy.answerInstead(isInsertInto(table), refusal(code, name), 3);
    const sink = startSink(topics, proxied);
    await vi.waitFor(() => expect(sink.worker.problems().join()).toContain(`(code ${code})`), { timeout: 30_000 });
    await drained(topics);
    await rolled(direct);
    await vi.waitFor(() => expect(sink.worker.problems()).toEqual([]), { timeout: 30_000 });
    await sink.stop();
    expect(proxy.answered).toBe(9);
    await expectViews(direct, records);
  });

  test('has too many parts: waits, says so, and goes on in larger chunks once they are merged', async () => {
    const { direct, proxied } = await databaseBehindProxy();
    const topics = new MemoryTopics();
    await direct.command('SYSTEM STOP MERGES');
    await direct.command('ALTER TABLE calls_latest MODIFY SETTING parts_to_throw_insert = 3, parts_to_delay_insert = 3');
    const sink = startSink(topics, proxied);
    const records = fill(topics, new Dice(53));
    await vi.waitFor(() => expect(sink.worker.problems().join()).toContain('(code 252)'), { timeout: 30_000 });
    expect(topics.lag).toBeGreaterThan(0);
    await direct.command('SYSTEM START MERGES');
    await direct.command('ALTER TABLE calls_latest RESET SETTING parts_to_throw_insert, parts_to_delay_insert');
    await drained(topics);
    await rolled(direct);
    await sink.stop();
    await expectViews(direct, records);
  });
});
