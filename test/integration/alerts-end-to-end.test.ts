import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createAlerts } from '../../src/cli/alert-parts.js';
import { migrateAll } from '../../src/cli/migrate.js';
import { kafkaConnection, openClickHouse, openClickHouseReader, openRegistry } from '../../src/cli/parts.js';
import { readDecoded, TopicReader } from '../../src/cli/read-topic.js';
import { type Role, type RunningRole, startRole } from '../../src/cli/roles.js';
import { simulatedApps } from '../../src/cli/simulated-apps.js';
import type { ClickHouse } from '../../src/clickhouse/index.js';
import { openCodec } from '../../src/codec/codec.js';
import type { Alert } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { type Config, parseConfig } from '../../src/config/index.js';
import { freePort } from '../../src/local/index.js';
import { runSimulation } from '../../src/simulator/index.js';
import { type Clock, systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { useStack } from '../support/stack.js';

/*
 * Eight days of an app, in half a minute: a week of simulated traffic, an outage at its hour, a spike of missed calls, and a vendor that falls silent. All on the road that
 * callbacks take; whoever dates them, and who judges, has a clock that the test moves.
 */

const servers = useStack();
const logger = silentLogger();
const APP = '1400000001';
const SECRET = `whsec_${Buffer.from('a key of thirty-two bytes, at last').toString('base64')}`;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const PATIENCE = { timeout: 60_000, interval: 50 };

/** Begins so far back that nothing is dated in the future. */
class MovedClock implements Clock {
  #ahead = -8 * DAY - 6 * HOUR;
  now(): number {
    return Date.now() + this.#ahead;
  }
  pass(ms: number): void {
    this.#ahead += ms;
  }
}
const clock = new MovedClock();

interface Message {
  type: string;
  data: Alert;
}
/** By webhook-id: a message may come again. */
const told = new Map<string, Message>();
let forged = 0;
let forgeriesTaken = 0;
let receiver: Server;
let config: Config;
let clickhouse: ClickHouse;
const running: RunningRole[] = [];

/** What docs/alerts.md gives to receivers. */
type Verify = (secret: string, headers: NodeJS.Dict<string | string[]>, body: Buffer, now: number) => boolean;
async function documentedVerify(): Promise<Verify> {
  const page = readFileSync(new URL('../../docs/alerts.md', import.meta.url), 'utf8');
  const code = /```js\n([\s\S]*?)\n```/.exec(page)?.[1] ?? '';
  return ((await import(`data:text/javascript,${encodeURIComponent(code)}`)) as { verify: Verify }).verify;
}

async function listen(verify: Verify): Promise<string> {
  receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (!verify(SECRET, request.headers, body, clock.now())) forged += 1;
    if (verify(SECRET, request.headers, Buffer.concat([body, Buffer.from(' ')]), clock.now())) forgeriesTaken += 1;
    if (verify(SECRET, request.headers, body, clock.now() + HOUR)) forgeriesTaken += 1;
    told.set(String(request.headers['webhook-id']), JSON.parse(body.toString()));
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/alerts`;
}

beforeAll(async () => {
  const url = await listen(await documentedVerify());
  const off = ['failed-rate', 'starts-without-ends', 'dead-letter-rate', 'recording-exceptions'];
  ({ config } = parseConfig(
    `apps: [{ provider: tencent, appId: "${APP}" }]
kafka: { partitions: 2 }
sessions: { settle: 1s }
ingest: { port: ${await freePort()} }
alerts:
${off.map((name) => `  - { name: ${name}, enabled: false }`).join('\n')}
  - { name: volume-drop, minimum: 8, for: 2m }
  - { name: missed-rate, minimum: 20, for: 2m }
  - { name: source-silent, minimum: 50 }
webhooks: [{ name: ops, url: "${url}", secret: "\${SECRET}" }]
`,
    {
      SECRET,
      KAFKA_BROKERS: servers.brokers.join(','),
      SCHEMA_REGISTRY_URL: servers.registryUrl,
      CLICKHOUSE_URL: servers.clickhouseUrl,
      CALLSTREAM_DATA_DIR: join(servers.dataDir, 'data'),
    },
  ));
  await migrateAll(config, { embeddedKafka: true, logger });
  clickhouse = openClickHouse(config);
  // Arrivals are dated by the moved clock, all else by what arrives.
  for (const role of ['ingest', 'sessions', 'events', 'sink'] as const) await begin(role, role === 'ingest' ? clock : systemClock);
});

afterAll(async () => {
  for (const role of running.reverse()) await role.stop();
  await clickhouse?.close();
  receiver?.closeAllConnections();
  receiver?.close();
});

const begin = async (role: Role, of: Clock): Promise<void> => {
  running.push(await startRole(role, { config, logger, metrics: createMetrics(), clock: of }));
};

const origin = () => `http://127.0.0.1:${config.ingest.port}`;
let sent = 0;
let begun = 0;

/** Calls of the last hour, as the vendor's users make them. */
async function traffic(calls: number): Promise<void> {
  const report = await runSimulation(
    { seed: `at ${clock.now()}`, chaos: 'none', calls, live: 0 },
    { ingest: origin(), ...simulatedApps(config), clock },
  );
  expect(report.sent).toMatchObject({ unexpected: 0, abandoned: 0 });
  sent += report.sent.acknowledged;
  begun += calls;
}

/** So many calls at once that nobody answers. */
async function missedCalls(calls: number): Promise<void> {
  const post = async (call: number, user: string, role: string, event: string) => {
    const body = {
      CallId: `missed-${call}`,
      UserId: user,
      Role: role,
      Event: event,
      EventTime: clock.now(),
      CallType: 'single',
      TotalNum: 2,
    };
    const response = await fetch(`${origin()}/callbacks/tuicallkit?sdkappid=${APP}&command=x`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    sent += 1;
  };
  const all = Array.from({ length: calls }, async (_, call) => {
    await post(call, 'ann', 'caller', 'start_call');
    await post(call, `user-${call}`, 'callee', 'not_answer_call');
    await post(call, 'ann', 'caller', 'call_missed');
  });
  await Promise.all(all);
  begun += calls;
}

/** All of it is in the tables that rules measure: deliveries and calls come on two roads, and neither waits for the other. */
const arrived = () =>
  vi.waitFor(async () => {
    const rows = await clickhouse.query(
      `SELECT (SELECT uniqExact(raw_partition, raw_offset) FROM deliveries) AS deliveries, count() AS calls, countIf(final) AS final, countIf(status = 'ended') AS over,
         (SELECT sum(calls) FROM metrics_1m) AS rolled FROM calls`,
    );
    expect(rows).toEqual([{ deliveries: sent, calls: begun, final: begun, over: begun, rolled: begun }]);
  }, PATIENCE);

interface Life {
  /** The rules have been judged by what is in the tables now, and by this time. */
  looked(): Promise<void>;
}

/** One life of the role: quick to look, and to tell. */
async function life(live: (role: Life) => Promise<void>): Promise<void> {
  const reader = openClickHouseReader(config);
  const metrics = createMetrics();
  const fatal: unknown[] = [];
  const context = { config, logger, metrics, clock };
  const { worker, close } = await createAlerts(context, reader, openRegistry(config), 'test', (error) => fatal.push(error), { every: 50 });
  const looks = async (): Promise<number> => {
    const { values } = await metrics.callstream_alert_evaluation_seconds.get();
    return values.find(({ metricName }) => metricName?.endsWith('_count'))?.value ?? 0;
  };
  await worker.start();
  try {
    // One may be under way that has begun before, one is after it, and the next comes when that has been judged.
    const looked = async () => {
      const before = await looks();
      await vi.waitFor(async () => expect(await looks()).toBeGreaterThanOrEqual(before + 3), PATIENCE);
    };
    await live({ looked });
    expect(worker.problems()).toEqual([]);
  } finally {
    await worker.stop();
    await close();
    await reader.close();
  }
  expect(fatal).toEqual([]);
}

const published = async (): Promise<string[]> => {
  const reader = new TopicReader(kafkaConnection(config), 'test', TOPICS.alerts.name, logger);
  const alerts: Alert[] = [];
  await readDecoded(reader, await openCodec(TOPICS.alerts, openRegistry(config)), (_record, alert) => alerts.push(alert));
  await reader.close();
  return alerts.sort((a, b) => (a.resolved_at ?? a.fired_at) - (b.resolved_at ?? b.fired_at)).map(({ rule, state }) => `${rule} ${state}`);
};
const messages = (): string[] => [...told.values()].map(({ type, data }) => `${type} ${data.rule}`);
const hears = (message: string) => vi.waitFor(() => expect(messages()).toContain(message), PATIENCE);

it('an outage, a spike of missed calls and a vendor that falls silent each fire once and resolve once, through restarts of the role', async () => {
  for (let day = 0; day < 7; day++) {
    await traffic(12);
    clock.pass(DAY);
  }
  await arrived();

  // At the hour of a week's calls there are none. Each life of the role sees one of them fire, and the next resolve.
  clock.pass(MINUTE);
  await life(async ({ looked }) => {
    await looked();
    clock.pass(2 * MINUTE);
    await hears('alert.fired volume-drop');
  });

  await life(async ({ looked }) => {
    await looked();
    expect(messages()).toEqual(['alert.fired volume-drop']);
    await traffic(20);
    await arrived();
    await looked();
    clock.pass(2 * MINUTE);
    await hears('alert.resolved volume-drop');

    await missedCalls(25);
    await arrived();
    await looked();
    clock.pass(2 * MINUTE);
    await hears('alert.fired missed-rate');
  });

  await life(async ({ looked }) => {
    await looked();
    expect(messages()).toHaveLength(3);
    clock.pass(15 * MINUTE);
    await traffic(60);
    await arrived();
    await looked();
    clock.pass(2 * MINUTE);
    await hears('alert.resolved missed-rate');

    // Nothing comes any more.
    await looked();
    expect(messages()).toHaveLength(4);
    clock.pass(HOUR);
    await hears('alert.fired source-silent');
  });

  await life(async ({ looked }) => {
    await looked();
    expect(messages()).toHaveLength(5);
    await traffic(5);
    await hears('alert.resolved source-silent');
    await looked();
  });

  const said = ['volume-drop', 'missed-rate', 'source-silent'].flatMap((rule) => [`${rule} firing`, `${rule} resolved`]);
  expect(await published()).toEqual(said);
  expect(messages()).toEqual(
    said.map((each) => each.replace(/(.*) (.*)/, (_, rule, state) => `alert.${state === 'firing' ? 'fired' : state} ${rule}`)),
  );
  await vi.waitFor(async () => {
    const rows = await clickhouse.query('SELECT rule, state, app_id FROM alerts ORDER BY fired_at');
    expect(rows).toEqual(['volume-drop', 'missed-rate', 'source-silent'].map((rule) => ({ rule, state: 'resolved', app_id: APP })));
  }, PATIENCE);
  expect({ forged, forgeriesTaken }).toEqual({ forged: 0, forgeriesTaken: 0 });
});
