import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/*
 * The layout of the house (docs/DESIGN.md): who may import whom, what is pure, and which package has one importer.
 */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SRC = join(ROOT, 'src');

const VALUES = ['domain', 'codec', 'config', 'telemetry'];
const ROAD = [...VALUES, 'sources', 'stream', 'clickhouse'];

/** Folders of src and what each may import beside itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: [],
  sources: ['domain'],
  codec: ['domain'],
  telemetry: ['domain'],
  config: ['domain'],
  stream: VALUES,
  clickhouse: VALUES,
  ingest: ROAD,
  poll: ROAD,
  workers: ROAD,
  api: ['clickhouse', 'config', 'telemetry', 'domain'],
  local: ['config', 'telemetry', 'codec', 'stream', 'clickhouse', 'domain'],
  simulator: ['config', 'telemetry', 'codec', 'stream', 'clickhouse', 'sources', 'domain'],
  cli: [...ROAD, 'ingest', 'poll', 'workers', 'api', 'local', 'simulator'],
  web: [],
};

/** The simulator judges the product, so it shares the words with the domain but none of the rules. */
const SIMULATOR_MAY_SHARE = ['domain/types', 'domain/vocabulary', 'domain/errors'];

/** The simulated vendor checks signatures, which are held against the vendors' own packages in a test of theirs. */
const SIMULATOR_MAY_SIGN = 'sources/sign/';

/** Secrets are compared by one function, whoever compares them: the query API, which knows nothing else of the sources, does too. */
const COMPARES_SECRETS = 'sources/sign/digest.ts';

/** Packages that one folder alone may import. */
const ONE_IMPORTER: Record<string, string> = {
  kafkajs: 'stream',
  '@clickhouse/client': 'clickhouse',
  avsc: 'codec',
  '@kafkajs/confluent-schema-registry': 'codec',
};

/** Builtin modules that compute and do nothing else. */
const PURE_BUILTINS = ['buffer', 'crypto', 'querystring', 'string_decoder', 'url', 'util', 'zlib'];

const IMPURE =
  /\bDate\.now\b|\bnew\s+Date\s*\(\s*\)|\bDate\s*\(\s*\)|\bnew\s+Date\b(?!\s*\()|\bMath\.random\b|\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b|\bprocess\s*\.|\bperformance\s*\.|\bfetch\s*\(|\brandomUUID\b|\brandomBytes\b/;

interface Source {
  /** Path below src, with forward slashes. */
  path: string;
  folder: string;
  code: string;
  imports: string[];
}

const sources: Source[] = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(?:[cm]?[jt]s|tsx)$/.test(entry.name))
  .map((entry) => {
    const file = join(entry.parentPath, entry.name);
    const path = relative(SRC, file).split(sep).join('/');
    const code = withoutComments(readFileSync(file, 'utf8'));
    return { path, folder: path.split('/')[0]!, code, imports: importsOf(code) };
  });

/** Cuts comments out, leaving strings, templates and regular expressions that hold comment marks alone as far as that matters here. */
function withoutComments(text: string): string {
  return text.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|(?<![:\\])\/\/[^\n]*/g,
    (_, literal) => literal ?? ' ',
  );
}

/** Every module specifier: import, export … from, import(), require(). */
function importsOf(code: string): string[] {
  return [...code.matchAll(/\b(?:from|import|require)\s*\(?\s*['"]([^'"\n]+)['"]/g)].map((match) => match[1]!);
}

/** The target of a relative import below src, or null for packages. */
function targetOf(source: Source, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  return relative(SRC, resolve(SRC, dirname(source.path), specifier))
    .split(sep)
    .join('/');
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function violations(check: (source: Source, specifier: string, target: string | null) => boolean, among = sources): string[] {
  return among.flatMap((source) =>
    source.imports
      .filter((specifier) => !check(source, specifier, targetOf(source, specifier)))
      .map((specifier) => `${source.path} imports ${specifier}`),
  );
}

const isBuiltin = (specifier: string) => specifier.startsWith('node:') || builtinModules.includes(specifier);
const inFolders = (...folders: string[]) => sources.filter((source) => folders.includes(source.folder));

describe('the scanner itself', () => {
  test('finds every kind of import and skips comments', () => {
    const code = withoutComments(`
      import a from 'a'; import type { B } from "b"; import {\n  c,\n} from './c.js'; export * from 'd'; import 'e';
      const f = await import('f'); const g = require("g"); // import 'no'
      /* import 'no' */ const url = 'http://x'; import h from 'h';`);
    expect(importsOf(code)).toEqual(['a', 'b', './c.js', 'd', 'e', 'f', 'g', 'h']);
  });
  test.each(['Date.now()', 'new Date()', 'new Date', 'Math.random()', 'setTimeout(f)', 'process.env', 'await fetch(url)', 'randomUUID()'])(
    'knows %s as impure',
    (code) => {
      expect(IMPURE.test(code)).toBe(true);
    },
  );
  test.each(['new Date(ms)', 'Date.UTC(2000, 0)', 'processed.push', 'prefetch(x)'])('knows %s as pure', (code) => {
    expect(IMPURE.test(code)).toBe(false);
  });
  test('has something to scan', () => {
    expect(inFolders('domain').length).toBeGreaterThan(10);
    expect(sources.flatMap((source) => source.imports).length).toBeGreaterThan(100);
  });
});

test('every folder of src is on the plan', () => {
  const folders = new Set(sources.map((source) => source.folder));
  expect([...folders].filter((folder) => !(folder in MAY_IMPORT))).toEqual([]);
});

test('every folder imports only what it may', () => {
  const allowed = (source: Source, _: string, target: string | null) => {
    if (target === null) return true;
    const folder = target.split('/')[0]!;
    if (source.folder === 'api' && target === COMPARES_SECRETS.replace('.ts', '.js')) return true;
    return folder === source.folder || MAY_IMPORT[source.folder]?.includes(folder) === true;
  };
  expect(violations(allowed)).toEqual([]);
});

test('the simulator shares words with the domain, but none of its rules', () => {
  const allowed = (_: Source, __: string, target: string | null) =>
    target === null ||
    !target.startsWith('domain/') ||
    SIMULATOR_MAY_SHARE.some((shared) => target === `${shared}.js` || target === `${shared}.ts`);
  expect(violations(allowed, inFolders('simulator'))).toEqual([]);
});

test('the simulator takes nothing of the sources but signatures, and only its vendor does', () => {
  const allowed = (source: Source, _: string, target: string | null) =>
    target === null ||
    !target.startsWith('sources/') ||
    (source.path.startsWith('simulator/vendor/') && target.startsWith(SIMULATOR_MAY_SIGN));
  expect(violations(allowed, inFolders('simulator'))).toEqual([]);
});

test.each(Object.entries(ONE_IMPORTER))('%s is imported in src/%s alone', (name, folder) => {
  const importers = sources.filter((source) => source.imports.some((specifier) => packageOf(specifier) === name));
  expect(importers.filter((source) => source.folder !== folder).map((source) => source.path)).toEqual([]);
});

test('the domain imports nothing but itself', () => {
  expect(violations((_, __, target) => target?.startsWith('domain/') === true, inFolders('domain'))).toEqual([]);
});

test('sources use no builtin module that does input or output', () => {
  const pure = (_: Source, specifier: string) => !isBuiltin(specifier) || PURE_BUILTINS.includes(specifier.replace(/^node:/, ''));
  expect(violations(pure, inFolders('sources'))).toEqual([]);
});

test('domain and sources have no clock, chance, timers, process or network', () => {
  const found = inFolders('domain', 'sources').flatMap((source) =>
    source.code
      .split('\n')
      .filter((line) => IMPURE.test(line))
      .map((line) => `${source.path}: ${line.trim()}`),
  );
  expect(found).toEqual([]);
});

describe('secrets', () => {
  /** Two sides of a comparison. */
  const COMPARED =
    /(?<![\w.'"`])([\w.#?!]+(?:\([^()]*\))?)\s*[!=]==?\s*([\w.#?!]+(?:\([^()]*\))?)|([\w.#?!]+(?:\([^()]*\))?)\.(?:equals|localeCompare|compare)\(\s*([\w.#?!]+)/g;
  const NAMES_A_SECRET = /(?:secret|token|password|signature|sign|sig|digest|mac|key)(?:\.toString)?(?:\([^()]*\))?$/i;
  const LITERAL = /^(?:undefined|null|true|false|\d.*)$/;
  const comparesSecrets = (code: string): string[] =>
    [...code.matchAll(COMPARED)]
      .filter(([, a, b, c, d]) => {
        const sides = [a ?? c ?? '', b ?? d ?? ''];
        return !sides.some((side) => LITERAL.test(side)) && sides.some((side) => NAMES_A_SECRET.test(side));
      })
      .map(([text]) => text);

  test.each([
    'if (given === app.callbackSecret)',
    'return good !== sign;',
    'signature(claims, key) === text',
    'this.#token == token',
    'wanted.equals(digest)',
    'mac.compare(given)',
    "sha256Hex(secret) !== digest.toString('hex')",
  ])('%s compares them', (code) => {
    expect(comparesSecrets(code)).toHaveLength(1);
  });
  test.each(['secret === undefined', "secret !== ''", 'app.appId === appId', 'tokens.length === count'])('%s does not', (code) => {
    expect(comparesSecrets(code)).toEqual([]);
  });

  test('are compared in one place, in constant time', () => {
    const among = sources.filter(({ folder }) => folder !== 'web');
    const found = among.flatMap(({ path, code }) => comparesSecrets(code).map((text) => `${path}: ${text}`));
    expect(found.sort()).toEqual([
      // Of a record that says who is forgotten: its place in the topic, and the fingerprint of the key; nobody outside has a say in either.
      'cli/commands/forget-user.ts: forgottenKey(cursor) === key',
      // Leaves out of what is stored the secret that its sender has just proven to know.
      'ingest/query.ts: value === options.secret',
      // Of a page of records.
      'sources/call-record.ts: digest === plan.previous',
      'workers/forgotten.ts: sweep !== this.#key',
    ]);
    expect(among.filter(({ code }) => code.includes('timingSafeEqual')).map(({ path }) => path)).toEqual([COMPARES_SECRETS]);
  });
});

test('the dashboard imports nothing that runs in Node', () => {
  const own = (_: Source, specifier: string, target: string | null) =>
    !isBuiltin(specifier) && (target === null || target.startsWith('web/'));
  expect(violations(own, inFolders('web'))).toEqual([]);
});

test('the types generated from the schemas are up to date', () => {
  execFileSync(process.execPath, [join(ROOT, 'schemas', 'generate.mjs'), '--check'], { stdio: 'pipe' });
});
