import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Admin } from 'kafkajs';
import { type KafkaCluster, type KafkaClusterOptions, startKafkaCluster } from '../../src/local/index.js';
import { createClients } from '../../src/stream/client.js';
import { Kafka, logLevel } from '../../src/stream/kafkajs.js';
import { OffsetReader } from '../../src/stream/offsets.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { type Brokers, until } from '../integration/stream-kit.js';

/** Three real brokers on free ports in a folder of their own, and what tests want to know of them. Brokers are named by index. */
export interface TestCluster extends Brokers, Pick<KafkaCluster, 'kill' | 'stop' | 'start' | 'ports'> {
  /** Index of the leader of each partition; -1: it has none at this moment. */
  leaders(topic: string): Promise<number[]>;
  /** Waits until every partition of the topics has all of its copies in sync again. */
  inSync(topics: readonly string[]): Promise<void>;
  /** What each broker has logged last: the folder is gone when somebody asks why. */
  lastWords(): string;
  close(): Promise<void>;
}

/** @param options ports that clients are told, for proxies in front of the brokers */
export async function startCluster(options: Pick<KafkaClusterOptions, 'advertisedPorts'> = {}): Promise<TestCluster> {
  const dir = mkdtempSync(join(tmpdir(), 'callstream-cluster-'));
  const cluster = await startKafkaCluster({ dataDir: join(dir, 'data'), logDir: dir, ...options });
  const { addresses } = cluster;
  const kafka = new Kafka({ brokers: [...addresses], logLevel: logLevel.NOTHING, retry: { initialRetryTime: 20, retries: 20 } });
  const offsets = new OffsetReader(createClients({ brokers: addresses }, silentLogger()));

  /** A connection for each question: the broker of the last one may be gone. */
  const ask = async <T>(question: (admin: Admin) => Promise<T>): Promise<T> => {
    const admin = kafka.admin();
    await admin.connect();
    try {
      return await question(admin);
    } finally {
      await admin.disconnect();
    }
  };
  const partitions = async (topics: readonly string[]) => (await ask((admin) => admin.fetchTopicMetadata({ topics: [...topics] }))).topics;

  return {
    addresses,
    ports: cluster.ports,
    kafka,
    offsets,
    kill: cluster.kill,
    stop: cluster.stop,
    start: cluster.start,
    leaders: async (topic) => {
      const leaders: number[] = [];
      for (const { partitionId, leader } of (await partitions([topic]))[0]?.partitions ?? [])
        leaders[partitionId] = leader < 1 ? -1 : leader - 1;
      return leaders;
    },
    inSync: async (topics) => {
      await until(
        `all copies of ${topics.join(', ')} in sync`,
        async () =>
          (await partitions(topics)).every((topic) => topic.partitions.every(({ isr, replicas }) => isr.length === replicas.length)),
        60_000,
      );
    },
    lastWords: () => {
      const logs = cluster.ports.map((_, index) =>
        readFileSync(join(dir, `kafka-${index + 1}.log`), 'utf8')
          .trimEnd()
          .split('\n'),
      );
      return logs.map((lines, index) => `broker ${index + 1}:\n${lines.slice(-60).join('\n')}`).join('\n\n');
    },
    close: async () => {
      await offsets.close();
      await cluster.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
