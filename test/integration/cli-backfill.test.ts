import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/program.js';
import { readDecoded, TopicReader } from '../../src/cli/read-topic.js';
import { openCodec } from '../../src/codec/codec.js';
import type { RawEvent } from '../../src/codec/generated.js';
import { SchemaRegistry } from '../../src/codec/registry.js';
import { TOPICS, type Topic } from '../../src/codec/topics.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { CallApiVendor, failed } from '../support/call-api-vendor.js';
import { useStack } from '../support/stack.js';
import { terminal } from '../support/terminal.js';

const servers = useStack();
const HOUR = 3_600_000;
const now = Math.floor(Date.now() / 1000) * 1000;
const SECRET = 'k'.repeat(64);
let vendor: CallApiVendor;
let file: string;

const run = async (...args: string[]) => {
  const { io, written } = terminal({
    KAFKA_BROKERS: servers.brokers.join(','),
    SCHEMA_REGISTRY_URL: servers.registryUrl,
    CLICKHOUSE_URL: servers.clickhouseUrl,
  });
  const code = await runCli([...args, '--config', file], io);
  expect(written.out + written.err).not.toContain(SECRET);
  return { code, ...written };
};
const range = (from: number, to: number): string[] => ['--from', String(now - from * HOUR), '--to', String(now - to * HOUR)];

async function raw(topic: Topic<RawEvent>): Promise<RawEvent[]> {
  const reader = new TopicReader({ brokers: servers.brokers }, 'test', topic.name, silentLogger());
  const events: RawEvent[] = [];
  await readDecoded(reader, await openCodec(topic, new SchemaRegistry({ url: servers.registryUrl })), (_, event) => events.push(event));
  await reader.close();
  return events;
}

beforeAll(async () => {
  vendor = await CallApiVendor.start();
  file = join(servers.dataDir, 'callstream.yaml');
  const { endpoint } = vendor;
  writeFileSync(
    file,
    `apps:
- provider: tencent
  appId: "1400000001"
  records: { endpoint: "${endpoint}", identifier: administrator, secretKey: ${SECRET} }
  cloudApi: { endpoint: "${endpoint}", region: ap-singapore, secretId: AKID, secretKey: ${SECRET} }
kafka: { partitions: 4 }
`,
  );
  expect((await run('migrate')).code).toBe(0);
});
afterAll(() => vendor?.stop());

it('sends what the vendor has once, and nothing when it is run again', async () => {
  for (let n = 0; n < 250; n++) vendor.records.push({ callId: `call-${n}`, startCallTs: (now - 10 * HOUR) / 1000 + n * 60 });
  const first = await run('backfill', 'call-record', ...range(11, 1));
  expect(first).toMatchObject({ code: 0, out: '250 elements sent: those that are known already change nothing.\n' });
  expect(first.err).toContain('minutes: 600/600 (250 elements)');
  const sent = await raw(TOPICS.rawCallRecord);
  expect(new Set(sent.map(({ id }) => id)).size).toBe(250);
  expect(sent).toHaveLength(250);

  expect(await run('backfill', 'call-record', ...range(11, 1))).toMatchObject({
    code: 0,
    out: expect.stringContaining('backfilled already'),
  });
  expect(await raw(TOPICS.rawCallRecord)).toHaveLength(250);
  // Another range that holds the same calls: repeats, by their ids.
  expect((await run('backfill', 'call-record', ...range(11, 0.5))).code).toBe(0);
  expect(new Set((await raw(TOPICS.rawCallRecord)).map(({ id }) => id)).size).toBe(250);
});

it('asks for the media events of the calls that ClickHouse has', async () => {
  const insert = `INSERT INTO callstream.calls_latest (provider, app_id, call_id, room_id, caller, callees, status, started_at, ended_at, first_seen_at, revision) SELECT 'tencent', '1400000001', concat('c', toString(number)), concat('room-', toString(number)), 'alice', ['bob'], 'ended', fromUnixTimestamp64Milli(${now - 3 * HOUR}), fromUnixTimestamp64Milli(${now - 2 * HOUR}), fromUnixTimestamp64Milli(${now - 3 * HOUR}), 1 FROM numbers(3)`;
  const inserted = await fetch(servers.clickhouseUrl, { method: 'POST', body: insert });
  expect(inserted.ok, await inserted.text()).toBe(true);
  for (const n of [0, 1]) vendor.rooms.set(`room-${n}`, { createdAt: (now - 3 * HOUR) / 1000, users: new Set(['alice', 'bob']) });
  expect(await run('backfill', 'user-event', ...range(4, 1))).toMatchObject({
    code: 0,
    out: '4 elements sent; the vendor has nothing of 1 calls: those that are known already change nothing.\n',
  });
  expect((await raw(TOPICS.rawUserEvent)).map(({ query }) => query.split('&comm_id')[0]).sort()).toEqual(
    ['c0', 'c1'].flatMap((call) => ['alice', 'bob'].map((user) => `call_id=${call}&user_id=${user}`)),
  );
});

it.each([
  [
    'a wrong key',
    () => failed(70002),
    /^callstream: apps\[0\]\.records: .*the UserSig is invalid: check identifier and secretKey under records/,
  ],
  ['a missing package', () => failed(50001), /^callstream: apps\[0\]\.records: .*no package/],
])('says one clear line of %s', async (_, answer, message) => {
  vendor.whim = answer;
  const { code, err } = await run('backfill', 'call-record', ...range(20, 15));
  vendor.whim = () => null;
  expect(code).toBe(1);
  expect(err).toMatch(message);
  expect(err.trim().split('\n')).toHaveLength(1);
});
