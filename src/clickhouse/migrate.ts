import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CallstreamError } from '../domain/errors.js';
import type { ClickHouse } from './client.js';
import { wantRebuild } from './rebuilds.js';

/** How long rows are kept, in milliseconds. */
export interface Retention {
  calls: number;
  events: number;
  metrics: number;
}

export interface Migration {
  /** File name, for example `001_tables.sql`; files run in the order of their names. */
  name: string;
  sql: string;
  /** SHA-256 of the file's text, hex. */
  checksum: string;
}

/** The first that the first migration makes. */
const FIRST_TABLE = 'calls_latest';
/** It needs no other. */
const REBUILDS = '007_rebuilds.sql';
const FOLDER = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'schemas', 'clickhouse');
const TIMEOUT_MS = 60_000;
const SECOND = 1_000;
const DAY = 86_400_000;

/**
 * What each table's rows are counted from, and which retention they have: times of arrival, for a vendor's times may lie anywhere.
 * Touches stay longer than what was rolled from them: their sum is its version and must never fall.
 */
const TTLS: readonly [table: string, from: string, keep: (r: Retention) => number][] = [
  ['calls_latest', 'toDateTime(first_seen_at)', (r) => r.calls],
  ['call_revisions', 'toDateTime(first_seen_at)', (r) => r.calls],
  ['recordings_latest', 'toDateTime(first_seen_at)', (r) => r.calls],
  ['call_event_rows', 'toDateTime(received_at)', (r) => r.events],
  ['deliveries', 'toDateTime(received_at)', (r) => r.events],
  ['dead_letter_rows', 'toDateTime(received_at)', (r) => r.events],
  ['alert_rows', 'toDateTime(fired_at)', (r) => r.metrics],
  ['metrics_minutes', 'rolled_at', (r) => r.metrics],
  ['concurrency_minutes', 'rolled_at', (r) => r.metrics],
  ['touched', 'toDateTime(touched_at)', (r) => r.metrics + 60 * DAY],
];

/** The migrations of `schemas/clickhouse`, in order. */
export function readMigrations(folder = FOLDER): Migration[] {
  return readdirSync(folder)
    .filter((name) => /^\d{3}_\w+\.sql$/.test(name))
    .sort()
    .map((name) => {
      const sql = readFileSync(join(folder, name), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    });
}

/** A statement ends with a semicolon at the end of a line; comment lines are dropped. */
export function statementsOf(sql: string): string[] {
  return sql
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('--'))
    .join('\n')
    .split(/;[ \t]*(?:\n|$)/)
    .map((s) => s.trim())
    .filter((s) => s !== '');
}

/**
 * Creates or upgrades the database of the client. Idempotent; every statement of a migration may run twice, so a crash in between does no harm.
 * @returns names of the migrations that were applied now
 * @throws CallstreamError CLICKHOUSE_MIGRATION_CHANGED when an applied file has another text now, CLICKHOUSE_MIGRATION_MISSING when one is gone;
 *   ClickHouseFailure
 */
export async function migrateClickHouse(
  client: ClickHouse,
  options: { retention: Retention; migrations?: readonly Migration[] },
): Promise<string[]> {
  const migrations = options.migrations ?? readMigrations();
  await createDatabase(client);
  await client.command(
    `CREATE TABLE IF NOT EXISTS migrations (name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
     ENGINE = ReplacingMergeTree ORDER BY name SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`,
  );
  const applied = new Map(
    (await client.query<{ name: string; checksum: string }>('SELECT name, checksum FROM migrations FINAL')).map((m) => [
      m.name,
      m.checksum,
    ]),
  );
  for (const [name, checksum] of applied) {
    const file = migrations.find((m) => m.name === name);
    if (file === undefined) {
      throw new CallstreamError(
        'CLICKHOUSE_MIGRATION_MISSING',
        `Database ${client.database} has migration ${name}, which this version does not know. Was it upgraded by a newer version?`,
      );
    }
    if (file.checksum !== checksum) {
      throw new CallstreamError(
        'CLICKHOUSE_MIGRATION_CHANGED',
        `Migration ${name} was changed after it had been applied to database ${client.database}. Restore the file and add a new migration instead.`,
      );
    }
  }
  const done: string[] = [];
  for (const { name, sql, checksum } of migrations) {
    if (applied.has(name)) continue;
    for (const statement of statementsOf(sql)) await client.command(statement, {}, TIMEOUT_MS);
    await client.command('INSERT INTO migrations (name, checksum) VALUES ({name:String}, {checksum:String})', { name, checksum });
    done.push(name);
  }
  await applyRetention(client, options.retention);
  return done;
}

async function createDatabase(client: ClickHouse): Promise<void> {
  const server = client.using('default');
  try {
    await server.command(`CREATE DATABASE IF NOT EXISTS ${client.database}`, {}, TIMEOUT_MS);
  } finally {
    await server.close();
  }
}

/** Whether the database of the client has its tables, of whatever version. @throws ClickHouseFailure */
export async function hasTables(client: ClickHouse): Promise<boolean> {
  const server = client.using('default');
  try {
    const [row] = await server.query<{ n: number }>(
      'SELECT count() AS n FROM system.tables WHERE database = {database:String} AND name = {name:String}',
      { database: client.database, name: FIRST_TABLE },
    );
    return row?.n === 1;
  } finally {
    await server.close();
  }
}

/** Before tables are made where others were lost: notes that a rebuild is wanted, so that no crash in between leaves empty tables without that. @throws ClickHouseFailure */
export async function noteLoss(client: ClickHouse, id: string, now: number): Promise<void> {
  await createDatabase(client);
  const { sql } = readMigrations().find(({ name }) => name === REBUILDS)!;
  for (const statement of statementsOf(sql)) await client.command(statement, {}, TIMEOUT_MS);
  await wantRebuild(client, id, now);
}

/** Sets the TTL of each table that has another one: a change of the configuration needs no migration. What is stored follows at once. */
async function applyRetention(client: ClickHouse, retention: Retention): Promise<void> {
  for (const { table, ttl } of await otherTtls(client, client.database, retention))
    await client.command(`ALTER TABLE ${table} MODIFY TTL ${ttl}`, {}, TIMEOUT_MS);
}

/** The tables of a database whose TTL is not that of the configuration, and what it should be. */
export async function otherTtls(client: ClickHouse, database: string, retention: Retention): Promise<{ table: string; ttl: string }[]> {
  const tables = await client.query<{ name: string; engine_full: string }>(
    'SELECT name, engine_full FROM system.tables WHERE database = {database:String}',
    { database },
  );
  return TTLS.flatMap(([table, from, keep]) => {
    const ttl = `${from} + toIntervalSecond(${Math.ceil(keep(retention) / SECOND)})`;
    const engine = tables.find((t) => t.name === table)?.engine_full ?? '';
    return engine.includes(`TTL ${ttl}`) ? [] : [{ table, ttl }];
  });
}
