export { isPublicAddress, literalAddress } from './address.js';
export { WEBHOOK_EVENTS, type Webhook, type WebhookEvent } from './alerts.js';
export * from './defaults.js';
export { DEMO_CONFIG, simulatedDemoConfig } from './demo.js';
export { formatDuration, parseDuration } from './duration.js';
export { type Cidr, isLoopback } from './fields.js';
export {
  type App,
  type Config,
  type Loaded,
  loadConfig,
  parseConfig,
} from './load.js';
export { ConfigError, type ConfigProblem } from './problem.js';
