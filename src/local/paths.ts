import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CallstreamError } from '../domain/errors.js';

/** The project's root: this file lives two levels below it, as source and as compiled code. */
const packageRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where `deploy/local/setup.mjs` puts the Java servers, and where their class-data archives are kept. */
const stackDir = join(packageRoot, '.local', 'stack');

export const archiveDir = join(stackDir, 'archives');

/** Files of `deploy/local` that the servers need while they run. */
export const deployFile = (name: string): string => join(packageRoot, 'deploy', 'local', name);

/** Every jar of a Java server, sorted: a class-data archive is valid for exactly one class path. */
export function jarsOf(server: 'kafka' | 'registry'): string[] {
  const dir = join(stackDir, server);
  const jars = existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith('.jar')) : [];
  if (jars.length === 0) {
    throw new CallstreamError('LOCAL_NOT_INSTALLED', `The embedded ${server} is not installed (${dir} holds no jar). Run: npm run setup`);
  }
  return jars.sort().map((name) => join(dir, name));
}
