import { expect, it, vi } from 'vitest';
import { type Gap, Gaps } from '../../src/cli/doctor/gap.js';
import { TOPICS } from '../../src/codec/topics.js';
import { parseConfig } from '../../src/config/index.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { createClients } from '../../src/stream/client.js';
import { encodeMeta } from '../../src/stream/task-meta.js';
import { TaskProducer } from '../../src/stream/task-producer.js';
import type { TaskMeta } from '../../src/stream/types.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { useStack } from '../support/stack.js';

const servers = useStack(['kafka']);
const GROUP = 'callstream-sessions';
const CHANNELS = 'callstream-channels';
const RAW = TOPICS.rawTuicallkit.name;

it('finds the gap of a task, says what is lost, and lets it go on with a state rebuilt from the calls topic', async () => {
  const kafka = { brokers: servers.brokers };
  const logger = silentLogger();
  const { config } = parseConfig('apps: [{ provider: tencent, appId: "1" }]', { KAFKA_BROKERS: servers.brokers.join(',') });
  const admin = new TopicAdmin({ kafka, logger });
  await admin.migrate({ partitions: 2, groups: { sessions: GROUP, events: 'callstream-events' } });

  // Leaders of new topics are elected a moment after the answer.
  await vi.waitFor(async () => {
    for (const { name } of Object.values(TOPICS)) await admin.ranges(name);
  }, 30_000);

  // Task 1 has processed 7 inputs, and published 2 calls, of which the log has one only.
  const producer = await TaskProducer.fence({
    clients: createClients(kafka, logger),
    transactionalId: `${GROUP}-1`,
    transactionTimeoutMs: 10_000,
  });
  const meta: TaskMeta = { v: 1, streamTime: 1_000, horizon: null, restoreFrom: 0, lastOutput: 9, partitions: 2, group: GROUP };
  await producer.transact({
    outputs: [{ topic: TOPICS.calls.name, partition: 1, key: 'k', value: Buffer.from('v') }],
    outputTopic: TOPICS.calls.name,
    outputPartition: 1,
    groupId: GROUP,
    offsets: () => [RAW, TOPICS.calls.name].map((topic) => ({ topic, partition: 1, offset: 7, metadata: encodeMeta(meta) })),
    fault: () => {},
  });
  producer.close();
  const other = await TaskProducer.fence({
    clients: createClients(kafka, logger),
    transactionalId: `${CHANNELS}-1`,
    transactionTimeoutMs: 10_000,
  });
  await other.transact({
    outputs: [{ topic: TOPICS.calls.name, partition: 3, key: 'k', value: Buffer.from('v') }],
    outputTopic: TOPICS.calls.name,
    outputPartition: 3,
    groupId: CHANNELS,
    offsets: () => [{ topic: TOPICS.calls.name, partition: 3, offset: 1, metadata: encodeMeta({ ...meta, group: CHANNELS }) }],
    fault: () => {},
  });
  other.close();

  const gaps = new Gaps(config, logger);
  try {
    const places = (await gaps.find()).map((g) => [g.worker, g.topic, g.partition]);
    expect(places).toEqual([
      ['sessions', RAW, 1],
      ['sessions', TOPICS.calls.name, 1],
      ['channels', TOPICS.calls.name, 3],
    ]);
    await expect(gaps.accept(RAW, 0, 5_000)).rejects.toMatchObject({ code: 'GAP_NOT_FOUND', message: expect.stringContaining(`${RAW} 1`) });

    const lost = await gaps.accept(RAW, 1, 5_000);
    expect(lost[0]?.lost).toBe('7 inputs that were processed are gone from the log; their results are kept');
    expect((await gaps.find()).map((g) => [g.worker, g.partition])).toEqual([['channels', 3]]);
    // The channels worker's task 1 writes the second share of the calls topic.
    const [own] = await gaps.accept(TOPICS.calls.name, 3, 5_000);
    expect(own).toMatchObject({
      worker: 'channels',
      topic: TOPICS.calls.name,
      partition: 3,
      lost: '8 published records are gone from the log',
    });
    expect(await gaps.find()).toEqual([]);
    const channels = await admin.offsets.committed(CHANNELS, [TOPICS.rawAliyunRtc.name, TOPICS.calls.name]);
    for (const [topic, partition] of [
      [TOPICS.rawAliyunRtc.name, 1],
      [TOPICS.calls.name, 3],
    ] as const)
      expect(JSON.parse(channels.get(topic)?.[partition]?.metadata ?? '')).toMatchObject({ horizon: 5_000, restoreFrom: 0, lastOutput: 1 });
    const [committed, ranges] = [await admin.offsets.committed(GROUP, [RAW]), await admin.ranges(TOPICS.calls.name)];
    expect(committed.get(RAW)?.[1]?.offset).toBe(0);
    expect(JSON.parse(committed.get(RAW)?.[1]?.metadata ?? '')).toEqual({
      ...meta,
      horizon: 5_000,
      restoreFrom: 0,
      lastOutput: (ranges[1]?.end ?? 0) - 1,
    });

    // Task 0 of sessions and of events have published what no commit knows; task 1 of events only what was aborted.
    for (const [worker, output, partition, isKept] of [
      ['sessions', TOPICS.calls.name, 0, true],
      ['events', TOPICS.callEvents.name, 0, true],
      ['events', TOPICS.callEvents.name, 1, false],
    ] as const) {
      const group = `callstream-${worker}`;
      const task = await TaskProducer.fence({
        clients: createClients(kafka, logger),
        transactionalId: `${group}-${partition}`,
        transactionTimeoutMs: 10_000,
      });
      const none: TaskMeta = { ...meta, group, restoreFrom: null, lastOutput: null };
      const transaction = { outputTopic: output, outputPartition: partition, groupId: group, fault: () => {} };
      await task.transact({
        ...transaction,
        outputs: [],
        offsets: () => [{ topic: RAW, partition, offset: 0, metadata: encodeMeta(none) }],
      });
      const outputs = [{ topic: output, partition, key: 'k', value: Buffer.from('v') }];
      const offsets = () => {
        if (!isKept) throw new Error('it dies before it commits');
        return [];
      };
      await task.transact({ ...transaction, outputs, offsets }).catch(() => {});
      task.close();
    }
    // What the last one left open is ended by whoever comes next.
    (
      await TaskProducer.fence({
        clients: createClients(kafka, logger),
        transactionalId: 'callstream-events-1',
        transactionTimeoutMs: 10_000,
      })
    ).close();
    const said = 'Kafka has lost the commit that the records from offset 0 on came with; inputs are read again, and';
    const unknown: Gap[] = [
      { worker: 'sessions', topic: TOPICS.calls.name, partition: 0, lost: `${said} repeats change nothing` },
      { worker: 'events', topic: TOPICS.callEvents.name, partition: 0, lost: `${said} their events are published a second time` },
    ];
    expect(await gaps.find()).toEqual(unknown);
    for (const gap of unknown) expect(await gaps.accept(gap.topic, gap.partition, 6_000)).toEqual([gap]);
    expect(await gaps.find()).toEqual([]);
    const after = await admin.offsets.committed('callstream-events', [TOPICS.callEvents.name]);
    expect(JSON.parse(after.get(TOPICS.callEvents.name)?.[0]?.metadata ?? '')).toMatchObject({
      horizon: null,
      restoreFrom: null,
      lastOutput: 1,
    });
  } finally {
    await gaps.close();
    await admin.close();
  }
});
