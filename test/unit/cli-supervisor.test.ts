import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { backoffMs } from '../../src/cli/supervise/backoff.js';
import type { ChildEvent, ChildSpec } from '../../src/cli/supervise/child.js';
import { Supervisor } from '../../src/cli/supervise/supervisor.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'callstream-supervisor-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A child that runs a line of JavaScript. */
const script = (name: string, code: string, more: Partial<ChildSpec> = {}): ChildSpec => ({
  name,
  command: process.execPath,
  args: ['-e', code],
  logFile: join(dir, 'log', `${name}.log`),
  ...more,
});
const FOREVER = 'setInterval(() => {}, 1000);';
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // A zombie that init has not yet reaped is no process any more.
    return process.platform !== 'linux' || !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
const supervise = (groups: ChildSpec[][], options: { initialMs?: number; healthyMs?: number } = {}) => {
  const events: [string, ChildEvent][] = [];
  const supervisor = new Supervisor(groups, {
    onEvent: (name, event) => events.push([name, event]),
    backoff: { initialMs: options.initialMs ?? 10, maxMs: 80, healthyMs: options.healthyMs ?? 60_000 },
    random: () => 0.999_999,
  });
  return { supervisor, events, of: (kind: ChildEvent['kind']) => events.filter(([, e]) => e.kind === kind) };
};

describe('backoff', () => {
  const b = { initialMs: 500, maxMs: 30_000, healthyMs: 1 };
  it('doubles up to the maximum, with jitter over the upper half', () => {
    expect([1, 2, 3, 6, 7, 8, 1000].map((n) => backoffMs(b, n, 1))).toEqual([500, 1000, 2000, 16_000, 30_000, 30_000, 30_000]);
    expect(backoffMs(b, 3, 0)).toBe(1000);
  });
});

describe('a child that dies', () => {
  it('is started again, later each time', async () => {
    const { supervisor, of } = supervise([[script('weak', 'process.exit(3)')]]);
    supervisor.start();
    await vi.waitFor(() => expect(of('died').length).toBeGreaterThanOrEqual(4), { timeout: 10_000 });
    await supervisor.stop(1000);
    const waits = of('died').map(([, e]) => (e.kind === 'died' ? [e.code, e.restartInMs] : []));
    expect(waits.slice(0, 4)).toEqual([
      [3, 10],
      [3, 20],
      [3, 40],
      [3, 80],
    ]);
    expect(supervisor.children[0]?.pid).toBeUndefined();
  });

  it('starts over with the shortest wait once it has been ready for a while', async () => {
    const { supervisor, of } = supervise([[script('a', 'setTimeout(() => process.exit(1), 30)')]], { healthyMs: 0 });
    supervisor.start();
    await vi.waitFor(() => expect(of('died').length).toBeGreaterThanOrEqual(3), { timeout: 10_000 });
    await supervisor.stop(1000);
    expect(new Set(of('died').map(([, e]) => e.kind === 'died' && e.restartInMs))).toEqual(new Set([10]));
  });

  it('is reported when it cannot be started at all', async () => {
    const { supervisor, of } = supervise([[script('a', '', { command: join(dir, 'no-such-program') })]]);
    supervisor.start();
    await vi.waitFor(() => expect(of('died')[0]?.[1]).toMatchObject({ code: null, signal: null }));
    expect(supervisor.readiness.ok).toBe(false);
    await supervisor.stop(1000);
  });
});

describe('readiness', () => {
  it('is that of all children, and follows their probes', async () => {
    let answer: { ok: boolean; problems: string[] } | Error = new Error('refused');
    const probe = async () => {
      if (answer instanceof Error) throw answer;
      return answer;
    };
    const { supervisor, of } = supervise([[script('a', FOREVER)], [script('b', FOREVER, { probe })]]);
    supervisor.start();
    await vi.waitFor(() => expect(supervisor.readiness).toEqual({ ok: false, problems: ['b does not answer yet'] }), { timeout: 10_000 });
    answer = { ok: true, problems: [] };
    await vi.waitFor(() => expect(supervisor.readiness).toEqual({ ok: true, problems: [] }), { timeout: 10_000 });
    answer = { ok: false, problems: ['registry away'] };
    await vi.waitFor(() => expect(supervisor.readiness.problems).toEqual(['b: registry away']), { timeout: 10_000 });
    expect(of('not-ready')).toEqual([['b', { kind: 'not-ready', problems: ['b: registry away'] }]]);
    await supervisor.stop(1000);
  });
});

describe('stop', () => {
  const note = (
    name: string,
  ) => `process.on('SIGTERM', () => { require('fs').appendFileSync(${JSON.stringify(join(dir, 'order'))}, '${name} '); process.exit(0); });${FOREVER}
    require('fs').writeFileSync(${JSON.stringify(join(dir, `up-${name}`))}, '');`;

  it('ends the groups in their order, each before the next', async () => {
    const { supervisor, of } = supervise(['simulator', 'ingest', 'sink'].map((name) => [script(name, note(name))]));
    supervisor.start();
    await vi.waitFor(() => expect(['simulator', 'ingest', 'sink'].every((n) => existsSync(join(dir, `up-${n}`)))).toBe(true), {
      timeout: 10_000,
    });
    await supervisor.stop(5000);
    expect(readFileSync(join(dir, 'order'), 'utf8')).toBe('simulator ingest sink ');
    expect(of('died')).toEqual([]);
  });

  it('kills what does not end in time', async () => {
    const up = join(dir, 'up');
    const { supervisor } = supervise([
      [script('deaf', `process.on('SIGTERM', () => {});${FOREVER} require('fs').writeFileSync(${JSON.stringify(up)}, '')`)],
    ]);
    supervisor.start();
    await vi.waitFor(() => expect(existsSync(up)).toBe(true), { timeout: 10_000 });
    const pid = supervisor.children[0]?.pid ?? 0;
    await supervisor.stop(100);
    expect(isAlive(pid)).toBe(false);
  });

  it('does not wait for a child that waits for its next start', async () => {
    const { supervisor, of } = supervise([[script('weak', 'process.exit(1)')]], { initialMs: 3_600_000 });
    supervisor.start();
    await vi.waitFor(() => expect(of('died')).toHaveLength(1), { timeout: 10_000 });
    await supervisor.stop(5000);
  });
});

it('leaves no child behind when the supervisor itself is killed', async () => {
  const lifeline = fileURLToPath(new URL('../../src/cli/supervise/lifeline.ts', import.meta.url));
  const supervisorFile = fileURLToPath(new URL('../../src/cli/supervise/supervisor.ts', import.meta.url));
  // Both run as the compiled code does: bundled from the sources, because a plain Node process reads no TypeScript.
  const { build } = await import('vite');
  for (const [name, entry] of [
    ['lifeline', lifeline],
    ['supervisor', supervisorFile],
  ] as const) {
    await build({
      logLevel: 'silent',
      configFile: false,
      build: { ssr: entry, outDir: dir, emptyOutDir: false, rollupOptions: { output: { entryFileNames: `${name}.mjs`, format: 'es' } } },
    });
  }
  writeFileSync(
    join(dir, 'child.mjs'),
    `import { endWithSupervisor } from './lifeline.mjs'; import { writeFileSync } from 'node:fs';
     process.on('SIGTERM', () => {}); endWithSupervisor(); ${FOREVER} writeFileSync(process.argv[2], String(process.pid));`,
  );
  writeFileSync(
    join(dir, 'parent.mjs'),
    `import { Supervisor } from './supervisor.mjs';
     const spec = (name) => ({ name, command: process.execPath, args: [${JSON.stringify(join(dir, 'child.mjs'))}, ${JSON.stringify(dir)} + '/pid-' + name], logFile: ${JSON.stringify(join(dir, 'log'))} });
     new Supervisor([[spec('a')], [spec('b')]], { onEvent() {} }).start();`,
  );
  const parent = spawn(process.execPath, [join(dir, 'parent.mjs')], { stdio: 'inherit' });
  const pidOf = (name: string): number => Number(readFileSync(join(dir, `pid-${name}`), 'utf8'));
  await vi.waitFor(() => expect(pidOf('a') * pidOf('b')).toBeGreaterThan(0), { timeout: 20_000 });
  const pids = [pidOf('a'), pidOf('b')];
  expect(pids.map(isAlive)).toEqual([true, true]);
  parent.kill('SIGKILL');
  await vi.waitFor(() => expect(pids.map(isAlive)).toEqual([false, false]), { timeout: 10_000 });
});
