import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NODE_OPTIONS } from '../../src/cli/node-options.js';
import { SUPERVISED } from '../../src/cli/supervise/lifeline.js';
import type { Swept } from './kill-points.js';

const SCRIPT = fileURLToPath(new URL('../fault/role-child.mjs', import.meta.url));

/** Where a process ends itself. */
export interface Kill {
  point: string;
  /** At which passing of it, from 1. */
  pass: number;
}

export interface LifeOptions {
  kill?: Kill;
  /** Beside what all lives are given. */
  env?: NodeJS.ProcessEnv;
  /** Of `repair`: calls that started then, epoch ms. */
  range?: { from: number; to: number };
}

interface Life {
  child: ChildProcess;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** One role, or `repair`, in one life after another: never two at once. */
export class SweptProcess {
  readonly #o: { swept: Swept; config: string; env: NodeJS.ProcessEnv; logFile: string; died: () => Promise<void> };
  #life: Life | null = null;
  #wanted = false;

  /** @param options.died called after each death, before the next life: what others must know of it */
  constructor(options: { swept: Swept; config: string; env: NodeJS.ProcessEnv; logFile: string; died: () => Promise<void> }) {
    this.#o = options;
  }

  /** A life that ends at the point. @throws when the point is not passed in time, or the process ends otherwise */
  async liveUntil(kill: Kill, limitMs: number, options: Omit<LifeOptions, 'kill'> = {}): Promise<void> {
    const life = this.#begin({ ...options, kill });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), limitMs);
    });
    const end = await Promise.race([life.ended, late]);
    clearTimeout(timer);
    if (end === 'late') throw new Error(`${kill.point} was not passed ${kill.pass} times within ${limitMs / 1000} s\n${this.#lastWords()}`);
    if (end.signal !== 'SIGKILL')
      throw new Error(`${this.#o.swept} ended by itself (${end.code ?? end.signal}) before ${kill.point}\n${this.#lastWords()}`);
    this.#life = null;
    await this.#o.died();
  }

  /** A life that nobody ends at a point. */
  live(options: LifeOptions = {}): void {
    this.#begin(options);
    this.#wanted = true;
  }

  /** SIGKILL at no point in particular. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
    await this.#o.died();
  }

  /** Ends cleanly; to be called of a life that nobody kills. */
  async stop(): Promise<number | null> {
    return (await this.#end('SIGTERM'))?.code ?? null;
  }

  /** Resolves to the exit code of a life that ends by itself. */
  async ended(): Promise<number | null> {
    this.#wanted = false;
    const code = (await this.#life?.ended)?.code ?? null;
    this.#life = null;
    return code;
  }

  /** What a life that was to go on says of its end; null: it goes on. */
  get unexpectedEnd(): string | null {
    const child = this.#life?.child;
    if (!this.#wanted || child === undefined || (child.exitCode === null && child.signalCode === null)) return null;
    return `${this.#o.swept} ended by itself (${child.exitCode ?? child.signalCode})\n${this.#lastWords()}`;
  }

  #begin({ kill, env, range }: LifeOptions): Life {
    if (this.#life !== null) throw new Error(`${this.#o.swept} lives already`);
    const log = openSync(this.#o.logFile, 'a');
    const options = JSON.stringify({ swept: this.#o.swept, config: this.#o.config, kill, range });
    const child = spawn(process.execPath, [...NODE_OPTIONS, SCRIPT, options], {
      env: { ...this.#o.env, ...env, [SUPERVISED]: '1' },
      // Its standard input ends with this process: then it goes too.
      stdio: ['pipe', log, log],
    });
    closeSync(log);
    child.stdin?.on('error', () => {});
    const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code, signal })),
    );
    this.#life = { child, ended };
    this.#wanted = false;
    return this.#life;
  }

  async #end(signal: NodeJS.Signals): Promise<{ code: number | null } | null> {
    const life = this.#life;
    this.#wanted = false;
    this.#life = null;
    life?.child.kill(signal);
    return (await life?.ended) ?? null;
  }

  /** Its last errors, which warnings of many lines may have followed, and the end of its log. */
  #lastWords(): string {
    const log = readFileSync(this.#o.logFile, 'utf8');
    const errors = log.split('\n').filter((line) => /^\{"level":[56]0,/.test(line));
    return [...errors.slice(-3).map((line) => line.slice(0, 1_000)), log.slice(-3_000)].join('\n');
  }
}
