/**
 * What attacks cost those who mean well: durable callbacks at a fixed rate over connections that come and go, without and with one kind of attack, in turns;
 * of each turn the p99, of the turns the median. Both belong to one run, so whatever else the machine does hits both.
 * Usage: node bench/hostile.mjs [--rate 200] [--seconds 5] [--rounds 3] [--only KIND,…]
 */
import { fork } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import { freePort } from '../dist/local/index.js';
import { ATTACKS } from './attacks.mjs';
import { APP, openLab } from './lab.mjs';
import { events, query } from './traffic.mjs';

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: [...Object.keys(ATTACKS), 'all'].join(',') },
  },
});
const [rate, seconds, rounds] = [values.rate, values.seconds, values.rounds].map(Number);
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const mb = (bytes) => `${Math.round(bytes / 1e6)} MB`;

const lab = await openLab({
  apps: [`{ provider: tencent, appId: "${APP}", tiwCallbackKey: bench-key }`, '{ provider: aliyun, appId: bench }'],
});
try {
  const port = await freePort();
  const role = await lab.role(['ingest'], { env: { CALLSTREAM_INGEST_PORT: String(port) } });
  // New connections again and again, as vendors make them: an attack must not keep them out.
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 32, pipelining: 1, keepAliveTimeout: 200 });
  const source = events(Number.MAX_SAFE_INTEGER, 500, Date.now() - 3_600_000);
  await run(pool, source);
  for (const kind of values.only.split(',')) {
    const [quiet, attacked, attacks] = [[], [], []];
    for (let round = 0; round < rounds; round++) {
      quiet.push(await turn(() => run(pool, source)));
      const attacker = fork(fileURLToPath(new URL('attacks.mjs', import.meta.url)), [kind, String(port), APP], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      await new Promise((resolve) => attacker.once('message', resolve));
      const made = () => new Promise((resolve) => attacker.once('message', (m) => resolve(m.made)) && attacker.send('?'));
      const [first, at] = [await made(), performance.now()];
      attacked.push(await turn(() => run(pool, source)));
      attacks.push(((await made()) - first) / ((performance.now() - at) / 1_000));
      attacker.kill('SIGKILL');
      await new Promise((resolve) => attacker.once('exit', resolve));
      await delay(500);
    }
    const [before, under] = [quiet, attacked].map((turns) => median(turns.map((t) => t.p99)));
    const cpu = (turns) => `${Math.round(median(turns.map((t) => t.cpu)) * 100)}%`;
    const refused = [...quiet, ...attacked].reduce((sum, t) => sum + t.sent - t.ok, 0);
    console.log(
      `${kind.padEnd(15)} p99 ${before.toFixed(1)} -> ${under.toFixed(1)} ms, ${(under / before).toFixed(2)} times   ingest at ${cpu(quiet)} -> ${cpu(attacked)} of a core   ${refused} not acknowledged   (${Math.round(median(attacks))} attacks/s made: ${ATTACKS[kind]?.what ?? 'every kind at once'})`,
    );
  }
  const usage = role.usage();
  console.log(`memory of ingest ${mb(usage.rss)}, ${mb(usage.peak)} at most`);
  await pool.close();
  await role.stop();

  async function turn(work) {
    const from = { at: performance.now(), cpu: role.usage().cpu };
    const result = await work();
    return { ...result, cpu: (role.usage().cpu - from.cpu) / ((performance.now() - from.at) / 1_000) };
  }
} finally {
  await lab.close();
}

/** Callbacks at a fixed rate; one that fails is sent again once, as a vendor would, and counts from its first try. */
async function run(pool, source) {
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
  return { p99: latencies[Math.min(latencies.length - 1, Math.ceil(0.99 * latencies.length) - 1)], ok: latencies.length, sent };
}
