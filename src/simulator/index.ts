export { CHAOS_LEVELS, type ChaosLevel } from './chaos.js';
export { formatReport } from './format.js';
export { runSimulation, type SimulationDeps, type SimulationOptions, type SimulationProgress, type SimulationReport } from './run.js';
export type { CallsTopicRecord, MetricsTexts, Query, RawTopicRecord, SessionTimes, VerifyDeps, VerifyReport } from './verify/ports.js';
