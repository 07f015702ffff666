import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CallstreamError } from '../domain/errors.js';

/** How a server process ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A running server of the embedded stack. */
export interface Server {
  /** The process that serves (not a wrapper), for signals and for reading its memory. */
  readonly pid: number;
  readonly port: number;
  /** What clients are given: `host:port` for Kafka, a base URL for the others. */
  readonly address: string;
  readonly logFile: string;
  /** Ends the server cleanly and waits until it is gone; a no-op when it is gone already. Kills it after `timeout_ms`. */
  stop(): Promise<void>;
  /** Sends a signal; returns at once. Await `exited` to know that it is gone. */
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<Exit>;
}

/** What a child process is started with. */
export interface Launch {
  /** Name for messages: `Kafka`, `schema registry`, `ClickHouse`. */
  name: string;
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  logFile: string;
  /** A file descriptor for standard input; closed here after the start. */
  stdin?: number;
}

export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<Exit>;
}

const LOG_LIMIT_BYTES = 16 * 1024 * 1024;
const LOG_TAIL_BYTES = 2_000;

/**
 * Starts a process that cannot outlive this one. It leads a session of its own, so that Ctrl-C in a terminal reaches only the
 * supervisor, which stops the servers in order; and a watchdog holds a pipe to this process: at its end, however it came, the server is killed.
 */
export function launch(options: Launch): Promise<Running> {
  mkdirSync(dirname(options.logFile), { recursive: true });
  if (existsSync(options.logFile) && statSync(options.logFile).size > LOG_LIMIT_BYTES) {
    renameSync(options.logFile, `${options.logFile}.1`);
  }
  const log = openSync(options.logFile, 'a');
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: [options.stdin ?? 'ignore', log, log],
    detached: true,
  });
  closeSync(log);
  if (options.stdin !== undefined) closeSync(options.stdin);
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new CallstreamError('LOCAL_START_FAILED', `Cannot run ${options.command} for ${options.name}: ${cause.message}`, { cause })),
    );
    child.once('spawn', () => {
      const pid = child.pid!;
      const watchdog = watch(pid);
      const exited = new Promise<Exit>((done) => {
        child.once('exit', (code, signal) => {
          watchdog.kill('SIGKILL');
          done({ code, signal });
        });
      });
      resolve({ child, pid, exited });
    });
  });
}

/** A shell that waits for the end of its standard input, which only this process holds open, and then kills `pid`. */
function watch(pid: number): ChildProcess {
  const watchdog = spawn('sh', ['-c', 'read -r _; kill -KILL "$1"', 'watchdog', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.stdin?.on('error', () => {});
  watchdog.unref();
  return watchdog;
}

/** The last part of a log file, for error messages. */
export function logTail(logFile: string): string {
  const file = openSync(logFile, 'r');
  try {
    const size = fstatSync(file).size;
    const buffer = Buffer.alloc(Math.min(size, LOG_TAIL_BYTES));
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8').trim();
  } finally {
    closeSync(file);
  }
}

/**
 * Asks the server until it answers.
 * @param probe resolves to true once the server serves; false or a rejection means "not yet"
 * @throws CallstreamError LOCAL_START_FAILED, with the end of the log, when the process ends first or `timeout_ms` have passed (it is killed then)
 */
export async function untilReady(running: Running, launched: Launch, probe: () => Promise<boolean>, timeout_ms = 120_000): Promise<void> {
  let exit: Exit | undefined;
  void running.exited.then((e) => {
    exit = e;
  });
  const deadline = performance.now() + timeout_ms;
  for (;;) {
    if (exit === undefined && (await probe().catch(() => false)) && exit === undefined) return;
    const late = performance.now() > deadline;
    if (exit !== undefined || late) {
      running.child.kill('SIGKILL');
      const why = exit === undefined ? `did not answer within ${timeout_ms / 1000} s` : `ended with ${exit.signal ?? `code ${exit.code}`}`;
      throw new CallstreamError(
        'LOCAL_START_FAILED',
        `${launched.name} did not start: it ${why}. The end of ${launched.logFile}:\n${logTail(launched.logFile)}`,
      );
    }
    await delay(25);
  }
}

/** Ends a process by `end`, then by SIGKILL when it is still there after `timeout_ms`. */
export async function endProcess(running: Running, end: () => void, timeout_ms: number): Promise<Exit> {
  if (running.child.exitCode === null && running.child.signalCode === null) {
    end();
    const timer = setTimeout(() => running.child.kill('SIGKILL'), timeout_ms);
    try {
      return await running.exited;
    } finally {
      clearTimeout(timer);
    }
  }
  return running.exited;
}
