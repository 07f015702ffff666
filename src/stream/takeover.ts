import { setTimeout as delay } from 'node:timers/promises';
import { CallstreamError } from '../domain/errors.js';
import { type Clock, passingTime } from '../telemetry/clock.js';
import type { KafkaClients } from './client.js';
import { InputQueue } from './input-queue.js';
import type { CommittedOffset, LogRange, OffsetReader } from './offsets.js';
import type { Restorer } from './restorer.js';
import { StreamTime } from './stream-time.js';
import { committedMeta } from './task-meta.js';
import { TaskProducer } from './task-producer.js';
import type { FaultPointName, Processor, TaskMeta } from './types.js';
import { firstUnknownOutput, SETTLED_MS } from './unknown-output.js';

/** What a task works with between a takeover and its first failure; then all of it is thrown away. */
export interface Session {
  producer: TaskProducer;
  processor: Processor;
  inputs: Map<string, InputQueue>;
  time: StreamTime;
  /** As last committed, by this session or before; null until the task's first commit. */
  meta: TaskMeta | null;
  /** Position that is committed, by input topic. */
  committed: Map<string, number>;
}

export interface TakeoverRequest {
  partition: number;
  groupId: string;
  transactionalId: string;
  transactionTimeoutMs: number;
  inputs: readonly string[];
  /** The one of the inputs that stream time does not wait for. */
  deferred: string | null;
  outputTopic: string;
  outputPartition: number;
  /** Reads the output topic. */
  restorer: Restorer;
  /** The output topic is the processor's changelog. */
  restores: boolean;
  createProcessor: () => Processor;
  clients: KafkaClients;
  offsets: OffsetReader;
  clock: Clock;
  fault(point: FaultPointName): void | Promise<void>;
  /** Throws when the task is closed meanwhile: a restore can take long. */
  proceed(): void;
  restored(records: number, ms: number): void;
}

/**
 * Rule 3, in this order; the input partitions are paused all the while:
 *   (a) fence the old owner and end its open transaction, with a read barrier,
 *   (b) read committed offsets and metadata: stable, and the last ones, only now,
 *   (c) check that every offset lies inside its log, and that the output holds nothing that they do not know,
 *   (d) restore the state from the output partition.
 * Then the caller seeks and resumes (e).
 * @throws CallstreamError STREAM_GAP, STREAM_META_LOST, STREAM_COMMIT_LOST, STREAM_PARTITIONS_CHANGED: the task cannot go on without a person;
 *   STREAM_OVERTAKEN: the offsets moved meanwhile
 */
export async function takeOver(request: TakeoverRequest): Promise<Session> {
  const { partition, groupId, inputs, deferred, outputTopic, outputPartition, offsets, fault, proceed } = request;
  const topics = [...inputs, outputTopic];
  const metaOf = (committed: ReadonlyMap<string, CommittedOffset[]>): TaskMeta | null =>
    committedMeta(committed, inputs, partition, outputTopic, outputPartition);
  await fault('before-fence');
  const producer = await TaskProducer.fence({ ...request, readBarrier: { groupId, topic: outputTopic, partition: outputPartition } });
  try {
    await fault('after-fence');
    proceed();

    const committed = await offsets.committed(groupId, topics);
    const at = request.clock.now();
    const ranges = new Map(
      await Promise.all(topics.map(async (topic): Promise<[string, LogRange[]]> => [topic, await offsets.ranges(topic)])),
    );
    proceed();
    const meta = metaOf(committed);
    checkPartitions(inputs, ranges, meta);
    const output = rangeOf(ranges, outputTopic, outputPartition);
    checkOutput(outputTopic, outputPartition, output, meta);
    const positions = new Map(
      inputs.map((topic) => [topic, positionOf(topic, partition, committed.get(topic)?.[partition], rangeOf(ranges, topic, partition))]),
    );
    if (meta !== null) await checkNothingUnknown(request, output, meta, async () => metaOf(await offsets.committed(groupId, topics)));
    proceed();

    const processor = request.createProcessor();
    await fault('before-restore');
    const began = passingTime.now();
    const restored = await restore(request, processor, meta);
    proceed();
    await processor.restored(meta);
    await fault('after-restore');
    request.restored(restored, passingTime.now() - began);

    const time = new StreamTime(
      inputs.filter((topic) => topic !== deferred),
      meta?.streamTime ?? 0,
    );
    for (const [topic, position] of positions) time.ended(topic, at, rangeOf(ranges, topic, partition).end, position);
    time.advance();
    return {
      producer,
      processor,
      time,
      meta,
      inputs: new Map([...positions].map(([topic, position]) => [topic, new InputQueue(topic, position, topic === deferred)])),
      committed: new Map(inputs.map((topic) => [topic, committed.get(topic)?.[partition]?.offset ?? -1])),
    };
  } catch (error) {
    producer.close();
    throw error;
  }
}

async function restore(
  { restorer, restores, outputPartition, proceed }: TakeoverRequest,
  processor: Processor,
  meta: TaskMeta | null,
): Promise<number> {
  if (!restores || meta === null || meta.restoreFrom === null || meta.lastOutput === null) return 0;
  let count = 0;
  await restorer.restore(outputPartition, meta.restoreFrom, meta.lastOutput, (records) => {
    proceed();
    for (const record of records) processor.restore?.(record);
    count += records.length;
  });
  return count;
}

function rangeOf(ranges: ReadonlyMap<string, LogRange[]>, topic: string, partition: number): LogRange {
  const range = ranges.get(topic)?.[partition];
  if (range === undefined) throw new CallstreamError('STREAM_PARTITIONS_CHANGED', `Topic ${topic} has no partition ${partition}.`);
  return range;
}

function checkPartitions(inputs: readonly string[], ranges: ReadonlyMap<string, LogRange[]>, meta: TaskMeta | null): void {
  if (meta === null) return;
  for (const topic of inputs) {
    const count = ranges.get(topic)?.length ?? 0;
    if (count !== meta.partitions) {
      throw new CallstreamError(
        'STREAM_PARTITIONS_CHANGED',
        `Topic ${topic} has ${count} partitions, and the work so far was done with ${meta.partitions}: calls would be torn apart. The partition count is fixed at creation.`,
      );
    }
  }
}

function checkOutput(topic: string, partition: number, { low, end }: LogRange, meta: TaskMeta | null): void {
  if (meta === null) {
    if (end > low) {
      throw new CallstreamError(
        'STREAM_META_LOST',
        `Partition ${partition} of ${topic} has records, but the group has no commit metadata for it: its offsets have expired, or this is another group. callstream doctor says what to do.`,
      );
    }
    return;
  }
  if (meta.lastOutput !== null && meta.lastOutput >= end) {
    throw gap(topic, partition, `ends at ${end}, and ${meta.lastOutput} was written and committed`);
  }
  if (meta.restoreFrom !== null && meta.restoreFrom < low)
    throw gap(topic, partition, `begins at ${low}, and the state is needed from ${meta.restoreFrom}`);
}

/** What is found may have come meanwhile, of an heir that has taken over from this very task: its commit is known then. */
async function checkNothingUnknown(
  { restorer, outputTopic, outputPartition }: TakeoverRequest,
  range: LogRange,
  meta: TaskMeta,
  askAgain: () => Promise<TaskMeta | null>,
): Promise<void> {
  const first = await firstUnknownOutput(restorer, outputPartition, range, meta);
  if (first === null) return;
  await delay(SETTLED_MS);
  const place = `Partition ${outputPartition} of ${outputTopic}`;
  if (((await askAgain())?.lastOutput ?? -1) >= first) {
    throw new CallstreamError('STREAM_OVERTAKEN', `${place} was written while the task was taken over: it is taken over anew.`);
  }
  throw new CallstreamError(
    'STREAM_COMMIT_LOST',
    `${place} has records from offset ${first} on that no commit of the group knows, which ends at ${meta.lastOutput ?? 'none'}: Kafka has lost the commit that they came with, or another program writes there in transactions. callstream doctor says how to go on.`,
  );
}

function positionOf(topic: string, partition: number, committed: CommittedOffset | undefined, { low, end }: LogRange): number {
  const offset = committed?.offset ?? -1;
  if (offset === -1) return low;
  if (offset < -1) throw gap(topic, partition, 'was read at an offset that it no longer had, and the place is lost');
  if (offset < low) throw gap(topic, partition, `begins at ${low}, and ${offset} is the next to be read: ${low - offset} records are gone`);
  if (offset > end)
    throw gap(topic, partition, `ends at ${end}, and ${offset} is the next to be read: records that were processed are gone`);
  return offset;
}

export function gap(topic: string, partition: number, what: string): CallstreamError {
  return new CallstreamError(
    'STREAM_GAP',
    `Partition ${partition} of ${topic} ${what}. The task stops; callstream doctor says what is lost and how to go on.`,
  );
}
