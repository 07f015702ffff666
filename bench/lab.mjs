/** What the benchmarks share: a fresh stack, roles as processes, and what a process has used. */
import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NODE_OPTIONS } from '../dist/cli/node-options.js';
import { openCodec } from '../dist/codec/codec.js';
import { SchemaRegistry } from '../dist/codec/registry.js';
import { freePort, startStack } from '../dist/local/index.js';
import { TopicAdmin } from '../dist/stream/admin.js';
import { DurableProducer } from '../dist/stream/durable-producer.js';
import { silentLogger } from '../dist/telemetry/log.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
/** Clock ticks per second of /proc: fixed on Linux. */
const TICKS = 100;

export const APP = '1400000001';
export const PARTITIONS = 4;

/** Nearest rank: the least value that so large a share of the ascending ones does not exceed. */
export const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];

/** CPU seconds used so far and resident bytes (now, at most) of a process. */
export function usage(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kb = (name) => Number(status.match(new RegExp(`${name}:\\s+(\\d+)`))?.[1] ?? 0) * 1024;
  return { cpu: (Number(fields[11]) + Number(fields[12])) / TICKS, rss: kb('VmRSS'), peak: kb('VmHWM') };
}

const SPENT = {
  cpu_ms: ['UserTimeMicroseconds', 'SystemTimeMicroseconds'],
  rows: ['SelectedRows'],
  bytes: ['SelectedBytes'],
};

/** What ClickHouse has spent on all queries since it started: processor time in ms, rows and bytes read. */
export async function spent(clickhouse) {
  const found = await clickhouse.query('SELECT event, value FROM system.events WHERE event IN {events:Array(String)}', {
    events: Object.values(SPENT).flat(),
  });
  const sum = (events) => found.filter(({ event }) => events.includes(event)).reduce((total, { value }) => total + value, 0);
  return { cpu_ms: sum(SPENT.cpu_ms) / 1000, rows: sum(SPENT.rows), bytes: sum(SPENT.bytes) };
}

/** Waits until ClickHouse has nothing to merge or to rewrite. */
export async function quiet(clickhouse) {
  await until('ClickHouse to be quiet', async () => {
    const [{ busy }] = await clickhouse.query(
      'SELECT (SELECT count() FROM system.merges) + (SELECT count() FROM system.mutations WHERE NOT is_done) AS busy',
    );
    return busy === 0;
  });
}

/** A stack of its own with migrated topics and tables; `close` removes everything. */
export async function openLab({ sessions = {}, apps = [`{ provider: tencent, appId: "${APP}" }`] } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'callstream-bench-'));
  const stack = await startStack({ dataDir: join(dir, 'data'), ports: { kafka: 0, registry: 0, clickhouse: 0 } });
  const config = join(dir, 'callstream.yaml');
  const times = Object.entries(sessions).map(([k, v]) => `${k}: ${v}`);
  writeFileSync(
    config,
    [
      'apps:',
      ...apps.map((app) => `  - ${app}`),
      `kafka: { partitions: ${PARTITIONS} }`,
      ...(times.length > 0 ? [`sessions: { ${times.join(', ')} }`] : []),
      '',
    ].join('\n'),
  );
  const env = {
    ...process.env,
    KAFKA_BROKERS: stack.kafka.address,
    SCHEMA_REGISTRY_URL: stack.registry.address,
    CLICKHOUSE_URL: stack.clickhouse.address,
    CALLSTREAM_DATA_DIR: join(dir, 'roles'),
  };
  const kafka = { brokers: stack.kafka.address.split(',') };
  const logger = silentLogger();
  const running = new Set();
  const lab = {
    dir,
    stack,
    env,
    config,
    kafka,
    logger,
    admin: new TopicAdmin({ kafka, logger }),
    producer: new DurableProducer({ kafka, logger }),
    codec: (topic) => openCodec(topic, new SchemaRegistry({ url: stack.registry.address })),
    /** Starts roles in one process, and waits until they are ready. */
    async role(names, more = {}) {
      const port = await freePort();
      const log = join(dir, `${names.join('-')}-${port}.log`);
      const fd = openSync(log, 'w');
      const child = spawn(process.execPath, [...NODE_OPTIONS, ...(more.flags ?? []), main, 'run', ...names, '--config', config], {
        env: { ...env, CALLSTREAM_ADMIN_PORT: String(port), ...more.env },
        stdio: ['ignore', fd, fd],
      });
      const exited = new Promise((resolve) => child.once('exit', resolve));
      const role = {
        pid: child.pid,
        log,
        admin: `http://127.0.0.1:${port}`,
        usage: () => usage(child.pid),
        async stop(signal = 'SIGTERM') {
          running.delete(role);
          child.kill(signal);
          await exited;
        },
      };
      running.add(role);
      if (more.wait !== false) {
        await until(`${names} to be ready`, async () => {
          if (child.exitCode !== null) throw new Error(`${names} ended: ${readFileSync(log, 'utf8').slice(-2_000)}`);
          return (await fetch(`${role.admin}/readyz`).catch(() => null))?.ok;
        });
      }
      return role;
    },
    /** Runs another command to its end. */
    async command(...args) {
      const fd = openSync(join(dir, 'command.log'), 'a');
      const child = spawn(process.execPath, [main, ...args, '--config', config], { env, stdio: ['ignore', fd, fd] });
      const code = await new Promise((resolve) => child.once('exit', resolve));
      if (code !== 0)
        throw new Error(`callstream ${args.join(' ')} ended with ${code}: ${readFileSync(join(dir, 'command.log'), 'utf8').slice(-2_000)}`);
    },
    async query(sql) {
      const answer = await fetch(`${stack.clickhouse.address}/?database=callstream&default_format=JSONCompact`, {
        method: 'POST',
        body: sql,
      });
      if (!answer.ok) throw new Error(await answer.text());
      return (await answer.json()).data;
    },
    async close() {
      for (const role of [...running]) await role.stop('SIGKILL');
      await lab.producer.close();
      await lab.admin.close();
      await stack.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  await lab.command('migrate');
  return lab;
}

/** Waits for a condition, asked every few milliseconds; resolves with its first truthy answer. */
export async function until(what, condition, { every = 50, within = 300_000 } = {}) {
  const end = Date.now() + within;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${within / 1000} s for ${what}`);
    await delay(every);
  }
}

/** Records that a group has committed on some topics, all partitions together. */
export async function committed(lab, group, topics) {
  let sum = 0;
  for (const offsets of (await lab.admin.offsets.committed(group, topics)).values())
    for (const o of offsets) sum += Math.max(0, o?.offset ?? 0);
  return sum;
}

/**
 * Runs a role over what waits for it. The clock starts at its first committed progress, so that start-up and takeover do not count; records and
 * CPU of that first step are taken off too.
 */
export async function drain(lab, names, group, topics, total) {
  const role = await lab.role(names, { wait: false });
  const first = await until('first progress', () => committed(lab, group, topics), { every: 10 });
  const from = { at: performance.now(), ...role.usage() };
  const done = await until(`${total} records`, async () => {
    const n = await committed(lab, group, topics);
    return n >= total && n;
  });
  const seconds = (performance.now() - from.at) / 1000;
  const now = role.usage();
  const records = done - first;
  await role.stop();
  return { records, seconds, per_second: records / seconds, cpu_s_per_million: ((now.cpu - from.cpu) / records) * 1e6, peak_rss: now.peak };
}
