import { randomUUID } from 'node:crypto';
import { hasTables, migrateClickHouse, noteLoss } from '../clickhouse/index.js';
import { TOPICS } from '../codec/topics.js';
import { type Config, PARTITIONS } from '../config/index.js';
import { TopicAdmin } from '../stream/admin.js';
import { systemClock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import { SINK_TOPICS } from '../workers/sink/intake.js';
import { groupOf, kafkaConnection, openClickHouse, openRegistry, WORKERS } from './parts.js';

export interface MigrateOptions {
  /** A Kafka that `up` has started: few partitions. */
  embeddedKafka: boolean;
  logger: Logger;
  /** Told before each step. */
  onStep?: (step: string) => void;
}

export interface Migrated {
  topics: { total: number; created: string[]; altered: string[] };
  partitions: number;
  schemas: number;
  /** Files that were applied now. */
  tables: string[];
  /** There were no tables, and the sink has stored records before. */
  lost: boolean;
}

/**
 * Creates or upgrades topics, schemas and tables; idempotent. ClickHouse comes last: it only holds what the others carry.
 * @throws CallstreamError STREAM_PARTITIONS_CHANGED, STREAM_GROUP_CHANGED, SCHEMA_INCOMPATIBLE, REGISTRY_UNAVAILABLE, CLICKHOUSE_…; Kafka's errors
 */
export async function migrateAll(config: Config, { embeddedKafka, logger, onStep = () => {} }: MigrateOptions): Promise<Migrated> {
  const specs = Object.values(TOPICS);
  onStep(`topics on ${config.kafka.brokers.join(', ')}`);
  const admin = new TopicAdmin({ kafka: kafkaConnection(config), logger });
  const { partitions, topics } = await (async () => {
    try {
      const partitions =
        config.kafka.partitions ?? (await existingPartitions(admin)) ?? PARTITIONS[embeddedKafka ? 'embedded' : 'elsewhere'];
      const groups = Object.fromEntries(WORKERS.map((worker) => [worker, groupOf(config, worker)]));
      return { partitions, topics: await admin.migrate({ partitions, groups }) };
    } finally {
      await admin.close();
    }
  })();
  onStep(`schemas in ${config.registry.url}`);
  const registry = openRegistry(config);
  for (const spec of specs) await registry.register(spec);
  onStep(`tables in ${config.clickhouse.url}, database ${config.clickhouse.database}`);
  const clickhouse = openClickHouse(config);
  try {
    const lost = !(await hasTables(clickhouse)) && (await hasStored(config, logger));
    if (lost) await noteLoss(clickhouse, randomUUID(), systemClock.now());
    const tables = await migrateClickHouse(clickhouse, { retention: config.retention });
    return { topics: { total: specs.length, ...topics }, partitions, schemas: specs.length, tables, lost };
  } finally {
    await clickhouse.close();
  }
}

/** Whether the sink will not read again what the topics hold. */
async function hasStored(config: Config, logger: Logger): Promise<boolean> {
  const admin = new TopicAdmin({ kafka: kafkaConnection(config), logger });
  try {
    const committed = await admin.offsets.committed(groupOf(config, 'sink'), SINK_TOPICS);
    const ranges = await Promise.all(SINK_TOPICS.map(async (topic) => ({ topic, logs: await admin.ranges(topic) })));
    return ranges.some(({ topic, logs }) => logs.some(({ low }, p) => (committed.get(topic)?.[p]?.offset ?? 0) > low));
  } finally {
    await admin.close();
  }
}

/** The count is fixed at creation: a configuration that names none takes what is there. */
async function existingPartitions(admin: TopicAdmin): Promise<number | undefined> {
  return (await admin.partitionCounts([TOPICS.rawTuicallkit.name])).get(TOPICS.rawTuicallkit.name);
}

/** `10 topics of 4 partitions (all new), 10 schemas, tables up to date` */
export function describeMigrated({ topics, partitions, schemas, tables, lost }: Migrated): string {
  const changes = [
    ...(topics.created.length === 0 ? [] : [topics.created.length === topics.total ? 'all new' : `${topics.created.length} new`]),
    ...(topics.altered.length === 0 ? [] : [`settings of ${topics.altered.length} changed`]),
  ];
  return [
    `${topics.total} topics of ${partitions} partitions${changes.length === 0 ? '' : ` (${changes.join(', ')})`}`,
    `${schemas} schemas`,
    tables.length === 0 ? 'tables up to date' : `tables: ${tables.join(', ')} applied`,
    ...(lost ? ['the database is new, and lacks what was stored before: run callstream rebuild'] : []),
  ].join('; ');
}
