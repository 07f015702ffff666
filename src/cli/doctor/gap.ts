import { setTimeout as delay } from 'node:timers/promises';
import { TOPICS } from '../../codec/topics.js';
import type { Config } from '../../config/index.js';
import { CallstreamError } from '../../domain/errors.js';
import { createClients } from '../../stream/client.js';
import { type CommittedOffset, type LogRange, OffsetReader } from '../../stream/offsets.js';
import { Restorer } from '../../stream/restorer.js';
import { committedMeta, encodeMeta } from '../../stream/task-meta.js';
import { type OffsetCommit, TaskProducer } from '../../stream/task-producer.js';
import type { TaskMeta } from '../../stream/types.js';
import { firstUnknownOutput, SETTLED_MS } from '../../stream/unknown-output.js';
import type { Logger } from '../../telemetry/log.js';
import { CALLS_SHARE } from '../../workers/channels/worker.js';
import { groupOf, INPUTS, kafkaConnection, STREAM_WORKERS } from '../parts.js';

type StreamRole = (typeof STREAM_WORKERS)[number];

/** What a worker's task p reads, and which share of which topic it writes: partition share * N + p. */
const LAYOUTS: Record<StreamRole, { inputs: readonly string[]; output: string; share: number; restores: boolean }> = {
  sessions: { inputs: INPUTS.sessions, output: TOPICS.calls.name, share: 0, restores: true },
  recordings: { inputs: INPUTS.recordings, output: TOPICS.recordings.name, share: 0, restores: true },
  channels: { inputs: INPUTS.channels, output: TOPICS.calls.name, share: CALLS_SHARE, restores: true },
  events: { inputs: INPUTS.events, output: TOPICS.callEvents.name, share: 0, restores: false },
};

/** Why a task cannot go on: a place in a topic that does not fit what the task has committed. */
export interface Gap {
  worker: StreamRole;
  topic: string;
  partition: number;
  /** What is lost, in words. */
  lost: string;
}

/** A task as Kafka knows it: one entry per input, then the output. */
interface TaskPlace {
  worker: StreamRole;
  partition: number;
  /** Of every input topic. */
  partitions: number;
  inputs: readonly { topic: string; committed: number; range: LogRange }[];
  /** `unknown`: offset of the first record that no commit knows. */
  output: { topic: string; partition: number; range: LogRange; unknown: number | null };
  meta: TaskMeta | null;
}

/** The same judgement as a takeover makes (design.md §2 rules 3c and 7). */
function gapsOf({ worker, partition, inputs, output, meta }: TaskPlace): Gap[] {
  const gap = (topic: string, lost: string, at = partition): Gap => ({ worker, topic, partition: at, lost });
  const gapOfOutput = (lost: string): Gap => gap(output.topic, lost, output.partition);
  const gaps: Gap[] = [];
  for (const { topic, committed, range } of inputs) {
    if (committed < -1)
      gaps.push(gap(topic, 'the place of the task is lost; its inputs are read again from the start, and repeats change nothing'));
    else if (committed >= 0 && committed < range.low)
      gaps.push(gap(topic, `${range.low - committed} inputs were deleted before they were read`));
    else if (committed > range.end)
      gaps.push(gap(topic, `${committed - range.end} inputs that were processed are gone from the log; their results are kept`));
  }
  const { low, end } = output.range;
  if (meta === null) {
    if (end > low) gaps.push(gapOfOutput('the commit metadata of the task has expired; its stream time starts anew'));
  } else if (meta.lastOutput !== null && meta.lastOutput >= end) {
    gaps.push(gapOfOutput(`${meta.lastOutput + 1 - end} published records are gone from the log`));
  } else if (meta.restoreFrom !== null && meta.restoreFrom < low) {
    gaps.push(gapOfOutput(`the state last written before offset ${low} is gone; ClickHouse has it as last published`));
  } else if (output.unknown !== null) {
    const again = LAYOUTS[worker].restores ? 'repeats change nothing' : 'their events are published a second time';
    gaps.push(
      gapOfOutput(
        `Kafka has lost the commit that the records from offset ${output.unknown} on came with; inputs are read again, and ${again}`,
      ),
    );
  }
  return gaps;
}

/** Where the task goes on: the nearest place that each log has, with a state rebuilt from all that the output partition holds. */
function placeAfterGap(place: TaskPlace, group: string, now: number): { offsets: Omit<OffsetCommit, 'metadata'>[]; meta: TaskMeta } {
  const { partition } = place;
  const inputs = place.inputs.map(({ topic, committed, range }) => ({
    topic,
    partition,
    offset: committed < 0 ? range.low : Math.min(Math.max(committed, range.low), range.end),
  }));
  const { low, end } = place.output.range;
  const lastOutput = end > low ? end - 1 : null;
  return {
    offsets: [...inputs, { topic: place.output.topic, partition: place.output.partition, offset: (lastOutput ?? -1) + 1 }],
    meta: {
      v: 1,
      streamTime: place.meta?.streamTime ?? 0,
      // Calls, recordings or sessions may have left whose state is unknown now: whatever could belong to one is looked up in ClickHouse first.
      horizon: LAYOUTS[place.worker].restores ? now : null,
      restoreFrom: LAYOUTS[place.worker].restores && lastOutput !== null ? low : null,
      lastOutput,
      partitions: place.partitions,
      group,
    },
  };
}

/** Finds gaps, and lets a task go on behind one. */
export class Gaps {
  readonly #config: Config;
  readonly #clients;
  readonly #offsets: OffsetReader;
  /** By topic. */
  readonly #readers = new Map<string, Restorer>();

  constructor(config: Config, logger: Logger) {
    this.#config = config;
    this.#clients = createClients(kafkaConnection(config), logger);
    this.#offsets = new OffsetReader(this.#clients);
  }

  async find(): Promise<Gap[]> {
    const places = await Promise.all(STREAM_WORKERS.map((worker) => this.#places(worker)));
    return places.flat().flatMap(gapsOf);
  }

  /**
   * Lets every task that stopped at a gap of this partition go on; the worker notices within half a minute. Returns what is lost.
   * @throws CallstreamError GAP_NOT_FOUND: nothing is wrong there, and nothing was changed
   */
  async accept(topic: string, partition: number, now: number): Promise<Gap[]> {
    const accepted: Gap[] = [];
    for (const worker of STREAM_WORKERS) {
      const stopped = (await this.#places(worker)).find((p) => gapsOf(p).some((g) => g.topic === topic && g.partition === partition));
      if (stopped !== undefined) accepted.push(...(await this.#goOn(stopped, now)));
    }
    if (accepted.length > 0) return accepted;
    const others = (await this.find()).map((g) => `${g.topic} ${g.partition}`);
    throw new CallstreamError(
      'GAP_NOT_FOUND',
      `no task stands at a gap of ${topic}, partition ${partition}${others.length === 0 ? '' : `; there are gaps at ${[...new Set(others)].join(', ')}`}`,
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.#offsets.close(), ...[...this.#readers.values()].map((reader) => reader.close())]);
  }

  /** Offsets are stable only once the task's old producer is fenced, so they are read again then. */
  async #goOn({ worker, partition, output }: TaskPlace, now: number): Promise<Gap[]> {
    const group = groupOf(this.#config, worker);
    const producer = await TaskProducer.fence({
      clients: this.#clients,
      transactionalId: `${group}-${partition}`,
      transactionTimeoutMs: 15_000,
      readBarrier: { groupId: group, topic: output.topic, partition: output.partition },
    });
    try {
      const place = (await this.#places(worker)).find((p) => p.partition === partition);
      if (place === undefined) return [];
      const gaps = gapsOf(place);
      if (gaps.length === 0) return [];
      const { offsets, meta } = placeAfterGap(place, group, now);
      const metadata = encodeMeta(meta);
      await producer.transact({
        outputs: [],
        outputTopic: place.output.topic,
        outputPartition: place.output.partition,
        groupId: group,
        offsets: () => offsets.map((offset) => ({ ...offset, metadata })),
        fault: () => {},
      });
      return gaps;
    } finally {
      producer.close();
    }
  }

  async #places(worker: StreamRole): Promise<TaskPlace[]> {
    const places = await this.#asCommitted(worker);
    const unknown = await Promise.all(places.map((place) => this.#unknownOutput(place)));
    if (unknown.every((first) => first === null)) return places;
    // Perhaps the task is at work.
    await delay(SETTLED_MS);
    const later = await this.#asCommitted(worker);
    return later.map((place, p) => {
      const first = unknown[p] ?? null;
      const isKnown = first === null || (place.meta?.lastOutput ?? -1) >= first;
      return { ...place, output: { ...place.output, unknown: isKnown ? null : first } };
    });
  }

  async #unknownOutput({ output: { topic, partition, range }, meta }: TaskPlace): Promise<number | null> {
    if (meta === null) return null;
    let reader = this.#readers.get(topic);
    if (reader === undefined) {
      reader = new Restorer({ clients: this.#clients, groupId: `${this.#config.kafka.groupPrefix}.doctor`, topic });
      this.#readers.set(topic, reader);
    }
    return firstUnknownOutput(reader, partition, range, meta);
  }

  async #asCommitted(worker: StreamRole): Promise<TaskPlace[]> {
    const { inputs, output, share } = LAYOUTS[worker];
    const topics = [...inputs, output];
    const committed = await this.#offsets.committed(groupOf(this.#config, worker), topics);
    const ranges = new Map(await Promise.all(topics.map(async (topic) => [topic, await this.#offsets.ranges(topic)] as const)));
    const at = (topic: string, p: number): CommittedOffset | undefined => committed.get(topic)?.[p];
    const rangeOf = (topic: string, p: number): LogRange => ranges.get(topic)?.[p] ?? { low: 0, end: 0 };
    const partitions = ranges.get(inputs[0] ?? '')?.length ?? 0;
    return Array.from({ length: partitions }, (_, p) => {
      const own = share * partitions + p;
      return {
        worker,
        partition: p,
        partitions,
        inputs: inputs.map((topic) => ({ topic, committed: at(topic, p)?.offset ?? -1, range: rangeOf(topic, p) })),
        output: { topic: output, partition: own, range: rangeOf(output, own), unknown: null },
        meta: committedMeta(committed, inputs, p, output, own),
      };
    });
  }
}
