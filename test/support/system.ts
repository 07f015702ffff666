import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { type Config, loadConfig } from '../../src/config/index.js';
import { freePort } from '../../src/local/index.js';
import type { SimulationOptions, SimulationReport } from '../../src/simulator/index.js';
import { type Sample, samplesOf } from '../../src/telemetry/metrics-text.js';

/** The compiled program, as `npm start` runs it: `npm test` compiles it first. */
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const SIMULATOR = fileURLToPath(new URL('simulator-child.mjs', import.meta.url));
const { KAFKA_BROKERS: _k, SCHEMA_REGISTRY_URL: _r, CLICKHOUSE_URL: _c, ...BASE_ENV } = process.env;
const START_MS = 240_000;

interface Command {
  pid: number;
  text(): string;
  /** Exit code; null: a signal. */
  ended: Promise<number | null>;
}

export interface Simulation {
  /** `heap_bytes`: of the simulator at its end. */
  report: Promise<SimulationReport & { heap_bytes: number }>;
  /** In the middle of it: there will be no report. */
  kill(): Promise<void>;
}

/** `callstream up` with every role and server a process of its own, and the other commands beside it. */
export class System {
  readonly config: Config;
  #up: Command | null = null;
  readonly #children: ChildProcess[] = [];

  private constructor(
    private readonly dir: string,
    private readonly env: NodeJS.ProcessEnv,
    configFile: string,
  ) {
    this.config = loadConfig({ file: configFile, env }).config;
  }

  /** @param dir where its data and logs go @returns once every role is ready */
  static async start(dir: string, configFile: string): Promise<System> {
    const env: NodeJS.ProcessEnv = { ...BASE_ENV };
    const port = async (name: string) => {
      env[`CALLSTREAM_${name}_PORT`] = String(await freePort());
      return env[`CALLSTREAM_${name}_PORT`];
    };
    for (const name of ['INGEST', 'API', 'ADMIN']) await port(name);
    env.KAFKA_BROKERS = `127.0.0.1:${await port('KAFKA')}`;
    env.SCHEMA_REGISTRY_URL = `http://127.0.0.1:${await port('REGISTRY')}/apis/ccompat/v7`;
    env.CLICKHOUSE_URL = `http://127.0.0.1:${await port('CLICKHOUSE')}`;
    const system = new System(dir, env, configFile);
    const { KAFKA_BROKERS: _, SCHEMA_REGISTRY_URL: __, CLICKHOUSE_URL: ___, ...own } = env;
    const up = system.#spawn([MAIN, 'up', '--data', join(dir, 'data'), '--config', configFile], own);
    const ended = up.ended.then((code) => {
      throw new Error(`callstream up ended with ${code}: ${up.text()}`);
    });
    const ready = vi.waitFor(
      () => {
        if (!up.text().includes('\nReady.')) throw new Error(`not ready yet: ${up.text()}`);
      },
      { timeout: START_MS, interval: 200 },
    );
    await Promise.race([ready, ended]);
    system.#up = up;
    return system;
  }

  /**
   * Plays the vendors of the apps in a configuration file: some of those of the system's own.
   * @param heapMiB that the truth may take
   */
  simulate(options: SimulationOptions, configFile: string, heapMiB = 4_096): Simulation {
    const command = this.#spawn([`--max-old-space-size=${heapMiB}`, SIMULATOR, configFile, JSON.stringify(options)], this.env);
    const report = command.ended.then((code) => {
      if (code !== 0) throw new Error(`the simulator ended with ${code}: ${command.text().slice(-8_000)}`);
      return JSON.parse(/^\{"run".*$/m.exec(command.text())?.[0] ?? '');
    });
    return {
      report,
      kill: async () => {
        report.catch(() => {});
        process.kill(command.pid, 'SIGKILL');
        await command.ended;
      },
    };
  }

  /** What the roles say of themselves now, joined by label `role`. */
  async metrics(): Promise<MetricsPage> {
    const { host, port } = this.config.admin;
    const response = await fetch(`http://${host}:${port}/metrics`, { signal: AbortSignal.timeout(10_000) });
    return new MetricsPage(await response.text());
  }

  /** Resident bytes of each server, by name. */
  servers(): Record<string, number> {
    const found: Record<string, number> = {};
    for (const { pid, args } of descendants(this.#up?.pid ?? 0)) {
      const name = /kafka\.Kafka/.test(args)
        ? 'kafka'
        : /apicurio/.test(args)
          ? 'registry'
          : /clickhouse-server/.test(args)
            ? 'clickhouse'
            : null;
      if (name !== null) found[name] = Math.max(found[name] ?? 0, residentBytes(pid));
    }
    return found;
  }

  /** Its process; `up` starts it again. */
  killRole(role: string, signal: NodeJS.Signals): void {
    const found = descendants(this.#up?.pid ?? 0).find(({ args }) => args.includes(` run ${role} `));
    if (found === undefined) throw new Error(`no process runs ${role}`);
    process.kill(found.pid, signal);
  }

  /** Bytes of the logs of all topics. */
  kafkaBytes(): number {
    return bytesBelow(join(this.dir, 'data', 'kafka'), (name) => /^\d{20}\.log$/.test(name));
  }

  /** @returns the exit code of `up`, stopped as by Ctrl-C */
  async stop(): Promise<number | null> {
    if (this.#up === null) return null;
    process.kill(this.#up.pid, 'SIGINT');
    return this.#up.ended;
  }

  /** Ends what is left. */
  kill(): void {
    for (const child of this.#children) if (child.exitCode === null) child.kill('SIGKILL');
  }

  #spawn(args: readonly string[], env: NodeJS.ProcessEnv): Command {
    const child = spawn(process.execPath, args, { cwd: this.dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#children.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
    return { pid: child.pid!, text: () => text, ended: new Promise((resolve) => child.once('close', resolve)) };
  }
}

/** A page of Prometheus text. */
export class MetricsPage {
  readonly #samples: readonly Sample[];

  constructor(text: string) {
    this.#samples = samplesOf(text, '');
  }

  /** The sum of the samples of a metric that carry all of these labels; null: there is none. */
  sum(metric: string, labels: Readonly<Record<string, string>> = {}): number | null {
    const wanted = Object.entries(labels);
    const found = this.#samples.filter((s) => s.name === metric && wanted.every(([label, value]) => s.labels[label] === value));
    return found.length === 0 ? null : found.reduce((sum, s) => sum + s.value, 0);
  }
}

function descendants(root: number): { pid: number; args: string }[] {
  const parents = new Map<number, { parent: number; args: string }>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      parents.set(Number(entry), { parent, args: readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ') });
    } catch {
      // It has ended meanwhile.
    }
  }
  const below = (pid: number): boolean => {
    const parent = parents.get(pid)?.parent;
    return parent !== undefined && (parent === root || below(parent));
  };
  return [...parents].filter(([pid]) => below(pid)).map(([pid, { args }]) => ({ pid, args }));
}

function residentBytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function bytesBelow(dir: string, wanted: (name: string) => boolean): number {
  let sum = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) sum += bytesBelow(path, wanted);
    else if (wanted(entry.name)) sum += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return sum;
}
