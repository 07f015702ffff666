import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Readiness } from '../../telemetry/admin-server.js';
import { type Backoff, backoffMs, DEFAULT_BACKOFF } from './backoff.js';
import { SUPERVISED } from './lifeline.js';

const LOG_LIMIT_BYTES = 16 * 1024 * 1024;
const PROBE_STARTING_MS = 150;
const PROBE_READY_MS = 1_000;

/** One process that the supervisor keeps alive. */
export interface ChildSpec {
  name: string;
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  /** Standard output and error are appended here. */
  logFile: string;
  /** Asks the child whether it can work; absent: it can as soon as it runs. A rejection means "not yet". */
  probe?: () => Promise<Readiness>;
}

export type ChildEvent =
  | { kind: 'started'; pid: number }
  | { kind: 'ready' }
  | { kind: 'not-ready'; problems: string[] }
  | { kind: 'died'; pid: number | undefined; code: number | null; signal: NodeJS.Signals | null; restartInMs: number };

export interface ChildOptions {
  onEvent: (name: string, event: ChildEvent) => void;
  backoff?: Backoff;
  random?: () => number;
}

/**
 * Runs a process until `stop()`: starts it again with backoff whenever it ends.
 * The child leads a session of its own, so that Ctrl-C in a terminal reaches the supervisor alone, and its standard input is a pipe
 * that ends when this process does, however that happens (see lifeline.ts).
 */
export class SupervisedChild {
  readonly name: string;
  readonly #spec: ChildSpec;
  readonly #options: ChildOptions;
  readonly #stopping = new AbortController();
  #process: ChildProcess | undefined;
  #loop: Promise<void> = Promise.resolve();
  #readiness: Readiness;
  #readySince: number | null = null;

  constructor(spec: ChildSpec, options: ChildOptions) {
    this.name = spec.name;
    this.#spec = spec;
    this.#options = options;
    this.#readiness = { ok: false, problems: [`${spec.name} is starting`] };
  }

  get readiness(): Readiness {
    return this.#readiness;
  }

  /** Of the process that runs now. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Ends the child with SIGTERM, after `graceMs` with SIGKILL, and does not start it again. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    this.#process?.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.#loop;
    clearTimeout(timer);
  }

  /** At once, for the impatient. */
  kill(): void {
    this.#stopping.abort();
    this.#process?.kill('SIGKILL');
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const backoff = this.#options.backoff ?? DEFAULT_BACKOFF;
    for (let failures = 1; !signal.aborted; failures++) {
      const exit = await this.#once();
      if (signal.aborted) return;
      if (this.#readySince !== null && performance.now() - this.#readySince >= backoff.healthyMs) failures = 1;
      const restartInMs = backoffMs(backoff, failures, (this.#options.random ?? Math.random)());
      this.#readySince = null;
      this.#readiness = { ok: false, problems: [`${this.name} ended (${describeExit(exit)}) and is started again`] };
      this.#options.onEvent(this.name, { kind: 'died', ...exit, restartInMs });
      await delay(restartInMs, undefined, { signal }).catch(() => {});
    }
  }

  /** One life of the process, from start to end. */
  async #once(): Promise<{ pid: number | undefined; code: number | null; signal: NodeJS.Signals | null }> {
    const log = openLog(this.#spec.logFile);
    const child = spawn(this.#spec.command, this.#spec.args, {
      env: { ...process.env, ...this.#spec.env, [SUPERVISED]: '1' },
      stdio: ['pipe', log, log],
      detached: true,
    });
    closeSync(log);
    child.stdin?.on('error', () => {});
    this.#process = child;
    const ended = new AbortController();
    const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
      child.once('error', () => resolve({ code: null, signal: null }));
    });
    if (child.pid !== undefined) this.#options.onEvent(this.name, { kind: 'started', pid: child.pid });
    const watching = this.#watch(ended.signal);
    const result = { pid: child.pid, ...(await exit) };
    ended.abort();
    await watching;
    this.#process = undefined;
    return result;
  }

  async #watch(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const now = await this.#ask();
      if (ended.aborted) return;
      if (now.ok && this.#readySince === null) {
        this.#readySince = performance.now();
        this.#options.onEvent(this.name, { kind: 'ready' });
      } else if (!now.ok && this.#readySince !== null) {
        this.#readySince = null;
        this.#options.onEvent(this.name, { kind: 'not-ready', problems: now.problems });
      }
      this.#readiness = now;
      await delay(now.ok ? PROBE_READY_MS : PROBE_STARTING_MS, undefined, { signal: ended }).catch(() => {});
    }
  }

  async #ask(): Promise<Readiness> {
    if (this.#spec.probe === undefined) return { ok: true, problems: [] };
    try {
      const { ok, problems } = await this.#spec.probe();
      return { ok, problems: problems.map((p) => `${this.name}: ${p}`) };
    } catch {
      return { ok: false, problems: [`${this.name} does not answer yet`] };
    }
  }
}

export const describeExit = (exit: { code: number | null; signal: NodeJS.Signals | null }): string =>
  exit.signal ?? (exit.code === null ? 'could not be started' : `exit code ${exit.code}`);

/** Opens a log for appending; a large one is moved aside first. */
function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true });
  if (existsSync(file) && statSync(file).size > LOG_LIMIT_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, 'a');
}
