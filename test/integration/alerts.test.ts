import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createAlerts, webhookGroup } from '../../src/cli/alert-parts.js';
import { groupOf, kafkaConnection, openClickHouse, openClickHouseReader, openProducer } from '../../src/cli/parts.js';
import { readDecoded, TopicReader } from '../../src/cli/read-topic.js';
import { type ClickHouse, migrateClickHouse } from '../../src/clickhouse/index.js';
import { localCodec, type TopicCodec } from '../../src/codec/codec.js';
import type { Call } from '../../src/codec/generated.js';
import type { SchemaRegistry } from '../../src/codec/registry.js';
import { TOPICS, type Topic } from '../../src/codec/topics.js';
import { type Config, parseConfig } from '../../src/config/index.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import type { DurableProducer } from '../../src/stream/durable-producer.js';
import { partitionOf } from '../../src/stream/partition.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import type { Retry } from '../../src/workers/alerts/delivery.js';
import { AlertTopic } from '../../src/workers/alerts/log.js';
import { Sink } from '../../src/workers/sink/sink.js';
import { blankCall } from '../support/clickhouse-model.js';
import { useStack } from '../support/stack.js';

/*
 * The role on real servers: what fires and resolves stands on the topic and in the table once each, through restarts; and each receiver is told, by one id,
 * at its own pace.
 */

const servers = useStack(['kafka', 'clickhouse']);
const logger = silentLogger();
const KEY = Buffer.from('a key of thirty-two bytes, at last');
const SECRET = `whsec_${KEY.toString('base64')}`;
const PATIENCE = { timeout: 30_000, interval: 50 };

interface Told {
  id: string;
  type: string;
  data: Record<string, unknown>;
}

/** Receivers by the path of their URL. What `answers` does not name is taken. */
const told: Record<string, Told[]> = { ops: [], calls: [], slow: [] };
const answers: Record<string, (message: Told) => number | null> = {};
let forged = 0;
const receivers: Server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString();
    const name = (request.url ?? '/').slice(1);
    const id = String(request.headers['webhook-id']);
    const digest = createHmac('sha256', KEY).update(`${id}.${request.headers['webhook-timestamp']}.${body}`).digest('base64');
    if (request.headers['webhook-signature'] !== `v1,${digest}`) forged += 1;
    const message: Told = { id, ...JSON.parse(body) };
    const status = answers[name] === undefined ? 200 : answers[name](message);
    if (status === null) return;
    if (status === 200) told[name]!.push(message);
    response.writeHead(status).end();
  });
});

let config: Config;
let clickhouse: ClickHouse;
let producer: DurableProducer;
let sink: Sink;
const codecs = {
  alert: localCodec(TOPICS.alerts),
  call: localCodec(TOPICS.calls),
  recording: localCodec(TOPICS.recordings),
  callEvent: localCodec(TOPICS.callEvents),
  deadLetter: localCodec(TOPICS.deadLetters),
};
/** Every schema is the first of its topic, as of {@link codecs}. */
const registry = { idOf: async () => 1, writer: async () => null } as unknown as SchemaRegistry;
const context = () => ({ config, logger, metrics: createMetrics(), clock: systemClock });

beforeAll(async () => {
  await new Promise<void>((resolve) => receivers.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(receivers.address() as AddressInfo).port}`;
  const file = `
apps: [{ provider: tencent, appId: "1" }]
kafka: { partitions: 2 }
alerts:
${['failed-rate', 'volume-drop', 'starts-without-ends', 'source-silent', 'dead-letter-rate', 'recording-exceptions']
  .map((name) => `  - { name: ${name}, enabled: false }`)
  .join('\n')}
  - { name: missed-rate, minimum: 4, for: 0s, window: 1h }
webhooks:
  - { name: ops, url: "${url}/ops", secret: "\${SECRET}" }
  - { name: calls, url: "${url}/calls", secret: "\${SECRET}", events: [call.ended, call.missed, call.corrected] }
  - { name: slow, url: "${url}/slow", secret: "\${SECRET}", events: [call.ended] }
`;
  config = parseConfig(file, {
    SECRET,
    KAFKA_BROKERS: servers.brokers.join(','),
    CLICKHOUSE_URL: servers.clickhouseUrl,
  }).config;
  const kafka = kafkaConnection(config);
  const admin = new TopicAdmin({ kafka, logger });
  await admin.migrate({ partitions: 2, groups: { sink: groupOf(config, 'sink') } });
  await admin.close();
  clickhouse = openClickHouse(config);
  producer = openProducer(config, logger);
  await migrateClickHouse(clickhouse, { retention: config.retention });
  sink = new Sink({
    kafka,
    groupId: groupOf(config, 'sink'),
    clickhouse,
    codecs,
    keepCallsMs: config.retention.calls,
    logger,
    metrics: createMetrics(),
    onFatal: (error) => expect.unreachable(String(error)),
  });
  await sink.start();
});

afterAll(async () => {
  await sink?.stop();
  await producer?.close();
  await clickhouse?.close();
  receivers.closeAllConnections();
  receivers.close();
});

/** The role, quick. */
async function start(
  retry: Retry = { first: 20, longest: 40, giveUpAfter: 86_400_000 },
): Promise<{ stop(): Promise<void>; problems(): string[] }> {
  const reader = openClickHouseReader(config);
  const fatal: unknown[] = [];
  const { worker, close } = await createAlerts(context(), reader, registry, 'test', (error) => fatal.push(error), {
    every: 100,
    retry,
  });
  await worker.start();
  return {
    problems: () => worker.problems(),
    stop: async () => {
      await worker.stop();
      await close();
      await reader.close();
      expect(fatal).toEqual([]);
    },
  };
}

let made = 0;
const callOf = (over: Partial<Call>): Call => {
  const now = Date.now();
  return blankCall({
    ...{
      app_id: '1',
      call_id: `call-${made++}`,
      caller: 'ann',
      callees: ['bob'],
      status: 'ended',
      outcome: 'answered',
      end_reason: 'normal',
      final: true,
    },
    ...{ started_at: now, first_seen_at: now, updated_at: now },
    ...over,
  });
};
const MISSED = { outcome: 'no_answer', end_reason: 'no_answer', missed: true, missed_inclusive: true } as const;

async function publish(...calls: Call[]): Promise<void> {
  await producer.send(
    calls.map((call) => {
      const key = `tencent:1:${call.call_id}`;
      return { topic: TOPICS.calls.name, partition: partitionOf(key, 2), key, value: codecs.call.encode(call) };
    }),
  );
}

async function topicOf<T>(topic: Topic<T>, codec: TopicCodec<T>): Promise<T[]> {
  const reader = new TopicReader(kafkaConnection(config), 'test', topic.name, logger);
  const values: T[] = [];
  await readDecoded(reader, codec, (_record, value) => values.push(value));
  await reader.close();
  return values;
}

const tableOfAlerts = () =>
  clickhouse.query<{ rule: string; state: string; fired: number; resolved: number | null }>(
    'SELECT rule, state, toUnixTimestamp64Milli(t.fired_at) AS fired, toUnixTimestamp64Milli(t.resolved_at) AS resolved FROM alerts AS t ORDER BY fired',
  );

it('a spike of missed calls fires once and resolves once, on topic, in table and to the receiver, through a restart of the role', async () => {
  const first = await start();
  await publish(...Array.from({ length: 6 }, () => callOf(MISSED)));
  await vi.waitFor(() => expect(told.ops).toHaveLength(1), PATIENCE);
  expect(first.problems()).toEqual([]);
  await first.stop();

  const second = await start();
  await vi.waitFor(async () => expect(await tableOfAlerts()).toMatchObject([{ state: 'firing' }]), PATIENCE);
  await publish(...Array.from({ length: 10 }, () => callOf({})));
  await vi.waitFor(() => expect(told.ops).toHaveLength(2), PATIENCE);
  await second.stop();

  // One more life sees that nothing is left to say.
  const third = await start();
  await vi.waitFor(async () => expect(await tableOfAlerts()).toMatchObject([{ state: 'resolved' }]), PATIENCE);
  await third.stop();

  const published = await topicOf(TOPICS.alerts, codecs.alert);
  expect(published.map(({ state, rule, app_id }) => [state, rule, app_id]).sort()).toEqual([
    ['firing', 'missed-rate', '1'],
    ['resolved', 'missed-rate', '1'],
  ]);
  const [fired, resolved] = ['firing', 'resolved'].map((state) => published.find((alert) => alert.state === state)!);
  expect(resolved!.alert_id).toBe(fired!.alert_id);
  // It fires as soon as the minimum of calls has come to the table: six do, in one flush or several.
  expect(fired).toMatchObject({ value: 1, threshold: 0.5, resolved_at: null });
  expect(fired!.n).toBeGreaterThanOrEqual(4);
  expect(fired!.n).toBeLessThanOrEqual(6);
  expect(resolved!.n).toBeGreaterThanOrEqual(12);
  expect(await tableOfAlerts()).toEqual([
    { rule: 'missed-rate', state: 'resolved', fired: fired!.fired_at, resolved: resolved!.resolved_at },
  ]);
  expect(told.ops!.map(({ type }) => type)).toEqual(['alert.fired', 'alert.resolved']);
  expect(told.ops![0]!.data).toMatchObject({ rule: 'missed-rate', app_id: '1', fired_at: new Date(fired!.fired_at).toISOString() });
  expect(forged).toBe(0);
});

it('an evaluator that was thought dead publishes nothing any more', async () => {
  const topic = new AlertTopic({
    kafka: kafkaConnection(config),
    transactionalId: 'test-zombie',
    codec: codecs.alert,
    partitions: 2,
    read: async () => [],
    logger,
  });
  const [alert] = await topicOf(TOPICS.alerts, codecs.alert);
  const zombie = await topic.open();
  const owner = await topic.open();
  await expect(zombie.publish([{ ...alert!, rule: 'zombie' }])).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
  await owner.publish([{ ...alert!, rule: 'owner' }]);
  zombie.close();
  owner.close();
  const rules = (await topicOf(TOPICS.alerts, codecs.alert)).map(({ rule }) => rule);
  expect(rules).toContain('owner');
  expect(rules).not.toContain('zombie');
});

it('calls are told of once they are final, by one id each; a receiver that does not answer holds up nobody, and a restart repeats only what was open', async () => {
  told.calls = [];
  told.slow = [];
  answers.slow = () => null;
  // One message is refused until the role has been started anew.
  const stubborn = callOf({ call_id: 'stubborn' });
  answers.calls = ({ data }) => (data.call_id === 'stubborn' ? 500 : 200);
  const first = await start();
  const calls = [callOf({ call_id: 'a' }), stubborn, callOf({ call_id: 'b', ...MISSED }), callOf({ call_id: 'c', final: false })];
  await publish(...calls, callOf({ call_id: 'a', revision: 2, final_outcome: 'answered' }));
  await publish(callOf({ call_id: 'b', revision: 2, outcome: 'rejected', final_outcome: 'no_answer' }));
  const expected = ['call.corrected b', 'call.ended a', 'call.ended b', 'call.missed b'];
  // The role of the first test may have ended before it had told of all its calls: those come now.
  const own = () => told.calls!.filter(({ data }) => !String(data.call_id).startsWith('call-'));
  const seen = () =>
    own()
      .map(({ type, data }) => `${type} ${data.call_id}`)
      .sort();
  await vi.waitFor(() => expect(seen()).toEqual(expected), PATIENCE);
  // What is open, and nothing else, is in the committed metadata.
  const position = async () => {
    const { Positions } = await import('../../src/workers/alerts/positions.js');
    const positions = new Positions(kafkaConnection(config), logger, webhookGroup(config, 'calls'), [TOPICS.calls.name]);
    const committed = await positions.read();
    await positions.close();
    return (committed.get(TOPICS.calls.name) ?? []).reduce(
      (open, { metadata }) => open + (metadata?.split(';')[2] ?? '').split(',').filter(Boolean).length,
      0,
    );
  };
  await vi.waitFor(async () => expect(await position()).toBe(1), PATIENCE);
  await first.stop();
  answers.calls = () => 200;
  const second = await start();
  await vi.waitFor(() => expect(seen()).toEqual([...expected, 'call.ended stubborn'].sort()), PATIENCE);
  await vi.waitFor(async () => expect(await position()).toBe(0), PATIENCE);
  await second.stop();
  expect(seen()).toEqual([...expected, 'call.ended stubborn'].sort());
  expect(new Set(own().map(({ id }) => id)).size).toBe(5);
  expect(told.slow).toEqual([]);
});

it('what its receiver does not take for a day is a dead letter, with what was to be sent and no secret', async () => {
  answers.slow = () => 503;
  answers.calls = () => 410;
  const role = await start({ first: 1, longest: 2, giveUpAfter: 0 });
  await publish(callOf({ call_id: 'dead', ...MISSED }));
  const dead = async () => (await topicOf(TOPICS.deadLetters, codecs.deadLetter)).filter(({ body }) => body.includes('"dead"'));
  await vi.waitFor(async () => expect(await dead()).toHaveLength(3), PATIENCE);
  await role.stop();
  const letters = await dead();
  expect(letters.map(({ stage, reason, origin_index }) => `${stage} ${reason} ${origin_index}`).sort()).toEqual([
    'webhook:calls webhook_gone 0',
    'webhook:calls webhook_gone 1',
    'webhook:slow webhook_expired 0',
  ]);
  const all = JSON.stringify(letters.map((letter) => ({ ...letter, body: letter.body.toString() })));
  expect(all).not.toContain(SECRET);
  expect(all).not.toContain('127.0.0.1');
  // They are rows of their own in ClickHouse, and no deliveries of a vendor.
  await vi.waitFor(async () => {
    const rows = await clickhouse.query<{ n: number }>(
      `SELECT count() AS n FROM dead_letters WHERE startsWith(stage, 'webhook:') AND position(body, '"dead"') > 0`,
    );
    expect(rows).toEqual([{ n: 3 }]);
  }, PATIENCE);
  expect(await clickhouse.query('SELECT count() AS n FROM deliveries')).toEqual([{ n: 0 }]);
});
