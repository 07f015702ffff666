import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import avsc from 'avsc';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { migrateAll } from '../../src/cli/migrate.js';
import { type Role, type RunningRole, startRole } from '../../src/cli/roles.js';
import { ClickHouse } from '../../src/clickhouse/index.js';
import type { RawEvent } from '../../src/codec/generated.js';
import { schemaText } from '../../src/codec/registry.js';
import { TOPICS } from '../../src/codec/topics.js';
import { type Config, parseConfig } from '../../src/config/index.js';
import { freePort, type Server, startClickHouse, startKafka, startRegistry } from '../../src/local/index.js';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { partitionOf } from '../../src/stream/partition.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { TcpProxy } from '../support/tcp-proxy.js';

/** Real roles, each of whose connections leads through a proxy: ingest, events, sessions and sink to Kafka, to the registry, and to ClickHouse. */
const dir = mkdtempSync(join(tmpdir(), 'callstream-roles-'));
const APP = '1400000001';
const PARTITIONS = 4;
const EVENTS = ['start_call', 'receive_call', 'accept_call', 'call_end'] as const;
const servers: Server[] = [];
const running = new Map<Role, RunningRole>();
let kafka: TcpProxy;
let registry: TcpProxy;
let clickhouse: TcpProxy;
let direct: ClickHouse;
let config: Config;
let calls = 0;
/** `call event` of every callback that was answered 200. */
const acknowledged: string[] = [];

beforeAll(async () => {
  const options = { dataDir: join(dir, 'kafka'), logDir: dir, port: await freePort() };
  kafka = await TcpProxy.listen(options.port);
  servers.push(await startKafka({ ...options, advertisedPort: kafka.port }));
  servers.push(await startRegistry({ dataDir: join(dir, 'registry'), logDir: dir, port: 0 }));
  servers.push(await startClickHouse({ dataDir: join(dir, 'clickhouse'), logDir: dir, port: 0 }));
  const [, ofRegistry, ofClickHouse] = servers as [Server, Server, Server];
  registry = await TcpProxy.listen(ofRegistry.port);
  clickhouse = await TcpProxy.listen(ofClickHouse.port);
  config = parseConfig(`apps: [{ provider: tencent, appId: "${APP}" }]\nkafka: { partitions: ${PARTITIONS} }`, {
    KAFKA_BROKERS: `127.0.0.1:${kafka.port}`,
    SCHEMA_REGISTRY_URL: ofRegistry.address.replace(`:${ofRegistry.port}`, `:${registry.port}`),
    CLICKHOUSE_URL: `http://127.0.0.1:${clickhouse.port}`,
    CALLSTREAM_INGEST_PORT: String(await freePort()),
  }).config;
  config = { ...config, dataDir: join(dir, 'data') };
  await migrateAll(config, { embeddedKafka: true, logger: silentLogger() });
  direct = new ClickHouse({ ...config.clickhouse, url: ofClickHouse.address });
});
afterAll(async () => {
  await Promise.all([...running.values()].map((role) => role.stop()));
  await direct?.close();
  await Promise.all(servers.map((server) => server.stop()));
  await Promise.all([kafka, registry, clickhouse].map((proxy) => proxy?.close()));
  rmSync(dir, { recursive: true, force: true });
});

async function start(role: Role): Promise<void> {
  running.set(role, await startRole(role, { config, logger: silentLogger(), metrics: createMetrics(), clock: systemClock }));
}

const problems = async (role: Role): Promise<string> => (await running.get(role)?.ready())?.problems.join() ?? '';
const allReady = () =>
  vi.waitFor(async () => expect(await Promise.all([...running.keys()].map(problems))).toEqual([...running].map(() => '')), {
    timeout: 90_000,
    interval: 100,
  });

const bodyOf = (call: string, event: string): string => {
  const [caller, callee] = event === 'receive_call' ? ['callee', 'Bob'] : ['caller', 'Alice'];
  return JSON.stringify({
    CallId: call,
    UserId: callee,
    Role: caller,
    Event: event,
    CallType: 'single',
    MediaType: 'audio',
    TotalNum: 2,
    RoomId: 'room',
    CallResult: event === 'call_end' ? 'NORMAL_END' : '',
    EventTime: Math.floor(Date.now() / 1_000),
  });
};

/** Posts all callbacks of some new calls; resolves to the longest answer's time, ms. Anything but 200 fails the test. */
async function post(count: number): Promise<number> {
  let longest = 0;
  await Promise.all(
    Array.from({ length: count }, async () => {
      const call = `call-${calls++}`;
      for (const event of EVENTS) {
        const begun = performance.now();
        const url = `http://127.0.0.1:${config.ingest.port}/callbacks/tuicallkit?sdkappid=${APP}&command=event&contenttype=json`;
        const { status } = await fetch(url, { method: 'POST', body: bodyOf(call, event) });
        expect(status).toBe(200);
        longest = Math.max(longest, performance.now() - begun);
        acknowledged.push(`${call} ${event}`);
      }
    }),
  );
  return longest;
}

/** Every acknowledged callback is one event, every call one ended record, and the sum of deliveries holds. */
async function expectExact(): Promise<void> {
  await vi.waitFor(
    async () => {
      const events = await direct.query<{ what: string }>(`SELECT concat(call_id, ' ', event) AS what FROM call_events ORDER BY what`);
      expect(events.map(({ what }) => what)).toEqual([...acknowledged].sort());
      const ended = await direct.query<{ n: number; ids: number }>(
        `SELECT count() AS n, uniqExact(call_id) AS ids FROM calls WHERE status = 'ended' AND outcome = 'answered'`,
      );
      expect(ended).toEqual([{ n: calls, ids: calls }]);
    },
    { timeout: 90_000, interval: 250 },
  );
  const [sum] = await direct.query<Record<string, number>>(
    'SELECT sum(received) AS received, sum(folded) AS folded, sum(duplicates) AS duplicates, sum(dead) AS dead FROM delivery_minutes',
  );
  expect(sum?.received).toBe((sum?.folded ?? 0) + (sum?.duplicates ?? 0));
  expect(sum).toMatchObject({ folded: acknowledged.length, dead: 0 });
}

it('a registry that hangs at the start stops no callback, and fails the roles that need it with a clear word', async () => {
  registry.hang();
  await start('ingest');
  expect(await post(20)).toBeLessThan(5_000);
  expect(await problems('ingest')).toContain('has not been reached yet');
  await expect(start('events')).rejects.toMatchObject({
    code: 'REGISTRY_UNAVAILABLE',
    message: expect.stringContaining('no answer within'),
  });
  registry.resume();
  for (const role of ['events', 'sessions', 'sink'] as const) await start(role);
  await post(20);
  await allReady();
  await expectExact();
});

it('a registry that hangs while a new schema comes along: workers wait and say so, and go on by themselves', async () => {
  // A later version of ingest, with one more field.
  const schema = JSON.parse(schemaText(TOPICS.rawTuicallkit)) as { fields: object[] };
  schema.fields.push({ name: 'of_tomorrow', type: ['null', 'string'], default: null });
  const answer = await fetch(`${(servers[1] as Server).address}/subjects/${TOPICS.rawTuicallkit.name}-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  });
  const { id } = (await answer.json()) as { id: number };
  registry.hang();
  const call = `call-${calls++}`;
  const key = `tencent:${APP}:${call}`;
  const frame = (event: RawEvent): Buffer => {
    const header = Buffer.alloc(5);
    header.writeInt32BE(id, 1);
    return Buffer.concat([header, avsc.Type.forSchema(schema as never).toBuffer({ ...event, of_tomorrow: null })]);
  };
  const producer = new DurableProducer({ kafka: { brokers: config.kafka.brokers }, logger: silentLogger() });
  await producer.send(
    EVENTS.map((name) => ({
      topic: TOPICS.rawTuicallkit.name,
      partition: partitionOf(key, PARTITIONS),
      key,
      value: frame({
        id: `${call}-${name}`,
        source: 'tuicallkit',
        app_id: APP,
        received_at: Date.now(),
        auth: 'app',
        remote_addr: '',
        query: `sdkappid=${APP}`,
        body: Buffer.from(bodyOf(call, name)),
      }),
    })),
  );
  await producer.close();
  acknowledged.push(...EVENTS.map((name) => `${call} ${name}`));
  for (const role of ['events', 'sessions'] as const) {
    await vi.waitFor(async () => expect(await problems(role)).toContain('no answer within'), { timeout: 30_000, interval: 100 });
  }
  expect(await post(10)).toBeLessThan(5_000);
  registry.resume();
  await allReady();
  await expectExact();
});

it('a Kafka that hangs half-open: callbacks are answered from the spool in time, and everything goes on by itself', async () => {
  await post(10);
  kafka.hang();
  expect(await post(30)).toBeLessThan(5_000);
  expect(await problems('ingest')).toContain('wait in the spool');
  await vi.waitFor(async () => expect(await problems('sessions')).not.toBe(''), { timeout: 60_000, interval: 100 });
  kafka.resume();
  await post(10);
  await expectExact();
  await allReady();
});

it('a ClickHouse whose connections are reset under load: nothing is lost, nothing twice', async () => {
  for (let i = 0; i < 10; i += 1) {
    await post(5);
    clickhouse.reset();
  }
  await expectExact();
  await allReady();
});
