import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import type { OutputRecord } from '../../src/stream/types.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { type Broker, Scene, startBroker } from './stream-kit.js';

let broker: Broker;
let scene: Scene;
let producer: DurableProducer;
const renewals: string[] = [];
beforeAll(async () => {
  broker = await startBroker();
});
afterAll(async () => {
  await broker?.stop();
});
afterEach(async () => {
  await producer?.close();
  renewals.length = 0;
});

function open(more: Partial<ConstructorParameters<typeof DurableProducer>[0]> = {}): DurableProducer {
  producer = new DurableProducer({
    kafka: { brokers: [broker.address] },
    logger: silentLogger(),
    onRenewal: (reason) => renewals.push(reason),
    ...more,
  });
  return producer;
}

const records = (count: number, size = 10, from = 0): OutputRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    topic: scene.output,
    partition: (from + i) % 2,
    key: `${from + i}`,
    value: Buffer.from(JSON.stringify({ sum: from + i, pad: 'x'.repeat(size) })),
  }));

describe('the durable producer', () => {
  it('makes every record durable, large batches and many senders included', async () => {
    scene = await new Scene(broker).create();
    open();
    await producer.send(records(3_000, 1_000));
    await Promise.all(Array.from({ length: 200 }, (_, i) => producer.send(records(5, 10, 3_000 + i * 5))));
    const found = await scene.published();
    expect(found.size).toBe(4_000);
    expect([...found.values()].every((list) => list.length === 1)).toBe(true);
    expect(renewals).toEqual([]);
  });

  it('throws the producer away after a failure, and sends with a new one', async () => {
    scene = await new Scene(broker).create();
    let failures = 1;
    open({
      faultPoint: (point) => {
        if (point === 'after-send' && failures-- > 0) throw new Error('the answer is lost');
      },
    });
    await expect(producer.send(records(10))).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
    await producer.send(records(10, 10, 100));
    await producer.send(records(10));
    const found = await scene.published();
    for (let i = 100; i < 110; i += 1) expect(found.get(String(i))).toHaveLength(1);
    for (let i = 0; i < 10; i += 1) expect(found.get(String(i))).toHaveLength(2);
    expect(renewals).toHaveLength(1);
  });

  it('rejects in time when no broker answers', async () => {
    open({ kafka: { brokers: ['127.0.0.1:1'] }, sendTimeoutMs: 500 });
    scene = new Scene(broker);
    const began = performance.now();
    await expect(producer.send(records(1))).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
