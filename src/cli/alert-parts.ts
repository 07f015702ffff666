/** What the role `alerts` and the command of this name are made of. */
import type { ClickHouse } from '../clickhouse/index.js';
import { openCodec, type TopicCodec } from '../codec/codec.js';
import type { Alert, AlertSilence } from '../codec/generated.js';
import type { SchemaRegistry } from '../codec/registry.js';
import { TOPICS, type Topic } from '../codec/topics.js';
import type { Config } from '../config/index.js';
import { type AlertRule, rulesOf } from '../domain/alert-rules.js';
import type { AlertSample } from '../domain/alerts.js';
import { SOURCES } from '../sources/registry.js';
import { Environment } from '../stream/environment.js';
import { systemChance } from '../telemetry/chance.js';
import type { Logger } from '../telemetry/log.js';
import { alertKey } from '../workers/alerts/book.js';
import type { Retry } from '../workers/alerts/delivery.js';
import { Evaluator } from '../workers/alerts/evaluator.js';
import { AlertTopic } from '../workers/alerts/log.js';
import { measure } from '../workers/alerts/measures.js';
import { READ_FIELDS } from '../workers/alerts/messages.js';
import { Receiver } from '../workers/alerts/receiver.js';
import { AlertsWorker } from '../workers/alerts/worker.js';
import { countPartitions, kafkaConnection, openProducer } from './parts.js';
import { readWhole } from './read-topic.js';
import type { RoleContext } from './roles.js';

/** Of the evaluator; its transactional id too. */
export const alertsGroup = ({ kafka }: Config): string => `${kafka.groupPrefix}-alerts`;
export const webhookGroup = ({ kafka }: Config, name: string): string => `${kafka.groupPrefix}-webhook-${name}`;

export const CALLBACK_SOURCES = SOURCES.flatMap(({ name, webhook }) => (webhook === undefined ? [] : [name]));

const readTopic = <T>(config: Config, topic: Topic<T>, codec: TopicCodec<T>, logger: Logger): Promise<T[]> =>
  readWhole(kafkaConnection(config), alertsGroup(config), topic, codec, topic.name, logger);

export const readSilences = (config: Config, codec: TopicCodec<AlertSilence>, logger: Logger): Promise<AlertSilence[]> =>
  readTopic(config, TOPICS.alertSilences, codec, logger);

/** Alerts of the table that fire. @throws ClickHouseFailure */
const firingAlerts = (clickhouse: ClickHouse): Promise<Alert[]> =>
  clickhouse.query<Alert>(
    `SELECT alert_id, rule, provider, app_id, state, metric, value, n, threshold, window_ms, toUnixTimestamp64Milli(fired_at) AS fired_at, NULL AS resolved_at, silenced
     FROM (SELECT * FROM alert_rows FINAL WHERE state = 'firing')`,
  );

/**
 * What the evaluator goes on from: the topic, behind what has left it. The topic keeps 30 days, and an alert may fire for longer; the table has it then, for
 * the sink has read it long ago.
 */
const readAlerts = async (config: Config, clickhouse: ClickHouse, codec: TopicCodec<Alert>, logger: Logger): Promise<Alert[]> => {
  const onTopic = await readTopic(config, TOPICS.alerts, codec, logger);
  const known = new Set(onTopic.map(alertKey));
  const older = (await firingAlerts(clickhouse)).filter((alert) => !known.has(alertKey(alert)));
  return [...older, ...onTopic];
};

/** What the metric of a rule is at `now`, epoch ms, by app id. @throws ClickHouseFailure */
export const measureRule = (
  { apps, sessions }: Config,
  clickhouse: ClickHouse,
  { metric, window, minimum }: Pick<AlertRule, 'metric' | 'window' | 'minimum'>,
  now: number,
): Promise<Map<string, AlertSample>> =>
  measure(
    { clickhouse, callbackSources: CALLBACK_SOURCES, maxCall: sessions.maxCall },
    { metric, window, now, appIds: apps.map(({ appId }) => appId) },
    minimum,
  );

/** How fast the role works; default: as its parts say. */
export interface AlertTiming {
  /** Between two looks at what the rules measure, ms. */
  every?: number;
  retry?: Retry;
}

/** `close` is for when the worker has stopped. The caller owns the ClickHouse client. */
export async function createAlerts(
  { config, logger, metrics, clock }: RoleContext,
  clickhouse: ClickHouse,
  registry: SchemaRegistry,
  version: string,
  onFatal: (error: unknown) => void,
  { every, retry }: AlertTiming = {},
): Promise<{ worker: AlertsWorker; close(): Promise<void> }> {
  const kafka = kafkaConnection(config);
  const groupId = alertsGroup(config);
  const environment = new Environment(logger, systemChance);
  const producer = openProducer(config, logger);
  const alert = await openCodec(TOPICS.alerts, registry);
  const silence = await openCodec(TOPICS.alertSilences, registry);
  const call = (await openCodec(TOPICS.calls, registry)).only(...READ_FIELDS);
  const deadLetter = await openCodec(TOPICS.deadLetters, registry);
  const partitions = await countPartitions(config, logger);
  const topic = new AlertTopic({
    kafka,
    transactionalId: groupId,
    codec: alert,
    partitions,
    read: () => readAlerts(config, clickhouse, alert, logger),
    logger,
  });
  const rules = rulesOf(config.alerts);
  const evaluator = new Evaluator({
    kafka,
    groupId,
    rules,
    apps: config.apps,
    measure: ({ now, ...rule }) => measureRule(config, clickhouse, rule, now),
    openLog: () => topic.open(),
    readSilences: () => readSilences(config, silence, logger),
    environment,
    clock,
    logger,
    metrics,
    onFatal,
    ...(every === undefined ? {} : { every }),
  });
  const receivers = config.webhooks.map(
    (webhook) =>
      new Receiver({
        webhook,
        kafka,
        groupId: webhookGroup(config, webhook.name),
        readers: { alert, call },
        deadLetter,
        producer,
        environment,
        clock,
        chance: systemChance,
        logger,
        metrics,
        userAgent: `callstream/${version}`,
        onFatal,
        ...(retry === undefined ? {} : { retry }),
      }),
  );
  return { worker: new AlertsWorker([evaluator, ...receivers], environment), close: () => producer.close() };
}
