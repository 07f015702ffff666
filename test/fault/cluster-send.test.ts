import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Scene } from '../integration/stream-kit.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { Load } from '../support/load.js';

/** kafkajs sends as its authors wrote it: the check of what `send()` resolves to has to hold on its own. */
vi.mock('../../src/stream/kafkajs-send.js', () => ({ replaceSending: () => {} }));

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await cluster?.close();
});

it('an answer that leaves partitions out, after their leader has moved, is no acknowledgement (rule 5)', async () => {
  const scene = await new Scene(cluster, 12).create();
  const load = new Load(cluster.addresses, scene);
  // A leader that ends cleanly hands over at once, and says so to whoever still asks it, while the others answer: their answers are all that kafkajs keeps.
  for (let index = 0; !load.renewals.includes('STREAM_SEND_INCOMPLETE') && index < 9; index += 1) {
    await cluster.stop(index % 3);
    await cluster.start(index % 3);
    await cluster.inSync([scene.input]);
  }
  await load.stop();
  const there = await scene.published(scene.input);
  const found = new Set([...there.values()].flatMap((list) => (list as unknown as { n: number }[]).map(({ n }) => n)));
  expect(load.numbers.filter((n) => !found.has(n))).toEqual([]);
  expect(load.renewals).toContain('STREAM_SEND_INCOMPLETE');
});
