import { ClickHouse, otherTtls, readMigrations } from '../../clickhouse/index.js';
import { type Config, formatDuration } from '../../config/index.js';
import { attempt, type Finding, ok, problem, warning } from './finding.js';

const TIMEOUT_MS = 5_000;
const SKEW_WARNING_MS = 1_000;
const SKEW_PROBLEM_MS = 30_000;
const RIGHTS = ['SELECT', 'INSERT', 'ALTER', 'CREATE TABLE', 'CREATE VIEW'] as const;

/** Reachable, allowed, migrated, and with our time. */
export async function checkClickHouse(config: Config, now: () => number): Promise<Finding[]> {
  // The database may not be there yet: every statement names it.
  const server = new ClickHouse({ ...config.clickhouse, database: 'default' });
  const { url, database } = config.clickhouse;
  const todo = `is ClickHouse up, and are clickhouse.url, username and password right? (${url})`;
  try {
    const reached = await attempt('ClickHouse', todo, async () => {
      const [row] = await server.query<{ version: string }>('SELECT version() AS version');
      return [ok('ClickHouse', `${url}, version ${row?.version}`)];
    });
    if (reached.some((f) => f.level === 'problem')) return reached;
    return [
      ...reached,
      ...(await attempt('tables', 'run callstream migrate', () => checkTables(server, database))),
      ...(await attempt('retention', 'run callstream migrate', () => checkRetention(server, config))),
      ...(await attempt('rights', todo, () => checkRights(config))),
      ...(await attempt('clock of ClickHouse', todo, () => checkClock(server, now))),
    ];
  } finally {
    await server.close();
  }
}

async function checkTables(server: ClickHouse, database: string): Promise<Finding[]> {
  const [found] = await server.query<{ n: number }>(
    "SELECT count() AS n FROM system.tables WHERE database = {database:String} AND name = 'migrations'",
    { database },
  );
  if ((found?.n ?? 0) === 0) return [problem('tables', `database ${database} is not set up`, 'run callstream migrate')];
  const applied = new Map(
    (await server.query<{ name: string; checksum: string }>(`SELECT name, checksum FROM ${database}.migrations FINAL`)).map((m) => [
      m.name,
      m.checksum,
    ]),
  );
  const migrations = readMigrations();
  const missing = migrations.filter((m) => !applied.has(m.name)).map((m) => m.name);
  const changed = migrations.filter((m) => applied.has(m.name) && applied.get(m.name) !== m.checksum).map((m) => m.name);
  const unknown = [...applied.keys()].filter((name) => !migrations.some((m) => m.name === name));
  if (changed.length > 0)
    return [problem('tables', `${changed.join(', ')} changed after it was applied`, 'restore the file; changes are new files')];
  if (unknown.length > 0) return [problem('tables', `${unknown.join(', ')} is of a newer version`, 'run that version, not this one')];
  if (missing.length > 0) return [problem('tables', `${missing.join(', ')} not applied`, 'run callstream migrate')];
  const [open] = await server.query<{ n: number }>(`SELECT count() AS n FROM ${database}.rebuilds FINAL WHERE done = 0`);
  if ((open?.n ?? 0) > 0)
    return [
      problem('tables', 'not complete: a rebuild is wanted, or was interrupted; late events of old calls wait', 'run callstream rebuild'),
    ];
  return [ok('tables', `database ${database}, ${migrations.length} migrations applied`)];
}

async function checkRetention(server: ClickHouse, { clickhouse, retention }: Config): Promise<Finding[]> {
  const other = await otherTtls(server, clickhouse.database, retention);
  const text = `calls ${formatDuration(retention.calls)}, events ${formatDuration(retention.events)}, metrics ${formatDuration(retention.metrics)}`;
  if (other.length === 0) return [ok('retention', text)];
  const tables = other.map(({ table }) => table).join(', ');
  return [warning('retention', `${tables}: kept for another time than the configuration says (${text})`, 'run callstream migrate')];
}

async function checkRights({ clickhouse }: Config): Promise<Finding[]> {
  const missing: string[] = [];
  for (const right of RIGHTS) {
    // Takes no FORMAT clause, which the client always adds.
    const response = await fetch(clickhouse.url, {
      method: 'POST',
      body: `CHECK GRANT ${right} ON ${clickhouse.database}.*`,
      headers: { 'x-clickhouse-user': clickhouse.username, 'x-clickhouse-key': clickhouse.password },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok)
      return [warning('rights', `cannot be asked for (status ${response.status})`, 'ClickHouse 24.9 and later can tell them')];
    if ((await response.text()).trim() !== '1') missing.push(right);
  }
  if (missing.length > 0) {
    return [
      problem(
        'rights',
        `not allowed: ${missing.join(', ')}`,
        `GRANT ${missing.join(', ')} ON ${clickhouse.database}.* TO ${clickhouse.username}`,
      ),
    ];
  }
  return [ok('rights', RIGHTS.join(', '))];
}

async function checkClock(server: ClickHouse, now: () => number): Promise<Finding[]> {
  const before = now();
  const [row] = await server.query<{ now: number }>('SELECT toUnixTimestamp64Milli(now64(3)) AS now');
  const skew = (row?.now ?? 0) - (before + now()) / 2;
  const text = `${formatDuration(Math.round(Math.abs(skew)))} ${skew < 0 ? 'behind' : 'ahead of'} ours`;
  if (Math.abs(skew) >= SKEW_PROBLEM_MS) return [problem('clock of ClickHouse', text, 'let NTP set the clocks of all machines')];
  if (Math.abs(skew) >= SKEW_WARNING_MS)
    return [warning('clock of ClickHouse', text, 'open calls are counted up to its now: let NTP set the clocks')];
  return [ok('clock of ClickHouse', text)];
}
