/**
 * `npm run bench [-- --json FILE] [--events N] [--only NAME,…]`: every figure of README in one run, on a fresh embedded stack: the servers, the
 * roles and the load share this machine. Wall time beside CPU seconds of the measured process per million records.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { benchIngest, benchLatency } from './ingest.mjs';
import { openLab } from './lab.mjs';
import { benchEvents, benchRestore, benchSessions, benchSink, fillBacklog } from './workers.mjs';

const NAMES = ['memory', 'ingest', 'sessions', 'sink', 'events', 'restore', 'latency'];
const { values } = parseArgs({
  options: { json: { type: 'string' }, events: { type: 'string', default: '1000000' }, only: { type: 'string', default: NAMES.join(',') } },
});
const total = Number(values.events);
const wanted = new Set(values.only.split(','));
const figures = {};
const n = (x, digits = 0) => x.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });
const mb = (bytes) => `${n(bytes / 2 ** 20)} MiB`;
const report = (name, text) => console.log(`${name.padEnd(10)} ${text}   (load ${loadavg()[0].toFixed(1)})`);
const rate = (r, unit) =>
  `${n(r.per_second)} ${unit}/s   ${n(r.cpu_s_per_million, 1)} CPU s per million   ${mb(r.peak_rss)} RSS at most   ${n(r.records)} in ${n(r.seconds, 1)} s`;

console.log(
  `${cpus().length} x ${cpus()[0].model}, ${mb(totalmem())}, Node ${process.version}, load ${loadavg()[0].toFixed(1)} at the start`,
);

if (wanted.has('memory')) {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', fileURLToPath(new URL('memory.mjs', import.meta.url))]);
  const { calls, bytes_per_open_call } = JSON.parse(stdout);
  figures.bytes_per_open_call = Math.round(bytes_per_open_call);
  report('memory', `${n(bytes_per_open_call)} bytes per open call   ${n(calls)} calls`);
}

/** A stack for some parts only, when any of them is wanted. */
async function within(names, work, options) {
  if (!names.some((name) => wanted.has(name))) return;
  const lab = await openLab(options);
  try {
    await work(lab);
  } finally {
    await lab.close();
  }
}

await within(['ingest'], async (lab) => {
  const r = await benchIngest(lab, 15);
  figures.ingest_rps = Math.round(r.per_second);
  report('ingest', rate(r, 'durable requests'));
});

await within(['sessions', 'sink', 'events'], async (lab) => {
  await fillBacklog(lab, total);
  const sessions = await benchSessions(lab, total);
  figures.sessions_eps = Math.round(sessions.per_second);
  figures.sessions_cpu_s_per_million = Math.round(sessions.cpu_s_per_million * 10) / 10;
  report('sessions', rate(sessions, 'raw events'));
  if (wanted.has('sink')) {
    const sink = await benchSink(lab);
    figures.sink_rows_per_s = Math.round(sink.per_second);
    report('sink', rate(sink, 'revisions'));
  }
  if (wanted.has('events')) {
    const events = await benchEvents(lab, total);
    figures.events_eps = Math.round(events.per_second);
    report('events', rate(events, 'raw events'));
  }
});

await within(
  ['restore'],
  async (lab) => {
    const r = await benchRestore(lab, 1_000_000);
    figures.restore_rps = Math.round(r.per_second);
    figures.restore_million_s = Math.round(r.seconds * 10) / 10;
    figures.restore_million_rss = r.rss;
    report(
      'restore',
      `${n(r.per_second)} records/s   ${n(r.records)} in ${n(r.seconds, 1)} s of restoring   ${mb(r.rss)} RSS after, ${n(r.bytes_per_call)} bytes for each open call, all told`,
    );
  },
  { sessions: { ringTimeout: '1h' } },
);

await within(['latency'], async (lab) => {
  const r = await benchLatency(lab, { perSecond: 1_000, seconds: 40 });
  figures.latency_p50_ms = Math.round(r.p50_ms);
  figures.latency_p99_ms = Math.round(r.p99_ms);
  report(
    'latency',
    `p50 ${n(r.p50_ms)} ms   p99 ${n(r.p99_ms)} ms   max ${n(r.max_ms)} ms   ${n(r.samples)} calls at ${n(r.callbacks_per_second)} callbacks/s`,
  );
});

if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`);
