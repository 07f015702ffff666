import { STORE_FAULT_POINTS } from '../../src/clickhouse/index.js';
import { INGEST_FAULT_POINTS } from '../../src/ingest/index.js';
import { POLL_FAULT_POINTS } from '../../src/poll/index.js';
import { FAULT_POINTS } from '../../src/stream/types.js';
import { REPAIR_FAULT_POINTS } from '../../src/workers/repair.js';
import { SINK_FAULT_POINTS } from '../../src/workers/sink/fault.js';

/** As roles.ts names the points of a stream worker. */
const ofWorkers = (...workers: string[]): string[] => workers.flatMap((worker) => FAULT_POINTS.map((point) => `${worker}:${point}`));

/** Every named point, by the process that passes it: roles of `callstream run`, and `callstream repair`. */
export const KILL_POINTS = {
  sessions: ofWorkers('sessions', 'recordings', 'channels'),
  events: ofWorkers('events'),
  sink: [...SINK_FAULT_POINTS, ...STORE_FAULT_POINTS],
  ingest: INGEST_FAULT_POINTS,
  poll: POLL_FAULT_POINTS,
  repair: REPAIR_FAULT_POINTS,
} as const satisfies Record<string, readonly string[]>;

export type Swept = keyof typeof KILL_POINTS;
export const SWEPT = Object.keys(KILL_POINTS) as Swept[];
