import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { openVerification } from '../../src/cli/verification.js';
import { TOPICS } from '../../src/codec/topics.js';
import { freePort } from '../../src/local/index.js';
import { notCompared, type SimulationOptions } from '../../src/simulator/index.js';
import { createClients } from '../../src/stream/client.js';
import { OffsetReader } from '../../src/stream/offsets.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { until } from '../integration/stream-kit.js';
import { ROLES, SoakWatch } from '../support/soak-watch.js';
import { System } from '../support/system.js';
import { countsOf, progress, report, SEED, sized } from '../support/torture.js';
import { lowsOf, median, mostWithin, riseOf, secondHalf } from '../support/trend.js';

const MIB = 2 ** 20;
const MINUTE = 60_000;

/** Times so short that calls come, end and leave many times within the run. */
const SESSIONS = sized(
  'ringTimeout: 3s, settle: 1s, maxCall: 10s, retention: 4s, channelGap: 1s',
  'ringTimeout: 45s, settle: 5s, maxCall: 4m, retention: 5m, channelGap: 20s',
);
/** Longest that a call stays in the state after its last event, ms: maxCall, settle, retention. */
const STAYS_MS = sized(15_000, 545_000);
/** Calls of the short form. */
const FEW = 250;
/**
 * Calls per second that no machine of this size keeps up with, and what is measured of them: not the beginning, in which calls begin and few end, and the
 * vendor's APIs, which nobody served when the poller started, are asked no more than once a minute.
 */
const TOO_MANY = 2_000;
const WARM_MS = 1.5 * MINUTE;
const MEASURED_MS = 1.5 * MINUTE;
/** Of the simulated calls at `--chaos hard`. */
const CALLBACKS_PER_CALL = 7.8;
const LENGTH_MS = 30 * MINUTE;
const EVENTS = 600_000;
/** What a paced run leaves without new calls at its end. */
const TAIL_MS = 100_000;

const dir = mkdtempSync(join(tmpdir(), 'callstream-soak-'));
let system: System | undefined;
afterAll(() => {
  system?.kill();
  rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
});

/**
 * The apps of one load. One in ten has everything that can be polled: the vendors' rates allow no more. In the short form nothing is: a vendor that was not
 * there when the poller started is asked again only after a while.
 */
async function appsFor(load: 'soak' | 'peak'): Promise<string[]> {
  const vendor = `http://127.0.0.1:${await freePort()}`;
  const first = { soak: 1_400_000_001, peak: 1_400_000_101 }[load];
  const plain = Array.from({ length: 9 }, (_, i) => `{ provider: tencent, appId: "${first + i}" }`);
  const apis = sized(
    { calls: '', channels: '' },
    {
      calls: `, records: { endpoint: "${vendor}", identifier: administrator, secretKey: soak-records-key }, cloudApi: { endpoint: "${vendor}", region: ap-singapore, secretId: soak-id, secretKey: soak-secret }`,
      channels: `, api: { endpoint: "${vendor}", subscribeIds: [soak], accessKeyId: soak-access, accessKeySecret: soak-access-secret }`,
    },
  );
  const polled = `{ provider: tencent, appId: "${first + plain.length}", tiwCallbackKey: soak-tiw-key${apis.calls} }`;
  return [...plain, polled, `{ provider: aliyun, appId: 9qb1${load}${apis.channels} }`];
}

function configFile(name: string, apps: readonly string[]): string {
  const file = join(dir, name);
  const lines = [
    'apps:',
    ...apps.map((app) => `  - ${app}`),
    'kafka: { partitions: 4 }',
    `sessions: { ${SESSIONS} }`,
    'polling: { sweepEvery: 5s, overlap: 1m, delay: 1s, userEvents: abnormal }',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

it(
  'every role under load for long: nothing grows that should not, calls leave the state, and every figure is right',
  async () => {
    const [soaked, flooded] = [await appsFor('soak'), await appsFor('peak')];
    const up = await System.start(dir, configFile('callstream.yaml', [...soaked, ...flooded]));
    system = up;
    const { deps, close } = await openVerification(up.config, () => {});
    const offsets = new OffsetReader(createClients(up.config.kafka, silentLogger()));

    const idle = () => until('all workers to be idle', async () => Object.values(await deps.lag()).every((n) => n === 0), 20 * MINUTE);
    /** Callbacks that the slowest worker has done, since the start. */
    const done = async () => {
      const [page, lag] = await Promise.all([up.metrics(), deps.lag()]);
      return (page.sum('callstream_ingest_requests_total', { code: '200' }) ?? 0) - Math.max(...Object.values(lag));
    };
    /** Callbacks per second of the same traffic, all roles, servers and the load on this machine: offered far too many, what is done of them. */
    const measurePeak = async () => {
      const flood = up.simulate(
        { seed: `${SEED}`, chaos: 'hard', rate: TOO_MANY, forMs: 2 * (WARM_MS + MEASURED_MS) },
        configFile('peak.yaml', flooded),
      );
      await delay(WARM_MS);
      const [from, at] = [await done(), Date.now()];
      await delay(MEASURED_MS);
      const peak = ((await done()) - from) / ((Date.now() - at) / 1_000);
      await flood.kill();
      await idle();
      return peak;
    };
    const load = await sized<() => Promise<SimulationOptions & { note: string }>>(
      async () => ({ seed: `${SEED}`, chaos: 'hard', calls: FEW, live: 0, verify: true, note: `${FEW} calls` }),
      async () => {
        const peak = await measurePeak();
        const forMs = Math.max(LENGTH_MS, (EVENTS / (peak / 2)) * 1_050 + TAIL_MS);
        const note = `peak ${Math.round(peak)} callbacks/s, half of it for ${Math.round(forMs / MINUTE)} min`;
        progress(note);
        return { seed: `${SEED}`, chaos: 'hard', rate: peak / 2 / CALLBACKS_PER_CALL, forMs, verify: true, note };
      },
    )();

    const { note, ...options } = load;
    const watch = new SoakWatch(up, deps, offsets, sized(1_000, 5_000));
    const { verify, sent, elapsed_ms, heap_bytes } = await up.simulate(options, configFile('soak.yaml', soaked), 12_288).report;
    const sentAt = sized(Number.POSITIVE_INFINITY, watch.samples[0]!.at + elapsed_ms);
    await idle();
    // What was in the state when the last callback came has left by now, but for calls that never end.
    const left = () => watch.samples.at(-1)?.page.sum('callstream_calls_left_total', { role: 'sessions' }) ?? 0;
    await until('calls to leave the state', async () => left() > 0, STAYS_MS + 30_000);
    await watch.stop();

    const { compared, differences, first, total } = verify!;

    // While it was under load.
    const loaded = (points: ReturnType<typeof watch.series>) => points.filter(([at]) => at <= sentAt);
    const half = (points: ReturnType<typeof watch.series>) => secondHalf(loaded(points));
    const memory = ROLES.map((role) => {
      // What is left when the garbage has gone, minute by minute.
      const heap = lowsOf(half(watch.metric('nodejs_heap_size_used_bytes', role)), MINUTE);
      const resident = half(watch.metric('process_resident_memory_bytes', role));
      const fds = half(watch.metric('process_open_fds', role));
      return {
        role,
        heapRise: riseOf(heap),
        residentRise: riseOf(resident),
        resident: median(resident.map(([, v]) => v)),
        fdsRise: riseOf(fds),
        fds: Math.max(...fds.map(([, v]) => v)),
        starts: new Set(watch.metric('process_start_time_seconds', role).map(([, v]) => v)).size,
      };
    });
    const mostThere = Math.max(...half(watch.metric('callstream_calls', 'sessions')).map(([, v]) => v));
    /** Calls that have come: those that are there and those that have left. */
    const come = watch.series(({ page }) => {
      const [there, left] = ['callstream_calls', 'callstream_calls_left_total'].map((name) => page.sum(name, { role: 'sessions' }));
      return there == null || left == null ? null : there + left;
    });
    const leaving = sized(loaded, half)(watch.metric('callstream_calls_left_total', 'sessions'));
    const lagOf = (waiting: (of: Readonly<Record<string, number>>) => number) => {
      const points = half(watch.series(({ lags }) => waiting(lags))).map(([, v]) => v);
      return { median: median(points), most: Math.max(...points) };
    };
    const lag = lagOf((lags) => Object.values(lags).reduce((sum, n) => sum + n, 0));
    const workers = Object.keys(watch.samples[0]!.lags).map((worker) => ({ worker, ...lagOf((lags) => lags[worker]!) }));
    const parts = watch.series((s) => s.parts);
    const spool = watch.metric('callstream_spool_events', 'ingest').at(-1)?.[1];

    // Offsets: what is not a record is the marker of a transaction, one for each partition that it has written.
    let records = 0;
    await deps.readCalls(() => {
      records++;
    });
    const ends = (await offsets.ranges(TOPICS.calls.name)).reduce((sum, { end }) => sum + end, 0);
    const transactions = (result: string) => {
      const page = watch.samples.at(-1)!.page;
      return ['sessions', 'channels'].reduce(
        (sum, worker) => sum + (page.sum('callstream_task_transactions_total', { worker, result }) ?? 0),
        0,
      );
    };
    const markers = ends - records;
    const [committed, failed] = [transactions('committed'), transactions('failed')];

    const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;
    const last = watch.samples.at(-1)!;
    const figures = [
      note,
      `${Math.round(sent.acknowledged / (elapsed_ms / 1_000))} callbacks/s sustained`,
      `lag ${lag.median} (at most ${lag.most}): ${workers.map(({ worker, median, most }) => `${worker} ${median} (at most ${most})`).join(', ')}`,
      `calls in state at most ${mostThere} of ${mostWithin(come, STAYS_MS + MINUTE)} that came in the longest time that one stays`,
      ...memory.map(
        (m) =>
          `${m.role} ${mib(m.resident)} (heap ${mib(m.heapRise)}, resident ${mib(m.residentRise)} risen in the second half), ${m.fds} files`,
      ),
      ...Object.entries(last.servers).map(([name, bytes]) => `${name} ${mib(bytes)}`),
      `${Math.max(...parts.map(([, v]) => v))} parts at most`,
      `topics ${mib(last.kafkaBytes)}`,
      `${records} revisions in ${committed} transactions, ${markers} markers`,
      `simulator's heap ${mib(heap_bytes)}`,
    ];
    const text = figures.join('; ');
    progress(text);
    report({ scenario: 'soak', faults: 0, events: compared.received, ...countsOf(differences), note: text });

    expect(first).toEqual([]);
    expect(total).toBe(0);
    expect(notCompared(compared)).toEqual([]);
    expect(sent.unexpected + sent.abandoned).toBe(0);
    expect(compared.received).toBeGreaterThanOrEqual(sized(FEW * 4, EVENTS));
    for (const m of memory) {
      expect(m.starts, `${m.role} ran through`).toBe(1);
      expect(m.fds, `files of ${m.role}`).toBeLessThan(400);
      expect(m.fdsRise, `files of ${m.role}`).toBeLessThan(sized(100, 8));
      expect(m.resident, `memory of ${m.role}`).toBeLessThan(1_200 * MIB);
      // At 460 callbacks a second, 400,000 of them come in the second half: a leak of 90 bytes for each would be 34 MiB.
      expect(m.heapRise, `heap of ${m.role}`).toBeLessThan(sized(256, 32) * MIB);
      expect(m.residentRise, `memory of ${m.role}`).toBeLessThan(sized(512, 64) * MIB + 0.1 * m.resident);
    }
    // Little's law for a load that swells: no more are there than have come in the longest time that one stays.
    expect(mostThere).toBeLessThanOrEqual(sized(compared.calls, mostWithin(come, STAYS_MS + MINUTE)));
    const evicted = leaving.at(-1)![1] - leaving[0]![1];
    expect(evicted).toBeGreaterThan(sized(0, (0.7 * compared.calls * (leaving.at(-1)![0] - leaving[0]![0])) / elapsed_ms));
    expect(lag.median).toBeLessThan(sized(Number.POSITIVE_INFINITY, (sent.acknowledged / elapsed_ms) * 10_000));
    expect(spool).toBe(0);
    expect(Math.max(...parts.map(([, v]) => v))).toBeLessThan(300);
    expect(failed).toBe(0);
    expect(markers).toBeGreaterThan(0);
    expect(markers).toBeLessThanOrEqual(committed);

    await close();
    await offsets.close();
    expect(await up.stop()).toBe(0);
  },
  sized(240_000, 150 * MINUTE),
);
