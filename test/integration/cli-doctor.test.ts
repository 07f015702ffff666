import { expect, it, vi } from 'vitest';
import { formatFinding } from '../../src/cli/doctor/finding.js';
import { checkKafka } from '../../src/cli/doctor/kafka.js';
import { TOPICS } from '../../src/codec/topics.js';
import { parseConfig } from '../../src/config/index.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { createClients } from '../../src/stream/client.js';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { useStack } from '../support/stack.js';

const servers = useStack(['kafka']);

it('warns of records that nobody works off, and tries an idempotent producer and transactions', async () => {
  const kafka = { brokers: servers.brokers };
  const logger = silentLogger();
  const { config } = parseConfig('apps: [{ provider: tencent, appId: "1" }]', { KAFKA_BROKERS: servers.brokers.join(',') });
  const admin = new TopicAdmin({ kafka, logger });
  const producer = new DurableProducer({ kafka, logger });
  const consumer = createClients(kafka, logger).consumers.consumer({ groupId: 'callstream-events' });
  try {
    await admin.migrate({
      partitions: 2,
      groups: { sessions: 'callstream-sessions', events: 'callstream-events', sink: 'callstream-sink' },
    });
    await vi.waitFor(async () => {
      for (const { name } of Object.values(TOPICS)) await admin.ranges(name);
    }, 30_000);
    await producer.send([{ topic: TOPICS.rawTuicallkit.name, partition: 1, key: 'k', value: Buffer.from('v') }]);
    await consumer.connect();
    await consumer.subscribe({ topic: TOPICS.rawLate.name });
    await consumer.run({ eachMessage: async () => {} });
    await vi.waitFor(async () => {
      const found = (await checkKafka(config, logger, Date.now)).map(formatFinding);
      expect(found).toContain('✓ transactions         allowed');
      expect(found).toContain('✓ writing              an idempotent producer is allowed');
      expect(found).toContain(
        `! group sessions       1 records behind, nobody at work\n  ${' '.repeat(20)} → start it: callstream run sessions`,
      );
      expect(found).toContain('✓ group events         1 records behind, 1 at work');
      expect(found).toContain('✓ group sink           0 records behind, nobody at work');
      expect(found.filter((text) => text.startsWith('✗'))).toEqual([]);
    }, 60_000);
  } finally {
    await Promise.all([consumer.disconnect(), producer.close(), admin.close()]);
  }
}, 120_000);
