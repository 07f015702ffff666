import { describe, expect, it } from 'vitest';
import type { Call, CallEvent, Recording } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { joinKey } from '../../src/domain/key.js';
import type { CallKey } from '../../src/domain/types.js';
import { Pseudonyms } from '../../src/sources/pseudonym.js';
import { callSourceOf, SOURCES, topicsAbout } from '../../src/sources/registry.js';
import { userEvent } from '../../src/sources/user-event.js';
import { TopologyDriver } from '../../src/stream/topology-driver.js';
import { ChannelsProcessor } from '../../src/workers/channels/processor.js';
import { EventsProcessor } from '../../src/workers/events/processor.js';
import { RecordingsProcessor } from '../../src/workers/recordings/processor.js';
import { refoldChannel, refoldDelivery, refoldRecording } from '../../src/workers/refold.js';
import { repairCall } from '../../src/workers/repair.js';
import { SessionsProcessor } from '../../src/workers/sessions/processor.js';
import { type ForgottenUsers, Users } from '../../src/workers/users.js';
import { Bench as ChannelsBench, join, leave, delivery as push } from '../support/channels-bench.js';
import { WorkerBench } from '../support/worker-bench.js';
import { codecs, SESSION_SETTINGS } from '../support/worker-kit.js';

/* Users under other ids than those that came, through the workers. */

const T0 = 1_700_000_000_000;
const APP = '1400000001';
const RAW = TOPICS.rawTuicallkit.name;
const LATE = TOPICS.rawLate.name;
const pseudonyms = new Pseudonyms('a dummy key for tests');
const shown = (user: string): string => pseudonyms.of(APP, user);

/** A list that tests write on. */
class Forgotten implements ForgottenUsers {
  readonly users = new Set<string>();
  get size(): number {
    return this.users.size;
  }
  has(_appId: string, pseudonym: string): boolean {
    return this.users.has(pseudonym);
  }
  away = false;
  async ready(): Promise<void> {
    if (this.away) throw new Error('Kafka is away');
  }
}

const ASIS = new Users({ pseudonyms: null, all: false, seals: () => true });
const HIDDEN = new Users({ pseudonyms, all: true, seals: () => true });
const forgetting = (forgotten: ForgottenUsers, all = false): Users => new Users({ pseudonyms, all, seals: () => true, forgotten });

class Bench extends WorkerBench<SessionsProcessor> {
  /** As the next owner of the task finds them. */
  readonly #who: { users: Users };

  private constructor(driver: TopologyDriver, who: { users: Users }) {
    super(driver, { now: T0, inputTopic: RAW, outputTopic: TOPICS.calls.name });
    this.#who = who;
  }

  static async open(users: Users): Promise<Bench> {
    const who = { users };
    const lookup = async (keys: readonly CallKey[]) => {
      const wanted = new Set(keys.map(joinKey));
      const stored = bench!.records().slice(0, bench!.sink);
      return new Map(stored.filter((r) => wanted.has(String(r.key))).map((r) => [String(r.key), r.value!]));
    };
    const driver = await TopologyDriver.open({
      inputs: [...topicsAbout('call'), LATE],
      deferred: LATE,
      outputTopic: TOPICS.calls.name,
      restores: true,
      partitions: 1,
      clock: { now: (): number => bench?.now ?? T0 },
      createProcessor: ({ partition, failures }) =>
        new SessionsProcessor({
          ...{ partition, partitions: 1, settings: { ...SESSION_SETTINGS, userEvents: 'all' }, codecs, users: who.users, lookup },
          ...{ failures, suspects: new Set<string>() },
        }),
    });
    const bench: Bench | undefined = new Bench(driver, who);
    return bench;
  }

  /** The worker is started anew with another configuration. */
  async restartWith(users: Users): Promise<void> {
    this.#who.users = users;
    await this.restart();
  }

  calls(): Call[] {
    return this.records().map((r) => codecs.call.decode(r.value!));
  }

  last(): Call {
    return this.calls().at(-1)!;
  }

  /** Everything that the worker has written, but for its tasks. */
  written(): string {
    const outputs = [TOPICS.calls.name, TOPICS.deadLetters.name].flatMap((topic) => this.driver.records(topic));
    return outputs.map((r) => `${r.key} ${r.value!.toString('latin1')}`).join('\n');
  }

  tasks() {
    return this.driver.records(TOPICS.tasks.name).map((r) => codecs.task.decode(r.value!));
  }
}

let deliveries = 0;
const encoded = (body: object | string, receivedAt: number, source = 'tuicallkit', query = ''): Buffer =>
  codecs.raw.encode({
    ...{ id: `d${deliveries++}`, source, app_id: APP, received_at: receivedAt, auth: 'app', remote_addr: '', query },
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  });

const event = (UserId: string | number, Event: string, second: number, more: object = {}) =>
  encoded(
    {
      ...{ CallId: 'c', RoomId: 'r', TotalNum: 2, CallType: 'single', MediaType: 'audio', Role: UserId === 'alice' ? 'caller' : 'callee' },
      ...{ UserId, Event, EventTime: T0 / 1000 + second, ...more },
    },
    T0 + second * 1000 + 100,
  );

const ANSWERED = [event('alice', 'start_call', 0), event('bob', 'receive_call', 1), event('bob', 'accept_call', 3)];
const ENDED = [event('alice', 'call_end', 13), event('bob', 'call_end', 13)];
const record = {
  ...{ callId: 'c', startCallTs: T0 / 1000, acceptTs: T0 / 1000 + 3, endTs: T0 / 1000 + 13, callResult: 'normal_end' },
  ...{ caller: 'alice', callees: ['alice', 'bob'] },
};
const RECORD = encoded(record, T0 + 60_000, 'call-record');

async function send(b: Bench, values: readonly Buffer[], topic?: string): Promise<void> {
  for (const value of values) b.append(value, topic);
  await b.advance(1_000);
}

const KEY = { provider: 'tencent', app_id: APP, call_id: 'c' } as const;
const measures = ({ outcome, started_at, accepted_at, ended_at, ring_ms, talk_ms, total_users, anomalies, sources, status }: Call) => ({
  ...{ outcome, started_at, accepted_at, ended_at, ring_ms, talk_ms, total_users, anomalies, sources, status },
});

describe('with pseudonyms', () => {
  it('calls say of every user what they would without, and of no user the id; tasks say the id, also after a restart', async () => {
    const plain = await Bench.open(ASIS);
    await send(plain, [...ANSWERED, ...ENDED, RECORD]);
    const b = await Bench.open(HIDDEN);
    await send(b, ANSWERED);
    await b.restart();
    await send(b, [...ENDED, RECORD]);
    await b.restart();
    await b.advance(SESSION_SETTINGS.settle + 1_000);
    const call = b.last();
    expect(measures(call)).toEqual(measures(plain.last()));
    expect(call).toMatchObject({ final: true, caller: shown('alice'), callees: [shown('bob')], media_task: true });
    expect(call.legs.map((leg) => leg.user_id).sort()).toEqual([shown('alice'), shown('bob')].sort());
    expect(JSON.parse(call.records[0]!.text)).toEqual({ ...record, caller: shown('alice'), callees: [shown('alice'), shown('bob')] });
    expect(b.written()).not.toMatch(/alice|bob/);
    expect(b.tasks().map((task) => [task.kind, [...task.users].sort()])).toEqual([['media', ['alice', 'bob']]]);
  });

  it('the vendor is asked by the ids of the task, and what it answers goes to the legs of its users', async () => {
    const b = await Bench.open(HIDDEN);
    await send(b, [...ANSWERED, ...ENDED]);
    await b.restart();
    await b.advance(SESSION_SETTINGS.settle + 1_000);
    const asked: unknown[] = [];
    const credentials = { endpoint: 'https://v.example', region: 'r', secretId: 'dummy-id', secretKey: 'dummy-key' };
    const room = { RoomList: [{ CommId: '1_2_3', RoomString: 'r', CreateTime: T0 / 1000 }] };
    const [task] = b.tasks();
    for (let plan = userEvent.tasking!.first({ provider: 'tencent', appId: APP }, task!, b.now); plan !== null; ) {
      const { UserId } = JSON.parse(userEvent.request(plan, credentials, b.now, '00000000').body) as { UserId?: string };
      if (UserId !== undefined) asked.push(UserId);
      const data = { Data: [{ PeerId: 'alice', Content: [{ EventId: 5003, Time: T0 + 3_500, ParamOne: 1 }] }] };
      const response = Buffer.from(JSON.stringify({ Response: UserId === undefined ? room : data }));
      const answer = userEvent.readResponse(200, {}, response, plan);
      if (answer.kind !== 'page') throw new Error(answer.kind);
      for (const { query, body } of answer.elements) b.append(encoded(body, b.now, 'user-event', query), TOPICS.rawUserEvent.name);
      plan = answer.next;
    }
    await b.advance(1_000);
    expect(asked.sort()).toEqual(['alice', 'bob']);
    expect(b.last().legs.map((leg) => leg.media_joined_at)).toEqual([T0 + 3_500, T0 + 3_500]);
    expect(b.written()).not.toMatch(/alice|bob/);
  });

  it('ids that are numbers, and the same ids as text, are one user', async () => {
    const b = await Bench.open(HIDDEN);
    await send(b, [event(7, 'receive_call', 1), event('7', 'accept_call', 3), event('7', 'receive_call', 1)]);
    expect(b.last().legs.map((leg) => leg.user_id)).toEqual([shown('7')]);
    expect(b.last().events).toHaveLength(2);
  });

  it('a call that is under way when they are turned on has each user once, and from then on under the pseudonym alone', async () => {
    const always = await Bench.open(HIDDEN);
    await send(always, [...ANSWERED, ...ENDED]);
    const b = await Bench.open(ASIS);
    await send(b, ANSWERED);
    expect(b.last().caller).toBe('alice');
    await b.restartWith(HIDDEN);
    await send(b, [ANSWERED[1]!, ...ENDED]);
    const { revision: _a, updated_at: _b, ...call } = b.last();
    const { revision: _c, updated_at: _d, ...expected } = always.last();
    // Arrivals differ, and nothing else.
    const arrivals = { last_change_at: 0, latest_at: 0 };
    expect({ ...call, ...arrivals }).toEqual({ ...expected, ...arrivals });
  });

  it('a call that nothing changes any more keeps its ids, until it is repaired', async () => {
    const b = await Bench.open(ASIS);
    await send(b, [...ANSWERED, ...ENDED]);
    await b.advance(SESSION_SETTINGS.settle + 1_000);
    await b.restartWith(HIDDEN);
    await b.advance(1_000);
    expect(b.last()).toMatchObject({ caller: 'alice', final: true });
    await send(b, [codecs.raw.encode(refoldDelivery(KEY, 'x', b.now))], LATE);
    expect(b.last()).toMatchObject({ caller: shown('alice'), callees: [shown('bob')] });
  });

  it('a repair from stored inputs changes nothing', async () => {
    const b = await Bench.open(HIDDEN);
    const all = [...ANSWERED, ...ENDED];
    await send(b, all);
    const before = b.calls().length;
    const events = await eventsOf(all, HIDDEN);
    await repairCall(KEY, {
      inputsOf: async () => events.stored,
      send: async (records) => {
        for (const { value } of records) b.append(value!, LATE);
      },
      ...{ codec: codecs.raw, partitions: 1, clock: { now: () => b.now } },
    });
    await b.driver.drain();
    expect(b.calls()).toHaveLength(before);
  });

  it('events and dead letters of every source have no id of a user', async () => {
    const broken = '{"CallId":"c","UserId":"alice","Event":';
    const unknown = { CallId: 'c', UserId: 'alice', Event: 'dance', caller: 'bob' };
    const pushed = {
      AppId: APP,
      ChannelId: 'ch',
      MsgId: 'm',
      Contents: [{ Event: 'UserEvent', UserEvent: { UserId: 'alice', EventTag: 'Join', Timestamp: T0 / 1000 } }],
    };
    const values = [
      ...ANSWERED,
      RECORD,
      encoded(broken, T0),
      encoded(unknown, T0),
      encoded(pushed, T0, 'aliyun-rtc'),
      encoded({ Data: JSON.stringify(pushed), Code: 500 }, T0, 'aliyun-rtc'),
      encoded(tiwBody({ RecordUserId: 'alice', VideoInfos: [{ UserId: 'tic_substream_bob' }] }), T0, 'tiw'),
      encoded({ CallId: 'c', UserId: 'bob', CallResult: 'cancel' }, T0),
      encoded(
        {
          CallId: 'v',
          UserList: [{ User_Account: 'bob', Status: 'Calling' }],
          ChangedUserList: [{ User_Account: 'alice', ActionType: 'Accept' }],
          EventTime: T0,
        },
        T0,
      ),
    ];
    const plain = await eventsOf(values, ASIS);
    const { shown: events, dead, text } = await eventsOf(values, HIDDEN);
    expect(text).not.toMatch(/alice|bob/);
    expect(plain.text).toMatch(/alice/);
    expect(dead.map((d) => d.reason)).toEqual(['not_json', 'unknown_event']);
    expect(events.map((e) => [e.source, e.event, e.event_at, e.user_id])).toEqual(
      plain.shown.map((e) => [e.source, e.event, e.event_at, shown(e.user_id)]),
    );
    expect(new Set(events.map((e) => e.event_id)).size).toBe(new Set(plain.shown.map((e) => e.event_id)).size);
  });

  it('recordings say pseudonyms, also those that were published before', async () => {
    const { driver, append, who } = await recordings(ASIS);
    const started = tiwBody({ RecordUserId: 'alice' });
    expect((await append(started)).record_user_id).toBe('alice');
    who.users = HIDDEN;
    await driver.crash(0);
    const finished = { ...tiwBody({ RecordUserId: 'alice', VideoInfos: [{ UserId: 'bob' }] }), EventType: 'OnlineRecordFinished' };
    const recording = await append(finished);
    expect(recording).toMatchObject({ record_user_id: shown('alice'), videos: [{ user_id: shown('bob') }] });
    expect(JSON.stringify(recording)).not.toMatch(/alice|"bob"/);
  });

  it('channel sessions say pseudonyms; one that is under way when they are turned on goes on under another name', async () => {
    const b = await ChannelsBench.open();
    b.append(push([join('alice', 0, '1'), join('bob', 1, '2')], b.now));
    await b.advance(60_000);
    const [before] = b.sessions();
    b.who.users = HIDDEN;
    await b.restart();
    b.append(push([leave('alice', 2, '1'), leave('bob', 3, '2')], b.now));
    await b.advance(60_000);
    await b.advance(10 * 60_000);
    const sessions = b.sessions();
    const p = (user: string): string => pseudonyms.of('app', user);
    expect(sessions).toMatchObject([{ talk_ms: 60_000, total_users: 2, callees: [p('alice'), p('bob')].sort() }]);
    expect(b.last().get(before!.call_id)).toMatchObject({ end_reason: 'merged', legs: [] });
    expect(JSON.stringify([...b.last().values()])).not.toMatch(/alice|bob/);
    b.expectSound();
  });
});

describe('a user who is forgotten', () => {
  it('goes by the pseudonym from then on, whoever tells of the user, and others by their ids', async () => {
    const list = new Forgotten();
    const b = await Bench.open(forgetting(list));
    await send(b, [...ANSWERED, ...ENDED, RECORD]);
    await b.advance(SESSION_SETTINGS.settle + 1_000);
    const before = b.last();
    expect(before).toMatchObject({ caller: 'alice', callees: ['bob'], final: true });
    list.users.add(shown('bob'));
    await send(b, [codecs.raw.encode(refoldDelivery(KEY, 'x', b.now))], LATE);
    const after = b.last();
    expect(after).toMatchObject({ caller: 'alice', callees: [shown('bob')], revision: before.revision + 1 });
    expect(measures(after)).toEqual(measures(before));
    expect(JSON.stringify(after)).not.toContain('bob');
    // The sweep brings the record again, and a callback is repeated.
    const published = b.calls().length;
    await send(b, [RECORD, ...ANSWERED]);
    await b.restart();
    await send(b, [RECORD, ...ENDED]);
    expect(b.calls().slice(published)).toMatchObject([{ final: true, callees: [shown('bob')] }]);
  });

  it('is forgotten in a call that is under way, and has each user once', async () => {
    const list = new Forgotten();
    const b = await Bench.open(forgetting(list));
    await send(b, ANSWERED);
    const before = b.last();
    list.users.add(shown('bob'));
    await send(b, [codecs.raw.encode(refoldDelivery(KEY, 'x', b.now))], LATE);
    expect(b.last()).toMatchObject({ status: 'active', callees: [shown('bob')], revision: before.revision + 1 });
    await send(b, ENDED);
    expect(b.last()).toMatchObject({ outcome: 'answered', total_users: 2, callees: [shown('bob')] });
  });

  it('is forgotten in a call that has left the state, and is found there again', async () => {
    const list = new Forgotten();
    const b = await Bench.open(forgetting(list));
    await send(b, [...ANSWERED, ...ENDED]);
    await b.advance(SESSION_SETTINGS.settle + 1_000);
    b.sinkAll();
    await b.advance(SESSION_SETTINGS.retention + 1_000);
    expect(b.processor.table.size).toBe(0);
    list.users.add(shown('bob'));
    await send(b, [codecs.raw.encode(refoldDelivery(KEY, 'x', b.now))], LATE);
    expect(b.last()).toMatchObject({ callees: [shown('bob')], outcome: 'answered' });
  });

  it('has no id in the call any more, not even sealed, and is not asked about', async () => {
    const list = new Forgotten();
    const b = await Bench.open(forgetting(list, true));
    await send(b, ANSWERED);
    expect(b.last().sealed_users).toHaveLength(2);
    list.users.add(shown('bob'));
    await send(b, [codecs.raw.encode(refoldDelivery(KEY, 'x', b.now)), ...ENDED], LATE);
    expect(b.last().sealed_users).toEqual([pseudonyms.seal(APP, 'alice')]);
    await b.advance(SESSION_SETTINGS.settle + 1_000);
    expect(b.tasks().map((task) => task.users)).toEqual([['alice']]);
  });
});

/** The recordings worker; ClickHouse has what is published. */
async function recordings(users: Users) {
  const who = { users };
  const published = () => driver.records(TOPICS.recordings.name);
  const driver: TopologyDriver = await TopologyDriver.open({
    inputs: topicsAbout('recording'),
    outputTopic: TOPICS.recordings.name,
    ...{ restores: true, partitions: 1, clock: { now: () => T0 } },
    createProcessor: ({ partition, failures }) => {
      const lookup = async () => new Map(published().map((r) => [String(r.key), r.value!]));
      return new RecordingsProcessor({ partition, partitions: 1, retention: 1_000, codecs, users: who.users, lookup, failures });
    },
  });
  let at = T0;
  const put = async (value: Buffer): Promise<Recording> => {
    driver.append(TOPICS.rawTiw.name, { partition: 0, key: 't', value, timestamp: at });
    await driver.drain();
    return codecs.recording.decode(published().at(-1)!.value!);
  };
  return {
    driver,
    who,
    put,
    append: (body: object) => put(encoded(body, at, 'tiw')),
    /** Everything leaves the state. */
    leave: async () => {
      (driver.processor(0) as unknown as RecordingsProcessor).setSinkPosition(published().length);
      at += 10_000;
      await driver.advance(at);
    },
  };
}

const tiwBody = (data: object): object => ({
  ...{ SdkAppId: APP, EventType: 'OnlineRecordStarted', Timestamp: T0 / 1000 },
  EventData: { TaskId: 't', RoomId: 'r', ...data },
});

describe.each(['is in the state', 'has left it', 'was restored'])('a user who is forgotten, of what %s', (where) => {
  it('has the pseudonym in a recording', async () => {
    const list = new Forgotten();
    const { driver, append, put, leave: depart } = await recordings(forgetting(list));
    await append(tiwBody({ RecordUserId: 'alice', VideoInfos: [{ UserId: 'bob' }], TotalTime: 5 }));
    const finished = { ...tiwBody({ RecordUserId: 'alice', VideoInfos: [{ UserId: 'bob' }] }), EventType: 'OnlineRecordFinished' };
    const before = await append(finished);
    if (where === 'has left it') await depart();
    list.users.add(shown('bob'));
    if (where === 'was restored') await driver.crash(0);
    const request = codecs.raw.encode(refoldRecording({ provider: 'tencent', app_id: APP, task_id: 't' }, 'x', T0));
    const after = await put(request);
    expect(after).toMatchObject({ revision: before.revision + 1, record_user_id: 'alice', videos: [{ user_id: shown('bob') }] });
    expect(JSON.stringify(after)).not.toContain('"bob"');
    expect((await put(request)).revision).toBe(after.revision);
  });

  it('has the pseudonym in a channel session, whose measures stay', async () => {
    const list = new Forgotten();
    const b = await ChannelsBench.open();
    b.who.users = forgetting(list);
    await b.restart();
    // One session that bob's event names, one that alice's does.
    b.append(push([join('bob', 0, '1'), join('alice', 1, '2'), leave('alice', 3, '2'), leave('bob', 3, '1')], b.now));
    await b.advance(60 * 60_000);
    b.append(push([join('alice', 60, '3'), join('bob', 61, '4'), leave('alice', 62.5, '3'), leave('bob', 63, '4')], b.now));
    await b.advance(20 * 60_000);
    const before = b.sessions();
    expect(before).toHaveLength(2);
    if (where === 'has left it') await b.comeToRest();
    list.users.add(pseudonyms.of('app', 'bob'));
    if (where === 'was restored') await b.restart();
    const key = { provider: 'aliyun', app_id: 'app', channel_id: 'room' } as const;
    b.append(codecs.raw.encode(refoldChannel(key, before[0]!.started_at, 'x', b.now)));
    await b.advance(20 * 60_000);
    const after = b.sessions();
    expect(after.map(measures)).toEqual(before.map(measures));
    expect(after.map((s) => s.talk_ms)).toEqual([120_000, 90_000]);
    for (const s of after) expect(s.callees).toEqual(['alice', pseudonyms.of('app', 'bob')].sort());
    expect(after[1]!.call_id).toBe(before[1]!.call_id);
    expect(JSON.stringify([...b.last().values()])).not.toContain('bob');
    // The log of pushes brings the events once more.
    const published = b.calls().length;
    b.append(push([join('bob', 0, '1'), join('bob', 61, '4')], b.now));
    await b.advance(60_000);
    expect(JSON.stringify(b.calls().slice(published))).not.toContain('bob');
    expect(b.sessions().map(measures)).toEqual(before.map(measures));
    b.expectSound();
  });
});

describe('while the list of forgotten users cannot be read', () => {
  it('nothing is folded, and no event made: a batch waits', async () => {
    const list = new Forgotten();
    list.away = true;
    const users = forgetting(list);
    const deps = {
      ...{ partition: 0, partitions: 1, codecs, users, failures: { ok: () => {}, failed: () => {} } },
      suspects: new Set<string>(),
    };
    const lookup = async () => new Map<string, never>();
    const settings = { channelGap: 1, maxCall: 1, settle: 1, retention: 1 };
    const processors = [
      new EventsProcessor(deps),
      new SessionsProcessor({ ...deps, settings: SESSION_SETTINGS, lookup }),
      new RecordingsProcessor({ ...deps, retention: 1, lookup }),
      new ChannelsProcessor({ ...deps, settings, lookup }),
    ];
    for (const processor of processors) await expect(processor.prepare([])).rejects.toThrow('Kafka is away');
    list.away = false;
    for (const processor of processors) await processor.prepare([]);
  });
});

async function eventsOf(values: readonly Buffer[], users: Users) {
  const driver = await TopologyDriver.open({
    inputs: SOURCES.map((s) => s.topic),
    outputTopic: TOPICS.callEvents.name,
    ...{ restores: false, partitions: 1, clock: { now: () => T0 } },
    createProcessor: ({ partition, failures }) => new EventsProcessor({ partition, codecs, users, failures }),
  });
  for (const value of values) driver.append(RAW, { partition: 0, key: 'k', value, timestamp: T0 });
  await driver.drain();
  const records = [TOPICS.callEvents.name, TOPICS.deadLetters.name].flatMap((topic) => driver.records(topic));
  const shownEvents: CallEvent[] = driver.records(TOPICS.callEvents.name).map((r) => codecs.callEvent.decode(r.value!));
  return {
    shown: shownEvents,
    stored: shownEvents.filter((e) => callSourceOf(e.source) !== undefined),
    dead: driver.records(TOPICS.deadLetters.name).map((r) => codecs.deadLetter.decode(r.value!)),
    text: records.map((r) => r.value!.toString('latin1')).join('\n'),
  };
}
