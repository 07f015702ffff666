// One ingest process, to be killed: `node ingest-child.mjs OPTIONS`, with { brokers, spoolDir, topic, app, partitions, killAt } as JSON.
// killAt { point, after }: the process kills itself when it has passed the fault point that many times.
// Prints the port when it listens.
const dist = new URL('../../dist/', import.meta.url);
const load = (path) => import(new URL(path, dist).href);
const { startIngest, kafkaOutlet } = await load('ingest/index.js');
const { tuicallkit } = await load('sources/tuicallkit.js');
const { DurableProducer } = await load('stream/durable-producer.js');
const { localCodec } = await load('codec/codec.js');
const { createMetrics } = await load('telemetry/metrics.js');
const { silentLogger } = await load('telemetry/log.js');

const { brokers, spoolDir, topic, app, partitions, killAt } = JSON.parse(process.argv[2]);
const producer = new DurableProducer({ kafka: { brokers }, logger: silentLogger() });
let passed = 0;
const ingest = await startIngest(
  {
    host: '127.0.0.1',
    port: 0,
    apps: [{ provider: 'tencent', appId: app }],
    truncateClientIp: true,
    spoolDir,
    spool: { segmentBytes: 20_000 },
    road: { sendTimeoutMs: 500 },
  },
  {
    sources: [tuicallkit.webhook],
    connect: async () => {
      await producer.connect();
      return kafkaOutlet({ producer, codecs: new Map([[topic.name, localCodec(topic)]]), partitions });
    },
    metrics: createMetrics(),
    log: silentLogger(),
    fault: (point) => {
      if (point === killAt?.point && ++passed === killAt.after) process.kill(process.pid, 'SIGKILL');
    },
  },
);
console.log(ingest.port);
process.on('SIGTERM', async () => {
  await ingest.close();
  await producer.close();
  process.exit(0);
});
