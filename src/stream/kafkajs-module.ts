import { CallstreamError } from '../domain/errors.js';

/** The version of kafkajs whose inner modules are replaced. Tests hold the replacements against the originals. */
const KNOWN_VERSION = '2.2.4';

/**
 * What is sent exactly once depends on the replacements, so another version is refused.
 * @throws CallstreamError STREAM_CLIENT_UNKNOWN
 */
export function checkVersion(require: NodeJS.Require): void {
  const { version } = require('kafkajs/package.json') as { version: string };
  if (version === KNOWN_VERSION) return;
  throw new CallstreamError(
    'STREAM_CLIENT_UNKNOWN',
    `kafkajs ${version} is installed; callstream is made for ${KNOWN_VERSION}. Run: npm ci`,
  );
}

/** Puts other exports in the place of a module's that is loaded, for those who load it from now on. */
export function replaceExports(require: NodeJS.Require, path: string, exports: unknown): void {
  const module = require.cache[require.resolve(path)];
  if (module !== undefined) module.exports = exports;
}
