import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Recording } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import {
  deriveRecording,
  emptyRecording,
  RECORDING_EVENTS,
  type RecordingKey,
  type RecordingState,
  recordingKey,
  withInput,
} from '../../src/domain/recording.js';
import { tiw } from '../../src/sources/tiw.js';
import { TopologyDriver } from '../../src/stream/topology-driver.js';
import { type RecordingCodecs, RecordingsProcessor } from '../../src/workers/recordings/processor.js';
import { WorkerBench } from '../support/worker-bench.js';
import { codecs } from '../support/worker-kit.js';

const RAW = TOPICS.rawTiw.name;
const T0 = 1_700_000_000_000;
const RETENTION = 10_000;

/** The recordings worker, with a sink that answers lookups, unless it is away. */
class Bench extends WorkerBench<RecordingsProcessor> {
  away = false;
  asked: string[][] = [];

  static async open(own: Partial<RecordingCodecs> = {}): Promise<Bench> {
    const clock = { now: (): number => bench?.now ?? T0 };
    const lookup = async (keys: readonly RecordingKey[]) => {
      if (bench!.away) throw new Error('ClickHouse is away');
      const wanted = keys.map(recordingKey);
      bench!.asked.push(wanted);
      const stored = bench!.records().slice(0, bench!.sink);
      return new Map(stored.filter((r) => wanted.includes(String(r.key))).map((r) => [String(r.key), r.value!]));
    };
    const driver = await TopologyDriver.open({
      inputs: [RAW],
      outputTopic: TOPICS.recordings.name,
      restores: true,
      partitions: 1,
      clock,
      transactionRecords: 3,
      createProcessor: ({ partition, failures }) =>
        new RecordingsProcessor({ partition, partitions: 1, retention: RETENTION, codecs: { ...codecs, ...own }, lookup, failures }),
    });
    const bench: Bench | undefined = new Bench(driver, { now: T0, inputTopic: RAW, outputTopic: TOPICS.recordings.name });
    return bench;
  }

  last(): Map<string, Recording> {
    return new Map(this.records().map((r) => [String(r.key), codecs.recording.decode(r.value!)]));
  }

  revisions(key: string): number[] {
    return this.records()
      .filter((r) => String(r.key) === key)
      .map((r) => codecs.recording.decode(r.value!).revision);
  }
}

let deliveries = 0;
const delivery = (body: object, receivedAt: number, source = 'tiw'): Buffer =>
  codecs.raw.encode({
    id: `d${deliveries++}`,
    source,
    app_id: '1',
    received_at: receivedAt,
    auth: 'signature',
    remote_addr: '',
    query: '',
    body: Buffer.from(JSON.stringify(body)),
  });

const body = (TaskId: string, EventType: string, second: number, data: object = {}) => ({
  EventType,
  Timestamp: T0 / 1000 + second,
  SdkAppId: 1,
  EventData: { TaskId, RoomId: 7, RecordUserId: 'u', ...data },
});

const KEY = 'tencent:1:t';
const started = body('t', 'OnlineRecordStarted', 0);
const finished = body('t', 'OnlineRecordFinished', 60, { FinishReason: 'USER_CALL', TotalTime: 59_000 });

/** A codec that cannot encode a recording with the room `poison`. */
const fussy = () => ({
  ...{ decode: codecs.recording.decode.bind(codecs.recording), resolve: codecs.recording.resolve.bind(codecs.recording) },
  only: codecs.recording.only.bind(codecs.recording),
  encode(value: Recording) {
    if (value.inputs.some((i) => i.room_id === 'poison')) throw new Error('indigestible');
    return codecs.recording.encode(value);
  },
});

describe('the recordings worker', () => {
  it('publishes each changed recording once per transaction, with CloudEvents headers', async () => {
    const b = await Bench.open();
    for (const e of [started, started, body('t', 'OnlineRecordStopped', 50)]) b.append(delivery(e, T0 + 100));
    await b.driver.drain();
    expect(b.records()).toHaveLength(1);
    expect(b.last().get(KEY)).toMatchObject({
      status: 'stopped',
      revision: 1,
      started_at: T0,
      stopped_at: T0 + 50_000,
      first_seen_at: T0 + 100,
    });
    b.append(delivery(finished, T0 + 200));
    b.append(delivery(started, T0 + 300));
    await b.driver.drain();
    expect(b.last().get(KEY)).toMatchObject({ status: 'finished', revision: 2, total_ms: 59_000, inputs: { length: 3 } });
    expect(b.records()[1]!.headers).toMatchObject({
      ce_id: 'tencent:1:t@2',
      ce_type: 'callstream.recordings.v1',
      ce_source: '//tencent/1',
    });
  });

  it('says nothing of what says nothing new, and of what is none of its business', async () => {
    const b = await Bench.open();
    b.append(delivery(started, T0));
    await b.driver.drain();
    b.append(delivery(started, T0 + 5));
    b.append(delivery({ CallId: 'c', Event: 'start_call' }, T0, 'tuicallkit'));
    b.append(delivery({ EventType: 'PPT2H5ProgressChanged' }, T0));
    b.append(Buffer.from('no frame'));
    await b.driver.drain();
    expect(b.records()).toHaveLength(1);
    expect(b.dead()).toEqual([]);
  });

  it('lets a recording go once it is quiet and stored, whatever its status, and takes it back for late input', async () => {
    const b = await Bench.open();
    b.append(delivery(started, T0));
    await b.advance(RETENTION + 1_000);
    expect(b.processor.table.size).toBe(1);
    b.sinkAll();
    await b.advance(100);
    expect(b.processor.table.size).toBe(0);
    b.append(delivery(finished, b.now));
    await b.driver.drain();
    expect(b.asked).toEqual([[KEY]]);
    expect(b.last().get(KEY)).toMatchObject({ status: 'finished', revision: 2, first_seen_at: T0, started_at: T0, inputs: { length: 2 } });
    // A repetition of what is in ClickHouse brings nothing back.
    b.sinkAll();
    await b.advance(RETENTION + 1_000);
    b.append(delivery(started, b.now));
    await b.driver.drain();
    expect(b.processor.table.size).toBe(0);
    expect(b.revisions(KEY)).toEqual([1, 2]);
  });

  it('commits that it need not be restored any more, though nothing else comes', async () => {
    const b = await Bench.open();
    b.append(delivery(started, T0));
    await b.driver.drain();
    expect(b.driver.meta(0)).toMatchObject({ restoreFrom: 0, horizon: null });
    b.sinkAll();
    await b.advance(RETENTION + 1_000);
    expect(b.driver.meta(0)).toMatchObject({ restoreFrom: null, lastOutput: 0, horizon: T0 });
    await b.driver.crash(0);
    expect(b.processor.table.size).toBe(0);
    b.append(delivery(finished, b.now));
    await b.driver.drain();
    expect(b.revisions(KEY)).toEqual([1, 2]);
  });

  it('asks ClickHouse nothing while nothing has left', async () => {
    const b = await Bench.open();
    for (let i = 0; i < 9; i++) b.append(delivery(body(`t${i}`, 'OnlineRecordStarted', 0), T0));
    await b.driver.drain();
    expect(b.asked).toEqual([]);
  });

  it('waits for ClickHouse rather than begin a recording again', async () => {
    const b = await Bench.open();
    b.append(delivery(started, T0));
    await b.driver.drain();
    b.sinkAll();
    await b.advance(RETENTION + 1_000);
    b.away = true;
    b.append(delivery(finished, b.now));
    await expect(b.driver.drain()).rejects.toThrow('ClickHouse is away');
    b.away = false;
    await b.driver.drain();
    expect(b.last().get(KEY)).toMatchObject({ revision: 2, inputs: { length: 2 } });
  });

  it('counts retention from the arrival of a change, also when nothing has come for long before it', async () => {
    const b = await Bench.open();
    b.append(delivery(body('x', 'OnlineRecordStarted', 0), T0));
    await b.driver.drain();
    b.now += 10_800_000;
    b.append(delivery(started, b.now));
    await b.driver.drain();
    b.sinkAll();
    await b.advance(1_000);
    expect(b.last().get(KEY)).toMatchObject({ last_change_at: T0 + 10_800_000 });
    expect(b.processor.table.has(KEY)).toBe(true);
  });

  it('dead-letters the input that a recording cannot be folded with, in its own share, and goes on without it', async () => {
    const b = await Bench.open({ recording: fussy() });
    b.append(delivery(started, T0));
    b.append(delivery(body('t', 'OnlineRecordStopped', 5, { RoomId: 'poison' }), T0));
    b.append(delivery(finished, T0));
    b.append(delivery(body('other', 'OnlineRecordStopped', 5, { RoomId: 'poison' }), T0));
    await b.driver.drain();
    expect(b.last().get(KEY)).toMatchObject({ status: 'finished', inputs: { length: 2 } });
    expect(b.last().has('tencent:1:other')).toBe(false);
    expect(b.dead()).toMatchObject([
      { partition: 2, stage: 'fold', reason: 'exception', origin_topic: RAW, origin_offset: 1, origin_index: 0, source: 'tiw' },
      { partition: 2, stage: 'fold', reason: 'exception', origin_offset: 3 },
    ]);
  });

  it('dead-letters what would make a record larger than a Kafka message, and still knows a repetition when it sees one', async () => {
    const b = await Bench.open();
    const event = (i: number) => delivery(body('t', 'OnlineRecordFinished', i, { GroupId: `${i}${'g'.repeat(250_000)}` }), T0);
    for (let i = 0; i < 32; i++) b.append(event(i));
    b.append(event(0));
    await b.driver.drain();
    const dead = b.dead();
    expect(new Set(dead.map((d) => d.reason))).toEqual(new Set(['recording_too_large']));
    expect(dead.every((d) => d.origin_offset < 32)).toBe(true);
    const held = b.last().get(KEY)!.inputs.length;
    expect(held + dead.length).toBe(32);
    expect(held).toBeGreaterThan(25);
    expect(Math.max(...b.records().map((r) => r.value!.length))).toBeLessThan(7.1 * 1024 * 1024);
  });

  const input = fc.record({
    task: fc.nat(4),
    event: fc.constantFrom(...RECORDING_EVENTS),
    at: fc.option(fc.nat(4)),
    data: fc.record(
      {
        RoomId: fc.nat(2),
        FinishReason: fc.constantFrom('AUTO', 'EXCEPTION'),
        TotalTime: fc.nat(3),
        RecordStartTime: fc.nat(3).map((s) => T0 / 1000 + s),
        VideoInfos: fc.array(fc.record({ VideoId: fc.constantFrom('a', 'b') }), { maxLength: 2 }),
      },
      { requiredKeys: [] },
    ),
  });
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('input' as const), input }) },
    { weight: 2, arbitrary: fc.constant({ do: 'drain' as const }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), uncommitted: fc.nat(6) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(100, 3_000, 12_000) }) },
    { weight: 2, arbitrary: fc.constant({ do: 'sink' as const }) },
  );

  it('publishes the pure fold of the set of inputs, whatever the batching, crashes, departures and late returns', async () => {
    let returns = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 100, size: 'max' }), async (steps) => {
        const b = await Bench.open();
        const truth = new Map<string, RecordingState>();
        for (const s of steps) {
          if (s.do === 'input') {
            const { task, event, at, data } = s.input;
            const value = delivery({ ...body(`k${task}`, event, at ?? 0, data), ...(at === null ? { Timestamp: 'soon' } : {}) }, b.now);
            for (const e of tiw.toInputs(codecs.raw.decode(value))) {
              if (!e.ok) throw new Error(e.error);
              const key = recordingKey(e.key);
              truth.set(key, withInput(truth.get(key) ?? emptyRecording(e.key), e.input));
            }
            b.append(value);
          } else if (s.do === 'drain') await b.driver.drain();
          else if (s.do === 'crash') await b.crash(s.uncommitted);
          else if (s.do === 'advance') await b.advance(s.ms);
          else b.sinkAll();
        }
        for (let i = 0; i < 3; i++) {
          await b.advance(12_000);
          b.sinkAll();
        }
        const last = b.last();
        expect([...last.keys()].sort()).toEqual([...truth.keys()].sort());
        for (const [key, state] of truth) {
          expect(last.get(key)).toMatchObject({ ...deriveRecording(state) });
          expect(b.revisions(key)).toEqual(b.revisions(key).map((_, i) => i + 1));
          const seen = b.records().filter((r) => String(r.key) === key);
          expect(new Set(seen.map((r) => codecs.recording.decode(r.value!).first_seen_at)).size).toBe(1);
        }
        expect(b.processor.table.size).toBe(0);
        expect(b.driver.meta(0)?.restoreFrom ?? null).toBeNull();
        returns += b.asked.length;
      }),
      { numRuns: 300 },
    );
    expect(returns).toBeGreaterThan(100);
  });
});
