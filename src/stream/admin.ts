import { setTimeout as delay } from 'node:timers/promises';
import type { Admin, IResourceConfig, ITopicConfig } from 'kafkajs';
import { TOPICS, type TopicSpec } from '../codec/topics.js';
import { CallstreamError } from '../domain/errors.js';
import type { Logger } from '../telemetry/log.js';
import { connecting, createClients, type KafkaClients, type KafkaConnection } from './client.js';
import { checkGroup, type Installation, readInstallation, writeInstallation } from './installation.js';
import { ConfigResourceTypes } from './kafkajs.js';
import { type LogRange, OffsetReader } from './offsets.js';
import { Backoff } from './wait.js';

export interface TopicAdminOptions {
  kafka: KafkaConnection;
  logger: Logger;
}

export interface MigrateOptions {
  /** Tasks per worker: fixed once chosen. */
  partitions: number;
  /** Consumer group of each worker by its name (sessions, events, sink): fixed once chosen. */
  groups: Readonly<Record<string, string>>;
  /** Default: all of contract.md §4. */
  topics?: readonly TopicSpec[];
}

export interface MigrateResult {
  created: string[];
  /** Given other settings, or more partitions. */
  altered: string[];
}

/** Call records, dead letters and raw bodies are larger than the broker's default of 1 MB only in odd cases; those must not stop a task. */
const MAX_MESSAGE_BYTES = 8_388_608;
const SETTINGS_KNOWN_IN_MS = 10_000;
/** Where offsets of a group without members are forgotten sooner, a worker that was off for long has lost its place. */
export const WANTED_OFFSETS_RETENTION_MINUTES = 15 * 24 * 60;

/** Topics, and what the brokers know about groups: for `migrate`, `doctor`, readiness and `--verify`. */
export class TopicAdmin {
  readonly offsets: OffsetReader;
  readonly #clients: KafkaClients;
  readonly #admin: Admin;
  #connected: Promise<void> | null = null;

  constructor({ kafka, logger }: TopicAdminOptions) {
    this.#clients = createClients(kafka, logger);
    this.#admin = this.#clients.consumers.admin();
    this.offsets = new OffsetReader(this.#clients);
  }

  /**
   * Creates what is missing and brings settings up to date; idempotent.
   * @throws CallstreamError STREAM_PARTITIONS_CHANGED, STREAM_GROUP_CHANGED: calls would be torn apart, or read again from the start
   */
  async migrate({ partitions, groups, topics = Object.values(TOPICS) }: MigrateOptions): Promise<MigrateResult> {
    await this.#connect();
    const existing = new Set(await this.#admin.listTopics());
    const present = topics.filter(({ name }) => existing.has(name));
    const stored = present[0] === undefined ? null : await readInstallation(this.offsets, present[0].name);
    if (stored !== null) checkInstallation(stored, partitions, groups);
    const growing = await this.#checkPartitions(present, partitions);

    const brokers = (await this.#admin.describeCluster()).brokers.length;
    const replicated = brokers >= 3;
    const missing = topics.filter(({ name }) => !existing.has(name));
    if (missing.length > 0) {
      await this.#admin.createTopics({
        waitForLeaders: false,
        topics: missing.map((spec) => newTopic(spec, partitions * spec.partitionFactor, replicated)),
      });
    }
    await this.#untilKnown(missing);
    await this.#grow(growing, partitions);
    const altered = await this.#alter(present, replicated);
    const installation: Installation = { v: 1, partitions, groups: { ...stored?.groups, ...groups } };
    await writeInstallation(
      this.#clients,
      installation,
      topics.map(({ name }) => name),
    );
    return { created: missing.map(({ name }) => name), altered: [...new Set([...growing.map(({ name }) => name), ...altered])] };
  }

  /** What `migrate` has stored; null: nothing. */
  async installation(): Promise<Installation | null> {
    return readInstallation(this.offsets, TOPICS.calls.name);
  }

  /** Partition counts of the topics that exist. */
  async partitionCounts(topics: readonly string[]): Promise<Map<string, number>> {
    await this.#connect();
    const existing = new Set(await this.#admin.listTopics());
    const { topics: found } = await this.#admin.fetchTopicMetadata({ topics: topics.filter((t) => existing.has(t)) });
    return new Map(found.map(({ name, partitions }) => [name, partitions.length]));
  }

  /** Where the log of each partition starts and ends. */
  ranges(topic: string): Promise<LogRange[]> {
    return this.offsets.ranges(topic);
  }

  /** Records not yet committed by a group, by topic. */
  lag(groupId: string, topics: readonly string[]): Promise<Map<string, number>> {
    return this.offsets.lag(groupId, topics);
  }

  /** How long the brokers keep offsets of a group without members, in minutes. @see WANTED_OFFSETS_RETENTION_MINUTES */
  async offsetsRetentionMinutes(): Promise<number> {
    await this.#connect();
    const { brokers, controller } = await this.#admin.describeCluster();
    const name = String(brokers[0]?.nodeId ?? controller ?? 0);
    const { resources } = await this.#admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.BROKER, name, configNames: ['offsets.retention.minutes'] }],
    });
    return Number(resources[0]?.configEntries[0]?.configValue);
  }

  /** How long records stay, by topic, as the brokers have it: `retentionMs` after its last record a segment goes, which takes records for `segmentMs`. */
  async keeps(topics: readonly string[]): Promise<Map<string, { retentionMs: number; segmentMs: number }>> {
    await this.#connect();
    const { resources } = await this.#admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map((name) => ({ type: ConfigResourceTypes.TOPIC, name, configNames: ['retention.ms', 'segment.ms'] })),
    });
    return new Map(
      resources.map(({ resourceName, configEntries }) => {
        const of = (name: string): number => Number(configEntries.find((entry) => entry.configName === name)?.configValue);
        return [resourceName, { retentionMs: of('retention.ms'), segmentMs: of('segment.ms') }];
      }),
    );
  }

  async close(): Promise<void> {
    await this.offsets.close();
    if (this.#connected !== null) await this.#admin.disconnect();
  }

  /** A broker learns of new topics with a delay; kafkajs's own wait ends with an error when it asks too soon. */
  async #untilKnown(created: readonly TopicSpec[]): Promise<void> {
    await Promise.all(created.map(({ name }) => this.offsets.ranges(name)));
  }

  /** Returns the topics that have too few partitions and may have more: an earlier version had fewer workers that write them. */
  async #checkPartitions(present: readonly TopicSpec[], partitions: number): Promise<TopicSpec[]> {
    const counts = await this.partitionCounts(present.map(({ name }) => name));
    const growing: TopicSpec[] = [];
    for (const spec of present) {
      const { name, partitionFactor } = spec;
      const count = counts.get(name) ?? 0;
      if (mayHaveMore(spec, count, partitions)) growing.push(spec);
      else if (count !== partitions * partitionFactor) {
        throw new CallstreamError(
          'STREAM_PARTITIONS_CHANGED',
          `Topic ${name} has ${count} partitions; ${partitions * partitionFactor} are wanted. The count is fixed at creation: a call would be in two places.`,
        );
      }
    }
    return growing;
  }

  async #grow(topics: readonly TopicSpec[], partitions: number): Promise<void> {
    if (topics.length === 0) return;
    const topicPartitions = topics.map((spec) => ({ topic: spec.name, count: partitions * spec.partitionFactor }));
    await this.#admin.createPartitions({ topicPartitions });
    await this.#untilKnown(topics);
  }

  /** Returns when the brokers tell the new settings. */
  async #alter(present: readonly TopicSpec[], replicated: boolean): Promise<string[]> {
    const resources = await this.#differing(present, replicated);
    if (resources.length === 0) return [];
    await this.#admin.alterConfigs({ validateOnly: false, resources });
    const names = resources.map(({ name }) => name);
    // A broker learns of settings with a delay, as of topics.
    const backoff = new Backoff(20, 500);
    const began = performance.now();
    while ((await this.#differing(present, replicated)).length > 0) {
      if (performance.now() - began > SETTINGS_KNOWN_IN_MS) {
        this.#clients.logger.warn({ topics: names }, 'the brokers have taken settings of topics and still tell others');
        break;
      }
      await delay(backoff.next());
    }
    return names;
  }

  /** The settings of ours that differ; settings of others on the topic are kept (kafkajs's request replaces all of a topic). */
  async #differing(present: readonly TopicSpec[], replicated: boolean): Promise<IResourceConfig[]> {
    if (present.length === 0) return [];
    const { resources } = await this.#admin.describeConfigs({
      includeSynonyms: false,
      resources: present.map(({ name }) => ({ type: ConfigResourceTypes.TOPIC, name })),
    });
    const changes: IResourceConfig[] = [];
    for (const spec of present) {
      const entries = resources.find((r) => r.resourceName === spec.name)?.configEntries ?? [];
      const now = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
      const wanted = Object.entries(settings(spec, replicated));
      if (wanted.every(([name, value]) => now.get(name) === value)) continue;
      const own = new Map(entries.filter(({ isDefault }) => !isDefault).map(({ configName, configValue }) => [configName, configValue]));
      for (const [name, value] of wanted) own.set(name, value);
      changes.push({
        type: ConfigResourceTypes.TOPIC,
        name: spec.name,
        configEntries: [...own].map(([name, value]) => ({ name, value })),
      });
    }
    return changes;
  }

  #connect(): Promise<void> {
    this.#connected ??= connecting(this.#admin.connect()).catch((error: unknown) => {
      this.#connected = null;
      throw error;
    });
    return this.#connected;
  }
}

/** Whether a topic that has `count` partitions lacks only the shares of workers that an earlier version did not have: `migrate` adds them. */
export const mayHaveMore = ({ partitionFactor }: TopicSpec, count: number, partitions: number): boolean =>
  partitionFactor > 1 && count < partitions * partitionFactor && count % partitions === 0;

/** @throws CallstreamError STREAM_PARTITIONS_CHANGED, STREAM_GROUP_CHANGED */
function checkInstallation(stored: Installation, partitions: number, groups: Readonly<Record<string, string>>): void {
  if (stored.partitions !== partitions) {
    throw new CallstreamError(
      'STREAM_PARTITIONS_CHANGED',
      `These topics were made for ${stored.partitions} partitions; ${partitions} are configured.`,
    );
  }
  for (const [name, group] of Object.entries(groups)) checkGroup(stored, name, group);
}

function settings(spec: TopicSpec, replicated: boolean): Record<string, string> {
  return {
    'cleanup.policy': spec.cleanup,
    'retention.ms': String(spec.retentionMs ?? -1),
    'retention.bytes': '-1',
    'max.message.bytes': String(MAX_MESSAGE_BYTES),
    'unclean.leader.election.enable': 'false',
    ...(spec.appendTime ? { 'message.timestamp.type': 'LogAppendTime' } : {}),
    ...(spec.minCompactionLagMs === undefined ? {} : { 'min.compaction.lag.ms': String(spec.minCompactionLagMs) }),
    ...(replicated ? { 'min.insync.replicas': '2' } : {}),
  };
}

function newTopic(spec: TopicSpec, numPartitions: number, replicated: boolean): ITopicConfig {
  return {
    topic: spec.name,
    numPartitions,
    replicationFactor: replicated ? 3 : 1,
    configEntries: Object.entries(settings(spec, replicated)).map(([name, value]) => ({ name, value })),
  };
}
