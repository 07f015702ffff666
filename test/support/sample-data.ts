import { Chunk, type ClickHouse, Flush, migrateClickHouse, Roller } from '../../src/clickhouse/index.js';
import { TOPICS, type TopicSpec } from '../../src/codec/topics.js';
import { everyRunsNoise, type PlannedCall, type PlanOptions, planCall, startTimes } from '../../src/simulator/plan.js';
import { isChannel, planChannel } from '../../src/simulator/plan-channel.js';
import { type Planned, Timeline, type TrafficSource } from '../../src/simulator/timeline.js';
import type { CallFacts } from '../../src/simulator/vendor/facts.js';
import { mediaEntries } from '../../src/simulator/vendor/media-text.js';
import { recordText } from '../../src/simulator/vendor/record-text.js';
import type { Delivery } from '../../src/simulator/wire.js';
import { sourceOf, topicsAbout } from '../../src/sources/registry.js';
import { TopologyDriver, type TopologyDriverOptions } from '../../src/stream/topology-driver.js';
import type { Processor, TaskContext } from '../../src/stream/types.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { ChannelsProcessor } from '../../src/workers/channels/processor.js';
import { EventsProcessor } from '../../src/workers/events/processor.js';
import { RecordingsProcessor } from '../../src/workers/recordings/processor.js';
import { SessionsProcessor } from '../../src/workers/sessions/processor.js';
import { codecs, SESSION_SETTINGS } from './worker-kit.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/**
 * The traffic that docs/cookbook.md and docs/glossary.md ask about: Monday and Tuesday, 1 and 2 September 2025 (UTC), of a video app (its callbacks alone), a
 * support app (whose records are polled too, and a few of whose calls are known from their records only) and a lounge made of Aliyun channels.
 */
export const SAMPLE = {
  from: Date.UTC(2025, 8, 1),
  to: Date.UTC(2025, 8, 3),
  apps: { video: '1400000001', support: '1400000002', lounge: '9qb1abcd' },
} as const;

const { video, support, lounge } = SAMPLE.apps;
const SEED = 'reader';
const PIECES = 1_500;
/** Every so many calls of the support app, all callbacks are lost: only the record tells of the call. */
const LOST_EVERY = 60;
const KEEP_FOR = 20 * 365 * DAY;

const PLAN: PlanOptions = {
  seed: SEED,
  run: SEED,
  apps: [video, support],
  chaos: 'mild',
  features: {
    begin_at: SAMPLE.from,
    recorded: new Set(),
    lostSince: SAMPLE.from,
    tiwKeys: new Map([[video, 'a callback key']]),
    channelApps: [{ app_id: lounge, subscribeIds: ['lounge'] }],
    channelGap: 5 * 60_000,
  },
};

interface Arrival {
  source: string;
  app_id: string;
  received_at: number;
  query: string;
  body: Buffer;
}

/** Everything that arrives, in order of arrival. */
function arrivals(): Arrival[] {
  const polled: Arrival[] = [];
  const timeline = new Timeline(traffic(polled));
  const out: Arrival[] = [];
  for (let d = timeline.next(); d !== null; d = timeline.next()) if (d.expect === 200 && d.lost !== true) out.push(arrived(d));
  return [...out, ...polled].sort((a, b) => a.received_at - b.received_at);
}

function* traffic(polled: Arrival[]): TrafficSource {
  const noise = everyRunsNoise(PLAN, SAMPLE.from + HOUR);
  yield { start_at: SAMPLE.from, plan: () => ({ deliveries: noise }) };
  for (const [i, start_at] of startTimes(SEED, PIECES, SAMPLE.from, SAMPLE.to - HOUR).entries()) {
    const timing = {
      start_at,
      maxTalkMs: Math.min(3 * HOUR, SAMPLE.to - start_at - 10 * 60_000),
      delays: { reorderMs: HOUR, stragglerMs: HOUR },
    };
    yield {
      start_at,
      plan: () => (isChannel(PLAN, i) ? planChannel(PLAN, PLAN.features!, i, timing) : withApis(planCall(PLAN, i, timing), i, polled)),
    };
  }
}

/** What the vendor's APIs say a while after a call of the support app. */
function withApis(call: PlannedCall, index: number, polled: Arrival[]): Planned {
  const { facts } = call;
  if (facts === undefined || facts.app_id !== support) return call;
  const at = facts.end_at + 60_000;
  polled.push({ source: 'call-record', app_id: support, received_at: at, query: '', body: Buffer.from(recordText(facts, 'v1', false)) });
  if (facts.result === 'interrupt' || facts.result === 'offline') polled.push(...mediaPolls(facts, at));
  return index % LOST_EVERY === 0 ? { deliveries: [] } : call;
}

function mediaPolls({ app_id, call_id, room_id, presences }: CallFacts, received_at: number): Arrival[] {
  return presences.map((presence) => {
    const query = new URLSearchParams({ call_id, user_id: presence.user, room_id }).toString();
    const body = Buffer.from(JSON.stringify([{ PeerId: '', Content: mediaEntries(room_id, presence) }]));
    return { source: 'user-event', app_id, received_at, query, body };
  });
}

const arrived = ({ source, app_id, send_at, query, body }: Delivery): Arrival => ({
  source,
  app_id,
  received_at: Math.floor(send_at),
  query,
  body,
});

interface Road {
  driver: TopologyDriver;
  inputs: readonly string[];
}

/** The four stream workers on the in-process driver, one task each. Nothing leaves their state, so nothing is looked up. */
async function openRoads(clock: { now(): number }): Promise<Road[]> {
  const settings = { ...SESSION_SETTINGS, ringTimeout: 120_000, maxCall: 12 * HOUR, settle: 30_000, retention: KEEP_FOR };
  const lookup = async () => new Map<string, never>();
  const suspects = new Set<string>();
  const partitions = 1;
  const open = async (
    inputs: readonly string[],
    output: TopicSpec,
    create: (context: TaskContext) => Processor,
    more: Partial<TopologyDriverOptions> = {},
  ): Promise<Road> => ({
    inputs,
    driver: await TopologyDriver.open({
      inputs,
      outputTopic: output.name,
      restores: false,
      partitions,
      clock,
      createProcessor: create,
      ...more,
    }),
  });
  const all = [...topicsAbout('call'), ...topicsAbout('recording'), ...topicsAbout('channel')];
  return Promise.all([
    open(all, TOPICS.callEvents, ({ partition, failures }) => new EventsProcessor({ partition, codecs, failures })),
    open(topicsAbout('call'), TOPICS.calls, (c) => new SessionsProcessor({ ...c, partitions, settings, codecs, lookup, suspects })),
    open(
      topicsAbout('recording'),
      TOPICS.recordings,
      (c) => new RecordingsProcessor({ ...c, partitions, retention: KEEP_FOR, codecs, lookup }),
    ),
    open(
      topicsAbout('channel'),
      TOPICS.calls,
      (c) => new ChannelsProcessor({ ...c, partitions, settings: { ...settings, channelGap: 5 * 60_000 }, codecs, lookup, suspects }),
      { outputShare: 1 },
    ),
  ]);
}

/** Everything that the workers publish of the sample, as rows. Deterministic: the same rows each time. */
export async function sampleChunk(): Promise<Chunk> {
  let now: number = SAMPLE.from;
  const roads = await openRoads({ now: () => now });
  const list = arrivals();
  let next = 0;
  // An hour at a time; then long enough for every timeout, and for everything to become final.
  for (const until of [...hours(), SAMPLE.to + DAY, SAMPLE.to + 2 * DAY]) {
    for (; next < list.length && list[next]!.received_at < until; next++) append(roads, list[next]!, next);
    now = until;
    for (const { driver } of roads) {
      await driver.drain();
      await driver.advance(now);
      await driver.advance(now);
    }
  }
  const chunk = new Chunk();
  const published = (topic: TopicSpec) => roads.flatMap(({ driver }) => driver.records(topic.name)).map((r) => r.value!);
  for (const value of published(TOPICS.calls)) chunk.addCall(codecs.call.decode(value), value);
  for (const value of published(TOPICS.recordings)) chunk.addRecording(codecs.recording.decode(value), value);
  for (const value of published(TOPICS.callEvents)) chunk.addEvent(codecs.callEvent.decode(value));
  for (const value of published(TOPICS.deadLetters)) chunk.addDeadLetter(codecs.deadLetter.decode(value));
  return chunk;
}

function* hours(): Generator<number> {
  for (let at = SAMPLE.from + HOUR; at <= SAMPLE.to; at += HOUR) yield at;
}

function append(roads: readonly Road[], { source, app_id, received_at, query, body }: Arrival, index: number): void {
  const topic = sourceOf(source)!.topic;
  const value = codecs.raw.encode({ id: `d${index}`, source, app_id, received_at, auth: 'app', remote_addr: '', query, body });
  for (const { driver, inputs } of roads) {
    if (inputs.includes(topic)) driver.append(topic, { partition: 0, key: 'k', value, timestamp: received_at });
  }
}

/** Makes the tables in the client's database, and fills them with the sample. */
export async function fillWithSample(client: ClickHouse): Promise<void> {
  await migrateClickHouse(client, { retention: { calls: KEEP_FOR, events: KEEP_FOR, metrics: KEEP_FOR } });
  const flush = new Flush(client, createMetrics(), await sampleChunk());
  await flush.rows();
  await flush.touches();
  await new Roller(client, KEEP_FOR).pass();
}
