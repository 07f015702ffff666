import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../src/local/index.js';
import { type Broker, Scene, startBroker, until, untilReady } from '../integration/stream-kit.js';
import { Load } from '../support/load.js';
import { isFindCoordinator, isJoinByName, isProduce, TcpProxy } from '../support/tcp-proxy.js';
import { sized } from '../support/torture.js';

const LIMIT_MS = sized(120_000, 900_000);
let proxy: TcpProxy;
let broker: Broker;
let scene: Scene;
beforeAll(async () => {
  const port = await freePort();
  proxy = await TcpProxy.listen(port);
  broker = await startBroker({ port, advertisedPort: proxy.port });
});
afterEach(async () => {
  proxy.forget();
  proxy.resume();
  proxy.delayMs = 0;
  await scene?.close();
});
afterAll(async () => {
  await broker?.stop();
  await proxy?.close();
});

/** A worker, and producers whose numbers it works off. */
async function underLoad() {
  scene = await new Scene(broker, 2).create();
  const worker = await scene.worker();
  const load = new Load(broker.addresses, scene);
  await load.movesOn();
  return { worker, load };
}

describe('workers and producers whose connections to Kafka', () => {
  it(
    'are torn in the middle of answers to produce requests: nothing lost, nothing twice',
    async () => {
      const { worker, load } = await underLoad();
      let torn = 0;
      for (const afterBytes of sized(
        [0, 1, 20, 0, 40, 0],
        Array.from({ length: 30 }, (_, i) => (i % 3) * (i % 20)),
      )) {
        const { cuts } = proxy;
        proxy.cutAnswers(isProduce, { times: 4, afterBytes });
        await until('four answers are torn', () => proxy.cuts >= cuts + 4, 60_000);
        torn += 4;
        await load.movesOn();
      }
      await load.stop();
      await load.expectExact('answers to produce requests torn', torn);
      await untilReady([worker]);
    },
    LIMIT_MS,
  );

  it(
    'answer no produce request until kafkajs gives up: its next records are not swallowed as repeats (rule 4)',
    async () => {
      const { worker, load } = await underLoad();
      const rounds = sized(2, 5);
      for (let round = 0; round < rounds; round += 1) {
        const takeovers = scene.processors.length;
        proxy.cutAnswers(isProduce, { times: Number.POSITIVE_INFINITY });
        await load.refusal();
        await until('a task is taken over anew', () => scene.processors.length > takeovers, 60_000);
        proxy.forget();
        await load.movesOn();
      }
      await load.stop();
      await load.expectExact('no produce request answered, until the client gives up', rounds);
      expect(load.renewals.length).toBeGreaterThan(1);
      await untilReady([worker]);
    },
    LIMIT_MS,
  );

  it(
    'are slow, and reset again and again: nothing lost, nothing twice',
    async () => {
      const { worker, load } = await underLoad();
      proxy.delayMs = 30;
      await load.movesOn();
      const rounds = sized(1, 10);
      const resets = 8;
      for (let round = 0; round < rounds; round += 1) {
        for (let i = 0; i < resets; i += 1) {
          const { acknowledged } = load;
          proxy.reset();
          await until('numbers are acknowledged again', () => load.acknowledged > acknowledged, 60_000);
        }
        // Sooner than the watchdog would end a worker that understands nothing any more.
        await load.movesOn(30_000);
      }
      await load.stop();
      proxy.delayMs = 0;
      await load.expectExact('slow connections, reset again and again', rounds * resets);
      await untilReady([worker]);
    },
    LIMIT_MS,
  );

  it(
    'break while the coordinator is asked for: members join again by themselves',
    async () => {
      const { worker, load } = await underLoad();
      const rounds = sized(2, 10);
      // Who is refused asks less and less often: many short rounds tear more than a few long ones.
      const torn = 20;
      for (let round = 0; round < rounds; round += 1) {
        const { cuts } = proxy;
        proxy.cutAnswers(isFindCoordinator, { times: Number.POSITIVE_INFINITY });
        proxy.reset();
        await until('answers to producers and consumers are torn', () => proxy.cuts >= cuts + torn, 60_000);
        proxy.forget();
        await load.movesOn();
      }
      await load.stop();
      await load.expectExact('answers of who the coordinator is torn', rounds * torn);
      await untilReady([worker]);
    },
    LIMIT_MS,
  );

  it(
    'break while members join: each joins as the member that it was, and the group waits for none that is gone',
    async () => {
      scene = await new Scene(broker, 2).create();
      // Longer than anything here may take: a group that waited for a member until its session is over would be waited for in vain.
      const patient = { sessionTimeoutMs: 120_000 };
      const worker = await scene.worker(patient);
      const load = new Load(broker.addresses, scene);
      await load.movesOn();
      const rounds = sized(1, 10);
      const torn = 4;
      for (let round = 0; round < rounds; round += 1) {
        const { cuts } = proxy;
        proxy.cutAnswers(isJoinByName, { times: torn });
        const another = await scene.worker(patient);
        await until('answers to members that join are torn', () => proxy.cuts >= cuts + torn);
        await untilReady([worker, another]);
        await load.movesOn(30_000);
        await another.stop();
      }
      await load.movesOn(30_000);
      await load.stop();
      await load.expectExact('answers to members that join torn', rounds * torn);
      await untilReady([worker]);
    },
    LIMIT_MS,
  );

  it(
    'hang half-open: readiness tells, and work goes on by itself on new connections',
    async () => {
      const { worker, load } = await underLoad();
      const rounds = sized(1, 3);
      for (let round = 0; round < rounds; round += 1) {
        proxy.hang();
        await load.refusal();
        await until('readiness tells', () => worker.problems().length > 0, 60_000);
        proxy.resume();
        await load.movesOn();
      }
      await load.stop();
      await load.expectExact('half-open connections', rounds);
      await untilReady([worker], 60_000);
    },
    LIMIT_MS,
  );
});
