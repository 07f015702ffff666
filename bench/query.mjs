/**
 * `node bench/query.mjs [CALLS] [--rounds N] [--data DIR] [--only TEXT] [--json FILE]`: how long each question of the dashboard's pages takes over so many calls (default
 * 1,000,000; 90 days of them), made by ClickHouse itself. Wall time as a client sees it; and what ClickHouse spent on one question, processor time and rows read, which
 * other work on the machine does not change. With `--data`, the calls are kept, and used again by the next run: the clock of the query API then stands where they end.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { changesStatement } from '../dist/api/calls.js';
import { startApi } from '../dist/api/index.js';
import { ClickHouse, migrateClickHouse } from '../dist/clickhouse/index.js';
import { startStack } from '../dist/local/index.js';
import { silentLogger } from '../dist/telemetry/log.js';
import { createMetrics } from '../dist/telemetry/metrics.js';
import { quantile, quiet, spent } from './lab.mjs';
import { APPS, keptMillions } from './millions.mjs';
import { questionsOf } from './questions.mjs';

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    data: { type: 'string' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
  },
  allowPositionals: true,
});
const total = Number(positionals[0] ?? 1_000_000);
const rounds = Number(values.rounds);
const n = (x, digits = 0) => x.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });
const DAY = 86_400_000;

const dataDir = values.data ?? mkdtempSync(join(tmpdir(), 'callstream-query-'));
mkdirSync(dataDir, { recursive: true });
const stack = await startStack({ dataDir, ports: { clickhouse: 0 }, use: { kafka: 'not started', registry: 'not started' } });
const options = { url: stack.clickhouse.address, username: 'default', password: '', database: 'callstream', requestTimeoutMs: 600_000 };
const writer = new ClickHouse(options);
const reader = new ClickHouse({ ...options, readOnly: true });

/** Asks the query API, and reads the answer to its end, or the first bytes of it. Returns how it was refused, if it was. */
async function asked(url, first) {
  const abort = new AbortController();
  const response = await fetch(url, { signal: abort.signal });
  if (first && response.ok) {
    for await (const _ of response.body) break;
    abort.abort();
    return '';
  }
  const text = await response.text();
  return response.ok ? '' : `${response.status} ${JSON.parse(text).code}`;
}

/** What one question costs: wall times in ms, and CPU ms, rows and MB of ClickHouse per round. */
async function measure(ask) {
  const took = [];
  let refused = '';
  const before = await spent(writer);
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    refused = (await ask()) || refused;
    took.push(performance.now() - began);
  }
  const after = await spent(writer);
  took.sort((a, b) => a - b);
  const per = (name) => (after[name] - before[name]) / rounds;
  return {
    p50_ms: quantile(took, 0.5),
    p95_ms: quantile(took, 0.95),
    cpu_ms: per('cpu_ms'),
    rows: per('rows'),
    mb: per('bytes') / 1e6,
    refused,
  };
}

try {
  await migrateClickHouse(writer, { retention: { calls: 400 * DAY, events: 400 * DAY, metrics: 400 * DAY } });
  const { calls, until } = await keptMillions(dataDir, writer, total, (table, ms) =>
    console.log(`${table.padEnd(20)} filled in ${n(ms / 1000, 1)} s`),
  );
  await quiet(writer);
  const api = await startApi(
    { host: '127.0.0.1', port: 0, apps: [] },
    { query: (sql, params) => reader.query(sql, params), clock: { now: () => until }, log: silentLogger(), metrics: createMetrics() },
  );
  console.log(`\n${n(calls)} calls, ${rounds} rounds, ${cpus().length} x ${cpus()[0].model}, load ${loadavg()[0].toFixed(1)}`);
  console.log(
    `${'question'.padEnd(84)} ${['p50 ms', 'p95 ms', 'cpu ms', 'rows read', 'MB read'].map((head) => head.padStart(10)).join(' ')}`,
  );
  const live = changesStatement(until - 60_000, until - DAY, undefined, 500);
  const questions = (await questionsOf(reader, APPS, until)).map(({ page, path, first }) => ({
    name: `${page}: ${path}`,
    ask: () => asked(`${api.address}/api/v1/${path}`, first),
  }));
  questions.push({ name: 'every: one look of the live tail', ask: async () => void (await reader.query(live.sql, live.params)) });
  const figures = {};
  for (const { name, ask } of questions.filter((question) => question.name.includes(values.only))) {
    const { refused = '', ...numbers } = await measure(ask);
    figures[name] = { ...Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, Math.round(value)])), refused };
    const columns = Object.values(numbers).map((value) => n(value).padStart(10));
    console.log(`${name.slice(0, 84).padEnd(84)} ${columns.join(' ')}${refused && `   refused: ${refused}`}`);
  }
  const slow = Object.values(figures).filter(({ p95_ms, refused }) => p95_ms >= 1000 || refused !== '').length;
  console.log(`${slow} of ${Object.keys(figures).length} at or above 1 s (p95), load ${loadavg()[0].toFixed(1)} at the end`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  await api.stop();
} finally {
  await Promise.all([writer.close(), reader.close()]);
  await stack.stop();
  if (values.data === undefined) rmSync(dataDir, { recursive: true, force: true });
}
