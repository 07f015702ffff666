import { createRequire } from 'node:module';
import { describe, expect, it, vi } from 'vitest';
import '../../src/stream/kafkajs.js';

const require = createRequire(import.meta.url);
const Cluster = require('kafkajs/src/cluster/index.js') as new (
  options: object,
) => {
  brokerPool: object;
  findGroupCoordinator(question: { groupId: string; coordinatorType: number }): Promise<unknown>;
  refreshMetadata(): Promise<void>;
  findBroker(which: { nodeId: number }): Promise<unknown>;
};
const createRetry = require('kafkajs/src/retry/index.js') as (options: object) => unknown;
const { KafkaJSConnectionError, KafkaJSProtocolError } = require('kafkajs/src/errors.js') as Record<string, new (error: object) => Error>;

/** Asks a cluster of brokers which answer as told, one answer for each time that one is asked. */
async function askAmong(...brokers: (() => Promise<unknown>)[]): Promise<unknown> {
  const noop = (): void => {};
  const logger = { debug: noop, info: noop, warn: noop, error: noop, namespace: () => logger };
  const cluster = new Cluster({ logger, brokers: ['127.0.0.1:1'], socketFactory: noop, retry: { retries: 2, initialRetryTime: 1 } });
  Object.assign(cluster, {
    retrier: createRetry({ retries: 2, initialRetryTime: 1, multiplier: 1, factor: 0, maxRetryTime: 1 }),
    refreshMetadata: vi.fn(async () => {}),
    findBroker: async ({ nodeId }: { nodeId: number }) => nodeId,
  });
  // As kafkajs's own: what an asked broker rejects with is dropped.
  cluster.brokerPool = {
    withBroker: async (ask: (one: { nodeId: number; broker: object }) => Promise<unknown>) => {
      for (const [nodeId, findGroupCoordinator] of brokers.entries()) {
        try {
          return await ask({ nodeId, broker: { findGroupCoordinator } });
        } catch {}
      }
      return null;
    },
  };
  return cluster.findGroupCoordinator({ groupId: 'g', coordinatorType: 0 });
}

const refusal = (type: string): Error => new KafkaJSProtocolError!({ type, code: 1, message: type, retriable: type.endsWith('AVAILABLE') });
const broken = async (): Promise<never> => Promise.reject(new KafkaJSConnectionError!({ message: 'read ECONNRESET' }));
const found = async (): Promise<object> => ({ coordinator: { nodeId: 7, host: 'a', port: 1 } });

describe('who the coordinator of a group is', () => {
  it('is asked of one broker after the other', async () => {
    expect(await askAmong(broken, found)).toBe(7);
  });

  it('cannot be told over broken connections: a consumer begins again, as after any other broken connection', async () => {
    await expect(askAmong(broken, broken)).rejects.toMatchObject({ name: 'KafkaJSConnectionError', retriable: true });
  });

  it('may not be asked: a consumer that asks again will not be told, and the reason is named', async () => {
    const refused = async (): Promise<never> => Promise.reject(refusal('GROUP_AUTHORIZATION_FAILED'));
    await expect(askAmong(refused)).rejects.toMatchObject({ type: 'GROUP_AUTHORIZATION_FAILED', retriable: false });
  });

  it('is not known yet: asked again for a while, and then later', async () => {
    const unknown = vi.fn(async (): Promise<unknown> => Promise.reject(refusal('GROUP_COORDINATOR_NOT_AVAILABLE')));
    await expect(askAmong(unknown)).rejects.toMatchObject({ name: 'KafkaJSNumberOfRetriesExceeded' });
    expect(unknown).toHaveBeenCalledTimes(3);
    const soon = vi.fn(found).mockImplementationOnce(unknown as typeof found);
    expect(await askAmong(soon)).toBe(7);
  });
});
