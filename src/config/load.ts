import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { z } from 'zod';
import { CONFIG_FILE, DATA_DIR, ENV, LOOPBACK, REGISTRY_PATH } from './defaults.js';
import { DEMO_CONFIG } from './demo.js';
import { SECRET_FIELDS } from './fields.js';
import { ConfigError, type ConfigProblem, formatPath, type Path } from './problem.js';
import { adminSchema, configSchema } from './schema.js';
import { type Plain, readSource, type Source } from './source.js';

/** The whole configuration, checked. Durations are milliseconds. */
export type Config = z.output<typeof configSchema> & {
  /** Of `/healthz`, `/readyz`, `/metrics`. */
  admin: z.output<typeof adminSchema>;
  /** Absolute path of the folder for the spool, and for the embedded servers' data. */
  dataDir: string;
};
export type App = Config['apps'][number];

/** Where a loaded configuration came from. `demo`: there was no file, and the demo app is used. */
export interface Loaded {
  config: Config;
  /** Absolute path; null: no file. */
  file: string | null;
  demo: boolean;
  /** What the file or the environment sets explicitly, as paths like `kafka.brokers`. */
  explicit: ReadonlySet<string>;
}

/** Environment variables that win over the file, and what they set. */
const OVERRIDES: readonly { variable: string; path: readonly [string, string]; list?: boolean }[] = [
  { variable: ENV.ingestPort, path: ['ingest', 'port'] },
  { variable: ENV.apiPort, path: ['api', 'port'] },
  { variable: ENV.adminPort, path: ['admin', 'port'] },
  { variable: ENV.adminHost, path: ['admin', 'host'] },
  { variable: ENV.adminUrls, path: ['api', 'admins'], list: true },
  { variable: ENV.kafkaBrokers, path: ['kafka', 'brokers'], list: true },
  { variable: ENV.registryUrl, path: ['registry', 'url'] },
  { variable: ENV.clickhouseUrl, path: ['clickhouse', 'url'] },
];

/** Ports of the servers that `up` starts: where the other commands look for them, unless something names an address. */
const EMBEDDED: readonly { variable: string; path: readonly [string, string]; address: (port: string) => Plain }[] = [
  { variable: ENV.kafkaPort, path: ['kafka', 'brokers'], address: (port) => [`${LOOPBACK}:${port}`] },
  { variable: ENV.registryPort, path: ['registry', 'url'], address: (port) => `http://${LOOPBACK}:${port}${REGISTRY_PATH}` },
  { variable: ENV.clickhousePort, path: ['clickhouse', 'url'], address: (port) => `http://${LOOPBACK}:${port}` },
];

/** An environment variable that is set to nothing counts as not set. */
const setting = (env: NodeJS.ProcessEnv, name: string): string | undefined => (env[name] === '' ? undefined : env[name]);

/**
 * Reads the configuration from YAML text and environment variables.
 * @param where how error messages call it
 * @throws ConfigError CONFIG_INVALID with every problem at once
 */
export function parseConfig(text: string, env: NodeJS.ProcessEnv = {}, where = 'The configuration'): Omit<Loaded, 'file' | 'demo'> {
  const source = readSource(text, env);
  const explicit = new Set(Object.entries(source.data).flatMap(([key, value]) => pathsBelow(key, value)));
  // `admin` is no section of the file.
  const own: Source['data'] = {};
  const variables = applyEnvironment(source.data, own, env, explicit);

  const parsed = configSchema.safeParse(source.data);
  const admin = adminSchema.safeParse(own.admin ?? {});
  const syntaxOnly = source.problems.some((p) => p.path === '');
  const issues = syntaxOnly ? [] : [...problemsOf(parsed, [], source, variables), ...problemsOf(admin, ['admin'], source, variables)];
  const problems = firstOfEachPath([...source.problems, ...writtenSecrets(source), ...issues]);
  if (problems.length > 0 || !parsed.success || !admin.success) throw new ConfigError('CONFIG_INVALID', where, problems);
  const dataDir = resolve(setting(env, ENV.dataDir) ?? DATA_DIR);
  return { config: { ...parsed.data, admin: admin.data, dataDir }, explicit };
}

/**
 * Reads the configuration file.
 * @param options.file path given by the user; without one, `./callstream.yaml`
 * @param options.demo with no file at all, use the demo app instead of failing
 * @throws ConfigError CONFIG_NOT_FOUND, CONFIG_INVALID
 */
export function loadConfig(options: { file?: string | undefined; env?: NodeJS.ProcessEnv; demo?: boolean } = {}): Loaded {
  const env = options.env ?? process.env;
  const file = resolve(options.file ?? CONFIG_FILE);
  const text = readText(file, options.file === undefined);
  if (text === null) {
    if (options.demo === true) return { ...parseConfig(DEMO_CONFIG, env, 'The environment'), file: null, demo: true };
    throw new ConfigError('CONFIG_NOT_FOUND', CONFIG_FILE, [
      { path: '', message: 'there is no such file here. Write one (docs/configuration.md shows it) or name one with --config FILE' },
    ]);
  }
  return { ...parseConfig(text, env, file), file, demo: false };
}

function readText(file: string, optional: boolean): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' && optional) return null;
    const why = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`;
    throw new ConfigError('CONFIG_NOT_FOUND', file, [{ path: '', message: why }]);
  }
}

function pathsBelow(key: string, value: Plain): string[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || Array.isArray(value)) return [key];
  return [key, ...Object.keys(value).map((inner) => `${key}.${inner}`)];
}

/** Writes the variables that are set over the file's data (those of `admin` into `own`); returns which path each of them set. */
function applyEnvironment(
  fileData: Source['data'],
  own: Source['data'],
  env: NodeJS.ProcessEnv,
  explicit: Set<string>,
): Map<string, string> {
  const variables = new Map<string, string>();
  const write = (variable: string, [name, key]: readonly [string, string], value: Plain): void => {
    const data = name === 'admin' ? own : fileData;
    const existing = data[name] ?? {};
    if (typeof existing !== 'object' || Array.isArray(existing)) return;
    data[name] = { ...existing, [key]: value };
    variables.set(`${name}.${key}`, variable);
  };
  for (const { variable, path, list } of OVERRIDES) {
    const value = setting(env, variable);
    if (value === undefined) continue;
    write(variable, path, list ? value.split(',').map((item) => item.trim()) : value);
    explicit.add(formatPath(path));
  }
  for (const { variable, path, address } of EMBEDDED) {
    const port = setting(env, variable);
    if (port !== undefined && port !== '0' && !explicit.has(formatPath(path))) write(variable, path, address(port));
  }
  return variables;
}

/** Keys of webhooks come from the environment: a file with rules in it is passed around. */
function writtenSecrets(source: Source): ConfigProblem[] {
  const { webhooks } = source.data;
  return (Array.isArray(webhooks) ? webhooks : []).flatMap((webhook, i) => {
    const path = ['webhooks', i, 'secret'];
    const written = typeof webhook === 'object' && !Array.isArray(webhook) && webhook.secret !== undefined;
    if (!written || source.substituted.has(formatPath(path))) return [];
    const line = source.lineOf(path);
    return [
      {
        path: formatPath(path),
        message: 'must come from an environment variable (docs/alerts.md shows how)',
        ...(line === undefined ? {} : { line }),
      },
    ];
  });
}

interface Issue {
  path: PropertyKey[];
  message: string;
}

function problemsOf(
  result: { success: boolean; error?: { issues: Issue[] } | undefined },
  prefix: Path,
  source: Source,
  variables: ReadonlyMap<string, string>,
): ConfigProblem[] {
  return (result.error?.issues ?? []).map((issue) => {
    const path: Path = [...prefix, ...(issue.path as (string | number)[])];
    const variable = variables.get(formatPath(path)) ?? variables.get(formatPath(path.slice(0, 2)));
    const line = variable === undefined ? source.lineOf(path) : undefined;
    return {
      path: variable === undefined ? formatPath(path) : `${variable} (${formatPath(path)})`,
      message: issue.message + found(path, source),
      ...(line === undefined ? {} : { line }),
    };
  });
}

/** `, not "2 min"`: what is there now, unless it is or may hold a secret. */
function found(path: Path, source: Source): string {
  let value: Plain = source.data;
  for (const part of path) value = typeof value === 'object' ? (value as Record<string | number, Plain>)[part] : undefined;
  const name = path.findLast((part) => typeof part === 'string') ?? '';
  // Who knows the URL of a chat's webhook can write there.
  const hidden = SECRET_FIELDS.includes(String(name)) || path[0] === 'webhooks' || source.substituted.has(formatPath(path));
  if (typeof value !== 'string' || value === '' || value.length > 100 || value.includes('@') || hidden) return '';
  return `, not ${JSON.stringify(value)}`;
}

/** A value that is missing because its variable is missing is one problem, not two. Unknown keys have the path of their mapping: keep each. */
function firstOfEachPath(problems: ConfigProblem[]): ConfigProblem[] {
  const seen = new Set<string>();
  return problems.filter((p) => {
    const id = p.message.startsWith('unknown key') || p.path === '' ? `${p.path}\0${p.message}` : p.path;
    if (seen.has(id)) return false;
    seen.add(id);
    return true;
  });
}
