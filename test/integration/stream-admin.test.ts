import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { TOPICS } from '../../src/codec/topics.js';
import { TopicAdmin, WANTED_OFFSETS_RETENTION_MINUTES } from '../../src/stream/admin.js';
import { StreamWorker } from '../../src/stream/worker.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { type Broker, Scene, startBroker } from './stream-kit.js';

const groups = { sessions: 'callstream-sessions', events: 'callstream-events', sink: 'callstream-sink' };
let broker: Broker;
let admin: TopicAdmin;
beforeAll(async () => {
  broker = await startBroker();
  admin = new TopicAdmin({ kafka: { brokers: [broker.address] }, logger: silentLogger() });
});
afterAll(async () => {
  await admin?.close();
  await broker?.stop();
});

/** Settings of a topic that are not the broker's defaults. */
async function settingsOf(topic: string): Promise<Record<string, string>> {
  const client = broker.kafka.admin();
  await client.connect();
  const { resources } = await client.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic }] });
  await client.disconnect();
  return Object.fromEntries((resources[0]?.configEntries ?? []).filter((e) => !e.isDefault).map((e) => [e.configName, e.configValue]));
}

describe('migrate', () => {
  it('creates the topics of the contract with their settings, once', async () => {
    const all = Object.values(TOPICS).map(({ name }) => name);
    const { created } = await admin.migrate({ partitions: 4, groups });
    expect(created.sort()).toEqual([...all].sort());
    expect(await settingsOf(TOPICS.calls.name)).toMatchObject({
      'cleanup.policy': 'compact,delete',
      'retention.ms': String(30 * 86_400_000),
      'min.compaction.lag.ms': String(7 * 86_400_000),
      'unclean.leader.election.enable': 'false',
    });
    expect(await settingsOf(TOPICS.rawTuicallkit.name)).toMatchObject({ 'message.timestamp.type': 'LogAppendTime' });
    const counts = await admin.partitionCounts(all);
    expect(counts.get(TOPICS.recordings.name)).toBe(4);
    expect(counts.get(TOPICS.calls.name)).toBe(8);
    expect(counts.get(TOPICS.deadLetters.name)).toBe(16);

    expect(await admin.migrate({ partitions: 4, groups })).toEqual({ created: [], altered: [] });
  });

  it('brings a setting back and keeps settings of others', async () => {
    const client = broker.kafka.admin();
    await client.connect();
    await client.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: 2,
          name: TOPICS.tasks.name,
          configEntries: [
            { name: 'retention.ms', value: '5' },
            { name: 'segment.ms', value: '60000' },
          ],
        },
      ],
    });
    await client.disconnect();
    expect((await admin.migrate({ partitions: 4, groups })).altered).toEqual([TOPICS.tasks.name]);
    expect(await settingsOf(TOPICS.tasks.name)).toMatchObject({ 'retention.ms': String(14 * 86_400_000), 'segment.ms': '60000' });
  });

  it('adds what an earlier version had fewer of: partitions of topics that no task has for its input', async () => {
    const older = { [TOPICS.calls.name]: 4, [TOPICS.deadLetters.name]: 12 };
    const names = Object.keys(older);
    const client = broker.kafka.admin();
    await client.connect();
    await client.deleteTopics({ topics: names });
    await vi.waitFor(async () => expect(await client.listTopics()).not.toEqual(expect.arrayContaining(names)), { timeout: 30_000 });
    await client.createTopics({ topics: Object.entries(older).map(([topic, numPartitions]) => ({ topic, numPartitions })) });
    await client.disconnect();
    expect((await admin.migrate({ partitions: 4, groups })).altered.sort()).toEqual([...names].sort());
    const grown = new Map([
      [TOPICS.calls.name, 8],
      [TOPICS.deadLetters.name, 16],
    ]);
    await vi.waitFor(async () => expect(await admin.partitionCounts(names)).toEqual(grown), { timeout: 30_000 });
    expect(await admin.migrate({ partitions: 4, groups })).toEqual({ created: [], altered: [] });
  });

  it('refuses another partition count', async () => {
    await expect(admin.migrate({ partitions: 8, groups })).rejects.toMatchObject({ code: 'STREAM_PARTITIONS_CHANGED' });
  });

  it('refuses another group, and so does a worker', async () => {
    const other = { ...groups, sessions: 'elsewhere-sessions' };
    await expect(admin.migrate({ partitions: 4, groups: other })).rejects.toMatchObject({ code: 'STREAM_GROUP_CHANGED' });
    const topics = { inputs: [TOPICS.rawTuicallkit.name], outputTopic: TOPICS.callEvents.name };
    const worker = new StreamWorker({ ...new Scene(broker).options(), ...topics, name: 'events', groupId: 'elsewhere-events' });
    await expect(worker.start()).rejects.toMatchObject({ code: 'STREAM_GROUP_CHANGED' });
    await worker.stop();
  });

  it('tells how long the broker keeps offsets, where logs end, and the lag of a group', async () => {
    expect(await admin.offsetsRetentionMinutes()).toBeGreaterThan(WANTED_OFFSETS_RETENTION_MINUTES);
    expect(await admin.ranges(TOPICS.calls.name)).toEqual(Array.from({ length: 8 }, () => ({ low: 0, end: 0 })));
    expect(await admin.lag('callstream-sink', [TOPICS.calls.name])).toEqual(new Map([[TOPICS.calls.name, 0]]));
  });
});
