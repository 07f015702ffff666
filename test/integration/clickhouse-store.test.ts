import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Chunk,
  ClickHouse,
  endRebuilds,
  Flush,
  findCalls,
  inputsOf,
  lookupCalls,
  lookupChannels,
  lookupRecordings,
  migrateClickHouse,
  openRebuilds,
  Roller,
  readMigrations,
  SERVER_CODES,
  wantRebuild,
} from '../../src/clickhouse/index.js';
import type { Call, CallEvent } from '../../src/codec/generated.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { blankCall, Dice, randomDeliveries } from '../support/clickhouse-model.js';
import { useStack } from '../support/stack.js';

const DAY = 86_400_000;
const RETENTION = { calls: 400 * DAY, events: 90 * DAY, metrics: 1826 * DAY };
const server = useStack(['clickhouse']);
const open = (database: string) => new ClickHouse({ url: server.clickhouseUrl, username: 'default', password: '', database });

describe('migrations', () => {
  let client: ClickHouse;
  beforeAll(() => {
    client = open('migrated');
  });
  afterAll(() => client.close());

  test('run once, in order; a second run does nothing', async () => {
    expect(await migrateClickHouse(client, { retention: RETENTION })).toEqual(readMigrations().map((m) => m.name));
    expect(await migrateClickHouse(client, { retention: RETENTION })).toEqual([]);
  });

  test('may be run again after a crash before they were noted', async () => {
    await client.command('TRUNCATE TABLE migrations');
    expect(await migrateClickHouse(client, { retention: RETENTION })).toEqual(readMigrations().map((m) => m.name));
  });

  test('tell the hour of the event of deliveries that were stored without, where their delay does', async () => {
    const old = open('older');
    try {
      const all = readMigrations();
      const before = all.filter(({ name }) => name < '007');
      await migrateClickHouse(old, { retention: RETENTION, migrations: before });
      const at = Math.floor(Date.now() / 3_600_000) * 3_600_000;
      await old.command(
        `INSERT INTO deliveries (raw_topic, raw_offset, received_at, delay_ms, dead)
         SELECT 'callstream.raw.tuicallkit', number, fromUnixTimestamp64Milli({at:Int64}), [1, 0, NULL, NULL][number + 1], number = 3 FROM numbers(4)`,
        { at },
      );
      expect(await migrateClickHouse(old, { retention: RETENTION, migrations: all })).toContain('008_delivery_hours.sql');
      const rows = await old.query<{ event_hour: number }>('SELECT event_hour FROM deliveries ORDER BY raw_offset');
      expect(rows.map((row) => row.event_hour)).toEqual([at / 3_600_000 - 1, at / 3_600_000, 0xffff_ffff, 0]);
    } finally {
      await old.close();
    }
  });

  test('refuse a file that was changed after it was applied, and a database of a newer version', async () => {
    const [first, ...rest] = readMigrations();
    await expect(
      migrateClickHouse(client, { retention: RETENTION, migrations: [{ ...first!, checksum: 'other' }, ...rest] }),
    ).rejects.toMatchObject({
      code: 'CLICKHOUSE_MIGRATION_CHANGED',
      message: expect.stringContaining(first!.name),
    });
    await expect(migrateClickHouse(client, { retention: RETENTION, migrations: [first!] })).rejects.toMatchObject({
      code: 'CLICKHOUSE_MIGRATION_MISSING',
    });
  });

  test('set the retention of every stored table, and change it when the configuration does', async () => {
    const ttls = async () =>
      Object.fromEntries(
        (
          await client.query<{ name: string; days: number }>(
            `SELECT name, toUInt32(extract(engine_full, 'toIntervalSecond\\\\((\\\\d+)\\\\)')) / 86400 AS days FROM system.tables
             WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name NOT IN ('migrations', 'rebuilds')`,
          )
        ).map((t) => [t.name, t.days]),
      );
    const days = (calls: number) => ({
      calls_latest: calls,
      call_revisions: calls,
      recordings_latest: calls,
      call_event_rows: 90,
      deliveries: 90,
      dead_letter_rows: 90,
      metrics_minutes: 1826,
      concurrency_minutes: 1826,
      alert_rows: 1826,
      touched: 1886,
    });
    expect(await ttls()).toEqual(days(400));
    await migrateClickHouse(client, { retention: { ...RETENTION, calls: 30 * DAY } });
    expect(await ttls()).toEqual(days(30));
  });

  test('let rows go that are older than a retention which was shortened, and no others', async () => {
    await migrateClickHouse(client, { retention: RETENTION });
    await client.command(
      `INSERT INTO calls_latest (app_id, call_id, first_seen_at, revision)
       SELECT 'ttl', concat(toString(days), ' d'), now64(3) - toIntervalDay(days), 1 FROM (SELECT arrayJoin([0, 10, 100, 300]) AS days)`,
    );
    const left = async () => {
      // What is not gone by itself goes with the next merge.
      await client.command('OPTIMIZE TABLE calls_latest FINAL', {}, 60_000);
      return (await client.query<{ call_id: string }>("SELECT call_id FROM calls_latest WHERE app_id = 'ttl' ORDER BY first_seen_at")).map(
        (r) => r.call_id,
      );
    };
    expect(await left()).toEqual(['300 d', '100 d', '10 d', '0 d']);
    await migrateClickHouse(client, { retention: { ...RETENTION, calls: 200 * DAY } });
    expect(await left()).toEqual(['100 d', '10 d', '0 d']);
    await migrateClickHouse(client, { retention: { ...RETENTION, calls: 60 * DAY } });
    expect(await left()).toEqual(['10 d', '0 d']);
  });
});

test('every error code in the table has the name that the server gives it', async () => {
  const client = open('default');
  const codes = Object.keys(SERVER_CODES).map(Number);
  const names = await client.query<{ code: number; name: string }>(
    'SELECT code, errorCodeToName(code) AS name FROM (SELECT arrayJoin({codes:Array(UInt32)}) AS code)',
    { codes },
  );
  expect(Object.fromEntries(names.map((n) => [n.code, n.name]))).toEqual(
    Object.fromEntries(codes.map((code) => [code, SERVER_CODES[code]![0]])),
  );
  await client.close();
});

test('a request that takes too long, a server that is not there, a wrong password: each has its kind', async () => {
  const client = open('default');
  await expect(client.query('SELECT sleep(3)', {}, 100)).rejects.toMatchObject({ kind: 'retriable', server: null });
  await expect(client.query('SELECT (')).rejects.toMatchObject({ kind: 'permanent', server: 62 });
  const long = client.query('SELECT {x:String}', { x: 'x'.repeat(200_000) });
  await expect(long).rejects.toMatchObject({ kind: 'unknown', server: 1000 });
  await client.close();
  const away = new ClickHouse({ url: 'http://127.0.0.1:9', username: 'default', password: '', database: 'default' });
  await expect(away.command('SELECT 1')).rejects.toMatchObject({ kind: 'retriable', code: 'CLICKHOUSE_UNAVAILABLE' });
  expect(await away.ping()).toBe(false);
  await away.close();
  const stranger = new ClickHouse({ url: server.clickhouseUrl, username: 'default', password: 'wrong-7', database: 'default' });
  const refused = await stranger.query('SELECT 1').catch((error: unknown) => error);
  expect(refused).toMatchObject({ kind: 'permanent' });
  expect(String(refused)).not.toContain('wrong-7');
  await stranger.close();
});

describe('what is stored', () => {
  const start = Date.now() - 3_600_000;
  let client: ClickHouse;
  beforeAll(async () => {
    client = open('stored');
    await migrateClickHouse(client, { retention: RETENTION });
  });
  afterAll(() => client.close());

  async function store(calls: [Call, Buffer][], events: CallEvent[] = []): Promise<void> {
    const chunk = new Chunk();
    for (const [call, frame] of calls) chunk.addCall(call, frame);
    for (const e of events) chunk.addEvent(e);
    const flush = new Flush(client, createMetrics(), chunk);
    await flush.rows();
    await flush.touches();
  }

  test('is found by call id as the bytes that were published, the latest revision of each; many ids at once', async () => {
    const bytes = (seed: number) => Buffer.from(Array.from({ length: 300 }, (_, i) => (i * seed) % 256));
    const call = (i: number, revision: number) =>
      blankCall({ call_id: `${i}:é'\\${'x'.repeat(150)}`, revision, started_at: start + i * 1000, first_seen_at: start + i });
    const wanted = Array.from({ length: 3_000 }, (_, i) => i);
    await store(wanted.map((i) => [call(i, 2), bytes(i + 7)]));
    await store(wanted.slice(0, 10).map((i) => [call(i, 1), bytes(1)]));
    await store(wanted.slice(10, 20).map((i) => [call(i, 3), bytes(i + 70_000)]));
    const keys = [...wanted.map((i) => call(i, 1)), blankCall({ call_id: 'nobody' })].map(({ app_id, call_id }) => ({
      provider: 'tencent' as const,
      app_id,
      call_id,
    }));
    const found = await lookupCalls(client, keys);
    expect(found.size).toBe(3_000);
    for (const i of wanted) {
      expect(found.get(`tencent:app:${call(i, 1).call_id}`)!.equals(bytes(i + (i >= 10 && i < 20 ? 70_000 : 7)))).toBe(true);
    }
    expect(await lookupCalls(client, [])).toEqual(new Map());
    const long = blankCall({ call_id: `${'二'.repeat(80_000)}'`, started_at: start });
    await store([[long, bytes(3)]]);
    expect((await lookupCalls(client, [{ provider: 'tencent', app_id: 'app', call_id: long.call_id }])).size).toBe(1);
    const range = await findCalls(client, { from: start + 5_000, to: start + 8_000, app_id: 'app' });
    expect(range.map((k) => k.call_id)).toEqual([5, 6, 7].map((i) => call(i, 1).call_id));
    expect(await findCalls(client, { from: start + 5_000, to: start + 8_000, app_id: 'other' })).toEqual([]);
  });

  test('nothing is looked up until every rebuild that is wanted is done', async () => {
    const lookups: readonly (() => Promise<unknown>)[] = [
      () => lookupCalls(client, [{ provider: 'tencent', app_id: 'app', call_id: 'c' }]),
      () => lookupRecordings(client, [{ provider: 'tencent', app_id: 'app', task_id: 't' }]),
      () => lookupChannels(client, [{ provider: 'aliyun', app_id: 'app', channel_id: 'r' }], 0),
    ];
    await wantRebuild(client, "one's", start + 1);
    await wantRebuild(client, 'two', start);
    expect(await openRebuilds(client)).toEqual(['two', "one's"]);
    await endRebuilds(client, ["one's"]);
    for (const lookup of lookups) await expect(lookup()).rejects.toMatchObject({ code: 'CLICKHOUSE_UNAVAILABLE' });
    await endRebuilds(client, ['two', "one's"]);
    expect(await openRebuilds(client)).toEqual([]);
    await Promise.all(lookups.map((lookup) => lookup()));
  });

  test('is found by channel: what ends late enough or not at all, and whatever began no earlier than the first of that; the latest revision of each', async () => {
    const key = (channel_id: string) => ({ provider: 'aliyun', app_id: 'app', channel_id }) as const;
    const session = (room_id: string, id: string, from: number, to: number | null, revision = 1): [Call, Buffer] => {
      const [started_at, ended_at] = [start + from, to === null ? null : start + to];
      const name = { provider: 'aliyun', call_id: `channel:${room_id}:${id}`, room_id, sources: ['channel'], first_seen_at: start };
      return [blankCall({ ...name, started_at, ended_at, revision }), Buffer.from(`${id} ${revision}`)];
    };
    await store([
      session('r', 'early', 0, 1_000),
      session('r', 'long', 2_000, 9_000, 2),
      session('r', 'merged', 5_000, 5_000),
      session('r', 'open', 20_000, null),
      session("o'", 'other', 0, 9_000),
      session('none', 'old', 0, 1_000),
      [{ ...session('r', 'no channel', 9_000, 9_000)[0], sources: ['event'] }, Buffer.from('x')],
    ]);
    await store([session('r', 'long', 2_000, 3_000, 1), session('r', 'open', 20_000, 30_000, 2)]);
    const find = async (from: number, ...channels: string[]) =>
      Object.fromEntries(
        [...(await lookupChannels(client, channels.map(key), start + from))].map(([k, found]) => [k, found.map(String).sort()]),
      );
    expect(await find(9_000, 'r')).toEqual({ 'aliyun:app:r': ['long 2', 'merged 1', 'open 2'] });
    expect(await find(9_001, 'r', "o'")).toEqual({ 'aliyun:app:r': ['open 2'], "aliyun:app:o'": [] });
    expect(await find(1_000, 'r', "o'", 'none', 'nobody')).toEqual({
      'aliyun:app:r': ['early 1', 'long 2', 'merged 1', 'open 2'],
      "aliyun:app:o'": ['other 1'],
      'aliyun:app:none': ['old 1'],
      'aliyun:app:nobody': [],
    });
    expect(await find(40_000, 'r')).toEqual({ 'aliyun:app:r': [] });
    expect(await lookupChannels(client, [], 0)).toEqual(new Map());
    // Their inputs stand under the channel: a repair by call would find none.
    const range = await findCalls(client, { from: start, to: start + 1_000_000, app_id: 'app' });
    expect(range.filter((k) => k.call_id.startsWith('channel:r:'))).toMatchObject([{ call_id: 'channel:r:no channel' }]);
    const calls = ['early', 'no channel'].map((id) => ({ provider: 'aliyun' as const, app_id: 'app', call_id: `channel:r:${id}` }));
    expect([...(await lookupCalls(client, calls)).keys()]).toEqual(['aliyun:app:channel:r:no channel']);
  });

  test('of a call is every distinct input, once, with unknown times unknown', async () => {
    const deliveries = randomDeliveries(new Dice(5), 40, Date.now());
    await store([], [...deliveries, ...deliveries]);
    const [one] = deliveries;
    const inputs = await inputsOf(client, { provider: 'tencent', app_id: one!.app_id, call_id: one!.call_id });
    const same = deliveries.filter((d) => d.app_id === one!.app_id && d.call_id === one!.call_id);
    expect(new Set(inputs.map((i) => i.event_id))).toEqual(new Set(same.map((d) => d.event_id)));
    expect(inputs.length).toBe(new Set(same.map((d) => d.event_id)).size);
    for (const input of inputs) {
      const {
        raw_index: _,
        polled: _p,
        undelivered: _u,
        ...rest
      } = same.find((d) => d.raw_offset === input.raw_offset && d.raw_topic === input.raw_topic && d.event_id === input.event_id)!;
      expect(input).toMatchObject(rest);
    }
  });

  test('of a minute that was rolled nearly a retention ago is not computed again: its calls may have expired', async () => {
    const at = Math.floor(start / 60_000) * 60_000;
    await store([[blankCall({ app_id: 'old', call_id: 'a', status: 'ended', started_at: at }), Buffer.from('a')]]);
    await new Roller(client, RETENTION.calls).pass();
    await client.command(
      `INSERT INTO metrics_minutes SELECT * REPLACE (n + 1 AS n, first_rolled_at - toIntervalDay(390) AS first_rolled_at) FROM metrics_minutes FINAL WHERE app_id = 'old'`,
    );
    await client.command(`INSERT INTO touched (kind, app_id, bucket, n) VALUES ('metrics', 'old', ${at / 1000}, 100)`);
    expect((await new Roller(client, RETENTION.calls).dirty()).filter((d) => d.app_id === 'old' && d.kind === 'metrics')).toEqual([]);
    expect(await new Roller(client, 2 * RETENTION.calls).dirty()).toMatchObject([{ kind: 'metrics', app_id: 'old' }]);
  });
});
