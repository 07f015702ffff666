import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { migrateAll } from '../../src/cli/migrate.js';
import { openClickHouse, openProducer, openRegistry } from '../../src/cli/parts.js';
import { type Role, type RunningRole, startRole } from '../../src/cli/roles.js';
import type { ClickHouse } from '../../src/clickhouse/index.js';
import { openCodec } from '../../src/codec/codec.js';
import type { PollTask } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { type Config, parseConfig } from '../../src/config/index.js';
import { freePort } from '../../src/local/ports.js';
import { partitionOf } from '../../src/stream/partition.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { ALIYUN_APP, aliyunPage, aliyunPush } from '../support/aliyun-example.js';
import { type Asked, ExampleVendor } from '../support/example-vendor.js';
import { MEDIA_DATA, V1_OFFLINE_RECORD, V1_RECORD, V4_RECORD } from '../support/poll-examples.js';
import { useStack } from '../support/stack.js';
import { signed, TIW_EXAMPLES, TIW_KEY } from '../support/tiw-examples.js';
import { ALICE, ALICE_STATUS, V4_AT, V4_CALL, V4_CHANGED, V4_END, V4_START } from '../support/vendor-example.js';

/*
 * Every JSON example of the vendors' pages, through the roles as `callstream run` starts them, into the relations that dashboards read.
 */

const V1_APP = '8888888';
const V4_APP = '1400000004';
const TIW_APP = '1400000001';
const RECORDS_APP = '88888888';
const MEDIA_APP = '1400353843';
const PARTITIONS = 2;
/** Seconds: the moment of the example of media events, and the one at which the vendor says that it made their room. */
const MEDIA_AT = 1_589_975_202;
const ROOM_AT = Math.floor(Date.now() / 1000) - 600;
const COMM_ID = '1400188366_218695_1590065777';

const servers = useStack();
const running: RunningRole[] = [];
let config: Config;
let port: number;
let vendor: ExampleVendor;
let clickhouse: ClickHouse;

const rows = (sql: string): Promise<Record<string, unknown>[]> => clickhouse.query(sql, {});
const soon = (what: () => Promise<void>): Promise<void> => vi.waitFor(what, { timeout: 60_000, interval: 100 });

/** Times of the rows as epoch milliseconds. */
const times = (relation: string, columns: readonly string[], rest: string): Promise<Record<string, unknown>[]> =>
  rows(`SELECT ${columns.map((name) => `toUnixTimestamp64Milli(x.${name}) AS ${name}`).join(', ')} FROM ${relation} AS x ${rest}`);

beforeAll(async () => {
  port = await freePort();
  vendor = await ExampleVendor.start(answerOf);
  const env = {
    KAFKA_BROKERS: servers.brokers.join(','),
    SCHEMA_REGISTRY_URL: servers.registryUrl,
    CLICKHOUSE_URL: servers.clickhouseUrl,
    CALLSTREAM_INGEST_PORT: String(port),
    CALLSTREAM_DATA_DIR: servers.dataDir,
  };
  const secret = 'k'.repeat(64);
  const records = `endpoint: "${vendor.endpoint}", identifier: administrator, secretKey: ${secret}`;
  ({ config } = parseConfig(
    `apps:
- { provider: tencent, appId: "${V1_APP}" }
- { provider: tencent, appId: "${V4_APP}", records: { ${records}, generation: v4 } }
- { provider: tencent, appId: "${RECORDS_APP}", records: { ${records} } }
- { provider: tencent, appId: "${MEDIA_APP}", cloudApi: { endpoint: "${vendor.endpoint}", region: ap-singapore, secretId: AKID, secretKey: ${secret} } }
- { provider: tencent, appId: "${TIW_APP}", tiwCallbackKey: ${TIW_KEY} }
- provider: aliyun
  appId: "${ALIYUN_APP}"
  api: { endpoint: "${vendor.endpoint}", subscribeIds: ["ad53276431c****"], accessKeyId: AK, accessKeySecret: ${secret} }
sessions: { settle: 1s }
polling: { sweepEvery: 1s, delay: 0s }
kafka: { partitions: ${PARTITIONS} }
`,
    env,
  ));
  await migrateAll(config, { embeddedKafka: true, logger: silentLogger() });
  clickhouse = openClickHouse(config);
  for (const role of ['ingest', 'poll', 'sessions', 'events', 'sink'] as const) await start(role);
}, 120_000);
afterAll(async () => {
  for (const role of running.reverse()) await role.stop();
  await clickhouse?.close();
  await vendor?.stop();
});

async function start(role: Role): Promise<void> {
  running.push(await startRole(role, { config, logger: silentLogger(), metrics: createMetrics(), clock: systemClock }));
}

async function post(path: string, body: string | object): Promise<{ status: number; answer: unknown }> {
  const sent = { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) };
  const response = await fetch(`http://127.0.0.1:${port}/callbacks/${path}`, sent);
  return { status: response.status, answer: await response.json().catch(() => null) };
}

/** The answers of the pages; a list has its records on its first page, and the records API by id knows the calls of its examples. */
function answerOf({ operation, body }: Asked): string | null {
  switch (operation) {
    case 'v1/records/get_record_by_callId': {
      const known = body.callId === CALLS.byId;
      return `{"errorCode": 0,"errorMessage": "Success","requestId": "9f01db503f2006ad10c45f4f4609e38d","data": ${known ? V1_RECORD : '{}'}}`;
    }
    case 'v1/records/get_records_by_filter': {
      const list = body.page === 1 ? V1_OFFLINE_RECORD : '';
      return `{"errorCode": 0,"errorMessage": "Success","requestId": "r","data": {"totalNum": 1,"page": ${body.page},"callRecordList": [${list}]}}`;
    }
    case 'v4/call_record_http_srv/get_record_by_callid':
      return body.CallId === CALLS.v4
        ? `{"ErrorCode": 0,"ErrorInfo": "","ActionStatus": "OK","RequestId": "Id","Response": {"CallRecord": ${V4_RECORD}}}`
        : '{"ErrorCode": 101050,"ErrorInfo": "no such record","ActionStatus": "FAIL","RequestId": "Id"}';
    case 'v4/call_record_http_srv/get_record_by_filter': {
      const list = body.Page === 1 ? V4_RECORD : '';
      return `{"ErrorCode": 0,"ErrorInfo": "","ActionStatus": "OK","RequestId": "Id","Response": {"TotalNum": 1,"Page": ${body.Page},"CallRecordList": [${list}]}}`;
    }
    case 'DescribeRoomInfo':
      return `{"Response": {"Total": 1,"RoomList": [{"CommId": "${COMM_ID}","RoomString": "1400","CreateTime": ${ROOM_AT},"DestroyTime": ${ROOM_AT + 300},"IsFinished": false,"UserId": "user_2045351"}],"RequestId": "r"}}`;
    case 'DescribeUserEvent':
      return `{"Response": {"Data": ${body.UserId === 'user_2045351' ? MEDIA_DATA : '[]'},"RequestId": "093bffd3-9d27-45ca-8410-c61c0e4cdcb8"}}`;
    case 'ListEventSubEvent':
      return aliyunPage();
    default:
      return null;
  }
}

const CALLS = { byId: '2ae7d549-c441-4a9b-87c0-61810fe19582', v4: '04c9a0ac-8e38-4a19-be45-349c5ce7911b' };

/** A task as the sessions worker gives it, but due at once. */
async function ask(task: Pick<PollTask, 'kind' | 'app_id' | 'call_id'> & Partial<PollTask>): Promise<void> {
  const producer = openProducer(config, silentLogger());
  const codec = await openCodec(TOPICS.tasks, openRegistry(config));
  const common = { provider: 'tencent', room_id: '', user_id: '', users: [], reason: 'ended', attempt: 0, due_at: Date.now() };
  const value = codec.encode({ ...common, started_at: ROOM_AT * 1000, ended_at: (ROOM_AT + 300) * 1000, ...task });
  await producer.send([{ topic: TOPICS.tasks.name, partition: partitionOf(task.call_id, PARTITIONS), key: task.call_id, value }]);
  await producer.close();
}

describe('TUICallKit', () => {
  it('v1: a call event and a call status make one call', async () => {
    const query = (command: string) =>
      `tuicallkit?sdkappid=${V1_APP}&command=${command}&contenttype=json&clientip=127.0.0.1&optplatform=iOS`;
    const success = { status: 200, answer: { ErrorCode: 0, ErrorMessage: 'Success' } };
    expect(await post(query('caller_start_call'), ALICE)).toEqual(success);
    // Its command is in none of the vendor's lists.
    expect(await post(query('call_end'), ALICE_STATUS)).toEqual(success);
    const of = `WHERE app_id = '${V1_APP}'`;
    await soon(async () =>
      expect(await rows(`SELECT * FROM calls ${of}`)).toEqual([
        expect.objectContaining({
          ...{ provider: 'tencent', call_id: ALICE.CallId, room_id: "Alice's Room", call_type: 'single', media_type: 'audio' },
          ...{ caller: 'Alice', callees: [], total_users: 2, status: 'ended', outcome: 'answered', end_reason: 'normal', final: true },
          ...{ ring_ms: 3_000, talk_ms: 9_000, missed: false, missed_inclusive: false, sources: ['event', 'status'] },
          // The page's EventTime is two days before its StartCallTs.
          anomalies: ['time_conflict'],
        }),
      ]),
    );
    expect(await times('calls', ['started_at', 'accepted_at', 'ended_at'], of)).toEqual([
      { started_at: 1_704_856_873_000, accepted_at: 1_704_856_876_000, ended_at: 1_704_856_885_000 },
    ]);
    expect(await rows(`SELECT user_id, role, outcome, platform FROM call_legs ${of}`)).toEqual([
      { user_id: 'Alice', role: 'caller', outcome: 'answered', platform: 'iOS' },
    ]);
    await soon(async () =>
      expect(await rows(`SELECT event, user_id, role, call_result, source FROM call_events ${of} ORDER BY event`)).toEqual([
        { event: 'record', user_id: 'Alice', role: 'caller', call_result: 'normal_end', source: 'tuicallkit' },
        { event: 'start_call', user_id: 'Alice', role: 'caller', call_result: '', source: 'tuicallkit' },
      ]),
    );
    // A time of nine digits is none: the row shows the arrival.
    expect(await rows(`SELECT event FROM call_events ${of} AND event_at = received_at`)).toEqual([{ event: 'record' }]);
    expect(await times('call_events', ['event_at'], `${of} AND event = 'start_call'`)).toEqual([{ event_at: 1_704_695_566_000 }]);
    await soon(async () =>
      expect(await rows(`SELECT calls, answered, ring_ms_sum, talk_ms_sum, asr FROM metrics_1m ${of}`)).toEqual([
        { calls: 1, answered: 1, ring_ms_sum: 3_000, talk_ms_sum: 9_000, asr: 1 },
      ]),
    );
  }, 120_000);

  it('v4: a start, a change of members and an end make one call', async () => {
    const query = (command: string) =>
      `tuicallkit?SdkAppid=${V4_APP}&CallbackCommand=${command}&contenttype=json&ClientIP=127.0.0.1&OptPlatform=Android`;
    const success = { status: 200, answer: { ActionStatus: 'OK', ErrorInfo: '', ErrorCode: 0 } };
    expect(await post(query('Call.CallbackAfterStartCall'), V4_START)).toEqual(success);
    expect(await post(query('Call.CallbackAfterMemberChanged'), V4_CHANGED)).toEqual(success);
    expect(await post(query('Call.CallbackAfterEndCall'), V4_END)).toEqual(success);
    const of = `WHERE app_id = '${V4_APP}' AND call_id = '${V4_CALL}'`;
    await soon(async () =>
      expect(await rows(`SELECT * FROM calls ${of}`)).toEqual([
        expect.objectContaining({
          ...{ provider: 'tencent', call_id: V4_CALL, room_id: 'roomid-1434', call_type: 'single', media_type: 'audio' },
          ...{ caller: '144115212830834855', callees: ['10001', '144115212948889925', 'user2'], total_users: 4 },
          ...{ status: 'ended', outcome: 'no_answer', end_reason: 'no_answer', final: true, missed: true, missed_inclusive: true },
          ...{ ring_ms: 150_000, talk_ms: 0, sources: ['event', 'status'] },
          // The three pages tell of one call id, but of other users and times; the answer that one knows of, the record of another does not.
          anomalies: ['accept_before_start', 'record_conflict'],
        }),
      ]),
    );
    expect(await times('calls', ['started_at', 'ended_at'], of)).toEqual([{ started_at: 1_741_231_146_000, ended_at: 1_741_231_296_000 }]);
    expect(await rows(`SELECT user_id, role, outcome, missed FROM call_legs ${of} ORDER BY user_id`)).toEqual([
      { user_id: '10001', role: 'callee', outcome: 'no_answer', missed: true },
      { user_id: '144115212830834855', role: 'caller', outcome: 'no_answer', missed: false },
      { user_id: '144115212948889925', role: 'callee', outcome: 'no_answer', missed: true },
      { user_id: 'user2', role: 'callee', outcome: 'answered', missed: false },
    ]);
    await soon(async () =>
      expect(await rows(`SELECT event, user_id, role, call_result, platform FROM call_events ${of} ORDER BY event`)).toEqual([
        { event: 'accept_call', user_id: 'user2', role: 'callee', call_result: '', platform: 'Android' },
        { event: 'receive_call', user_id: '144115212948889925', role: 'callee', call_result: '', platform: '' },
        { event: 'record', user_id: '10001', role: 'caller', call_result: 'not_answer', platform: 'Android' },
        { event: 'start_call', user_id: '144115212830834855', role: 'caller', call_result: '', platform: 'Android' },
      ]),
    );
    expect(await times('call_events', ['event_at'], `${of} AND event != 'record'`)).toEqual(Array(3).fill({ event_at: V4_AT }));
    expect(await rows(`SELECT caller, callee, missed_count FROM missed_unreturned WHERE app_id = '${V4_APP}' ORDER BY callee`)).toEqual([
      { caller: '144115212830834855', callee: '10001', missed_count: 1 },
      { caller: '144115212830834855', callee: '144115212948889925', missed_count: 1 },
    ]);
  }, 120_000);
});

describe('the Call REST API', () => {
  it('v1: what it answers by id, and by condition, becomes calls of which no callback ever came', async () => {
    await ask({ kind: 'record', app_id: RECORDS_APP, call_id: CALLS.byId });
    const of = `WHERE app_id = '${RECORDS_APP}'`;
    await soon(async () =>
      expect(await rows(`SELECT * FROM calls ${of} ORDER BY call_id`)).toEqual([
        expect.objectContaining({
          ...{ provider: 'tencent', call_id: CALLS.byId, room_id: '123456', call_type: 'single', media_type: 'video', caller: 'alice' },
          // The page counts two users and names three.
          ...{ callees: ['bob1', 'bob2'], total_users: 3, status: 'ended', outcome: 'answered', end_reason: 'normal', final: true },
          ...{ ring_ms: 3_000, talk_ms: 27_000, missed: false, sources: ['record'], anomalies: [] },
        }),
        expect.objectContaining({
          ...{ call_id: '5f1c7a3e-62a1-4b60-9d4f-0a6c7d1b2e33', room_id: '123457', media_type: 'audio', callees: ['bob1'], total_users: 2 },
          ...{ outcome: 'answered', end_reason: 'interrupted', ring_ms: 5_000, talk_ms: 85_000, sources: ['record'], final: true },
        }),
      ]),
    );
    expect(await times('calls', ['started_at', 'accepted_at', 'ended_at'], `${of} ORDER BY call_id`)).toEqual([
      { started_at: 1_688_705_638_000, accepted_at: 1_688_705_641_000, ended_at: 1_688_705_668_000 },
      { started_at: 1_688_705_700_000, accepted_at: 1_688_705_705_000, ended_at: 1_688_705_790_000 },
    ]);
    await soon(async () =>
      expect(await rows(`SELECT event, source, call_result, detail FROM call_events ${of} ORDER BY call_id`)).toEqual([
        { event: 'record', source: 'call-record', call_result: 'normal_end', detail: V1_RECORD },
        { event: 'record', source: 'call-record', call_result: 'offline', detail: V1_OFFLINE_RECORD },
      ]),
    );
    const records = `SELECT sum(calls_from_records_only) AS n FROM delivery_health ${of}`;
    await soon(async () => expect(await rows(records)).toEqual([{ n: 2 }]));
  }, 120_000);

  it('v4: a record that both of its questions have is one input', async () => {
    await ask({ kind: 'record', app_id: V4_APP, call_id: CALLS.v4 });
    await soon(async () => {
      expect(vendor.bodies('v4/call_record_http_srv/get_record_by_callid')).toContainEqual({ CallId: CALLS.v4 });
      expect(vendor.bodies('v4/call_record_http_srv/get_record_by_filter')).not.toEqual([]);
    });
    const of = `WHERE app_id = '${V4_APP}' AND call_id = '${CALLS.v4}'`;
    await soon(async () =>
      expect(await rows(`SELECT * FROM calls ${of}`)).toEqual([
        expect.objectContaining({
          ...{ room_id: 'roomid-1434', call_type: 'group', media_type: 'audio', caller: 'user1', callees: ['user2', 'user5'] },
          // Two days of talk are none, and shown as odd.
          ...{ outcome: 'answered', ring_ms: 4_578_000, talk_ms: 0, anomalies: ['time_conflict'], sources: ['record'], final: true },
        }),
      ]),
    );
    expect(await times('calls', ['started_at', 'accepted_at', 'ended_at'], of)).toEqual([
      { started_at: 1_739_868_165_000, accepted_at: 1_739_872_743_000, ended_at: 1_740_064_224_000 },
    ]);
    await soon(async () => expect(await rows(`SELECT detail FROM call_events ${of}`)).toEqual([{ detail: V4_RECORD }]));
  }, 120_000);
});

it('DescribeUserEvent: the media events of a user stand in the legs of the call, and in call_events by name', async () => {
  const call = { CallId: 'media-1', RoomId: '1400', CallType: 'single', MediaType: 'video', TotalNum: 2 };
  const say = async (UserId: string, Event: string, seconds: number) => {
    const body = { ...call, UserId, Role: UserId === 'bob' ? 'callee' : 'caller', Event, EventTime: MEDIA_AT + seconds };
    expect((await post(`tuicallkit?sdkappid=${MEDIA_APP}`, body)).status).toBe(200);
  };
  await say('user_2045351', 'start_call', -5);
  await say('bob', 'accept_call', 0);
  for (const user of ['user_2045351', 'bob']) await say(user, 'call_end', 80);
  await ask({ kind: 'media', app_id: MEDIA_APP, call_id: call.CallId, room_id: call.RoomId, users: ['user_2045351', 'bob'] });
  const of = `WHERE app_id = '${MEDIA_APP}'`;
  await soon(async () =>
    expect(await rows(`SELECT outcome, sources, final FROM calls ${of}`)).toEqual([
      { outcome: 'answered', sources: ['event', 'media'], final: true },
    ]),
  );
  const legs = 'user_id, toUnixTimestamp64Milli(media_joined_at) AS joined, toUnixTimestamp64Milli(media_left_at) AS left, media_drops';
  expect(await rows(`SELECT ${legs} FROM call_legs ${of} ORDER BY user_id`)).toEqual([
    { user_id: 'bob', joined: null, left: null, media_drops: 0 },
    { user_id: 'user_2045351', joined: 1_589_975_202_782, left: null, media_drops: 0 },
  ]);
  // The question of the page, but for its times.
  expect(vendor.bodies('DescribeUserEvent')).toContainEqual(
    expect.objectContaining({ CommId: COMM_ID, UserId: 'user_2045351', RoomId: '1400', SdkAppId: Number(MEDIA_APP) }),
  );
  await soon(async () => {
    const media = await rows(`SELECT user_id, room_id, source, detail FROM call_events ${of} AND event = 'media'`);
    expect(media).toEqual([
      { user_id: 'user_2045351', room_id: '1400', source: 'user-event', detail: expect.stringContaining('"Events"') },
    ]);
    const { Events } = JSON.parse(String(media[0]!.detail)) as { Events: { event: string }[] };
    // By time, whatever the page lists first.
    expect(Events.map(({ event }) => event)).toEqual([
      ...['web_audio_enabled', 'web_signaling_connected', 'web_video_enabled', 'web_room_entered'],
      ...['web_media_connected', 'web_media_connected', 'web_media_connected'],
    ]);
  });
}, 120_000);

it('ListEventSubEvent: what is polled and pushed is one event', async () => {
  expect((await post('aliyun-rtc', aliyunPush('Leave'))).status).toBe(200);
  const of = `WHERE app_id = '${ALIYUN_APP}'`;
  const sums = 'sum(received) AS received, sum(folded) AS folded, sum(duplicates) AS duplicates';
  await soon(async () =>
    expect(await rows(`SELECT ${sums} FROM delivery_minutes ${of}`)).toEqual([{ received: 2, folded: 1, duplicates: 1 }]),
  );
  expect(await rows(`SELECT provider, call_id, room_id, user_id, event, source FROM call_events ${of}`)).toEqual([
    { provider: 'aliyun', call_id: 'channel:9099', room_id: '9099', user_id: 'linux_test', event: 'leave', source: 'aliyun-rtc' },
  ]);
  const leftAt = 1_697_545_591_000;
  expect(await times('call_events', ['event_at'], of)).toEqual([{ event_at: leftAt }]);
  // A Leave alone opens no session: it is kept as a row that counts nowhere, until its Join has come.
  await soon(async () => expect(await rows(`SELECT end_reason FROM calls ${of}`)).toEqual([{ end_reason: 'merged' }]));
  expect(await rows(`SELECT user_id FROM call_legs ${of}`)).toEqual([]);
  expect((await post('aliyun-rtc', aliyunPush('Join', 600))).status).toBe(200);
  await soon(async () =>
    expect(await rows(`SELECT * FROM calls ${of}`)).toEqual([
      expect.objectContaining({
        ...{ provider: 'aliyun', call_id: expect.stringMatching(/^channel:9099:./), room_id: '9099', call_type: 'channel', caller: '' },
        ...{ callees: ['linux_test'], status: 'ended', outcome: 'unknown', missed: false, talk_ms: 0, sources: ['channel'], final: true },
      }),
    ]),
  );
  expect(await times('calls', ['started_at', 'ended_at'], of)).toEqual([{ started_at: leftAt - 600_000, ended_at: leftAt }]);
}, 120_000);

describe('the whiteboard', () => {
  it('makes two recordings of six callbacks, and takes none with the Sign of the page', async () => {
    const ExpireTime = Math.floor(Date.now() / 1000) + 600;
    for (const example of Object.values(TIW_EXAMPLES)) {
      expect((await post('tiw', example)).status).toBe(403);
      expect(await post('tiw', signed({ ...example, ExpireTime }))).toEqual({ status: 200, answer: { error_code: 0 } });
    }
    const of = `WHERE app_id = '${TIW_APP}'`;
    await soon(async () =>
      expect(await rows(`SELECT * EXCEPT (videos), length(videos) AS n FROM recordings ${of} ORDER BY task_id`)).toEqual([
        expect.objectContaining({
          ...{ provider: 'tencent', task_id: 'bj0mt2l23osdj300hl30', room_id: '1253', record_user_id: 'tic_record_user_1253_01' },
          ...{ status: 'stopped', pauses: 1, total_ms: 0, finish_reason: '', error_code: '', n: 0 },
        }),
        // One of the page's endings is a failure. As they have one time, they are one event, of which counts what either knows.
        expect.objectContaining({
          ...{ provider: 'tencent', task_id: 'ghucnligqtgtvk2624mb', room_id: '880528', group_id: '880528' },
          ...{ status: 'failed', finish_reason: 'exception', error_code: 'FailedOperation.Record', total_ms: 18_317, exceptions: 0, n: 4 },
        }),
      ]),
    );
    await soon(async () =>
      expect(await times('recordings', ['started_at', 'stopped_at'], `${of} ORDER BY task_id`)).toEqual([
        { started_at: 1_575_545_412_000, stopped_at: 1_575_546_412_000 },
        { started_at: 1_568_949_369_000, stopped_at: 1_590_045_606_000 },
      ]),
    );
    await soon(async () =>
      expect(await rows(`SELECT event, count() AS n FROM call_events ${of} GROUP BY event ORDER BY event`)).toEqual([
        { event: 'OnlineRecordFinished', n: 1 },
        { event: 'OnlineRecordLongPauseForceStopped', n: 1 },
        { event: 'OnlineRecordLongPauseWarning', n: 1 },
        { event: 'OnlineRecordStarted', n: 1 },
        { event: 'OnlineRecordStopped', n: 1 },
      ]),
    );
    expect(await rows(`SELECT count() AS n FROM call_events ${of} AND position(detail, 'Sign') > 0`)).toEqual([{ n: 0 }]);
  }, 120_000);
});

it('nothing is left over: every delivery is an input or repeats one', async () => {
  await soon(async () => {
    const sums = 'sum(received) AS received, sum(folded) AS folded, sum(duplicates) AS duplicates, sum(dead) AS dead';
    expect(await rows(`SELECT app_id, ${sums} FROM delivery_minutes GROUP BY app_id ORDER BY app_id`)).toEqual([
      { app_id: TIW_APP, received: 6, folded: 5, duplicates: 1, dead: 0 },
      { app_id: V4_APP, received: 5, folded: 5, duplicates: 0, dead: 0 },
      { app_id: MEDIA_APP, received: 5, folded: 5, duplicates: 0, dead: 0 },
      { app_id: V1_APP, received: 2, folded: 2, duplicates: 0, dead: 0 },
      { app_id: RECORDS_APP, received: 2, folded: 2, duplicates: 0, dead: 0 },
      { app_id: ALIYUN_APP, received: 3, folded: 2, duplicates: 1, dead: 0 },
    ]);
  });
  expect(await rows('SELECT reason FROM dead_letters')).toEqual([]);
}, 120_000);
