import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { openProducer } from '../../src/cli/parts.js';
import { runCli } from '../../src/cli/program.js';
import { REBUILD_FAULT_POINTS } from '../../src/cli/rebuild/rebuild.js';
import { type Role, type RunningRole, startRole } from '../../src/cli/roles.js';
import { simulatedApps } from '../../src/cli/simulated-apps.js';
import { openVerification } from '../../src/cli/verification.js';
import { ClickHouse, lookupCalls } from '../../src/clickhouse/index.js';
import { openCodec } from '../../src/codec/codec.js';
import type { Alert } from '../../src/codec/generated.js';
import { SchemaRegistry } from '../../src/codec/registry.js';
import { TOPICS } from '../../src/codec/topics.js';
import { type Config, loadConfig } from '../../src/config/index.js';
import { freePort } from '../../src/local/index.js';
import { runSimulation } from '../../src/simulator/index.js';
import { createClients } from '../../src/stream/client.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { useStack } from '../support/stack.js';
import { terminal } from '../support/terminal.js';

/*
 * ClickHouse is filled with simulated traffic and then lost, or damaged, and rebuilt from the topics: every relation is what it was. On real servers, by the command;
 * where it is killed it is a process of its own.
 */

const servers = useStack();
const APP = '1400000001';
const CHILD = fileURLToPath(new URL('../fault/role-child.mjs', import.meta.url));
/** Every relation of the contract, and what readers of single calls see beside. */
const RELATIONS = [
  ...['calls', 'call_legs', 'call_events', 'recordings', 'call_recordings', 'metrics_1m', 'metrics_1h', 'metrics_1d', 'concurrency_1m'],
  ...['missed_unreturned', 'dead_letters', 'delivery_health', 'delivery_minutes', 'alerts', 'call_revisions FINAL'],
];
const running = new Map<Role, RunningRole>();
let file: string;
let config: Config;
let clickhouse: ClickHouse;
let before: Record<string, unknown[]>;

const env = () => ({
  PATH: process.env.PATH,
  KAFKA_BROKERS: servers.brokers.join(','),
  SCHEMA_REGISTRY_URL: servers.registryUrl,
  CLICKHOUSE_URL: servers.clickhouseUrl,
  CALLSTREAM_DATA_DIR: join(servers.dataDir, 'data'),
});

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { io, written } = terminal(env());
  return { code: await runCli([...args, '--config', file], io), ...written };
}

async function rebuilt(): Promise<string> {
  const { code, out, err } = await run('rebuild');
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
  return out;
}

const begin = async (role: Role): Promise<void> => {
  running.set(role, await startRole(role, { config, logger: silentLogger(), metrics: createMetrics(), clock: systemClock }));
};
const end = async (role: Role): Promise<void> => {
  await running.get(role)?.stop();
  running.delete(role);
};

/** Whole relations as they are read, in one order. Ids of tables' places are part of rows. */
async function relations(): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {};
  for (const name of RELATIONS) found[name] = await clickhouse.query(`SELECT * FROM ${name} ORDER BY ALL`);
  return found;
}

const one = async (sql: string): Promise<number> => Number((await clickhouse.query<{ n: number }>(`SELECT ${sql} AS n`))[0]?.n);

/** Rows that differ, by relation. */
function differences(now: Record<string, unknown[]>): Record<string, { gone: unknown[]; added: unknown[] }> {
  const found: Record<string, { gone: unknown[]; added: unknown[] }> = {};
  for (const [name, rows] of Object.entries(before)) {
    const [had, has] = [rows, now[name] ?? []].map((list) => new Set(list.map((row) => JSON.stringify(row))));
    const gone = [...had!].filter((row) => !has!.has(row));
    const added = [...has!].filter((row) => !had!.has(row));
    if (gone.length > 0 || added.length > 0 || rows.length !== now[name]?.length)
      found[name] = { gone: gone.slice(0, 3), added: added.slice(0, 3) };
  }
  return found;
}

/** All records of an alert name one moment, and are one row for it. */
const FIRED_AT = Date.now() - 60_000;
const alertOf = (over: Partial<Alert>): Alert => ({
  ...{ alert_id: 'a', rule: 'missed-rate', provider: 'tencent', app_id: APP, state: 'firing', metric: 'missed_rate', value: 0.7, n: 30 },
  ...{ threshold: 0.5, window_ms: 900_000, fired_at: FIRED_AT, resolved_at: null, silenced: false, ...over },
});

beforeAll(async () => {
  file = join(servers.dataDir, 'callstream.yaml');
  const vendor = `http://127.0.0.1:${await freePort()}`;
  writeFileSync(
    file,
    `apps:
  - provider: tencent
    appId: "${APP}"
    tiwCallbackKey: a-key-of-tiw-callbacks
    records: { endpoint: "${vendor}", identifier: administrator, secretKey: ${'k'.repeat(64)} }
  - { provider: aliyun, appId: 9qb1abcd }
kafka: { partitions: 2 }
sessions: { ringTimeout: 2s, settle: 1s, maxCall: 10s, retention: 2s, channelGap: 2s }
polling: { sweepEvery: 1s, overlap: 2h, delay: 0s }
ingest: { port: ${await freePort()} }
`,
  );
  ({ config } = loadConfig({ file, env: env() }));
  expect((await run('migrate')).out).not.toContain('run callstream rebuild');
  clickhouse = new ClickHouse({ url: servers.clickhouseUrl, username: 'default', password: '', database: 'callstream' });
  for (const role of ['ingest', 'sessions', 'events', 'sink', 'poll'] as const) await begin(role);
  const verification = await openVerification(config, () => {});
  const report = await runSimulation(
    { seed: 'rebuild', chaos: 'hard', calls: 60, live: 0, verify: true },
    {
      ingest: `http://127.0.0.1:${config.ingest.port}`,
      ...simulatedApps(config),
      sessions: config.sessions,
      clock: systemClock,
      verify: verification.deps,
    },
  );
  await verification.close();
  expect(report.verify?.first).toEqual([]);
  await end('poll');
  const producer = openProducer(config, silentLogger());
  const codec = await openCodec(TOPICS.alerts, new SchemaRegistry({ url: servers.registryUrl }));
  const alerts = [alertOf({}), alertOf({ state: 'resolved', resolved_at: Date.now() }), alertOf({ alert_id: 'b', rule: 'failed-rate' })];
  await producer.send(alerts.map((alert) => ({ topic: TOPICS.alerts.name, partition: 0, key: alert.rule, value: codec.encode(alert) })));
  await producer.close();
  await vi.waitFor(
    async () => {
      expect(await one("(SELECT countIf(NOT final AND end_reason != 'merged') FROM calls)")).toBe(0);
      expect(await one('(SELECT count() FROM alerts)')).toBe(2);
    },
    { timeout: 60_000, interval: 100 },
  );
  // Until nothing changes any more: the last departures, and the roller.
  let last: string;
  await vi.waitFor(
    async () => {
      const now = JSON.stringify(await relations());
      const same = now === last;
      last = now;
      expect(same).toBe(true);
    },
    { timeout: 30_000, interval: 1_500 },
  );
  before = await relations();
}, 180_000);

afterAll(async () => {
  await Promise.all([...running.values()].map((role) => role.stop()));
  await clickhouse?.close();
});

it('has something in every relation to lose', () => {
  expect(Object.entries(before).filter(([, rows]) => rows.length === 0)).toEqual([]);
});

it('gives back a database that was lost, although killed at every point on the way; until then nobody concludes anything from it', async () => {
  await end('sink');
  await clickhouse.command(`DROP DATABASE ${clickhouse.database} SYNC`);
  expect((await run('migrate')).out).toContain('run callstream rebuild');
  await begin('sink');
  const known = { provider: 'tencent', app_id: APP, call_id: 'any' } as const;
  await expect(lookupCalls(clickhouse, [known])).rejects.toMatchObject({ code: 'CLICKHOUSE_UNAVAILABLE' });
  for (const point of REBUILD_FAULT_POINTS) {
    const pass = point.includes('rows') ? 2 : 1;
    const options = JSON.stringify({ swept: 'rebuild', config: file, kill: { point, pass } });
    const child = spawnSync(process.execPath, [CHILD, options], { env: env(), encoding: 'utf8' });
    expect({ signal: child.signal, said: child.stdout }, child.stderr).toEqual({ signal: 'SIGKILL', said: `killed at ${point}\n` });
    await expect(lookupCalls(clickhouse, [known])).rejects.toMatchObject({ code: 'CLICKHOUSE_UNAVAILABLE' });
  }
  const said = await rebuilt();
  expect(said).toMatch(/callstream\.calls +\d+ records, since/);
  expect(differences(await relations())).toEqual({});
  expect(await lookupCalls(clickhouse, [known])).toEqual(new Map());
});

it('puts right what was damaged, beside a sink, and twice is once', async () => {
  const somewhere = 'cityHash64(call_id) % 2 = 0';
  const damage = [
    `ALTER TABLE calls_latest DELETE WHERE ${somewhere} SETTINGS mutations_sync = 2`,
    `ALTER TABLE calls_latest UPDATE outcome = 'failed', talk_ms = 7, legs = [] WHERE NOT (${somewhere}) SETTINGS mutations_sync = 2`,
    `ALTER TABLE call_event_rows UPDATE detail = 'broken' WHERE ${somewhere} SETTINGS mutations_sync = 2`,
    'ALTER TABLE recordings_latest UPDATE total_ms = 7 WHERE 1 SETTINGS mutations_sync = 2',
    'ALTER TABLE alert_rows UPDATE value = 7 WHERE 1 SETTINGS mutations_sync = 2',
    'TRUNCATE TABLE call_revisions',
    'ALTER TABLE deliveries DELETE WHERE raw_offset % 2 = 0 SETTINGS mutations_sync = 2',
    'TRUNCATE TABLE dead_letter_rows',
    // Touches are lost, and rollups are missing, of too few calls, and of too many, as if newer than all that will come.
    'TRUNCATE TABLE touched',
    'ALTER TABLE metrics_minutes DELETE WHERE toUnixTimestamp(bucket) % 180 = 0 SETTINGS mutations_sync = 2',
    'INSERT INTO metrics_minutes SELECT * REPLACE (n + 1000 AS n, [] AS groups) FROM metrics_minutes FINAL WHERE toUnixTimestamp(bucket) % 180 = 60',
    'INSERT INTO metrics_minutes SELECT * REPLACE (n + 1000 AS n, arrayConcat(groups, groups) AS groups) FROM metrics_minutes FINAL WHERE toUnixTimestamp(bucket) % 180 = 120',
    'INSERT INTO concurrency_minutes SELECT * REPLACE (n + 1000 AS n, peak + 5 AS peak, arrayMap(s -> 3 * s, steps) AS steps) FROM concurrency_minutes FINAL',
  ];
  for (const sql of damage) await clickhouse.command(sql);
  const damaged = Object.keys(differences(await relations()));
  expect(damaged).toEqual(RELATIONS);
  await rebuilt();
  expect(differences(await relations())).toEqual({});
  await rebuilt();
  expect(differences(await relations())).toEqual({});
});

it('takes nothing away that the topics no longer have', async () => {
  const admin = createClients({ brokers: servers.brokers }, silentLogger()).consumers.admin();
  await admin.connect();
  const ends = await admin.fetchTopicOffsets(TOPICS.calls.name);
  // The last revisions of all calls stand near the end.
  const cut = ends.map(({ partition, high }) => ({ partition, offset: String(Math.ceil(0.9 * Number(high))) }));
  await admin.deleteTopicRecords({ topic: TOPICS.calls.name, partitions: cut });
  await admin.disconnect();
  await rebuilt();
  expect(differences(await relations())).toEqual({});

  // Calls are lost for good, and rollups are all that is left of them.
  await clickhouse.command('TRUNCATE TABLE calls_latest');
  expect(await rebuilt()).toMatch(/[1-9]\d* stay as they are/);
  const now = await relations();
  const some = now.calls!.length;
  expect(some).toBeGreaterThan(0);
  expect(some).toBeLessThan(before.calls!.length);
  expect(before.calls).toEqual(expect.arrayContaining(now.calls!));
  const rollups = RELATIONS.filter((name) => name.startsWith('metrics') || name === 'concurrency_1m');
  expect(Object.keys(differences(now)).filter((name) => rollups.includes(name))).toEqual([]);
});
