import { CallstreamError } from '../domain/errors.js';
import type { CommittedOffset } from './offsets.js';
import type { ProcessorMeta, TaskMeta } from './types.js';

/** Limit of the broker (offset.metadata.max.bytes). */
const MAX_BYTES = 4_096;

export function encodeMeta(meta: TaskMeta): string {
  const text = JSON.stringify(meta);
  if (Buffer.byteLength(text) > MAX_BYTES)
    throw new CallstreamError(
      'STREAM_META_TOO_LARGE',
      `Commit metadata of ${Buffer.byteLength(text)} bytes is above the limit of ${MAX_BYTES}.`,
    );
  return text;
}

/** null when the text is not metadata of a task (another program has committed). */
export function decodeMeta(text: string | null): TaskMeta | null {
  if (text === null || text === '') return null;
  try {
    const meta = JSON.parse(text) as Partial<TaskMeta> | null;
    return meta !== null && typeof meta === 'object' && meta.v === 1 ? (meta as TaskMeta) : null;
  } catch {
    return null;
  }
}

/**
 * The newest of the copies. All partitions are committed in one transaction, so copies differ only where a topic was added or an offset
 * was lost; stream time and last output never go back.
 */
export function newestMeta(texts: Iterable<string | null>): TaskMeta | null {
  let newest: TaskMeta | null = null;
  for (const text of texts) {
    const meta = decodeMeta(text);
    if (meta !== null && (newest === null || isNewer(meta, newest))) newest = meta;
  }
  return newest;
}

/** What the group has committed of a task; null: nothing. */
export function committedMeta(
  committed: ReadonlyMap<string, readonly CommittedOffset[]>,
  inputs: readonly string[],
  partition: number,
  outputTopic: string,
  outputPartition: number,
): TaskMeta | null {
  return newestMeta([
    ...inputs.map((topic) => committed.get(topic)?.[partition]?.metadata ?? null),
    committed.get(outputTopic)?.[outputPartition]?.metadata ?? null,
  ]);
}

function isNewer(a: TaskMeta, b: TaskMeta): boolean {
  return a.streamTime !== b.streamTime ? a.streamTime > b.streamTime : (a.lastOutput ?? -1) > (b.lastOutput ?? -1);
}

/** Whether what is committed says the same as the processor: else a restore might reach back to what the topic has long dropped. */
export const isCommitted = (meta: TaskMeta | null, { horizon, restoreFrom }: ProcessorMeta): boolean =>
  meta !== null && meta.horizon === horizon && meta.restoreFrom === restoreFrom;

/** The metadata of the next commit; `last` is the offset of the transaction's last record on the output partition, null when it has none there. */
export function nextMeta(
  previous: TaskMeta | null,
  { horizon, restoreFrom }: ProcessorMeta,
  streamTime: number,
  last: number | null,
  { partitions, group }: Pick<TaskMeta, 'partitions' | 'group'>,
): TaskMeta {
  return { v: 1, streamTime, horizon, restoreFrom, lastOutput: last ?? previous?.lastOutput ?? null, partitions, group };
}
