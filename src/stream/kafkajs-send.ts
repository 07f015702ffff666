import type { RecordMetadata, TopicMessages } from 'kafkajs';
import { replaceExports } from './kafkajs-module.js';

const SEND = 'kafkajs/src/producer/sendMessages.js';

type Messages = TopicMessages['messages'];

/** What of kafkajs is called here, as its source has it. */
interface Broker {
  nodeId: number;
  produce(request: object): Promise<{ topics: { topicName: string; partitions: Omit<RecordMetadata, 'topicName'>[] }[] }>;
}
export interface SendCluster {
  addMultipleTargetTopics(topics: string[]): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  refreshMetadata(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly unknown[];
  /** Leader's id to partitions; one that the metadata lacks is left out. */
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]>;
  findBroker(of: { nodeId: string }): Promise<Broker>;
  removeBroker(at: { host: string; port: number }): void;
  isConnected(): boolean;
  connect(): Promise<void>;
}
export interface SendSequences {
  acquireBrokerLock(broker: Broker): Promise<void>;
  releaseBrokerLock(broker: Broker): Promise<void> | void;
  isTransactional(): boolean;
  addPartitionsToTransaction(topicData: readonly TopicData[]): Promise<void>;
  getTransactionalId(): string;
  getProducerId(): unknown;
  getProducerEpoch(): number;
  getSequence(topic: string, partition: number): number;
  updateSequence(topic: string, partition: number, increment: number): void;
}
interface Parts {
  logger: { debug(message: string, details?: object): void; error(message: string, details?: object): void };
  cluster: SendCluster;
  partitioner: (of: { topic: string; partitionMetadata: readonly unknown[]; message: Messages[number] }) => number;
  eosManager: SendSequences;
  retrier: <T>(attempt: (bail: (error: unknown) => void, retryCount: number, retryTime: number) => Promise<T>) => Promise<T>;
}
interface SendRequest {
  acks: number;
  timeout?: number;
  compression?: unknown;
  topicMessages: readonly TopicMessages[];
}
interface TopicData {
  topic: string;
  partitions: { partition: number; messages: Messages; firstSequence?: number }[];
}
/** kafkajs's errors, which are of many classes. */
interface SendError {
  name?: string;
  type?: string;
  message?: string;
  host?: string;
  port?: number;
  retriable?: boolean;
}

type SendMessages = (request: SendRequest) => Promise<RecordMetadata[]>;

/**
 * Makes kafkajs's producers send with {@link createSendMessages}. Its own notes which brokers have answered, not which partitions, and tries again
 * while requests of the last attempt are still under way. With several brokers,
 * - a partition whose leader has moved to a broker that had answered is never sent, and the send succeeds (rule 5);
 * - where one broker refuses (as it does when the last transaction is still being finished), what another has taken meanwhile is sent
 *   once more under new sequence numbers, and is there twice.
 * Must run before kafkajs is loaded.
 */
export function replaceSending(require: NodeJS.Require): void {
  require(SEND);
  const { KafkaJSMetadataNotLoaded } = require('kafkajs/src/errors.js') as { KafkaJSMetadataNotLoaded: new (message: string) => Error };
  replaceExports(require, SEND, (parts: Parts) => createSendMessages(parts, (message) => new KafkaJSMetadataNotLoaded(message)));
}

/**
 * Sends each partition's records to its leader until that has acknowledged them. An attempt ends when all of its requests have; the next sends
 * what is not acknowledged, under the same sequence numbers, so that a leader which has it already says so instead of writing it again.
 * @param notLoaded makes the error for a partition that the metadata does not know yet; it must be one that is tried again
 */
export function createSendMessages(parts: Parts, notLoaded: (message: string) => Error): SendMessages {
  const { cluster, partitioner, retrier } = parts;
  return ({ topicMessages, ...how }) => {
    const unsent = new Map<string, Map<number, Messages>>();
    const written: RecordMetadata[] = [];

    const group = ({ topic, messages }: TopicMessages): void => {
      if (unsent.has(topic)) return;
      const partitionMetadata = cluster.findTopicPartitionMetadata(topic);
      if (partitionMetadata.length === 0) throw notLoaded(`no metadata of topic ${topic}`);
      const partitions = new Map<number, Messages>();
      for (const message of messages) {
        const partition = partitioner({ topic, partitionMetadata, message });
        const list = partitions.get(partition);
        if (list === undefined) partitions.set(partition, [message]);
        else list.push(message);
      }
      unsent.set(topic, partitions);
    };

    const byLeader = (): Map<string, TopicData[]> => {
      const requests = new Map<string, TopicData[]>();
      for (const [topic, partitions] of unsent) {
        const led = Object.entries(cluster.findLeaderForPartitions(topic, [...partitions.keys()]));
        if (led.reduce((sum, [, list]) => sum + list.length, 0) < partitions.size)
          throw notLoaded(`no metadata of a partition of ${topic}`);
        for (const [leader, list] of led) {
          const data = { topic, partitions: list.map((partition) => ({ partition, messages: partitions.get(partition) as Messages })) };
          requests.set(leader, [...(requests.get(leader) ?? []), data]);
        }
      }
      return requests;
    };

    const attempt = async (): Promise<void> => {
      await cluster.refreshMetadataIfNecessary();
      for (const each of topicMessages) group(each);
      const requests = await Promise.all(
        [...byLeader()].map(async ([nodeId, topicData]) => ({ broker: await cluster.findBroker({ nodeId }), topicData })),
      );
      const results = await Promise.allSettled(
        requests.map(async ({ broker, topicData }) => {
          for (const metadata of await sendTo(parts, broker, topicData, how)) {
            written.push(metadata);
            unsent.get(metadata.topicName)?.delete(metadata.partition);
          }
        }),
      );
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    };

    return retrier(async (bail, retryCount, retryTime) => {
      await cluster.addMultipleTargetTopics(topicMessages.map(({ topic }) => topic));
      try {
        await attempt();
      } catch (error) {
        await prepareRetry(parts, error as SendError, { retryCount, retryTime }, bail);
      }
      return written;
    });
  };
}

async function sendTo(
  { eosManager }: Parts,
  broker: Broker,
  topicData: TopicData[],
  how: Omit<SendRequest, 'topicMessages'>,
): Promise<RecordMetadata[]> {
  const advance = (direction: 1 | -1): void => {
    for (const { topic, partitions } of topicData) {
      for (const { partition, messages } of partitions) eosManager.updateSequence(topic, partition, direction * messages.length);
    }
  };
  await eosManager.acquireBrokerLock(broker);
  try {
    if (eosManager.isTransactional()) await eosManager.addPartitionsToTransaction(topicData);
    for (const { topic, partitions } of topicData) {
      for (const entry of partitions) entry.firstSequence = eosManager.getSequence(topic, entry.partition);
    }
    advance(1);
    try {
      const { topics } = await broker.produce({
        ...how,
        transactionalId: eosManager.isTransactional() ? eosManager.getTransactionalId() : undefined,
        producerId: eosManager.getProducerId(),
        producerEpoch: eosManager.getProducerEpoch(),
        topicData,
      });
      return topics.flatMap(({ topicName, partitions }) => partitions.map((partition) => ({ topicName, ...partition })));
    } catch (error) {
      advance(-1);
      throw error;
    }
  } finally {
    await eosManager.releaseBrokerLock(broker);
  }
}

const STALE_METADATA = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE', 'NOT_LEADER_FOR_PARTITION']);
const CONNECTION_LOST = new Set(['KafkaJSMetadataNotLoaded', 'KafkaJSConnectionError', 'KafkaJSConnectionClosedError']);

/** As kafkajs does: brings connections and metadata up to date and throws for the next attempt, or gives up. */
async function prepareRetry({ cluster, logger }: Parts, error: SendError, details: object, bail: (error: unknown) => void): Promise<void> {
  const { name = '', type = '', message = '', host, port } = error;
  if (name === 'KafkaJSConnectionClosedError' && host !== undefined && port !== undefined) cluster.removeBroker({ host, port });
  if (!cluster.isConnected()) {
    logger.debug(`Cluster has disconnected, reconnecting: ${message}`, details);
    await cluster.connect();
    await cluster.refreshMetadata();
    throw error;
  }
  if (STALE_METADATA.has(type) || CONNECTION_LOST.has(name) || (name === 'KafkaJSProtocolError' && error.retriable)) {
    logger.error(`Failed to send messages: ${message}`, details);
    await cluster.refreshMetadata();
    throw error;
  }
  logger.error(message, details);
  if (error.retriable) throw error;
  bail(error);
}
