import type { LogRange } from './offsets.js';
import type { Restorer } from './restorer.js';
import type { InputRecord, TaskMeta } from './types.js';

/** The offsets of a commit are visible a moment after the records that they came with. The brokers need milliseconds, unless they are in trouble. */
export const SETTLED_MS = 500;

/**
 * Offset of the first record on a task's output partition that was committed in a transaction which its metadata does not know; null: there is none.
 *
 * Brokers can acknowledge a commit and then forget its offsets (KAFKA-20634: a group coordinator that has lost its lead), or tell old ones. A task that
 * believed them would do that work again, and publish the same revisions with other contents. Outputs and offsets are of one transaction, and nobody else
 * writes the partition in one: so a record above the last that is known says so. Records of aborted transactions are none, nor is what another
 * program has put there outside of any: that was never a task's.
 * @param range of the output partition
 */
export async function firstUnknownOutput(
  restorer: Restorer,
  partition: number,
  { low, end }: LogRange,
  { lastOutput }: Pick<TaskMeta, 'lastOutput'>,
): Promise<number | null> {
  // The marker that ends its transaction comes right after the last output.
  if (lastOutput !== null && end <= lastOutput + 2) return null;
  let first: number | null = null;
  const enough = new Error('one is found');
  try {
    const look = (records: InputRecord[]): void => {
      first = records[0]?.offset ?? null;
      if (first !== null) throw enough;
    };
    await restorer.restore(partition, Math.max(low, (lastOutput ?? -1) + 1), end - 1, look, 'transactional');
  } catch (error) {
    if (error !== enough) throw error;
  }
  return first;
}
