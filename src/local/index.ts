/** Kafka, a schema registry and ClickHouse as child processes: the stack that `callstream up` and the tests run on. */
export { startClickHouse } from './clickhouse.js';
export { startKafka } from './kafka.js';
export { type KafkaCluster, type KafkaClusterOptions, startKafkaCluster } from './kafka-cluster.js';
export { claimPort, freePort } from './ports.js';
export { startRegistry } from './registry.js';
export type { Exit, Server, ServerOptions } from './server.js';
export {
  type Member,
  portFromEnv,
  SERVER_NAMES,
  type ServerName,
  type Stack,
  type StackOptions,
  stackFromEnv,
  startStack,
} from './stack.js';
