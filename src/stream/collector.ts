import { setTimeout as delay } from 'node:timers/promises';
import { CallstreamError } from '../domain/errors.js';
import type { Logger } from '../telemetry/log.js';
import { createClients, type KafkaConnection, kafkaErrorType } from './client.js';
import { GroupMember, toRecords } from './group-member.js';
import { requireGroup } from './installation.js';
import { OffsetReader } from './offsets.js';
import type { InputRecord } from './types.js';
import { Backoff, Signal } from './wait.js';

export interface CollectorOptions {
  /** Of the worker whose group it is. */
  name: string;
  kafka: KafkaConnection;
  groupId: string;
  topics: readonly string[];
  logger: Logger;
  /** The process is of no use any more: exit non-zero. */
  onFatal: (error: unknown) => void;
  /** Records and bytes held over all partitions: fetching waits above it. */
  maxRecords?: number;
  maxBytes?: number;
  sessionTimeoutMs?: number;
  heartbeatMs?: number;
}

/** What to take at most, and how long to wait for it. */
export interface TakeOptions {
  maxRecords: number;
  maxBytes: number;
  /** From the first record on. */
  lingerMs: number;
}

/** Records of several partitions, in order within each, and the offsets to commit once they are stored. */
export interface CollectedBatch {
  records: InputRecord[];
  bytes: number;
  /** Opaque to the caller: belongs to `commit`. */
  readonly offsets: readonly CollectedOffset[];
}

interface CollectedOffset {
  place: Place;
  next: number;
}

/** One assigned partition, in one stay with this member. A partition that comes back is a new place: what was read before may not be committed for it. */
interface Place {
  topic: string;
  partition: number;
  assigned: boolean;
  /** Next offset to queue; null: as kafkajs begins, at the committed offset. */
  end: number | null;
  committed: number;
}

interface Held {
  place: Place;
  records: readonly InputRecord[];
  from: number;
  bytes: number;
  next: number;
}

/**
 * Reads committed records of all partitions that its group gives it, at least once: what is taken is committed only after the caller has
 * stored it, and only for partitions that it has kept all the while.
 */
export class Collector {
  readonly #o: CollectorOptions;
  readonly #member: GroupMember;
  readonly #offsets: OffsetReader;
  readonly #signal = new Signal();
  #places = new Map<string, Place>();
  #held: Held[] = [];
  #records = 0;
  #bytes = 0;
  #paused = false;
  #failure: CallstreamError | null = null;
  #running = false;

  constructor(options: CollectorOptions) {
    this.#o = options;
    const log = options.logger.child({ worker: options.name });
    const clients = createClients(options.kafka, log);
    this.#offsets = new OffsetReader(clients);
    this.#member = new GroupMember(
      {
        clients,
        groupId: options.groupId,
        topics: options.topics,
        ...(options.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: options.sessionTimeoutMs }),
        ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
      },
      {
        joined: (assignment) => this.#joined(assignment),
        batch: (batch) => {
          const place = this.#places.get(placeName(batch.topic, batch.partition));
          if (place === undefined) return false;
          place.end ??= batch.fetchedOffset;
          if (batch.fetchedOffset > place.end) {
            this.#member.seek(batch.topic, batch.partition, place.end);
            return false;
          }
          this.#hold(place, toRecords(batch, place.end), batch.nextOffset);
          return true;
        },
        skipped: (topic, partition, first, next) => {
          const place = this.#places.get(placeName(topic, partition));
          if (place === undefined) return;
          place.end ??= first;
          this.#hold(place, [], next);
        },
        crashed: (error) => {
          this.#failure = error;
          this.#signal.notify();
          options.onFatal(error);
        },
      },
    );
  }

  /** Empty when everything works. */
  problems(): string[] {
    if (this.#failure !== null) return [this.#failure.message];
    return this.#running ? [] : [`${this.#o.name} has not joined its group`];
  }

  /** @throws CallstreamError STREAM_GROUP_CHANGED; Kafka's errors when it cannot be reached */
  async start(): Promise<void> {
    await requireGroup(this.#offsets, this.#o.topics[0] as string, this.#o.name, this.#o.groupId);
    await this.#member.start();
    this.#running = true;
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#signal.notify();
    await this.#member.stop();
    await this.#offsets.close();
  }

  /** Records that the group has not committed yet, by topic. */
  lag(): Promise<Map<string, number>> {
    return this.#offsets.lag(this.#o.groupId, this.#o.topics);
  }

  /**
   * The next records, in order for each partition; waits for the first one. Empty when the collector stops; may hold offsets without records.
   * @throws CallstreamError STREAM_CONSUMER_CRASHED
   */
  async take({ maxRecords, maxBytes, lingerMs }: TakeOptions): Promise<CollectedBatch> {
    let deadline: number | null = null;
    while (this.#failure === null && this.#records < maxRecords && this.#bytes < maxBytes) {
      if (this.#held.length > 0) deadline ??= performance.now() + lingerMs;
      const wait = deadline === null ? 1_000 : deadline - performance.now();
      if (wait <= 0 || (!this.#running && deadline === null)) break;
      await this.#signal.wait(wait);
      if (!this.#running && this.#held.length === 0) break;
    }
    if (this.#failure !== null) throw this.#failure;
    return this.#remove(maxRecords, maxBytes);
  }

  /**
   * Commits what the batch covers; call it after the batch is stored, in the order of the takes. Partitions that this member has lost since are
   * left out: their new owner reads them again, and a commit now would rewind it.
   * @throws CallstreamError STREAM_COMMIT_FAILED when Kafka does not answer for long: the records will be read again
   */
  async commit({ offsets }: CollectedBatch): Promise<void> {
    const backoff = new Backoff(50, 1_000);
    for (let attempt = 1; ; attempt += 1) {
      let current: CollectedOffset[] = [];
      try {
        await this.#member.commit(() => {
          current = offsets.filter(({ place, next }) => place.assigned && next > place.committed);
          return current.map(({ place, next }) => ({ topic: place.topic, partition: place.partition, offset: next }));
        });
        for (const { place, next } of current) place.committed = next;
        return;
      } catch (error) {
        // The group is about to give out partitions anew: everything not committed will be read again by whoever owns it then.
        if (REBALANCING.has(kafkaErrorType(error))) return;
        if (attempt === COMMIT_ATTEMPTS)
          throw new CallstreamError('STREAM_COMMIT_FAILED', `Offsets could not be committed: ${String(error)}`, { cause: error });
      }
      await delay(backoff.next());
    }
  }

  /** Whether the group has given this partition to this member. */
  owns(topic: string, partition: number): boolean {
    return this.#places.has(placeName(topic, partition));
  }

  /** kafkajs begins every generation at the committed offsets, and may have begun a new one with a new member id: nothing of the last one is kept. */
  #joined(assignment: ReadonlyMap<string, readonly number[]>): void {
    for (const place of this.#places.values()) place.assigned = false;
    this.#places = new Map();
    this.#held = [];
    this.#records = 0;
    this.#bytes = 0;
    for (const [topic, partitions] of assignment) {
      for (const partition of partitions) {
        this.#places.set(placeName(topic, partition), { topic, partition, assigned: true, end: null, committed: -1 });
      }
    }
    this.#resume();
  }

  #hold(place: Place, records: readonly InputRecord[], next: number): void {
    if (next <= (place.end as number)) return;
    place.end = next;
    let bytes = 0;
    for (const { value } of records) bytes += value?.length ?? 0;
    this.#held.push({ place, records, from: 0, bytes, next });
    this.#records += records.length;
    this.#bytes += bytes;
    if (!this.#paused && (this.#records >= (this.#o.maxRecords ?? 100_000) || this.#bytes >= (this.#o.maxBytes ?? 67_108_864))) {
      this.#paused = true;
      for (const { topic, partition } of this.#places.values()) this.#member.pause(topic, [partition]);
    }
    this.#signal.notify();
  }

  #remove(maxRecords: number, maxBytes: number): CollectedBatch {
    const records: InputRecord[] = [];
    const next = new Map<Place, number>();
    let bytes = 0;
    while (this.#held.length > 0 && records.length < maxRecords && bytes < maxBytes) {
      const held = this.#held[0] as Held;
      let { from } = held;
      for (; from < held.records.length && records.length < maxRecords && bytes < maxBytes; from += 1) {
        const record = held.records[from] as InputRecord;
        records.push(record);
        bytes += record.value?.length ?? 0;
        next.set(held.place, record.offset + 1);
      }
      this.#records -= from - held.from;
      held.from = from;
      if (from < held.records.length) break;
      next.set(held.place, held.next);
      this.#held.shift();
    }
    this.#bytes = this.#held.length === 0 ? 0 : this.#bytes - bytes;
    if (this.#paused && this.#records <= (this.#o.maxRecords ?? 100_000) / 2 && this.#bytes <= (this.#o.maxBytes ?? 67_108_864) / 2)
      this.#resume();
    return { records, bytes, offsets: [...next].map(([place, offset]) => ({ place, next: offset })) };
  }

  #resume(): void {
    this.#paused = false;
    for (const { topic, partition } of this.#places.values()) this.#member.resume(topic, [partition]);
  }
}

const REBALANCING = new Set(['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID']);
const COMMIT_ATTEMPTS = 15;

const placeName = (topic: string, partition: number): string => `${partition}:${topic}`;
