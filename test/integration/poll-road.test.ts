import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { migrateAll } from '../../src/cli/migrate.js';
import { openClickHouse, openProducer } from '../../src/cli/parts.js';
import { type Role, type RunningRole, startRole } from '../../src/cli/roles.js';
import type { ClickHouse } from '../../src/clickhouse/index.js';
import { openCodec } from '../../src/codec/codec.js';
import { SchemaRegistry } from '../../src/codec/registry.js';
import { TOPICS } from '../../src/codec/topics.js';
import { type Config, parseConfig } from '../../src/config/index.js';
import { partitionOf } from '../../src/stream/partition.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { CallApiVendor, failed } from '../support/call-api-vendor.js';
import { useStack } from '../support/stack.js';

/*
 * From a vendor's API to ClickHouse, through the roles as `callstream run` starts them.
 */

const servers = useStack();
const APP = '1400000001';
const SECRET = 'k'.repeat(64);
const PARTITIONS = 2;
const logger = silentLogger();
const running: RunningRole[] = [];
let vendor: CallApiVendor;
let config: Config;
let clickhouse: ClickHouse;

const start = async (role: Role, from: Config = config): Promise<RunningRole> => {
  const started = await startRole(role, { config: from, logger, metrics: createMetrics(), clock: systemClock });
  running.push(started);
  return started;
};
const rows = (sql: string): Promise<Record<string, unknown>[]> => clickhouse.query(sql, {});
const soon = (what: () => Promise<void>): Promise<void> => vi.waitFor(what, { timeout: 60_000, interval: 100 });

beforeAll(async () => {
  vendor = await CallApiVendor.start();
  const { endpoint } = vendor;
  const env = { KAFKA_BROKERS: servers.brokers.join(','), SCHEMA_REGISTRY_URL: servers.registryUrl, CLICKHOUSE_URL: servers.clickhouseUrl };
  ({ config } = parseConfig(
    `apps:
- provider: tencent
  appId: "${APP}"
  records: { endpoint: "${endpoint}", identifier: administrator, secretKey: ${SECRET} }
  cloudApi: { endpoint: "${endpoint}", region: ap-singapore, secretId: AKID, secretKey: ${SECRET} }
polling: { sweepEvery: 1s, delay: 0s, overlap: 1m, userEvents: all }
sessions: { settle: 1s }
kafka: { partitions: ${PARTITIONS} }
`,
    env,
  ));
  await migrateAll(config, { embeddedKafka: true, logger });
  clickhouse = openClickHouse(config);
}, 120_000);
afterAll(async () => {
  for (const role of running.reverse()) await role.stop();
  await clickhouse?.close();
  await vendor?.stop();
});

const nowS = (): number => Math.floor(Date.now() / 1000);

/** As the sessions worker does, which gives the vendor a minute first. */
async function askForMedia(call_id: string, users: string[]): Promise<void> {
  const producer = openProducer(config, logger);
  const codec = await openCodec(TOPICS.tasks, new SchemaRegistry({ url: servers.registryUrl }));
  const task = {
    kind: 'media',
    provider: 'tencent',
    app_id: APP,
    call_id,
    room_id: 'room-1',
    user_id: '',
    users,
    reason: 'ended',
    attempt: 0,
  };
  const value = codec.encode({ ...task, started_at: (nowS() - 60) * 1000, ended_at: (nowS() - 30) * 1000, due_at: Date.now() });
  await producer.send([{ topic: TOPICS.tasks.name, partition: partitionOf(call_id, PARTITIONS), key: call_id, value }]);
  await producer.close();
}

it('a call whose callbacks were all lost appears from its record, with the media events of its users', async () => {
  for (const role of ['sessions', 'events', 'sink', 'poll'] as const) await start(role);
  const at = nowS() - 40;
  vendor.rooms.set('room-1', { createdAt: at, users: new Set(['alice', 'bob']) });
  const record = {
    callId: 'lost-1',
    startCallTs: at,
    acceptTs: at + 5,
    endTs: at + 20,
    callResult: 'normal_end',
    caller: 'alice',
    callees: ['bob'],
    roomId: 'room-1',
    callType: 'single',
    mediaType: 'video',
    totalUserNumber: 2,
  };
  vendor.records.push(record);
  await soon(async () =>
    expect(await rows(`SELECT call_id, outcome, talk_ms, sources, final FROM calls WHERE app_id = '${APP}'`)).toEqual([
      expect.objectContaining({ call_id: 'lost-1', outcome: 'answered', talk_ms: 15_000, sources: ['record'], final: true }),
    ]),
  );
  await askForMedia('lost-1', ['alice', 'bob', 'carol']);
  await soon(async () =>
    expect(await rows(`SELECT user_id FROM call_legs WHERE call_id = 'lost-1' AND media_joined_at IS NOT NULL ORDER BY user_id`)).toEqual([
      { user_id: 'alice' },
      { user_id: 'bob' },
    ]),
  );
  await soon(async () =>
    expect(await rows(`SELECT event, user_id FROM call_events WHERE call_id = 'lost-1' ORDER BY event, user_id`)).toEqual([
      { event: 'media', user_id: 'alice' },
      { event: 'media', user_id: 'bob' },
      { event: 'record', user_id: '' },
    ]),
  );
  expect(await running.at(-1)!.ready()).toEqual({ ok: true, problems: [] });
}, 120_000);

it('what only a human can put right is a remark, and the role stays ready', async () => {
  vendor.whim = (operation) => (operation.startsWith('v1/') ? failed(70004) : null);
  const poller = running.at(-1)!;
  await soon(async () =>
    expect(await poller.ready()).toEqual({
      ok: true,
      problems: [expect.stringMatching(/^apps\[0\]\.records: .*no administrator of the app/)],
    }),
  );
  // Nothing of the other API is held up by it.
  const asked = vendor.requests('DescribeUserEvent');
  await askForMedia('lost-1', ['bob']);
  await soon(async () => expect(vendor.requests('DescribeUserEvent')).toBeGreaterThan(asked));
}, 120_000);

it('with nothing to poll the role is ready, and idle', async () => {
  const nothing = parseConfig(`apps: [{ provider: tencent, appId: "${APP}" }]`, { KAFKA_BROKERS: '127.0.0.1:1' }).config;
  const role = await start('poll', nothing);
  expect(await role.ready()).toEqual({ ok: true, problems: [] });
});
