import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { TOPICS } from '../../src/codec/topics.js';
import { freePort } from '../../src/local/index.js';
import { startCluster, type TestCluster } from '../support/cluster.js';
import { report, SEED, sized, verifiedFigures } from '../support/torture.js';

/** The compiled program, as `npm start` runs it: `npm test` compiles it first. */
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** More calls make the load, and with it the faults, go on for longer. */
const CALLS = sized(100, 5_000);
const FAULTS = Math.ceil(CALLS / 25);
const LIMIT_MS = 600_000 + CALLS * 200;

const dir = mkdtempSync(join(tmpdir(), 'callstream-cluster-road-'));
const config = join(dir, 'callstream.yaml');
const { SCHEMA_REGISTRY_URL: _r, CLICKHOUSE_URL: _c, ...BASE_ENV } = process.env;
const started: ChildProcess[] = [];
let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  for (const child of started) if (child.exitCode === null) child.kill('SIGKILL');
  await cluster?.close();
  rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
});

function callstream(args: string[], env: NodeJS.ProcessEnv): { child: ChildProcess; text: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [MAIN, ...args, '--config', config], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { child, text: () => text, ended: new Promise((resolve) => child.once('exit', resolve)) };
}

/** What a role has said last, and all that it called an error: the folder is gone when somebody asks why. */
function lastWords(): string {
  const logs = join(dir, 'data', 'log');
  return readdirSync(logs)
    .map((name) => {
      const lines = readFileSync(join(logs, name), 'utf8').trimEnd().split('\n');
      const told = [...lines.filter((line) => /"level":[56]0/.test(line)).slice(0, 20), ...lines.slice(-20)];
      return `${name}, ${lines.length} lines:\n${told.join('\n')}`;
    })
    .join('\n\n');
}

it(
  `every role on three brokers of which leaders are killed and each is restarted, under ${CALLS} chaotic calls: nothing lost, doubled or changed`,
  async () => {
    writeFileSync(
      config,
      'apps:\n  - { provider: tencent, appId: "1400000001" }\nkafka: { partitions: 4 }\nsessions: { ringTimeout: 5s, settle: 2s, maxCall: 60s, retention: 10s }\n',
    );
    const env: NodeJS.ProcessEnv = { ...BASE_ENV, KAFKA_BROKERS: cluster.addresses.join(',') };
    for (const name of ['REGISTRY', 'CLICKHOUSE', 'INGEST', 'API', 'ADMIN']) env[`CALLSTREAM_${name}_PORT`] = String(await freePort());
    const up = callstream(['up', '--data', join(dir, 'data')], env);
    await vi.waitFor(() => expect(up.text()).toContain('\nReady.'), { timeout: 240_000, interval: 200 });
    const simulate = callstream(['simulate', '--calls', String(CALLS), '--chaos', 'hard', '--seed', String(SEED + 11), '--verify'], env);
    let over = false;
    void simulate.ended.then(() => {
      over = true;
    });

    const topics = Object.values(TOPICS).map(({ name }) => name);
    let faults = 0;
    for (let round = 0; !over && round < FAULTS; round += 1) {
      const leader = (await cluster.leaders(TOPICS.calls.name))[round % 4] as number;
      if (round % 2 === 0) await cluster.kill(leader, 'SIGKILL');
      else await cluster.stop(leader);
      await cluster.start(leader);
      await cluster.inSync(topics);
      faults += 1;
    }
    const code = await simulate.ended;
    if (code !== 0) console.error(`${simulate.text().slice(-8_000)}\n${lastWords()}\n\n${cluster.lastWords()}`);
    report({ scenario: 'the whole road on three brokers', faults, ...verifiedFigures(simulate.text()) });
    expect(simulate.text()).toMatch(/\n0 differences\s*$/);
    expect(code).toBe(0);
    expect(faults).toBeGreaterThanOrEqual(2);
    up.child.kill('SIGINT');
    expect(await up.ended).toBe(0);
  },
  LIMIT_MS,
);
