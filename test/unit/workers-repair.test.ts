import { beforeEach, describe, expect, it } from 'vitest';
import type { Call } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { joinKey } from '../../src/domain/key.js';
import type { CallKey } from '../../src/domain/types.js';
import { callSourceOf } from '../../src/sources/registry.js';
import { partitionOf } from '../../src/stream/partition.js';
import type { InputRecord, OutputRecord, TaskMeta } from '../../src/stream/types.js';
import { REFOLD_SOURCE, refoldDelivery } from '../../src/workers/refold.js';
import { repairCall, type StoredInput } from '../../src/workers/repair.js';
import { SessionsProcessor } from '../../src/workers/sessions/processor.js';
import type { SessionSettings } from '../../src/workers/sessions/settings.js';
import { codecs } from '../support/worker-kit.js';

const T0 = 1_700_000_000_000;
const KEY: CallKey = { provider: 'tencent', app_id: '1', call_id: 'c' };
const JOINED = joinKey(KEY);
const LATE = TOPICS.rawLate.name;
const settings: SessionSettings = {
  ringTimeout: 60_000,
  maxCall: 600_000,
  settle: 2_000,
  retention: 1e6,
  maxCallsPerTask: 10,
  hasRecordsApi: () => false,
  hasMediaApi: () => false,
  userEvents: 'off',
  recordSample: 0,
};

describe('a repair', () => {
  it('sends every stored input of the call and then the wish to derive it anew, by the late topic of its partition', async () => {
    const stored: StoredInput = {
      call_id: 'c',
      room_id: 'r',
      user_id: 'a',
      role: 'caller',
      event: 'start_call',
      event_at: T0,
      platform: '',
      call_result: '',
      detail: '{}',
      source: 'tuicallkit',
      received_at: T0 + 5,
    };
    const sent: OutputRecord[] = [];
    const count = await repairCall(KEY, {
      inputsOf: async () => [stored, { ...stored, user_id: 'b', event: 'receive_call' }, { ...stored, source: 'of_tomorrow' }],
      send: async (records) => void sent.push(...records),
      codec: codecs.raw,
      partitions: 16,
      clock: { now: () => T0 + 99 },
    });
    expect(count).toBe(3);
    expect(partitionOf(JOINED, 16)).not.toBe(0);
    for (const { topic, partition, key } of sent) expect([topic, partition, key]).toEqual([LATE, partitionOf(JOINED, 16), JOINED]);
    const deliveries = sent.map(({ value }) => codecs.raw.decode(value!));
    expect(deliveries.map(({ source, received_at }) => [source, received_at])).toEqual([
      ['tuicallkit', T0 + 5],
      ['tuicallkit', T0 + 5],
      [REFOLD_SOURCE, T0 + 99],
    ]);
    expect(deliveries.slice(0, 2).flatMap((raw) => callSourceOf('tuicallkit')!.toInputs(raw))).toMatchObject([
      { ok: true, key: KEY, input: { user_id: 'a', event: 'start_call', event_at: T0 } },
      { ok: true, key: KEY, input: { user_id: 'b', event: 'receive_call', event_at: T0 } },
    ]);
  });
});

describe('the wish to derive a call anew', () => {
  const meta: TaskMeta = { v: 1, streamTime: T0 + 1_000, horizon: T0 - 1, restoreFrom: 0, lastOutput: 0, partitions: 1, group: 'g' };
  const refold = (topic: string): InputRecord => ({
    topic,
    partition: 0,
    offset: 5,
    timestamp: T0 + 2_000,
    key: Buffer.from(JOINED),
    value: codecs.raw.encode(refoldDelivery(KEY, 'id', T0 + 2_000)),
    headers: {},
  });
  let found: Map<string, Buffer>;
  let right: Call;

  function open(): SessionsProcessor {
    return new SessionsProcessor({
      partition: 0,
      partitions: 1,
      settings,
      codecs,
      lookup: async () => found,
      failures: { ok: () => {}, failed: () => {} },
      suspects: new Set(),
    });
  }
  const published = (processor: SessionsProcessor): Call[] => {
    const { outputs } = processor.flush(T0 + 3_000);
    processor.meta(1);
    processor.committed(1);
    expect(outputs.every(({ topic }) => topic === TOPICS.calls.name || topic === LATE)).toBe(true);
    return outputs.filter(({ topic }) => topic === TOPICS.calls.name).map(({ value }) => codecs.call.decode(value!));
  };
  const restored = (call: Call): InputRecord => ({ ...refold(TOPICS.calls.name), offset: 0, value: codecs.call.encode(call) });

  beforeEach(async () => {
    found = new Map();
    const processor = open();
    await processor.restored({ ...meta, streamTime: T0 });
    const body = {
      CallId: 'c',
      UserId: 'a',
      Role: 'caller',
      Event: 'start_call',
      EventTime: T0 / 1000,
      TotalNum: 2,
      CallType: 'single',
      MediaType: 'audio',
    };
    const raw = { ...refoldDelivery(KEY, 'id', T0), source: 'tuicallkit', body: Buffer.from(JSON.stringify(body)) };
    processor.process({ ...refold(TOPICS.rawTuicallkit.name), value: codecs.raw.encode(raw) }, () => T0);
    right = published(processor)[0]!;
    expect(right.caller).toBe('a');
  });

  it('publishes a further revision of a call whose record says something else than the rules, and none of another', async () => {
    for (const [caller, revisions] of [
      ['wrong', [2]],
      ['a', []],
    ] as const) {
      const processor = open();
      processor.restore(restored({ ...right, caller }));
      await processor.restored(meta);
      processor.process(refold(LATE), () => T0 + 1_000);
      expect(published(processor).map(({ revision, caller: now }) => [revision, now])).toEqual(revisions.map((n) => [n, 'a']));
    }
  });

  it('goes by ClickHouse for a call that has left, and round by the late topic when that was not asked', async () => {
    found.set(JOINED, codecs.call.encode({ ...right, caller: 'wrong' }));
    const processor = open();
    await processor.restored({ ...meta, restoreFrom: null });
    processor.process(refold(LATE), () => T0 + 1_000);
    const { outputs } = processor.flush(T0);
    expect(outputs.map(({ topic, partition }) => [topic, partition])).toEqual([[LATE, 0]]);
    processor.committed(null);
    const again = { ...refold(LATE), value: outputs[0]!.value };
    await processor.prepare([again]);
    processor.process(again, () => T0 + 1_000);
    expect(published(processor).map(({ revision, caller }) => [revision, caller])).toEqual([[2, 'a']]);

    found.set(JOINED, codecs.call.encode(right));
    const other = open();
    await other.restored({ ...meta, restoreFrom: null });
    await other.prepare([again]);
    other.process(again, () => T0 + 1_000);
    expect(published(other)).toEqual([]);
    expect(other.table.size).toBe(0);
  });
});
