import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { additions, type Broker, problemsOf, Scene, startBroker } from './stream-kit.js';

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
});
