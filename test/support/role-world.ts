import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';
import { migrateAll } from '../../src/cli/migrate.js';
import type { Role } from '../../src/cli/roles.js';
import { simulatedApps } from '../../src/cli/simulated-apps.js';
import { SUPERVISED } from '../../src/cli/supervise/lifeline.js';
import { openVerification } from '../../src/cli/verification.js';
import { type Config, parseConfig } from '../../src/config/index.js';
import { freePort, type Server, startClickHouse, startKafka, startRegistry } from '../../src/local/index.js';
import { notCompared, runSimulation, type SimulationOptions, type SimulationReport, type VerifyReport } from '../../src/simulator/index.js';
import { createClients } from '../../src/stream/client.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { TcpProxy } from './tcp-proxy.js';
import { countsOf } from './torture.js';

/** The compiled program, as `npm start` runs it: `npm test` compiles it first. */
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** Lets {@link RoleWorld.setClock} set the clock of a role. */
const PRELOAD = new URL('../fault/roles/clock-preload.mjs', import.meta.url).href;
export const APP = '1400000001';
export const CHANNEL_APP = '9qb1abcd';

/** What stands between the roles and whom they talk to. The vendor is the simulator's, which listens behind its proxy while it plays. */
export interface Proxies {
  kafka: TcpProxy;
  registry: TcpProxy;
  clickhouse: TcpProxy;
  vendor: TcpProxy;
  /** Between the vendor's callbacks and ingest: its delay is the pace of the traffic. */
  ingest: TcpProxy;
}

/** One `callstream run ROLE…`. */
export interface RoleProcess {
  readonly role: Role;
  readonly child: ChildProcess;
  /** Everything that it has logged. */
  text(): string;
  /** 503 counts as an answer; rejects where nothing answers. */
  ready(): Promise<{ ready: boolean; problems: string[] }>;
  /** The values of a metric, of its series whose labels contain the text; and their sum. */
  metrics(name: string, labels?: string): Promise<number[]>;
  metric(name: string, labels?: string): Promise<number>;
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/**
 * A whole installation for faults: embedded servers, each behind a proxy, apps with every feature whose vendor the simulator plays in this process, and roles as
 * processes of their own. Timeouts are short; sweeps reach back so far that each finds everything of a run.
 */
export class RoleWorld {
  readonly dir = mkdtempSync(join(tmpdir(), 'callstream-world-'));
  readonly #servers: Server[] = [];
  readonly #processes = new Set<RoleProcess>();
  #config: Config | null = null;
  #direct: Config | null = null;
  #proxies: Proxies | null = null;

  /**
   * @param apis which of the vendors' APIs are polled: records are found within seconds; of media events some are asked for again after 10 s, and of the log of
   * pushes a minute is asked for when it is over
   */
  static async start(apis: 'records' | 'all'): Promise<RoleWorld> {
    const world = new RoleWorld();
    await world.#start(apis === 'all');
    return world;
  }

  /** As the roles have it: every address is a proxy's. */
  get config(): Config {
    if (this.#config === null) throw new Error('not started');
    return this.#config;
  }

  get proxies(): Proxies {
    if (this.#proxies === null) throw new Error('not started');
    return this.#proxies;
  }

  get file(): string {
    return join(this.dir, 'callstream.yaml');
  }

  /** Roles that run, in the order of their start. */
  of(role: Role): RoleProcess[] {
    return [...this.#processes].filter((one) => one.role === role);
  }

  /** Those that run now. */
  get processes(): RoleProcess[] {
    return [...this.#processes];
  }

  /** The variables that a command or role is run with. */
  get env(): NodeJS.ProcessEnv {
    const { kafka, registry, clickhouse, ingest, api } = this.config;
    return {
      PATH: process.env.PATH,
      KAFKA_BROKERS: kafka.brokers.join(','),
      SCHEMA_REGISTRY_URL: registry.url,
      CLICKHOUSE_URL: clickhouse.url,
      CALLSTREAM_INGEST_PORT: String(ingest.port),
      CALLSTREAM_API_PORT: String(api.port),
      CALLSTREAM_ADMIN_PORT: '0',
      CALLSTREAM_DATA_DIR: join(this.dir, 'data'),
    };
  }

  /** The clocks of all processes of a role, those to come too, are ahead of this machine's by so much from now on. */
  setClock(role: Role, ms: number): void {
    writeFileSync(this.#clockOf(role), String(ms));
  }

  #clockOf(role: Role): string {
    return join(this.dir, `clock-of-${role}`);
  }

  /** Starts a role; resolves once it serves its admin port. @param more another configuration than all others have */
  async run(role: Role, more: { config?: (yaml: string) => string } = {}): Promise<RoleProcess> {
    let { file } = this;
    if (more.config !== undefined) {
      file = join(this.dir, 'another.yaml');
      writeFileSync(file, more.config(readFileSync(this.file, 'utf8')));
    }
    const child = spawn(process.execPath, ['--import', PRELOAD, MAIN, 'run', role, '--config', file], {
      cwd: this.dir,
      // It ends with this process, however that ends.
      env: { ...this.env, CALLSTREAM_TEST_CLOCK: this.#clockOf(role), [SUPERVISED]: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
    const admin = (): string => /"admin":"([^"]+)"/.exec(text)?.[1] ?? '';
    const one: RoleProcess = {
      role,
      child,
      text: () => text,
      ready: async () =>
        (await (await fetch(`${admin()}/readyz`, { signal: AbortSignal.timeout(15_000) })).json()) as {
          ready: boolean;
          problems: string[];
        },
      metric: async (name, labels) => (await one.metrics(name, labels)).reduce((sum, n) => sum + n, 0),
      metrics: async (name, labels = '') => {
        const all = await (await fetch(`${admin()}/metrics`, { signal: AbortSignal.timeout(5_000) })).text();
        return all
          .split('\n')
          .filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels))
          .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)));
      },
      signal: (signal) => void child.kill(signal),
      exited: new Promise((resolve) =>
        child.once('exit', (code, signal) => {
          this.#processes.delete(one);
          resolve({ code, signal });
        }),
      ),
    };
    this.#processes.add(one);
    try {
      // A busy machine takes its time.
      await vi.waitFor(() => expect(admin(), text).not.toBe(''), { timeout: 120_000, interval: 20 });
    } catch (error) {
      one.signal('SIGKILL');
      await one.exited;
      throw error;
    }
    return one;
  }

  /** What the coordinator knows of consumer groups. */
  async groups(names: readonly string[]): Promise<{ group: string; state: string; members: number }[]> {
    const admin = createClients({ brokers: this.config.kafka.brokers }, silentLogger()).consumers.admin();
    try {
      await admin.connect();
      const described = (await admin.describeGroups([...names])).groups;
      return described.map(({ groupId, state, members }) => ({ group: groupId, state, members: members.length }));
    } finally {
      await admin.disconnect();
    }
  }

  /** Every role that runs can do its work. */
  async allReady(timeout = 60_000): Promise<void> {
    for (const one of this.#processes) {
      const isReady = async (): Promise<void> => {
        expectRunning([one]);
        expect(await one.ready(), saidBy(one)).toMatchObject({ ready: true });
      };
      await vi.waitFor(isReady, { timeout, interval: 50 });
    }
  }

  /** Runs a command to its end. */
  async command(args: readonly string[]): Promise<{ code: number | null; text: string; ms: number }> {
    const began = performance.now();
    const child = spawn(process.execPath, [MAIN, ...args, '--config', this.file], {
      cwd: this.dir,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
    const [code] = (await once(child, 'exit')) as [number | null];
    return { code, text, ms: performance.now() - began };
  }

  /** Plays the vendor while `play` does what it does, and then compares with the truth. */
  async simulate(
    options: Omit<SimulationOptions, 'verify'>,
    play?: () => Promise<void>,
  ): Promise<SimulationReport & { verify: VerifyReport }> {
    if (this.#direct === null) throw new Error('not started');
    const verification = await openVerification(this.#direct, (text) => this.#said.push(text));
    const failed = new AbortController();
    const { ingest } = this.proxies;
    // There is traffic as long as the play lasts; what is left of it then goes as fast as it is taken.
    ingest.delayMs = PACE_MS;
    let ranDry = false;
    let over = play === undefined;
    const played = play?.().finally(() => {
      over = true;
      ingest.delayMs = 0;
    });
    // Told below; nothing is compared then.
    played?.catch(() => failed.abort());
    const { lag } = verification.deps;
    // Asked for first when everything is sent, and then again and again: faults of Kafka are the verifier's too.
    const afterPlay = async (): ReturnType<typeof lag> => {
      ranDry ||= !over;
      await played;
      return lag();
    };
    const deps = { ...verification.deps, lag: afterPlay };
    try {
      const simulating = runSimulation(
        { live: 0, ...options, verify: true },
        {
          ingest: `http://127.0.0.1:${ingest.port}`,
          ...simulatedApps(this.#direct),
          sessions: this.config.sessions,
          clock: systemClock,
          verify: deps,
          signal: failed.signal,
        },
      );
      const [ended] = await Promise.allSettled([simulating]);
      await played;
      if (ended.status === 'rejected') throw ended.reason;
      expect(ranDry, 'all was sent before the play was over: it ended without traffic').toBe(false);
      return ended.value as SimulationReport & { verify: VerifyReport };
    } finally {
      await verification.close();
    }
  }

  readonly #said: string[] = [];

  /** What verification said it waited for, latest last. */
  get said(): readonly string[] {
    return this.#said;
  }

  async close(): Promise<void> {
    for (const one of this.#processes) {
      one.signal('SIGKILL');
      await one.exited;
    }
    await Promise.all(this.#servers.map((server) => server.stop()));
    await Promise.all(Object.values(this.#proxies ?? {}).map((proxy: TcpProxy) => proxy.close()));
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
  }

  async #start(allApis: boolean): Promise<void> {
    const kafkaPort = await freePort();
    const vendorPort = await freePort();
    const kafka = await TcpProxy.listen(kafkaPort);
    const options = (name: string) => ({ dataDir: join(this.dir, name), logDir: this.dir });
    const servers = await Promise.all([
      startKafka({ ...options('kafka'), port: kafkaPort, advertisedPort: kafka.port }),
      startRegistry({ ...options('registry'), port: 0 }),
      startClickHouse({ ...options('clickhouse'), port: 0 }),
    ]);
    this.#servers.push(...servers);
    const [, ofRegistry, ofClickHouse] = servers;
    const [registry, clickhouse, vendor] = await Promise.all(
      [ofRegistry.port, ofClickHouse.port, vendorPort].map((port) => TcpProxy.listen(port)),
    );
    const ports = { ingest: await freePort(), api: await freePort() };
    this.#proxies = { kafka, registry, clickhouse, vendor, ingest: await TcpProxy.listen(ports.ingest) } as Proxies;
    const parsed = (vendorAt: number, kafkaAt: number, registryAt: number, clickhouseAt: number): Config => {
      const yaml = yamlOf(`http://127.0.0.1:${vendorAt}`, allApis);
      if (vendorAt !== vendorPort) writeFileSync(this.file, yaml);
      return parseConfig(yaml, {
        KAFKA_BROKERS: `127.0.0.1:${kafkaAt}`,
        SCHEMA_REGISTRY_URL: ofRegistry.address.replace(`:${ofRegistry.port}`, `:${registryAt}`),
        CLICKHOUSE_URL: `http://127.0.0.1:${clickhouseAt}`,
        CALLSTREAM_INGEST_PORT: String(ports.ingest),
        CALLSTREAM_API_PORT: String(ports.api),
      }).config;
    };
    const proxied = this.#proxies;
    this.#config = parsed(proxied.vendor.port, kafka.port, proxied.registry.port, proxied.clickhouse.port);
    // Kafka's clients are told of the proxy whoever they are; a fault there is everybody's.
    this.#direct = parsed(vendorPort, kafka.port, ofRegistry.port, ofClickHouse.port);
    await migrateAll(this.#direct, { embeddedKafka: true, logger: silentLogger() });
  }
}

const yamlOf = (vendor: string, allApis: boolean): string => `apps:
  - provider: tencent
    appId: "${APP}"
    tiwCallbackKey: a-key-of-tiw-callbacks
    records: { endpoint: "${vendor}", identifier: administrator, secretKey: ${'k'.repeat(64)} }
${allApis ? `    cloudApi: { endpoint: "${vendor}", region: ap-singapore, secretId: AKID, secretKey: ${'k'.repeat(36)} }` : ''}
  - provider: aliyun
    appId: ${CHANNEL_APP}
${allApis ? `    api: { endpoint: "${vendor}", subscribeIds: ["s1"], accessKeyId: AK, accessKeySecret: ${'k'.repeat(30)} }` : ''}
kafka: { partitions: 4 }
sessions: { ringTimeout: 5s, settle: 2s, maxCall: 60s, retention: 10s, channelGap: 5s }
polling: { sweepEvery: 1s, overlap: 2h, delay: 0s }
`;

/** From one callback of a sender to its next, while a scenario plays. */
export const PACE_MS = 100;

const saidBy = (one: RoleProcess): string => `${one.role}: ${one.text().slice(-20_000)}`;

/** None of these has ended. The world forgets those that have: whom it is asked of, is asked for beforehand. */
export function expectRunning(processes: readonly RoleProcess[]): void {
  for (const one of processes) expect(one.child.exitCode ?? one.child.signalCode, saidBy(one)).toBeNull();
}

/** What a comparison counted, by kind; what was not compared at all counts as lost. */
export function figuresOf({ verify, sent }: SimulationReport & { verify: VerifyReport }): {
  events: number;
  lost: number;
  doubled: number;
  differing: number;
} {
  const counts = countsOf(verify.differences);
  return {
    events: verify.compared.received,
    lost: counts.lost + notCompared(verify.compared).length,
    doubled: counts.doubled,
    differing: counts.differing + sent.unexpected,
  };
}

/** Fails with the first differences in words. */
export function expectNoDifference(report: SimulationReport & { verify: VerifyReport }): void {
  expect({ first: report.verify.first, notCompared: notCompared(report.verify.compared), unexpected: report.sent.unexpected }).toEqual({
    first: [],
    notCompared: [],
    unexpected: 0,
  });
}
