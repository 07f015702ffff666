import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CallstreamError } from '../domain/errors.js';
import { archiveDir } from './paths.js';
import { endProcess, type Launch, launch, type Running, startFailure, untilReady } from './process.js';
import type { Server } from './server.js';

/** Enough for a clean stop that also writes a class-data archive. */
const STOP_PATIENCE_MS = 60_000;

/**
 * Small servers on a small machine: the serial collector needs the least memory and the fewest threads, and the quick compiler alone spares the
 * processor time that the thorough one takes, in the first minutes above all.
 */
const COMMON_FLAGS = [
  '-XX:TieredStopAtLevel=1',
  '-XX:+UseSerialGC',
  '-XX:+ExitOnOutOfMemoryError',
  '-XX:-UsePerfData',
  '-Djava.awt.headless=true',
];

/** A Java program of the stack. */
export interface JavaProgram {
  /** Name for messages. */
  name: string;
  /** Name of its class-data archive. */
  archive: string;
  /** Every jar that it may load. */
  jars: string[];
  /** Options for the virtual machine. */
  flags: string[];
  /** Main class or jar, and its arguments. */
  main: string[];
  /** Its working folder, which also takes its temporary files. */
  dataDir: string;
  logFile: string;
}

/** The java program of JAVA_HOME, else the first on the PATH. */
function findJava(): string {
  const folders = process.env.JAVA_HOME ? [join(process.env.JAVA_HOME, 'bin')] : (process.env.PATH ?? '').split(delimiter);
  const found = folders.map((folder) => join(folder, 'java')).find((path) => existsSync(path));
  if (found === undefined) {
    throw new CallstreamError('LOCAL_NOT_INSTALLED', 'The embedded Kafka needs Java 17 or newer, and there is no java. Run: npm run setup');
  }
  return realpathSync(found);
}

/**
 * Class-data sharing: the first clean end of a program writes the classes that it used into an archive, and every later start maps it, which
 * more than halves the start. An archive fits one Java and one set of jars, so its name depends on them.
 */
function classData(program: JavaProgram, java: string): { flags: string[]; keep(): void } {
  const parts = [java, ...program.jars].map((path) => `${path} ${statSync(path).mtimeMs} ${statSync(path).size}`);
  const key = createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12);
  const archive = join(archiveDir, `${program.archive}-${key}.jsa`);
  if (existsSync(archive)) return { flags: [`-XX:SharedArchiveFile=${archive}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off'], keep: () => {} };
  mkdirSync(archiveDir, { recursive: true });
  const fresh = `${archive}.${process.pid}`; // Several first runs at once write a file each; the last one wins.
  return {
    flags: [`-XX:ArchiveClassesAtExit=${fresh}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off'],
    keep: () => {
      if (existsSync(fresh)) renameSync(fresh, archive);
    },
  };
}

async function run(program: JavaProgram): Promise<{ running: Running; keep(): void }> {
  const java = findJava();
  const { flags, keep } = classData(program, java);
  // What a killed JVM left in its temporary folder is of no use to the next.
  const tmp = join(program.dataDir, 'tmp');
  rmSync(tmp, { recursive: true, force: true });
  mkdirSync(tmp, { recursive: true });
  const launched: Launch = {
    name: program.name,
    command: java,
    args: [...flags, ...COMMON_FLAGS, `-Djava.io.tmpdir=${tmp}`, ...program.flags, ...program.main],
    cwd: program.dataDir,
    logFile: program.logFile,
  };
  return { running: await launch(launched), keep };
}

/**
 * Starts a Java server and waits until it answers.
 * @param probe as for {@link untilReady}
 */
export async function startJava(program: JavaProgram & Pick<Server, 'port' | 'address'>, probe: () => Promise<boolean>): Promise<Server> {
  const { running, keep } = await run(program);
  await untilReady(running, probe);
  return {
    pid: running.pid,
    port: program.port,
    address: program.address,
    logFile: program.logFile,
    exited: running.exited,
    kill: running.kill,
    stop: async () => {
      await endProcess(running, () => running.kill('SIGTERM'), STOP_PATIENCE_MS);
      if (running.exit()?.signal === null) keep(); // Killed, it may have been in the middle of writing the archive.
    },
  };
}

/**
 * Runs a Java program to its end.
 * @throws CallstreamError LOCAL_START_FAILED when it ends with anything but code 0
 */
export async function runJava(program: JavaProgram): Promise<void> {
  const { running, keep } = await run(program);
  const exit = await running.exited;
  if (exit.code !== 0) throw startFailure(running, `preparing ${program.dataDir} ended with ${exit.signal ?? `code ${exit.code}`}`);
  keep();
}
