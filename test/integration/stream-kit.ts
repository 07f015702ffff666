import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ISocketFactory, Kafka as KafkaClient } from 'kafkajs';
import { startKafka } from '../../src/local/kafka.js';
import { createClients } from '../../src/stream/client.js';
import { Kafka, logLevel } from '../../src/stream/kafkajs.js';
import { OffsetReader } from '../../src/stream/offsets.js';
import type { InputRecord, Observe, OutputRecord, Processor, ProcessorMeta, TaskContext, TaskMeta } from '../../src/stream/types.js';
import { StreamWorker, type StreamWorkerOptions } from '../../src/stream/worker.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';

/** What a scene needs of the Kafka it plays on: one broker, or a cluster. */
export interface Brokers {
  /** Bootstrap servers. */
  addresses: readonly string[];
  kafka: KafkaClient;
  offsets: OffsetReader;
}

export interface Broker extends Brokers {
  address: string;
  /** Kills the broker at once and starts it again on the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A real broker on free ports in a folder of its own.
 * @param behind what stands before the broker: clients are told of it, and only this object's own clients go around it
 */
export async function startBroker(behind?: { port: number; advertisedPort: number }): Promise<Broker> {
  const dir = mkdtempSync(join(tmpdir(), 'callstream-stream-'));
  const start = (port: number) => startKafka({ dataDir: join(dir, 'data'), logDir: dir, ...behind, port });
  let server = await start(behind?.port ?? 0);
  const { port } = server;
  const socketFactory: ISocketFactory = ({ onConnect }) => connect({ host: '127.0.0.1', port }, onConnect);
  const kafka = new Kafka({
    brokers: [server.address],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, retries: 20 },
    socketFactory,
  });
  const offsets = new OffsetReader(createClients({ brokers: [server.address], socketFactory }, silentLogger()));
  return {
    address: server.address,
    addresses: [server.address],
    kafka,
    offsets,
    restart: async () => {
      server.kill('SIGKILL');
      await server.exited;
      server = await start(port);
    },
    stop: async () => {
      await offsets.close();
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Awaits that workers say nothing is wrong; fails with what they say. */
export const untilReady = (workers: readonly StreamWorker[], timeoutMs?: number): Promise<boolean> => {
  const problems = (): string[] => workers.flatMap((worker) => worker.problems());
  return until(
    () => `readiness, but ${problems().join('; ')}`,
    () => problems().length === 0,
    timeoutMs,
  );
};

/** Awaits a condition; fails with what was awaited. */
export async function until<T>(what: string | (() => string), probe: () => T | Promise<T>, timeoutMs = 30_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value as NonNullable<T>;
    if (performance.now() > deadline) throw new Error(`not reached in ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`);
    await delay(10);
  }
}

/** One number to add to the sum of a key. */
export interface Addition {
  n: number;
  received_at?: number;
}

/** What the counting worker publishes for a key. */
export interface Sum {
  sum: number;
  count: number;
  revision: number;
  /** Stream time of the last change. */
  at: number;
}

/** A stateful processor that is easy to check: the sum of all numbers per key, one revision per transaction that changed it. */
export class SumProcessor implements Processor {
  readonly state = new Map<string, Sum & { base: number | null }>();
  readonly #changed = new Set<string>();
  #inFlight: string[] = [];
  restoredRecords = 0;
  meta0: TaskMeta | null = null;

  constructor(
    readonly context: TaskContext,
    readonly outputTopic: string,
    readonly outputPartition = context.partition,
  ) {}

  restore(record: InputRecord): void {
    this.restoredRecords += 1;
    this.state.set(String(record.key), { ...(JSON.parse(String(record.value)) as Sum), base: record.offset });
  }

  restored(meta: TaskMeta | null): void {
    this.meta0 = meta;
  }

  process(record: InputRecord, observe: Observe): void {
    const { n, received_at } = JSON.parse(String(record.value)) as Addition;
    const key = String(record.key);
    const streamTime = observe(received_at ?? null);
    const old = this.state.get(key) ?? { sum: 0, count: 0, revision: 0, at: 0, base: null };
    this.state.set(key, { sum: old.sum + n, count: old.count + 1, revision: old.revision, at: streamTime, base: old.base });
    this.#changed.add(key);
    this.context.failures.ok();
  }

  punctuate(_streamTime: number): void {}

  nextTimer(): number | null {
    return null;
  }

  flush(_now: number): { outputs: OutputRecord[]; processed: { changed: number } } {
    this.#inFlight = [...this.#changed];
    this.#changed.clear();
    const outputs = this.#inFlight.map((key): OutputRecord => {
      const entry = this.state.get(key) as Sum & { base: number | null };
      entry.revision += 1;
      const { sum, count, revision, at } = entry;
      return {
        topic: this.outputTopic,
        partition: this.outputPartition,
        key,
        value: Buffer.from(JSON.stringify({ sum, count, revision, at })),
      };
    });
    return { outputs, processed: { changed: outputs.length } };
  }

  meta(base: number | null): ProcessorMeta {
    const inFlight = new Set(this.#inFlight);
    let restoreFrom: number | null = null;
    for (const [key, entry] of this.state) {
      const at = inFlight.has(key) ? base : entry.base;
      if (at !== null && (restoreFrom === null || at < restoreFrom)) restoreFrom = at;
    }
    return { horizon: null, restoreFrom };
  }

  committed(base: number | null): void {
    for (const key of this.#inFlight) (this.state.get(key) as { base: number | null }).base = base;
    this.#inFlight = [];
  }
}

/** Topics, groups and workers of one test, named apart from those of the others. */
export class Scene {
  readonly input: string;
  readonly late: string;
  readonly output: string;
  readonly group: string;
  readonly fatal: unknown[] = [];
  readonly processors: SumProcessor[] = [];
  readonly #workers: StreamWorker[] = [];
  static #count = 0;

  constructor(
    readonly broker: Brokers,
    readonly partitions = 2,
  ) {
    Scene.#count += 1;
    const id = `t${Scene.#count}`;
    this.input = `${id}.input`;
    this.late = `${id}.late`;
    this.output = `${id}.output`;
    this.group = `${id}-group`;
  }

  async create(extra: string[] = []): Promise<this> {
    const admin = this.broker.kafka.admin();
    await admin.connect();
    await admin.createTopics({
      waitForLeaders: false,
      topics: [this.input, this.late, this.output, ...extra].map((topic) => ({
        topic,
        numPartitions: this.partitions,
        configEntries: topic === this.output ? [] : [{ name: 'message.timestamp.type', value: 'LogAppendTime' }],
      })),
    });
    await admin.disconnect();
    for (const topic of [this.input, this.late, this.output, ...extra]) await this.broker.offsets.ranges(topic);
    return this;
  }

  options(more: Partial<StreamWorkerOptions> = {}): StreamWorkerOptions {
    return {
      name: 'sums',
      kafka: { brokers: this.broker.addresses },
      groupId: this.group,
      inputs: [this.input],
      outputTopic: this.output,
      restores: true,
      createProcessor: (context) => {
        const processor = new SumProcessor(context, this.output);
        this.processors.push(processor);
        return processor;
      },
      logger: silentLogger(),
      metrics: createMetrics(),
      onFatal: (error) => this.fatal.push(error),
      sessionTimeoutMs: 6_000,
      heartbeatMs: 200,
      endsEveryMs: 100,
      ...more,
    };
  }

  async worker(more: Partial<StreamWorkerOptions> = {}): Promise<StreamWorker> {
    const worker = new StreamWorker(this.options(more));
    this.#workers.push(worker);
    await worker.start();
    return worker;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }

  /** Appends additions, acknowledged, to the partition `Number(key) % partitions`. */
  async add(additions: { key: string; n: number; received_at?: number }[], topic = this.input): Promise<void> {
    const producer = this.broker.kafka.producer();
    await producer.connect();
    await producer.send({
      topic,
      messages: additions.map(({ key, n, received_at }) => ({
        key,
        value: JSON.stringify(received_at === undefined ? { n } : { n, received_at }),
        partition: Number(key) % this.partitions,
      })),
    });
    await producer.disconnect();
  }

  async ends(topic: string): Promise<number[]> {
    return (await this.broker.offsets.ranges(topic)).map(({ end }) => end);
  }

  async committed(topic = this.input): Promise<{ offset: number; metadata: string | null }[]> {
    return (await this.broker.offsets.committed(this.group, [topic])).get(topic) ?? [];
  }

  /** Awaits that every input record is committed. */
  async drained(topics = [this.input], timeoutMs = 30_000): Promise<void> {
    for (const topic of topics) {
      const ends = await this.ends(topic);
      await until(
        `${topic} committed to ${ends}`,
        async () => (await this.committed(topic)).every(({ offset }, p) => offset >= (ends[p] as number) || ends[p] === 0),
        timeoutMs,
      );
    }
  }

  /** Every committed record of the output, in order, by key. */
  async published(topic = this.output): Promise<Map<string, Sum[]>> {
    const ends = await this.ends(topic);
    const found = new Map<string, Sum[]>();
    if (ends.every((end) => end === 0)) return found;
    const consumer = this.broker.kafka.consumer({
      groupId: `${this.group}.check.${Math.random()}`,
      maxWaitTimeInMs: 50,
      readUncommitted: false,
    });
    const positions = ends.map(() => 0);
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    consumer.on('consumer.end_batch_process', ({ payload }) => {
      positions[payload.partition] = Number(payload.lastOffset) + 1;
    });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        for (const { key, value } of batch.messages) {
          const list = found.get(String(key)) ?? [];
          list.push(JSON.parse(String(value)) as Sum);
          found.set(String(key), list);
        }
      },
    });
    await until(`${topic} read to ${ends}`, () => ends.every((end, p) => (positions[p] as number) >= end));
    await consumer.disconnect();
    return found;
  }
}

/** Numbers 1.. for `keys` keys, `count` in all, and the sums they make. */
export function additions(count: number, keys: number, from = 0): { list: { key: string; n: number }[]; sums: Map<string, number> } {
  const sums = new Map<string, number>();
  const list = Array.from({ length: count }, (_, i) => {
    const key = String((from + i) % keys);
    const n = from + i + 1;
    sums.set(key, (sums.get(key) ?? 0) + n);
    return { key, n };
  });
  return { list, sums };
}

/** Exactly once: the last sum of every key is right, and its revisions are 1, 2, 3… without a gap or a repeat. */
export function problemsOf(published: Map<string, Sum[]>, sums: Map<string, number>): string[] {
  const problems: string[] = [];
  for (const [key, sum] of sums) {
    const list = published.get(key) ?? [];
    if (list.at(-1)?.sum !== sum) problems.push(`key ${key}: ${list.at(-1)?.sum} instead of ${sum}`);
    list.forEach(({ revision }, i) => {
      if (revision !== i + 1) problems.push(`key ${key}: revision ${revision} at place ${i + 1}`);
    });
  }
  for (const key of published.keys()) if (!sums.has(key)) problems.push(`key ${key} is unknown`);
  return problems;
}
