import { messageOf } from '../domain/errors.js';
import type { Clock } from '../telemetry/clock.js';
import type { Session } from './takeover.js';
import { encodeMeta, isCommitted, nextMeta } from './task-meta.js';
import type { OffsetCommit } from './task-producer.js';
import type { FaultPointName, ProcessedCounts, TaskMeta } from './types.js';

/** Nothing is known about the fate of a transaction: the task has to be taken over anew. */
export class TransactionFailed extends Error {
  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
  }
}

export interface CommitScope {
  partition: number;
  /** Of each input topic. */
  partitions: number;
  groupId: string;
  outputTopic: string;
  outputPartition: number;
  clock: Clock;
  fault(point: FaultPointName): void | Promise<void>;
}

/** Some input has moved past what is committed. */
export function hasMoved({ inputs, committed }: Session): boolean {
  for (const { topic, position } of inputs.values()) if (committed.get(topic) !== position) return true;
  return false;
}

/**
 * One transaction, in this order: outputs; offsets of all inputs and the output partition, each with the metadata; commit; then the processor is told.
 * Without outputs, without a moved position and without anything new for a restore there is none, and `committed` is false.
 * @throws TransactionFailed
 */
export async function commitTransaction(session: Session, scope: CommitScope): Promise<{ committed: boolean; processed: ProcessedCounts }> {
  const { processor, producer, inputs, time } = session;
  const { outputTopic, outputPartition, groupId, partition, partitions, clock, fault } = scope;
  const { outputs, processed = {} } = processor.flush(clock.now());
  if (outputs.length === 0 && !hasMoved(session) && isCommitted(session.meta, processor.meta(null))) {
    processor.committed(null);
    return { committed: false, processed };
  }
  let meta: TaskMeta | null = null;
  let base: number | null;
  try {
    base = await producer.transact({
      outputs,
      outputTopic,
      outputPartition,
      groupId,
      fault,
      offsets: (first, last) => {
        meta = nextMeta(session.meta, processor.meta(first), time.now(), last, { partitions, group: groupId });
        const metadata = encodeMeta(meta);
        const commits: OffsetCommit[] = [...inputs].map(([topic, { position }]) => ({ topic, partition, offset: position, metadata }));
        commits.push({ topic: outputTopic, partition: outputPartition, offset: (meta.lastOutput ?? -1) + 1, metadata });
        return commits;
      },
    });
  } catch (error) {
    throw new TransactionFailed(error);
  }
  session.meta = meta;
  for (const { topic, position } of inputs.values()) session.committed.set(topic, position);
  processor.committed(base);
  return { committed: true, processed };
}
