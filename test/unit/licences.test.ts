import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

it('docs/licences.md lists every production dependency, each under a licence that is allowed, and every install script', () => {
  execFileSync(process.execPath, [join(ROOT, 'deploy', 'licences.mjs'), '--check'], { stdio: 'pipe' });
});

it('the lock file pins every package that is installed here, and the set-up installs that, without scripts', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string; integrity?: string; os?: string[]; cpu?: string[]; libc?: string[]; link?: boolean }>;
  };
  const here = (of: { os?: string[]; cpu?: string[]; libc?: string[] }): boolean =>
    (of.os?.includes('linux') ?? true) && (of.cpu?.includes('x64') ?? true) && (of.libc?.includes('glibc') ?? true);
  const loose = Object.entries(packages).filter(
    ([path, p]) => path !== '' && (p.version === undefined || (here(p) && !/^sha512-/.test(p.integrity ?? ''))),
  );
  expect(loose.map(([path]) => path)).toEqual([]);
  expect(readFileSync(join(ROOT, 'deploy', 'local', 'setup.mjs'), 'utf8')).toMatch(/\['ci', '--ignore-scripts'/);
});
