export { Chunk, type TableRows } from './chunk.js';
export { ClickHouse } from './client.js';
export { ClickHouseFailure, type FailureKind, SERVER_CODES, TOO_MANY_PARTS } from './errors.js';
export { STORE_FAULT_POINTS, type StoreFault, type StoreFaultPoint } from './fault.js';
export { Flush } from './flush.js';
export { jointly } from './jointly.js';
export {
  type FinishedCall,
  findCalls,
  findFinishedCalls,
  inputsOf,
  lookupCalls,
  lookupChannels,
  lookupRecordings,
  type StoredInput,
} from './lookup.js';
export { hasTables, migrateClickHouse, noteLoss, otherTtls, type Retention, readMigrations } from './migrate.js';
export { endRebuilds, openRebuilds, wantRebuild } from './rebuilds.js';
export { type Retouched, retouch } from './retouch.js';
export { Roller } from './roller.js';
export { RowError } from './row-writer.js';
export { CALL_FIELDS, type CallRow } from './rows.js';
