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

/** `topic`: any that `migrate` has made. */
export async function readInstallation(offsets: OffsetReader, topic: string): Promise<Installation | null> {
  const committed = await offsets.committed(GROUP, [topic]);
  const text = committed.get(topic)?.[0]?.metadata;
  if (text === null || text === undefined || text === '') return null;
  const stored = JSON.parse(text) as Installation;
  if (stored.v !== 1)
    throw new CallstreamError('STREAM_INSTALLATION_UNKNOWN', `The topics belong to a newer version of callstream (${text}).`);
  return stored;
}

/** Offsets can be committed with metadata, and without joining the group, only inside a transaction. */
export async function writeInstallation(clients: KafkaClients, installation: Installation, topics: readonly string[]): Promise<void> {
  const metadata = JSON.stringify(installation);
  const producer = await TaskProducer.fence({ clients, transactionalId: GROUP, transactionTimeoutMs: 10_000 });
  try {
    await producer.transact({
      outputs: [],
      outputTopic: '',
      outputPartition: 0,
      groupId: GROUP,
      offsets: () => topics.map((topic) => ({ topic, partition: 0, offset: 0, metadata })),
      fault: () => {},
    });
  } finally {
    producer.close();
  }
}

/**
 * Before a worker joins its group. `topic`: any that `migrate` has made.
 * @throws CallstreamError STREAM_GROUP_CHANGED
 */
export async function requireGroup(offsets: OffsetReader, topic: string, name: string, group: string): Promise<void> {
  const stored = await readInstallation(offsets, topic);
  if (stored !== null) checkGroup(stored, name, group);
}

/** @throws CallstreamError STREAM_GROUP_CHANGED when the worker of this name has worked under another group: it would not find its place. */
export function checkGroup(stored: Installation, name: string, group: string): void {
  const known = stored.groups[name];
  if (known === undefined || known === group) return;
  throw new CallstreamError(
    'STREAM_GROUP_CHANGED',
    `The worker ${name} belongs to consumer group ${known}; ${group} is configured, and would begin anew.`,
  );
}
