import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Collector } from '../../src/stream/collector.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { additions, type Broker, Scene, startBroker, until } from './stream-kit.js';

let broker: Broker;
let scene: Scene;
const open: Collector[] = [];
beforeAll(async () => {
  broker = await startBroker();
});
afterAll(async () => {
  await broker?.stop();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((collector) => collector.stop()));
});

const TAKE = { maxRecords: 500, maxBytes: 10_000_000, lingerMs: 20 };

async function collector(): Promise<Collector> {
  const made = new Collector({
    name: 'sink',
    kafka: { brokers: [broker.address] },
    groupId: scene.group,
    topics: [scene.input, scene.late],
    logger: silentLogger(),
    onFatal: () => {},
    sessionTimeoutMs: 6_000,
    heartbeatMs: 200,
    maxRecords: 1_000,
  });
  open.push(made);
  await made.start();
  return made;
}

/** Takes and commits until everything is committed; what was taken, as `topic:partition:offset`. */
async function drain(from: Collector, into: string[], stop: () => boolean): Promise<void> {
  while (!stop()) {
    const batch = await from.take(TAKE);
    for (const { topic, partition, offset } of batch.records) into.push(`${topic}:${partition}:${offset}`);
    await from.commit(batch);
  }
}

describe('the collector', () => {
  it('gives every record once, in order for each partition, and goes on from what was committed', async () => {
    scene = await new Scene(broker, 2).create();
    await scene.add(additions(3_000, 10).list);
    await scene.add(additions(100, 10).list, scene.late);
    const first = await collector();
    const taken: string[] = [];
    const all = () => taken.length === 3_100;
    await drain(first, taken, all);
    expect(new Set(taken).size).toBe(3_100);
    for (const place of [`${scene.input}:0:`, `${scene.input}:1:`]) {
      const offsets = taken.filter((t) => t.startsWith(place)).map((t) => Number(t.slice(place.length)));
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    }
    expect([...(await first.lag()).values()]).toEqual([0, 0]);
    await first.stop();

    await scene.add(additions(10, 10).list);
    const again: string[] = [];
    await drain(await collector(), again, () => again.length === 10);
    expect(again.every((t) => !taken.includes(t))).toBe(true);
  });

  it('gives again what was taken and not committed', async () => {
    scene = await new Scene(broker, 1).create();
    await scene.add(additions(50, 5).list);
    const first = await collector();
    expect((await first.take({ ...TAKE, maxRecords: 50 })).records).toHaveLength(50);
    await first.stop();
    expect((await (await collector()).take({ ...TAKE, maxRecords: 50 })).records).toHaveLength(50);
  });

  it('commits nothing for a partition that it has lost', async () => {
    scene = await new Scene(broker, 2).create();
    await scene.add(additions(40, 2).list);
    const first = await collector();
    const stale = await first.take({ ...TAKE, maxRecords: 40 });
    expect(stale.records).toHaveLength(40);
    const second = await collector();
    // The two share the partitions now; the second reads its own from the start, and commits further than the first has seen.
    await scene.add(additions(40, 2).list);
    const taken: string[] = [];
    let done = false;
    const draining = drain(second, taken, () => done);
    await until('the second has one partition through', async () => (await scene.committed()).some(({ offset }) => offset === 40));
    const before = await scene.committed();
    await first.commit(stale);
    const after = await scene.committed();
    done = true;
    await scene.add([
      { key: '0', n: 1 },
      { key: '1', n: 1 },
    ]);
    await draining;
    for (const p of [0, 1]) expect(after[p]?.offset ?? 0).toBeGreaterThanOrEqual(before[p]?.offset ?? 0);
  });
});
