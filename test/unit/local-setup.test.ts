import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const deploy = fileURLToPath(new URL('../../deploy/local', import.meta.url));

/*
 * A clone of its own with stand-ins for java, npm, mvn and tsc that note their calls and make the files which setup.mjs looks at.
 */
let clone: string;
const bin = () => join(clone, 'bin');

function tool(path: string, script: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "$(basename "$0") $*" >> "${join(clone, 'calls')}"\n${script}\n`);
  chmodSync(path, 0o755);
}
const java = (version: string) => tool(join(bin(), 'java'), `echo 'openjdk version "${version}" 2025-04-15' >&2`);

beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'callstream-setup-'));
  cpSync(deploy, join(clone, 'deploy', 'local'), { recursive: true });
  for (const file of ['tsconfig.json', 'tsconfig.build.json', 'src/main.ts']) {
    mkdirSync(dirname(join(clone, file)), { recursive: true });
    writeFileSync(join(clone, file), '');
  }
  writeFileSync(join(clone, 'package.json'), JSON.stringify({ bin: { callstream: 'dist/main.js' } }));
  lockFile('1.0.0');
  java('17.0.15');
  tool(
    join(bin(), 'npm'),
    `sleep 0.3; mkdir -p node_modules/.bin; cp package-lock.json node_modules/.package-lock.json; cp "${bin()}/tsc" node_modules/.bin/tsc`,
  );
  tool(
    join(bin(), 'mvn'),
    'for a in "$@"; do case "$a" in -Dstack=*) d=$(echo "$a" | cut -c 9-); mkdir -p "$d/kafka" "$d/registry"; echo x > "$d/kafka/a.jar";; esac; done',
  );
  tool(join(bin(), 'tsc'), 'while [ $# -gt 0 ]; do [ "$1" = --outDir ] && { mkdir -p "$2"; echo x > "$2/main.js"; }; shift; done');
});
afterEach(() => rmSync(clone, { recursive: true, force: true }));

function lockFile(version: string): void {
  const packages = { '': {}, 'node_modules/a': { version }, 'node_modules/other-platform': { version, optional: true } };
  writeFileSync(join(clone, 'package-lock.json'), JSON.stringify({ packages }));
}

/** Calls of the tools since the last look, without their paths. */
function calls(): string[] {
  const file = join(clone, 'calls');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  rmSync(file);
  return lines.map((line) => line.split(' ').slice(0, 2).join(' '));
}

function setup(env: NodeJS.ProcessEnv = {}): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const options = { env: { PATH: `${bin()}:/usr/bin:/bin`, ...env } };
    execFile(process.execPath, [join(clone, 'deploy', 'local', 'setup.mjs')], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

describe('setup', () => {
  it('installs everything once, and has nothing to do the next time', async () => {
    const first = await setup();
    expect(first).toMatchObject({ code: 0 });
    expect(calls()).toEqual(['java -version', 'npm ci', 'mvn -version', 'mvn --batch-mode', 'tsc -p']);
    expect(readdirSync(join(clone, '.local', 'stack')).sort()).toEqual(['installed', 'kafka', 'registry']);
    expect(statSync(join(clone, 'dist', 'main.js')).mode & 0o111).toBe(0o111);

    expect(await setup()).toEqual({ code: 0, output: '' });
    expect(calls()).toEqual(['java -version']);
  });

  it('installs again what has changed, and only that', async () => {
    await setup();
    calls();
    writeFileSync(join(clone, 'src', 'main.ts'), 'changed');
    utimesSync(join(clone, 'src', 'main.ts'), Date.now() / 1000 + 2, Date.now() / 1000 + 2);
    await setup();
    expect(calls()).toEqual(['java -version', 'tsc -p']);

    lockFile('1.0.1');
    await setup();
    expect(calls().slice(0, 2)).toEqual(['java -version', 'npm ci']);

    const pom = join(clone, 'deploy', 'local', 'pom.xml');
    writeFileSync(pom, `${readFileSync(pom, 'utf8')}\n`);
    await setup();
    expect(calls()).toEqual(expect.arrayContaining(['mvn --batch-mode']));
  });

  it('lets one of two runs at once do the work while the other waits', async () => {
    const results = await Promise.all([setup(), setup()]);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect(results.filter(({ output }) => output.includes('waiting for another set-up'))).toHaveLength(1);
    expect(calls().filter((call) => call === 'npm ci')).toHaveLength(1);
  });

  it('takes over the lock of a run that was killed', async () => {
    mkdirSync(join(clone, '.local'));
    writeFileSync(join(clone, '.local', 'setup.lock'), '999999999');
    expect(await setup()).toMatchObject({ code: 0 });
    expect(existsSync(join(clone, '.local', 'setup.lock'))).toBe(false);
  });

  it('says what to do without Java, with an old one, and without Maven', async () => {
    java('11.0.2');
    expect(await setup()).toMatchObject({ code: 1, output: expect.stringMatching(/java is version 11\..*apt install openjdk-17/s) });
    expect(await setup({ JAVA_HOME: '/nowhere' })).toMatchObject({
      code: 1,
      output: expect.stringMatching(/Cannot run \/nowhere\/bin\/java.*JAVA_HOME/s),
    });
    java('21');
    expect(await setup({ PATH: join(clone, 'only') })).toMatchObject({ code: 1, output: expect.stringContaining('Cannot run java') });

    tool(join(bin(), 'mvn'), 'exit 127');
    const { code, output } = await setup();
    expect(code).toBe(1);
    expect(output).toContain('apt install maven');
    expect(output).not.toContain('    at '); // No stack trace: the user can solve it.
  });

  it('shows the end of what a failed step printed, and leaves nothing half done', async () => {
    tool(join(bin(), 'mvn'), '[ "$1" = -version ] && exit 0; echo "Could not transfer artifact"; exit 1');
    const { code, output } = await setup();
    expect(code).toBe(1);
    expect(output).toMatch(/Could not transfer artifact.*mvn --batch-mode.*ended with code 1.*run the same command again/s);
    expect(existsSync(join(clone, '.local', 'stack'))).toBe(false);
    expect(existsSync(join(clone, '.local', 'setup.lock'))).toBe(false);
  });
});
