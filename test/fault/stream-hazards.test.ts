import { connect, createServer, type Server, type Socket } from 'node:net';
import type { ISocketFactory } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import type { InputRecord, Observe } from '../../src/stream/types.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { additions, type Broker, problemsOf, Scene, SumProcessor, startBroker, until } from '../integration/stream-kit.js';

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

async function deleteRecords(topic: string, partition: number, below: number): Promise<void> {
  const admin = broker.kafka.admin();
  await admin.connect();
  // kafkajs deletes only from topics whose leaders it has looked up before.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(below) }] });
  await admin.disconnect();
}

describe('a gap in the input stops the task (rule 7)', () => {
  it('found at a takeover', async () => {
    scene = await new Scene(broker, 2).create();
    const all = additions(400, 4);
    const worker = await scene.worker();
    await scene.add(all.list.slice(0, 200));
    await scene.drained();
    await worker.stop();
    await scene.add(all.list.slice(200));
    await deleteRecords(scene.input, 1, 150);
    const next = await scene.worker();
    await until('the task stops', () => next.tasks().get(1)?.state === 'stopped');
    expect(next.problems().join()).toContain('50 records are gone');
    // The other task goes on.
    await until('the other task is through', async () => (await scene.committed())[0]?.offset === 200);
    expect((await scene.committed())[1]?.offset).toBe(100);
    expect(scene.fatal).toEqual([]);
  });

  it('found while running', async () => {
    scene = await new Scene(broker, 1).create();
    let full = true;
    class Full extends SumProcessor {
      saturated(): boolean {
        return full;
      }
    }
    const worker = await scene.worker({ createProcessor: (context) => new Full(context, scene.output) });
    // More than a queue and a fetch that came before it was full can hold.
    const { list } = additions(60_000, 4);
    for (let i = 0; i < 60_000; i += 3_000) await scene.add(list.slice(i, i + 3_000));
    await until('the task runs', () => worker.tasks().get(0)?.state === 'running');
    await deleteRecords(scene.input, 0, 59_000);
    full = false;
    await until('the task stops', () => worker.tasks().get(0)?.state === 'stopped');
    expect(worker.problems().join()).toContain('records are gone');
    // Whatever was published is a prefix of the input: nothing was counted across the gap.
    const offset = (await scene.committed())[0]?.offset ?? 0;
    const prefix = new Map<string, number>();
    for (const { key, n } of list.slice(0, Math.max(0, offset))) prefix.set(key, (prefix.get(key) ?? 0) + n);
    if (offset > 0) expect(problemsOf(await scene.published(), prefix)).toEqual([]);
    expect(offset).toBeLessThan(59_000);
  });

  it('and so does an output without metadata (State)', async () => {
    scene = await new Scene(broker, 1).create();
    const first = await scene.worker();
    await scene.add(additions(10, 2).list);
    await scene.drained();
    await first.stop();
    const other = await scene.worker({ groupId: `${scene.group}-other` });
    await until('the task stops', () => other.tasks().get(0)?.state === 'stopped');
    expect(other.problems().join()).toContain('no commit metadata');
  });

  it('and so does a changed partition count', async () => {
    scene = await new Scene(broker, 1).create();
    const first = await scene.worker();
    await scene.add(additions(10, 2).list);
    await scene.drained();
    await first.stop();
    const admin = broker.kafka.admin();
    await admin.connect();
    await admin.createPartitions({ topicPartitions: [scene.input, scene.output].map((topic) => ({ topic, count: 2 })) });
    await admin.disconnect();
    await until(
      'the partitions are there',
      async () => (await scene.ends(scene.input)).length === 2 && (await scene.ends(scene.output)).length === 2,
    );
    const next = await scene.worker();
    await until('the task stops', () => next.tasks().get(0)?.state === 'stopped');
    expect(next.problems().join()).toContain('has 2 partitions');
  });
});

describe('a process of no use says so (rule 9)', () => {
  it('when logic throws', async () => {
    scene = await new Scene(broker, 1).create();
    class Broken extends SumProcessor {
      override process(): never {
        throw new TypeError('a bug');
      }
    }
    await scene.worker({ createProcessor: (context) => new Broken(context, scene.output) });
    await scene.add(additions(10, 2).list);
    await until('fatal', () => scene.fatal.length > 0);
    expect(String(scene.fatal[0])).toContain('a bug');
    expect(scene.fatal).toHaveLength(1);
  });

  it('when input waits and nothing moves', async () => {
    scene = await new Scene(broker, 1).create();
    class Stuck extends SumProcessor {
      prepare(): Promise<void> {
        return new Promise(() => {});
      }
    }
    const worker = await scene.worker({ watchdogMs: 500, createProcessor: (context) => new Stuck(context, scene.output) });
    await scene.add(additions(10, 2).list);
    await until('fatal', () => scene.fatal.length > 0);
    expect(scene.fatal[0]).toMatchObject({ code: 'STREAM_STUCK' });
    expect(worker.state).toBe('failed');
    void worker.stop();
  });

  it('but not while its processor is full', async () => {
    scene = await new Scene(broker, 1).create();
    let full = true;
    class Full extends SumProcessor {
      saturated(): boolean {
        return full;
      }
    }
    await scene.worker({ watchdogMs: 300, createProcessor: (context) => new Full(context, scene.output) });
    const all = additions(10, 2);
    await scene.add(all.list);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(scene.fatal).toEqual([]);
    full = false;
    await scene.drained();
  });
});

describe('the dead-letter limit (rule 10)', () => {
  it('stops the task, and commits nothing of what tripped it', async () => {
    scene = await new Scene(broker, 1).create();
    class Failing extends SumProcessor {
      override process(record: InputRecord, observe: Observe): void {
        if (record.offset < 50) super.process(record, observe);
        else {
          observe(null);
          this.context.failures.failed('decode');
        }
      }
    }
    const worker = await scene.worker({
      createProcessor: (context) => new Failing(context, scene.output),
      deadLetterLimit: { inARow: 100 },
    });
    const all = additions(50, 5);
    await scene.add(all.list);
    await scene.drained();
    await scene.add(additions(200, 5).list);
    await until('the task stops', () => worker.tasks().get(0)?.state === 'stopped');
    expect(worker.problems().join()).toContain('100 records in a row');
    expect((await scene.committed())[0]?.offset).toBe(50);
    expect(problemsOf(await scene.published(), all.sums)).toEqual([]);
    expect(scene.fatal).toEqual([]);
  });
});

/** Stands between client and broker, and loses answers to produce requests when told to. */
class LossyProxy {
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  /** The next so many produce requests reach the broker, and their connection dies before the answer. */
  loseAnswers = 0;
  lost = 0;

  async listen(target: number): Promise<number> {
    const server = createServer((client) => {
      const upstream = connect(target, '127.0.0.1');
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
      }
      let losing = false;
      client.on('data', (chunk: Buffer) => {
        // A request begins with its size and its API key; 0 is produce. kafkajs writes each request by itself.
        if (this.loseAnswers > 0 && chunk.length > 6 && chunk.readInt16BE(4) === 0) {
          this.loseAnswers -= 1;
          losing = true;
        }
        upstream.write(chunk);
      });
      upstream.on('data', (chunk: Buffer) => {
        if (!losing) client.write(chunk);
        else {
          this.lost += 1;
          client.destroy();
          upstream.destroy();
        }
      });
      client.on('close', () => upstream.destroy());
      upstream.on('close', () => client.destroy());
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as { port: number }).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server?.close(resolve));
  }
}

describe('a lost answer to a produce request (rule 4)', () => {
  it('loses no record of the durable producer, and swallows none of the next', async () => {
    scene = await new Scene(broker, 1).create();
    const proxy = new LossyProxy();
    const port = await proxy.listen(Number(broker.address.split(':')[1]));
    const socketFactory: ISocketFactory = ({ onConnect }) => connect({ host: '127.0.0.1', port }, onConnect);
    const producer = new DurableProducer({
      kafka: { brokers: [broker.address], socketFactory },
      logger: silentLogger(),
      sendTimeoutMs: 8_000,
    });
    const record = (i: number) => ({ topic: scene.output, partition: 0, key: String(i), value: Buffer.from(JSON.stringify({ sum: i })) });
    await producer.send([record(0)]);
    for (let i = 1; i <= 20; i += 1) {
      if (i % 5 === 0) proxy.loseAnswers = i === 10 ? 30 : 1;
      for (;;) {
        const sent = await producer.send([record(i)]).then(
          () => true,
          () => false,
        );
        proxy.loseAnswers = 0;
        if (sent) break;
      }
    }
    await producer.close();
    await proxy.close();
    expect(proxy.lost).toBeGreaterThan(3);
    const published = await scene.published();
    for (let i = 0; i <= 20; i += 1) expect(published.get(String(i))?.length ?? 0).toBeGreaterThanOrEqual(1);
  });
});
