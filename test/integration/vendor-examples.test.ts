import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { migrateAll } from '../../src/cli/migrate.js';
import { openClickHouse } from '../../src/cli/parts.js';
import { type Role, type RunningRole, startRole } from '../../src/cli/roles.js';
import type { ClickHouse } from '../../src/clickhouse/index.js';
import { type Config, parseConfig } from '../../src/config/index.js';
import { freePort } from '../../src/local/ports.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { useStack } from '../support/stack.js';
import { signed, TIW_EXAMPLES, TIW_KEY } from '../support/tiw-examples.js';
import { ALICE, ALICE_STATUS, V4_AT, V4_CALL, V4_CHANGED, V4_END, V4_START } from '../support/vendor-example.js';

/*
 * Every JSON example of the vendors' pages, through the roles as `callstream run` starts them, into the relations that dashboards read.
 */

const V1_APP = '8888888';
const V4_APP = '1400000004';
const TIW_APP = '1400000001';

const servers = useStack();
const running: RunningRole[] = [];
let port: number;
let clickhouse: ClickHouse;

const rows = (sql: string): Promise<Record<string, unknown>[]> => clickhouse.query(sql, {});
const soon = (what: () => Promise<void>): Promise<void> => vi.waitFor(what, { timeout: 60_000, interval: 100 });

/** Times of the rows as epoch milliseconds. */
const times = (relation: string, columns: readonly string[], rest: string): Promise<Record<string, unknown>[]> =>
  rows(`SELECT ${columns.map((name) => `toUnixTimestamp64Milli(x.${name}) AS ${name}`).join(', ')} FROM ${relation} AS x ${rest}`);

beforeAll(async () => {
  port = await freePort();
  const env = {
    KAFKA_BROKERS: servers.brokers.join(','),
    SCHEMA_REGISTRY_URL: servers.registryUrl,
    CLICKHOUSE_URL: servers.clickhouseUrl,
    CALLSTREAM_INGEST_PORT: String(port),
    CALLSTREAM_DATA_DIR: servers.dataDir,
  };
  const { config } = parseConfig(
    `apps:
- { provider: tencent, appId: "${V1_APP}" }
- { provider: tencent, appId: "${V4_APP}" }
- { provider: tencent, appId: "${TIW_APP}", tiwCallbackKey: ${TIW_KEY} }
sessions: { settle: 1s }
kafka: { partitions: 2 }
`,
    env,
  );
  await migrateAll(config, { embeddedKafka: true, logger: silentLogger() });
  clickhouse = openClickHouse(config);
  for (const role of ['ingest', 'sessions', 'events', 'sink'] as const) await start(role, config);
}, 120_000);
afterAll(async () => {
  for (const role of running.reverse()) await role.stop();
  await clickhouse?.close();
});

async function start(role: Role, config: Config): Promise<void> {
  running.push(await startRole(role, { config, logger: silentLogger(), metrics: createMetrics(), clock: systemClock }));
}

async function post(path: string, body: string | object): Promise<{ status: number; answer: unknown }> {
  const sent = { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) };
  const response = await fetch(`http://127.0.0.1:${port}/callbacks/${path}`, sent);
  return { status: response.status, answer: await response.json().catch(() => null) };
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
    const of = `WHERE app_id = '${V4_APP}'`;
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
    expect(await rows(`SELECT caller, callee, missed_count FROM missed_unreturned ${of} ORDER BY callee`)).toEqual([
      { caller: '144115212830834855', callee: '10001', missed_count: 1 },
      { caller: '144115212830834855', callee: '144115212948889925', missed_count: 1 },
    ]);
  }, 120_000);
});

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
      { app_id: V4_APP, received: 4, folded: 4, duplicates: 0, dead: 0 },
      { app_id: V1_APP, received: 2, folded: 2, duplicates: 0, dead: 0 },
    ]);
  });
  expect(await rows('SELECT reason FROM dead_letters')).toEqual([]);
}, 120_000);
