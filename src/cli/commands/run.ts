import { InvalidArgumentError } from 'commander';
import { collectDefaultMetrics } from 'prom-client';
import { loadConfig } from '../../config/index.js';
import { type AdminServer, type Readiness, startAdminServer } from '../../telemetry/admin-server.js';
import { systemClock } from '../../telemetry/clock.js';
import { ClockWatch } from '../../telemetry/clock-watch.js';
import { createLogger } from '../../telemetry/log.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { EXIT } from '../exit.js';
import { isKafkas } from '../explain-error.js';
import { aborted, type Io } from '../io.js';
import type { Register } from '../program.js';
import { isRole, ROLES, type Role, type RoleContext, type RunningRole, startRole } from '../roles.js';
import { endWithSupervisor } from '../supervise/lifeline.js';
import { type ConfigOption, withConfig } from './options.js';

/** A role that does not stop by itself within this time is left behind with the process. */
const STOP_MS = 15_000;

export const run: Register = (program, action) => {
  withConfig(
    program
      .command('run')
      .summary('one or more roles against the configured Kafka, registry and ClickHouse')
      .description('Runs one or more roles in this process, against the configured Kafka, schema registry and ClickHouse.')
      .argument('<role...>', `${ROLES.join(', ')}`, collectRole),
  )
    .addHelpText(
      'after',
      `
Roles:
  ingest     takes the vendors' callbacks over HTTP and writes them, raw and durable, to Kafka
  poll       asks the vendors' APIs for what callbacks do not tell; one process at a time, others stand by
  sessions   joins raw inputs into calls, and into recordings, exactly once
  events     publishes canonical events, and dead letters for what cannot be read
  sink       writes calls, recordings, events and rollups into ClickHouse
  api        serves the query API and the dashboard
  alerts     judges the rules of alerts, one process at a time, and tells the receivers of webhooks

/healthz, /readyz and /metrics are on CALLSTREAM_ADMIN_PORT (9090), one port for all roles of the process.
SIGTERM or Ctrl-C finishes what is under way and stops.

Examples:
  $ callstream run ingest --config production.yaml
  $ CALLSTREAM_ADMIN_PORT=9191 callstream run sessions events sink`,
    )
    .action(action(async (io, roles: Role[], options: ConfigOption) => runRoles(io, [...new Set(roles)], options)));
};

function collectRole(value: string, previous: Role[] = []): Role[] {
  if (isRole(value)) return [...previous, value];
  throw new InvalidArgumentError(`Roles are ${ROLES.join(', ')}.`);
}

/** @param fault for tests */
export async function runRoles(io: Io, roles: Role[], options: ConfigOption, fault?: RoleContext['fault']): Promise<number> {
  endWithSupervisor(io.env);
  const { config } = loadConfig({ file: options.config, env: io.env });
  const logger = createLogger({ name: roles.join('+') });
  const metrics = createMetrics();
  collectDefaultMetrics({ register: metrics.registry });

  const clockWatch = new ClockWatch(systemClock, { logger, metrics });

  const running = new Map<Role, RunningRole>();
  const ready = async (): Promise<Readiness> => {
    const answers = await Promise.all(
      roles.map(async (role) => (await running.get(role)?.ready()) ?? { ok: false, problems: [`${role} is starting`] }),
    );
    return { ok: answers.every((r) => r.ok), problems: [...answers.flatMap((r) => r.problems), ...clockWatch.problems()] };
  };
  const admin = await startAdminServer({ ...config.admin, metrics: metrics.registry, ready });
  logger.info({ roles, admin: admin.address }, 'starting');
  try {
    const failed = (async () => {
      for (const role of roles) {
        if (io.signal.aborted) return new Promise<never>(() => {});
        running.set(role, await startRole(role, { config, logger: logger.child({ role }), metrics, clock: systemClock, fault }));
        logger.info({ role }, 'started');
      }
      const [role, reason] = await Promise.race([...running].map(async ([name, r]) => [name, await r.failed] as const));
      throw Object.assign(new Error(`role ${role} cannot go on`), { cause: reason });
    })();
    await Promise.race([failed, aborted(io.signal)]);
    logger.info('stopping');
    return EXIT.ok;
  } catch (error) {
    // The reason is in the log for machines, and the last line of it is what the supervisor shows.
    logger.fatal({ err: error, reason: reasonOf(error) }, 'cannot go on');
    return EXIT.failure;
  } finally {
    clockWatch.stop();
    await stopAll([...running.values()].toReversed(), admin, (error) => logger.error({ err: error }, 'did not stop cleanly'));
    logger.info('stopped');
  }
}

const reasonOf = (error: unknown): string => {
  const parts: string[] = [];
  let ofKafka = false;
  for (let e = error; e !== undefined && parts.length < 4; e = e instanceof Error ? e.cause : undefined) {
    parts.push(e instanceof Error ? e.message : String(e));
    ofKafka ||= e instanceof Error && isKafkas(e);
  }
  return `${ofKafka ? 'Kafka: ' : ''}${parts.join(': ')}`;
};

async function stopAll(roles: readonly RunningRole[], admin: AdminServer, report: (error: unknown) => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`a role did not stop within ${STOP_MS / 1000} s`)), STOP_MS);
  });
  const stopped = (async () => {
    for (const role of roles) await role.stop().catch(report);
    await admin.close();
  })();
  await Promise.race([stopped, late]).catch(report);
  clearTimeout(timer);
}
