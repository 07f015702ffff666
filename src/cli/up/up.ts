import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEMO_CONFIG, ENV, LOOPBACK, loadConfig, PORTS, simulatedDemoConfig } from '../../config/index.js';
import { CallstreamError } from '../../domain/errors.js';
import { lockFolder } from '../../ingest/spool-lock.js';
import { claimPort, freePort, portFromEnv } from '../../local/index.js';
import { type MetricsText, type Readiness, startAdminServer } from '../../telemetry/admin-server.js';
import { createLogger } from '../../telemetry/log.js';
import { demoFile } from '../commands/options.js';
import { EXIT } from '../exit.js';
import { aborted, type Io } from '../io.js';
import { describeMigrated, migrateAll } from '../migrate.js';
import { NODE_OPTIONS } from '../node-options.js';
import { reachable } from '../parts.js';
import { ROLES, type Role } from '../roles.js';
import type { ChildSpec } from '../supervise/child.js';
import { joinMetrics } from '../supervise/join-metrics.js';
import { Supervisor } from '../supervise/supervisor.js';
import { version } from '../version.js';
import { welcome } from './addresses.js';
import { Console } from './console.js';
import { Servers } from './servers.js';

export interface UpOptions {
  dataDir: string;
  /** Configuration file; undefined: the default file, else the demo app. */
  file: string | undefined;
  simulate: boolean;
}

/** In the order of stopping: nothing is sent any more, nothing is taken any more, what was taken is worked off. */
const STOP_ORDER: readonly (readonly Role[])[] = [['ingest', 'poll'], ['sessions', 'events'], ['sink', 'alerts'], ['api']];
/** An hour of history, so that the charts are not empty, then calls as they happen. */
const SIMULATE = ['simulate', '--history', '1h', '--rate', '1.5'];
const STOP_CHILD_MS = 20_000;
const ASK_MS = 2_000;
const SCRIPT = fileURLToPath(new URL('../main.js', import.meta.url));

/** `callstream up`: servers, migration, roles, and on request the simulator; until a signal. */
export async function runUp(io: Io, options: UpOptions): Promise<number> {
  const dataDir = resolve(options.dataDir);
  const loaded = loadConfig({ file: options.file, env: io.env, demo: true });
  const unlock = lockData(dataDir);
  const terminal = new Console(io);
  terminal.say(`callstream ${version()}: data and logs in ${dataDir}${loaded.demo ? `; no configuration file, so the demo app` : ''}`);

  let phase = 'the servers are starting';
  let servers: Servers | undefined;
  let roles: Supervisor | undefined;
  let simulator: Supervisor | undefined;
  const adminPorts = new Map<string, number>();
  const readiness = (): Readiness => {
    if (servers === undefined || roles === undefined) return { ok: false, problems: [phase] };
    const parts = [servers.readiness, roles.readiness];
    return { ok: parts.every((r) => r.ok), problems: parts.flatMap((r) => r.problems) };
  };
  const admin = await startAdminServer({ ...loaded.config.admin, metrics: childMetrics(adminPorts), ready: readiness });
  // The impatient second Ctrl-C ends this process at once; servers and roles notice and go down with it.
  try {
    servers = await Servers.start(dataDir, loaded, io.env, terminal);
    if (io.signal.aborted) return EXIT.ok;

    const file = loaded.file ?? demoFile(dataDir);
    if (loaded.demo) writeFileSync(file, options.simulate ? await simulatedDemo(io.env) : DEMO_CONFIG);
    const env: NodeJS.ProcessEnv = {
      ...io.env,
      ...servers.env,
      [ENV.dataDir]: dataDir,
      [ENV.ingestPort]: String(loaded.config.ingest.port || (await freePort())),
      [ENV.adminUrls]: loaded.explicit.has('api.admins')
        ? loaded.config.api.admins.join(',')
        : `http://${reachable(loaded.config.admin.host)}:${admin.port}`,
      [ENV.apiPort]: String(loaded.config.api.port || (await freePort())),
    };
    const { config } = loadConfig({ file, env });

    phase = 'topics, schemas and tables are being prepared';
    const migrated = await migrateAll(config, { embeddedKafka: servers.embeddedKafka, logger: createLogger({ level: 'error' }) });
    terminal.event('migrate', 'done', describeMigrated(migrated));
    if (io.signal.aborted) return EXIT.ok;

    for (const role of ROLES) adminPorts.set(role, await freePort());
    const onEvent: ConstructorParameters<typeof Supervisor>[1]['onEvent'] = (name, event) =>
      terminal.child(name, event, join(dataDir, 'log', `${name}.log`));
    const child = (name: string, args: string[], port: number | undefined): ChildSpec => ({
      name,
      command: process.execPath,
      args: [...NODE_OPTIONS, SCRIPT, ...args, '--config', file],
      env: { ...env, ...(port === undefined ? {} : { [ENV.adminPort]: String(port), [ENV.adminHost]: '127.0.0.1' }) },
      logFile: join(dataDir, 'log', `${name}.log`),
      ...(port === undefined ? {} : { probe: () => askReady(port) }),
    });
    phase = 'the roles are starting';
    roles = new Supervisor(
      STOP_ORDER.map((group) => group.map((role) => child(role, ['run', role], adminPorts.get(role)))),
      { onEvent },
    );
    roles.start();
    if (await untilReady(readiness, io.signal)) {
      terminal.say(
        `\nReady.\n\n${welcome(config, { demo: loaded.demo, admin: admin.address, now: Date.now() })}\n\nCtrl-C stops everything; the data stays.\n`,
      );
      if (options.simulate) {
        simulator = new Supervisor([[child('simulate', SIMULATE, undefined)]], { onEvent });
        simulator.start();
      }
      await aborted(io.signal);
    }
    return EXIT.ok;
  } finally {
    phase = 'stopping';
    terminal.event('up', 'stopping');
    await simulator?.stop(STOP_CHILD_MS);
    await roles?.stop(STOP_CHILD_MS);
    terminal.event('servers', 'stopping');
    await servers?.stop();
    await admin.close();
    unlock();
    terminal.event('up', 'stopped');
  }
}

/** The demo with a vendor behind it: only the simulator is that vendor, so without it nobody would answer. */
async function simulatedDemo(env: NodeJS.ProcessEnv): Promise<string> {
  const port = await claimPort('the simulated vendor', portFromEnv(env, ENV.vendorPort) ?? PORTS.vendor, ENV.vendorPort);
  return simulatedDemoConfig(`http://${LOOPBACK}:${port}`);
}

/** One `up` per data folder: the lock goes with the process, however it ends. */
function lockData(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true });
  try {
    return lockFolder(dataDir);
  } catch (error) {
    if (!(error instanceof CallstreamError) || error.code !== 'SPOOL_LOCKED') throw error;
    const pid = /process (\d+)/.exec(error.message)?.[1];
    throw new CallstreamError(
      'UP_ALREADY_RUNNING',
      `another \`callstream up\`${pid === undefined ? '' : ` (process ${pid})`} uses the data folder ${dataDir}. Stop it, or give this one a folder of its own with --data DIR`,
      { cause: error },
    );
  }
}

async function askReady(port: number): Promise<Readiness> {
  const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(ASK_MS) });
  const { ready, problems } = (await response.json()) as { ready: boolean; problems: string[] };
  return { ok: ready, problems };
}

/** The children's metrics as one text; a child that does not answer is left out. */
function childMetrics(ports: ReadonlyMap<string, number>): MetricsText {
  return {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    metrics: async () => {
      const answers = await Promise.allSettled(
        [...ports].map(async ([role, port]) => {
          const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(ASK_MS) });
          return [role, await response.text()] as const;
        }),
      );
      return joinMetrics(new Map(answers.flatMap((a) => (a.status === 'fulfilled' ? [a.value] : []))), 'role');
    },
  };
}

/** False when the signal came first. */
async function untilReady(readiness: () => Readiness, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    if (readiness().ok) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}
