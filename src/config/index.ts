export * from './defaults.js';
export { formatDuration, parseDuration } from './duration.js';
export { type Cidr, isLoopback } from './fields.js';
export {
  type AliyunApp,
  type App,
  type ClickHouseConfig,
  type Config,
  DEMO_CONFIG,
  type KafkaConfig,
  type Loaded,
  loadConfig,
  parseConfig,
  type RegistryConfig,
  type SessionsConfig,
  type TencentApp,
} from './load.js';
export { ConfigError, type ConfigProblem } from './problem.js';
