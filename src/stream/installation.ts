import { CallstreamError } from '../domain/errors.js';
import type { KafkaClients } from './client.js';
import type { OffsetReader } from './offsets.js';
import { TaskProducer } from './task-producer.js';

/** What was chosen when the topics were made, and must not change under them. */
export interface Installation {
  v: 1;
  partitions: number;
  /** Consumer group of each worker, by its name. */
  groups: Readonly<Record<string, string>>;
}

/**
 * Kept as the metadata of an offset that a group of this name has committed: readable without consuming, written without a topic of its own.
 * Brokers forget it after offsets.retention.minutes; every `migrate` writes it anew, and a worker of a wrong group still finds no metadata
 * of its own then (STREAM_META_LOST).
 */
const GROUP = 'callstream.installation';

export async function readInstallation(offsets: OffsetReader, anchorTopic: string): Promise<Installation | null> {
  const committed = await offsets.committed(GROUP, [anchorTopic]);
  const text = committed.get(anchorTopic)?.[0]?.metadata;
  if (text === null || text === undefined || text === '') return null;
  const stored = JSON.parse(text) as Installation;
  if (stored.v !== 1)
    throw new CallstreamError('STREAM_INSTALLATION_UNKNOWN', `The topics belong to a newer version of callstream (${text}).`);
  return stored;
}

/** Offsets can be committed with metadata, and without joining the group, only inside a transaction. */
export async function writeInstallation(clients: KafkaClients, installation: Installation, anchorTopic: string): Promise<void> {
  const producer = await TaskProducer.fence({ clients, transactionalId: GROUP, transactionTimeoutMs: 10_000 });
  try {
    await producer.transact({
      outputs: [],
      outputTopic: anchorTopic,
      outputPartition: 0,
      groupId: GROUP,
      offsets: () => [{ topic: anchorTopic, partition: 0, offset: 0, metadata: JSON.stringify(installation) }],
      fault: () => {},
    });
  } finally {
    producer.close();
  }
}
