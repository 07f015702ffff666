import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createClients } from '../../src/stream/client.js';
import { decodeMeta } from '../../src/stream/task-meta.js';
import { TaskProducer } from '../../src/stream/task-producer.js';
import type { InputRecord, Observe, OutputRecord } from '../../src/stream/types.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { additions, type Broker, problemsOf, Scene, type Sum, SumProcessor, startBroker, until } from './stream-kit.js';

let broker: Broker;
let scene: Scene;
beforeAll(async () => {
  broker = await startBroker();
});
afterAll(async () => {
  await broker?.stop();
});
afterEach(async () => {
  await scene?.close();
});

const clients = () => createClients({ brokers: [broker.address] }, silentLogger());

describe('a stream worker', () => {
  it('publishes the sums of its input, and goes on where it stopped', async () => {
    scene = await new Scene(broker).create();
    const first = additions(2_000, 20);
    await scene.add(first.list);
    const worker = await scene.worker();
    await scene.drained();
    expect(problemsOf(await scene.published(), first.sums)).toEqual([]);
    await worker.stop();

    await scene.add(first.list);
    await scene.worker();
    await scene.drained();
    const twice = new Map([...first.sums].map(([key, sum]) => [key, sum * 2]));
    expect(problemsOf(await scene.published(), twice)).toEqual([]);
    expect(scene.fatal).toEqual([]);
  });

  it('commits the same metadata on every input partition and on the output partition (State)', async () => {
    scene = await new Scene(broker).create();
    await scene.add(additions(100, 10).list);
    await scene.worker({ inputs: [scene.input, scene.late], deferred: scene.late });
    await scene.drained();
    const copies = await Promise.all([scene.input, scene.late, scene.output].map((topic) => scene.committed(topic)));
    for (const p of [0, 1]) {
      const metas = copies.map((partitions) => decodeMeta(partitions[p]?.metadata ?? null));
      expect(metas[0]).toMatchObject({ v: 1, partitions: 2, group: scene.group, restoreFrom: 0, lastOutput: 4 });
      expect(metas[0]?.streamTime).toBeGreaterThan(0);
      expect(metas).toEqual([metas[0], metas[0], metas[0]]);
    }
  });

  it('goes on where it was when an input topic is added, beside a member that does not know it and then without', async () => {
    const added = `added-${Date.now()}`;
    scene = await new Scene(broker).create([added]);
    const first = additions(500, 10);
    await scene.add(first.list);
    await scene.add(first.list, added);
    const old = await scene.worker();
    await scene.drained();
    // The first is one that both know: by it a member learns of its tasks.
    const inputs = [scene.input, added];
    await scene.worker({ inputs });
    await scene.add(first.list);
    await scene.drained();
    await old.stop();
    await scene.add(first.list);
    await scene.drained(inputs);
    const sums = new Map([...first.sums].map(([key, sum]) => [key, sum * 4]));
    expect(problemsOf(await scene.published(), sums)).toEqual([]);
    expect(scene.fatal).toEqual([]);
  });

  it('restores no more than from restoreFrom to its last output', async () => {
    scene = await new Scene(broker, 1).create();
    const worker = await scene.worker();
    for (let round = 0; round < 4; round += 1) {
      await scene.add(additions(30, 3).list);
      await scene.drained();
    }
    await worker.stop();
    await scene.worker();
    await until('a second takeover', () => scene.processors[1]?.meta0);
    expect(scene.processors[0]?.restoredRecords).toBe(0);
    expect(scene.processors[1]?.restoredRecords).toBe(3);
    expect(scene.processors[1]?.meta0).toMatchObject({ lastOutput: (scene.processors[1]?.meta0?.restoreFrom ?? 0) + 2 });
  });

  it('stops where a transaction was committed of which no offsets are known, and goes on behind an aborted one and what came in none', async () => {
    scene = await new Scene(broker).create();
    const all = additions(400, 20);
    const first = await scene.worker();
    await scene.add(all.list.slice(0, 200));
    await scene.drained();
    await first.stop();
    // Key 0 is of task 0, key 1 of task 1.
    const leave = async (partition: number, offsets: () => never[]) => {
      const producer = await TaskProducer.fence({
        clients: clients(),
        transactionalId: `${scene.group}-${partition}`,
        transactionTimeoutMs: 10_000,
      });
      const outputs = [
        { topic: scene.output, partition, key: String(partition), value: Buffer.from('{"sum":0,"count":0,"revision":2,"at":0}') },
      ];
      const transaction = {
        outputs,
        outputTopic: scene.output,
        outputPartition: partition,
        groupId: scene.group,
        offsets,
        fault: () => {},
      };
      await producer.transact(transaction).catch(() => {});
      producer.close();
    };
    const [unknown] = await scene.ends(scene.output);
    await leave(0, () => []);
    await leave(1, () => {
      throw new Error('it dies before it commits');
    });
    const stranger = broker.kafka.producer();
    await stranger.connect();
    await stranger.send({ topic: scene.output, messages: [{ partition: 1, key: 'of another program', value: '{}' }] });
    await stranger.disconnect();
    await scene.add(all.list.slice(200));
    const heir = await scene.worker();
    await until('both takeovers', () => heir.tasks().get(0)?.state === 'stopped' && heir.tasks().get(1)?.state === 'running');
    expect(heir.problems()).toEqual([
      `task 0 is stopped: Partition 0 of ${scene.output} has records from offset ${unknown} on that no commit of the group knows, which ends at ${(unknown ?? 0) - 2}: Kafka has lost the commit that they came with, or another program writes there in transactions. callstream doctor says how to go on.`,
    ]);
    const end = (await scene.ends(scene.input))[1];
    await until('task 1 at its end', async () => (await scene.committed())[1]?.offset === end);
    const odd = (of: Map<string, unknown>) => [...of].filter(([key]) => Number(key) % 2 === 1);
    const published = await scene.published();
    expect(problemsOf(new Map(odd(published) as [string, Sum[]][]), new Map(odd(all.sums) as [string, number][]))).toEqual([]);
    expect(published.get('0')?.map(({ revision }) => revision)).toEqual([1, 2]);
    expect(scene.fatal).toEqual([]);
  });

  it('reads what its own transactions leave behind: aborted records and control records move it on', async () => {
    scene = await new Scene(broker, 1).create();
    const send = async (commit: boolean, n: number) => {
      const producer = broker.kafka.producer({ idempotent: true, transactionalId: `${scene.group}-feed`, maxInFlightRequests: 1 });
      await producer.connect();
      const transaction = await producer.transaction();
      await transaction.send({ topic: scene.input, messages: [{ key: '0', value: JSON.stringify({ n }), partition: 0 }] });
      await (commit ? transaction.commit() : transaction.abort());
      await producer.disconnect();
    };
    await scene.worker();
    await send(true, 1);
    await send(false, 10);
    await send(true, 100);
    await send(false, 1_000);
    // An abort is answered before its marker is written: only then does the log end where it will.
    await vi.waitFor(async () => expect((await scene.ends(scene.input))[0]).toBe(8));
    await scene.drained();
    expect((await scene.published()).get('0')?.at(-1)?.sum).toBe(101);
    expect((await scene.committed())[0]?.offset).toBe(8);
  });

  it('waits for the group before it takes a fenced task back (rule 4)', async () => {
    scene = await new Scene(broker, 1).create();
    const metrics = createMetrics();
    const all = additions(300, 5);
    await scene.worker({ metrics });
    await scene.add(all.list.slice(0, 100));
    await scene.drained();
    const intruder = await TaskProducer.fence({ clients: clients(), transactionalId: `${scene.group}-0`, transactionTimeoutMs: 10_000 });
    await scene.add(all.list.slice(100));
    await scene.drained();
    intruder.close();
    expect(problemsOf(await scene.published(), all.sums)).toEqual([]);
    expect(scene.processors).toHaveLength(2);
    const takeovers = (await metrics.callstream_task_takeovers_total.get()).values;
    expect(takeovers.map(({ labels, value }) => [labels.result, value])).toEqual([['ok', 2]]);
  });

  it('gives every partition to one member, moves few, and counts exactly once through joins and leaves', async () => {
    scene = await new Scene(broker, 4).create();
    const all = additions(8_000, 40);
    const first = await scene.worker();
    await scene.add(all.list.slice(0, 2_000));
    await scene.drained();
    const adding = (async () => {
      for (let i = 2_000; i < 8_000; i += 200) await scene.add(all.list.slice(i, i + 200));
    })();
    const before = scene.processors.length;
    const second = await scene.worker();
    await until('two tasks each', () => first.tasks().size === 2 && second.tasks().size === 2);
    await until('all run', () => [...first.tasks().values(), ...second.tasks().values()].every(({ state }) => state === 'running'));
    expect(new Set([...first.tasks().keys(), ...second.tasks().keys()]).size).toBe(4);
    // The two that stayed were not taken over again.
    expect(scene.processors.length).toBe(before + 2);
    await second.stop();
    await until('all tasks are back', () => first.tasks().size === 4);
    await adding;
    await scene.drained();
    expect(problemsOf(await scene.published(), all.sums)).toEqual([]);
    expect(scene.fatal).toEqual([]);
  });

  it('refuses topics of different partition counts (rule 1)', async () => {
    scene = await new Scene(broker, 2).create();
    const other = await new Scene(broker, 3).create();
    await expect(scene.worker({ inputs: [scene.input, other.input] })).rejects.toMatchObject({ code: 'STREAM_PARTITIONS_DIFFER' });
  });

  it('commits small transactions at a steady rate (rule 6)', async () => {
    scene = await new Scene(broker, 1).create();
    const producer = await TaskProducer.fence({ clients: clients(), transactionalId: `${scene.group}-rate`, transactionTimeoutMs: 10_000 });
    const began = performance.now();
    for (let i = 0; i < 40; i += 1) {
      await producer.transact({
        outputs: [{ topic: scene.output, partition: 0, key: 'k', value: Buffer.from('{}') }],
        outputTopic: scene.output,
        outputPartition: 0,
        groupId: scene.group,
        offsets: (base) => [{ topic: scene.input, partition: 0, offset: base ?? 0, metadata: 'm' }],
        fault: () => {},
      });
    }
    const perSecond = 40_000 / (performance.now() - began);
    producer.close();
    console.log(`${perSecond.toFixed(0)} transactions per second of one producer`);
    expect(perSecond).toBeGreaterThan(5);
  });
});

describe('environment errors', () => {
  it('of preparing hold the input back, show in readiness, and pass (rule 10)', async () => {
    scene = await new Scene(broker, 1).create();
    let away = true;
    class Needy extends SumProcessor {
      async prepare(): Promise<void> {
        if (away) throw new Error('the registry is away');
      }
    }
    const worker = await scene.worker({ createProcessor: (context) => new Needy(context, scene.output) });
    const all = additions(50, 5);
    await scene.add(all.list);
    await until('the problem shows', () => worker.problems().some((p) => p.includes('the registry is away')));
    expect(worker.tasks().get(0)?.state).toBe('blocked');
    expect(await scene.published()).toEqual(new Map());
    away = false;
    await scene.drained();
    expect(worker.problems()).toEqual([]);
    expect(problemsOf(await scene.published(), all.sums)).toEqual([]);
  });

  it('of the deferred topic hold only that topic back, and stream time does not wait for it (Late input)', async () => {
    scene = await new Scene(broker, 1).create();
    let away = true;
    const headers: InputRecord['headers'][] = [];
    class Needy extends SumProcessor {
      async prepare(records: readonly InputRecord[]): Promise<void> {
        if (records[0]?.topic === scene.late && away) throw new Error('ClickHouse is away');
      }
      /** Negative numbers go round by the late topic once. */
      override process(record: InputRecord, observe: Observe): void {
        if (record.topic === scene.input && String(record.value).includes('-')) {
          this.deferred.push({
            topic: scene.late,
            partition: 0,
            key: Buffer.from(record.key ?? ''),
            value: Buffer.from(record.value ?? ''),
            headers: { from: `${record.topic} ${record.offset}`, name: 'ä' },
          });
          observe(null);
          return;
        }
        headers.push(record.headers);
        super.process(record, observe);
      }
      deferred: OutputRecord[] = [];
      override flush(now: number) {
        const { outputs, processed } = super.flush(now);
        outputs.push(...this.deferred);
        this.deferred = [];
        return { outputs, processed };
      }
    }
    const worker = await scene.worker({
      inputs: [scene.input, scene.late],
      deferred: scene.late,
      createProcessor: (context) => new Needy(context, scene.output),
    });
    await scene.add([
      { key: '1', n: 5 },
      { key: '2', n: -7 },
    ]);
    await scene.drained();
    expect(await scene.published()).toMatchObject(new Map([['1', [{ sum: 5 }]]]));
    const before = worker.tasks().get(0)?.streamTime ?? 0;
    await until('stream time moves on', () => (worker.tasks().get(0)?.streamTime ?? 0) > before);
    await scene.add([{ key: '1', n: 6 }]);
    await scene.drained();
    expect(worker.problems()).toEqual(['task 0 is running: late input waits: ClickHouse is away']);
    away = false;
    await scene.drained([scene.late]);
    const published = await scene.published();
    expect(published.get('2')?.at(-1)?.sum).toBe(-7);
    expect(published.get('1')?.at(-1)?.sum).toBe(11);
    // Of the deferred topic alone, as nobody else reads any.
    expect(headers).toEqual([undefined, undefined, { from: `${scene.input} 1`, name: 'ä' }]);
  });
});

describe('stream time', () => {
  it('moves on where nothing arrives, is carried over a restart, and never goes back', async () => {
    scene = await new Scene(broker, 1).create();
    const other = await new Scene(broker, 1).create();
    const inputs = [scene.input, other.input];
    const began = Date.now();
    let worker = await scene.worker({ inputs });
    await scene.add([{ key: '0', n: 1 }]);
    // The other topic is silent for ever: it counts as read to its end.
    await until('stream time passes', () => (worker.tasks().get(0)?.streamTime ?? 0) > began + 300);
    await scene.add([{ key: '0', n: 1 }]);
    await scene.drained();
    const carried = decodeMeta((await scene.committed())[0]?.metadata ?? null)?.streamTime ?? 0;
    expect(carried).toBeGreaterThan(began);
    await worker.stop();

    // A clock that is an hour slow cannot turn it back.
    worker = await scene.worker({ inputs, clock: { now: () => Date.now() - 3_600_000 } });
    await until('the task runs', () => worker.tasks().get(0)?.state === 'running');
    expect(worker.tasks().get(0)?.streamTime).toBe(carried);
  });

  it('is no later than the append time, whatever a record says of its arrival', async () => {
    scene = await new Scene(broker, 1).create();
    const slow = Date.now() - 3_600_000;
    const worker = await scene.worker({ clock: { now: () => slow } });
    await scene.add([{ key: '0', n: 1, received_at: Date.now() + 86_400_000 }]);
    await scene.drained();
    const at = worker.tasks().get(0)?.streamTime ?? 0;
    expect(at).toBeGreaterThan(slow + 3_000_000);
    expect(at).toBeLessThanOrEqual(Date.now());
  });

  it('runs timers on a silent partition (contract §7.5)', async () => {
    scene = await new Scene(broker, 1).create();
    class Closing extends SumProcessor {
      #due: number | null = null;
      override process(record: InputRecord, observe: Observe): void {
        this.#due = record.timestamp + 500;
        super.process(record, observe);
      }
      override nextTimer(): number | null {
        return this.#due;
      }
      override punctuate(streamTime: number): void {
        if (this.#due === null || this.#due > streamTime) return;
        this.#due = null;
        const entry = this.state.get('0');
        if (entry !== undefined) super.process({ ...BLANK, key: Buffer.from('0'), value: Buffer.from('{"n":1000}') }, () => streamTime);
      }
    }
    await scene.worker({ createProcessor: (context) => new Closing(context, scene.output) });
    await scene.add([{ key: '0', n: 1 }]);
    await until('the timer has run', async () => (await scene.published()).get('0')?.at(-1)?.sum === 1_001);
  });
});

const BLANK: InputRecord = { topic: '', partition: 0, offset: 0, timestamp: 0, key: null, value: null };
