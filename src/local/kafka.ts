import { join, resolve } from 'node:path';
import { ENV } from '../config/defaults.js';
import { newClusterId, OFFSETS_PARTITIONS, startKafkaNode } from './kafka-node.js';
import { kafkaServes } from './kafka-probe.js';
import { jarsOf } from './paths.js';
import { claimPort, freePort } from './ports.js';
import type { Server, ServerOptions } from './server.js';

export interface KafkaOptions extends ServerOptions {
  /** The port of 127.0.0.1 that clients are told, for a proxy in front of the broker: default `port`. */
  advertisedPort?: number;
}

/**
 * Starts Apache Kafka (KRaft, one process) and waits until it coordinates groups and transactions.
 * `address` is the bootstrap server, `127.0.0.1:PORT`.
 * @throws CallstreamError LOCAL_NOT_INSTALLED, LOCAL_PORT_TAKEN, LOCAL_START_FAILED
 */
export async function startKafka(options: KafkaOptions): Promise<Server> {
  jarsOf('kafka');
  const port = await claimPort('Kafka', options.port, ENV.kafkaPort);
  const { advertisedPort } = options;
  return startKafkaNode(
    {
      name: 'Kafka',
      id: 1,
      port,
      advertisedPort: advertisedPort ?? port,
      ...(advertisedPort === undefined ? {} : { replicationPort: await freePort() }),
      controllerPorts: new Map([[1, await freePort()]]),
      dataDir: resolve(options.dataDir),
      logFile: join(options.logDir, 'kafka.log'),
      heapMiB: { initial: 128, most: 512 },
    },
    newClusterId(),
    () => kafkaServes(new Map([[1, port]]), OFFSETS_PARTITIONS),
  );
}
