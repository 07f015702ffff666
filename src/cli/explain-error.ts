import { ClickHouseFailure } from '../clickhouse/index.js';
import { CallstreamError } from '../domain/errors.js';

/** kafkajs's names for what brokers, the network or rights do; its other errors are mistakes of the caller. */
const KAFKA =
  /^KafkaJS(Connection|RequestTimeout|Protocol|NumberOfRetries|BrokerNotFound|NoBrokerAvailable|SASL|GroupCoordinator|CreateTopic|Timeout|LockTimeout|MetadataNotLoaded|TopicMetadataNotLoaded|Aggregate)/;

/** What kafkajs throws, without a name of its own, where a connection that it took for open is none. */
const KAFKA_CONNECTION_LOST = 'Broker not connected';

/** Whether it is what Kafka, or the way to it, did. */
export const isKafkas = ({ name, message }: Error): boolean => KAFKA.test(name) || message === KAFKA_CONNECTION_LOST;

const KAFKA_TODO = 'Is it up, and are kafka.brokers, kafka.ssl and kafka.sasl right?';
const CLICKHOUSE_TODO = 'Is it up, and are clickhouse.url, username and password right?';
const DOCTOR = '`callstream doctor` says more.';

/** What to do about a server's answer, by its code. */
const CLICKHOUSE_ANSWERS: Readonly<Record<number, string>> = {
  60: 'Run `callstream migrate` first.',
  81: 'Run `callstream migrate` first.',
  192: 'Are clickhouse.username and password right?',
  193: 'Are clickhouse.username and password right?',
  194: 'Are clickhouse.username and password right?',
  516: 'Are clickhouse.username and password right?',
  497: 'The user lacks a right.',
};

const firstLine = (text: string): string => (text.split('\n', 1)[0] ?? '').replace(/\.$/, '');

/** The error and its causes, outermost first. */
function* chain(error: unknown): Generator<Error> {
  for (let e = error; e instanceof Error; e = e.cause) yield e;
}

/** What went wrong, in one line and without what only a developer reads. */
export function reasonOf(error: unknown): string {
  const whole = [...chain(error)];
  const failure = whole.find((e) => e instanceof ClickHouseFailure);
  if (failure?.cause instanceof Error) return firstLine(failure.cause.message);
  // The outer errors of kafkajs often have no message of their own, or name only the attempt.
  const kafka = whole.findLast((e) => isKafkas(e) && e.message !== '');
  return firstLine((kafka ?? whole[0])?.message ?? String(error));
}

/** For a person: one line that says what to do, and the stack only of what nobody foresaw. */
export function explainError(error: unknown): string {
  const whole = [...chain(error)];
  const known = whole.find((e): e is CallstreamError => e instanceof CallstreamError);
  if (known instanceof ClickHouseFailure) {
    const answer = known.server === null ? undefined : CLICKHOUSE_ANSWERS[known.server];
    if (answer !== undefined) return `ClickHouse: ${reasonOf(known)}. ${answer} [${known.code}]`;
    if (known.server === null && known.kind === 'retriable')
      return `ClickHouse does not answer: ${reasonOf(known)}. ${CLICKHOUSE_TODO} ${DOCTOR} [${known.code}]`;
  }
  if (known?.code === 'REGISTRY_UNAVAILABLE')
    return `${firstLine(known.message)}. Is it up, and are registry.url, username and password right? ${DOCTOR} [${known.code}]`;
  if (known !== undefined && known === error) return `${known.message} [${known.code}]`;
  if (whole.some(isKafkas)) return `Kafka: ${reasonOf(error)}. ${KAFKA_TODO} ${DOCTOR} [KAFKA_UNAVAILABLE]`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
