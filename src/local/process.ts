import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CallstreamError } from '../domain/errors.js';
import type { Exit } from './server.js';

/** What a server process is started with. */
export interface Launch {
  /** Name for messages, with a capital letter. */
  name: string;
  command: string;
  args: string[];
  cwd: string;
  logFile: string;
  /** A file descriptor for standard input; closed here once the process has it. */
  stdin?: number;
}

/** A process that was started. */
export interface Running {
  readonly launched: Launch;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Set from the moment that `exited` resolves. */
  exit(): Exit | undefined;
  kill(signal: NodeJS.Signals): void;
}

const LOG_LIMIT_BYTES = 16 * 1024 * 1024;
const LOG_TAIL_BYTES = 2_000;
const START_TIMEOUT_MS = 120_000;
const PROBE_EVERY_MS = 25;

/** Little of our environment: it may hold secrets, and settings that other programs of the same kind obey. */
function environment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'JAVA_HOME', 'LD_LIBRARY_PATH'];
  return { ...Object.fromEntries(kept.map((name) => [name, process.env[name]])), TZ: 'UTC' };
}

/** Opens a log for appending; one that has grown large is set aside first, as `.1`. */
function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  if (existsSync(path) && statSync(path).size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, 'a');
}

/**
 * Starts a process that cannot outlive this one. It leads a session of its own, so that Ctrl-C in a terminal reaches only the supervisor,
 * which stops the servers in order; and a watchdog holds a pipe to this process: when that ends, however it came, the server is killed.
 * @throws CallstreamError LOCAL_START_FAILED when the command cannot be run
 */
export function launch(launched: Launch): Promise<Running> {
  const log = openLog(launched.logFile);
  const child = spawn(launched.command, launched.args, {
    cwd: launched.cwd,
    env: environment(),
    stdio: [launched.stdin ?? 'ignore', log, log],
    detached: true,
  });
  const watchdog = child.pid === undefined ? undefined : watch(child.pid);
  closeSync(log);
  if (launched.stdin !== undefined) closeSync(launched.stdin);

  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      watchdog?.kill('SIGKILL');
      resolve({ code, signal });
    });
  });
  let exit: Exit | undefined;
  void exited.then((e) => {
    exit = e;
  });
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new CallstreamError('LOCAL_START_FAILED', `${launched.name} did not start: cannot run ${launched.command}.`, { cause })),
    );
    child.once('spawn', () => {
      resolve({
        launched,
        pid: child.pid!,
        exited,
        exit: () => exit,
        kill: (signal) => {
          child.kill(signal);
        },
      });
    });
  });
}

/** A shell that waits for the end of its standard input, whose other end only this process has, and then kills `pid`. */
function watch(pid: number): ChildProcess {
  const watchdog = spawn('sh', ['-c', 'read -r _; kill -KILL "$1"', 'callstream-watchdog', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.stdin?.on('error', () => {}); // Killed before its pipe is closed.
  return watchdog;
}

/** The last part of a log file, for error messages. */
function logTail(path: string): string {
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    const buffer = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8').trim();
  } finally {
    closeSync(file);
  }
}

/** The error for a server that did not come up: why, where its log is, and how that ends. */
export function startFailure({ launched }: Running, why: string): CallstreamError {
  return new CallstreamError(
    'LOCAL_START_FAILED',
    `${launched.name} did not start: ${why}. The end of ${launched.logFile}:\n${logTail(launched.logFile)}`,
  );
}

export const describeExit = (exit: Exit): string => `it ended with ${exit.signal ?? `code ${exit.code}`}`;

/**
 * Asks the server until it answers.
 * @param probe resolves to true once the server serves; false or a rejection means "not yet"
 * @throws CallstreamError LOCAL_START_FAILED when the process ends first, or takes too long (it is killed then)
 */
export async function untilReady(running: Running, probe: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const ready = await probe().catch(() => false);
    const exit = running.exit();
    if (exit !== undefined) throw startFailure(running, describeExit(exit));
    if (ready) return;
    if (performance.now() > deadline) {
      running.kill('SIGKILL');
      await running.exited;
      throw startFailure(running, `it did not answer within ${START_TIMEOUT_MS / 1000} s`);
    }
    await delay(PROBE_EVERY_MS);
  }
}

/** Ends a process by `end`, and by SIGKILL when it is still there after `patience_ms`. */
export async function endProcess(running: Running, end: () => void, patience_ms: number): Promise<void> {
  if (running.exit() !== undefined) return;
  end();
  const timer = setTimeout(() => running.kill('SIGKILL'), patience_ms);
  await running.exited;
  clearTimeout(timer);
}
