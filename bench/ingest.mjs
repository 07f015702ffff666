/** Durable callbacks per second, and how long after its acknowledgement a call can be read. */
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { freePort } from '../dist/local/index.js';
import { APP, quantile } from './lab.mjs';
import { calls, events, query } from './traffic.mjs';

const headers = { 'content-type': 'application/json' };

async function post(pool, body) {
  const answer = await pool.request({
    method: 'POST',
    path: `/callbacks/tuicallkit?${query(APP, body)}`,
    headers,
    body: JSON.stringify(body),
  });
  await answer.body.dump();
  if (answer.statusCode !== 200) throw new Error(`callback answered ${answer.statusCode}`);
}

/** As many requests as are answered, over keep-alive connections, for some seconds. */
export async function benchIngest(lab, seconds) {
  const port = await freePort();
  const role = await lab.role(['ingest'], { env: { CALLSTREAM_INGEST_PORT: String(port) } });
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 128, pipelining: 1 });
  const source = events(Number.MAX_SAFE_INTEGER, 5_000, Date.now() - 3_600_000);
  let done = 0;
  let stop = false;
  const worker = async () => {
    while (!stop) {
      await post(pool, source.next().value[1]);
      done++;
    }
  };
  const workers = Array.from({ length: 128 }, worker);
  await delay(2_000);
  const from = { done, at: performance.now(), ...role.usage() };
  await delay(seconds * 1000);
  const now = role.usage();
  const records = done - from.done;
  const elapsed = (performance.now() - from.at) / 1000;
  stop = true;
  await Promise.all(workers);
  await pool.close();
  await role.stop();
  return {
    records,
    seconds: elapsed,
    per_second: records / elapsed,
    cpu_s_per_million: ((now.cpu - from.cpu) / records) * 1e6,
    peak_rss: now.peak,
  };
}

const TICK_MS = 10;

/** Every role at work at a fixed rate of callbacks; of some new calls, the time from the acknowledgement to the row in `calls`. */
export async function benchLatency(lab, { perSecond, seconds }) {
  const port = await freePort();
  const roles = [];
  for (const names of [['ingest'], ['sessions'], ['events'], ['sink']])
    roles.push(await lab.role(names, { env: { CALLSTREAM_INGEST_PORT: String(port) } }));
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 64, pipelining: 1 });
  // Calls under way since before the first callback is sent: the rate is the same from the start.
  const wallStart = Date.now();
  const source = calls(Number.MAX_SAFE_INTEGER, perSecond / 6.4, wallStart - 300_000, 7);
  const waiting = new Map();
  const latencies = [];
  let running = true;
  const watch = (async () => {
    while (running || waiting.size > 0) {
      if (waiting.size > 0) {
        const ids = [...waiting.keys()].map((id) => `'${id}'`).join(',');
        const rows = await lab.query(`SELECT call_id FROM calls WHERE call_id IN (${ids})`);
        const now = performance.now();
        for (const [id] of rows) {
          latencies.push(now - waiting.get(id));
          waiting.delete(id);
        }
      }
      await delay(20);
    }
  })();
  /** Callbacks by the tick that they are due in. */
  const ticks = new Map();
  let n = 0;
  let sent = 0;
  const sending = new Set();
  let next = source.next().value;
  const plan = (until) => {
    while (next[0][0] <= until) {
      for (const [i, [at, body]] of next.entries()) {
        const tick = Math.ceil(at / TICK_MS);
        if (at < wallStart) continue;
        const due = ticks.get(tick);
        const callback = { body, sampled: i === 0 && n % 8 === 0 };
        if (due === undefined) ticks.set(tick, [callback]);
        else due.push(callback);
      }
      n++;
      next = source.next().value;
    }
  };
  for (let tick = Math.ceil(wallStart / TICK_MS); tick * TICK_MS < wallStart + seconds * 1000; tick++) {
    plan(tick * TICK_MS);
    await delay(tick * TICK_MS - Date.now());
    const sampling = tick * TICK_MS - wallStart > 5_000;
    for (const { body, sampled } of ticks.get(tick) ?? []) {
      sent++;
      const p = post(pool, body)
        .then(() => {
          if (sampled && sampling) waiting.set(body.CallId, performance.now());
        })
        .finally(() => sending.delete(p));
      sending.add(p);
    }
    ticks.delete(tick);
  }
  await Promise.all(sending);
  running = false;
  await watch;
  await pool.close();
  for (const role of roles.reverse()) await role.stop();
  latencies.sort((a, b) => a - b);
  return {
    callbacks_per_second: sent / seconds,
    samples: latencies.length,
    p50_ms: quantile(latencies, 0.5),
    p99_ms: quantile(latencies, 0.99),
    max_ms: latencies.at(-1),
  };
}
