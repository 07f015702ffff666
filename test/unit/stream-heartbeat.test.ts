import { createRequire } from 'node:module';
import { afterEach, expect, it, vi } from 'vitest';
import '../../src/stream/kafkajs.js';

const require = createRequire(import.meta.url);
const ConsumerGroup = require('kafkajs/src/consumer/consumerGroup.js') as new (
  options: object,
) => {
  memberId: string;
  coordinator: { heartbeat(): Promise<void> };
  heartbeat(options: { interval: number }): Promise<void>;
};

afterEach(() => void vi.useRealTimers());

it.each([0, -3_600_000, 3_600_000])('a member whose clock is set by %i ms sends its heartbeats as before', async (by) => {
  vi.useFakeTimers({ now: 1_790_000_000_000, toFake: ['Date'] });
  const group = new ConsumerGroup({ logger: { namespace: () => ({}) }, instrumentationEmitter: { emit: () => {} } });
  let heartbeats = 0;
  group.memberId = 'a';
  group.coordinator = {
    heartbeat: async () => {
      heartbeats += 1;
    },
  };
  const pass = async (ms: number): Promise<void> => {
    vi.setSystemTime(Date.now() + ms);
    await group.heartbeat({ interval: 1_000 });
  };
  await pass(999);
  expect(heartbeats).toBe(0);
  await pass(1);
  expect(heartbeats).toBe(1);
  vi.setSystemTime(Date.now() + by);
  await pass(1_000);
  expect(heartbeats).toBe(2);
  await pass(500);
  expect(heartbeats).toBe(2);
  await pass(500);
  expect(heartbeats).toBe(3);
});
