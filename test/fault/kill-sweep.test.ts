import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrateAll } from '../../src/cli/migrate.js';
import { groupOf, openClickHouse, openProducer, type Worker } from '../../src/cli/parts.js';
import { simulatedApps } from '../../src/cli/simulated-apps.js';
import { openVerification } from '../../src/cli/verification.js';
import type { ClickHouse } from '../../src/clickhouse/index.js';
import { TOPICS } from '../../src/codec/topics.js';
import { type Config, ENV, loadConfig } from '../../src/config/index.js';
import { freePort } from '../../src/local/index.js';
import { notCompared, runSimulation, type SimulationReport } from '../../src/simulator/index.js';
import { Random } from '../../src/simulator/random.js';
import { createClients } from '../../src/stream/client.js';
import type { DurableProducer } from '../../src/stream/durable-producer.js';
import { OffsetReader } from '../../src/stream/offsets.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { expelMembers } from '../support/group-leave.js';
import { KILL_POINTS, SWEPT, type Swept } from '../support/kill-points.js';
import { useStack } from '../support/stack.js';
import { type Kill, SweptProcess } from '../support/swept-process.js';
import { countsOf, progress, report, SEED, sized } from '../support/torture.js';

/*
 * Every role as a process of its own on real servers, under chaotic traffic with everything that the simulator has: records, media, recordings, channels.
 * Each kills itself with SIGKILL at one named point after the other, and is started again; all roles at once. In the end everything on the topics and
 * in the tables must be what the truth says.
 */

const servers = useStack();
const APP = '1400000001';
/** Its calls last for days: their minutes are touched by way of the history. The simulator knows nothing of it. */
const LONG_APP = '1400000009';
const LONG_CALL_MS = 3 * 86_400_000;
const PARTITIONS = 2;
/** Of call-events: where records are put that cannot be read. */
const POISONED = 0;
/** Of a point that is awaited, its process's start included. */
const PASS_LIMIT_MS = 600_000;
/** Of what is left when traffic stops. Of a call that timed out while it rang, the vendor may be asked for media events again only after a quarter of an hour. */
const DRAIN_LIMIT_MS = sized(600_000, 1_800_000);
const ROUNDS = sized(1, 3);
/** Calls and channels that begin in a second. */
const RATE = sized(4, 3);
const LIMIT_MS = sized(1_200_000, 5_400_000);

/** Points of each process that the short form takes, chosen by the seed. */
const SHORT: Readonly<Record<Swept, number>> = { sessions: 3, events: 2, sink: 3, ingest: 2, poll: 2, repair: 1 };
/** What must be waited for: a vendor that has nothing yet. The long form has the time. */
const SLOW: ReadonlySet<string> = new Set(['poll:before-task-send', 'poll:after-task-send']);

const GROUPS: Readonly<Record<Swept, readonly Worker[]>> = {
  sessions: ['sessions', 'recordings', 'channels'],
  events: ['events'],
  sink: ['sink'],
  ingest: [],
  poll: ['poll'],
  repair: [],
};

const random = new Random(`kill-sweep:${SEED}`);
const processes = new Map<Swept, SweptProcess>();
/** By point: how many times a process has ended there. */
const killed = new Map<string, number>();
/** Of LONG_APP. */
const longCalls: string[] = [];
let config: Config;
let clickhouse: ClickHouse;
let producer: DurableProducer;
let offsets: OffsetReader;
let nowhere: string;
let beganAt = 0;
/** The sweep has failed somewhere: the rest of it is called off. */
const failed = new AbortController();

beforeAll(async () => {
  expect(existsSync(fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))), 'dist/ is missing: npm run setup').toBe(true);
  const vendor = `http://127.0.0.1:${await freePort()}`;
  const file = join(servers.dataDir, 'callstream.yaml');
  writeFileSync(
    file,
    `apps:
  - provider: tencent
    appId: "${APP}"
    tiwCallbackKey: tiw-key
    records: { endpoint: "${vendor}", identifier: administrator, secretKey: records-key }
    cloudApi: { endpoint: "${vendor}", region: ap-singapore, secretId: secret-id, secretKey: secret-key }
  - { provider: tencent, appId: "${LONG_APP}" }
  - provider: aliyun
    appId: 9qb1abcd
    api: { endpoint: "${vendor}", subscribeIds: [subscription], accessKeyId: access-key-id, accessKeySecret: access-key }
kafka: { partitions: ${PARTITIONS} }
sessions: { ringTimeout: 5s, settle: 2s, maxCall: ${sized('20s', '60s')}, retention: 10s, channelGap: 10s }
polling: { sweepEvery: 1s, overlap: 2h, userEvents: ${sized('off', 'all')} }
`,
  );
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    [ENV.kafkaBrokers]: servers.brokers.join(','),
    [ENV.registryUrl]: servers.registryUrl,
    [ENV.clickhouseUrl]: servers.clickhouseUrl,
    [ENV.ingestPort]: String(await freePort()),
    [ENV.adminPort]: '0',
    [ENV.dataDir]: servers.dataDir,
  };
  ({ config } = loadConfig({ file, env }));
  await migrateAll(config, { embeddedKafka: true, logger: silentLogger() });
  clickhouse = openClickHouse(config);
  producer = openProducer(config, silentLogger());
  offsets = new OffsetReader(createClients(config.kafka, silentLogger()));
  nowhere = `127.0.0.1:${await freePort()}`;
  const logs = join(servers.dataDir, 'log');
  mkdirSync(logs, { recursive: true });
  for (const swept of SWEPT) {
    const groups = GROUPS[swept].map((worker) => groupOf(config, worker));
    const died = () => expelMembers(servers.brokers[0]!, groups);
    processes.set(swept, new SweptProcess({ swept, config: file, env, logFile: join(logs, `${swept}.log`), died }));
  }
});
afterAll(async () => {
  for (const process of processes.values()) await process.kill();
  await producer?.close();
  await offsets?.close();
  await clickhouse?.close();
});

const processOf = (swept: Swept): SweptProcess => processes.get(swept) as SweptProcess;

/** What this form of the test kills at: all points in each round, or a few. Ingest's stand in the order of the road, for the spool is filled before it is drained. */
function pointsOf(swept: Swept): string[] {
  const all: readonly string[] = KILL_POINTS[swept];
  const chosen = sized(
    () => shuffled(all.filter((point) => !SLOW.has(point))).slice(0, SHORT[swept]),
    () => shuffled(all),
  )();
  return swept === 'ingest' ? all.filter((point) => chosen.includes(point)) : chosen;
}

function shuffled<T>(items: readonly T[]): T[] {
  const left = [...items];
  return items.map(() => left.splice(random.int(0, left.length - 1), 1)[0] as T);
}

const TRANSACTION = /^(?:sessions|events):(?:before|after)-(?:send|send-offsets|commit)$/;
const TAKEOVER = /:(?:before|after)-(?:fence|abort|restore|seek)$/;
const BATCH = /^(?:sink:.*-(?:rows|touched|offset)|store:.*-(?:table|roll)|kafka:|answer:)/;

/** Another passing each time, where a life has several. Of a worker's transactions some are committed before: else those that read what it writes would wait. */
function passOf(point: string): number {
  if (TAKEOVER.test(point)) return random.int(1, PARTITIONS);
  if (TRANSACTION.test(point)) return random.int(3, 10);
  return BATCH.test(point) ? random.int(1, 3) : 1;
}

async function sweep(swept: Swept): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    for (const point of pointsOf(swept)) {
      if (failed.signal.aborted) return;
      await killAt(swept, { point, pass: passOf(point) });
    }
  }
  if (swept !== 'repair') processOf(swept).live();
}

async function killAt(swept: Swept, kill: Kill): Promise<void> {
  const lives = processOf(swept);
  const condition = CONDITIONS.find(({ of }) => of.test(kill.point));
  const options = (await condition?.before?.()) ?? {};
  await Promise.all([lives.liveUntil(kill, PASS_LIMIT_MS, options), condition?.meanwhile?.()]);
  killed.set(kill.point, (killed.get(kill.point) ?? 0) + 1);
  const kills = [...killed.values()].reduce((sum, n) => sum + n, 0);
  progress(
    `kill ${kills} of ${ROUNDS * SWEPT.reduce((sum, one) => sum + KILL_POINTS[one].length, 0)}: ${kill.point}, passing ${kill.pass}`,
  );
}

interface Condition {
  of: RegExp;
  /** What the life is given beside the usual. */
  before?(): Promise<{ env?: NodeJS.ProcessEnv; range?: { from: number; to: number } }>;
  /** What goes on while it lives. */
  meanwhile?(): Promise<void>;
}

/** What traffic alone does not bring about. */
const CONDITIONS: readonly Condition[] = [
  { of: /^spool:.*-(?:create|write|fsync)$/, before: async () => ({ env: { [ENV.kafkaBrokers]: nowhere } }) },
  {
    of: /^drain:|^spool:.*-delete$/,
    before: async () => {
      if (!isSpooled()) await fillSpool();
      return {};
    },
  },
  {
    of: /^sink:.*dead-letters/,
    // A topic with records that no worker has written is another installation's: the worker has to be first.
    before: async () => {
      await until("the worker's first record on the topic", async () => (await offsets.ranges(TOPICS.callEvents.name))[POISONED]!.end > 0);
      return {};
    },
    meanwhile: async () => poison(),
  },
  { of: /^store:.*history/, meanwhile: postLongCall },
  {
    of: /^repair:/,
    before: async () => {
      await until('a few calls in ClickHouse', async () => (await count('calls', `app_id = '${APP}'`)) > 3);
      return { range: { from: beganAt, to: Date.now() } };
    },
  },
];

const isSpooled = (): boolean => readdirSync(join(servers.dataDir, 'spool')).some((name) => name.endsWith('.seg'));

/** Kafka is away for ingest: nobody answers at the address that it is given. */
async function fillSpool(): Promise<void> {
  processOf('ingest').live({ env: { [ENV.kafkaBrokers]: nowhere } });
  await until('something in the spool', isSpooled);
  await processOf('ingest').kill();
}

/** A record that the sink cannot read. Takeovers of `events`, whose topic it is, look past it: it is of no transaction. */
async function poison(): Promise<void> {
  await producer.send([{ topic: TOPICS.callEvents.name, partition: POISONED, key: 'poison', value: Buffer.from('not Avro') }]);
}

/** Posts a call that began days ago, again and again until it is answered. */
async function postLongCall(): Promise<void> {
  const call = `long-${longCalls.length}`;
  longCalls.push(call);
  const url = `http://127.0.0.1:${config.ingest.port}/callbacks/tuicallkit?sdkappid=${LONG_APP}&command=event&contenttype=json`;
  const end = Math.floor(Date.now() / 1_000);
  const start = end - LONG_CALL_MS / 1_000;
  const events = [
    ['start_call', 'alice', 'caller', start],
    ['accept_call', 'bob', 'callee', start + 5],
    ['call_end', 'bob', 'callee', end],
  ] as const;
  for (const [Event, UserId, Role, EventTime] of events) {
    const body = JSON.stringify({
      CallId: call,
      RoomId: call,
      CallType: 'single',
      MediaType: 'audio',
      TotalNum: 2,
      CallResult: Event === 'call_end' ? 'NORMAL_END' : '',
      Event,
      UserId,
      Role,
      EventTime,
    });
    // To the end, even when what it was for has happened: half a call would be another.
    while (!failed.signal.aborted && (await fetch(url, { method: 'POST', body }).catch(() => null))?.status !== 200) await delay(100);
  }
}

/** Waits for a condition of the sweep; a failure elsewhere calls it off. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PASS_LIMIT_MS;
  while (!(await holds())) {
    failed.signal.throwIfAborted();
    if (performance.now() > deadline) throw new Error(`not within ${PASS_LIMIT_MS / 1000} s: ${what}`);
    await delay(50);
  }
}

async function count(table: string, where: string): Promise<number> {
  const [row] = await clickhouse.query<{ n: number }>(`SELECT toUInt32(count()) AS n FROM ${table} WHERE ${where}`);
  return row?.n ?? 0;
}

async function simulate(enough: AbortSignal): Promise<SimulationReport> {
  const verification = await openVerification(config, progress);
  const { apps, channelApps } = simulatedApps(config);
  try {
    return await runSimulation(
      { seed: String(SEED), chaos: 'hard', rate: RATE, forMs: sized(240_000, 3_000_000), verify: true, longestTalkMs: 15_000 },
      {
        ingest: `http://127.0.0.1:${config.ingest.port}`,
        apps: apps.filter(({ app_id }) => app_id === APP),
        channelApps,
        sessions: config.sessions,
        clock: systemClock,
        enough,
        signal: failed.signal,
        verify: { ...verification.deps, metrics: undefined, deadlineMs: DRAIN_LIMIT_MS },
      },
    );
  } finally {
    await verification.close();
  }
}

it(
  'nothing is lost, doubled or changed, wherever a process is killed',
  async () => {
    beganAt = Date.now();
    const enough = new AbortController();
    const simulated = simulate(enough.signal);
    const swept = SWEPT.map(sweep);
    try {
      await Promise.all(swept);
    } catch (error) {
      failed.abort();
      for (const process of processes.values()) await process.kill();
      await Promise.allSettled([simulated, ...swept]);
      throw error;
    }
    enough.abort();
    // One repair that nobody kills, over all of it.
    const repair = processOf('repair');
    repair.live({ range: { from: beganAt, to: Date.now() } });
    expect(await repair.ended()).toBe(0);

    const { verify: verified, sent } = await simulated;
    if (verified === null) throw new Error('nothing was verified');
    const longRows = await clickhouse.query<{ call_id: string; outcome: string; long: number }>(
      `SELECT call_id, outcome, dateDiff('millisecond', accepted_at, ended_at) > ${LONG_CALL_MS - 60_000} AS long FROM calls WHERE app_id = '${LONG_APP}' ORDER BY call_id`,
    );
    const counts = countsOf(verified.differences);
    report({
      scenario: 'kill-point sweep',
      faults: Object.fromEntries([...killed].sort()),
      events: verified.compared.received,
      ...counts,
      note: `${killed.size} points, ${[...killed.values()].reduce((a, b) => a + b, 0)} kills, ${verified.compared.calls} calls with ${verified.compared.revisions} revisions, ${sent.retries} callbacks sent again`,
    });
    for (const process of processes.values()) expect(process.unexpectedEnd).toBeNull();
    expect(verified.first).toEqual([]);
    expect({ ...counts, total: verified.total }).toEqual({ lost: 0, doubled: 0, differing: 0, total: 0 });
    expect(sized([], notCompared(verified.compared))).toEqual([]);
    expect(verified.compared.calls).toBeGreaterThan(20);
    expect(longRows).toEqual([...longCalls].sort().map((call_id) => ({ call_id, outcome: 'answered', long: 1 })));
    // Every point of the lists, or as many as the short form takes.
    const due = (swept: Swept) => sized(SHORT[swept], KILL_POINTS[swept].length);
    for (const swept of SWEPT) {
      const points = (KILL_POINTS[swept] as readonly string[]).filter((point) => (killed.get(point) ?? 0) >= ROUNDS);
      expect({ swept, points: points.length }).toEqual({ swept, points: due(swept) });
    }
    for (const swept of SWEPT) if (swept !== 'repair') expect({ swept, code: await processOf(swept).stop() }).toEqual({ swept, code: 0 });
  },
  LIMIT_MS,
);
