/** The version of kafkajs whose inner modules are replaced: any other is left as it is. Tests hold the replacements against the originals. */
const KNOWN_VERSION = '2.2.4';

export const isKnownVersion = (require: NodeJS.Require): boolean =>
  (require('kafkajs/package.json') as { version: string }).version === KNOWN_VERSION;

/** Puts other exports in the place of a module's that is loaded, for those who load it from now on. */
export function replaceExports(require: NodeJS.Require, path: string, exports: unknown): void {
  const module = require.cache[require.resolve(path)];
  if (module !== undefined) module.exports = exports;
}
