import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { runCli } from '../../src/cli/program.js';
import { type Role, type RunningRole, startRole } from '../../src/cli/roles.js';
import { ClickHouse } from '../../src/clickhouse/index.js';
import { loadConfig } from '../../src/config/index.js';
import { freePort } from '../../src/local/index.js';
import { Pseudonyms } from '../../src/sources/pseudonym.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { CallApiVendor, type VendorRecord } from '../support/call-api-vendor.js';
import { useStack } from '../support/stack.js';
import { terminal } from '../support/terminal.js';

/** A user in everything that the project stores, who is then forgotten: on real servers, by the command, with every role at work. */
const servers = useStack();
const APP = '1400000001';
const CHANNELS = '9qb1abcd';
const KEY = 'a dummy key for tests that is long enough';
/** Written as it is, and in JSON with escapes. */
const ZOE = 'Zoë the/forgotten';
const HOUR = 3_600_000;
const now = Math.floor(Date.now() / 1000) * 1000;
const running = new Map<Role, RunningRole>();
let vendor: CallApiVendor;
let file: string;
/** The same, with pseudonyms of all users. */
let hidden: string;
let clickhouse: ClickHouse;
let ingest = '';

const env = () => ({
  KAFKA_BROKERS: servers.brokers.join(','),
  SCHEMA_REGISTRY_URL: servers.registryUrl,
  CLICKHOUSE_URL: servers.clickhouseUrl,
  CALLSTREAM_DATA_DIR: join(servers.dataDir, 'data'),
});
const run = async (...args: string[]) => {
  const { io, written } = terminal(env());
  const code = await runCli([...args, '--config', file], io);
  expect(written.out + written.err).not.toContain(KEY);
  return { code, ...written };
};

async function begin(role: Role, from = file): Promise<void> {
  const { config } = loadConfig({ file: from, env: env() });
  running.set(role, await startRole(role, { config, logger: silentLogger(), metrics: createMetrics(), clock: systemClock }));
}

async function restart(role: Role): Promise<void> {
  await running.get(role)?.stop();
  await begin(role);
}

const post = async (path: string, body: string): Promise<void> => {
  const response = await fetch(`${ingest}/callbacks/${path}`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  expect([response.status, await response.text()]).toEqual([200, expect.any(String)]);
};
const v1 = (CallId: string, UserId: string, Event: string, second: number, more: object = {}) =>
  post(
    `tuicallkit?sdkappid=${APP}&command=x`,
    JSON.stringify({
      ...{ CallId, RoomId: `room of ${CallId}`, TotalNum: 2, MediaType: 'audio', CallType: 'single', CallResult: '', UserId, Event },
      ...{
        EventTime: now / 1000 - 3_600 + second,
        Role: Event === 'start_call' || Event === 'call_accepted' ? 'caller' : 'callee',
        ...more,
      },
    }),
  );
const v4 = (body: object) => post(`tuicallkit?SdkAppid=${APP}&CallbackCommand=x`, JSON.stringify(body));
const tiw = (EventType: string, second: number, data: object) =>
  post(
    'tiw',
    JSON.stringify({
      SdkAppId: Number(APP),
      EventType,
      Timestamp: now / 1000 - 3_600 + second,
      EventData: { TaskId: 'task', RoomId: 'r', ...data },
    }),
  );
const channel = (EventTag: string, UserId: string, second: number, ChannelId = 'ch') =>
  post(
    'aliyun-rtc',
    JSON.stringify({
      ...{ AppId: CHANNELS, ChannelId, MsgId: `m-${EventTag}-${second}-${UserId.length}` },
      Contents: [
        {
          Event: 'UserEvent',
          UserEvent: { UserId, EventTag, SessionId: `${second > 20 ? 2 : 1}`, Timestamp: now / 1000 - 3_600 + second },
        },
      ],
    }),
  );

const record = { ...{ callId: 'by-record', startCallTs: now / 1000 - 3_600, acceptTs: now / 1000 - 3_590, endTs: now / 1000 - 3_500 } };

/** What {@link tell} and a backfill make. */
const DELIVERIES = 20;

/** Everything that the vendors tell of the user. */
async function tell(): Promise<void> {
  // Answered, of two; the events of one arrive in the middle of the other's.
  await v1('single', ZOE, 'start_call', 0);
  await v1('single', 'bob', 'receive_call', 1);
  await v1('single', 'bob', 'accept_call', 4);
  await v1('single', 'bob', 'call_end', 34);
  await v1('single', ZOE, 'call_end', 34);
  await v1('missed', 'bob', 'start_call', 100);
  await v1('missed', ZOE, 'receive_call', 101);
  await v1('missed', ZOE, 'not_answer_call', 130);
  await v1('missed', 'bob', 'call_missed', 130);
  // Of this call another user is told of, and the user in a list alone.
  await v4({
    ...{ CallbackCommand: 'Call.CallbackAfterMemberChanged', CallId: 'group', EventTime: now - HOUR },
    UserList: [{ User_Account: ZOE, Status: 'Calling' }],
    ChangedUserList: [{ User_Account: 'carol', ActionType: 'Join' }],
  });
  await v4({
    ...{ CallbackCommand: 'Call.CallbackAfterEndCall', EventTime: now - HOUR + 60_000 },
    CallRecord: {
      ...{ CallId: 'group', Caller_Account: 'carol', CalleeList_Account: ['carol', ZOE], CallType: 'MultiCall', MediaType: 'Video' },
      ...{
        StartTime: now / 1000 - 3_600,
        AcceptTime: now / 1000 - 3_590,
        EndTime: now / 1000 - 3_540,
        CallResult: 'NormalEnd',
        RoomId: 'g',
      },
    },
  });
  await v1('dead', ZOE, 'dances', 0);
  await post(`tuicallkit?sdkappid=${APP}&command=x`, `{"CallId":"broken","UserId":${JSON.stringify(ZOE)},"Event":`);
  await tiw('OnlineRecordStarted', 0, { RecordUserId: 'robot' });
  await tiw('OnlineRecordFinished', 60, { RecordUserId: 'robot', VideoInfos: [{ UserId: ZOE, VideoId: 'v' }] });
  await channel('Join', ZOE, 0);
  await channel('Join', 'bob', 5);
  await channel('Leave', ZOE, 15);
  await channel('Leave', 'bob', 15);
}

beforeAll(async () => {
  vendor = await CallApiVendor.start();
  const { endpoint } = vendor;
  file = join(servers.dataDir, 'callstream.yaml');
  hidden = join(servers.dataDir, 'hidden.yaml');
  const text = `apps:
- provider: tencent
  appId: "${APP}"
  records: { endpoint: "${endpoint}", identifier: administrator, secretKey: records-key }
  cloudApi: { endpoint: "${endpoint}", region: ap-singapore, secretId: dummy-id, secretKey: cloud-key }
- { provider: aliyun, appId: ${CHANNELS} }
kafka: { partitions: 2 }
sessions: { ringTimeout: 2s, settle: 1s, maxCall: 1h, retention: 2s, channelGap: 1s }
privacy: { key: ${KEY} }
ingest: { port: ${await freePort()} }
`;
  writeFileSync(file, text);
  writeFileSync(hidden, text.replace('privacy: {', 'privacy: { pseudonymiseUsers: true,'));
  ingest = `http://127.0.0.1:${loadConfig({ file, env: env() }).config.ingest.port}`;
  expect((await run('migrate')).code).toBe(0);
  clickhouse = new ClickHouse({ url: servers.clickhouseUrl, username: 'default', password: '', database: 'callstream' });
  for (const role of ['ingest', 'sessions', 'events', 'sink'] as const) await begin(role, hidden);
}, 60_000);

afterAll(async () => {
  await Promise.all([...running.values()].map((role) => role.stop()));
  await vendor?.stop();
  await clickhouse?.close();
});

/** Rows of every table that hold the user anywhere, by table: as it is, or as JSON may spell it. */
async function traces(user: string): Promise<Record<string, number>> {
  const columns = await clickhouse.query<{ table: string; columns: string[] }>(
    `SELECT table, groupArray(name) AS columns FROM system.columns
     WHERE database = 'callstream' AND table IN (SELECT name FROM system.tables WHERE database = 'callstream' AND engine LIKE '%MergeTree')
     GROUP BY table ORDER BY table`,
  );
  const found: Record<string, number> = {};
  const forms = [user, JSON.stringify(user).slice(1, -1), user.replaceAll('/', '\\/'), user.replaceAll('ë', '\\u00eb')];
  for (const { table, columns: names } of columns) {
    const where = names.map((name) => `multiSearchAny(toString(${name}), {forms:Array(String)})`).join(' OR ');
    const [row] = await clickhouse.query<{ found: number }>(`SELECT count() AS found FROM ${table} WHERE ${where}`, { forms });
    if ((row?.found ?? 0) > 0) found[table] = row!.found;
  }
  return found;
}

const inTables = (where: string, n: number): Promise<void> =>
  vi.waitFor(
    async () => {
      const [row] = await clickhouse.query<{ n: number }>(`SELECT count() AS n FROM ${where}`);
      expect(row?.n, where).toBe(n);
    },
    { timeout: 40_000, interval: 200 },
  );

/** What is measured of every call, session and recording, whoever they are. */
const measured = () =>
  clickhouse.query(
    `SELECT if(call_type = 'channel', room_id, call_id) AS id, call_type, status, outcome, end_reason, started_at, accepted_at, ended_at, ring_ms, talk_ms,
       missed, total_users, sources, anomalies, length(callees) AS callees, caller = '' AS nobody
     FROM calls WHERE end_reason != 'merged' ORDER BY id, started_at`,
  );

/** Run, and interrupted at once: the user is on the list, and that is all. */
async function listOnly(app: string, user: string): Promise<void> {
  const { io, written } = terminal(env());
  expect(await runCli(['forget-user', app, user, '--config', file], { ...io, signal: AbortSignal.abort() })).toBe(1);
  expect(written.err).toContain('on the list; every worker folds with it in 20 s');
}

it('leaves no trace in any table, does not come back, and changes nothing else', async () => {
  // While all users go by pseudonyms, a call holds the id of a user sealed, for the vendor is asked by it.
  await v1('sealed', 'yara', 'start_call', 200);
  await v1('sealed', 'bob', 'receive_call', 201);
  await v1('sealed', 'yara', 'cancel_call', 210);
  await inTables('calls WHERE final', 1);
  const yara = new Pseudonyms(KEY).of(APP, 'yara');
  const sealed = `calls_latest WHERE position(state, '${yara}:') > 0 AND position(state, 'yara') = 0`;
  const [rows] = await clickhouse.query<{ n: number }>(`SELECT count() AS n FROM ${sealed}`);
  expect(rows!.n).toBeGreaterThan(0);
  await listOnly(APP, 'yara');
  await restart('sessions');
  await restart('events');

  vendor.records.push({ ...record, caller: 'bob', callees: ['bob', ZOE], callResult: 'normal_end' } as VendorRecord);
  await tell();
  const range = (from: number, to: number) => ['--from', String(now - from * HOUR), '--to', String(now - to * HOUR)];
  expect((await run('backfill', 'call-record', ...range(2, 0.5))).code).toBe(0);
  await inTables('calls WHERE final', 6);
  await inTables('recordings', 1);
  await inTables('dead_letters', 2);
  const before = await traces(ZOE);
  expect(Object.keys(before).sort()).toEqual([
    'call_event_rows',
    'call_revisions',
    'calls_latest',
    'dead_letter_rows',
    'recordings_latest',
  ]);
  const measures = await measured();
  expect(measures).toHaveLength(6);
  const metrics = () => clickhouse.query<{ calls: number }>('SELECT * FROM metrics_1d ORDER BY ALL');
  await vi.waitFor(async () => expect((await metrics()).reduce((sum, { calls }) => sum + calls, 0)).toBe(6), 20_000);
  const rolled = await metrics();
  const others = await traces('bob');

  await listOnly(CHANNELS, ZOE);

  const forgotten = await run('forget-user', APP, ZOE);
  expect(forgotten).toMatchObject({ code: 0, out: expect.stringContaining('Published anew: 4 calls, 0 channels, 1 recordings.') });
  expect(forgotten.out).toContain(`goes by ${new Pseudonyms(KEY).of(APP, ZOE)}`);
  expect(forgotten.out).toMatch(/callstream\.calls +until \d{4}-\d\d-\d\dT\d\d:\d\dZ \(30d\)/);
  expect(forgotten.out).toMatch(/callstream\.raw\.tuicallkit +until .* \(14d\)/);
  expect(forgotten.out).not.toContain('poll-cursors');
  // The other app has a user of that name too, who stays.
  expect(Object.keys(await traces(ZOE)).sort()).toEqual(['call_event_rows', 'call_revisions', 'calls_latest']);
  const goneOn = await run('forget-user', CHANNELS, ZOE);
  expect(goneOn).toMatchObject({ code: 0, out: expect.stringContaining('0 calls, 1 channels, 0 recordings') });
  expect(goneOn.err).not.toContain('on the list');
  expect((await run('forget-user', APP, 'yara')).out).toContain('Published anew: 1 calls, 0 channels, 0 recordings.');
  await inTables(sealed, 0);
  expect(await traces(ZOE)).toEqual({});
  const settled = () => inTables("calls WHERE NOT final AND end_reason != 'merged'", 0);
  await settled();
  expect(await measured()).toEqual(measures);
  await vi.waitFor(async () => expect(await metrics()).toEqual(rolled), 20_000);
  expect(Object.keys(await traces('bob'))).toEqual(Object.keys(others));

  // Everything comes once more: the vendor has not forgotten. Then the workers begin anew.
  const again = async (hours: number) => {
    const [count] = await clickhouse.query<{ n: number }>('SELECT count() AS n FROM deliveries FINAL');
    await tell();
    expect((await run('backfill', 'call-record', ...range(hours, 0.5))).code).toBe(0);
    await inTables('deliveries FINAL', count!.n + DELIVERIES);
    await settled();
    expect(await traces(ZOE)).toEqual({});
    expect(await measured()).toEqual(measures);
  };
  await again(3);
  await restart('sessions');
  await restart('events');
  await again(4);

  // The database is lost, and rebuilt from topics that still hold all of it.
  await running.get('sink')?.stop();
  await clickhouse.command('DROP DATABASE callstream SYNC');
  expect((await run('migrate')).code).toBe(0);
  await begin('sink');
  expect(await run('rebuild')).toMatchObject({ code: 0 });
  expect(await traces(ZOE)).toEqual({});
  await inTables(sealed, 0);
  expect(await measured()).toEqual(measures);
  expect(await metrics()).toEqual(rolled);

  const twice = await run('forget-user', APP, ZOE);
  expect(twice.out).toContain('Published anew: 0 calls, 0 channels, 0 recordings. Deleted: 0 earlier revisions, 0 events, 0 dead letters.');
}, 300_000);

it('needs the key, and roles that have another one do not start', async () => {
  const { config } = loadConfig({ file, env: env() });
  const { key: _key, ...privacy } = config.privacy;
  for (const other of [privacy, { ...privacy, key: 'another dummy key, just as long as that' }]) {
    const context = { config: { ...config, privacy: other }, logger: silentLogger(), metrics: createMetrics(), clock: systemClock };
    await expect(startRole('events', context)).rejects.toMatchObject({ code: 'PRIVACY_KEY_CHANGED' });
  }
  const keyless = join(servers.dataDir, 'keyless.yaml');
  writeFileSync(keyless, `apps: [{ provider: tencent, appId: "${APP}" }]\nkafka: { partitions: 2 }\n`);
  const { io, written } = terminal(env());
  expect(await runCli(['forget-user', APP, ZOE, '--config', keyless], io)).toBe(1);
  expect(written.err).toMatch(/forget-user needs privacy\.key.*\[FORGET_NEEDS_KEY\]/);
});
