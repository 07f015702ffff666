/** The one place where the parts meet: each role, made of real Kafka, registry, ClickHouse and files. */
import type { Config } from '../config/index.js';
import type { Readiness } from '../telemetry/admin-server.js';
import type { Clock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';

export const ROLES = ['ingest', 'sessions', 'events', 'sink', 'api'] as const;
export type Role = (typeof ROLES)[number];

/** Of the contract, but not built yet. */
export const LATER_ROLES = ['poll', 'alerts'] as const;

export const isRole = (name: string): name is Role => (ROLES as readonly string[]).includes(name);

/** What a role is given to work with. */
export interface RoleContext {
  config: Config;
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
}

/** A role at work in this process. */
export interface RunningRole {
  /** Whether it can do its work now. */
  ready(): Readiness | Promise<Readiness>;
  /** Resolves with the reason when the role cannot go on: the process must end. Pending as long as all is well. */
  readonly failed: Promise<unknown>;
  /** Finishes what is under way, and stops. */
  stop(): Promise<void>;
}

export function startRole(_role: Role, _context: RoleContext): Promise<RunningRole> {
  throw new Error('not wired yet');
}
