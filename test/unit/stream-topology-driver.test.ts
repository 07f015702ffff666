import { describe, expect, it } from 'vitest';
import { TopologyDriver } from '../../src/stream/topology-driver.js';
import type { InputRecord, Observe, OutputRecord, Processor, ProcessorMeta, TaskContext } from '../../src/stream/types.js';

/** Sums numbers per key; a negative one goes round by the late topic; a key that rests for 100 ms gets a closing record. */
class Sums implements Processor {
  readonly sums = new Map<string, { sum: number; at: number; base: number | null; closed: boolean }>();
  readonly #changed = new Set<string>();
  #late: OutputRecord[] = [];
  available = true;

  constructor(
    readonly context: TaskContext,
    readonly output = context.partition,
  ) {}

  restore(record: InputRecord): void {
    this.sums.set(String(record.key), { ...JSON.parse(String(record.value)), base: record.offset });
  }

  restored(): void {}

  async prepare(records: readonly InputRecord[]): Promise<void> {
    if (records[0]?.topic === 'late' && !this.available) throw new Error('away');
  }

  process(record: InputRecord, observe: Observe): void {
    const streamTime = observe(null);
    const n = Number(record.value);
    const key = String(record.key);
    if (n < 0 && record.topic === 'in') {
      this.#late.push({ topic: 'late', partition: this.context.partition, key, value: Buffer.from(String(n)) });
      return;
    }
    const sum = (this.sums.get(key)?.sum ?? 0) + n;
    this.sums.set(key, { sum, at: streamTime, base: this.sums.get(key)?.base ?? null, closed: false });
    this.#changed.add(key);
  }

  nextTimer(): number | null {
    const open = [...this.sums.values()].filter(({ closed }) => !closed);
    return open.length === 0 ? null : Math.min(...open.map(({ at }) => at + 100));
  }

  punctuate(streamTime: number): void {
    for (const [key, entry] of this.sums) {
      if (entry.closed || entry.at + 100 > streamTime) continue;
      entry.closed = true;
      this.#changed.add(key);
    }
  }

  flush(): { outputs: OutputRecord[] } {
    const outputs = [...this.#changed].map((key): OutputRecord => {
      const { sum, at, closed } = this.sums.get(key) as { sum: number; at: number; closed: boolean };
      return { topic: 'out', partition: this.output, key, value: Buffer.from(JSON.stringify({ sum, at, closed })) };
    });
    outputs.push(...this.#late);
    this.#changed.clear();
    this.#late = [];
    return { outputs };
  }

  meta(base: number | null): ProcessorMeta {
    return { horizon: null, restoreFrom: base === null && this.sums.size === 0 ? null : 0 };
  }

  committed(): void {}
}

const open = (more = {}) =>
  TopologyDriver.open({
    inputs: ['in', 'late'],
    deferred: 'late',
    outputTopic: 'out',
    restores: true,
    partitions: 1,
    createProcessor: (context) => new Sums(context),
    clock: { now: () => 1_000_000 },
    ...more,
  });

const put = (driver: TopologyDriver, key: string, n: number, timestamp: number) =>
  driver.append('in', { partition: 0, key, value: Buffer.from(String(n)), timestamp });

const outputs = (driver: TopologyDriver) => driver.records('out').map((r) => [String(r.key), JSON.parse(String(r.value))]);

describe('the topology driver', () => {
  it('runs a processor as a task does: one flush per transaction, and metadata with it', async () => {
    const driver = await open({ transactionRecords: 2 });
    for (const [key, n] of [
      ['a', 1],
      ['a', 2],
      ['b', 3],
    ] as const)
      put(driver, key, n, 10);
    await driver.drain();
    expect(outputs(driver).map(([key, { sum }]) => [key, sum])).toEqual([
      ['a', 3],
      ['b', 3],
    ]);
    expect(driver.meta(0)).toMatchObject({ v: 1, streamTime: 10, restoreFrom: 0, lastOutput: 1 });
  });

  it('loses what was not committed at a crash, and restores what was', async () => {
    const driver = await open();
    put(driver, 'a', 1, 10);
    await driver.drain();
    put(driver, 'a', 5, 20);
    await driver.processUncommitted(0, 1);
    expect((driver.processor(0) as Sums).sums.get('a')?.sum).toBe(6);
    await driver.crash(0);
    expect((driver.processor(0) as Sums).sums.get('a')?.sum).toBe(1);
    await driver.drain();
    expect(outputs(driver).at(-1)).toMatchObject(['a', { sum: 6 }]);
  });

  it('restores from the share of the output that is the worker’s own', async () => {
    const driver = await open({ outputShare: 1, createProcessor: (context: TaskContext) => new Sums(context, 1) });
    put(driver, 'a', 1, 10);
    await driver.drain();
    expect(driver.meta(0)).toMatchObject({ restoreFrom: 0, lastOutput: 0 });
    await driver.crash(0);
    put(driver, 'a', 5, 20);
    await driver.drain();
    expect(driver.records('out').map((r) => r.partition)).toEqual([1, 1]);
    expect(outputs(driver).at(-1)).toMatchObject(['a', { sum: 6 }]);
  });

  it('sends late input round, and lets only it wait while preparing fails', async () => {
    const driver = await open();
    (driver.processor(0) as Sums).available = false;
    put(driver, 'a', -4, 10);
    put(driver, 'b', 7, 11);
    await driver.drain();
    expect(outputs(driver).map(([key]) => key)).toEqual(['b']);
    (driver.processor(0) as Sums).available = true;
    await driver.drain();
    expect(outputs(driver).at(-1)).toMatchObject(['a', { sum: -4 }]);
  });

  it('moves stream time on without input, and never back', async () => {
    const driver = await open();
    put(driver, 'a', 1, 10);
    await driver.drain();
    await driver.advance(5);
    expect(driver.streamTime(0)).toBe(10);
    await driver.advance(500);
    expect(driver.streamTime(0)).toBe(500);
    expect(outputs(driver).at(-1)).toMatchObject(['a', { closed: true }]);
    await driver.crash(0);
    expect(driver.streamTime(0)).toBe(500);
  });
});
