import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CallstreamError } from '../../src/domain/errors.js';
import { createClients } from '../../src/stream/client.js';
import { Collector } from '../../src/stream/collector.js';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { GroupMember } from '../../src/stream/group-member.js';
import { Restorer } from '../../src/stream/restorer.js';
import { decodeMeta } from '../../src/stream/task-meta.js';
import { type InputRecord, type Observe, StartOver } from '../../src/stream/types.js';
import { StreamWorker, type StreamWorkerOptions } from '../../src/stream/worker.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { type Sum, SumProcessor } from '../integration/stream-kit.js';
import { FakeBroker, type FakeConsumer, FakeProtocolError } from '../support/fake-kafka.js';

vi.mock('../../src/stream/kafkajs.js', async (original) => ({
  ...(await original<object>()),
  Kafka: (await import('../support/fake-kafka.js')).FakeKafka,
}));

/* The rules of the stream runtime where a broker in memory shows the hazard that a real one shows seldom. */

const GROUP = 'g';
const INPUT = { topic: 'in', partition: 0 };
const OUTPUT = { topic: 'out', partition: 0 };
const TOPICS = ['in', 'late', 'out'];

let broker: FakeBroker;
let processors: SumProcessor[];
let fatal: unknown[];
let open: { stop(): Promise<void> }[];

beforeEach(() => {
  broker = new FakeBroker();
  for (const topic of TOPICS) broker.create(topic);
  processors = [];
  fatal = [];
  open = [];
});
afterEach(async () => {
  broker.onStep = () => {};
  broker.heartbeats = true;
  vi.restoreAllMocks();
  await Promise.all(open.map((o) => o.stop()));
});

/** Pauses and paces go by it from now on. */
function passing(now: () => number): void {
  vi.spyOn(performance, 'now').mockImplementation(now);
}

async function start(more: Partial<StreamWorkerOptions> = {}): Promise<StreamWorker> {
  const worker = new StreamWorker({
    name: 'sums',
    kafka: { brokers: [broker.address] },
    groupId: GROUP,
    inputs: ['in'],
    outputTopic: 'out',
    restores: true,
    createProcessor: (context) => {
      const processor = new SumProcessor(context, 'out');
      processors.push(processor);
      return processor;
    },
    logger: silentLogger(),
    metrics: createMetrics(),
    onFatal: (error) => fatal.push(error),
    heartbeatMs: 5,
    endsEveryMs: 5,
    ...more,
  });
  open.push(worker);
  await worker.start();
  return worker;
}

const until = (what: () => unknown): Promise<void> =>
  vi.waitFor(
    () => {
      if (!what()) throw new Error(`not reached: ${what}`);
    },
    { timeout: 10_000, interval: 2 },
  );

const add = (count: number, timestamp?: number): void => {
  for (let i = 0; i < count; i += 1) broker.append(INPUT, 'k', '{"n":1}', timestamp);
};
const drained = (): Promise<void> => until(() => broker.drained(GROUP, ['in']));
const position = (): number => Number(broker.committed(GROUP, INPUT)?.offset ?? -1);
const published = (): Sum[] => broker.values(OUTPUT).map((value) => JSON.parse(value) as Sum);
/** Each input counted once, and no revision missing or twice. */
const expectExact = (count: number): void => {
  expect(published().at(-1)?.sum).toBe(count);
  expect(published().map(({ revision }) => revision)).toEqual(published().map((_, i) => i + 1));
};
/** The task has read everything, or something is wrong with it. */
const drainedBy = (worker: StreamWorker): Promise<void> =>
  until(() => broker.drained(GROUP, ['in']) || (worker.tasks().get(0)?.problem ?? null) !== null);
/** What the group commits from now on is forgotten by the broker when the result is called. */
const forgetting = (): (() => void) => {
  const before = [INPUT, OUTPUT].map((at) => ({ at, committed: broker.committed(GROUP, at) }));
  return () => {
    for (const { at, committed } of before) broker.commit(GROUP, at, Number(committed?.offset), committed?.metadata);
  };
};
const takenOver = (worker: StreamWorker): Promise<void> => until(() => ['running', 'stopped'].includes(stateOf(worker) ?? ''));
const stateOf = (worker: StreamWorker): string | undefined => worker.tasks().get(0)?.state;
const memberOf = (group: string): FakeConsumer => broker.members.filter((m) => m.groupId === group).at(-1) as FakeConsumer;

describe('a takeover (rule 3)', () => {
  it('reads the committed offsets only once the old owner can move them no more', async () => {
    let release = () => {};
    let hanging = false;
    const old = await start({
      faultPoint: async (point) => {
        if (point !== 'before-commit' || published().length === 0) return;
        hanging = true;
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      },
    });
    add(10);
    await drained();
    add(10);
    await until(() => hanging);
    // The old owner's last commit comes through just before it is fenced.
    broker.onStep = async (step) => {
      if (step !== 'fence') return;
      broker.onStep = () => {};
      release();
      await until(() => position() >= 20);
    };
    const metrics = createMetrics();
    const heir = await start({ metrics });
    memberOf(GROUP).join([INPUT]);
    await until(() => stateOf(heir) === 'running');
    broker.members.find((m) => m.groupId === GROUP)?.join([]);
    await until(() => old.tasks().size === 0);
    add(10);
    await drained();
    expectExact(30);
    // Not by the check that comes after, which would have found what it did not know.
    const takeovers = (await metrics.callstream_task_takeovers_total.get()).values;
    expect(takeovers.map(({ labels, value }) => [labels.result, value])).toEqual([['ok', 1]]);
  });

  it('reads what was committed last, though the group has a new coordinator that tells older offsets', async () => {
    const old = await start();
    add(10);
    await drained();
    const change = broker.coordinatorThatKnows(GROUP);
    add(10);
    await drained();
    await old.stop();
    change();
    const metrics = createMetrics();
    const heir = await start({ metrics });
    await takenOver(heir);
    add(10);
    await drainedBy(heir);
    expectExact(30);
    const takeovers = (await metrics.callstream_task_takeovers_total.get()).values;
    expect(takeovers.map(({ labels, value }) => [labels.result, value])).toEqual([['ok', 1]]);
  });

  it('writes, and restores from, the share of the output that is the worker’s own', async () => {
    const own = { topic: 'out', partition: 1 };
    const share: Partial<StreamWorkerOptions> = {
      outputShare: 1,
      createProcessor: (context) => {
        const processor = new SumProcessor(context, 'out', own.partition);
        processors.push(processor);
        return processor;
      },
    };
    await expect(start(share)).rejects.toMatchObject({ code: 'STREAM_PARTITIONS_DIFFER' });
    broker.create('out', 2);
    add(10);
    const first = await start(share);
    await drainedBy(first);
    expect(first.problems()).toEqual([]);
    await first.stop();
    expect(broker.committed(GROUP, own)?.offset).toBe(String(broker.values(own).length));
    expect(broker.committed(GROUP, OUTPUT)).toBeUndefined();
    add(5);
    await start(share);
    await drained();
    expect(processors.at(-1)?.restoredRecords).toBeGreaterThan(0);
    expect(broker.values(OUTPUT)).toEqual([]);
    const sums = broker.values(own).map((value) => JSON.parse(value) as Sum);
    expect(sums.at(-1)).toMatchObject({ sum: 15, revision: sums.length });
  });

  it('fetches nothing before the state is restored', async () => {
    add(10);
    let rounds = 0;
    let fetched = -1;
    await start({
      faultPoint: async (point) => {
        if (point !== 'before-seek') return;
        const member = memberOf(GROUP);
        await member.idle(3);
        rounds = member.rounds;
        fetched = member.fetched.length;
      },
    });
    await drained();
    expect(fetched).toBe(0);
    expect(rounds).toBeGreaterThan(2);
    expectExact(10);
  });

  it('fetches nothing before the state is restored, also after a restart of kafkajs’s consumer', async () => {
    add(10);
    let fetched = -1;
    await start({
      faultPoint: async (point) => {
        if (point !== 'after-restore') return;
        const member = memberOf(GROUP);
        member.restart();
        await member.idle(3);
        fetched = member.fetched.length;
      },
    });
    await drained();
    expect(fetched).toBe(0);
    expectExact(10);
  });

  it('seeks every input where it is committed, and resumes it then (rule 3e)', async () => {
    const worker = await start();
    await until(() => stateOf(worker) === 'running');
    const { told } = memberOf(GROUP);
    const last = () => told.slice(told.lastIndexOf('pause in:0'));
    expect(last()).toEqual(['pause in:0', 'seek in:0 0', 'resume in:0']);
    add(5);
    await drained();
    let failures = 1;
    broker.onStep = (step) => {
      if (step === 'commit' && failures-- > 0) throw new FakeProtocolError('REQUEST_TIMED_OUT');
    };
    add(5);
    await until(() => processors.length === 2 && stateOf(worker) === 'running');
    expect(last()).toEqual(['pause in:0', 'seek in:0 5', 'resume in:0']);
    await drained();
    expectExact(10);
  });

  it('finds its state by the metadata of the output where its inputs were made anew', async () => {
    const first = await start();
    add(5);
    await drained();
    await first.stop();
    broker.recreate('in');
    add(3);
    const second = await start();
    await takenOver(second);
    expect(second.problems()).toEqual([]);
    await drained();
    expectExact(8);
  });

  it('stops at topics that have more partitions than they had', async () => {
    const first = await start();
    add(5);
    await drained();
    await first.stop();
    for (const topic of TOPICS) broker.create(topic, 2);
    const second = await start();
    await until(() => stateOf(second) === 'stopped');
    expect(second.problems().join()).toContain('has 2 partitions, and the work so far was done with 1');
  });

  it.each<[what: string, spoil: () => void, message: string]>([
    [
      'an input that begins above the position',
      () => {
        broker.log(INPUT).low = 15;
      },
      '5 records are gone',
    ],
    [
      'an input that ends below the position',
      () => {
        broker.log(INPUT).records.length = 5;
      },
      'records that were processed are gone',
    ],
    ['a position that kafkajs has lost', () => broker.commit(GROUP, INPUT, -2), 'the place is lost'],
    [
      'an output that ends below what was written',
      () => {
        broker.log(OUTPUT).records.length = 0;
      },
      'was written and committed',
    ],
    [
      'an output that begins above what a restore needs',
      () => {
        broker.log(OUTPUT).low = 1;
      },
      'the state is needed from 0',
    ],
    [
      'an output without metadata',
      () => {
        for (const at of [INPUT, OUTPUT]) broker.commit(GROUP, at, 0);
      },
      'no commit metadata',
    ],
  ])('stops at %s', async (_, spoil, message) => {
    const first = await start();
    add(10);
    await drained();
    await first.stop();
    add(10);
    spoil();
    const worker = await start();
    await takenOver(worker);
    expect(stateOf(worker)).toBe('stopped');
    expect(worker.problems().join()).toContain(message);
    expect(published()).toHaveLength(broker.log(OUTPUT).records.length === 0 ? 0 : 1);
    expect(fatal).toEqual([]);
  });

  it('restores nothing beyond the last output that was committed with it (State)', async () => {
    const first = await start();
    add(5);
    await drained();
    await first.stop();
    await start({
      faultPoint: (point) => {
        if (point === 'before-restore') broker.append(OUTPUT, 'k', '{"sum":1000,"count":1,"revision":9,"at":0}');
      },
    });
    await until(() => processors[1]?.meta0);
    expect(processors[1]?.state.get('k')?.sum).toBe(5);
  });

  it.each([{ restores: true }, { restores: false }])('stops where Kafka has lost a commit whose outputs it kept (%o)', async (mode) => {
    const first = await start(mode);
    add(5);
    await drained();
    const forget = forgetting();
    add(5);
    await drained();
    await first.stop();
    forget();
    const outputs = published();
    const heir = await start(mode);
    await takenOver(heir);
    expect(stateOf(heir)).toBe('stopped');
    expect(heir.problems().join()).toContain(
      'Partition 0 of out has records from offset 2 on that no commit of the group knows, which ends at 0',
    );
    expect(published()).toEqual(outputs);
    expect(fatal).toEqual([]);
  });

  it('stops where Kafka has lost the first commit that came with outputs', async () => {
    const first = await start();
    await until(() => position() === 0);
    const forget = forgetting();
    add(5);
    await drained();
    await first.stop();
    forget();
    const heir = await start();
    await takenOver(heir);
    expect(heir.problems().join()).toContain('has records from offset 0 on that no commit of the group knows');
    expect(published()).toHaveLength(1);
  });

  it.each([{ restores: true }, { restores: false }])(
    'goes on behind what another program has put there outside of transactions (%o)',
    async (mode) => {
      const first = await start(mode);
      add(5);
      await drained();
      await first.stop();
      broker.append(OUTPUT, 'k', 'nothing that a task would write');
      const heir = await start(mode);
      await takenOver(heir);
      expect(heir.problems()).toEqual([]);
      add(5);
      await drained();
      expect(position()).toBe(10);
    },
  );

  it.each([{ restores: true }, { restores: false }])('goes on behind what an aborted transaction has left (%o)', async (mode) => {
    const first = await start(mode);
    add(5);
    await drained();
    let failures = 3;
    broker.onStep = (step) => {
      if (step === 'offsets' && failures-- > 0) throw new FakeProtocolError('REQUEST_TIMED_OUT');
    };
    add(5);
    await drained();
    await first.stop();
    const { lastOutput } = decodeMeta(broker.committed(GROUP, OUTPUT)?.metadata ?? null) ?? {};
    for (const state of ['aborted', 'aborted', 'control'] as const)
      broker.log(OUTPUT).records.push({ state, key: Buffer.from('k'), value: Buffer.from('{}'), headers: {}, timestamp: 0 });
    const heir = await start(mode);
    await takenOver(heir);
    expect(heir.problems()).toEqual([]);
    expect(processors.at(-1)?.meta0).toMatchObject({ lastOutput });
    add(5);
    await drained();
    expect(failures).toBeLessThan(0);
    if (mode.restores) expectExact(15);
  });

  it('is done anew, and by nobody else’s hand, where an heir has committed meanwhile', async () => {
    const first = await start();
    add(5);
    await drained();
    await first.stop();
    broker.steps.length = 0;
    let overtaken = 0;
    const meta = decodeMeta(broker.committed(GROUP, OUTPUT)?.metadata ?? null);
    broker.onStep = (step, of) => {
      // After the offsets are read, and before the ends of the logs are.
      const fenced = broker.steps.indexOf(`fence ${GROUP}-0`);
      if (step !== 'ranges' || of !== 'out' || overtaken > 0 || fenced === -1) return;
      if (broker.steps.lastIndexOf(`committed ${GROUP}`) < fenced) return;
      overtaken += 1;
      const at = broker.log(OUTPUT).records.length;
      const value = Buffer.from('{"sum":7,"count":6,"revision":2,"at":0}');
      broker.log(OUTPUT).records.push({ state: 'committed', key: Buffer.from('k'), value, headers: {}, timestamp: 0, transactional: true });
      for (const place of [INPUT, OUTPUT]) {
        const offset = place === INPUT ? position() : at + 1;
        broker.commit(GROUP, place, offset, JSON.stringify({ ...meta, lastOutput: at }));
      }
    };
    const worker = await start();
    await takenOver(worker);
    expect(overtaken).toBe(1);
    expect(stateOf(worker)).toBe('running');
    expect(processors.at(-1)?.state.get('k')).toMatchObject({ sum: 7, revision: 2 });
    expect(worker.problems()).toEqual([]);
  });

  it('goes on where it was when an input topic is added, which is read from its start, and counts nothing twice when it was taken away meanwhile', async () => {
    const added = { topic: 'added', partition: 0 };
    broker.create(added.topic);
    for (let i = 0; i < 4; i += 1) broker.append(added, 'k', '{"n":1}', Date.now() - 86_400_000);
    const first = await start();
    add(10);
    await drained();
    await first.stop();
    // First in the list: what is known does not hang on the topic that is looked at first.
    const inputs = ['added', 'in'];
    const second = await start({ inputs });
    await until(() => broker.drained(GROUP, inputs));
    expectExact(14);
    expect(processors[1]?.meta0).toMatchObject({ lastOutput: expect.any(Number), restoreFrom: expect.any(Number) });
    await second.stop();

    const old = await start();
    add(10);
    await drained();
    await old.stop();
    add(3);
    broker.append(added, 'k', '{"n":1}');
    const again = await start({ inputs });
    await until(() => broker.drained(GROUP, inputs));
    expectExact(28);
    expect(stateOf(again)).toBe('running');
    expect(fatal).toEqual([]);
  });

  it('is not held back in its stream time by a topic that nothing comes by, nor by one whose last record is long ago', async () => {
    broker.create('rare');
    broker.create('never');
    const inputs = ['in', 'rare', 'never'];
    broker.append({ topic: 'rare', partition: 0 }, 'k', '{"n":1}', Date.now() - 7 * 86_400_000);
    const began = Date.now();
    const worker = await start({ inputs });
    add(10, began);
    await until(() => (worker.tasks().get(0)?.streamTime ?? 0) > began);
    await until(() => broker.drained(GROUP, inputs));
    expectExact(11);
  });

  it('goes on with its restore in a new generation of the restorer', async () => {
    let joins = 0;
    class Disturbed extends SumProcessor {
      override restore(record: InputRecord): void {
        super.restore(record);
        const restorer = broker.members.find(({ groupId }) => groupId.startsWith(`${GROUP}.restore`));
        if (this.restoredRecords % 1_000 === 0 && joins++ < 3) restorer?.join([OUTPUT]);
      }
    }
    for (let i = 0; i < 4_500; i += 1) broker.append(INPUT, `k${i}`, '{"n":1}');
    const first = await start();
    await drained();
    await first.stop();
    await start({
      createProcessor: (context) => {
        const processor = new Disturbed(context, 'out');
        processors.push(processor);
        return processor;
      },
    });
    await until(() => processors[1]?.meta0);
    expect(joins).toBeGreaterThan(1);
    expect(processors[1]?.restoredRecords).toBe(4_500);
  });

  it('restores past aborted records, however many', async () => {
    const first = await start({ faultPoint: () => {} });
    broker.append(INPUT, 'a', '{"n":1}');
    await drained();
    for (let i = 0; i < 3_000; i += 1)
      broker.log(OUTPUT).records.push({ state: 'aborted', key: Buffer.from('a'), value: Buffer.from('{}'), headers: {}, timestamp: 0 });
    broker.append(INPUT, 'b', '{"n":1}');
    await drained();
    await first.stop();
    await start();
    await until(() => processors[1]?.meta0);
    expect([...(processors[1]?.state ?? [])].map(([key, { sum }]) => [key, sum])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
  });
});

describe('the restorer', () => {
  const restorer = (): Restorer => {
    const clients = createClients({ brokers: [broker.address] }, silentLogger());
    const made = new Restorer({ clients, groupId: GROUP, topic: 'two' });
    open.push({ stop: () => made.close() });
    return made;
  };
  const restorerMember = () => broker.members.find(({ groupId }) => groupId.startsWith(`${GROUP}.restore`)) as FakeConsumer;
  beforeEach(() => {
    broker.create('two', 2);
    for (let i = 0; i < 10; i += 1) for (const partition of [0, 1]) broker.append({ topic: 'two', partition }, 'k', String(i));
  });

  it('reads the range that it is asked for, again and again, and nothing else', async () => {
    const made = restorer();
    const read: string[] = [];
    const sink = (records: InputRecord[]) => {
      for (const { partition, offset } of records) read.push(`${partition}:${offset}`);
    };
    await made.restore(1, 3, 5, sink);
    await made.restore(1, 2, 3, sink);
    await made.restore(1, 7, 6, sink);
    expect(read).toEqual(['1:3', '1:4', '1:5', '1:2', '1:3']);
    const fetched = restorerMember().fetched.length;
    await restorerMember().idle(20);
    expect(restorerMember().fetched).toHaveLength(fetched);
    expect(restorerMember().fetched.every(({ place }) => place === 'two:1')).toBe(true);
    expect(restorerMember().groupId).not.toBe(GROUP);
  });

  it('believes no batch that begins above its place, and goes on where it was', async () => {
    const made = restorer();
    const read: number[] = [];
    await made.restore(1, 0, 0, () => {});
    vi.spyOn(restorerMember(), 'seek').mockImplementationOnce((to) => restorerMember().seek({ ...to, offset: '6' }));
    await made.restore(1, 2, 9, (records) => read.push(...records.map(({ offset }) => offset)));
    expect(read).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('leaves nobody waiting when it is closed', async () => {
    const made = restorer();
    const restoring = made.restore(0, 0, 100, () => {});
    const failed = expect(restoring).rejects.toThrow('closing');
    await until(() => restorerMember()?.fetched.length > 0);
    await made.close();
    await failed;
  });

  it('leaves nobody waiting when it is closed while it joins', async () => {
    const made = restorer();
    const failed = expect(made.restore(0, 0, 100, () => {})).rejects.toThrow('closing');
    await made.close();
    await failed;
  });
});

describe('a member of a group', () => {
  it('hands over nothing that was fetched before a seek (rule 3e)', async () => {
    add(10);
    const taken: number[] = [];
    const member = new GroupMember(
      { clients: createClients({ brokers: [broker.address] }, silentLogger()), groupId: GROUP, topics: ['in'] },
      {
        joined: () => {},
        batch: ({ fetchedOffset }) => taken.push(fetchedOffset) > 0,
        crashed: (error) => fatal.push(error),
      },
    );
    broker.onFetched = (_, from) => {
      if (from === 0) member.seek('in', 0, 4);
    };
    open.push(member);
    await member.start();
    await until(() => taken.length > 0);
    expect(taken).toEqual([4]);
  });
});

describe('a position', () => {
  it('is sought again when kafkajs begins above it (rule 3e)', async () => {
    const worker = await start();
    add(10);
    await drained();
    const member = memberOf(GROUP);
    member.seek({ ...INPUT, offset: '15' });
    add(10);
    await until(() => member.fetched.some(({ from }) => from === 15));
    expect(member.told.at(-1)).toBe('seek in:0 10');
    await drained();
    expectExact(20);
    expect(worker.problems()).toEqual([]);
    expect(processors).toHaveLength(1);
  });

  it('is not committed by kafkajs, nor moved by what it only fetched (rule 8)', async () => {
    const offsets: number[] = [];
    await start({
      faultPoint: (point) => {
        if (point === 'before-commit') offsets.push(position());
      },
    });
    add(10);
    await drained();
    add(10);
    await drained();
    expect(offsets).toEqual([-1, 0, 10]);
    expect(decodeMeta(broker.committed(GROUP, INPUT)?.metadata ?? null)).not.toBeNull();
    expect(memberOf(GROUP).options).toMatchObject({ autoCommit: false, eachBatchAutoResolve: false });
  });

  it('moves on over records that consumers never see (rule 3e)', async () => {
    await start();
    add(5);
    for (let i = 0; i < 2_500; i += 1)
      broker.log(INPUT).records.push({ state: 'aborted', key: null, value: Buffer.from('{"n":1}'), headers: {}, timestamp: 0 });
    await drained();
    expect(position()).toBe(2_505);
    expectExact(5);
  });

  it('goes on once a person has accepted the gap', async () => {
    const first = await start();
    add(10);
    await drained();
    await first.stop();
    const { metadata } = broker.committed(GROUP, INPUT) ?? {};
    add(10);
    broker.log(INPUT).low = 15;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const worker = await start();
      await until(() => stateOf(worker) === 'stopped');
      broker.commit(GROUP, INPUT, 15, metadata);
      await vi.advanceTimersByTimeAsync(31_000);
      await drained();
      expectExact(15);
      expect(worker.problems()).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('below which records vanish stops the task (rule 7)', async () => {
    const worker = await start();
    add(10);
    await drained();
    add(10);
    broker.log(INPUT).low = 15;
    const { fetched } = memberOf(GROUP);
    await until(() => stateOf(worker) === 'stopped' || fetched.length > 1_000);
    expect(worker.problems().join()).toContain('is read at 10, and holds 15 to 20');
    expectExact(10);
  });

  it('that ends below the position stops the task: its broker has lost records (rule 7)', async () => {
    const worker = await start();
    add(10);
    await drained();
    broker.log(INPUT).records.length = 5;
    await until(() => stateOf(worker) === 'stopped');
    expect(worker.problems().join()).toContain('is read at 10, and holds 0 to 5');
    expectExact(10);
  });

  it('that cannot be checked, for the brokers are silent, is taken over anew when they are not', async () => {
    const worker = await start();
    add(10);
    await drained();
    let silent = true;
    broker.onStep = (step) => {
      if (step === 'ranges' && silent) throw new CallstreamError('STREAM_NO_ANSWER', 'Kafka has not answered for 20000 ms.');
    };
    add(10);
    const log = broker.log(INPUT);
    log.low = 15;
    await until(() => stateOf(worker) === 'waiting');
    log.low = 0;
    silent = false;
    await drained();
    expectExact(20);
    expect(worker.state).toBe('running');
  });

  it('goes on from a pause of a full queue (rule 2)', async () => {
    let full = true;
    class Full extends SumProcessor {
      saturated(): boolean {
        return full;
      }
    }
    add(60_000);
    await start({ createProcessor: (context) => new Full(context, 'out') });
    const { fetched } = memberOf(GROUP);
    await until(() => fetched.length > 0 && (memberOf(GROUP).isPaused(INPUT) || fetched.length > 50));
    expect(fetched.length).toBeLessThan(25);
    full = false;
    await drained();
    expectExact(60_000);
  });
});

describe('a failed transaction (rule 4)', () => {
  it('ends the producer: what is sent next is not taken for a repetition', async () => {
    await start();
    add(5);
    await drained();
    let losses = 3;
    broker.onStep = (step) => {
      if (step === 'answer' && losses-- > 0) throw new FakeProtocolError('the answer is lost');
    };
    add(5);
    await drained();
    expectExact(10);
    expect(losses).toBeLessThan(0);
    expect(processors).toHaveLength(4);
  });

  it('is followed by a takeover only after the group has counted this member in once more', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const worker = await start();
      add(5);
      await drained();
      broker.heartbeats = false;
      broker.fence(`${GROUP}-0`);
      const fences = () => broker.steps.filter((step) => step === `fence ${GROUP}-0`).length;
      const before = fences();
      add(5);
      await until(() => stateOf(worker) === 'waiting');
      await vi.advanceTimersByTimeAsync(20_000);
      expect([stateOf(worker), fences()]).toEqual(['waiting', before]);
      broker.heartbeats = true;
      await drained();
      expect(fences()).toBe(before + 1);
      expectExact(10);
    } finally {
      vi.useRealTimers();
    }
  });

  it('is not followed by a takeover when the group has given the partition away', async () => {
    const worker = await start();
    add(5);
    await drained();
    broker.heartbeats = false;
    broker.fence(`${GROUP}-0`);
    const steps = broker.steps.length;
    add(5);
    await until(() => stateOf(worker) === 'waiting');
    memberOf(GROUP).join([]);
    await until(() => worker.tasks().size === 0);
    await worker.stop();
    expect(broker.steps.slice(steps)).not.toContain(`fence ${GROUP}-0`);
  });

  it('of a processor that wants to begin anew is no failure of the process (rule 10)', async () => {
    let failures = 1;
    class Wiser extends SumProcessor {
      override flush(now: number) {
        if (this.state.size > 0 && failures-- > 0) throw new StartOver('now it knows better', null);
        return super.flush(now);
      }
    }
    await start({ createProcessor: (context) => new Wiser(context, 'out') });
    add(5);
    await drained();
    expect(failures).toBeLessThan(1);
    expect(fatal).toEqual([]);
    expectExact(5);
  });

  it('leaves no doubt about the output of a task that has never committed (State)', async () => {
    let failures = 1;
    // No time passes before there is an output: nothing but that is committed first.
    let held = true;
    const real = performance.now.bind(performance);
    passing(() => (held ? 0 : 10_000 + real()));
    class Timed extends SumProcessor {
      override process(record: InputRecord, observe: Observe): void {
        held = false;
        super.process(record, observe);
      }
    }
    const worker = await start({
      createProcessor: (context) => new Timed(context, 'out'),
      faultPoint: (point) => {
        if (point === 'after-send' && broker.log(OUTPUT).records.length > 0 && failures-- > 0) throw new Error('injected');
      },
    });
    add(5);
    await until(() => broker.drained(GROUP, ['in']) || stateOf(worker) === 'stopped');
    expect(failures).toBeLessThan(1);
    expect(worker.problems()).toEqual([]);
    expectExact(5);
  });

  it('is not followed by takeovers without a pause (rule 4)', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      let attempts = 0;
      broker.onStep = (step) => {
        if (step !== 'fence') return;
        attempts += 1;
        throw new FakeProtocolError('COORDINATOR_NOT_AVAILABLE');
      };
      await start();
      await memberOf(GROUP).idle(30);
      expect(attempts).toBe(1);
      await vi.advanceTimersByTimeAsync(100);
      await memberOf(GROUP).idle(30);
      expect(attempts).toBe(2);
      await vi.advanceTimersByTimeAsync(100);
      await memberOf(GROUP).idle(30);
      expect(attempts).toBeLessThan(4);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a transaction', () => {
  it('holds outputs and offsets together, or neither (rule 8)', async () => {
    const seen: unknown[] = [];
    await start({
      faultPoint: (point) => {
        if (point !== 'before-commit' || processors.at(-1)?.state.get('k')?.count !== 10 || seen.length > 0) return;
        seen.push(
          position(),
          published().map(({ sum }) => sum),
        );
        throw new Error('injected');
      },
    });
    add(5);
    await drained();
    add(5);
    await drained();
    expect(seen).toEqual([5, [5]]);
    expectExact(10);
  });

  it('leaves where a restore begins with the oldest record of the state (State)', async () => {
    await start();
    broker.append(INPUT, 'old', '{"n":1}');
    await drained();
    const oldest = broker.log(OUTPUT).records.findIndex(({ state }) => state === 'committed');
    for (let i = 0; i < 3; i += 1) {
      add(1);
      await drained();
    }
    expect(decodeMeta(broker.committed(GROUP, INPUT)?.metadata ?? null)?.restoreFrom).toBe(oldest);
    expect(published()).toHaveLength(4);
  });

  it('is made where only what a restore needs has changed, so that it reaches back to nothing that the topic has dropped (State)', async () => {
    let due: number | null = null;
    let told = 0;
    class Emptied extends SumProcessor {
      override nextTimer(): number | null {
        return due;
      }
      override punctuate(): void {
        due = null;
        this.state.clear();
      }
      override committed(base: number | null): void {
        super.committed(base);
        told += 1;
      }
    }
    await start({ createProcessor: (context) => new Emptied(context, 'out') });
    const restoreFrom = () => decodeMeta(broker.committed(GROUP, INPUT)?.metadata ?? null)?.restoreFrom;
    add(5);
    await drained();
    expect(restoreFrom()).toEqual(expect.any(Number));
    const before = told;
    due = 1;
    await until(() => due === null && told > before);
    expect(restoreFrom()).toBeNull();
  });

  it('is counted once it is committed, and only then', async () => {
    let counted = 0;
    const worker = await start({
      onCommitted: ({ changed = 0 }) => {
        counted += changed;
      },
    });
    add(5);
    await drained();
    let losses = 2;
    broker.onStep = (step) => {
      if (step === 'answer' && losses-- > 0) throw new FakeProtocolError('the answer is lost');
    };
    add(5);
    await drained();
    await worker.stop();
    expect(losses).toBeLessThan(1);
    expect(counted).toBe(published().length);
  });

  it('ends after 20,000 records though the backlog does not (rule 6)', async () => {
    add(45_000);
    passing(() => 1_000);
    await start();
    await until(() => position() >= 40_000);
    expect(position()).toBe(40_000);
  });

  it('begins 100 ms after the last one began, and no sooner (rule 6)', async () => {
    let now = 1_000;
    passing(() => now);
    await start();
    await until(() => position() === 0);
    now += 100;
    add(5);
    await drained();
    add(5);
    await until(() => processors[0]?.state.get('k')?.count === 10);
    now += 99;
    await memberOf(GROUP).idle(50);
    expect(position()).toBe(5);
    now += 1;
    await drained();
    expectExact(10);
  });

  it('ends after a second though the backlog does not (rule 6)', async () => {
    let now = 0;
    class Slow extends SumProcessor {
      async prepare(): Promise<void> {
        await until(() => memberOf(GROUP).fetched.length >= 5);
      }
      override process(record: InputRecord, observe: Observe): void {
        now += 1;
        super.process(record, observe);
      }
    }
    add(5_000);
    passing(() => now);
    await start({ createProcessor: (context) => new Slow(context, 'out') });
    await until(() => position() > 0);
    expect(position()).toBeLessThan(5_000);
  });

  it('of timers alone commits the same metadata everywhere, so that a restore finds what it wrote (State)', async () => {
    let due: number | null = null;
    class Closing extends SumProcessor {
      override nextTimer(): number | null {
        return due;
      }
      override punctuate(streamTime: number): void {
        due = null;
        super.process({ ...INPUT, offset: 0, timestamp: 0, key: Buffer.from('k'), value: Buffer.from('{"n":100}') }, () => streamTime);
      }
    }
    const worker = await start({
      inputs: ['in', 'late'],
      deferred: 'late',
      createProcessor: (context) => {
        const processor = new Closing(context, 'out');
        processors.push(processor);
        return processor;
      },
    });
    add(5);
    await drained();
    due = 1;
    await until(() => published().at(-1)?.sum === 105);
    const copies = TOPICS.map((topic) => decodeMeta(broker.committed(GROUP, { topic, partition: 0 })?.metadata ?? null));
    expect(copies[0]).toMatchObject({ lastOutput: broker.log(OUTPUT).records.length - 2 });
    expect(copies).toEqual([copies[0], copies[0], copies[0]]);
    await worker.stop();
    await start();
    await until(() => processors[1]?.meta0);
    expect(processors[1]?.state.get('k')?.sum).toBe(105);
  });

  it('without output leaves the place of the last one (State)', async () => {
    class Quiet extends SumProcessor {
      override process(record: InputRecord, observe: Observe): void {
        if (String(record.value) !== '{"n":0}') super.process(record, observe);
      }
    }
    const createProcessor: StreamWorkerOptions['createProcessor'] = (context) => {
      const processor = new Quiet(context, 'out');
      processors.push(processor);
      return processor;
    };
    const first = await start({ createProcessor });
    add(5);
    await drained();
    broker.append(INPUT, 'k', '{"n":0}');
    await drained();
    await first.stop();
    await start({ createProcessor });
    await until(() => processors[1]?.meta0);
    expect(processors[1]?.state.get('k')?.sum).toBe(5);
  });

  it('of several requests begins where the first of them was written (State)', async () => {
    for (let i = 0; i < 4_500; i += 1) broker.append(INPUT, `k${i}`, '{"n":1}');
    const first = await start({ clock: { now: () => (position() < 0 ? 1_000 : Date.now()) } });
    await drained();
    await first.stop();
    await start();
    await until(() => processors[1]?.meta0);
    expect(processors[1]?.state.size).toBe(4_500);
  });

  it('waits for every in-sync replica, and names the partition of every record (rule 8)', async () => {
    await start();
    add(5);
    await drained();
    expect(broker.requests.length).toBeGreaterThan(0);
    for (const { acks, topicMessages } of broker.requests) {
      expect(acks).toBe(-1);
      for (const { messages } of topicMessages) for (const { partition } of messages) expect(partition).toBe(0);
    }
  });
});

describe('stream time', () => {
  it('does not wait for the deferred topic (Late input)', async () => {
    let now = 1_000;
    class Needy extends SumProcessor {
      async prepare(records: readonly InputRecord[]): Promise<void> {
        if (records[0]?.topic === 'late') throw new Error('ClickHouse is away');
      }
    }
    const worker = await start({
      clock: { now: () => now },
      inputs: ['in', 'late'],
      deferred: 'late',
      createProcessor: (context) => new Needy(context, 'out'),
    });
    broker.append({ topic: 'late', partition: 0 }, 'k', '{"n":1}', now);
    await until(() => worker.problems().some((problem) => problem.includes('ClickHouse is away')));
    now = 5_000;
    const asked = () => broker.steps.filter((step) => step === 'ranges late').length;
    const before = asked();
    await until(() => worker.tasks().get(0)?.streamTime === 5_000 || asked() > before + 20);
    expect(worker.tasks().get(0)?.streamTime).toBe(5_000);
    expect(broker.committed(GROUP, { topic: 'late', partition: 0 })?.offset).toBe('0');
  });

  it('counts an end as of before the question, never of the answer', async () => {
    let now = 1_000;
    const seen: [streamTime: number, now: number][] = [];
    let worker: StreamWorker | null = null;
    broker.onStep = (step) => {
      if (step !== 'ranges') return;
      const task = worker?.tasks().get(0);
      if (task !== undefined) seen.push([task.streamTime, now]);
      // Something may be appended while the question is on its way.
      now += 1_000;
    };
    worker = await start({ clock: { now: () => now } });
    await until(() => seen.length > 5);
    expect(seen.at(-1)?.[0]).toBeGreaterThan(1_000);
    for (const [streamTime, at] of seen) expect(streamTime).toBeLessThan(at);
  });

  it('of a takeover is that of before its questions', async () => {
    let now = 1_000;
    let fenced = false;
    broker.onStep = (step) => {
      if (step === 'fence') fenced = true;
      if (step === 'ranges' && fenced) now += 1_000;
    };
    await start({ clock: { now: () => now }, endsEveryMs: 1_000_000 });
    await until(() => broker.committed(GROUP, INPUT)?.metadata);
    expect(decodeMeta(broker.committed(GROUP, INPUT)?.metadata ?? null)?.streamTime).toBe(1_000);
  });
});

describe('a process of no use says so (rule 9)', () => {
  const crash = (restart: boolean) => memberOf(GROUP).emit('consumer.crash', { restart, error: new Error('out of ideas') });

  it('when kafkajs gives up, once; not when it starts anew by itself', async () => {
    await start();
    crash(true);
    expect(fatal).toEqual([]);
    crash(false);
    crash(false);
    expect(fatal).toMatchObject([{ code: 'STREAM_CONSUMER_CRASHED', message: expect.stringContaining('out of ideas') }]);
  });

  it('when the group does not hear of it any more, though the brokers answer', async () => {
    await start({ watchdogMs: 50, sessionTimeoutMs: 10 });
    broker.heartbeats = false;
    await until(() => fatal.length > 0);
    expect(fatal).toMatchObject([{ code: 'STREAM_STUCK', message: expect.stringContaining('no contact with its consumer group') }]);
  });

  it('but not while the environment holds its input back, or only the deferred topic stands still', async () => {
    let away: string[] = ['in', 'late'];
    class Needy extends SumProcessor {
      async prepare(records: readonly InputRecord[]): Promise<void> {
        if (away.includes(records[0]?.topic ?? '')) throw new Error('away');
      }
    }
    const worker = await start({
      watchdogMs: 20,
      inputs: ['in', 'late'],
      deferred: 'late',
      createProcessor: (context) => new Needy(context, 'out'),
    });
    const asked = () => broker.steps.filter((step) => step === 'ranges in').length;
    add(5);
    broker.append({ topic: 'late', partition: 0 }, 'k', '{"n":1}');
    await until(() => stateOf(worker) === 'blocked');
    for (let from = asked(); asked() < from + 15; ) await memberOf(GROUP).idle(1);
    expect(fatal).toEqual([]);
    away = ['late'];
    await drained();
    for (let from = asked(); asked() < from + 15; ) await memberOf(GROUP).idle(1);
    expect(fatal).toEqual([]);
    expect(broker.drained(GROUP, ['late'])).toBe(false);
    away = [];
    await until(() => broker.drained(GROUP, ['late']));
  });

  it('and so does a collector', async () => {
    const collector = await collect();
    const taken = collector.take(TAKE);
    crash(false);
    await expect(taken).rejects.toMatchObject({ code: 'STREAM_CONSUMER_CRASHED' });
    expect(fatal).toHaveLength(1);
    expect(collector.problems().join()).toContain('out of ideas');
  });
});

const TAKE = { maxRecords: 100_000, maxBytes: 100_000_000, lingerMs: 0 };

async function collect(): Promise<Collector> {
  const kafka = { brokers: [broker.address] };
  const onFatal = (error: unknown) => fatal.push(error);
  const collector = new Collector({ name: 'sink', kafka, groupId: GROUP, topics: ['in'], logger: silentLogger(), onFatal, heartbeatMs: 5 });
  open.push(collector);
  await collector.start();
  return collector;
}

describe('a collector', () => {
  it('does not join under another group than migrate has stored (rule 8)', async () => {
    const stored = { v: 1, partitions: 1, groups: { sink: 'callstream-sink' } };
    broker.commit('callstream.installation', INPUT, 0, JSON.stringify(stored));
    await expect(collect()).rejects.toMatchObject({ code: 'STREAM_GROUP_CHANGED', message: expect.stringContaining('callstream-sink') });
    expect(memberOf(GROUP).fetched).toEqual([]);
  });

  it('moves on over records that consumers never see (rule 3e)', async () => {
    const aborted = { state: 'aborted', key: null, value: null, headers: {}, timestamp: 0 } as const;
    for (let i = 0; i < 1_500; i += 1) broker.log(INPUT).records.push({ ...aborted });
    add(3);
    for (let i = 0; i < 2_500; i += 1) broker.log(INPUT).records.push({ ...aborted });
    const collector = await collect();
    const taken: number[] = [];
    while (position() < 4_003) {
      const batch = await collector.take(TAKE);
      taken.push(...batch.records.map(({ offset }) => offset));
      await collector.commit(batch);
    }
    expect(taken).toEqual([1_500, 1_501, 1_502]);
  });

  it('commits nothing of a stay that has ended, also when the partition has come back (§3)', async () => {
    add(10);
    const collector = await collect();
    const stale = await collector.take(TAKE);
    expect(stale.records).toHaveLength(10);
    // Another member has had the partition meanwhile, and has committed more.
    memberOf(GROUP).join([]);
    add(10);
    broker.commit(GROUP, INPUT, 20);
    memberOf(GROUP).join([INPUT]);
    await collector.commit(stale);
    expect(position()).toBe(20);
    add(1);
    expect((await collector.take(TAKE)).records.map(({ offset }) => offset)).toEqual([20]);
  });

  it.each(['before it is sent', 'while it is on its way'])('does not commit what it loses %s (§3)', async (when) => {
    add(20);
    const collector = await collect();
    const batch = await collector.take({ ...TAKE, maxRecords: 10 });
    const lose = () => {
      memberOf(GROUP).join([]);
      broker.commit(GROUP, INPUT, 15);
    };
    broker.onStep = (step) => {
      if (step !== 'offsets') return;
      broker.onStep = () => {};
      lose();
      throw new FakeProtocolError('ILLEGAL_GENERATION');
    };
    const committed = collector.commit(batch);
    if (when === 'before it is sent') lose();
    await committed;
    expect(position()).toBe(15);
  });

  it('keeps nothing of what it had fetched before a new generation', async () => {
    add(10);
    const collector = await collect();
    await until(() => memberOf(GROUP).fetched.length > 0);
    memberOf(GROUP).join([INPUT]);
    add(10);
    const taken: number[] = [];
    while (position() < 20) {
      const batch = await collector.take(TAKE);
      taken.push(...batch.records.map(({ offset }) => offset));
      await collector.commit(batch);
    }
    expect(taken).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});

describe('the durable producer', () => {
  const record = (n: number) => ({ topic: 'out', partition: 0, key: 'k', value: Buffer.from(String(n)) });
  const renewals: string[] = [];
  let producer: DurableProducer;
  beforeEach(() => {
    renewals.length = 0;
    producer = new DurableProducer({
      kafka: { brokers: [broker.address] },
      logger: silentLogger(),
      onRenewal: (reason) => renewals.push(reason),
    });
    open.push({ stop: () => producer.close() });
  });

  it('is made anew after a lost answer, so that what is sent next is not taken for a repetition (rule 4)', async () => {
    await producer.send([record(0)]);
    let losses = 1;
    broker.onStep = (step) => {
      if (step === 'answer' && losses-- > 0) throw new FakeProtocolError('the answer is lost');
    };
    await expect(producer.send([record(1)])).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
    await producer.send([record(2)]);
    expect(broker.values(OUTPUT)).toEqual(['0', '1', '2']);
    expect(renewals).toEqual(['KafkaJSProtocolError']);
  });

  it('rejects a send whose answer leaves a partition out, and is made anew (rule 5)', async () => {
    broker.onAnswer = () => [];
    await expect(producer.send([record(1)])).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
    expect(renewals).toEqual(['STREAM_SEND_INCOMPLETE']);
  });

  it('sends one flight at a time, in the order of the calls, and waits for every in-sync replica (rules 4 and 8)', async () => {
    let flying = 0;
    let most = 0;
    broker.onStep = async (step) => {
      if (step === 'send') most = Math.max(most, ++flying);
      else if (step === 'answer') flying -= 1;
      await new Promise((resolve) => setImmediate(resolve));
    };
    await Promise.all(Array.from({ length: 20 }, (_, i) => producer.send([record(i)])));
    expect(most).toBe(1);
    expect(broker.values(OUTPUT)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
    expect(broker.requests.every(({ acks }) => acks === -1)).toBe(true);
  });
});
