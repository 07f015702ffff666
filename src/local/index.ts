export { startClickHouse } from './clickhouse.js';
export { type ServerOptions, startKafka } from './kafka.js';
export { freePort } from './ports.js';
export type { Exit, Server } from './process.js';
export { startRegistry } from './registry.js';
export { type Member, SERVER_NAMES, type ServerName, type Stack, type StackOptions, stackFromEnv, startStack } from './stack.js';
