export * from './defaults.js';
export { formatDuration, parseDuration } from './duration.js';
export { type Cidr, isLoopback } from './fields.js';
export {
  type App,
  type Config,
  DEMO_CONFIG,
  type Loaded,
  loadConfig,
  parseConfig,
} from './load.js';
export { ConfigError, type ConfigProblem } from './problem.js';
