import { describe, expect, it } from 'vitest';
import { Chunk } from '../../src/clickhouse/index.js';
import type { Call, CallEvent, RawEvent } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { joinKey } from '../../src/domain/key.js';
import { type CallRecordPlan, callRecord, firstPage } from '../../src/sources/call-record.js';
import type { PolledElement, PolledSource } from '../../src/sources/polled.js';
import { topicsAbout } from '../../src/sources/registry.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';
import { type UserEventPlan, userEvent } from '../../src/sources/user-event.js';
import { TopologyDriver } from '../../src/stream/topology-driver.js';
import { EventsProcessor } from '../../src/workers/events/processor.js';
import { repairCall, type StoredInput } from '../../src/workers/repair.js';
import { SessionsProcessor } from '../../src/workers/sessions/processor.js';
import type { SessionSettings } from '../../src/workers/sessions/settings.js';
import { MEDIA_DATA, V1_OFFLINE_RECORD, V1_RECORD, V4_RECORD } from '../support/poll-examples.js';
import { codecs } from '../support/worker-kit.js';

/* What the vendors' APIs answer, from the bytes of the answer to the rows. */

const NOW = 1_690_000_000_000;
const settings: SessionSettings = {
  ...{ ringTimeout: 120_000, maxCall: 43_200_000, settle: 30_000, retention: 7_200_000, maxCallsPerTask: 1e6 },
  ...{ hasRecordsApi: () => true, hasMediaApi: () => true, userEvents: 'all', recordSample: 1 },
};

interface Arrived {
  topic: string;
  key: string;
  raw: Omit<RawEvent, 'id' | 'auth' | 'remote_addr'>;
}

/** The elements of an answer, as the poller puts them on the raw topic. */
function polled<Plan>(source: PolledSource<Plan, unknown>, appId: string, plan: Plan, answer: string, receivedAt = NOW): Arrived[] {
  const read = source.readResponse(200, {}, Buffer.from(answer), plan);
  if (read.kind !== 'page') throw new Error(`${read.kind}: ${read.message}`);
  const arrived = ({ key, query, body }: PolledElement): Arrived => ({
    topic: source.topic,
    key,
    raw: { source: source.name, app_id: appId, received_at: receivedAt, query, body: Buffer.from(body) },
  });
  return read.elements.map(arrived);
}

function callback(appId: string, body: { CallId: string; [field: string]: unknown }, receivedAt: number): Arrived {
  const key = joinKey({ provider: 'tencent', app_id: appId, call_id: body.CallId });
  const raw = { source: 'tuicallkit', app_id: appId, received_at: receivedAt, query: '', body: Buffer.from(JSON.stringify(body)) };
  return { topic: tuicallkit.topic, key, raw };
}

/** Everything that both workers publish of what has arrived, once nothing more happens. */
async function run(arrived: readonly Arrived[]) {
  const common = { partitions: 1, clock: { now: () => NOW } };
  const inputs = topicsAbout('call');
  const events = await TopologyDriver.open({
    ...{ ...common, inputs, outputTopic: TOPICS.callEvents.name, restores: false },
    createProcessor: ({ partition, failures }) => new EventsProcessor({ partition, codecs, failures }),
  });
  const sessions = await TopologyDriver.open({
    ...{
      ...common,
      inputs: [...inputs, TOPICS.rawLate.name],
      deferred: TOPICS.rawLate.name,
      outputTopic: TOPICS.calls.name,
      restores: true,
    },
    createProcessor: ({ partition, failures }) => {
      const lookup = async () => new Map<string, Buffer>();
      return new SessionsProcessor({ partition, partitions: 1, settings, codecs, lookup, failures, suspects: new Set() });
    },
  });
  arrived.forEach(({ topic, key, raw }, i) => {
    const value = codecs.raw.encode({ id: `d${i}`, auth: 'poll', remote_addr: '', ...raw });
    for (const driver of [events, sessions]) driver.append(topic, { partition: 0, key, value, timestamp: raw.received_at });
  });
  for (const driver of [events, sessions]) await driver.drain();
  await sessions.advance(NOW + 60_000);
  const records = sessions.records(TOPICS.calls.name).map((r) => ({ frame: r.value!, call: codecs.call.decode(r.value!) }));
  const calls = new Map<string, Call>(records.map(({ call }) => [call.call_id, call]));
  const shown: CallEvent[] = events.records(TOPICS.callEvents.name).map((r) => codecs.callEvent.decode(r.value!));
  const dead = [events, sessions].flatMap((driver) => driver.records(TOPICS.deadLetters.name));
  const tasks = sessions.records(TOPICS.tasks.name).map((r) => codecs.task.decode(r.value!));
  const chunk = new Chunk();
  for (const { call, frame } of records) chunk.addCall(call, frame);
  for (const event of shown) chunk.addEvent(event);
  return { sessions, calls, shown, dead, tasks, rows: Object.fromEntries(chunk.tables().map((t) => [t.table, t.rows])) };
}

const byId = (generation: 'v1' | 'v4', appId: string, callId: string): CallRecordPlan => ({ what: 'call', generation, appId, callId });

describe('call records', () => {
  const answers = [
    ...polled(
      callRecord,
      '88888888',
      byId('v1', '88888888', '2ae7d549-c441-4a9b-87c0-61810fe19582'),
      `{"errorCode": 0, "errorMessage": "Success", "requestId": "9f01db503f2006ad10c45f4f4609e38d", "data": ${V1_RECORD}}`,
    ),
    ...polled(
      callRecord,
      '88888888',
      firstPage('v1', '88888888', NOW - 86_400_000, NOW),
      `{"errorCode":0,"errorMessage":"Success","requestId":"x","data":{"totalNum":2,"page":1,"callRecordList":[${V1_RECORD},${V1_OFFLINE_RECORD}]}}`,
      NOW + 1_000,
    ),
    ...polled(
      callRecord,
      '88888888',
      byId('v4', '88888888', '04c9a0ac-8e38-4a19-be45-349c5ce7911b'),
      `{"ErrorCode":0,"ErrorInfo":"","ActionStatus":"OK","RequestId":"Id","Response":{"CallRecord":${V4_RECORD}}}`,
    ),
  ];

  it('of which no callback ever came become calls of their own, whole', async () => {
    const { calls, shown, dead, rows } = await run(answers);
    expect(calls.get('2ae7d549-c441-4a9b-87c0-61810fe19582')).toMatchObject({
      ...{ app_id: '88888888', room_id: '123456', call_type: 'single', media_type: 'video', caller: 'alice', callees: ['bob1', 'bob2'] },
      ...{ total_users: 3, status: 'ended', outcome: 'answered', end_reason: 'normal', final: true },
      ...{ started_at: 1_688_705_638_000, accepted_at: 1_688_705_641_000, ended_at: 1_688_705_668_000, ring_ms: 3_000, talk_ms: 27_000 },
      ...{ sources: ['record'], anomalies: [], first_seen_at: NOW },
      legs: [
        { user_id: 'alice', role: 'caller', outcome: 'answered' },
        { user_id: 'bob1', role: 'callee', outcome: 'answered' },
        { user_id: 'bob2', role: 'callee', outcome: 'answered' },
      ],
      // Polled twice, in two answers: one input, of its first arrival.
      records: [{ origin: 'record', text: V1_RECORD, received_at: NOW }],
    });
    expect(calls.get('5f1c7a3e-62a1-4b60-9d4f-0a6c7d1b2e33')).toMatchObject({
      ...{ outcome: 'answered', end_reason: 'interrupted', total_users: 2, callees: ['bob1'], talk_ms: 85_000, anomalies: [] },
    });
    expect(calls.get('04c9a0ac-8e38-4a19-be45-349c5ce7911b')).toMatchObject({
      ...{
        room_id: 'roomid-1434',
        call_type: 'group',
        media_type: 'audio',
        caller: 'user1',
        callees: ['user2', 'user5'],
        outcome: 'answered',
      },
      ...{ started_at: 1_739_868_165_000, accepted_at: 1_739_872_743_000, ended_at: 1_740_064_224_000 },
      // Two days of talk are none, and shown as odd.
      ...{ ring_ms: 4_578_000, talk_ms: 0, anomalies: ['time_conflict'] },
    });
    expect(calls.size).toBe(3);
    expect(shown.map((e) => [e.event, e.call_result, e.room_id, e.event_at, e.source, e.user_id])).toEqual([
      ['record', 'normal_end', '123456', null, 'call-record', ''],
      ['record', 'normal_end', '123456', null, 'call-record', ''],
      ['record', 'offline', '123457', null, 'call-record', ''],
      ['record', 'normal_end', 'roomid-1434', null, 'call-record', ''],
    ]);
    expect(new Set(shown.map((e) => e.event_id)).size).toBe(3);
    expect(shown[0]?.detail).toBe(V1_RECORD);
    expect(dead).toEqual([]);
    expect(rows).toEqual({ calls_latest: 3, call_revisions: 6, call_event_rows: 4, deliveries: 4 });
  });

  it('put right what callbacks left open, and what they got wrong', async () => {
    const at = 1_688_705_638;
    const CallId = '2ae7d549-c441-4a9b-87c0-61810fe19582';
    const common = { CallId, CallType: 'single', MediaType: 'video', RoomId: '123456', TotalNum: 2 };
    const events = [
      callback('88888888', { ...common, UserId: 'alice', Role: 'caller', Event: 'start_call', EventTime: at }, at * 1000 + 200),
      callback('88888888', { ...common, UserId: 'alice', Role: 'caller', Event: 'call_missed', EventTime: at + 60 }, at * 1000 + 60_200),
    ];
    const without = await run(events);
    expect(without.calls.get(CallId)).toMatchObject({ outcome: 'no_answer', talk_ms: 0, sources: ['event'] });
    expect(without.tasks.map((t) => [t.kind, t.reason, t.room_id, t.users])).toEqual([
      ['record', 'sample', '123456', []],
      ['media', 'ended', '123456', ['alice']],
    ]);
    const { calls } = await run([...events, ...answers.slice(0, 1)]);
    expect(calls.get(CallId)).toMatchObject({
      ...{ outcome: 'answered', talk_ms: 27_000, sources: ['event', 'record'], anomalies: ['record_conflict'], total_users: 3 },
    });
  });
});

/** What `call_events` keeps of an input: of several deliveries the first. */
function storedInputs(shown: readonly CallEvent[]): StoredInput[] {
  const first = new Map<string, CallEvent>();
  for (const event of shown) {
    const held = first.get(event.event_id);
    if (held === undefined || event.received_at < held.received_at) first.set(event.event_id, event);
  }
  return [...first.values()];
}

describe('media events', () => {
  const appId = '1400353843';
  const T = 1_589_975_202_782;
  const plan = (...users: string[]): UserEventPlan => ({
    ...{ what: 'user', appId, callId: 'c 1', roomId: '1400', users, from: T - 60_000, to: T + 3_600_000 },
    ...{ commId: '1400188366_218695_1590065777', everyone: [], others: [], found: false },
  });
  const answer = (data: string) => `{"Response":{"Data":${data},"RequestId":"093bffd3-9d27-45ca-8410-c61c0e4cdcb8"}}`;
  const event = (EventId: number, seconds: number, ParamOne = -1) => ({
    Type: 0,
    Time: T + seconds * 1000,
    EventId,
    ParamOne,
    ParamTwo: -1,
  });
  const common = { CallId: 'c 1', CallType: 'single', MediaType: 'video', RoomId: '1400', TotalNum: 2 };
  const said = (UserId: string, Event: string, seconds: number) => {
    const EventTime = Math.floor(T / 1000) + seconds;
    const Role = UserId === 'user_2045351' ? 'caller' : 'callee';
    return callback(appId, { ...common, UserId, Role, Event, EventTime }, EventTime * 1000 + 100);
  };
  const callbacks = [
    ...[said('user_2045351', 'start_call', -5), said('bob', 'receive_call', -4), said('bob', 'accept_call', 0)],
    ...[said('user_2045351', 'call_end', 80), said('bob', 'call_end', 80)],
  ];
  const ofBob = [
    {
      PeerId: '',
      // Those of another call of this room, an hour later, do not count.
      Content: [event(5003, 0, 0), event(5003, 1, 1), event(5005, 30), event(7000, 33, 1), event(7001, 79, 1), event(5003, 3_600, 1)],
    },
    { PeerId: 'user_2045351', Content: [event(36864, 40), event(5008, 78, 1)] },
  ];

  it('go to the legs of the users that were asked about, and into call_events by name', async () => {
    const polls = [
      ...polled(userEvent, appId, plan('user_2045351', 'bob'), answer(MEDIA_DATA), T + 200_000),
      ...polled(userEvent, appId, plan('bob'), answer(JSON.stringify(ofBob)), T + 201_000),
      // A later poll of a user who was never there.
      ...polled(userEvent, appId, plan('carol', 'bob'), answer('[]'), T + 202_000),
    ];
    const { calls, shown, dead, rows } = await run([...callbacks, ...polls]);
    expect(calls.get('c 1')).toMatchObject({
      ...{ outcome: 'answered', total_users: 2, sources: ['event', 'media'], anomalies: [], media: { length: 2 } },
      legs: [
        { user_id: 'bob', media_joined_at: T + 1_000, media_left_at: T + 79_000, media_drops: 2 },
        { user_id: 'user_2045351', media_joined_at: T, media_left_at: null, media_drops: 0 },
      ],
    });
    const media = shown.filter((e) => e.event === 'media');
    expect(media).toMatchObject([
      { source: 'user-event', call_id: 'c 1', user_id: 'user_2045351', room_id: '1400', event_at: null, received_at: T + 200_000 },
      { source: 'user-event', call_id: 'c 1', user_id: 'bob', room_id: '1400', event_at: null, received_at: T + 201_000 },
    ]);
    const named = (JSON.parse(media[1]!.detail) as { Events: { event: string; param?: string }[] }).Events;
    expect(named.map((e) => [e.event, e.param])).toEqual([
      ['room_entered', 'failed'],
      ['room_entered', 'ok'],
      ['server_connection_timeout', undefined],
      ['room_entry', 'again'],
      ['backend_signaling_lost', undefined],
      ['room_exited', 'ok'],
      ['room_exit', 'timeout'],
      ['room_entered', 'ok'],
    ]);
    expect(dead).toEqual([]);
    expect(rows).toMatchObject({ calls_latest: 1, call_event_rows: 7, deliveries: 7 });
  });

  it('of a call with a record and a status callback change nothing when it is repaired', async () => {
    const record = `{"callId":"c 1","startCallTs":1589975197.5,"acceptTs":1589975202,"endTs":1589975282,"callResult":"normal_end","caller":"user_2045351","callees":["bob"]}`;
    const status = { ...common, UserId: 'bob', Role: 'callee', CallResult: 'interrupt', EventTime: 1_589_975_283, OptPlatform: 'iOS' };
    const { sessions, shown, calls } = await run([
      ...callbacks,
      callback(appId, status, T + 90_000),
      ...polled(callRecord, appId, byId('v1', appId, 'c 1'), `{"errorCode":0,"data":${record}}`),
      ...polled(userEvent, appId, plan('user_2045351', 'bob'), answer(MEDIA_DATA), T + 200_000),
      ...polled(userEvent, appId, plan('bob'), answer(JSON.stringify(ofBob)), T + 201_000),
      ...polled(userEvent, appId, plan('bob'), answer(JSON.stringify(ofBob)), T + 301_000),
    ]);
    const before = calls.get('c 1')!;
    expect(before).toMatchObject({ records: { length: 2 }, media: { length: 2 }, sources: ['event', 'record', 'media'], final: true });
    const stored = storedInputs(shown);
    expect(stored).toHaveLength(9);
    const repair = async (inputs: readonly StoredInput[], driver: TopologyDriver) => {
      await repairCall(before as Call & { provider: 'tencent' }, {
        inputsOf: async () => inputs,
        send: async (records) => {
          for (const { key, topic, value } of records) driver.append(topic, { partition: 0, key, value, timestamp: NOW + 70_000 });
        },
        ...{ codec: codecs.raw, partitions: 1, clock: { now: () => NOW + 70_000 } },
      });
      await driver.drain();
      return driver.records(TOPICS.calls.name).map((r) => codecs.call.decode(r.value!));
    };
    const published = sessions.records(TOPICS.calls.name).length;
    expect(await repair(stored, sessions)).toHaveLength(published);
    // It is those inputs that the repair is made of: one that has changed would show.
    const spoilt = stored.map((e) => (e.event === 'media' ? { ...e, detail: e.detail.replace('"Data":[', '"Data":[ ') } : e));
    expect((await repair(spoilt, sessions)).slice(published)).toMatchObject([{ revision: before.revision + 1, media: { length: 4 } }]);
  });

  it('whose delivery does not say which call they are of are dead letters, and nobody else suffers', async () => {
    const [poll] = polled(userEvent, appId, plan('bob'), answer(JSON.stringify(ofBob)));
    const { calls, dead } = await run([{ ...poll!, raw: { ...poll!.raw, query: '' } }, ...callbacks]);
    expect(dead.map((r) => codecs.deadLetter.decode(r.value!))).toMatchObject([
      { stage: 'parse', reason: 'no_call_id', source: 'user-event' },
    ]);
    expect(calls.get('c 1')?.sources).toEqual(['event']);
  });
});
