import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { archiveDir } from './paths.js';
import { endProcess, type Launch, launch, type Running, type Server, untilReady } from './process.js';

/** A clean stop may write a class-data archive, which takes some seconds. */
const STOP_TIMEOUT_MS = 90_000;

export const javaCommand = (): string => (process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java');

/**
 * Class-data sharing: the first clean stop of a server writes the classes it used into an archive, and every later start maps it, which
 * halves the start. A JVM whose jars have changed ignores the archive and says so in the log.
 */
export function archiveFor(name: string): { flags: string[]; keep(): void } {
  const archive = join(archiveDir, `${name}.jsa`);
  if (existsSync(archive)) return { flags: [`-XX:SharedArchiveFile=${archive}`], keep: () => {} };
  mkdirSync(archiveDir, { recursive: true });
  // Two first runs at once each write a file of their own; the last rename wins.
  const fresh = `${archive}.${process.pid}.tmp`;
  return {
    flags: [`-XX:ArchiveClassesAtExit=${fresh}`],
    keep: () => {
      if (existsSync(fresh)) renameSync(fresh, archive);
    },
  };
}

/** What a Java server is started with. */
export interface JavaServer extends Omit<Launch, 'command' | 'args'> {
  /** Name of the class-data archive. */
  archive: string;
  jvm: string[];
  main: string[];
  port: number;
  address: string;
  /** See {@link untilReady}. */
  probe: () => Promise<boolean>;
}

/** Starts a Java server and waits until it answers. */
export async function startJava(options: JavaServer): Promise<Server> {
  const archive = archiveFor(options.archive);
  const launched: Launch = {
    name: options.name,
    command: javaCommand(),
    args: [...archive.flags, '-Xlog:cds=off', '-Xlog:cds+dynamic=off', ...options.jvm, ...options.main],
    logFile: options.logFile,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  };
  const running: Running = await launch(launched);
  await untilReady(running, launched, options.probe);
  return {
    pid: running.pid,
    port: options.port,
    address: options.address,
    logFile: options.logFile,
    exited: running.exited,
    kill: (signal) => {
      running.child.kill(signal);
    },
    stop: async () => {
      await endProcess(running, () => running.child.kill('SIGTERM'), STOP_TIMEOUT_MS);
      archive.keep();
    },
  };
}

/** Runs a Java program to its end; resolves to its exit code. */
export async function runJava(options: Omit<JavaServer, 'port' | 'address' | 'probe'>): Promise<number | null> {
  const archive = archiveFor(options.archive);
  const running = await launch({ ...options, command: javaCommand(), args: [...archive.flags, ...options.jvm, ...options.main] });
  const exit = await running.exited;
  archive.keep();
  return exit.code;
}

export const removeTree = (path: string): void => rmSync(path, { recursive: true, force: true });
