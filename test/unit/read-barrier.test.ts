import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Gaps } from '../../src/cli/doctor/gap.js';
import { TOPICS } from '../../src/codec/topics.js';
import { parseConfig } from '../../src/config/index.js';
import { encodeMeta } from '../../src/stream/task-meta.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { Positions } from '../../src/workers/alerts/positions.js';
import { FakeBroker } from '../support/fake-kafka.js';

vi.mock('../../src/stream/kafkajs.js', async (original) => ({
  ...(await original<object>()),
  Kafka: (await import('../support/fake-kafka.js')).FakeKafka,
}));

/* Whoever writes positions by what the group has committed, besides tasks, under a coordinator that has just come into office and tells of no commit yet. */

const CALLS = { topic: TOPICS.calls.name, partition: 0 };

let broker: FakeBroker;
beforeEach(() => {
  broker = new FakeBroker();
  for (const { name } of Object.values(TOPICS)) broker.create(name);
  for (let i = 0; i < 5; i += 1) broker.append(CALLS, 'k', 'v');
});

describe('a receiver of alerts', () => {
  const begin = async () => {
    const positions = new Positions({ brokers: [broker.address] }, silentLogger(), 'receiver', [CALLS.topic]);
    await positions.beginAtEnds();
    await positions.close();
  };

  it('begins at the end where it has no position', async () => {
    await begin();
    expect(broker.committed('receiver', CALLS)?.offset).toBe('5');
  });

  it('keeps the position that it has, though it is not told of it', async () => {
    const change = broker.coordinatorThatKnows('receiver');
    broker.commit('receiver', CALLS, 2);
    change();
    await begin();
    expect(broker.committed('receiver', CALLS)?.offset).toBe('2');
  });
});

describe('accepting a gap', () => {
  it('changes nothing where there is one only as long as the task’s commit is not told', async () => {
    const group = 'callstream-sessions';
    const change = broker.coordinatorThatKnows(group);
    const meta = encodeMeta({ v: 1, streamTime: 1_000, horizon: null, restoreFrom: 0, lastOutput: 4, partitions: 1, group });
    broker.commit(group, CALLS, 5, meta);
    change();
    const { config } = parseConfig('apps: [{ provider: tencent, appId: "1" }]');
    const gaps = new Gaps({ ...config, kafka: { ...config.kafka, brokers: [broker.address] } }, silentLogger());
    try {
      expect((await gaps.find()).map(({ worker, topic }) => [worker, topic])).toContainEqual(['sessions', CALLS.topic]);
      await expect(gaps.accept(CALLS.topic, 0, 5_000)).rejects.toMatchObject({ code: 'GAP_NOT_FOUND' });
      expect(broker.committed(group, CALLS)).toEqual({ offset: '5', metadata: meta });
    } finally {
      await gaps.close();
    }
  });
});
