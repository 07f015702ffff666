import type { ISocketFactory, Kafka as KafkaClient, KafkaConfig, LogEntry, RetryOptions, SASLOptions } from 'kafkajs';
import { CallstreamError } from '../domain/errors.js';
import type { Logger } from '../telemetry/log.js';
import { Kafka, logLevel, openSocket } from './kafkajs.js';
import { endSilent } from './silent-socket.js';
import { within } from './wait.js';

/** How to reach Kafka. */
export interface KafkaConnection {
  brokers: readonly string[];
  clientId?: string;
  ssl?: boolean;
  sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string };
  /** How to open a connection, where it is not a plain one to the address that a broker advertises: through a tunnel, or a test's proxy. */
  socketFactory?: ISocketFactory;
}

/**
 * Two Kafka objects, because kafkajs shares a cache of committed offsets within one: offsets that a producer sends in a transaction
 * would be believed by the consumer even when that transaction is aborted.
 * Every retry setting is explicit: kafkajs has other defaults when NODE_ENV is `test`.
 */
export interface KafkaClients {
  producers: KafkaClient;
  consumers: KafkaClient;
  logger: Logger;
}

/** A new transaction is refused (CONCURRENT_TRANSACTIONS) while the broker finishes the last one, for some milliseconds: ask again soon. ~6 s in all. */
export const TRANSACTION_RETRY: RetryOptions = { initialRetryTime: 5, multiplier: 1.2, retries: 30, factor: 0.2, maxRetryTime: 1_000 };

/** Consumers and admin: ~10 s in all. */
export const CONSUMER_RETRY: RetryOptions = { initialRetryTime: 100, multiplier: 2, retries: 8, factor: 0.2, maxRetryTime: 2_000 };

export function createClients(connection: KafkaConnection, logger: Logger): KafkaClients {
  const config: KafkaConfig = {
    clientId: connection.clientId ?? 'callstream',
    brokers: [...connection.brokers],
    ...(connection.ssl ? { ssl: true } : {}),
    ...(connection.sasl ? { sasl: connection.sasl as SASLOptions } : {}),
    socketFactory: endSilent(connection.socketFactory ?? openSocket),
    connectionTimeout: 3_000,
    requestTimeout: 15_000,
    logLevel: logger.isLevelEnabled('debug') ? logLevel.INFO : logLevel.ERROR,
    logCreator: () => (entry) => logEntry(logger, entry),
  };
  return {
    producers: new Kafka({ ...config, retry: TRANSACTION_RETRY }),
    consumers: new Kafka({ ...config, retry: CONSUMER_RETRY }),
    logger,
  };
}

/** Longer than it takes to learn that a broker refuses, and to try the others. */
const CONNECT_MS = 45_000;

/** kafkajs may try for minutes, or for ever. @throws CallstreamError STREAM_NO_ANSWER; what the question throws */
export const answeredWithin = <T>(question: Promise<T>, ms: number): Promise<T> =>
  within(question, ms, () => new CallstreamError('STREAM_NO_ANSWER', `Kafka has not answered for ${ms} ms.`));

/** A client's first connection, where brokers may take connections and say nothing. @throws CallstreamError STREAM_NO_ANSWER; Kafka's errors */
export const connecting = (connection: Promise<void>): Promise<void> => answeredWithin(connection, CONNECT_MS);

/** What kafkajs calls an error is often tried again by itself: the runtime decides what is one. */
function logEntry(logger: Logger, { namespace, level, log }: LogEntry): void {
  const { message, timestamp: _timestamp, stack: _stack, ...details } = log;
  const write = level === logLevel.ERROR ? logger.warn : logger.debug;
  write.call(logger, { kafkajs: namespace, details }, message);
}

/** Protocol error type of a kafkajs error or of what caused it, for example INVALID_PRODUCER_EPOCH; '' when there is none. */
export function kafkaErrorType(error: unknown): string {
  for (let e = error; e instanceof Error; e = e.cause) {
    const type = (e as { type?: unknown }).type;
    if (typeof type === 'string') return type;
  }
  return '';
}
