import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import type { PollTask } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import type { QueuedTask } from '../../src/poll/task-queue.js';
import { TaskTopic } from '../../src/poll/task-topic.js';
import { Environment } from '../../src/stream/environment.js';
import { systemChance } from '../../src/telemetry/chance.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { FakeBroker, type FakeConsumer } from '../support/fake-kafka.js';

vi.mock('../../src/stream/kafkajs.js', async (original) => ({
  ...(await original<object>()),
  Kafka: (await import('../support/fake-kafka.js')).FakeKafka,
}));

const TOPIC = TOPICS.tasks.name;
const GROUP = 'group';
const codec = localCodec(TOPICS.tasks);

let broker: FakeBroker;
let topic: TaskTopic;
let given: QueuedTask[];
let activity: boolean[];
let unreadable: number;
const member = (): FakeConsumer => broker.members[0]!;
const calls = (): string[] => given.map(({ task }) => task.call_id);
const committed = (partition = 0): string | undefined => broker.committed(GROUP, { topic: TOPIC, partition })?.offset;
const all = [0, 1].map((partition) => ({ topic: TOPIC, partition }));

function add(call_id: string, partition = 0): void {
  const task: PollTask = {
    kind: 'record',
    provider: 'tencent',
    app_id: '1',
    call_id,
    room_id: '',
    user_id: '',
    started_at: null,
    ended_at: null,
    due_at: 7,
    attempt: 0,
    reason: 'timed_out',
    users: [],
  };
  broker.append({ topic: TOPIC, partition }, call_id, codec.encode(task));
}

beforeEach(() => {
  broker = new FakeBroker();
  broker.create(TOPIC, 2);
  given = [];
  activity = [];
  unreadable = 0;
  topic = new TaskTopic({
    kafka: { brokers: [broker.address] },
    groupId: GROUP,
    codec,
    environment: new Environment(silentLogger(), systemChance),
    logger: silentLogger(),
    onActive: (active) => activity.push(active),
    onTask: (entry) => given.push(entry),
    onUnreadable: () => {
      unreadable += 1;
    },
    onFatal: (error) => {
      throw error;
    },
    commitEvery: 10,
    maxTasks: 4,
    heartbeatMs: 5,
  });
});
afterEach(() => topic.stop());

describe('the topic of tasks', () => {
  it('is not joined under another group than migrate has stored', async () => {
    const stored = { v: 1, partitions: 2, groups: { poll: 'callstream-poll' } };
    broker.commit('callstream.installation', { topic: TOPIC, partition: 0 }, 0, JSON.stringify(stored));
    await expect(topic.start()).rejects.toMatchObject({
      code: 'STREAM_GROUP_CHANGED',
      message: expect.stringContaining('callstream-poll'),
    });
    expect(activity).toEqual([]);
  });

  it('commits no further than the lowest task that is not done', async () => {
    for (const call of ['a', 'b', 'c']) add(call);
    await topic.start();
    await vi.waitFor(() => expect(calls()).toEqual(['a', 'b', 'c']));
    expect(given[1]).toMatchObject({ key: Buffer.from('b'), partition: 0, offset: 1, dueAt: 7, rounds: 0 });
    topic.done(given[1]!);
    topic.done(given[2]!);
    await member().idle(20);
    expect(committed()).toBeUndefined();
    topic.done(given[0]!);
    await vi.waitFor(() => expect(committed()).toBe('3'));
    expect(topic.open).toBe(0);
  });

  it('is paused while memory is full, and read on when half of it is free', async () => {
    for (let n = 0; n < 4; n++) add(`c${n}`);
    await topic.start();
    await vi.waitFor(() => expect(given).toHaveLength(4));
    for (let n = 4; n < 6; n++) add(`c${n}`);
    await member().idle(20);
    expect([given.length, member().isPaused(all[0]!), member().isPaused(all[1]!)]).toEqual([4, true, true]);
    topic.done(given[0]!);
    await member().idle(20);
    expect(given).toHaveLength(4);
    topic.done(given[1]!);
    await vi.waitFor(() => expect(calls()).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c5']));
  });

  it('keeps what it has through a rebalance that leaves it here, and hands nothing out twice', async () => {
    for (const call of ['a', 'b']) add(call);
    await topic.start();
    await vi.waitFor(() => expect(given).toHaveLength(2));
    member().join(all);
    add('c');
    await vi.waitFor(() => expect(calls()).toEqual(['a', 'b', 'c']));
    for (const entry of given) topic.done(entry);
    await vi.waitFor(() => expect(committed()).toBe('3'));
    expect(activity).toEqual([true]);
  });

  it('passes over what another poller has done meanwhile', async () => {
    for (const call of ['a', 'b', 'c']) add(call);
    await topic.start();
    await vi.waitFor(() => expect(given).toHaveLength(3));
    member().join([]);
    broker.commit(GROUP, all[0]!, 2);
    member().join(all);
    await vi.waitFor(() => expect(calls()).toEqual(['a', 'b', 'c', 'c']));
    expect(activity).toEqual([true, false, true]);
    topic.done(given[3]!);
    await vi.waitFor(() => expect(committed()).toBe('3'));
  });

  it('commits nothing while it stands by', async () => {
    add('a');
    await topic.start();
    await vi.waitFor(() => expect(given).toHaveLength(1));
    member().join([]);
    topic.done(given[0]!);
    await member().idle(20);
    expect(committed()).toBeUndefined();
  });

  it('is done with what is no task, and says so', async () => {
    broker.append(all[1]!, 'x', 'no task');
    broker.append(all[1]!, 'y', null);
    add('a', 1);
    await topic.start();
    await vi.waitFor(() => expect(calls()).toEqual(['a']));
    expect(unreadable).toBe(2);
    await vi.waitFor(() => expect(committed(1)).toBe('2'));
  });
});
