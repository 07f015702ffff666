import { randomUUID } from 'node:crypto';
import type { AlertDesk, Silence } from '../api/index.js';
import type { ClickHouse } from '../clickhouse/index.js';
import { openCodec } from '../codec/codec.js';
import type { AlertSilence } from '../codec/generated.js';
import { TOPICS } from '../codec/topics.js';
import type { Config } from '../config/index.js';
import { rulesOf } from '../domain/alert-rules.js';
import { CallstreamError } from '../domain/errors.js';
import type { DurableProducer } from '../stream/durable-producer.js';
import { partitionOf } from '../stream/partition.js';
import { within } from '../stream/wait.js';
import type { Clock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import { alertKey } from '../workers/alerts/book.js';
import { testMessage } from '../workers/alerts/messages.js';
import { Sender } from '../workers/alerts/sender.js';
import { inForce } from '../workers/alerts/silences.js';
import { measureRule, readSilences } from './alert-parts.js';
import { countPartitions, openProducer, openRegistry } from './parts.js';
import { version } from './version.js';

/** Writes a silence durably. `until` at or before its `updated_at` ends it. @throws CallstreamError KAFKA_UNAVAILABLE, REGISTRY_UNAVAILABLE, TOPICS_MISSING */
export async function writeSilence(config: Config, producer: DurableProducer, silence: AlertSilence, logger: Logger): Promise<void> {
  const codec = await openCodec(TOPICS.alertSilences, openRegistry(config));
  const key = alertKey(silence);
  const partition = partitionOf(key, await countPartitions(config, logger));
  await producer.send([{ topic: TOPICS.alertSilences.name, partition, key, value: codec.encode(silence) }]);
}

/** Those in force at `now`, epoch ms. @throws CallstreamError KAFKA_UNAVAILABLE, REGISTRY_UNAVAILABLE */
export const silencesInForce = async (config: Config, now: number, logger: Logger): Promise<AlertSilence[]> =>
  inForce(await readSilences(config, await openCodec(TOPICS.alertSilences, openRegistry(config)), logger), now);

/** Sends one signed message of type `test`. @throws CallstreamError WEBHOOK_ADDRESS_REFUSED */
export async function sendTest(webhook: Config['webhooks'][number], clock: Clock, signal: AbortSignal) {
  const sender = new Sender(webhook, { clock, userAgent: `callstream/${version()}` });
  try {
    return await sender.send(testMessage(randomUUID(), clock.now()), signal);
  } finally {
    await sender.close();
  }
}

/** A page waits for the answer, while clients of Kafka try for minutes. */
const PATIENCE_MS = 10_000;
/** Several pages that ask at once share one reading of the topic. */
const FRESH_MS = 1_000;

const inTime = <T>(asked: Promise<T>): Promise<T> =>
  within(asked, PATIENCE_MS, () => new CallstreamError('KAFKA_UNAVAILABLE', `no answer within ${PATIENCE_MS} ms`));

/** What the query API needs of alerts. Kafka is only spoken to when somebody asks. */
export function openAlertDesk(
  config: Config,
  clickhouse: ClickHouse,
  { logger, clock }: { logger: Logger; clock: Clock },
): { desk: AlertDesk; close(): Promise<void> } {
  let producer: DurableProducer | null = null;
  let reading: { at: number; silences: Promise<readonly Silence[]> } | null = null;
  const read = async (now: number): Promise<readonly Silence[]> =>
    (await inTime(silencesInForce(config, now, logger))).map(({ rule, app_id, until, comment }) => ({ rule, app_id, until, comment }));
  const stopping = new AbortController();
  return {
    desk: {
      rules: rulesOf(config.alerts),
      receivers: config.webhooks.map(({ name, events, apps, format }) => ({ name, events, apps: apps ?? null, format })),
      measure: (rule, now) => measureRule(config, clickhouse, rule, now),
      silences: (now) => {
        if (reading === null || Math.abs(now - reading.at) >= FRESH_MS) reading = { at: now, silences: read(now) };
        return reading.silences;
      },
      silence: async (silence, now) => {
        producer ??= openProducer(config, logger);
        await inTime(writeSilence(config, producer, { ...silence, updated_at: now }, logger)).finally(() => {
          reading = null;
        });
      },
      test: async (receiver) => {
        const webhook = config.webhooks.find(({ name }) => name === receiver);
        if (webhook === undefined) throw new CallstreamError('WEBHOOK_UNKNOWN', `the configuration has no webhook ${receiver}`);
        try {
          const result = await sendTest(webhook, clock, stopping.signal);
          const delivered = result.kind === 'delivered';
          return { delivered, detail: delivered ? `The receiver answers ${result.status}.` : `${result.why}.` };
        } catch (error) {
          if (error instanceof CallstreamError && error.code === 'WEBHOOK_ADDRESS_REFUSED')
            return { delivered: false, detail: error.message };
          throw error;
        }
      },
    },
    close: async () => {
      stopping.abort(new Error('the role api stops'));
      await producer?.close();
    },
  };
}
