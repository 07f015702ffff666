export type { IngestApp } from './access.js';
export type { Fault, FaultPoint } from './fault.js';
export { type Ingest, type IngestDeps, type IngestOptions, startIngest } from './ingest.js';
export { kafkaOutlet, type Outlet } from './outlet.js';
