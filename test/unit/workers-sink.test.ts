import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CALL_FIELDS, type ClickHouse, ClickHouseFailure, TOO_MANY_PARTS } from '../../src/clickhouse/index.js';
import { localCodec, type TopicReader } from '../../src/codec/codec.js';
import type { CallEvent } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import type { CollectedBatch } from '../../src/stream/collector.js';
import type { InputRecord } from '../../src/stream/types.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { PACE, Pace } from '../../src/workers/sink/pace.js';
import { SinkWorker } from '../../src/workers/sink/worker.js';
import { blankCall, Dice, randomDeliveries } from '../support/clickhouse-model.js';

const codecs = { call: localCodec(TOPICS.calls), callEvent: localCodec(TOPICS.callEvents), deadLetter: localCodec(TOPICS.deadLetters) };
const EVENT = codecs.callEvent.encode(randomDeliveries(new Dice(3), 1, Date.now())[0]!);
const CALL = codecs.call.encode(blankCall({ call_id: 'a', started_at: Date.now() - 60_000, published_minutes: [Date.now() - 60_000] }));

/** What happened, in order: `begin <table>`, `end <table>`, `dead`, `commit <batch>`. */
let happened: string[];
let onInsert: (table: string) => void | Promise<void>;
let onCommit: (batch: number) => void;
let onDecode: (decoded: number) => void;
let fatal: unknown[];
let metrics: ReturnType<typeof createMetrics>;
let worker: SinkWorker;
let give: (batch: CollectedBatch) => void;
let leave: () => void;

beforeEach(() => {
  happened = [];
  onInsert = () => {};
  onCommit = () => {};
  onDecode = () => {};
  let decoded = 0;
  const callEvent: TopicReader<CallEvent> = {
    resolve: (frames) => codecs.callEvent.resolve(frames),
    decode: (frame) => {
      decoded += 1;
      onDecode(decoded);
      return codecs.callEvent.decode(frame);
    },
  };
  fatal = [];
  metrics = createMetrics();
  const waiting: CollectedBatch[] = [];
  let wake = () => {};
  give = (batch) => {
    waiting.push(batch);
    wake();
  };
  leave = () => give({ records: [], bytes: 0, offsets: [] });
  const clickhouse: Pick<ClickHouse, 'insert' | 'query' | 'command'> = {
    insert: async (table) => {
      happened.push(`begin ${table}`);
      // An answer takes a while, of one table longer than of another.
      for (let turns = table.length; turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
      await onInsert(table);
      happened.push(`end ${table}`);
    },
    query: async () => [],
    command: async () => {},
  };
  worker = new SinkWorker({
    source: {
      take: async () => {
        while (waiting.length === 0)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        return waiting.shift() as CollectedBatch;
      },
      commit: async ({ offsets }) => {
        const batch = (offsets[0] as unknown as { next: number }).next;
        onCommit(batch);
        happened.push(`commit ${batch}`);
      },
      problems: () => [],
    },
    send: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      happened.push('dead');
    },
    clickhouse: clickhouse as ClickHouse,
    readers: {
      call: codecs.call.only(...CALL_FIELDS),
      recording: localCodec(TOPICS.recordings),
      callEvent,
      deadLetter: codecs.deadLetter,
      alert: localCodec(TOPICS.alerts),
    },
    keepCallsMs: 86_400_000,
    rolls: () => false,
    logger: silentLogger(),
    metrics,
    onFatal: (error) => fatal.push(error),
    pace: { ...PACE, intervalMs: 1 },
  });
  worker.start();
});
afterEach(async () => {
  const stopped = worker.stop();
  leave();
  await stopped;
  vi.restoreAllMocks();
});

let batches = 0;
/** Gives a batch of these values, by topic; returns the name that its commit has. */
function batch(...values: [topic: string, value: Buffer][]): number {
  batches += 1;
  const records = values.map(
    ([topic, value], i): InputRecord => ({ topic, partition: i % 3, offset: i, timestamp: 1, key: null, value, headers: {} }),
  );
  give({ records, bytes: 0, offsets: [{ place: null as never, next: batches }] });
  return batches;
}
const event: [string, Buffer] = [TOPICS.callEvents.name, EVENT];
const call: [string, Buffer] = [TOPICS.calls.name, CALL];
const garbage: [string, Buffer] = [TOPICS.calls.name, Buffer.from('not Avro')];

const done = (what: string): Promise<void> => vi.waitFor(() => expect(happened).toContain(what), { timeout: 10_000, interval: 2 });
const retriable = (code: number | null = null) => new ClickHouseFailure('retriable', code, 'INSERT', new Error('away'));

describe('a flush (§3)', () => {
  it('is rows, then touches, then dead letters, then offsets, each after the acknowledgement of all before', async () => {
    const name = batch(call, event, garbage);
    await done(`commit ${name}`);
    const rows = ['calls_latest', 'call_revisions', 'call_event_rows', 'deliveries'];
    expect(happened.slice(0, 8).sort()).toEqual(rows.flatMap((table) => [`begin ${table}`, `end ${table}`]).sort());
    expect(happened.slice(8)).toEqual(['begin touched', 'end touched', 'dead', `commit ${name}`]);
  });

  it('is one insert per table for all partitions', async () => {
    const name = batch(...Array.from({ length: 30 }, () => event), call, call, call);
    await done(`commit ${name}`);
    for (const table of ['calls_latest', 'call_revisions', 'call_event_rows', 'deliveries', 'touched'])
      expect(happened.filter((what) => what === `begin ${table}`)).toHaveLength(1);
  });

  it.each(['calls_latest', 'call_revisions', 'touched'])('that fails at %s sends that again, and commits only after it', async (table) => {
    let failures = 2;
    onInsert = (of) => {
      if (of === table && failures-- > 0) throw retriable();
    };
    const name = batch(call);
    await done(`commit ${name}`);
    expect(happened.filter((what) => what === `begin ${table}`)).toHaveLength(3);
    expect(happened.indexOf(`end ${table}`)).toBeGreaterThan(0);
    expect(happened.indexOf('begin touched')).toBeGreaterThan(happened.indexOf('end call_revisions'));
    expect(happened.at(-1)).toBe(`commit ${name}`);
    expect(fatal).toEqual([]);
  });

  it('that ClickHouse refuses for good commits nothing, and stops the sink', async () => {
    const refused = new ClickHouseFailure('permanent', 60, 'INSERT', new Error('no such table'));
    onInsert = (table) => {
      if (table === 'call_revisions') throw refused;
    };
    batch(call);
    await vi.waitFor(() => expect(fatal).toEqual([refused]));
    expect(happened.filter((what) => what.startsWith('commit') || what.includes('touched'))).toEqual([]);
  });

  it('whose commit fails is no reason to stop: what it stored may be stored again', async () => {
    let failures = 1;
    onCommit = () => {
      if (failures-- > 0) throw new Error('the group is about to change');
    };
    batch(event);
    const second = batch(event);
    await done(`commit ${second}`);
    expect(fatal).toEqual([]);
    expect(worker.problems()).toEqual([]);
  });

  it('commits a batch that was taken while its chunk was sent only with the last of its rows', async () => {
    const rowsSent = async () =>
      (await metrics.callstream_sink_rows_total.get()).values.find(({ labels }) => labels.table === 'call_event_rows')?.value ?? 0;
    let release = () => {};
    let held = true;
    onInsert = async () => {
      if (!held) return;
      await new Promise<void>((resolve) => {
        const before = release;
        release = () => {
          before();
          resolve();
        };
      });
    };
    const sent = new Map<number, Promise<number>>();
    onCommit = (of) => sent.set(of, rowsSent());
    const first = batch(event);
    await done('begin deliveries');
    const second = batch(event);
    const third = batch(...Array.from({ length: 40_000 }, () => event));
    // The first chunk is acknowledged while the third batch is being taken.
    onDecode = (decoded) => {
      if (decoded < 5_000) return;
      held = false;
      release();
    };
    await done(`commit ${third}`);
    // The second chunk took some of the third batch's rows along, and not its offsets.
    const rows = await Promise.all([first, second, third].map((of) => sent.get(of)));
    expect(rows[0]).toBe(1);
    expect(rows[1]).toBeGreaterThan(2);
    expect(rows[1]).toBeLessThan(40_002);
    expect(rows[2]).toBe(40_002);
  });

  it('that meets too many parts makes the next ones larger and rarer (§3)', async () => {
    const slower = vi.spyOn(Pace.prototype, 'tooManyParts');
    let failures = 2;
    onInsert = (table) => {
      if (table === 'calls_latest' && failures-- > 0) throw retriable(failures === 0 ? TOO_MANY_PARTS : null);
    };
    const name = batch(call);
    await done(`commit ${name}`);
    expect(slower).toHaveBeenCalledTimes(1);
  });
});

describe('several tables that fail at once', () => {
  it('slow the sink down when one of them has too many parts', async () => {
    const slower = vi.spyOn(Pace.prototype, 'tooManyParts');
    let failing = true;
    onInsert = (table) => {
      if (!failing) return;
      if (table === 'call_revisions') failing = false;
      throw retriable(table === 'call_revisions' ? TOO_MANY_PARTS : null);
    };
    const name = batch(call);
    await done(`commit ${name}`);
    expect(slower).toHaveBeenCalledTimes(1);
  });
});

describe('the pace', () => {
  it('slows down by steps while there are too many parts, up to a bound, and comes back half as fast', () => {
    const base = { maxRecords: 10, maxBytes: 100, intervalMs: 1 };
    const pace = new Pace(base);
    expect(pace.limits).toEqual(base);
    pace.tooManyParts();
    expect(pace.limits).toEqual({ maxRecords: 20, maxBytes: 200, intervalMs: 2 });
    pace.flushed();
    expect(pace.limits.intervalMs).toBe(2);
    pace.flushed();
    expect(pace.limits).toEqual(base);
    for (let i = 0; i < 50; i += 1) pace.tooManyParts();
    expect(pace.limits).toEqual({ maxRecords: 40, maxBytes: 400, intervalMs: 32 });
  });
});
