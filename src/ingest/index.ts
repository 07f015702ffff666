export type { IngestApp } from './access.js';
export { type Fault, type FaultPoint, INGEST_FAULT_POINTS } from './fault.js';
export { type Ingest, type IngestDeps, type IngestOptions, startIngest } from './ingest.js';
export { kafkaOutlet, type Outlet } from './outlet.js';
