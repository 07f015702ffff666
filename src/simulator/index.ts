export { CHAOS_LEVELS, type ChaosLevel } from './chaos.js';
export { formatReport } from './format.js';
export { runSimulation, type SimulationDeps, type SimulationOptions, type SimulationProgress, type SimulationReport } from './run.js';
export type { CallApp, ChannelApp } from './vendor/app.js';
export {
  type CallsTopicRecord,
  type MetricsTexts,
  notCompared,
  type Query,
  type RawTopicRecord,
  type SessionTimes,
  type VerifyDeps,
  type VerifyReport,
} from './verify/ports.js';
