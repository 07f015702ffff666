import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Not copied: what is built, what belongs to the checkout, and what the copy has by a link. */
const LEFT_OUT = new Set(['.git', 'dist', 'node_modules', '.local']);
const LINKED = ['node_modules', '.local'];
/** A run that takes longer hangs where vitest cannot end it. */
const TEST_TIMEOUT_MS = 300_000;

/** A copy of the working tree outside of it, for code that is wrong on purpose. */
export class Workspace {
  #dir = mkdtempSync(join(tmpdir(), 'callstream-mutations-'));

  constructor() {
    cpSync(ROOT, this.#dir, { recursive: true, filter: (from) => !LEFT_OUT.has(relative(ROOT, from).split('/')[0]) });
    for (const name of LINKED) if (existsSync(join(ROOT, name))) symlinkSync(join(ROOT, name), join(this.#dir, name));
  }

  read(file) {
    return readFileSync(join(this.#dir, file), 'utf8');
  }

  write(file, text) {
    writeFileSync(join(this.#dir, file), text);
  }

  /** Runs the tests of a file whose names contain one of `names`. Resolves to what became of each, and to what kept the file from running. */
  async test(file, names) {
    const report = join(this.#dir, 'mutation-report.json');
    rmSync(report, { force: true });
    const pattern = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
    const project = /^test\/(?:unit|property)\//.test(file) ? 'unit' : 'integration';
    const args = [
      join(this.#dir, 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      '--project',
      project,
      file,
      '-t',
      pattern,
      '--reporter=json',
      `--outputFile=${report}`,
    ];
    const { output, timedOut } = await this.#run(args);
    if (timedOut) return { tests: [], broken: `no end within ${TEST_TIMEOUT_MS / 1000} s` };
    const found = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).testResults : [];
    const tests = found
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ fullName, status }) => status !== 'skipped' && names.some((name) => fullName.includes(name)))
      .map(({ fullName, status, failureMessages }) => ({ name: fullName, passed: status === 'passed', message: failureMessages[0] ?? '' }));
    return { tests, broken: tests.length > 0 ? null : found[0]?.message || output.slice(-600) || 'no test has that name' };
  }

  close() {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #run(args) {
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        args,
        { cwd: this.#dir, timeout: TEST_TIMEOUT_MS, killSignal: 'SIGTERM', maxBuffer: 64 * 1024 * 1024 },
        (error, stdout, stderr) => resolve({ output: stdout + stderr, timedOut: error?.killed === true }),
      );
    });
  }
}
