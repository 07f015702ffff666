// One poller, to be killed: `node poll-child.mjs OPTIONS`, with { brokers, groupId, app, settings, timing, partitions } as JSON.
// Prints `active` or `standby` whenever it becomes so.
const dist = new URL('../../dist/', import.meta.url);
const load = (path) => import(new URL(path, dist).href);
const { Poller } = await load('poll/index.js');
const { systemChance } = await load('telemetry/chance.js');
const { POLLED_SOURCES } = await load('sources/registry.js');
const { DurableProducer } = await load('stream/durable-producer.js');
const { localCodec } = await load('codec/codec.js');
const { TOPICS } = await load('codec/topics.js');
const { createMetrics } = await load('telemetry/metrics.js');
const { silentLogger } = await load('telemetry/log.js');
const { systemClock } = await load('telemetry/clock.js');
const { parseConfig } = await load('config/index.js');
const { readCursors } = await load('cli/poll-parts.js');

const { brokers, groupId, app, settings, timing, partitions } = JSON.parse(process.argv[2]);
const kafka = { brokers };
const { config } = parseConfig('apps: [{ provider: tencent, appId: "1" }]', { KAFKA_BROKERS: brokers.join(',') });
const logger = silentLogger();
const producer = new DurableProducer({ kafka, logger });
const metrics = createMetrics();
const cursor = localCodec(TOPICS.pollCursors);
metrics.callstream_poll_active.set = (value) => console.log(value === 1 ? 'active' : 'standby');
const poller = new Poller({
  kafka,
  groupId,
  apps: [app],
  sources: POLLED_SOURCES,
  settings,
  codecs: {
    raw: new Map([TOPICS.rawCallRecord, TOPICS.rawUserEvent].map((topic) => [topic.name, localCodec(topic)])),
    task: localCodec(TOPICS.tasks),
    cursor,
  },
  partitions,
  producer,
  readCursors: () => readCursors(config, cursor, logger),
  clock: systemClock,
  chance: systemChance,
  logger,
  metrics,
  onFatal: (error) => {
    console.error(error);
    process.exit(1);
  },
  timing,
  sessionTimeoutMs: 6_000,
  heartbeatMs: 200,
});
await poller.start();
process.on('SIGTERM', async () => {
  await poller.stop();
  await producer.close();
  process.exit(0);
});
