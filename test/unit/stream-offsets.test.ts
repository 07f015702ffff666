import type { Admin } from 'kafkajs';
import { expect, it } from 'vitest';
import type { KafkaClients } from '../../src/stream/client.js';
import { OffsetReader } from '../../src/stream/offsets.js';

/** Brokers that answer in this order; what is an error is thrown. */
const readerOf = (answers: (Error | { partition: number; low: string; high: string }[])[]): OffsetReader => {
  const admin = {
    connect: async () => {},
    disconnect: async () => {},
    fetchTopicOffsets: async () => {
      const answer = answers.shift();
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error('asked too often');
      return answer;
    },
  };
  return new OffsetReader({ consumers: { admin: () => admin as unknown as Admin } } as unknown as KafkaClients);
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

it('tells any other failure as it is', async () => {
  await expect(readerOf([new Error('refused')]).ranges('t')).rejects.toThrow('refused');
});
