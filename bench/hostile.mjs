/**
 * What an attack costs those who mean well: durable callbacks at a fixed rate, alone and then beside 10,000 idle connections, slow headers, slow bodies, refused
 * bodies and garbage. Prints latencies, their ratio, and the memory of the ingest process. Usage: node bench/hostile.mjs [--rate 200] [--seconds 10]
 */
import { fork } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { freePort } from '../dist/local/index.js';
import { APP, openLab } from './lab.mjs';
import { events, query } from './traffic.mjs';

const IDLE = 10_000;
const SLOW = 200;
const REFUSED_PER_SECOND = 200;

if (process.argv[2] === 'attack') await attack(Number(process.argv[3]));
else await measure();

async function measure() {
  const { values } = parseArgs({ options: { rate: { type: 'string', default: '200' }, seconds: { type: 'string', default: '10' } } });
  const [rate, seconds] = [Number(values.rate), Number(values.seconds)];
  const lab = await openLab();
  try {
    const port = await freePort();
    const role = await lab.role(['ingest'], { env: { CALLSTREAM_INGEST_PORT: String(port) } });
    // New connections again and again, as vendors make them: an attack must not keep them out.
    const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 32, pipelining: 1, keepAliveTimeout: 200 });
    const source = events(Number.MAX_SAFE_INTEGER, 500, Date.now() - 3_600_000);
    await run(pool, source, rate, 3);
    const quiet = await run(pool, source, rate, seconds);
    const before = role.usage();
    const attacker = fork(fileURLToPath(import.meta.url), ['attack', String(port)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await new Promise((resolve) => attacker.once('message', resolve));
    const attacked = await run(pool, source, rate, seconds);
    const after = role.usage();
    const dropped = await fetch(`${role.admin}/metrics`)
      .then((answer) => answer.text())
      .then((text) => text.match(/^callstream_ingest_connections_dropped_total.*$/gm) ?? []);
    attacker.kill('SIGKILL');
    const mb = (bytes) => `${Math.round(bytes / 1e6)} MB`;
    const line = (name, r) =>
      console.log(`${name.padEnd(9)} p50 ${r.p50.toFixed(1)} ms   p99 ${r.p99.toFixed(1)} ms   ${r.ok} of ${r.sent} acknowledged`);
    line('quiet', quiet);
    line('attacked', attacked);
    console.log(
      `p99 ratio ${(attacked.p99 / quiet.p99).toFixed(2)}   RSS ${mb(before.rss)} before, ${mb(after.rss)} after, ${mb(after.peak)} at most`,
    );
    console.log(dropped.join('\n'));
    await pool.close();
    await role.stop();
  } finally {
    await lab.close();
  }
}

/** Callbacks at a fixed rate; one that fails is sent again once, as a vendor would, and counts from its first try. */
async function run(pool, source, rate, seconds) {
  const latencies = [];
  let sent = 0;
  const post = async () => {
    const body = source.next().value[1];
    const at = performance.now();
    sent++;
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        const path = `/callbacks/tuicallkit?${query(APP, body)}`;
        const answer = await pool.request({ method: 'POST', path, body: JSON.stringify(body), headersTimeout: 10_000 });
        await answer.body.dump();
        if (answer.statusCode === 200) return latencies.push(performance.now() - at);
      } catch {}
    }
  };
  const begun = performance.now();
  const all = [];
  for (let i = 0; i < rate * seconds; i++) {
    const due = begun + (i * 1_000) / rate;
    if (due > performance.now()) await delay(due - performance.now());
    all.push(post());
  }
  await Promise.all(all);
  latencies.sort((a, b) => a - b);
  const at = (q) => latencies[Math.min(latencies.length - 1, Math.ceil(q * latencies.length) - 1)];
  return { p50: at(0.5), p99: at(0.99), ok: latencies.length, sent };
}

async function attack(port) {
  const open = (bytes, again) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(again, 1_000));
    if (bytes !== '') socket.write(bytes);
    return socket;
  };
  const idle = () => open('', idle);
  const head = `POST /callbacks/tuicallkit?sdkappid=${APP} HTTP/1.1\r\nHost: x\r\n`;
  const slowHead = () => trickle(open(head, slowHead), 'x: y\r\n');
  const slowBody = () => trickle(open(`${head}Content-Length: 250000\r\n\r\n${'x'.repeat(200_000)}`, slowBody), 'x');
  const trickle = (socket, bytes) => {
    const timer = setInterval(() => socket.write(bytes), 500);
    socket.on('close', () => clearInterval(timer));
  };
  for (let i = 0; i < IDLE; i++) {
    idle();
    if (i % 500 === 499) await delay(100);
  }
  for (let i = 0; i < SLOW; i++) (i % 2 === 0 ? slowHead : slowBody)();
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 16 });
  const garbage = Buffer.alloc(32 * 1024, '{"SdkAppId":[1e99,');
  setInterval(() => {
    for (let i = 0; i < REFUSED_PER_SECOND / 20; i++)
      pool
        .request({ method: 'POST', path: i % 2 === 0 ? '/callbacks/tiw' : '/callbacks/tuicallkit?sdkappid=0', body: garbage })
        .then((answer) => answer.body.dump())
        .catch(() => {});
  }, 50);
  process.send('under way');
}
