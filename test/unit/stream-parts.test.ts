import fc from 'fast-check';
import type { PartitionAssigner } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { assignTasks, coPartitionedAssigner } from '../../src/stream/assignor.js';
import { createClients, type KafkaClients } from '../../src/stream/client.js';
import { DeadLetterLimit } from '../../src/stream/dead-letter-limit.js';
import type { FetchedBatch } from '../../src/stream/group-member.js';
import { InputQueue } from '../../src/stream/input-queue.js';
import { AssignerProtocol } from '../../src/stream/kafkajs.js';
import { murmur2, partitionOf } from '../../src/stream/partition.js';
import { checkCovered, toRequests } from '../../src/stream/produce.js';
import { StreamTime } from '../../src/stream/stream-time.js';
import { encodeMeta, newestMeta, nextMeta } from '../../src/stream/task-meta.js';
import { TaskProducer } from '../../src/stream/task-producer.js';
import type { TaskMeta } from '../../src/stream/types.js';
import { silentLogger } from '../../src/telemetry/log.js';

describe('partitionOf', () => {
  it('hashes as the Java client does', () => {
    // Values of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
    const known: [string, number][] = [
      ['21', -973932308],
      ['foobar', -790332482],
      ['a-little-bit-long-string', -985981536],
      ['a-little-bit-longer-string', -1486304829],
      ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
      ['abc', 479470107],
    ];
    for (const [text, hash] of known) expect(murmur2(Buffer.from(text))).toBe(hash);
    expect(partitionOf('21', 7)).toBe((-973932308 & 0x7fffffff) % 7);
    expect(partitionOf(Buffer.from('ключ'), 4)).toBe(partitionOf('ключ', 4));
  });
});

describe('the assignor (rule 1)', () => {
  const members = fc.uniqueArray(fc.record({ id: fc.string({ minLength: 1, maxLength: 5 }), owned: fc.uniqueArray(fc.nat({ max: 15 })) }), {
    selector: ({ id }) => id,
    minLength: 1,
    maxLength: 6,
  });

  it('gives every task to one member, evenly', () => {
    fc.assert(
      fc.property(members, fc.integer({ min: 1, max: 16 }), (list, count) => {
        const assigned = assignTasks(list, count);
        const all = [...assigned.values()].flat().sort((a, b) => a - b);
        expect(all).toEqual(Array.from({ length: count }, (_, p) => p));
        const sizes = [...assigned.values()].map((tasks) => tasks.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('moves only what fairness asks for', () => {
    const now = assignTasks(
      [
        { id: 'a', owned: [0, 2, 4, 6] },
        { id: 'b', owned: [1, 3, 5, 7] },
        { id: 'c', owned: [] },
      ],
      8,
    );
    expect(now.get('a')).toEqual([0, 2, 4]);
    expect(now.get('b')).toEqual([1, 3, 5]);
    expect(now.get('c')).toEqual([6, 7]);
    const back = assignTasks(
      [...now].filter(([id]) => id !== 'c').map(([id, owned]) => ({ id, owned })),
      8,
    );
    expect(back.get('a')).toEqual(expect.arrayContaining([0, 2, 4]));
    expect(back.get('b')).toEqual(expect.arrayContaining([1, 3, 5]));
  });

  it('gives partition p of every topic to the member that has told that it owns task p', async () => {
    const topics = ['raw', 'late', 'other'];
    const cluster = { findTopicPartitionMetadata: () => Array.from({ length: 4 }, (_, partitionId) => ({ partitionId })) };
    const member = (owned: number[]) =>
      coPartitionedAssigner(() => owned)({ cluster, groupId: 'g', logger: {} } as unknown as Parameters<PartitionAssigner>[0]);
    const claims: Record<string, number[]> = { a: [3], b: [0, 2], c: [1] };
    const assigned = await member([]).assign({
      topics,
      members: Object.entries(claims).map(([memberId, owned]) => ({
        memberId,
        memberMetadata: member(owned).protocol({ topics }).metadata,
      })),
    });
    for (const { memberId, memberAssignment } of assigned) {
      const tasks = claims[memberId];
      expect(AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment).toEqual({ raw: tasks, late: tasks, other: tasks });
    }
    expect(assigned).toHaveLength(3);
  });
});

describe('the clients (rule 2)', () => {
  it('of producers and of consumers share nothing: not what an aborted transaction would have committed', () => {
    const { producers, consumers } = createClients({ brokers: ['127.0.0.1:1'] }, silentLogger());
    expect(producers).not.toBe(consumers);
  });
});

describe('stream time', () => {
  it('is the smallest of the partitions, each its largest min(received_at, append time)', () => {
    const time = new StreamTime(['a', 'b'], 0);
    time.observe('a', 100, 200);
    expect(time.advance()).toBe(0);
    time.observe('b', null, 90);
    expect(time.advance()).toBe(90);
    time.observe('b', 9_999, 150);
    expect(time.advance()).toBe(100);
    time.observe('a', 50, 60);
    expect(time.advance()).toBe(100);
    time.observe('late', 1, 1);
    expect(time.advance()).toBe(100);
    time.observe('a', 9_999, 300);
    time.observe('b', 9_999, 200);
    expect(time.advance()).toBe(200);
  });

  it('counts a partition that is read to its end as the time of the question', () => {
    const time = new StreamTime(['a', 'b'], 0);
    time.observe('a', 100, 100);
    time.ended('b', 500, 10, 9);
    expect(time.advance()).toBe(0);
    time.reached('b', 10);
    expect(time.advance()).toBe(100);
    time.ended('a', 600, 5, 5);
    expect(time.advance()).toBe(500);
  });

  it('keeps an answer that is still to be reached when newer ones come', () => {
    const time = new StreamTime(['a'], 0);
    time.ended('a', 500, 10, 5);
    time.ended('a', 600, 20, 8);
    time.reached('a', 10);
    expect(time.advance()).toBe(500);
  });

  it('never goes below what was carried over', () => {
    const time = new StreamTime(['a'], 1_000);
    time.observe('a', 10, 10);
    expect(time.advance()).toBe(1_000);
    time.observe('a', 1_001, 1_002);
    expect(time.advance()).toBe(1_001);
  });
});

describe('the dead-letter limit (rule 10)', () => {
  it('stops at 1,000 in a row', () => {
    const limit = new DeadLetterLimit();
    for (let i = 0; i < 999; i += 1) limit.failed('decode');
    limit.ok();
    for (let i = 0; i < 999; i += 1) limit.failed('decode');
    expect(() => limit.failed('decode')).toThrow(expect.objectContaining({ code: 'STREAM_DEAD_LETTER_LIMIT' }));
  });

  it('stops above 5% of the last 10,000', () => {
    const limit = new DeadLetterLimit();
    for (let i = 0; i < 30_000; i += 1) {
      if (i % 20 === 0) limit.failed('fold');
      else limit.ok();
    }
    let more = 0;
    expect(() => {
      for (; more < 100; more += 1) {
        limit.failed('fold');
        limit.ok();
      }
    }).toThrow(/of the last 10000 records/);
    expect(more).toBeLessThan(20);
  });

  it('lets few failures among few records pass', () => {
    const limit = new DeadLetterLimit();
    for (let i = 0; i < 1_000; i += 1) {
      limit.failed('fold');
      limit.ok();
    }
  });
});

describe('commit metadata', () => {
  const meta: TaskMeta = { v: 1, streamTime: 5, horizon: null, restoreFrom: 1, lastOutput: 3, partitions: 4, group: 'g' };

  it('is taken from the newest copy, and from none that is not ours', () => {
    const newer = { ...meta, lastOutput: 4 };
    const newest = { ...meta, streamTime: 6, lastOutput: 4 };
    expect(newestMeta([encodeMeta(newer), null, '', 'someone else', '{"v":9}', encodeMeta(newest), encodeMeta(meta)])).toEqual(newest);
    expect(newestMeta([null, 'x'])).toBeNull();
  });

  it('keeps what a transaction without output does not know', () => {
    const own = { partitions: 4, group: 'g' };
    expect(nextMeta(meta, { horizon: 7, restoreFrom: null }, 8, null, own)).toEqual({
      ...meta,
      streamTime: 8,
      horizon: 7,
      restoreFrom: null,
    });
    expect(nextMeta(null, { horizon: null, restoreFrom: 5 }, 8, 6, own)).toEqual({ ...meta, streamTime: 8, restoreFrom: 5, lastOutput: 6 });
  });

  it('refuses to grow beyond the limit of the broker', () => {
    expect(() => encodeMeta({ ...meta, group: 'g'.repeat(5_000) })).toThrow(expect.objectContaining({ code: 'STREAM_META_TOO_LARGE' }));
  });
});

describe('the input queue (rule 3e)', () => {
  const batch = (from: number, to: number, fetchedOffset = from): FetchedBatch => ({
    topic: 't',
    partition: 0,
    fetchedOffset,
    nextOffset: to + 1,
    messages: Array.from({ length: to - from + 1 }, (_, i) => ({
      key: null,
      value: Buffer.from('x'),
      timestamp: '1',
      attributes: 0,
      offset: String(from + i),
      headers: {},
    })),
  });

  it('takes each record once: what is below its end is skipped, what begins above it is refused', () => {
    const queue = new InputQueue('t', 10);
    expect(queue.offer(batch(8, 12))).toBe('queued');
    expect(queue.offer(batch(8, 12))).toBe('old');
    expect(queue.offer(batch(15, 20))).toBe('ahead');
    expect(queue.offer(batch(13, 14))).toBe('queued');
    expect(queue.peek()?.records.map(({ offset }) => offset)).toEqual([10, 11, 12]);
    queue.shift();
    expect(queue.position).toBe(13);
    expect(queue.peek()?.records.map(({ offset }) => offset)).toEqual([13, 14]);
  });

  it('accepts a hole in the log where the broker itself goes on after it', () => {
    const queue = new InputQueue('t', 10);
    expect(queue.offer(batch(15, 20, 10))).toBe('queued');
    expect(queue.end).toBe(21);
  });

  it('moves over records that consumers never see', () => {
    const queue = new InputQueue('t', 10);
    expect(queue.skip(12, 13)).toBe('ahead');
    expect(queue.skip(10, 13)).toBe('queued');
    queue.shift();
    expect(queue.position).toBe(13);
  });

  it('gathers what comes bit by bit, behind the batch that may be under way', () => {
    const queue = new InputQueue('t', 0);
    for (let i = 0; i < 600; i += 1) expect(queue.offer(batch(i, i))).toBe('queued');
    queue.skip(600, 601);
    const first = queue.peek();
    expect(first?.records.map(({ offset }) => offset)).toEqual([0]);
    queue.shift();
    expect(queue.position).toBe(1);
    expect(queue.peek()?.records.map(({ offset }) => offset)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
    expect(first?.records).toHaveLength(1);
    queue.shift();
    expect(queue.position).toBe(501);
    expect(queue.peek()?.records.map(({ offset }) => offset)).toEqual(Array.from({ length: 99 }, (_, i) => i + 501));
    queue.shift();
    expect(queue.position).toBe(601);
    expect(queue.peek()).toBeUndefined();
  });

  it('is full by records and has room again at half', () => {
    const queue = new InputQueue('t', 0);
    for (let i = 0; i < 20; i += 1) queue.offer(batch(i * 1_000, i * 1_000 + 999));
    expect(queue.isFull()).toBe(true);
    for (let i = 0; i < 10; i += 1) {
      expect(queue.hasRoom()).toBe(false);
      queue.shift();
    }
    expect(queue.hasRoom()).toBe(true);
  });
});

describe('requests', () => {
  const record = (partition: number, size: number) => ({ topic: 't', partition, key: 'k', value: Buffer.alloc(size) });

  it('hold record batches below the limit, in order for each partition', () => {
    const records = Array.from({ length: 5_000 }, (_, i) => ({ ...record(i % 3, 700), key: String(i) }));
    const requests = toRequests(records);
    for (const p of [0, 1, 2]) {
      const batches = requests.map((request) => request.flatMap(({ messages }) => messages).filter((m) => m.partition === p));
      for (const batch of batches) expect(batch.reduce((sum, m) => sum + (m.value?.length ?? 0), 0)).toBeLessThan(1_000_000);
      expect(batches.flat().map(({ key }) => key)).toEqual(records.filter((r) => r.partition === p).map(({ key }) => key));
    }
  });

  it('hold a record that is larger than the limit by itself', () => {
    expect(toRequests([record(0, 10), record(0, 2_000_000), record(0, 10)]).map((r) => r[0]?.messages.length)).toEqual([1, 1, 1]);
  });

  it('are covered only when every partition is in the answer without an error (rule 5)', () => {
    const request = toRequests([record(0, 1), record(1, 1)])[0] ?? [];
    const ok = { topicName: 't', errorCode: 0 };
    expect(() =>
      checkCovered(request, [
        { ...ok, partition: 0 },
        { ...ok, partition: 1 },
      ]),
    ).not.toThrow();
    const incomplete = expect.objectContaining({ code: 'STREAM_SEND_INCOMPLETE' });
    expect(() => checkCovered(request, [{ ...ok, partition: 0 }])).toThrow(incomplete);
    expect(() =>
      checkCovered(request, [
        { ...ok, partition: 0 },
        { ...ok, partition: 1, errorCode: 7 },
      ]),
    ).toThrow(incomplete);
    expect(() =>
      checkCovered(request, [
        { ...ok, partition: 0 },
        { ...ok, partition: 1, topicName: 'other' },
      ]),
    ).toThrow(incomplete);
  });
});

describe('a transaction', () => {
  it.each<[string, object[]]>([
    ['nothing', []],
    ['only of some partitions', [{ topicName: 't', partition: 0, errorCode: 0, baseOffset: '0' }]],
  ])('is not committed when the answer to a send tells %s (rule 5)', async (_, answer) => {
    const calls: string[] = [];
    const transaction = {
      sendBatch: async () => {
        calls.push('send');
        return answer;
      },
      sendOffsets: async () => calls.push('offsets'),
      commit: async () => calls.push('commit'),
      abort: async () => calls.push('abort'),
    };
    const producer = { connect: async () => {}, disconnect: async () => {}, transaction: async () => transaction };
    const kafka = { producer: () => producer };
    const clients = { producers: kafka, consumers: kafka, logger: silentLogger() } as unknown as KafkaClients;
    const task = await TaskProducer.fence({ clients, transactionalId: 'x', transactionTimeoutMs: 1_000 });
    const outputs = ['t', 'other'].map((topic) => ({ topic, partition: 0, key: 'k', value: null }));
    const sent = task.transact({ outputs, outputTopic: 't', outputPartition: 0, groupId: 'g', offsets: () => [], fault: () => {} });
    await expect(sent).rejects.toMatchObject({ code: 'STREAM_SEND_INCOMPLETE' });
    expect(calls).toEqual(['abort', 'send']);
  });
});
