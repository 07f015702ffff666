import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it, vi } from 'vitest';
import { TIW_EXAMPLES } from '../support/tiw-examples.js';
import { ALICE } from '../support/vendor-example.js';

/** The compiled program, as `npm start` runs it: `npm test` compiles it first. */
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const dataDir = mkdtempSync(join(tmpdir(), 'callstream-up-'));
const ANY_PORTS = Object.fromEntries(
  ['KAFKA', 'REGISTRY', 'CLICKHOUSE', 'INGEST', 'API', 'ADMIN', 'VENDOR'].map((name) => [`CALLSTREAM_${name}_PORT`, '0']),
);
const { KAFKA_BROKERS: _k, SCHEMA_REGISTRY_URL: _r, CLICKHOUSE_URL: _c, ...BASE_ENV } = process.env;
const LONG_MS = 240_000;

interface Up {
  process: ChildProcess;
  text(): string;
  ended: Promise<number | null>;
}
const started: ChildProcess[] = [];

function up(): Up {
  return start(process.execPath, [MAIN, 'up', '--data', dataDir], dataDir);
}

function start(command: string, args: string[], cwd: string): Up {
  const child = spawn(command, args, { env: { ...BASE_ENV, ...ANY_PORTS }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { process: child, text: () => text, ended: new Promise((resolve) => child.once('exit', resolve)) };
}

async function untilReady(running: Up): Promise<Record<'dashboard' | 'callbacks' | 'Kafka' | 'registry' | 'ClickHouse' | 'admin', string>> {
  await vi.waitFor(
    () => {
      if (running.process.exitCode !== null) throw new Error(`ended early: ${running.text()}`);
      expect(running.text()).toContain('\nReady.');
    },
    { timeout: LONG_MS, interval: 100 },
  );
  const address = (name: string) => new RegExp(`^ {2}${name} +(\\S+)`, 'm').exec(running.text())?.[1] ?? '';
  return {
    dashboard: address('dashboard'),
    callbacks: address('callbacks'),
    Kafka: address('Kafka'),
    registry: address('registry'),
    ClickHouse: address('ClickHouse').replace('/play', ''),
    admin: address('admin').replace('/readyz', ''),
  };
}

/** Processes whose command line names the data folder. */
const processes = (): string[] =>
  execFileSync('ps', ['-eo', 'pid=,stat=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(dataDir) && !/^\s*\d+\s+Z/.test(line));

const post = async (url: string, body: string) => {
  const response = await fetch(url, { method: 'POST', body });
  return { status: response.status, body: await response.text() };
};
const select = async (clickhouse: string, sql: string) => (await (await fetch(clickhouse, { method: 'POST', body: sql })).text()).trim();

afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

it(
  'up: a callback becomes a call in ClickHouse; roles come back; data survives; nothing is left behind',
  async () => {
    expect(existsSync(MAIN), 'compile first: npm run build').toBe(true);
    const first = up();
    const at = await untilReady(first);
    expect(first.text()).toContain('demo app 1400000001');
    // Ingest is ready before it has met Kafka: it would spool. Soon nothing is left to say.
    await vi.waitFor(async () => expect(await (await fetch(`${at.admin}/readyz`)).json()).toEqual({ ready: true, problems: [] }), {
      timeout: LONG_MS,
    });

    // The way of a callback.
    expect(
      await post(`${at.callbacks}&command=caller_start_call&contenttype=json&clientip=127.0.0.1&optplatform=iOS`, JSON.stringify(ALICE)),
    ).toEqual({
      status: 200,
      body: expect.stringContaining('"ErrorCode":0'),
    });
    const alice = `WHERE app_id = '1400000001' AND call_id = '${ALICE.CallId}'`;
    await vi.waitFor(
      async () =>
        expect(await select(at.ClickHouse, `SELECT caller, room_id FROM callstream.calls ${alice}`)).toBe("Alice\tAlice\\'s Room"),
      {
        timeout: 20_000,
      },
    );
    await vi.waitFor(
      async () =>
        expect(await select(at.ClickHouse, `SELECT event, user_id FROM callstream.call_events ${alice}`)).toBe('start_call\tAlice'),
      {
        timeout: 20_000,
      },
    );
    expect((await post(at.callbacks.replace('1400000001', '1400000002'), '{}')).status).toBe(403);
    expect(await post(at.callbacks, 'not json {')).toMatchObject({ status: 200 });
    await vi.waitFor(async () => expect(await select(at.ClickHouse, 'SELECT reason FROM callstream.dead_letters')).toBe('not_json'), {
      timeout: 20_000,
    });
    const servers = { KAFKA_BROKERS: at.Kafka, SCHEMA_REGISTRY_URL: at.registry, CLICKHOUSE_URL: at.ClickHouse };
    const shown = execFileSync(process.execPath, [MAIN, 'dead-letters', 'show'], {
      encoding: 'utf8',
      env: { ...BASE_ENV, ...servers, CALLSTREAM_DATA_DIR: dataDir },
      cwd: dataDir,
    });
    expect(shown).toContain('not_json: the body is not JSON');
    expect(shown).toContain('not json {');

    // A recording of a room: every example of the vendor's page, one of them twice, and an event of another family. The demo app has no key.
    const tiw = new URL('/callbacks/tiw', at.callbacks).href;
    const bodies = [...Object.values(TIW_EXAMPLES), TIW_EXAMPLES.started, { ...TIW_EXAMPLES.started, EventType: 'WhiteboardPushStarted' }];
    for (const body of bodies) expect(await post(tiw, JSON.stringify(body))).toEqual({ status: 200, body: '{"error_code":0}' });
    await vi.waitFor(
      async () => {
        const recordings = 'SELECT task_id, status, pauses, room_id, total_ms, length(videos) FROM callstream.recordings ORDER BY task_id';
        expect(await select(at.ClickHouse, recordings)).toBe(
          'bj0mt2l23osdj300hl30\tstopped\t1\t1253\t0\t0\nghucnligqtgtvk2624mb\tfailed\t0\t880528\t18317\t4',
        );
        const sums = "SELECT sum(received), sum(folded), sum(duplicates), sum(dead) FROM callstream.delivery_minutes WHERE source = 'tiw'";
        expect(await select(at.ClickHouse, sums)).toBe('8\t5\t2\t1');
      },
      { timeout: 20_000 },
    );

    // One metrics page, and the dashboard.
    const metrics = await (await fetch(`${at.admin}/metrics`)).text();
    for (const role of ['ingest', 'poll', 'sessions', 'events', 'sink', 'api', 'alerts'])
      expect(metrics).toContain(`process_start_time_seconds{role="${role}"}`);
    expect(metrics).toContain('callstream_ingest_requests_total{role="ingest",source="tuicallkit",code="200"} 2');
    expect((await fetch(at.dashboard)).status).toBe(200);

    // The folder is taken.
    const second = up();
    expect(await second.ended).toBe(1);
    expect(second.text()).toContain(`(process ${first.process.pid}) uses the data folder ${dataDir}`);

    // A role that is killed comes back.
    const pid = Number(/^\s*(\d+)/.exec(processes().find((line) => line.includes('run events')) ?? '')?.[1]);
    process.kill(pid, 'SIGKILL');
    await vi.waitFor(() => expect(first.text()).toMatch(/events +ended \(SIGKILL\)[\s\S]*events +ready/), { timeout: 60_000 });

    // A clean stop, and the same data again.
    first.process.kill('SIGINT');
    expect(await first.ended).toBe(0);
    expect(processes()).toEqual([]);
    const again = up();
    const there = await untilReady(again);
    expect(await select(there.ClickHouse, `SELECT count() FROM callstream.calls ${alice}`)).toBe('1');

    // kill -9 leaves no orphan.
    expect(processes().length).toBeGreaterThanOrEqual(8);
    again.process.kill('SIGKILL');
    await vi.waitFor(() => expect(processes()).toEqual([]), { timeout: 15_000 });

    // Nor does kill -9 of the npm that has started it all.
    const npm = start('npm', ['start', '--', '--data', dataDir], ROOT);
    await untilReady(npm);
    npm.process.kill('SIGKILL');
    await vi.waitFor(() => expect(processes()).toEqual([]), { timeout: 30_000 });
  },
  LONG_MS * 2,
);
