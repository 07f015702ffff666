/** Connections made from the configuration, for roles and commands alike. */
import { ClickHouse } from '../clickhouse/client.js';
import { SchemaRegistry } from '../codec/registry.js';
import { TOPICS } from '../codec/topics.js';
import { type Config, LOOPBACK } from '../config/index.js';
import { CallstreamError } from '../domain/errors.js';
import { SOURCES, topicsAbout } from '../sources/registry.js';
import { TopicAdmin } from '../stream/admin.js';
import type { KafkaConnection } from '../stream/client.js';
import { DurableProducer } from '../stream/durable-producer.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SINK_TOPICS } from '../workers/sink/intake.js';

/** The raw topics that sources of this version write. */
export const RAW_TOPICS = SOURCES.map((source) => source.topic);

/** Workers that are consumer groups, and the topics that each reads. */
export const INPUTS = {
  sessions: [...topicsAbout('call'), TOPICS.rawLate.name],
  recordings: topicsAbout('recording'),
  channels: topicsAbout('channel'),
  events: RAW_TOPICS,
  sink: SINK_TOPICS,
  poll: [TOPICS.tasks.name],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Worker = keyof typeof INPUTS;
export const WORKERS = Object.keys(INPUTS) as Worker[];
/** Those that work in transactions: one task per partition. */
export const STREAM_WORKERS = ['sessions', 'recordings', 'channels', 'events'] as const satisfies readonly Worker[];

export const groupOf = (config: Config, worker: Worker): string => `${config.kafka.groupPrefix}-${worker}`;

/** The address to call a server that listens on `host`: every address means this one too. */
export const reachable = (host: string): string => {
  const own = host === '0.0.0.0' || host === '::' ? LOOPBACK : host;
  return own.includes(':') ? `[${own}]` : own;
};

export const kafkaConnection = ({ kafka }: Config): KafkaConnection => ({
  brokers: kafka.brokers,
  clientId: kafka.groupPrefix,
  ssl: kafka.ssl,
  ...(kafka.sasl === undefined ? {} : { sasl: kafka.sasl }),
});

export const openRegistry = ({ registry }: Config): SchemaRegistry =>
  new SchemaRegistry({
    url: registry.url,
    ...(registry.username === undefined ? {} : { username: registry.username }),
    ...(registry.password === undefined ? {} : { password: registry.password }),
  });

export const openClickHouse = ({ clickhouse }: Config): ClickHouse => new ClickHouse({ ...clickhouse });

/** For the query API: nothing that it is asked can change anything, or take for ever. */
export const openClickHouseReader = ({ clickhouse }: Config): ClickHouse => new ClickHouse({ ...clickhouse, readOnly: true });

/** @param metrics absent in commands, which nobody scrapes */
export const openProducer = (config: Config, logger: Logger, metrics?: Metrics): DurableProducer =>
  new DurableProducer({
    kafka: kafkaConnection(config),
    logger,
    ...(metrics === undefined ? {} : { onRenewal: (reason) => metrics.callstream_ingest_producer_renewals_total.inc({ reason }) }),
  });

/** Partitions of the raw topics, equal for all. @throws CallstreamError TOPICS_MISSING */
export async function countPartitions(config: Config, logger: Logger): Promise<number> {
  const admin = new TopicAdmin({ kafka: kafkaConnection(config), logger });
  try {
    const counts = await admin.partitionCounts(RAW_TOPICS);
    const missing = RAW_TOPICS.filter((topic) => !counts.has(topic));
    if (missing.length > 0) throw new CallstreamError('TOPICS_MISSING', `Kafka has no topic ${missing.join(', ')}: run callstream migrate`);
    return counts.get(RAW_TOPICS[0] ?? '') ?? 0;
  } finally {
    await admin.close();
  }
}
