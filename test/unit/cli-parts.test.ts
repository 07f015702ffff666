import { expect, it, vi } from 'vitest';
import { countPartitions, INPUTS, RAW_TOPICS } from '../../src/cli/parts.js';
import { TOPICS } from '../../src/codec/topics.js';
import { parseConfig } from '../../src/config/index.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { FakeBroker } from '../support/fake-kafka.js';

vi.mock('../../src/stream/kafkajs.js', async (original) => ({
  ...(await original<object>()),
  Kafka: (await import('../support/fake-kafka.js')).FakeKafka,
}));

const POLLED = [TOPICS.rawCallRecord.name, TOPICS.rawUserEvent.name];

it('gives what is polled about calls to the workers that read callbacks', () => {
  for (const inputs of [INPUTS.sessions, INPUTS.events])
    expect(inputs).toEqual(expect.arrayContaining([TOPICS.rawTuicallkit.name, ...POLLED]));
});

it('says of an installation that has not been migrated which topics it lacks, and what to do', async () => {
  const broker = new FakeBroker();
  const { config } = parseConfig('apps: [{ provider: tencent, appId: "1" }]');
  const count = () => countPartitions({ ...config, kafka: { ...config.kafka, brokers: [broker.address] } }, silentLogger());
  for (const topic of RAW_TOPICS.filter((name) => !POLLED.includes(name))) broker.create(topic, 3);
  await expect(count()).rejects.toMatchObject({
    code: 'TOPICS_MISSING',
    message: `Kafka has no topic ${POLLED.join(', ')}: run callstream migrate`,
  });
  for (const topic of POLLED) broker.create(topic, 3);
  expect(await count()).toBe(3);
});
