import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import type { Call, DeadLetter, PollTask } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { deriveCall } from '../../src/domain/call.js';
import { joinKey } from '../../src/domain/key.js';
import { addInput, emptyState } from '../../src/domain/state.js';
import type { CallKey, CallState } from '../../src/domain/types.js';
import { contextQuery } from '../../src/sources/polled.js';
import { callSourceOf, topicsAbout } from '../../src/sources/registry.js';
import { TopologyDriver } from '../../src/stream/topology-driver.js';
import type { InputRecord } from '../../src/stream/types.js';
import { type SessionCodecs, SessionsProcessor } from '../../src/workers/sessions/processor.js';
import type { SessionSettings } from '../../src/workers/sessions/settings.js';
import { WorkerBench } from '../support/worker-bench.js';
import { codecs, SESSION_SETTINGS } from '../support/worker-kit.js';

const RAW = TOPICS.rawTuicallkit.name;
const LATE = TOPICS.rawLate.name;
const T0 = 1_700_000_000_000;

/** The sessions worker, with a sink that answers lookups. */
class Bench extends WorkerBench<SessionsProcessor> {
  /** When ClickHouse answers a query that it has already worked out. */
  answers: Promise<void> = Promise.resolve();

  static async open(own: Partial<SessionSettings> = {}, ownCodecs: Partial<SessionCodecs> = {}): Promise<Bench> {
    const clock = { now: (): number => bench?.now ?? T0 };
    const lookup = async (keys: readonly CallKey[]) => {
      const wanted = new Set(keys.map(joinKey));
      const found = new Map<string, Buffer>();
      for (const r of bench!.records().slice(0, bench!.sink)) if (wanted.has(String(r.key))) found.set(String(r.key), r.value!);
      await bench!.answers;
      return found;
    };
    const suspects = new Set<string>();
    const driver = await TopologyDriver.open({
      inputs: [...topicsAbout('call'), LATE],
      deferred: LATE,
      outputTopic: TOPICS.calls.name,
      restores: true,
      partitions: 1,
      clock,
      transactionRecords: 3,
      createProcessor: ({ partition, failures }) =>
        new SessionsProcessor({
          partition,
          partitions: 1,
          settings: { ...SESSION_SETTINGS, ...own },
          codecs: { ...codecs, ...ownCodecs },
          lookup,
          failures,
          suspects,
        }),
    });
    const bench: Bench | undefined = new Bench(driver, { now: T0, inputTopic: RAW, outputTopic: TOPICS.calls.name });
    return bench;
  }

  last(): Map<string, Call> {
    return new Map(this.records().map((r) => [String(r.key), codecs.call.decode(r.value!)]));
  }

  tasks(): PollTask[] {
    return this.driver.records(TOPICS.tasks.name).map((r) => codecs.task.decode(r.value!));
  }

  revisions(key: string): number[] {
    return this.records()
      .filter((r) => String(r.key) === key)
      .map((r) => codecs.call.decode(r.value!).revision);
  }
}

let deliveries = 0;
function delivery(body: object, receivedAt: number, source = 'tuicallkit', query = ''): Buffer {
  return codecs.raw.encode({
    id: `d${deliveries++}`,
    source,
    app_id: '1',
    received_at: receivedAt,
    auth: 'app',
    remote_addr: '',
    query,
    body: Buffer.from(JSON.stringify(body)),
  });
}

const body = (CallId: string, UserId: string, Event: string, EventTime: number, more: object = {}) => ({
  CallId,
  UserId,
  Event,
  EventTime: Math.floor(EventTime / 1000),
  TotalNum: 2,
  CallType: 'single',
  MediaType: 'audio',
  RoomId: 'r',
  Role: UserId === 'a' ? 'caller' : 'callee',
  ...more,
});

const restRecord = (callId: string, callResult: string, at: number) => ({
  callId,
  startCallTs: T0 / 1000,
  endTs: at / 1000,
  caller: 'a',
  callees: ['a', 'b'],
  ...(callResult === '' ? {} : { callResult }),
});

const KEY = 'tencent:1:c';

describe('the sessions worker', () => {
  /** Goes on over a call that cannot be folded; resolves to the dead letters. */
  async function foundOut(b: Bench): Promise<DeadLetter[]> {
    await expect(b.driver.drain()).rejects.toMatchObject({ code: 'STREAM_START_OVER' });
    await b.driver.crash(0);
    await b.driver.drain();
    return b.driver.records(TOPICS.deadLetters.name).map((r) => codecs.deadLetter.decode(r.value!));
  }

  /** A codec that cannot encode a call with an input of the user `poison`, and makes far too much of one of the user `bloated`. */
  const fussy = () => {
    const call = localCodec(TOPICS.calls);
    return {
      ...{ decode: call.decode.bind(call), resolve: call.resolve.bind(call), only: call.only.bind(call) },
      encode(value: Call) {
        if (value.strings.includes('poison')) throw new Error('indigestible');
        if (value.strings.includes('bloated')) return Buffer.alloc(8 * 1024 * 1024);
        return call.encode(value);
      },
    };
  };

  it('closes a ringing call by timeout, settles it, lets it go, and takes it back for late input', async () => {
    const b = await Bench.open({ maxCall: 6_000 });
    b.append(delivery(body('c', 'a', 'start_call', T0), T0));
    await b.advance(5_000);
    expect(b.last().get(KEY)).toMatchObject({ status: 'ended', end_reason: 'timed_out', final: false, revision: 2 });
    await b.advance(2_100);
    expect(b.last().get(KEY)).toMatchObject({ final: true, revision: 3 });
    await b.advance(20_000);
    expect(b.processor.table.size).toBe(1);
    b.sinkAll();
    await b.advance(100);
    expect(b.processor.table.size).toBe(0);
    b.append(delivery(body('c', 'b', 'reject_call', T0 + 3_000), b.now));
    await b.driver.drain();
    expect(b.driver.meta(0)?.horizon).toBe(T0 + 5_000);
    expect(b.driver.records(LATE)).toHaveLength(1);
    expect(b.last().get(KEY)).toMatchObject({ outcome: 'rejected', first_seen_at: T0, events: { length: 2 } });
    expect(b.revisions(KEY)).toEqual(b.revisions(KEY).map((_, i) => i + 1));
  });

  it('reopens a timed-out call for a fresh event, and not for one that is itself that old', async () => {
    const b = await Bench.open();
    b.append(delivery(body('c', 'a', 'start_call', T0), T0));
    await b.advance(5_000);
    b.append(delivery(body('c', 'b', 'receive_call', T0 - 1_000), b.now));
    await b.driver.drain();
    expect(b.last().get(KEY)).toMatchObject({ status: 'ended', end_reason: 'timed_out' });
    b.append(delivery(body('c', 'b', 'accept_call', T0 + 4_000), b.now));
    await b.driver.drain();
    expect(b.last().get(KEY)).toMatchObject({ status: 'active', final: false });
  });

  it('asks once for the record of a call that a timeout closed', async () => {
    const b = await Bench.open();
    b.append(delivery(body('c', 'a', 'start_call', T0), T0));
    await b.advance(5_000);
    b.append(delivery(body('c', 'b', 'accept_call', T0 + 5_000), b.now));
    await b.driver.drain();
    await b.advance(70_000);
    expect(b.driver.records(TOPICS.tasks.name).map((r) => codecs.task.decode(r.value!))).toMatchObject([
      { kind: 'record', call_id: 'c', attempt: 0, reason: 'timed_out' },
    ]);
  });

  it('asks for the media events of a call that turns out to be abnormal after it was final, once, whatever it turns into', async () => {
    const b = await Bench.open({ userEvents: 'abnormal', retention: 60_000 });
    for (const [user, event, at] of [
      ['a', 'start_call', 0],
      ['b', 'accept_call', 1],
      ['a', 'call_end', 9],
      ['b', 'call_end', 9],
    ] as const)
      b.append(delivery(body('c', user, event, T0 + at * 1000), T0));
    await b.advance(2_100);
    expect(b.last().get(KEY)).toMatchObject({ final: true, outcome: 'answered', end_reason: 'normal' });
    expect(b.tasks()).toEqual([]);
    for (const result of ['interrupt', 'normal_end', 'offline']) {
      await b.crash(0);
      b.append(delivery({ ...restRecord('c', result, T0 + 9_000) }, b.now, 'call-record'), TOPICS.rawCallRecord.name);
      await b.advance(2_100);
      expect(b.last().get(KEY)?.final).toBe(true);
    }
    expect(b.tasks()).toMatchObject([
      { kind: 'media', reason: 'ended', users: ['a', 'b'], room_id: 'r', started_at: T0, ended_at: T0 + 9_000, due_at: T0 + 64_200 },
    ]);
  });

  it('publishes a call again before a restore would have to read further back than retention, and not for ever', async () => {
    const b = await Bench.open({ maxCall: 35_000 });
    b.append(delivery(body('c', 'a', 'start_call', T0, { CallType: 'group' }), T0));
    b.append(delivery(body('c', 'b', 'accept_call', T0, { CallType: 'group' }), T0));
    for (let i = 0; i < 34; i++) await b.advance(1_000);
    expect(b.last().get(KEY)).toMatchObject({ status: 'active', revision: 4 });
    for (let i = 0; i < 60; i++) {
      b.sinkAll();
      await b.advance(1_000);
    }
    expect(b.last().get(KEY)).toMatchObject({ final: true, end_reason: 'timed_out' });
    expect(b.processor.table.size).toBe(0);
  });

  it('dead-letters what would make a call too large, and still knows a repetition when it sees one', async () => {
    const b = await Bench.open();
    const event = (i: number) => delivery(body('c', `${i}${'u'.repeat(200_000)}`, 'receive_call', T0), T0);
    for (let i = 0; i < 8; i++) b.append(event(i));
    b.append(event(0));
    await b.driver.drain();
    const dead = b.driver.records(TOPICS.deadLetters.name).map((r) => codecs.deadLetter.decode(r.value!));
    expect(dead.map((d) => [d.stage, d.reason, d.origin_offset])).toEqual([4, 5, 6, 7].map((at) => ['fold', 'call_too_large', at]));
    expect(b.last().get(KEY)?.events).toHaveLength(4);
  });

  it('takes the media events of long calls by their very size', async () => {
    const b = await Bench.open();
    const content = Array.from({ length: 13_000 }, (_, i) => ({ Type: 0, Time: T0 + i, EventId: 3001, ParamOne: i % 4, ParamTwo: -1 }));
    for (let user = 0; user < 8; user++) {
      const query = contextQuery({ call_id: 'c', user_id: `u${user}` });
      b.append(delivery([{ PeerId: `${user}`, Content: content }], T0, 'user-event', query), TOPICS.rawUserEvent.name);
    }
    await b.driver.drain();
    const dead = b.driver.records(TOPICS.deadLetters.name).map((r) => codecs.deadLetter.decode(r.value!));
    expect(dead.map((d) => [d.reason, d.origin_offset])).toEqual([['call_too_large', 7]]);
    expect(b.last().get(KEY)?.media).toHaveLength(7);
  });

  it('takes a start that its vendor dated ahead for the old one that it is, when it comes again', async () => {
    const b = await Bench.open();
    const start = body('c', 'a', 'start_call', T0 + 60_000);
    b.append(delivery(start, T0));
    b.append(delivery(body('c', 'a', 'call_missed', T0 + 61_000), T0));
    for (let i = 0; i < 70; i++) {
      await b.advance(1_000);
      b.sinkAll();
    }
    expect(b.processor.table.size).toBe(0);
    b.append(delivery(start, b.now));
    await b.driver.drain();
    expect(b.driver.records(LATE)).toHaveLength(1);
    expect(b.revisions(KEY)).toEqual(b.revisions(KEY).map((_, i) => i + 1));
  });

  it('asks ClickHouse again when a call has come and gone since it was asked', async () => {
    const b = await Bench.open();
    // Something has left, so that there is a horizon.
    b.append(delivery(body('x', 'a', 'call_missed', T0), T0));
    for (let i = 0; i < 20; i++) {
      await b.advance(1_000);
      b.sinkAll();
    }
    const late = (value: Buffer): InputRecord => ({
      topic: LATE,
      partition: 0,
      offset: 99,
      timestamp: b.now,
      key: null,
      value,
    });
    const receive = late(delivery(body('c', 'b', 'receive_call', b.now), b.now));
    await b.processor.prepare([receive]);
    b.append(delivery(body('c', 'a', 'start_call', b.now), b.now));
    b.append(delivery(body('c', 'a', 'call_missed', b.now), b.now));
    for (let i = 0; i < 20; i++) {
      await b.advance(1_000);
      b.sinkAll();
    }
    expect(b.processor.table.has(KEY)).toBe(false);
    b.processor.process(receive, () => b.now);
    await b.driver.drain();
    expect(b.last().get(KEY)?.events).toHaveLength(3);
    expect(b.revisions(KEY)).toEqual(b.revisions(KEY).map((_, i) => i + 1));
  });

  it('does not believe an answer of ClickHouse for a call that has come and gone while it was on its way', async () => {
    const b = await Bench.open();
    b.append(delivery(body('x', 'a', 'call_missed', T0), T0));
    for (let i = 0; i < 20; i++) {
      await b.advance(1_000);
      b.sinkAll();
    }
    let answer = () => {};
    b.answers = new Promise((resolve) => {
      answer = resolve;
    });
    const value = delivery(body('c', 'b', 'receive_call', b.now), b.now);
    const receive: InputRecord = { topic: LATE, partition: 0, offset: 99, timestamp: b.now, key: null, value };
    const prepared = b.processor.prepare([receive]);
    b.append(delivery(body('c', 'a', 'start_call', b.now), b.now));
    b.append(delivery(body('c', 'a', 'call_missed', b.now), b.now));
    for (let i = 0; i < 20; i++) {
      await b.advance(1_000);
      b.sinkAll();
    }
    expect(b.processor.table.has(KEY)).toBe(false);
    answer();
    await prepared;
    b.processor.process(receive, () => b.now);
    await b.driver.drain();
    expect(b.last().get(KEY)?.events).toHaveLength(3);
    expect(b.revisions(KEY)).toEqual(b.revisions(KEY).map((_, i) => i + 1));
  });

  it('takes a start that comes long after it happened back into its call, whatever the clock that dated it', async () => {
    const b = await Bench.open();
    b.append(delivery(body('c', 'b', 'accept_call', T0), T0));
    b.append(delivery(body('c', 'a', 'call_end', T0), T0));
    b.append(delivery(body('c', 'b', 'call_end', T0), T0));
    for (let i = 0; i < 11; i++) {
      await b.advance(1_000);
      b.sinkAll();
    }
    expect(b.processor.table.size).toBe(0);
    b.append(delivery(body('c', 'a', 'start_call', T0 + 2_000), b.now));
    await b.driver.drain();
    expect(b.driver.records(LATE)).toHaveLength(1);
    expect(b.last().get(KEY)).toMatchObject({ outcome: 'answered', caller: 'a', first_seen_at: T0, events: { length: 4 } });
    expect(b.revisions(KEY)).toEqual(b.revisions(KEY).map((_, i) => i + 1));
  });

  it('lets calls leave early where there are too many, but not before they have been quiet for ten minutes', async () => {
    const b = await Bench.open({ maxCallsPerTask: 0, retention: 7_200_000 });
    b.append(delivery(body('c', 'a', 'call_missed', T0), T0));
    const quiet: number[] = [];
    for (let minute = 0; minute < 12; minute++) {
      // Other calls, whose timers run.
      b.append(delivery(body(`d${minute}`, 'a', 'start_call', b.now), b.now));
      await b.advance(60_000);
      b.sinkAll();
      if (b.processor.table.has(KEY)) quiet.push(minute + 1);
    }
    expect(quiet).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('publishes a call that a timeout closed as final once', async () => {
    const b = await Bench.open({ maxCall: 3_600_000 });
    b.append(delivery(body('c', 'a', 'start_call', T0), T0));
    for (let i = 0; i < 30; i++) {
      await b.advance(1_000);
      b.sinkAll();
    }
    expect(b.revisions(KEY)).toEqual([1, 2, 3]);
    expect(b.last().get(KEY)).toMatchObject({ final: true, end_reason: 'timed_out' });
    expect(b.processor.table.size).toBe(0);
  });

  it('is restored with every call, as it was published last, however long ago', async () => {
    const b = await Bench.open();
    const other = 'tencent:1:d';
    for (const [call, user] of [
      ['c', 'a'],
      ['d', 'a'],
      ['c', 'b'],
    ] as const) {
      b.append(delivery(body(call, user, user === 'a' ? 'start_call' : 'receive_call', T0), T0));
      await b.driver.drain();
    }
    expect(b.driver.meta(0)?.restoreFrom).toBe(1);
    await b.crash(0);
    expect(b.processor.table.size).toBe(2);
    for (const call of ['c', 'd']) b.append(delivery(body(call, 'e', 'receive_call', T0), T0));
    await b.driver.drain();
    expect([b.revisions(KEY), b.revisions(other)]).toEqual([
      [1, 2, 3],
      [1, 2],
    ]);
  });

  it('is restored with the last of several records of a call', async () => {
    const b = await Bench.open();
    // The first call, which a restore must reach back to.
    b.append(delivery(body('first', 'a', 'start_call', T0), T0));
    await b.driver.drain();
    for (const user of ['a', 'b', 'd']) {
      b.append(delivery(body('c', user, 'receive_call', T0), T0));
      await b.driver.drain();
    }
    await b.crash(0);
    b.append(delivery(body('c', 'e', 'receive_call', T0), T0));
    await b.driver.drain();
    expect(b.revisions(KEY)).toEqual([1, 2, 3, 4]);
    expect(b.last().get(KEY)?.events).toHaveLength(4);
  });

  it('keeps first_seen_at when an earlier delivery comes later', async () => {
    const b = await Bench.open();
    b.append(delivery(body('c', 'a', 'start_call', T0), T0 + 500));
    await b.driver.drain();
    b.append(delivery(body('c', 'b', 'receive_call', T0), T0 + 100));
    await b.driver.drain();
    expect(b.last().get(KEY)).toMatchObject({ revision: 2, first_seen_at: T0 + 500, events: { length: 2 } });
  });

  it('is final again only after settle when a final call has changed', async () => {
    const b = await Bench.open({ retention: 60_000 });
    b.append(delivery(body('c', 'a', 'call_missed', T0), T0));
    await b.advance(2_100);
    expect(b.last().get(KEY)).toMatchObject({ revision: 2, final: true });
    b.append(delivery(body('c', 'b', 'not_answer_call', T0), b.now));
    await b.advance(1_900);
    expect(b.last().get(KEY)).toMatchObject({ revision: 3, final: false, status: 'ended' });
    await b.advance(200);
    expect(b.last().get(KEY)).toMatchObject({ revision: 4, final: true });
  });

  it('keeps a call for retention, though the sink has it', async () => {
    const b = await Bench.open();
    b.append(delivery(body('c', 'a', 'call_missed', T0), T0));
    const kept: number[] = [];
    for (let second = 1; second <= 12; second++) {
      await b.advance(1_000);
      b.sinkAll();
      if (b.processor.table.has(KEY)) kept.push(second);
    }
    expect(kept).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('puts the horizon at no later time than the arrival of what has left, or its append time', async () => {
    const dated = (eventAt: number, receivedAt: number) => delivery(body('c', 'a', 'call_missed', eventAt), receivedAt);
    for (const value of [dated(T0 + 60_000, T0), dated(T0 + 60_000, T0 + 30_000), dated(T0 - 5_000, T0)]) {
      const b = await Bench.open();
      b.append(value);
      await until(b, () => b.processor.table.size === 0);
      expect(b.driver.meta(0)?.horizon).toBe(T0);
    }
  });

  it('commits that nothing needs to be restored any more, even if nothing else happens: the topic may drop what it was', async () => {
    const b = await Bench.open();
    b.append(delivery(body('c', 'a', 'call_missed', T0), T0));
    for (let i = 0; i < 20; i++) {
      await b.advance(1_000);
      b.sinkAll();
    }
    expect(b.processor.table.size).toBe(0);
    expect(b.driver.meta(0)).toMatchObject({ restoreFrom: null, horizon: b.processor.table.horizon });
  });

  it('counts settle from the arrival of a change, also when nothing has come for long before it', async () => {
    const b = await Bench.open({ retention: 7_200_000 });
    b.append(delivery(body('x', 'a', 'call_missed', T0), T0));
    await b.driver.drain();
    b.now += 10_800_000;
    b.append(delivery({ CallId: 'c', CallResult: 'cancel', EventTime: b.now / 1000 }, b.now));
    await b.driver.drain();
    await b.advance(1_000);
    expect(b.last().get(KEY)).toMatchObject({ revision: 1, final: false, last_change_at: T0 + 10_800_000 });
  });

  it('accounts for a late delivery that dies in the fold where it came from, however often it has gone round', async () => {
    const b = await Bench.open({}, { call: fussy() });
    b.append(delivery(body('c', 'a', 'call_missed', T0), T0));
    for (let i = 0; i < 20; i++) {
      await b.advance(1_000);
      b.sinkAll();
    }
    b.append(delivery(body('c', 'poison', 'receive_call', T0), b.now));
    const dead = await foundOut(b);
    expect(b.driver.records(LATE)).toHaveLength(1);
    expect(dead).toMatchObject([{ stage: 'fold', reason: 'exception', origin_topic: RAW, origin_partition: 0, origin_offset: 1 }]);
  });

  it('does not count repetitions against the size of a call', async () => {
    const b = await Bench.open();
    const room = 'r'.repeat(80_000);
    for (let i = 0; i < 40; i++) b.append(delivery(body('c', 'a', 'start_call', T0, { RoomId: room, TotalNum: i + 3 }), T0));
    b.append(delivery(body('c', 'b', 'accept_call', T0), T0));
    await b.driver.drain();
    expect(b.driver.records(TOPICS.deadLetters.name)).toHaveLength(0);
    expect(b.last().get(KEY)).toMatchObject({ total_users: 42, status: 'active', events: { length: 2 } });
  });

  it('publishes no record that is larger than a Kafka message, whatever its inputs are made of', async () => {
    const b = await Bench.open();
    const wide = '\u4e2d'.repeat(85_000);
    for (let i = 0; i < 28; i++) {
      const raw = codecs.raw.decode(delivery(body('c', `u${i}`, 'receive_call', T0), T0));
      b.append(codecs.raw.encode({ ...raw, query: `optplatform=${i}${wide}` }));
    }
    await b.driver.drain();
    const largest = Math.max(...b.records().map((r) => r.value!.length));
    expect(largest).toBeGreaterThan(6_000_000);
    expect(largest).toBeLessThan(7.25 * 1024 * 1024);
    expect(b.driver.records(TOPICS.deadLetters.name).length + b.last().get(KEY)!.events.length).toBe(28);
  });

  it('finds out the one input that a call cannot be folded with, and goes on without it', async () => {
    const b = await Bench.open({}, { call: fussy() });
    b.append(delivery(body('c', 'a', 'start_call', T0), T0));
    b.append(delivery(body('c', 'poison', 'receive_call', T0), T0));
    b.append(delivery(body('c', 'b', 'receive_call', T0), T0));
    const dead = await foundOut(b);
    expect(
      b
        .last()
        .get(KEY)
        ?.legs.map((l) => l.user_id),
    ).toEqual(['a', 'b']);
    expect(dead).toMatchObject([{ stage: 'fold', reason: 'exception', origin_offset: 1 }]);
  });

  it.each(['poison', 'bloated'])('makes no call of inputs none of which can be folded (%s)', async (user) => {
    const b = await Bench.open({}, { call: fussy() });
    b.append(delivery(body('c', user, 'start_call', T0), T0));
    const dead = await foundOut(b);
    expect(b.last().size).toBe(0);
    expect(dead).toMatchObject([{ stage: 'fold', reason: 'exception', origin_offset: 0 }]);
  });

  /** Lets time pass, and everything be stored, second by second until `done`. */
  async function until(b: Bench, done: () => boolean): Promise<void> {
    let seconds = 0;
    do {
      if (seconds++ > 1_000) throw new Error(`not reached: ${done}`);
      b.sinkAll();
      await b.advance(1_000);
    } while (!done());
  }

  it('takes a start that its vendor dated ahead for old as soon as its call has left', async () => {
    const b = await Bench.open();
    const start = delivery(body('c', 'a', 'start_call', T0 + 60_000), T0);
    b.append(start);
    b.append(delivery(body('c', 'a', 'call_missed', T0 + 1_000), T0));
    // Until stream time gets there it stays, so that the horizon never lies ahead and makes every new call look late.
    await until(b, () => b.now >= T0 + 58_000);
    expect(b.processor.table.size).toBe(1);
    await until(b, () => b.processor.table.size === 0);
    b.append(start);
    await b.driver.drain();
    expect(b.driver.meta(0)?.horizon).toBe(T0 + 60_000);
    expect(b.driver.records(LATE)).toHaveLength(1);
    expect(b.revisions(KEY)).toEqual(b.revisions(KEY).map((_, i) => i + 1));
  });

  it('keeps its horizon when a call leaves that ended before the last one that did', async () => {
    const b = await Bench.open();
    const start = delivery(body('c', 'a', 'start_call', T0 + 60_000), T0);
    b.append(start);
    b.append(delivery(body('c', 'a', 'call_missed', T0 + 1_000), T0));
    await until(b, () => b.now >= T0 + 52_000);
    b.append(delivery(body('other', 'a', 'start_call', T0 + 52_000), b.now));
    b.append(delivery(body('other', 'a', 'call_missed', T0 + 52_000), b.now));
    await b.advance(1);
    await until(b, () => b.processor.table.size === 1);
    expect(b.processor.table.has(KEY)).toBe(false);
    await until(b, () => b.processor.table.size === 0);
    b.append(start);
    await b.driver.drain();
    expect(b.driver.meta(0)?.horizon).toBe(T0 + 60_000);
    expect(b.driver.records(LATE)).toHaveLength(1);
    expect(b.revisions(KEY)).toEqual(b.revisions(KEY).map((_, i) => i + 1));
  });

  it('never takes a start that is dated absurdly far ahead for new, nor one that happened long ago', async () => {
    const b = await Bench.open();
    const day = 86_400_000;
    const start = delivery(body('c', 'a', 'start_call', T0 + 8 * day), T0);
    b.append(start);
    b.append(delivery(body('c', 'a', 'call_missed', T0), T0));
    do {
      b.sinkAll();
      await b.advance(day / 4);
    } while (b.processor.table.size > 0);
    expect(b.now).toBeLessThan(T0 + 8 * day);
    b.append(start);
    await b.driver.drain();
    expect(b.driver.records(LATE)).toHaveLength(1);
    expect(b.revisions(KEY)).toEqual(b.revisions(KEY).map((_, i) => i + 1));

    const old = await Bench.open();
    old.append(delivery(body('x', 'a', 'call_missed', T0), T0));
    await until(old, () => old.processor.table.size === 0);
    await until(old, () => old.now >= T0 + 40_000);
    old.append(delivery(body('c', 'a', 'start_call', T0 + 34_000), old.now));
    old.append(delivery(body('d', 'a', 'start_call', T0 + 37_000), old.now));
    await old.driver.drain();
    expect(old.driver.records(LATE)).toHaveLength(1);
  });

  it('reopens a call that a timeout had closed, and that has left, for a fresh event', async () => {
    const b = await Bench.open();
    b.append(delivery(body('c', 'a', 'start_call', T0), T0));
    await until(b, () => b.processor.table.size === 0);
    await until(b, () => b.now >= T0 + 62_000);
    b.append(delivery(body('c', 'b', 'accept_call', b.now), b.now));
    await b.driver.drain();
    expect(b.driver.records(LATE)).toHaveLength(1);
    expect(b.last().get(KEY)).toMatchObject({ status: 'active', first_seen_at: T0, final: false });
    expect(b.revisions(KEY)).toEqual(b.revisions(KEY).map((_, i) => i + 1));
  });

  it('does not keep what a late repetition has fetched from ClickHouse for nothing', async () => {
    const b = await Bench.open();
    const receive = delivery(body('c', 'b', 'receive_call', T0), T0);
    for (const value of [delivery(body('c', 'a', 'start_call', T0), T0), receive, delivery(body('c', 'a', 'call_missed', T0), T0)])
      b.append(value);
    await until(b, () => b.processor.table.size === 0);
    const revisions = b.revisions(KEY);
    b.append(receive);
    await b.driver.drain();
    expect(b.driver.records(LATE)).toHaveLength(1);
    expect(b.processor.table.size).toBe(0);
    expect(b.revisions(KEY)).toEqual(revisions);
  });

  it('lets final calls go early above its memory cap, those that the sink has, and knows them when they come again', async () => {
    const b = await Bench.open({ maxCallsPerTask: 2, retention: 7_200_000, maxCall: 10_000_000 });
    const start = (i: number) => delivery(body(`k${i}`, 'a', 'start_call', T0), T0);
    for (let i = 0; i < 6; i++) {
      b.append(start(i));
      b.append(delivery(body(`k${i}`, 'a', 'call_missed', T0), T0));
    }
    b.append(delivery(body('open', 'a', 'start_call', T0), T0));
    b.append(delivery(body('open', 'b', 'accept_call', T0), T0));
    await b.advance(2_100);
    expect(b.processor.table.size).toBe(7);
    await b.advance(600_000);
    // The first three are stored: of them, only those leave.
    b.sink = b.records().findIndex((r) => String(r.key) === 'tencent:1:k3' && codecs.call.decode(r.value!).final);
    b.processor.setSinkPosition(b.sink);
    b.append(delivery(body('tick', 'a', 'start_call', b.now), b.now));
    await b.advance(5_100);
    expect(b.processor.table.size).toBe(5);
    b.sinkAll();
    b.append(delivery(body('tock', 'a', 'start_call', b.now), b.now));
    await b.advance(5_100);
    expect(b.processor.table.has('tencent:1:open')).toBe(true);
    expect(b.processor.table.size).toBeLessThan(5);
    const published = b.records().length;
    for (let i = 0; i < 6; i++) b.append(start(i));
    await b.driver.drain();
    expect(b.driver.records(LATE).length).toBeGreaterThan(2);
    expect(b.records()).toHaveLength(published);
  });

  const events = [
    'start_call',
    'receive_call',
    'accept_call',
    'call_accepted',
    'call_end',
    'reject_call',
    'not_answer_call',
    'call_missed',
    'cancel_call',
    'call_interrupted',
    'join_in_group_call',
  ];
  const input = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        call: fc.nat(5),
        user: fc.constantFrom('a', 'b', 'c', ''),
        event: fc.constantFrom(...events),
        at: fc.nat(60),
        group: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ call: fc.nat(5), result: fc.constantFrom('normal_end', 'cancel', 'odd'), at: fc.nat(60) }) },
    {
      weight: 1,
      arbitrary: fc.record({ call: fc.nat(5), recorded: fc.constantFrom('normal_end', 'interrupt', 'not_answer', ''), at: fc.nat(60) }),
    },
    { weight: 1, arbitrary: fc.record({ call: fc.nat(5), polled: fc.constantFrom('a', 'b', 'z'), at: fc.nat(60) }) },
  );
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('input' as const), input }) },
    { weight: 2, arbitrary: fc.constant({ do: 'drain' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), uncommitted: fc.nat(6) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(100, 1_000, 3_000, 12_000, 70_000) }) },
    { weight: 2, arbitrary: fc.constant({ do: 'sink' as const }) },
  );

  const whatToFetch = fc.record({ userEvents: fc.constantFrom('off', 'abnormal', 'all'), recordSample: fc.constantFrom(0, 0.5, 1) });
  const mediaPoll = (at: number) => [{ PeerId: '', Content: [{ Time: at, EventId: 5003, ParamOne: 1, ParamTwo: 0 }] }];

  /** At most one task of a kind for each call, marked in its record, and one for each whose last record asks for one. */
  function expectTasks(tasks: PollTask[], last: Map<string, Call>, { userEvents, recordSample }: Partial<SessionSettings>): void {
    for (const [key, call] of last) {
      const about = tasks.filter((t) => joinKey({ provider: 'tencent', app_id: t.app_id, call_id: t.call_id }) === key);
      expect(about.filter(({ kind }) => kind === 'record')).toHaveLength(call.record_task ? 1 : 0);
      expect(about.filter(({ kind }) => kind === 'media')).toHaveLength(call.media_task ? 1 : 0);
      const odd = call.anomalies.length > 0 || recordSample === 1;
      if (call.end_reason === 'timed_out' || (odd && !call.records.some(({ origin }) => origin === 'record')))
        expect(call.record_task).toBe(true);
      const abnormal = call.outcome === 'failed' || ['interrupted', 'timed_out'].includes(call.end_reason);
      const users = call.legs.map((leg) => leg.user_id);
      if (users.length > 0 && call.room_id !== '' && (userEvents === 'all' || (userEvents === 'abnormal' && abnormal)))
        expect(call.media_task).toBe(true);
      for (const task of about) {
        if (task.kind === 'media') expect(users).toEqual(expect.arrayContaining(task.users));
        else expect(task.users).toEqual([]);
      }
      if (userEvents === 'off') expect(call.media_task).toBe(false);
    }
  }

  it('publishes the pure fold of the set of inputs, whatever the batching, crashes, timeouts, departures and late returns', async () => {
    let late = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120, size: 'max' }), whatToFetch, async (steps, own) => {
        const b = await Bench.open(own);
        const truth = new Map<string, CallState>();
        const feed = (value: Buffer) => {
          const raw = codecs.raw.decode(value);
          const source = callSourceOf(raw.source)!;
          for (const e of source.toInputs(raw)) {
            if (!e.ok) throw new Error(e.error);
            const key = joinKey(e.key);
            const state = truth.get(key) ?? emptyState(e.key);
            truth.set(key, state);
            addInput(state, e.input);
          }
          b.append(value, source.topic);
        };
        for (const s of steps) {
          if (s.do === 'input') {
            const i = s.input;
            // Nothing of a call happens before it starts.
            const at = 'event' in i && i.event === 'start_call' ? T0 : T0 + i.at * 1000;
            const CallId = `k${i.call}`;
            if ('event' in i) feed(delivery(body(CallId, i.user, i.event, at, i.group ? { CallType: 'group' } : {}), b.now));
            else if ('result' in i) feed(delivery({ CallId, CallResult: i.result, EventTime: at / 1000 }, b.now));
            else if ('recorded' in i) feed(delivery(restRecord(CallId, i.recorded, at), b.now, 'call-record'));
            else feed(delivery(mediaPoll(at), b.now, 'user-event', contextQuery({ call_id: CallId, user_id: i.polled })));
          } else if (s.do === 'drain') await b.driver.drain();
          else if (s.do === 'crash') await b.crash(s.uncommitted);
          else if (s.do === 'advance') await b.advance(s.ms);
          else b.sinkAll();
        }
        for (let i = 0; i < 8; i++) {
          await b.advance(70_000);
          b.sinkAll();
        }
        const last = b.last();
        expect([...last.keys()].sort()).toEqual([...truth.keys()].sort());
        for (const [key, state] of truth) {
          state.timed_out = deriveCall(state).status !== 'ended';
          expect(last.get(key)).toMatchObject({ ...deriveCall(state), final: true });
          expect(b.revisions(key)).toEqual(b.revisions(key).map((_, i) => i + 1));
        }
        expect(b.processor.table.size).toBe(0);
        expectTasks(b.tasks(), last, own);
        late += b.driver.records(LATE).length;
      }),
      { numRuns: 300 },
    );
    expect(late).toBeGreaterThan(100);
  });
});
