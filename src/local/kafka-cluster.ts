import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type KafkaNode, newClusterId, OFFSETS_PARTITIONS, startKafkaNode } from './kafka-node.js';
import { kafkaHasJoined, kafkaServes } from './kafka-probe.js';
import { jarsOf } from './paths.js';
import { freePort } from './ports.js';
import type { Exit, Server, ServerOptions } from './server.js';

export interface KafkaClusterOptions extends Pick<ServerOptions, 'dataDir' | 'logDir'> {
  /** Default 3, the fewest that replicate: three copies, of which two must have a record before it is acknowledged. */
  brokers?: number;
  /** Ports of 127.0.0.1 that clients are told, one for each broker, for proxies in front of them: default the brokers' own. */
  advertisedPorts?: readonly number[];
  /** Most heap of each broker. */
  heapMiB?: number;
}

/** Several brokers, each a process of its own and a controller as well. They are named by index, from 0; Kafka's node ids are one higher. */
export interface KafkaCluster {
  /** Bootstrap servers, as clients are told them. */
  readonly addresses: readonly string[];
  /** Where each broker really listens for clients. */
  readonly ports: readonly number[];
  /** The process of a broker; after a start it is another one. */
  broker(index: number): Server;
  /** Sends a signal and waits until the broker is gone. */
  kill(index: number, signal: NodeJS.Signals): Promise<Exit>;
  /** Ends a broker cleanly: it hands over what it leads, as far as that can be. */
  stop(index: number): Promise<void>;
  /** Starts a broker that is gone, on the same ports and data; resolves once it has joined its cluster. */
  start(index: number): Promise<void>;
  /** Ends every broker. All at once: a clean end waits for the others, which would be gone. */
  close(): Promise<void>;
}

/** The id that every new folder of the cluster is given. */
function clusterIdIn(dataDir: string): string {
  const file = join(dataDir, 'cluster.id');
  if (!existsSync(file)) {
    writeFileSync(`${file}.new`, newClusterId());
    renameSync(`${file}.new`, file);
  }
  return readFileSync(file, 'utf8');
}

/**
 * Starts a cluster of Kafka brokers (KRaft) and waits until all of them serve and coordinate.
 * @throws CallstreamError LOCAL_NOT_INSTALLED, LOCAL_PORT_TAKEN, LOCAL_START_FAILED
 */
export async function startKafkaCluster(options: KafkaClusterOptions): Promise<KafkaCluster> {
  jarsOf('kafka');
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  const clusterId = clusterIdIn(dataDir);
  const ids = Array.from({ length: options.brokers ?? 3 }, (_, index) => index + 1);
  const portEach = async (): Promise<Map<number, number>> =>
    new Map(await Promise.all(ids.map(async (id): Promise<[number, number]> => [id, await freePort()])));
  const ports = await portEach();
  const controllerPorts = await portEach();
  const replicationPorts = await portEach();
  const nodes = ids.map((id): KafkaNode => {
    const port = ports.get(id) as number;
    return {
      name: `Kafka broker ${id}`,
      id,
      port,
      advertisedPort: options.advertisedPorts?.[id - 1] ?? port,
      replicationPort: replicationPorts.get(id) as number,
      controllerPorts,
      dataDir: join(dataDir, `broker-${id}`),
      logFile: join(options.logDir, `kafka-${id}.log`),
      heapMiB: { initial: 64, most: options.heapMiB ?? 320 },
    };
  });

  const servers: Server[] = [];
  const killAll = async (): Promise<void> => {
    for (const server of servers) server?.kill('SIGKILL');
    await Promise.all(servers.map((server) => server?.exited));
  };
  const started = await Promise.allSettled(
    nodes.map(async (node, index) => {
      servers[index] = await startKafkaNode(node, clusterId, () => kafkaServes(ports, OFFSETS_PARTITIONS));
    }),
  );
  const failed = started.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await killAll();
    throw failed.reason;
  }

  const broker = (index: number): Server => servers[index] as Server;
  return {
    addresses: nodes.map((_, index) => broker(index).address),
    ports: nodes.map(({ port }) => port),
    broker,
    kill: (index, signal) => {
      broker(index).kill(signal);
      return broker(index).exited;
    },
    stop: (index) => broker(index).stop(),
    start: async (index) => {
      const node = nodes[index] as KafkaNode;
      servers[index] = await startKafkaNode(node, clusterId, () => kafkaHasJoined(node.id, node.port));
    },
    close: killAll,
  };
}
