/**
 * How soon people see what happens: a call is missed, and returned, while others go on; from the answer to its last callback until the page Missed
 * shows it in headless Chromium. The whole of `callstream up` on this machine.
 * Usage: node bench/live.mjs [--calls 30] [--rate 5]
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { freePort } from '../dist/local/index.js';
import { APP, quantile } from './lab.mjs';

const { values } = parseArgs({ options: { calls: { type: 'string', default: '30' }, rate: { type: 'string', default: '5' } } });
const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const CHROMIUM = [process.env.CHROMIUM_PATH, '/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => path && existsSync(path));
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];

const dir = mkdtempSync(join(tmpdir(), 'callstream-bench-live-'));
const config = join(dir, 'callstream.yaml');
writeFileSync(config, `apps:\n  - { provider: tencent, appId: "${APP}" }\n`);
const { KAFKA_BROKERS: _k, SCHEMA_REGISTRY_URL: _r, CLICKHOUSE_URL: _c, ...env } = process.env;
for (const name of ['KAFKA', 'REGISTRY', 'CLICKHOUSE', 'INGEST', 'API', 'ADMIN']) env[`CALLSTREAM_${name}_PORT`] = String(await freePort());
const servers = {
  ...env,
  KAFKA_BROKERS: `127.0.0.1:${env.CALLSTREAM_KAFKA_PORT}`,
  SCHEMA_REGISTRY_URL: `http://127.0.0.1:${env.CALLSTREAM_REGISTRY_PORT}/apis/ccompat/v7`,
  CLICKHOUSE_URL: `http://127.0.0.1:${env.CALLSTREAM_CLICKHOUSE_PORT}`,
};
const run = (args, more) =>
  spawn(process.execPath, [MAIN, ...args, '--config', config], { env: more, stdio: ['ignore', 'pipe', 'inherit'] });

/** A call of two users, told at once; resolves when its last callback is answered. */
async function call(id, caller, callee, end) {
  const now = Math.floor(Date.now() / 1_000);
  const told =
    end === 'NOT_ANSWER'
      ? [
          ['start_call', caller, 'caller'],
          ['receive_call', callee, 'callee'],
          ['not_answer_call', callee, 'callee'],
          ['call_missed', caller, 'caller'],
        ]
      : [
          ['start_call', caller, 'caller'],
          ['accept_call', callee, 'callee'],
          ['call_end', callee, 'callee'],
        ];
  for (const [i, [Event, UserId, Role]] of told.entries()) {
    const over = i === told.length - 1 || Event === 'not_answer_call';
    const body = { CallId: id, RoomId: id, CallType: 'single', MediaType: 'audio', TotalNum: 2, Event, UserId, Role };
    const url = `http://127.0.0.1:${env.CALLSTREAM_INGEST_PORT}/callbacks/tuicallkit?sdkappid=${APP}&command=event&contenttype=json`;
    const answer = await fetch(url, {
      method: 'POST',
      body: JSON.stringify({ ...body, CallResult: over ? end : '', EventTime: now - told.length + i }),
    });
    if (answer.status !== 200) throw new Error(`${Event} was answered ${answer.status}`);
  }
}

const children = [];
let browser;
try {
  const up = run(['up', '--data', join(dir, 'data')], env);
  children.push(up);
  await new Promise((resolve, reject) => {
    let text = '';
    up.stdout.setEncoding('utf8').on('data', (part) => {
      text += part;
      if (text.includes('\nReady.')) resolve();
    });
    up.once('exit', () => reject(new Error(`callstream up ended: ${text}`)));
  });
  const simulator = run(['simulate', '--rate', values.rate], servers);
  simulator.stdout.resume();
  children.push(simulator);
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${env.CALLSTREAM_API_PORT}/missed`);
  await page.locator('.live[data-status=live]').waitFor();
  await delay(20_000);
  const [appeared, cleared] = [[], []];
  for (let i = 0; i < Number(values.calls); i++) {
    const caller = `live-caller-${i}`;
    const row = page.locator('table.missed tbody tr').filter({ hasText: caller });
    await call(`live-missed-${i}`, caller, 'live-callee', 'NOT_ANSWER');
    let since = performance.now();
    const shown = await row.first().elementHandle({ timeout: 60_000 });
    appeared.push(performance.now() - since);
    // Not always at the same moment between two looks at the database.
    await delay(1_000 + ((i * 137) % 1_000));
    await call(`live-returned-${i}`, 'live-callee', caller, 'NORMAL_END');
    since = performance.now();
    while (!(await shown.evaluate((element) => element.classList.contains('cleared')))) await delay(20);
    cleared.push(performance.now() - since);
    await delay(6_000);
  }
  for (const [what, times] of Object.entries({ 'a missed call appears': appeared, 'a returned one clears': cleared })) {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share) => Math.round(quantile(sorted, share));
    console.log(
      `${what.padEnd(22)} p50 ${at(0.5)} ms   p95 ${at(0.95)} ms   most ${at(1)} ms   (${sorted.length} calls beside ${values.rate} a second)`,
    );
  }
} finally {
  await browser?.close();
  for (const child of children.reverse()) {
    if (child.exitCode !== null) continue;
    child.kill('SIGINT');
    await new Promise((resolve) => child.once('exit', resolve));
  }
  rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
}
