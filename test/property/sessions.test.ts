import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import type { Call } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { deriveCall } from '../../src/domain/call.js';
import { addInput, emptyState } from '../../src/domain/state.js';
import type { CallState } from '../../src/domain/types.js';
import { joinKey } from '../../src/sources/element.js';
import { sourceOf } from '../../src/sources/registry.js';
import type { InputRecord, OutputRecord, TaskMeta } from '../../src/stream/types.js';
import { SessionsProcessor } from '../../src/workers/sessions/processor.js';
import type { SessionSettings } from '../../src/workers/sessions/settings.js';

const codecs = {
  raw: localCodec(TOPICS.rawTuicallkit),
  call: localCodec(TOPICS.calls),
  deadLetter: localCodec(TOPICS.deadLetters),
  task: localCodec(TOPICS.tasks),
};
const T0 = 1_700_000_000_000;
const settings: SessionSettings = {
  ringTimeout: 5_000,
  maxCall: 60_000,
  settle: 2_000,
  retention: 10_000,
  maxCallsPerTask: 1e6,
  hasRecordsApi: () => true,
};

/** A task on a log in memory: the sessions logic, its output topic, the late topic, and a sink that has read the outputs up to a position. */
class Bench {
  readonly log: OutputRecord[] = [];
  readonly others: OutputRecord[] = [];
  late: InputRecord[] = [];
  meta: TaskMeta | null = null;
  sink = 0;
  streamTime = T0;
  #offset = 0;
  readonly settings: SessionSettings;
  processor: SessionsProcessor;

  constructor(own: Partial<SessionSettings> = {}) {
    this.settings = { ...settings, ...own };
    this.processor = this.open();
  }

  static async begin(own: Partial<SessionSettings> = {}): Promise<Bench> {
    const bench = new Bench(own);
    await bench.processor.restored(null);
    return bench;
  }

  open(): SessionsProcessor {
    return new SessionsProcessor({
      partition: 0,
      partitions: 4,
      settings: this.settings,
      codecs,
      failures: { ok() {}, failed: (reason) => expect.fail(reason) },
      lookup: async (keys) => {
        const found = new Map<string, Buffer>();
        const wanted = new Set(keys.map(joinKey));
        for (const r of this.log.slice(0, this.sink)) if (wanted.has(String(r.key))) found.set(String(r.key), r.value!);
        return found;
      },
    });
  }

  /** A crash: what is not committed is gone, and a new owner restores. */
  async crash(): Promise<void> {
    this.processor = this.open();
    if (this.meta?.restoreFrom != null) {
      for (let i = this.meta.restoreFrom; i < this.log.length; i++) {
        const r = this.log[i]!;
        this.processor.restore({ ...r, key: Buffer.from(r.key), offset: i, timestamp: 0, headers: {} });
      }
    }
    await this.processor.restored(this.meta);
    this.processor.setSinkPosition(this.sink);
  }

  async batch(records: InputRecord[]): Promise<void> {
    await this.processor.prepare(records);
    for (const r of records) this.processor.process(r, this.streamTime);
  }

  commit(now = this.streamTime): void {
    const { outputs } = this.processor.flush(now);
    const calls = outputs.filter((o) => o.topic === TOPICS.calls.name);
    const base = calls.length > 0 ? this.log.length : null;
    this.log.push(...calls);
    for (const o of outputs) {
      if (o.topic === TOPICS.rawLate.name) {
        this.late.push({ ...o, key: Buffer.from(o.key), offset: this.#offset++, timestamp: this.streamTime, headers: {} });
      } else if (o.topic !== TOPICS.calls.name) this.others.push(o);
    }
    const meta = this.processor.meta(base);
    this.meta = { v: 1, streamTime: this.streamTime, lastOutput: this.log.length - 1, partitions: 4, group: 'g', ...meta };
    this.processor.committed(base);
  }

  async drainLate(): Promise<void> {
    while (this.late.length > 0) {
      const batch = this.late;
      this.late = [];
      await this.batch(batch);
      this.commit();
    }
  }

  advance(ms: number): void {
    this.streamTime += ms;
    this.processor.setSinkPosition(this.sink);
    this.processor.punctuate(this.streamTime);
  }

  last(): Map<string, Call> {
    const out = new Map<string, Call>();
    for (const r of this.log) out.set(String(r.key), codecs.call.decode(r.value!));
    return out;
  }
}

let offset = 0;
function delivery(body: object | Buffer, receivedAt: number): InputRecord {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  const value = codecs.raw.encode({
    id: `d${offset}`,
    source: 'tuicallkit',
    app_id: '1',
    received_at: receivedAt,
    auth: 'app',
    remote_addr: '',
    query: '',
    body: bytes,
  });
  return { topic: TOPICS.rawTuicallkit.name, partition: 0, offset: offset++, timestamp: receivedAt, key: null, value, headers: {} };
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

describe('the sessions worker', () => {
  it('closes a ringing call by timeout, settles it, lets it go, and takes it back for late input', async () => {
    const b = await Bench.begin({ maxCall: 6_000 });
    await b.batch([delivery(body('c', 'a', 'start_call', T0), T0)]);
    b.commit();
    b.advance(5_000);
    b.commit();
    expect(b.last().get('tencent:1:c')).toMatchObject({ status: 'ended', end_reason: 'timed_out', final: false, revision: 2 });
    b.advance(2_100);
    b.commit();
    expect(b.last().get('tencent:1:c')).toMatchObject({ final: true, revision: 3 });
    b.advance(20_000);
    b.commit();
    expect(b.processor.table.size).toBe(1);
    b.sink = b.log.length;
    b.advance(100);
    b.commit();
    expect(b.processor.table.size).toBe(0);
    expect(b.meta).toMatchObject({ horizon: T0, restoreFrom: null });
    await b.crash();
    await b.batch([delivery(body('c', 'b', 'reject_call', T0 + 3_000), b.streamTime)]);
    b.commit();
    expect(b.late.length).toBe(1);
    await b.drainLate();
    const call = b.last().get('tencent:1:c')!;
    expect(call).toMatchObject({ outcome: 'rejected', first_seen_at: T0, events: { length: 2 } });
    expect(b.log.map((r) => codecs.call.decode(r.value!).revision)).toEqual(b.log.map((_, i) => i + 1));
  });

  it('reopens a timed-out call for a fresh event, and not for one that is itself that old', async () => {
    const b = await Bench.begin();
    await b.batch([delivery(body('c', 'a', 'start_call', T0), T0)]);
    b.commit();
    b.advance(5_000);
    b.commit();
    await b.batch([delivery(body('c', 'b', 'receive_call', T0 - 1_000), b.streamTime)]);
    b.commit();
    expect(b.last().get('tencent:1:c')).toMatchObject({ status: 'ended', end_reason: 'timed_out' });
    await b.batch([delivery(body('c', 'b', 'accept_call', T0 + 4_000), b.streamTime)]);
    b.commit();
    expect(b.last().get('tencent:1:c')).toMatchObject({ status: 'active', final: false });
  });

  it('asks once for the record of a call that a timeout closed', async () => {
    const b = await Bench.begin();
    await b.batch([delivery(body('c', 'a', 'start_call', T0), T0)]);
    b.commit();
    b.advance(5_000);
    b.commit();
    await b.batch([delivery(body('c', 'b', 'accept_call', T0 + 5_000), b.streamTime)]);
    b.commit();
    b.advance(70_000);
    b.commit();
    expect(b.others.map((o) => codecs.task.decode(o.value!))).toMatchObject([
      { kind: 'record', call_id: 'c', attempt: 0, reason: 'timed_out' },
    ]);
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
  );
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('input' as const), input }) },
    { weight: 2, arbitrary: fc.constant({ do: 'commit' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'crash' as const }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(100, 1_000, 3_000, 12_000, 70_000) }) },
    { weight: 1, arbitrary: fc.constant({ do: 'sink' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'late' as const }) },
  );

  it('publishes the pure fold of the set of inputs, whatever the batching, crashes, timeouts, departures and late returns', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120 }), async (steps) => {
        const b = await Bench.begin();
        const truth = new Map<string, CallState>();
        let uncommitted: InputRecord[] = [];
        const feed = async (r: InputRecord) => {
          for (const e of sourceOf('tuicallkit')!.toInputs(codecs.raw.decode(r.value!))) {
            if (!e.ok) continue;
            const key = joinKey(e.key);
            const state = truth.get(key) ?? emptyState(e.key);
            truth.set(key, state);
            addInput(state, e.input);
          }
          uncommitted.push(r);
          await b.batch([r]);
        };
        const commit = () => {
          b.commit();
          uncommitted = [];
        };
        for (const s of steps) {
          if (s.do === 'input') {
            const i = s.input;
            const at = T0 + i.at * 1000;
            const raw =
              'result' in i
                ? { CallId: `k${i.call}`, CallResult: i.result, EventTime: at / 1000 }
                : body(`k${i.call}`, i.user, i.event, at, i.group ? { CallType: 'group' } : {});
            await feed(delivery(raw, b.streamTime));
          } else if (s.do === 'commit') commit();
          else if (s.do === 'crash') {
            // The next owner reads the uncommitted inputs again; what was late of them is late again.
            const again = uncommitted;
            await b.crash();
            await b.batch(again);
          } else if (s.do === 'advance') {
            b.advance(s.ms);
          } else if (s.do === 'sink') b.sink = b.log.length;
          else {
            commit();
            await b.drainLate();
          }
        }
        commit();
        await b.drainLate();
        for (let i = 0; i < 8; i++) {
          b.advance(70_000);
          b.commit();
          b.sink = b.log.length;
          await b.drainLate();
        }
        const last = b.last();
        expect([...last.keys()].sort()).toEqual([...truth.keys()].sort());
        for (const [key, state] of truth) {
          state.timed_out = false;
          if (deriveCall(state).status !== 'ended') state.timed_out = true;
          const call = last.get(key)!;
          expect(call).toMatchObject({ ...deriveCall(state), final: true });
        }
        const revisions = new Map<string, number>();
        for (const r of b.log) {
          const key = String(r.key);
          const { revision } = codecs.call.decode(r.value!);
          expect(revision).toBe((revisions.get(key) ?? 0) + 1);
          revisions.set(key, revision);
        }
        expect(b.processor.table.size).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
