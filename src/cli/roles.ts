/** The one place where the parts meet: each role, made of real Kafka, registry, ClickHouse and files. */
import { join } from 'node:path';
import { startApi } from '../api/index.js';
import { jointly, lookupCalls, lookupChannels, lookupRecordings } from '../clickhouse/index.js';
import { openCodec, type TopicCodec } from '../codec/codec.js';
import type { RawEvent } from '../codec/generated.js';
import { TOPICS, type Topic } from '../codec/topics.js';
import type { Config } from '../config/index.js';
import { kafkaOutlet, startIngest } from '../ingest/index.js';
import { hasCredentials, Poller } from '../poll/index.js';
import { POLLED_SOURCES, SOURCES } from '../sources/registry.js';
import type { FaultPoint } from '../stream/types.js';
import type { Readiness } from '../telemetry/admin-server.js';
import { systemChance } from '../telemetry/chance.js';
import type { Clock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { ChannelsWorker } from '../workers/channels/worker.js';
import { createEventsWorker } from '../workers/events/worker.js';
import { RecordingsWorker } from '../workers/recordings/worker.js';
import { DEFAULT_MAX_CALLS_PER_TASK } from '../workers/sessions/settings.js';
import { SessionsWorker } from '../workers/sessions/worker.js';
import { Sink } from '../workers/sink/sink.js';
import { openAlertDesk } from './alert-desk.js';
import { createAlerts } from './alert-parts.js';
import {
  countPartitions,
  groupOf,
  kafkaConnection,
  openClickHouse,
  openClickHouseReader,
  openProducer,
  openRegistry,
  RAW_TOPICS,
} from './parts.js';
import { openPolledCodecs, readCursors, sweepSettings } from './poll-parts.js';
import { openUsers } from './users.js';
import { version } from './version.js';

export const ROLES = ['ingest', 'poll', 'sessions', 'events', 'sink', 'api', 'alerts'] as const;
export type Role = (typeof ROLES)[number];

export const isRole = (name: string): name is Role => (ROLES as readonly string[]).includes(name);

/** What a role is given to work with. */
export interface RoleContext {
  config: Config;
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
  /** For tests: called at every named point of the role's parts; those of a stream worker have its name in front, for example `sessions:before-commit`. */
  fault?: (point: string) => void | Promise<void>;
}

/** A role at work in this process. */
export interface RunningRole {
  /** Whether it can do its work now. */
  ready(): Readiness | Promise<Readiness>;
  /** Resolves with the reason when the role cannot go on: the process must end. Pending as long as all is well. */
  readonly failed: Promise<unknown>;
  /** Finishes what is under way, and stops. */
  stop(): Promise<void>;
}

const NEVER = new Promise<never>(() => {});

const faultPointOf = (worker: string, fault: RoleContext['fault']): FaultPoint | undefined =>
  fault && ((point) => fault(`${worker}:${point}`));

/** Resolves once the role has begun; it may still be on its way to readiness. */
export function startRole(role: Role, context: RoleContext): Promise<RunningRole> {
  return STARTERS[role](context);
}

const STARTERS: Record<Role, (context: RoleContext) => Promise<RunningRole>> = { ingest, poll, sessions, events, sink, api, alerts };

/** Callbacks in, over HTTP; raw records out, durable. Takes callbacks into its spool while Kafka or the registry is away. */
async function ingest({ config, logger, metrics, clock, fault }: RoleContext): Promise<RunningRole> {
  const producer = openProducer(config, logger, metrics);
  const running = await startIngest(
    {
      host: config.ingest.host,
      port: config.ingest.port,
      apps: config.apps,
      trustProxy: config.ingest.trustProxy,
      truncateClientIp: config.privacy.truncateClientIp,
      spoolDir: join(config.dataDir, 'spool'),
    },
    {
      sources: SOURCES.flatMap((source) => source.webhook ?? []),
      connect: async () => {
        const partitions = await countPartitions(config, logger);
        const registry = openRegistry(config);
        const topics = Object.values(TOPICS).filter((topic) => RAW_TOPICS.includes(topic.name)) as Topic<RawEvent>[];
        const codecs = new Map<string, TopicCodec<RawEvent>>();
        for (const topic of topics) codecs.set(topic.name, await openCodec(topic, registry));
        return kafkaOutlet({ producer, codecs, partitions });
      },
      metrics,
      log: logger,
      clock,
      fault,
    },
  );
  logger.info({ host: config.ingest.host, port: running.port }, 'taking callbacks');
  return {
    ready: () => running.ready(),
    failed: NEVER,
    stop: async () => {
      await running.close();
      await producer.close();
    },
  };
}

/** What the vendors' APIs have, onto the raw topics; one process at a time. */
async function poll({ config, logger, metrics, clock, fault }: RoleContext): Promise<RunningRole> {
  if (!hasCredentials(POLLED_SOURCES, config.apps)) {
    logger.info('nothing to poll: no app has records, cloudApi or api');
    return { ready: () => readyUnless([]), failed: NEVER, stop: async () => {} };
  }
  const registry = openRegistry(config);
  const failure = new Failure();
  const producer = openProducer(config, logger);
  const cursor = await openCodec(TOPICS.pollCursors, registry);
  const poller = new Poller({
    kafka: kafkaConnection(config),
    groupId: groupOf(config, 'poll'),
    apps: config.apps,
    sources: POLLED_SOURCES,
    settings: sweepSettings(config),
    codecs: { raw: await openPolledCodecs(registry), task: await openCodec(TOPICS.tasks, registry), cursor },
    partitions: await countPartitions(config, logger),
    producer,
    readCursors: () => readCursors(config, cursor, logger),
    clock,
    chance: systemChance,
    logger,
    metrics,
    onFatal: failure.report,
    fault,
  });
  const running = await startWorkers([poller], failure, () => producer.close());
  // A vendor that is not to be asked keeps nothing else from working: said, and yet ready.
  const ready = (): Readiness => ({ ok: poller.problems().length === 0, problems: [...poller.problems(), ...poller.remarks()] });
  return { ...running, ready };
}

/** Raw records into calls and channel sessions, and those of recordings into recordings, exactly once. */
async function sessions({ config, logger, metrics, clock, fault }: RoleContext): Promise<RunningRole> {
  const registry = openRegistry(config);
  const clickhouse = openClickHouse(config);
  const withApi = (api: 'records' | 'cloudApi') =>
    new Set(config.apps.flatMap((app) => (app.provider === 'tencent' && app[api] !== undefined ? [app.appId] : [])));
  const [withRecords, withMedia] = [withApi('records'), withApi('cloudApi')];
  const failure = new Failure();
  const { users, close } = await openUsers({ config, registry, logger, clock, groupId: groupOf(config, 'sessions') });
  const common = {
    kafka: kafkaConnection(config),
    sinkGroupId: groupOf(config, 'sink'),
    partitions: await countPartitions(config, logger),
    users,
    logger,
    metrics,
    clock,
    onFatal: failure.report,
  };
  const codecs = { raw: await openCodec(TOPICS.rawTuicallkit, registry), deadLetter: await openCodec(TOPICS.deadLetters, registry) };
  const call = await openCodec(TOPICS.calls, registry);
  const calls = new SessionsWorker({
    ...common,
    groupId: groupOf(config, 'sessions'),
    faultPoint: faultPointOf('sessions', fault),
    settings: {
      ...config.sessions,
      maxCallsPerTask: DEFAULT_MAX_CALLS_PER_TASK,
      hasRecordsApi: (appId) => withRecords.has(appId),
      hasMediaApi: (appId) => withMedia.has(appId),
      userEvents: config.polling.userEvents,
      recordSample: config.polling.recordSample,
    },
    codecs: { ...codecs, call, task: await openCodec(TOPICS.tasks, registry) },
    lookup: jointly((keys) => lookupCalls(clickhouse, keys)),
  });
  const recordings = new RecordingsWorker({
    ...common,
    groupId: groupOf(config, 'recordings'),
    faultPoint: faultPointOf('recordings', fault),
    retention: config.sessions.retention,
    codecs: { ...codecs, recording: await openCodec(TOPICS.recordings, registry) },
    lookup: jointly((keys) => lookupRecordings(clickhouse, keys)),
  });
  const channels = new ChannelsWorker({
    ...common,
    groupId: groupOf(config, 'channels'),
    faultPoint: faultPointOf('channels', fault),
    settings: config.sessions,
    codecs: { ...codecs, call },
    lookup: jointly((keys, from) => lookupChannels(clickhouse, keys, from)),
  });
  return startWorkers([calls, recordings, channels], failure, async () => {
    await Promise.all([close(), clickhouse.close()]);
  });
}

/** Raw records into canonical events, and dead letters for what cannot be read. */
async function events({ config, logger, metrics, clock, fault }: RoleContext): Promise<RunningRole> {
  const registry = openRegistry(config);
  const failure = new Failure();
  const { users, close } = await openUsers({ config, registry, logger, clock, groupId: groupOf(config, 'events') });
  const worker = createEventsWorker({
    kafka: kafkaConnection(config),
    groupId: groupOf(config, 'events'),
    faultPoint: faultPointOf('events', fault),
    codecs: {
      raw: await openCodec(TOPICS.rawTuicallkit, registry),
      callEvent: await openCodec(TOPICS.callEvents, registry),
      deadLetter: await openCodec(TOPICS.deadLetters, registry),
    },
    users,
    logger,
    metrics,
    clock,
    onFatal: failure.report,
  });
  return startWorkers([worker], failure, close);
}

/** Calls, recordings, events and dead letters into ClickHouse, and the rollups. */
async function sink({ config, logger, metrics, fault }: RoleContext): Promise<RunningRole> {
  const registry = openRegistry(config);
  const clickhouse = openClickHouse(config);
  const failure = new Failure();
  const worker = new Sink({
    kafka: kafkaConnection(config),
    groupId: groupOf(config, 'sink'),
    clickhouse,
    codecs: {
      call: await openCodec(TOPICS.calls, registry),
      recording: await openCodec(TOPICS.recordings, registry),
      callEvent: await openCodec(TOPICS.callEvents, registry),
      deadLetter: await openCodec(TOPICS.deadLetters, registry),
      alert: await openCodec(TOPICS.alerts, registry),
    },
    keepCallsMs: config.retention.calls,
    logger,
    metrics,
    onFatal: failure.report,
    fault,
  });
  return startWorkers([worker], failure, () => clickhouse.close());
}

/** Query API and dashboard. */
async function api({ config, logger, metrics, clock }: RoleContext): Promise<RunningRole> {
  const clickhouse = openClickHouseReader(config);
  const { desk, close } = openAlertDesk(config, clickhouse, { logger, clock });
  const running = await startApi(
    {
      host: config.api.host,
      port: config.api.port,
      tokenHash: config.api.tokenHash,
      admins: config.api.admins,
      apps: config.apps.map((app) => ({ provider: app.provider, app_id: app.appId })),
    },
    { query: (sql, params) => clickhouse.query(sql, params), alerts: desk, clock, log: logger, metrics },
  );
  logger.info({ address: running.address }, 'serving the dashboard');
  return {
    ready: async () => readyUnless((await clickhouse.ping()) ? [] : ['ClickHouse does not answer']),
    failed: NEVER,
    stop: async () => {
      await running.stop();
      await close();
      await clickhouse.close();
    },
  };
}

/** Judges the rules, one process at a time, and tells the receivers of webhooks. */
async function alerts(context: RoleContext): Promise<RunningRole> {
  const failure = new Failure();
  const clickhouse = openClickHouseReader(context.config);
  const { worker, close } = await createAlerts(context, clickhouse, openRegistry(context.config), version(), failure.report);
  return startWorkers([worker], failure, async () => {
    await close();
    await clickhouse.close();
  });
}

/** The first report of a worker that cannot go on. */
class Failure {
  #resolve: (reason: unknown) => void = () => {};
  readonly happened = new Promise<unknown>((resolve) => {
    this.#resolve = resolve;
  });
  readonly report = (reason: unknown): void => this.#resolve(reason);
}

interface Worker {
  start(): Promise<void>;
  stop(): Promise<void>;
  problems(): string[];
}

/** @param close what is the role's own, once the workers have stopped */
async function startWorkers(
  workers: readonly Worker[],
  failure: Failure,
  close: () => Promise<void> = async () => {},
): Promise<RunningRole> {
  await Promise.all(workers.map((worker) => worker.start()));
  return {
    ready: () => readyUnless(workers.flatMap((worker) => worker.problems())),
    failed: failure.happened,
    stop: async () => {
      await Promise.all(workers.map((worker) => worker.stop()));
      await close();
    },
  };
}

const readyUnless = (problems: string[]): Readiness => ({ ok: problems.length === 0, problems });
