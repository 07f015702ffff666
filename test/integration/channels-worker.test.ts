import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readCall } from '../../src/api/routes/call.js';
import { migrateAll } from '../../src/cli/migrate.js';
import { type Role, type RunningRole, startRole } from '../../src/cli/roles.js';
import { ClickHouse } from '../../src/clickhouse/index.js';
import { localCodec, openCodec, type TopicCodec } from '../../src/codec/codec.js';
import type { Call, RawEvent } from '../../src/codec/generated.js';
import { SchemaRegistry } from '../../src/codec/registry.js';
import { TOPICS, type TopicSpec } from '../../src/codec/topics.js';
import { type Config, parseConfig } from '../../src/config/index.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { createClients } from '../../src/stream/client.js';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { partitionOf } from '../../src/stream/partition.js';
import { Restorer } from '../../src/stream/restorer.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.js';
import { SessionsWorker } from '../../src/workers/sessions/worker.js';
import { useStack } from '../support/stack.js';
import { until } from './stream-kit.js';

const servers = useStack();
const PARTITIONS = 2;
const APPS = `apps:
  - { provider: tencent, appId: "1400000001" }
  - { provider: aliyun, appId: rtc }
sessions: { ringTimeout: 1s, settle: 0s, maxCall: 1h, retention: 1s, channelGap: 1s }`;
const logger = silentLogger();

let config: Config;
let producer: DurableProducer;
let raw: TopicCodec<RawEvent>;
let clickhouse: ClickHouse;
const running: RunningRole[] = [];

beforeAll(async () => {
  const env = {
    KAFKA_BROKERS: servers.brokers.join(','),
    SCHEMA_REGISTRY_URL: servers.registryUrl,
    CLICKHOUSE_URL: servers.clickhouseUrl,
  };
  config = parseConfig(APPS, env).config;
  producer = new DurableProducer({ kafka: { brokers: servers.brokers }, logger });
  clickhouse = new ClickHouse({ ...config.clickhouse });
});
afterAll(async () => {
  await Promise.all(running.splice(0).map((role) => role.stop()));
  await producer?.close();
  await clickhouse?.close();
});

async function start(role: Role): Promise<{ metrics: Metrics; stop(): Promise<void> }> {
  const metrics = createMetrics();
  const started = await startRole(role, { config, logger, metrics, clock: systemClock });
  running.push(started);
  void started.failed.then((error) => console.error(error));
  const stop = async () => {
    running.splice(running.indexOf(started), 1);
    await started.stop();
  };
  return { metrics, stop };
}

async function send(topic: TopicSpec, key: string, source: string, app_id: string, body: object): Promise<void> {
  const event = { id: randomUUID(), source, app_id, received_at: Date.now(), auth: 'app', remote_addr: '', query: '' };
  const value = raw.encode({ ...event, body: Buffer.from(JSON.stringify(body)) });
  await producer.send([{ topic: topic.name, partition: partitionOf(key, PARTITIONS), key, value }]);
}
const sendCall = (CallId: string, Event: string, more: object = {}) =>
  send(TOPICS.rawTuicallkit, `tencent:1400000001:${CallId}`, 'tuicallkit', '1400000001', {
    ...{ CallId, Event, UserId: 'ann', Role: 'caller', CallType: 'single', EventTime: Date.now() },
    ...more,
  });
const presence = (EventTag: string, UserId: string, at: number) => ({
  Event: 'UserEvent',
  UserEvent: { UserId, EventTag, SessionId: `s-${UserId}`, Timestamp: at },
});
const join = (user: string, at: number) => presence('Join', user, at);
const leave = (user: string, at: number) => presence('Leave', user, at);
const sendChannel = (ChannelId: string, ...Contents: object[]) =>
  send(TOPICS.rawAliyunRtc, `aliyun:rtc:${ChannelId}`, 'aliyun-rtc', 'rtc', { AppId: 'rtc', ChannelId, Contents });

interface Row {
  call_id: string;
  status: string;
  end_reason: string;
  final: boolean;
  callees: string[];
  talk_ms: string | number;
  revision: string | number;
}
const rows = (room: string): Promise<Row[]> =>
  clickhouse.query<Row>(
    'SELECT call_id, status, end_reason, final, callees, talk_ms, revision FROM calls WHERE room_id = {room:String} ORDER BY started_at, call_id',
    { room },
  );
const sessions = async (room: string): Promise<Row[]> => (await rows(room)).filter((r) => r.end_reason !== 'merged');
const total = async (metric: { get(): Promise<{ values: { value: number }[] }> }): Promise<number> =>
  (await metric.get()).values.reduce((sum, { value }) => sum + value, 0);

/** Everything published of the calls, by partition and in order. */
async function published(): Promise<{ partition: number; call: Call }[]> {
  const admin = new TopicAdmin({ kafka: { brokers: servers.brokers }, logger });
  const restorer = new Restorer({
    clients: createClients({ brokers: servers.brokers }, logger),
    groupId: 'test',
    topic: TOPICS.calls.name,
  });
  const codec = await openCodec(TOPICS.calls, new SchemaRegistry({ url: servers.registryUrl }));
  const records: { partition: number; value: Buffer }[] = [];
  const ranges = await admin.ranges(TOPICS.calls.name);
  for (const [partition, { low, end }] of ranges.entries()) {
    if (end === low) continue;
    await restorer.restore(partition, low, end - 1, (read) => {
      for (const { value } of read) if (value !== null) records.push({ partition, value: Buffer.from(value) });
    });
  }
  await Promise.all([restorer.close(), admin.close()]);
  await codec.resolve(records.map((r) => r.value));
  return records.map(({ partition, value }) => ({ partition, call: codec.decode(value) }));
}

it('migrates an installation whose calls topic was the sessions worker’s alone, with its calls in it', async () => {
  const admin = new TopicAdmin({ kafka: { brokers: servers.brokers }, logger });
  const older = Object.values(TOPICS).map((spec): TopicSpec => ({ ...spec, partitionFactor: 1 }));
  const groups = { sessions: 'callstream-sessions', events: 'callstream-events', sink: 'callstream-sink' };
  await admin.migrate({ partitions: PARTITIONS, groups, topics: older });
  const registry = new SchemaRegistry({ url: servers.registryUrl });
  for (const spec of Object.values(TOPICS)) await registry.register(spec);
  raw = await openCodec(TOPICS.rawTuicallkit, registry);
  // As the older version has left it: a call that is not over, published in the partition of its task.
  const worker = new SessionsWorker({
    kafka: { brokers: servers.brokers },
    groupId: groups.sessions,
    sinkGroupId: groups.sink,
    partitions: PARTITIONS,
    settings: {
      ...config.sessions,
      maxCallsPerTask: 1_000,
      ...{ hasRecordsApi: () => false, hasMediaApi: () => false, userEvents: 'off', recordSample: 0 },
    },
    codecs: {
      ...{ raw: localCodec(TOPICS.rawTuicallkit), call: await openCodec(TOPICS.calls, registry) },
      ...{ deadLetter: await openCodec(TOPICS.deadLetters, registry), task: await openCodec(TOPICS.tasks, registry) },
      raw,
    },
    lookup: async () => new Map(),
    logger,
    metrics: createMetrics(),
    onFatal: (error) => console.error(error),
  });
  await worker.start();
  await sendCall('kept', 'start_call');
  await sendCall('kept', 'call_accepted');
  await until('the call is published', async () => (await admin.ranges(TOPICS.calls.name)).some(({ end }) => end > 0));
  await worker.stop();
  expect((await admin.ranges(TOPICS.calls.name)).length).toBe(PARTITIONS);

  // The configuration names no count: it is the one that is there, and not that of the calls.
  const migrated = await migrateAll(config, { embeddedKafka: false, logger });
  expect(migrated.partitions).toBe(PARTITIONS);
  expect(migrated.topics.altered.sort()).toEqual([TOPICS.calls.name, TOPICS.deadLetters.name].sort());
  await until('all know the new partitions', async () => (await admin.ranges(TOPICS.calls.name)).length === 2 * PARTITIONS);
  expect((await migrateAll(config, { embeddedKafka: false, logger })).topics.altered).toEqual([]);
  await admin.close();

  await start('sink');
  await start('events');
  const role = await start('sessions');
  await sendCall('kept', 'call_end');
  const now = Date.now();
  await sendChannel('first', join('a', now - 3_000), join('b', now - 2_000));
  const kept = () => clickhouse.query<{ status: string }>("SELECT status FROM calls WHERE call_id = 'kept' AND revision > 1");
  await until('the call goes on where it was', async () => (await kept())[0]?.status === 'ended');
  await until('the session is there', async () => (await rows('first'))[0]?.status === 'active');
  await role.stop();
  const all = await published();
  const own = all.filter(({ call }) => call.call_id === 'kept');
  expect(own.map(({ call }) => call.revision)).toEqual(own.map((_, i) => i + 1));
  for (const { partition, call } of all) expect(partition >= PARTITIONS).toBe(call.call_type === 'channel');
});

it('goes on with its sessions after a restart, lets them go once ClickHouse has them, and takes them back for a late event', async () => {
  const one = await start('sessions');
  await until('it works', async () => (await total(one.metrics.callstream_task_restored_records_total)) > 0);
  await until('the session is restored', async () => (await total(one.metrics.callstream_channels)) === 1);
  const now = Date.now();
  await sendChannel('first', leave('a', now), leave('b', now));
  await until('it is over and final', async () => (await sessions('first'))[0]?.final === true);
  const [over] = await sessions('first');
  expect(over).toMatchObject({ status: 'ended', end_reason: 'normal', callees: ['a', 'b'] });
  await until('it has left', async () => (await total(one.metrics.callstream_channels)) === 0);
  await sendChannel('first', join('c', now - 1_500), leave('c', now - 1_000));
  await until('it came back', async () => (await sessions('first'))[0]?.callees.length === 3);
  const [back] = await sessions('first');
  expect(back!.call_id).toBe(over!.call_id);
  expect(Number(back!.revision)).toBeGreaterThan(Number(over!.revision));
  expect(await total(one.metrics.callstream_channels_taken_back_total)).toBe(1);
  const shown = () => readCall((sql, params) => clickhouse.query(sql, params), 'aliyun', 'rtc', back!.call_id);
  await until('its page has all events', async () => (await shown())?.events.length === 6);
  await one.stop();
});

it('folds sessions into one that a late event joins, also over a restart; the merged one counts nowhere', async () => {
  const one = await start('sessions');
  const t = Date.now() - 60_000;
  await sendChannel('two', join('a', t + 30_000), join('b', t + 30_000), leave('a', t + 40_000), leave('b', t + 40_000));
  await until('the later', async () => (await sessions('two')).length === 1);
  await sendChannel('two', join('a', t), leave('a', t + 10_000));
  await until('both', async () => (await sessions('two')).filter((r) => r.final).length === 2);
  await until('both have left', async () => (await total(one.metrics.callstream_channels)) === 0);
  const [, later] = await sessions('two');
  await one.stop();

  const two = await start('sessions');
  await sendChannel('two', join('c', t + 9_500), leave('c', t + 30_500));
  await until('one is left', async () => (await sessions('two')).length === 1);
  const all = await rows('two');
  expect(all).toHaveLength(2);
  expect((await sessions('two'))[0]).toMatchObject({ call_id: later!.call_id, callees: ['a', 'b', 'c'], status: 'ended' });
  const counted = () =>
    clickhouse.query<{ n: string }>("SELECT sum(calls) AS n FROM metrics_1m WHERE app_id = 'rtc' AND call_type = 'channel'");
  await until('the rollups follow', async () => Number((await counted())[0]?.n) === 2);
  expect(await clickhouse.query("SELECT DISTINCT call_id FROM call_legs WHERE app_id = 'rtc' AND call_id LIKE 'channel:two:%'")).toEqual([
    { call_id: later!.call_id },
  ]);
  await two.stop();

  const seen = new Map<string, number[]>();
  for (const { call } of await published()) seen.set(call.call_id, [...(seen.get(call.call_id) ?? []), call.revision]);
  for (const revisions of seen.values()) expect(revisions).toEqual(revisions.map((_, i) => i + 1));
});
