import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TOPICS } from '../../src/codec/topics.js';
import { joinKey } from '../../src/domain/key.js';
import type { CallKey } from '../../src/domain/types.js';
import { topicsAbout } from '../../src/sources/registry.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';
import type { InputRecord, OutputRecord } from '../../src/stream/types.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { SessionsProcessor } from '../../src/workers/sessions/processor.js';
import { SessionsWorker } from '../../src/workers/sessions/worker.js';
import { FakeBroker } from '../support/fake-kafka.js';
import { codecs, SESSION_SETTINGS as settings } from '../support/worker-kit.js';

vi.mock('../../src/stream/kafkajs.js', async (original) => ({
  ...(await original<object>()),
  Kafka: (await import('../support/fake-kafka.js')).FakeKafka,
}));

const T0 = 1_700_000_000_000;
const RAW = TOPICS.rawTuicallkit.name;
const LATE = TOPICS.rawLate.name;

/** `at`: when it came, and when it happened if nothing else is said. */
const delivery = (CallId: string, UserId: string, Event: string, at: number, eventAt: number | null = at): Buffer =>
  codecs.raw.encode({
    id: 'd',
    source: 'tuicallkit',
    app_id: '1',
    received_at: at,
    auth: 'app',
    remote_addr: '',
    query: '',
    body: Buffer.from(
      JSON.stringify({
        ...{ CallId, UserId, Event, TotalNum: 2, CallType: 'single', MediaType: 'audio', RoomId: 'r' },
        ...(eventAt === null ? {} : { EventTime: eventAt / 1000 }),
      }),
    ),
  });

describe('the sessions worker’s logic', () => {
  const failures = { ok: vi.fn(), failed: vi.fn() };
  let asked: string[][];
  let processor: SessionsProcessor;
  const observe = vi.fn((_receivedAt: number | null) => T0);
  beforeEach(async () => {
    failures.ok.mockReset();
    observe.mockClear();
    failures.failed.mockReset();
    asked = [];
    processor = new SessionsProcessor({
      partition: 2,
      partitions: 4,
      settings,
      codecs,
      lookup: async (keys: readonly CallKey[]) => {
        asked.push(keys.map(joinKey));
        return new Map();
      },
      failures,
      suspects: new Set(),
    });
    // Something has left long ago, so that there is a horizon.
    await processor.restored({ v: 1, streamTime: T0, horizon: T0 - 1_000, restoreFrom: null, lastOutput: 3, partitions: 4, group: 'g' });
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const record = (value: Buffer, topic = RAW, offset = 7): InputRecord => ({
    topic,
    partition: 2,
    offset,
    timestamp: T0,
    key: Buffer.from('k'),
    value,
  });
  const letters = (outputs: OutputRecord[]) =>
    outputs.filter((o) => o.topic === TOPICS.deadLetters.name).map((o) => ({ ...codecs.deadLetter.decode(o.value!) }));

  it('writes its own partition of every topic only; its dead letters, that of the second share (rule 1)', () => {
    processor.process(record(delivery('new', 'a', 'start_call', T0)), observe);
    processor.process(record(delivery('gone', 'b', 'receive_call', T0)), observe);
    processor.process(record(Buffer.from('not Avro'), LATE), observe);
    const { outputs } = processor.flush(T0);
    processor.meta(0);
    processor.committed(0);
    processor.punctuate(T0 + 5_100);
    outputs.push(...processor.flush(T0).outputs);
    expect(outputs.map(({ topic, partition }) => [topic, partition])).toEqual([
      [TOPICS.calls.name, 2],
      [LATE, 2],
      [TOPICS.deadLetters.name, 6],
      [TOPICS.calls.name, 2],
      [TOPICS.tasks.name, 2],
    ]);
  });

  it('sends round whatever may be of a call that has left, and opens a call with nothing but a start that is fresh (Late input)', () => {
    const topicOf = (value: Buffer): string[] => {
      processor.process(record(value), observe);
      return processor.flush(T0).outputs.map(({ topic }) => topic);
    };
    expect(topicOf(delivery('1', 'b', 'receive_call', T0))).toEqual([LATE]);
    expect(topicOf(delivery('2', 'b', 'call_end', T0))).toEqual([LATE]);
    expect(topicOf(delivery('3', 'a', 'start_call', T0, null))).toEqual([LATE]);
    expect(topicOf(delivery('4', 'a', 'start_call', T0, T0 - 1_000))).toEqual([LATE]);
    expect(topicOf(delivery('5', 'a', 'start_call', T0, T0 + 8 * 86_400_000))).toEqual([LATE]);
    expect(topicOf(delivery('6', 'a', 'start_call', T0, T0))).toEqual([TOPICS.calls.name]);
  });

  it('counts what cannot be decoded, and reports it where the events worker does not: on the late topic (rule 10)', () => {
    const bytes = Buffer.from('not Avro at all');
    processor.process(record(bytes), observe);
    processor.process(record(bytes, LATE, 8), observe);
    expect(observe.mock.calls).toEqual([[null], [null]]);
    processor.process(record(delivery('c', 'a', 'start_call', T0)), observe);
    const { outputs } = processor.flush(T0);
    expect(letters(outputs)).toMatchObject([
      { stage: 'decode', reason: 'frame_invalid', origin_topic: LATE, origin_offset: 8, key: 'k', body: bytes },
    ]);
    expect(outputs).toHaveLength(2);
    expect(failures.failed.mock.calls).toEqual([['decode'], ['decode']]);
  });

  it('counts an exception of the source, and goes on (rule 10)', () => {
    vi.spyOn(tuicallkit, 'toInputs').mockImplementationOnce(() => {
      throw new TypeError('a bug');
    });
    processor.process(record(delivery('c', 'a', 'start_call', T0)), observe);
    expect(observe.mock.calls).toEqual([[T0]]);
    processor.process(record(delivery('c', 'b', 'receive_call', T0)), observe);
    expect(failures.failed.mock.calls).toEqual([['fold']]);
  });

  it('says in each revision which outcome the last final one before it had, and nothing while none was final', () => {
    const revisions = () =>
      processor.flush(T0).outputs.flatMap(({ topic, value }) => {
        if (topic !== TOPICS.calls.name) return [];
        processor.meta(0);
        processor.committed(0);
        const { revision, final, outcome, final_outcome } = codecs.call.decode(value!);
        return [[revision, final, outcome, final_outcome]];
      });
    const take = (event: string, at: number) => processor.process(record(delivery('c', 'a', event, at)), () => at);
    // Of a clock that is fast: the call stays in the state until then.
    processor.process(record(delivery('c', 'a', 'start_call', T0 + 60_000)), () => T0);
    expect(revisions()).toEqual([[1, false, 'unknown', '']]);
    take('cancel_call', T0 + 1);
    expect(revisions()).toEqual([[2, false, 'cancelled', '']]);
    // Timers are kept in buckets: a little later than asked for.
    processor.punctuate(T0 + settings.settle + 200);
    expect(revisions()).toEqual([[3, true, 'cancelled', '']]);
    take('call_missed', T0 + settings.settle + 300);
    expect(revisions()).toEqual([[4, false, 'no_answer', 'cancelled']]);
    processor.punctuate(T0 + 2 * settings.settle + 600);
    expect(revisions()).toEqual([[5, true, 'no_answer', 'cancelled']]);
    // Published again, for it stays: a revision that says nothing new.
    processor.punctuate(T0 + 3 * settings.settle + settings.retention);
    expect(revisions()).toEqual([[6, true, 'no_answer', 'no_answer']]);
  });

  it('asks ClickHouse once for a batch of late inputs, and only for calls that it does not hold (Late input)', async () => {
    processor.process(record(delivery('here', 'a', 'start_call', T0)), observe);
    const late = ['x', 'here', 'y', 'x'].map((call) => record(delivery(call, 'b', 'receive_call', T0), LATE));
    await processor.prepare(late);
    expect(asked).toEqual([['tencent:1:x', 'tencent:1:y']]);
    await processor.prepare([record(delivery('here', 'c', 'receive_call', T0), LATE)]);
    await processor.prepare([record(delivery('z', 'c', 'receive_call', T0), RAW)]);
    expect(asked).toHaveLength(1);
  });
});

/** Lets faked time pass until then. */
async function until(what: () => unknown): Promise<void> {
  for (let turns = 0; !(await what()); turns += 1) {
    if (turns > 5_000) throw new Error(`not reached: ${what}`);
    await vi.advanceTimersByTimeAsync(50);
    await delay(1);
  }
}

describe('the sessions worker', () => {
  it('lets a call go only when the sink has committed past its last revision (Late input)', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const broker = new FakeBroker();
    for (const name of [...topicsAbout('call'), LATE, TOPICS.calls.name, TOPICS.tasks.name]) broker.create(name);
    const metrics = createMetrics();
    const fatal: unknown[] = [];
    let now = T0;
    const worker = new SessionsWorker({
      kafka: { brokers: [broker.address] },
      groupId: 'sessions',
      sinkGroupId: 'the-sink',
      partitions: 1,
      settings,
      codecs,
      lookup: async () => new Map(),
      logger: silentLogger(),
      metrics,
      clock: { now: () => now },
      onFatal: (error) => fatal.push(error),
    });
    try {
      await worker.start();
      const calls = { topic: TOPICS.calls.name, partition: 0 };
      for (const event of ['start_call', 'call_missed'])
        broker.append({ topic: RAW, partition: 0 }, 'k', delivery('c', 'a', event, T0), T0);
      const last = () => broker.values(calls).length;
      const progressAsked = () => broker.steps.filter((step) => step === 'committed the-sink').length;
      const held = async () => (await metrics.callstream_calls.get()).values.reduce((sum, { value }) => sum + value, 0);
      await until(() => last() === 1);
      now = T0 + 2_500;
      await until(() => last() === 2);
      // Its first revision is stored, its last is not.
      broker.commit('the-sink', calls, 1);
      now = T0 + 20_000;
      const before = progressAsked();
      await until(() => progressAsked() > before + 3);
      expect(await held()).toBe(1);
      broker.commit('the-sink', calls, broker.log(calls).records.length);
      now = T0 + 21_000;
      await until(async () => (await held()) === 0);
      // Nothing else happens in its last step, and so there is no transaction.
      expect((await metrics.callstream_calls_left_total.get()).values).toMatchObject([{ value: 1 }]);
      expect(fatal).toEqual([]);
    } finally {
      vi.useRealTimers();
      await worker.stop();
    }
  });

  it('finds out the one input that a call cannot be folded with, across the processors that it takes (rule 10)', async () => {
    const broker = new FakeBroker();
    for (const name of [...topicsAbout('call'), LATE, TOPICS.calls.name, TOPICS.tasks.name]) broker.create(name);
    broker.create(TOPICS.deadLetters.name, 2);
    const { call } = codecs;
    const fatal: unknown[] = [];
    const worker = new SessionsWorker({
      kafka: { brokers: [broker.address] },
      groupId: 'sessions',
      sinkGroupId: 'the-sink',
      partitions: 1,
      settings,
      codecs: {
        ...codecs,
        call: {
          resolve: (frames) => call.resolve(frames),
          decode: (frame) => call.decode(frame),
          only: (...fields) => call.only(...fields),
          encode: (value) => {
            if (value.strings.includes('poison')) throw new Error('indigestible');
            return call.encode(value);
          },
        },
      },
      lookup: async () => new Map(),
      logger: silentLogger(),
      metrics: createMetrics(),
      onFatal: (error) => fatal.push(error),
    });
    try {
      const at = Date.now();
      for (const user of ['a', 'poison', 'b'])
        broker.append({ topic: RAW, partition: 0 }, 'k', delivery('c', user, 'receive_call', at), at);
      await worker.start();
      const letters = { topic: TOPICS.deadLetters.name, partition: 1 };
      await vi.waitFor(() => expect([broker.values(letters).length, fatal]).toEqual([1, []]), { timeout: 10_000, interval: 5 });
      await vi.waitFor(() => expect(broker.drained('sessions', [RAW])).toBe(true), { timeout: 10_000, interval: 5 });
      const last = broker.log({ topic: TOPICS.calls.name, partition: 0 }).records.findLast(({ state }) => state === 'committed');
      expect(call.decode(last!.value!).legs.map(({ user_id }) => user_id)).toEqual(['a', 'b']);
      expect(fatal).toEqual([]);
    } finally {
      await worker.stop();
    }
  });
});
