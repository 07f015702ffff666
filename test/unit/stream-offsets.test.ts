import kafkajs, { type Admin } from 'kafkajs';
import { expect, it } from 'vitest';
import type { KafkaClients } from '../../src/stream/client.js';
import { OffsetReader } from '../../src/stream/offsets.js';

/** Brokers that answer in this order; what is an error is thrown. @param connects what becomes of each connection */
const readerOf = (
  answers: (Error | 'none' | { partition: number; low: string; high: string }[])[],
  connects: (Error | null)[] = [],
  attemptMs?: number,
): OffsetReader => {
  const admin = {
    connect: async () => {
      const trouble = connects.shift();
      if (trouble instanceof Error) throw trouble;
    },
    disconnect: async () => {},
    fetchTopicOffsets: async () => {
      const answer = answers.shift();
      if (answer === 'none') return new Promise(() => {});
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error('asked too often');
      return answer;
    },
  };
  return new OffsetReader({ consumers: { admin: () => admin as unknown as Admin } } as unknown as KafkaClients, attemptMs);
};

const range = (partition: number) => ({ partition, low: '1', high: '5' });

it('asks again where the client knows no leader of a new topic, or not of every partition', async () => {
  const stumbles = new TypeError("Cannot destructure property 'partitions' of 'high.pop(...)' as it is undefined.");
  const reader = readerOf([stumbles, [range(1)], [range(0), range(1)]]);
  expect(await reader.ranges('new')).toEqual([
    { low: 1, end: 5 },
    { low: 1, end: 5 },
  ]);
});

const refused = (): Error => new kafkajs.KafkaJSConnectionError('connect ECONNREFUSED', { broker: '127.0.0.1:1', code: 'ECONNREFUSED' });

it('asks the others when the broker that it asks goes away', async () => {
  const connects: (Error | null)[] = [null, null];
  expect(await readerOf([refused(), [range(0)]], connects).ranges('t')).toEqual([{ low: 1, end: 5 }]);
  expect(connects).toEqual([]);
});

it('tells at once that nobody can be reached: the client has tried for long enough', async () => {
  await expect(readerOf([[range(0)]], [refused()]).ranges('t')).rejects.toThrow('connect ECONNREFUSED');
});

it('tells at once that a broker is silent: the others of its connections are, too', async () => {
  const silent = new kafkajs.KafkaJSRequestTimeoutError('Request ListOffsets timed out', {
    broker: '127.0.0.1:1',
    clientId: 'c',
    correlationId: 1,
    createdAt: 0,
    sentAt: 0,
    pendingDuration: 15_000,
  });
  await expect(readerOf([silent, [range(0)]]).ranges('t')).rejects.toThrow('timed out');
});

it('tells any other failure as it is', async () => {
  await expect(readerOf([new Error('refused')]).ranges('t')).rejects.toThrow('refused');
});

it('does not wait for ever for a client that has lost its question, and asks by another the next time', async () => {
  const connects: (Error | null)[] = [null, null];
  const reader = readerOf(['none', [range(0)]], connects, 20);
  await expect(reader.ranges('t')).rejects.toMatchObject({ code: 'STREAM_NO_ANSWER' });
  expect(await reader.ranges('t')).toEqual([{ low: 1, end: 5 }]);
  expect(connects).toEqual([]);
});
