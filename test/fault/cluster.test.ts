import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TOPICS } from '../../src/codec/topics.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { createClients } from '../../src/stream/client.js';
import { TaskProducer } from '../../src/stream/task-producer.js';
import type { OutputRecord } from '../../src/stream/types.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { Scene, until, untilReady } from '../integration/stream-kit.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { Load } from '../support/load.js';
import { report, sized } from '../support/torture.js';

/** How often a leader is killed, and then every broker restarted, under load. */
const ROUNDS = sized(1, 5);
const LIMIT_MS = 120_000 + ROUNDS * 120_000;

let cluster: TestCluster;
let scene: Scene | undefined;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await cluster?.close();
});
afterEach(async () => {
  await scene?.close();
});

describe('migrate on three brokers', () => {
  it('keeps three copies of everything, two of which must have a record before it is acknowledged', async () => {
    const names = Object.values(TOPICS).map(({ name }) => name);
    const admin = new TopicAdmin({ kafka: { brokers: cluster.addresses }, logger: silentLogger() });
    const groups = { sessions: 'callstream-sessions' };
    await admin.migrate({ partitions: 4, groups });
    expect(await admin.migrate({ partitions: 4, groups })).toEqual({ created: [], altered: [] });
    await admin.close();

    const client = cluster.kafka.admin();
    await client.connect();
    const { topics } = await client.fetchTopicMetadata({ topics: names });
    const { resources } = await client.describeConfigs({
      includeSynonyms: false,
      resources: names.map((name) => ({ type: 2, name, configNames: ['min.insync.replicas', 'unclean.leader.election.enable'] })),
    });
    await client.disconnect();
    expect(topics.map(({ name }) => name).sort()).toEqual([...names].sort());
    for (const { partitions } of topics) for (const { replicas } of partitions) expect(replicas).toHaveLength(3);
    for (const { configEntries } of resources) {
      expect(Object.fromEntries(configEntries.map((e) => [e.configName, e.configValue]))).toEqual({
        'min.insync.replicas': '2',
        'unclean.leader.election.enable': 'false',
      });
    }
  });
});

describe('transactions that write to partitions of two leaders', () => {
  it(
    'have every record once, although the coordinator refuses requests while it ends the transaction before',
    async () => {
      const stage = await new Scene(cluster, 4).create();
      const [here, there] = await until('two leaders', async () => {
        const leaders = await cluster.leaders(stage.output);
        const others = await cluster.leaders(stage.late);
        const other = others.findIndex((leader) => leader !== leaders[0]);
        return other === -1 ? null : [0, other];
      });
      const producer = await TaskProducer.fence({
        clients: createClients({ brokers: cluster.addresses }, silentLogger()),
        transactionalId: `${stage.group}-0`,
        transactionTimeoutMs: 15_000,
      });
      const count = sized(150, 2_000);
      for (let i = 0; i < count; i += 1) {
        const record = (topic: string, partition = 0): OutputRecord => ({ topic, partition, key: `${i}`, value: Buffer.from('{}') });
        await producer.transact({
          outputs: [record(stage.output, here), record(stage.late, there)],
          outputTopic: stage.output,
          outputPartition: here as number,
          groupId: stage.group,
          offsets: () => [{ topic: stage.input, partition: 0, offset: i, metadata: '' }],
          fault: () => {},
        });
      }
      producer.close();
      for (const topic of [stage.output, stage.late]) {
        const published = await stage.published(topic);
        const twice = [...published].filter(([, records]) => records.length !== 1);
        const lost = count - published.size;
        report({
          scenario: `quiet transactions that write to two leaders, ${topic === stage.output ? 'first' : 'second'}`,
          faults: 0,
          events: count,
          lost,
          doubled: twice.length,
          differing: 0,
        });
        expect(lost).toBe(0);
        expect(twice).toEqual([]);
      }
    },
    LIMIT_MS,
  );
});

describe('workers and producers under load', () => {
  const topics = () => [(scene as Scene).input, (scene as Scene).output];

  it(
    'lose nothing, double nothing and go on by themselves when leaders are killed and brokers restarted in turn',
    async () => {
      scene = await new Scene(cluster, 4).create();
      const workers = [await scene.worker(), await scene.worker()];
      const load = new Load(cluster.addresses, scene);
      await load.movesOn();
      for (let round = 0; round < ROUNDS; round += 1) {
        const leader = (await cluster.leaders(scene.output))[round % scene.partitions] as number;
        await cluster.kill(leader, 'SIGKILL');
        await load.movesOn();
        await cluster.start(leader);
        await cluster.inSync(topics());
        for (const index of [0, 1, 2]) {
          await cluster.stop(index);
          await cluster.start(index);
          await cluster.inSync(topics());
        }
        await load.movesOn();
      }
      await load.stop();
      await load.expectExact('three brokers: leaders killed, rolling restarts', {
        'leaders killed': ROUNDS,
        'brokers restarted': 3 * ROUNDS,
      });
      await untilReady(workers);
    },
    LIMIT_MS,
  );

  it(
    'acknowledge nothing while only one copy is left, and go on by themselves when there are two again',
    async () => {
      scene = await new Scene(cluster, 4).create();
      const worker = await scene.worker();
      const load = new Load(cluster.addresses, scene);
      await load.movesOn();
      await cluster.stop(1);
      await load.movesOn();
      await cluster.stop(2);
      await load.refusal();
      const { acknowledged } = load;
      await load.refusal();
      await load.refusal();
      expect(load.acknowledged).toBe(acknowledged);
      await until('readiness tells', () => worker.problems().length > 0);
      await cluster.start(1);
      await load.movesOn();
      await cluster.start(2);
      await cluster.inSync(topics());
      await load.stop();
      await load.expectExact('three brokers: min ISR lost and regained', 2);
      await untilReady([worker]);
    },
    LIMIT_MS,
  );
});
