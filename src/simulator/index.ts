export { CHAOS_LEVELS, type ChaosLevel } from './chaos.js';
export { formatReport } from './format.js';
export { runSimulation, type SimulationDeps, type SimulationOptions, type SimulationProgress, type SimulationReport } from './run.js';
export { SOURCE_NAMES, type SourceName } from './truth/read-source.js';
export type { CallApp, ChannelApp } from './vendor/app.js';
export { notCompared } from './verify/compared.js';
export type {
  CallsTopicRecord,
  MetricsTexts,
  Query,
  RawTopicRecord,
  SessionTimes,
  TaskRecord,
  VerifyDeps,
  VerifyReport,
} from './verify/ports.js';
