import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it, vi } from 'vitest';
import { freePort } from '../../src/local/index.js';
import { report, SEED, sized, verifiedFigures } from '../support/torture.js';

/** The compiled program, as `npm start` runs it: `npm test` compiles it first. */
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** More calls make the same storm longer. */
const CALLS = sized(600, 10_000);
const LIMIT_MS = 600_000 + CALLS * 100;

const dir = mkdtempSync(join(tmpdir(), 'callstream-road-'));
const config = join(dir, 'callstream.yaml');
const { KAFKA_BROKERS: _k, SCHEMA_REGISTRY_URL: _r, CLICKHOUSE_URL: _c, ...BASE_ENV } = process.env;
const started: ChildProcess[] = [];

afterAll(() => {
  for (const child of started) if (child.exitCode === null) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
});

function callstream(args: string[], env: NodeJS.ProcessEnv): { child: ChildProcess; text: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [MAIN, ...args, '--config', config], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { child, text: () => text, ended: new Promise((resolve) => child.once('exit', resolve)) };
}

/** Pid of the process that `up`, of that pid, runs and whose command line matches. A worker that the test itself has started is not one of them. */
function pidOf(pattern: RegExp, up: number): number | null {
  for (const line of execFileSync('ps', ['-eo', 'pid=,ppid=,stat=,args='], { encoding: 'utf8', maxBuffer: 2 ** 24 }).split('\n')) {
    const [, pid, parent, state, args] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (Number(parent) === up && args !== undefined && pattern.test(args) && !state?.startsWith('Z')) return Number(pid);
  }
  return null;
}

it(
  `loses, doubles and changes nothing while workers, Kafka and ClickHouse are killed under ${CALLS} chaotic calls`,
  async () => {
    writeFileSync(
      config,
      'apps:\n  - { provider: tencent, appId: "1400000001" }\nsessions: { ringTimeout: 5s, settle: 2s, maxCall: 60s, retention: 10s }\n',
    );
    const env: NodeJS.ProcessEnv = { ...BASE_ENV };
    for (const name of ['KAFKA', 'REGISTRY', 'CLICKHOUSE', 'INGEST', 'API', 'ADMIN'])
      env[`CALLSTREAM_${name}_PORT`] = String(await freePort());
    const up = callstream(['up', '--data', join(dir, 'data')], env);
    await vi.waitFor(() => expect(up.text()).toContain('\nReady.'), { timeout: 240_000, interval: 200 });

    const simulate = callstream(['simulate', '--calls', String(CALLS), '--chaos', 'hard', '--seed', String(SEED + 6), '--verify'], env);
    const kill = (pattern: RegExp) => () => {
      const pid = pidOf(pattern, up.child.pid ?? 0);
      if (pid !== null) process.kill(pid, 'SIGKILL');
      return pid !== null;
    };
    let second: ReturnType<typeof callstream> | undefined;
    const join2 = () => {
      const servers = {
        KAFKA_BROKERS: `127.0.0.1:${env.CALLSTREAM_KAFKA_PORT}`,
        SCHEMA_REGISTRY_URL: `http://127.0.0.1:${env.CALLSTREAM_REGISTRY_PORT}/apis/ccompat/v7`,
        CLICKHOUSE_URL: `http://127.0.0.1:${env.CALLSTREAM_CLICKHOUSE_PORT}`,
        CALLSTREAM_ADMIN_PORT: '0',
      };
      // Not of `up`: two members of the group, of which one comes and goes.
      second = callstream(['run', 'sessions'], { ...env, ...servers });
      return true;
    };
    const leave2 = () => second?.child.kill('SIGTERM') ?? false;
    const role = (name: string) => kill(new RegExp(`main\\.js run ${name} `));
    const storm: [string, () => boolean][] = [
      ['kill sessions', role('sessions')],
      ['kill events', role('events')],
      ['kill the sink', role('sink')],
      ['a second sessions worker joins', join2],
      ['kill sessions', role('sessions')],
      ['kill Kafka', kill(/kafka\.Kafka/)],
      ['kill the sink', role('sink')],
      ['kill events', role('events')],
      ['kill ClickHouse', kill(/clickhouse-server\.mjs/)],
      ['the second sessions worker leaves', leave2],
      ['kill sessions', role('sessions')],
      ['kill the sink', role('sink')],
      ['kill events', role('events')],
    ];
    /** Callbacks that ingest, which nobody kills, has answered: about 8 for each call. */
    const answered = async () => {
      const text = await (await fetch(`http://127.0.0.1:${env.CALLSTREAM_ADMIN_PORT}/metrics`)).text();
      return [...text.matchAll(/^callstream_ingest_requests_total\{[^}]*code="200"[^}]*\} (\d+)$/gm)].reduce(
        (sum, m) => sum + Number(m[1]),
        0,
      );
    };
    for (const [i, [what, act]] of storm.entries()) {
      const share = (CALLS * 7 * (i + 1)) / (storm.length + 1);
      await vi.waitFor(async () => expect(await answered()).toBeGreaterThanOrEqual(share), { timeout: LIMIT_MS, interval: 100 });
      // What was killed a moment ago may not be up again yet: the next attempt finds it.
      const seen = () => `${what}; the second worker said: ${second?.text().slice(-2_000)}`;
      await vi.waitFor(() => expect(act(), seen()).toBe(true), { timeout: 60_000, interval: 100 });
      // A worker that has begun outlives its Kafka; one that is about to begin may not.
      if (act === join2) await vi.waitFor(() => expect(second?.text()).toContain('"msg":"started"'), { timeout: 60_000, interval: 100 });
    }
    const code = await simulate.ended;
    if (code !== 0) {
      console.error(simulate.text().slice(-8_000));
      for (const name of ['sessions', 'events', 'sink']) {
        try {
          console.error(readFileSync(join(dir, 'data', 'log', `${name}.log`), 'utf8').slice(-3_000));
        } catch {}
      }
    }
    report({
      scenario: 'the whole road: workers, Kafka and ClickHouse killed',
      faults: storm.length,
      ...verifiedFigures(simulate.text()),
      note: /workers: (.*)/.exec(simulate.text())?.[1] ?? '',
    });
    expect(simulate.text()).toMatch(/\n0 differences\s*$/);
    const workers = /workers: ([\d,]+) timed out, ([\d,]+) reopened, ([\d,]+) left the state, ([\d,]+) late inputs/.exec(simulate.text());
    const counts = (workers ?? []).slice(1).map((n) => Number(n.replaceAll(',', '')));
    expect(counts).toHaveLength(4);
    for (const count of counts) expect(count).toBeGreaterThan(sized(0, 50));
    expect(code).toBe(0);
    expect(up.child.exitCode).toBeNull();
    up.child.kill('SIGINT');
    expect(await up.ended).toBe(0);
  },
  LIMIT_MS,
);
