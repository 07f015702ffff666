import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openRegistry } from '../../src/cli/parts.js';
import { openVerification } from '../../src/cli/verification.js';
import { openCodec } from '../../src/codec/codec.js';
import { TOPICS } from '../../src/codec/topics.js';
import { joinKey } from '../../src/domain/key.js';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { partitionOf } from '../../src/stream/partition.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { until } from '../integration/stream-kit.js';
import { System } from '../support/system.js';
import { progress, report, sized } from '../support/torture.js';

const APP = '1400000001';
const PARTITIONS = 4;
/** Calls that ring while the worker is killed, and those of them that are refused when it is back. */
const OPEN = sized(3_000, 1_000_000);
const REFUSED = 1_000;
const BATCH = 5_000;
const PATIENCE_MS = sized(120_000, 30 * 60_000);
const MIB = 2 ** 20;

const dir = mkdtempSync(join(tmpdir(), 'callstream-restore-'));
let system: System | undefined;
afterAll(() => {
  system?.kill();
  rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
});

const idOf = (i: number): string => `${i.toString(16).padStart(8, '0')}-441a-4a9b-87c0-${(OPEN - i).toString(16).padStart(12, '0')}`;

it(
  `a sessions worker that is killed with ${OPEN} open calls has every one of them back, and goes on with it`,
  async () => {
    const file = join(dir, 'callstream.yaml');
    writeFileSync(
      file,
      `apps:\n  - { provider: tencent, appId: "${APP}" }\nkafka: { partitions: ${PARTITIONS} }\nsessions: { ringTimeout: 1h, settle: 1s }\n`,
    );
    const up = await System.start(dir, file);
    system = up;
    const { config } = up;
    const { deps, close } = await openVerification(config, () => {});
    const codec = await openCodec(TOPICS.rawTuicallkit, openRegistry(config));
    const producer = new DurableProducer({ kafka: config.kafka, logger: silentLogger() });
    const { name: topic } = TOPICS.rawTuicallkit;

    /** What ingest makes of one callback of a call. */
    const record = (i: number, user: string, role: string, event: string) => {
      const now = Date.now();
      const call_id = idOf(i);
      const body = { UserId: user, RoomId: `room_${i}`, TotalNum: 2, MediaType: 'audio', CallType: 'single', CallId: call_id };
      const key = joinKey({ provider: 'tencent', app_id: APP, call_id });
      const value = codec.encode({
        id: randomUUID(),
        source: 'tuicallkit',
        app_id: APP,
        received_at: now,
        auth: 'app',
        remote_addr: '127.0.0.0',
        query: `sdkappid=${APP}&command=${role}_${event}&contenttype=json&clientip=127.0.0.1&optplatform=iOS`,
        body: Buffer.from(JSON.stringify({ ...body, Role: role, Event: event, CallResult: '', EventTime: Math.floor(now / 1_000) })),
      });
      return { topic, partition: partitionOf(key, PARTITIONS), key, value };
    };
    const send = async (count: number, callbacks: (i: number) => ReturnType<typeof record>[]) => {
      for (let from = 0; from < count; from += BATCH)
        await producer.send(Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => callbacks(from + i)).flat());
    };
    const idle = () => until('all workers to be idle', async () => Object.values(await deps.lag()).every((n) => n === 0), PATIENCE_MS);
    const sum = async (metric: string, labels: Record<string, string> = {}) =>
      (await up.metrics()).sum(metric, { role: 'sessions', ...labels }) ?? 0;

    await send(OPEN, (i) => [
      record(i, `user_${i % 50_000}`, 'caller', 'start_call'),
      record(i, `user_${(i % 50_000) + 50_000}`, 'callee', 'receive_call'),
    ]);
    await idle();

    const started = await sum('process_start_time_seconds');
    const killed = Date.now();
    up.killRole('sessions', 'SIGKILL');
    await until(
      'the sessions worker to be back',
      async () => {
        const page = await up.metrics().catch(() => null);
        const since = page?.sum('process_start_time_seconds', { role: 'sessions' }) ?? 0;
        return since > started && page?.sum('callstream_task_state', { worker: 'sessions', state: 'running' }) === PARTITIONS;
      },
      PATIENCE_MS,
    );
    const away_ms = Date.now() - killed;
    const restored = await sum('callstream_task_restored_records_total', { worker: 'sessions' });
    // The tasks restore side by side, through one consumer: each takes about as long as all of them together.
    const seconds = (await sum('callstream_task_restore_seconds_total', { worker: 'sessions' })) / PARTITIONS;
    const resident = await sum('process_resident_memory_bytes');

    await send(REFUSED, (i) => [record(i, `user_${(i % 50_000) + 50_000}`, 'callee', 'reject_call')]);
    await idle();
    // The gauges are counted anew now and then.
    const stages = () => Promise.all(['ringing_or_active', 'over', 'final'].map((stage) => sum('callstream_calls', { stage })));
    await until(
      'the calls to be counted',
      async () => {
        const [open = 0, over = 0, final = 0] = await stages();
        return open === OPEN - REFUSED && over + final === REFUSED;
      },
      PATIENCE_MS,
    );
    const [rows] = await deps.query<Record<string, number | string>>(
      `SELECT count() AS calls, uniqExact(call_id) AS distinct, countIf(status = 'ringing' AND length(callees) = 1) AS ringing,
         countIf(status = 'ended' AND outcome = 'rejected' AND caller != '') AS rejected FROM calls`,
    );
    const [calls, distinct, ringing, rejected] = ['calls', 'distinct', 'ringing', 'rejected'].map((name) => Number(rows?.[name]));

    const note = [
      `${restored} records read back in ${seconds.toFixed(1)} s (${Math.round(restored / seconds)} a second)`,
      `away for ${(away_ms / 1_000).toFixed(1)} s in all`,
      `${Math.round(resident / MIB)} MiB resident, ${Math.round(resident / OPEN)} bytes for each open call, all told`,
    ].join('; ');
    progress(note);
    const lost = OPEN - distinct!;
    const doubled = calls! - distinct!;
    const differing = Math.abs(OPEN - REFUSED - ringing!) + Math.abs(REFUSED - rejected!);
    report({ scenario: `restore of ${OPEN} open calls`, faults: 1, events: 2 * OPEN + REFUSED, lost, doubled, differing, note });
    expect([lost, doubled, differing]).toEqual([0, 0, 0]);
    // Each open call stands on the topic in one record at least.
    expect(restored).toBeGreaterThanOrEqual(OPEN);

    await producer.close();
    await close();
    expect(await up.stop()).toBe(0);
  },
  PATIENCE_MS * 2,
);
