import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { inserted, markdown, sums } from './report.mjs';

/*
 * The long form of every test of faults, and what they counted as a table in docs/reliability.md.
 * Bounded and seeded: npm run torture -- --seed 7 makes the same choices again; --only PART runs some files, and then only prints its table.
 */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = join(ROOT, 'docs/reliability.md');
/** Twenty times the runs take twenty times as long, and longer on a busy machine: that is no failure. */
const FUZZ = { env: { CALLSTREAM_FUZZ: '20' }, args: ['--testTimeout=1800000'] };
/** They measure the machine, and come first, one after the other; of all others two run side by side: most of their time is waiting. */
const ALONE = /\/(?:soak|restore)\.test\.ts$/;
const LANES = 2;
/** Begun first, so that no lane is left alone with one of them. */
const LONGEST = /\/(?:roles|kill-sweep)\.test\.ts$/;

const { values } = parseArgs({ options: { seed: { type: 'string' }, only: { type: 'string' }, help: { type: 'boolean' } } });
if (values.help) {
  console.log('npm run torture [-- --seed NUMBER] [--only PART_OF_A_FILE_NAME]');
  process.exit(0);
}
const seed = Number(values.seed ?? Math.floor(Date.now() / 1_000) % 1_000_000);
if (!Number.isSafeInteger(seed)) {
  console.error(`--seed ${values.seed} is not a number`);
  process.exit(2);
}

const dir = mkdtempSync(join(tmpdir(), 'callstream-torture-'));
const reportFile = join(dir, 'figures.ndjson');
const env = {
  ...process.env,
  CALLSTREAM_TORTURE: '1',
  CALLSTREAM_TORTURE_SEED: String(seed),
  CALLSTREAM_TORTURE_REPORT: reportFile,
  CALLSTREAM_FUZZ_SEED: String(seed),
};

const testsIn = (folder, pattern) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);
const jobs = [
  ...testsIn('test/property', /^hostile-.*\.test\.ts$/).map((name) => ({ name, project: 'unit', ...FUZZ })),
  ...testsIn('test/fault', /\.test\.ts$/).map((name) => ({ name, project: 'integration', env: {}, args: [] })),
].filter(({ name }) => name.includes(values.only ?? ''));
if (jobs.length === 0) {
  console.error(`no test file has ${values.only} in its name`);
  process.exit(2);
}

const began = performance.now();
let begun = 0;
const elapsed = () => new Date(performance.now() - began).toISOString().slice(11, 19);

function compile() {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  for (const project of ['tsconfig.build.json', 'src/web/tsconfig.json'])
    execFileSync(process.execPath, [tsc, '-p', project], { cwd: ROOT, stdio: 'inherit' });
}

/** Runs one test file; shows each test as it ends, and what a scenario tells of its progress. Resolves to what became of its tests. */
async function run({ name, project, env: more, args: options }) {
  const short = name.replace(/^.*\/(.*)\.test\.ts$/, '$1');
  const say = (text) => console.log(`${elapsed()}  ${short.padEnd(18)} ${text}`);
  say(`begins, ${++begun} of ${jobs.length}`);
  const since = performance.now();
  const log = join(dir, `${name.replaceAll('/', '-')}.log`);
  const json = `${log}.json`;
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const args = [
    vitest,
    'run',
    '--project',
    project,
    '--reporter=verbose',
    '--reporter=json',
    `--outputFile.json=${json}`,
    ...options,
    name,
  ];
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...env, ...more, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (/^\s*[✓×↓·→]/.test(line)) say(line.trim().replace(/ \|\w+\| \S+ > /, ' '));
    });
  }
  const code = await new Promise((resolve) => child.once('close', resolve));
  writeFileSync(log, `${lines.join('\n')}\n`);
  const result = existsSync(json) ? JSON.parse(readFileSync(json, 'utf8')) : { numPassedTests: 0, numFailedTests: 1 };
  const failed = Math.max(result.numFailedTests, code === 0 ? 0 : 1);
  if (failed > 0) say(`FAILED; all it printed: ${log}`);
  return { name, passed: result.numPassedTests, failed, seconds: (performance.now() - since) / 1_000 };
}

// Said now: commits made while it runs are not what it ran.
const git = (...args) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
const commit = git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : ' with changes');
console.log(`torture: ${jobs.length} files, seed ${seed}`);
compile();
const done = new Map();
async function lane(queue) {
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) done.set(job, await run(job));
}
await lane(jobs.filter(({ name }) => ALONE.test(name)));
const others = jobs.filter(({ name }) => !ALONE.test(name)).sort((a, b) => LONGEST.test(b.name) - LONGEST.test(a.name));
await Promise.all(Array.from({ length: LANES }, () => lane(others)));
const files = jobs.map((job) => done.get(job));

const figures = existsSync(reportFile)
  ? readFileSync(reportFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  : [];
const machine = `${cpus().length} × ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;
const report = markdown(
  {
    command: `npm run torture -- --seed ${seed}`,
    seed,
    commit,
    date: new Date().toISOString().slice(0, 10),
    machine,
    minutes: (performance.now() - began) / 60_000,
  },
  files,
  figures,
);
console.log(`\n${report}\n`);
if (values.only === undefined) writeFileSync(PAGE, inserted(readFileSync(PAGE, 'utf8'), report));
const { lost, doubled, differing } = sums(figures);
process.exitCode = files.some((file) => file.failed > 0) || lost + doubled + differing > 0 ? 1 : 0;
