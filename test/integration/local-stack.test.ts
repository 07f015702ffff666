import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort, SERVER_NAMES, startStack } from '../../src/local/index.js';

const root = mkdtempSync(join(tmpdir(), 'callstream-stack-'));
const ports = { kafka: 0, registry: 0, clickhouse: 0 };
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A process that has ended may wait for its parent as a zombie; it holds nothing any more. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** Milliseconds that a process has spent on processors; the kernel counts in hundredths of a second. */
function cpuTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function until(condition: () => boolean, timeout_ms: number): Promise<void> {
  const deadline = performance.now() + timeout_ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const compiled = new URL('../../dist/local/index.js', import.meta.url);

/** Starts a stack from a process of its own, as `callstream up` does. */
async function stackInAnotherProcess(dataDir: string): Promise<{ parent: ChildProcess; pids: number[] }> {
  expect(existsSync(compiled), 'dist/ is missing: npm run setup').toBe(true);
  const code = `
    const { startStack } = await import(${JSON.stringify(pathToFileURL(compiled.pathname).href)});
    const stack = await startStack({ dataDir: ${JSON.stringify(dataDir)}, ports: { kafka: 0, registry: 0, clickhouse: 0 } });
    console.log(JSON.stringify([stack.kafka, stack.registry, stack.clickhouse].map(({ server }) => server.pid)));
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: parent.stdout })) return { parent, pids: JSON.parse(line) as number[] };
  throw new Error('the stack did not start');
}

describe('the embedded stack', () => {
  it('starts again within 10 seconds of processor time, with its members replaced and restarted one by one', async () => {
    const dataDir = join(root, 'again');
    await (await startStack({ dataDir, ports })).stop(); // Writes the class-data archives where there are none.

    const stack = await startStack({ dataDir, ports });
    try {
      // Processor time, because other programs may hold the processors; on two cores it is more than the time that passes.
      const cpu_ms = SERVER_NAMES.map((name) => cpuTime(stack[name].server?.pid ?? 0));
      expect(cpu_ms.reduce((a, b) => a + b)).toBeLessThan(10_000);

      const before = stack.clickhouse;
      const { address } = before;
      const pid = before.server?.pid;
      expect(await stack.kill('clickhouse', 'SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
      await expect(fetch(address)).rejects.toThrow();
      await stack.restart('clickhouse');
      expect(stack.clickhouse.address).toBe(address);
      expect(stack.clickhouse.server?.pid).not.toBe(pid);
      expect((await fetch(`${address}/ping`)).ok).toBe(true);

      const other = await startStack({
        dataDir: join(root, 'other'),
        ports,
        use: { kafka: stack.kafka.address, registry: stack.registry.address },
      });
      expect(other.kafka.address).toBe(stack.kafka.address);
      expect(other.kafka.server).toBeUndefined();
      expect(other.clickhouse.address).not.toBe(address);
      await expect(other.restart('kafka')).rejects.toMatchObject({ code: 'LOCAL_NOT_EMBEDDED' });
      await other.stop();
      expect((await fetch(`${stack.registry.address}/subjects`)).ok).toBe(true);
    } finally {
      await stack.stop();
    }
    expect(SERVER_NAMES.every((name) => !isAlive(stack[name].server?.pid ?? 0))).toBe(true);
  });

  it('stops what it has started when one server cannot start', async () => {
    const holder = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
    const started: string[] = [];
    const failure = startStack({
      dataDir: join(root, 'taken'),
      ports: { ...ports, registry: port },
      onStarted: (_, address) => started.push(address),
    });
    await expect(failure).rejects.toMatchObject({ code: 'LOCAL_PORT_TAKEN' });
    expect(started).toHaveLength(2);
    const clickhouse = started.find((address) => address.startsWith('http')) ?? '';
    await expect(fetch(clickhouse)).rejects.toThrow();
    holder.close();
  });

  it('leaves no process behind when its parent is killed, and continues on the same data', async () => {
    const dataDir = join(root, 'orphans');
    const { parent, pids } = await stackInAnotherProcess(dataDir);
    expect(pids.filter(isAlive)).toHaveLength(3);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await until(() => !pids.some(isAlive), 2_000);

    const stack = await startStack({ dataDir, ports });
    await stack.stop();
  });

  it('kills even a server that is frozen when its parent is killed', async () => {
    const { parent, pids } = await stackInAnotherProcess(join(root, 'frozen'));
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    parent.kill('SIGKILL');
    await until(() => !pids.some(isAlive), 2_000);
  });
});
