import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { FaultPoint } from '../../src/ingest/index.js';
import { APP, bodyOf, createRawTopic, PARTITIONS, PATH, readRawTopic, TOPIC } from '../integration/ingest-kit.js';
import { useStack } from '../support/stack.js';

/*
 * kill -9 at every named point, with the broker there and away: what was answered 200 is in the topic at the end
 * (contract §7.1), and what is there twice has the same id.
 */

const servers = useStack(['kafka']);
const children = new Set<ChildProcess>();
/** Every `call/n` that was answered 200. */
const acknowledged = new Set<string>();
let calls = 0;

const spoolDir = (): string => join(servers.dataDir, 'spool');

beforeAll(async () => {
  expect(existsSync(fileURLToPath(new URL('../../dist/ingest/index.js', import.meta.url))), 'dist/ is missing: npm run setup').toBe(true);
  await createRawTopic(servers.brokers);
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

async function startChild(killAt?: {
  point: FaultPoint;
  after: number;
}): Promise<{ child: ChildProcess; port: number; gone: Promise<unknown> }> {
  const options = { brokers: servers.brokers, spoolDir: spoolDir(), topic: TOPIC, app: APP, partitions: PARTITIONS, killAt };
  const script = fileURLToPath(new URL('ingest-child.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const gone = once(child, 'exit').then(() => children.delete(child));
  for await (const line of createInterface({ input: child.stdout })) return { child, port: Number(line), gone };
  // Killed before it could listen, while it drained.
  await gone;
  return { child, port: 0, gone };
}

/** Posts from several clients at once until the process is gone. */
async function loadUntilGone(port: number, gone: Promise<unknown>): Promise<void> {
  let alive = true;
  void gone.then(() => {
    alive = false;
  });
  const client = async (call: string): Promise<void> => {
    for (let n = 0; alive; n++) {
      const response = await fetch(`http://127.0.0.1:${port}${PATH}`, { method: 'POST', body: bodyOf(call, n) }).catch(() => null);
      if (response?.status === 200) acknowledged.add(`${call}/${n}`);
      else await delay(2);
    }
  };
  if (port !== 0) await Promise.all(Array.from({ length: 6 }, () => client(`kill-${calls++}`)));
}

async function runUntilKilledAt(point: FaultPoint, after: number): Promise<void> {
  const { child, port, gone } = await startChild({ point, after });
  await loadUntilGone(port, gone);
  await gone;
  expect(child.signalCode).toBe('SIGKILL');
}

it('loses nothing that was answered 200, wherever ingest is killed', async () => {
  for (const point of ['kafka:before-send', 'kafka:after-ack'] as const) await runUntilKilledAt(point, 20);

  await servers.stack.kill('kafka', 'SIGKILL');
  await runUntilKilledAt('spool:before-write', 15);
  await runUntilKilledAt('spool:before-fsync', 10);
  await runUntilKilledAt('spool:after-fsync', 5);
  const { child, port, gone } = await startChild();
  const loaded = loadUntilGone(port, gone);
  await delay(190);
  child.kill('SIGKILL');
  await loaded;
  const spooled = acknowledged.size;
  expect(readdirSync(spoolDir()).some((name) => name.endsWith('.seg'))).toBe(true);

  await servers.stack.restart('kafka');
  for (const point of ['drain:before-send', 'drain:after-ack', 'spool:before-delete'] as const) await runUntilKilledAt(point, 1);

  // Nobody kills the last one: it carries over what is left, and stops when it is told to.
  const last = await startChild();
  while (readdirSync(spoolDir()).some((name) => name.endsWith('.seg'))) await delay(10);
  last.child.kill('SIGTERM');
  await last.gone;
  expect(last.child.exitCode).toBe(0);

  const stored = await readRawTopic(servers.brokers);
  const bodies = new Map<string, string>();
  for (const { event } of stored) {
    const { CallId, n } = JSON.parse(event.body.toString()) as { CallId: string; n: number };
    const id = bodies.get(`${CallId}/${n}`);
    // Every body is posted once, so an equal body is a repeat of the same delivery.
    if (id !== undefined) expect(event.id).toBe(id);
    bodies.set(`${CallId}/${n}`, event.id);
  }
  expect([...acknowledged].filter((one) => !bodies.has(one))).toEqual([]);
  expect(spooled).toBeGreaterThan(50);
  expect(stored.length).toBeGreaterThan(bodies.size);
  expect(readdirSync(join(spoolDir(), 'quarantine'))).toEqual([]);
}, 240_000);
