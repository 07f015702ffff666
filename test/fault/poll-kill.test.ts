import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { readDecoded, TopicReader } from '../../src/cli/read-topic.js';
import { localCodec } from '../../src/codec/codec.js';
import type { PollCursor, PollTask, RawEvent } from '../../src/codec/generated.js';
import { TOPICS, type Topic } from '../../src/codec/topics.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { CallApiVendor } from '../support/call-api-vendor.js';
import { useStack } from '../support/stack.js';

/*
 * Two pollers, and kill -9 of the one at work, in the middle of sweeps and tasks: whatever the vendor has is on the raw topics in the end, no task is left out,
 * cursors only move forward, and the vendor's limits hold throughout.
 */

const servers = useStack(['kafka']);
const PARTITIONS = 4;
const GROUP = 'test-poll';
const APP = '1400000001';
const BY_ID = 'v1/records/get_record_by_callId';
const FILTER = 'v1/records/get_records_by_filter';
const children = new Set<Child>();
const logger = silentLogger();
let vendor: CallApiVendor;
let admin: TopicAdmin;

interface Child {
  process: ChildProcess;
  state: string;
  gone: Promise<unknown>;
}

beforeAll(async () => {
  expect(existsSync(fileURLToPath(new URL('../../dist/poll/index.js', import.meta.url))), 'dist/ is missing: npm run setup').toBe(true);
  vendor = await CallApiVendor.start();
  admin = new TopicAdmin({ kafka: { brokers: servers.brokers }, logger });
  const topics = [TOPICS.rawCallRecord, TOPICS.rawUserEvent, TOPICS.tasks, TOPICS.pollCursors];
  await admin.migrate({ partitions: PARTITIONS, groups: {}, topics });
});
afterAll(async () => {
  for (const child of children) child.process.kill('SIGKILL');
  await admin?.close();
  await vendor?.stop();
});

function startPoller(): Child {
  const { endpoint } = vendor;
  const options = {
    brokers: servers.brokers,
    groupId: GROUP,
    app: {
      provider: 'tencent',
      appId: APP,
      records: { endpoint, identifier: 'administrator', secretKey: 'k'.repeat(64) },
      cloudApi: { endpoint, region: 'ap-singapore', secretId: 'AKID', secretKey: 'k'.repeat(36) },
    },
    settings: { sweepEvery: 500, overlap: 120_000, delay: 0, backfillOnStart: 3_600_000, maxCall: 7_200_000 },
    timing: { notYet: [1_000, 2_000, 2_000, 4_000, 4_000, 4_000], commitEvery: 200 },
    partitions: PARTITIONS,
  };
  const script = fileURLToPath(new URL('poll-child.mjs', import.meta.url));
  const process = spawn(globalThis.process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const child: Child = { process, state: 'starting', gone: once(process, 'exit').then(() => children.delete(child)) };
  children.add(child);
  createInterface({ input: process.stdout! }).on('line', (line) => {
    child.state = line;
  });
  return child;
}

const active = (): Child[] => [...children].filter(({ state }) => state === 'active');

async function read<T>(topic: Topic<T>): Promise<T[]> {
  const reader = new TopicReader({ brokers: servers.brokers }, GROUP, topic.name, logger);
  const values: T[] = [];
  await readDecoded(reader, localCodec(topic), (_, value) => values.push(value));
  await reader.close();
  return values;
}

async function addTasks(tasks: readonly PollTask[]): Promise<void> {
  const producer = new DurableProducer({ kafka: { brokers: servers.brokers }, logger });
  const codec = localCodec(TOPICS.tasks);
  await producer.send(
    tasks.map((task, i) => ({ topic: TOPICS.tasks.name, partition: i % PARTITIONS, key: task.call_id, value: codec.encode(task) })),
  );
  await producer.close();
}

const until = (what: () => void | Promise<void>, timeout = 60_000): Promise<void> => vi.waitFor(what, { timeout, interval: 50 });

it('loses nothing and leaves out no task, whenever the poller is killed', async () => {
  const startedAt = Date.now();
  const add = (callId: string, agoS: number): void => {
    vendor.records.push({ callId, startCallTs: Math.floor(startedAt / 1000) - agoS });
  };
  for (let n = 0; n < 1_500; n++) add(`past-${n}`, 3_400 - 2 * n);
  // Only a deep sweep, or a task, can find these: they began before the trailing sweep's first range.
  for (let n = 0; n < 200; n++) add(`long-${n}`, 7_000);
  for (let n = 0; n < 60; n++)
    vendor.rooms.set(`room-${n}`, { createdAt: Math.floor(startedAt / 1000) - 600, users: new Set(['alice', 'bob']) });
  const task = (kind: string, call_id: string, n: number): PollTask => ({
    kind,
    provider: 'tencent',
    app_id: APP,
    call_id,
    room_id: kind === 'media' ? `room-${n}` : '',
    user_id: '',
    started_at: startedAt - 600_000,
    ended_at: startedAt - 500_000,
    due_at: startedAt + (n % 10) * 1_000,
    attempt: 0,
    reason: 'ended',
    users: kind === 'media' ? ['alice', 'bob'] : [],
  });
  const records = Array.from({ length: 120 }, (_, n) => task('record', n < 100 ? `past-${n * 7}` : `late-${n}`, n));
  const media = Array.from({ length: 60 }, (_, n) => task('media', `media-${n}`, n));
  // Nobody's: they must not hold up the others.
  const strangers = [{ ...task('record', 'y', 1), app_id: '7' }, task('dance', 'z', 2)];
  const found = new Set<string>();
  vendor.whim = (operation, body) => {
    if (operation === BY_ID && vendor.records.some(({ callId }) => callId === body.callId)) found.add(String(body.callId));
    // One answer in fifty is a failure.
    return Math.random() < 0.02 ? { status: 500, body: '' } : null;
  };
  await addTasks([...records, ...media, ...strangers]);

  startPoller();
  startPoller();
  let killed = 0;
  for (const asked of [20, 60]) {
    await until(() => expect(vendor.requests(BY_ID)).toBeGreaterThan(asked));
    // Calls go on meanwhile; what tasks have asked for in vain is there now.
    for (let n = 0; n < 50; n++) add(`during-${killed}-${n}`, 1);
    for (let n = 100; n < 120; n++) if (killed === 0) add(`late-${n}`, 650);
    const victims = active();
    expect(victims).toHaveLength(1);
    victims[0]!.process.kill('SIGKILL');
    await victims[0]!.gone;
    killed += 1;
    startPoller();
    const asked2 = vendor.requests(BY_ID);
    await until(() => expect(vendor.requests(BY_ID)).toBeGreaterThan(asked2));
  }

  // Everything is committed: each task is done, or was put off and that one is done.
  await until(async () => {
    const lag = await admin.lag(GROUP, [TOPICS.tasks.name]);
    expect(lag.get(TOPICS.tasks.name)).toBe(0);
  });
  const ids = (events: readonly RawEvent[]): Set<string> => new Set(events.map(({ id }) => id));
  let raw: RawEvent[] = [];
  await until(async () => {
    raw = await read(TOPICS.rawCallRecord);
    expect(ids(raw).size).toBe(vendor.records.length);
  });
  expect(new Set(raw.map(({ body }) => (JSON.parse(String(body)) as { callId: string }).callId))).toEqual(
    new Set(vendor.records.map(({ callId }) => callId)),
  );
  expect(records.filter(({ call_id }) => !found.has(call_id)).map(({ call_id }) => call_id)).toEqual([]);
  const events = await read(TOPICS.rawUserEvent);
  expect(
    new Set(events.map(({ query }) => `${new URLSearchParams(query).get('call_id')} ${new URLSearchParams(query).get('user_id')}`)),
  ).toEqual(new Set(media.flatMap(({ call_id }) => ['alice', 'bob'].map((user) => `${call_id} ${user}`))));
  expect((await read(TOPICS.tasks)).some(({ attempt }) => attempt > 0)).toBe(true);

  // One of a sweep after the other stands on one partition.
  const cursors = await read<PollCursor>(TOPICS.pollCursors);
  for (const sweep of ['trailing', 'deep']) {
    const swept = cursors.filter((cursor) => cursor.sweep === sweep).map((cursor) => cursor.swept_to);
    expect(swept.length).toBeGreaterThan(0);
    expect(swept).toEqual([...swept].sort((a, b) => a - b));
  }
  expect(vendor.busiestSecond(BY_ID)).toBeLessThanOrEqual(20);
  expect(vendor.busiestSecond(FILTER)).toBeLessThanOrEqual(200);
  expect(vendor.busiestSecond('DescribeUserEvent')).toBeLessThanOrEqual(20);

  // A poller that is told to go hands over at once.
  const [last] = active();
  last!.process.kill('SIGTERM');
  await last!.gone;
  expect(last!.process.exitCode).toBe(0);
  await until(() => expect(active()).toHaveLength(1), 5_000);
}, 180_000);

it('goes on when the broker was away', async () => {
  let over = false;
  // As the supervisor does with one that cannot go on.
  const watch = (child: Child): void => void child.gone.then(() => over || watch(startPoller()));
  for (const child of children) watch(child);
  await servers.stack.kill('kafka', 'SIGKILL');
  vendor.records.push({ callId: 'meanwhile', startCallTs: Math.floor(Date.now() / 1000) });
  await servers.stack.restart('kafka');
  vendor.records.push({ callId: 'after', startCallTs: Math.floor(Date.now() / 1000) });
  try {
    await until(async () => {
      const calls = (await read(TOPICS.rawCallRecord)).map(({ body }) => (JSON.parse(String(body)) as { callId: string }).callId);
      expect(calls).toEqual(expect.arrayContaining(['meanwhile', 'after']));
    });
  } finally {
    over = true;
  }
}, 120_000);
