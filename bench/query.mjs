/**
 * `node bench/query.mjs [CALLS] [--rounds N] [--data DIR] [--json FILE]`: how long each question of the query API takes over so many calls (default 1,000,000; 90 days of them),
 * made by ClickHouse itself. Wall time as a client sees it, and the processor time of ClickHouse, which other work on the machine does not change. With `--data`, what is there
 * is used again.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startApi } from '../dist/api/index.js';
import { ClickHouse, migrateClickHouse } from '../dist/clickhouse/index.js';
import { startStack } from '../dist/local/index.js';
import { systemClock } from '../dist/telemetry/clock.js';
import { silentLogger } from '../dist/telemetry/log.js';
import { createMetrics } from '../dist/telemetry/metrics.js';
import { usage } from './lab.mjs';
import { APPS, makeMillions } from './millions.mjs';

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '10' }, data: { type: 'string' }, json: { type: 'string' } },
  allowPositionals: true,
});
const total = Number(positionals[0] ?? 1_000_000);
const rounds = Number(values.rounds);
const n = (x, digits = 0) => x.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });

const dataDir = values.data ?? mkdtempSync(join(tmpdir(), 'callstream-query-'));
const stack = await startStack({ dataDir, ports: { clickhouse: 0 }, use: { kafka: 'not started', registry: 'not started' } });
const options = { url: stack.clickhouse.address, username: 'default', password: '', database: 'callstream', requestTimeoutMs: 600_000 };
const writer = new ClickHouse(options);
const reader = new ClickHouse({ ...options, readOnly: true });
const days = 86_400_000 * 400;

/** A call and a user in the middle of everything, for the questions about one. */
async function someone() {
  const [call] = await reader.query(
    "SELECT call_id, caller, room_id FROM calls_latest WHERE app_id = {app:String} AND started_at > now() - INTERVAL 40 DAY AND media_type = 'video' LIMIT 1",
    { app: APPS[0] },
  );
  return { call: encodeURIComponent(call.call_id), user: encodeURIComponent(call.caller), room: encodeURIComponent(call.room_id) };
}

const questions = ({ call, user, room }) => [
  ...['1h', '24h', '7d', '30d', '90d'].flatMap((window) => [`summary?window=${window}`, `series?window=${window}`]),
  'summary?window=30d&compare=previous&app=1400000001&type=single&media=video',
  'series?window=90d&step=1d&tz=Europe/Berlin&compare=previous',
  'heatmap?window=90d&tz=Europe/Berlin',
  'concurrency?window=1h',
  'concurrency?window=24h',
  'concurrency?window=90d',
  'missed?window=24h',
  'missed?window=7d',
  'missed/callees?window=7d',
  'calls?limit=50',
  'calls?limit=500&outcome=failed',
  'calls?limit=50&missed=true&app=1400000001',
  `calls?q=${user}`,
  `calls?q=${call}`,
  `calls?room=${room}`,
  'calls?q=nobody',
  'calls/count',
  'calls/count?outcome=answered&missed=false',
  `calls/tencent/${APPS[0]}/${call}`,
  `users/${APPS[0]}/${user}`,
  `users/${APPS[0]}/${user}/calls`,
  'recordings?exceptions=false',
  'health?window=1h',
  'health?window=24h',
  'health?window=7d',
  'dead-letters',
  'apps',
];

try {
  await migrateClickHouse(writer, { retention: { calls: days, events: days, metrics: days } });
  const [{ calls }] = await writer.query('SELECT count() AS calls FROM calls_latest');
  if (calls === 0)
    await makeMillions(writer, total, Date.now(), (table, ms) => console.log(`${table.padEnd(20)} filled in ${n(ms / 1000, 1)} s`));
  const api = await startApi(
    { host: '127.0.0.1', port: 0, apps: [] },
    { query: (sql, params) => reader.query(sql, params), clock: systemClock, log: silentLogger(), metrics: createMetrics() },
  );
  const known = calls === 0 ? total : calls;
  console.log(`\n${n(known)} calls, ${rounds} rounds, ${cpus().length} x ${cpus()[0].model}, load ${loadavg()[0].toFixed(1)}`);
  console.log(`${'question'.padEnd(80)} ${'p50 ms'.padStart(8)} ${'p95 ms'.padStart(8)} ${'cpu ms'.padStart(8)}`);
  const figures = {};
  for (const question of questions(await someone())) {
    const took = [];
    let refused = '';
    const before = usage(stack.clickhouse.server.pid).cpu;
    for (let round = 0; round < rounds; round++) {
      const began = performance.now();
      const response = await fetch(`${api.address}/api/v1/${question}`);
      const text = await response.text();
      if (response.status !== 200) refused = `   refused: ${response.status} ${JSON.parse(text).code}`;
      took.push(performance.now() - began);
    }
    took.sort((a, b) => a - b);
    const at = (p) => took[Math.ceil(p * took.length) - 1];
    const cpu = ((usage(stack.clickhouse.server.pid).cpu - before) / rounds) * 1000;
    figures[question] = { p50_ms: Math.round(at(0.5)), p95_ms: Math.round(at(0.95)), cpu_ms: Math.round(cpu), refused: refused.trim() };
    console.log(`${question.padEnd(80)} ${n(at(0.5)).padStart(8)} ${n(at(0.95)).padStart(8)} ${n(cpu).padStart(8)}${refused}`);
  }
  const began = performance.now();
  const sent = await fetch(`${api.address}/api/v1/calls/export?format=csv&app=${APPS[1]}&from=${Date.now() - 10 * 86_400_000}`);
  const lines = (await sent.text()).split('\r\n').length - 2;
  if (lines !== Number(sent.headers.get('x-total-count'))) throw new Error(`${lines} lines of ${sent.headers.get('x-total-count')}`);
  const seconds = (performance.now() - began) / 1000;
  console.log(`export of ${n(lines)} calls as CSV: ${n(seconds, 1)} s, ${n(lines / seconds)} calls/s   (load ${loadavg()[0].toFixed(1)})`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
  await api.stop();
} finally {
  await Promise.all([writer.close(), reader.close()]);
  await stack.stop();
  if (values.data === undefined) rmSync(dataDir, { recursive: true, force: true });
}
