/**
 * Installs what a clean clone lacks, so that `npm start` and `npm test` need no other step: the npm packages, the jars of the embedded
 * Kafka and schema registry, and the compiled code. Does nothing, quickly, when all is there. Plain Node: it runs before any package is
 * installed. Two runs at once wait for each other.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const local = join(root, '.local');

const NODE_NEEDED = [20, 19];
const JAVA_NEEDED = 17;
const JAVA_HELP =
  `Java ${JAVA_NEEDED} or newer runs the embedded Kafka. Debian, Ubuntu: apt install openjdk-17-jdk-headless; Fedora: ` +
  'dnf install java-17-openjdk-headless; macOS: brew install openjdk@17. If it is in a place of its own, set JAVA_HOME.';
const MAVEN_HELP =
  'Maven fetches Kafka and the registry, once. Debian, Ubuntu: apt install maven; Fedora: dnf install maven; macOS: brew install maven.';
const NETWORK_HELP = 'If the network failed, run the same command again: what has been fetched is kept.';

const HEARTBEAT_MS = 10_000;
const LOCK_POLL_MS = 200;
const TAIL_LINES = 30;

/** A problem that the user can solve: shown without a stack trace. */
class SetupError extends Error {}

const say = (text) => console.log(`setup: ${text}`);

/**
 * Runs a command in the project's root. Prints a line every few seconds while it runs when `progress` is given.
 * Resolves to its output; when it fails, the end of the output is in the error, with `help`.
 */
async function run(command, args, { help, onLine = () => {}, progress }) {
  const begun = Date.now();
  const lines = [];
  const heartbeat = progress && setInterval(() => say(`  ${progress()} (${Math.round((Date.now() - begun) / 1000)} s)`), HEARTBEAT_MS);
  try {
    await new Promise((resolve, reject) => {
      const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
      for (const stream of [child.stdout, child.stderr]) {
        let rest = '';
        stream.setEncoding('utf8').on('data', (chunk) => {
          const parts = (rest + chunk).split('\n');
          rest = parts.pop();
          for (const line of parts) {
            lines.push(line);
            onLine(line);
          }
        });
        stream.on('end', () => rest && lines.push(rest));
      }
      child.once('error', (error) => reject(new SetupError(`Cannot run ${command}: ${error.message}. ${help}`)));
      child.once('close', (code) => {
        if (code === 0) resolve();
        else
          reject(
            new SetupError(`${lines.slice(-TAIL_LINES).join('\n')}\n\n${command} ${args.join(' ')}\nended with code ${code}. ${help}`),
          );
      });
    });
  } finally {
    clearInterval(heartbeat);
  }
  return lines.join('\n');
}

/** Whether the process that wrote the lock still runs. */
function isHeld(path) {
  try {
    const text = readFileSync(path, 'utf8');
    if (text === '') return Date.now() - statSync(path).mtimeMs < 1_000; // Its writer is between creating and writing.
    process.kill(Number(text), 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Takes the lock of this clone once nobody else has it. Returns the function that frees it. */
async function lock() {
  mkdirSync(local, { recursive: true });
  const path = join(local, 'setup.lock');
  for (let told = false; ; await delay(LOCK_POLL_MS)) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!isHeld(path)) {
      rmSync(path, { force: true });
    } else if (!told) {
      say('waiting for another set-up of this clone');
      told = true;
    }
  }
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_NEEDED[0] || (major === NODE_NEEDED[0] && minor >= NODE_NEEDED[1])) return;
  throw new SetupError(`Node ${NODE_NEEDED.join('.')} or newer is needed; this is ${process.versions.node}. See nodejs.org`);
}

async function checkJava() {
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java';
  const output = await run(java, ['-version'], { help: JAVA_HELP });
  const version = Number(/version "(?:1\.)?(\d+)/.exec(output)?.[1] ?? 0);
  if (version < JAVA_NEEDED) throw new SetupError(`${java} is version ${version}. ${JAVA_HELP}`);
}

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Whether node_modules holds the versions of the lock file; what is optional there may be for other platforms. */
function packagesAreInstalled() {
  const record = join(root, 'node_modules', '.package-lock.json'); // Written by npm at the end of every installation.
  if (!existsSync(record)) return false;
  const installed = readJson(record).packages;
  return Object.entries(readJson(join(root, 'package-lock.json')).packages).every(
    ([path, { version, optional, devOptional }]) =>
      path === '' || installed[path]?.version === version || (installed[path] === undefined && (optional || devOptional)),
  );
}

async function installPackages() {
  if (packagesAreInstalled()) return;
  say('installing the npm packages (about 340 MB, most of it the ClickHouse engine)');
  // No package needs its install script. A NODE_ENV of production would leave out the compiler.
  const args = ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  await run('npm', args, { help: NETWORK_HELP, progress: () => 'still installing' });
}

/** Kafka's jars and the registry, in .local/stack/; replaced as a whole when pom.xml has changed. */
async function installServers() {
  const pom = join(root, 'deploy', 'local', 'pom.xml');
  const stack = join(local, 'stack');
  const stamp = join(stack, 'installed');
  const wanted = createHash('sha256').update(readFileSync(pom)).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;

  await run('mvn', ['-version'], { help: MAVEN_HELP });
  say('fetching Apache Kafka and the schema registry with Maven (about 190 MB)');
  const fresh = join(local, 'stack.new');
  rmSync(fresh, { recursive: true, force: true });
  let files = 0;
  await run('mvn', ['--batch-mode', '--file', pom, `-Dstack=${fresh}`, 'generate-resources'], {
    help: NETWORK_HELP,
    onLine: (line) => {
      if (line.includes('Downloaded from')) files++;
    },
    progress: () => `${files} files fetched`,
  });
  writeFileSync(join(fresh, 'installed'), wanted);
  rmSync(stack, { recursive: true, force: true });
  renameSync(fresh, stack);
}

/** The latest change of a file, or of anything below a folder; folders count too, as their time tells of removals. */
function newest(path) {
  const { mtimeMs } = statSync(path);
  const below = statSync(path).isDirectory() ? readdirSync(path).map((name) => newest(join(path, name))) : [];
  return Math.max(mtimeMs, ...below);
}

/** Compiles src into dist/, unless nothing has changed since. */
async function build() {
  const dist = join(root, 'dist');
  const stamp = join(dist, '.built');
  const inputs = ['src', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'].map((name) => newest(join(root, name)));
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= Math.max(...inputs)) return;

  say('compiling');
  const begun = new Date();
  const tsc = join(root, 'node_modules', '.bin', 'tsc');
  const help = 'The code does not compile.';
  const fresh = join(root, 'dist.new');
  rmSync(fresh, { recursive: true, force: true });
  await run(tsc, ['-p', 'tsconfig.build.json', '--outDir', fresh], { help, progress: () => 'still compiling' });
  // npm makes a command executable when it links it, and only then.
  for (const command of Object.values(readJson(join(root, 'package.json')).bin)) chmodSync(join(fresh, relative('dist', command)), 0o755);
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
  if (existsSync(join(root, 'src', 'web', 'tsconfig.json'))) await run(tsc, ['-p', join('src', 'web', 'tsconfig.json')], { help });
  writeFileSync(stamp, '');
  utimesSync(stamp, begun, begun); // What was edited meanwhile is newer.
}

try {
  checkNode();
  const unlock = await lock();
  try {
    await checkJava();
    await installPackages();
    await installServers();
    await build();
  } finally {
    unlock();
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`\nsetup: ${error.message}`);
  process.exitCode = 1;
}
