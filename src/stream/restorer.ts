import { randomUUID } from 'node:crypto';
import type { CallstreamError } from '../domain/errors.js';
import type { KafkaClients } from './client.js';
import { type FetchedBatch, GroupMember, isTransactional, toRecords } from './group-member.js';
import type { InputRecord } from './types.js';

export interface RestorerOptions {
  clients: KafkaClients;
  /** Prefix of the restorer's own group. */
  groupId: string;
  topic: string;
  sessionTimeoutMs?: number;
}

/** Records of all producers, or of those that write in transactions, as tasks do. */
type Which = 'all' | 'transactional';

const CLOSING = 'the restorer is closing';

interface Restore {
  next: number;
  last: number;
  which: Which;
  sink: (records: InputRecord[]) => void;
  done: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * Reads ranges of a topic's partitions, committed records only. kafkajs cannot assign partitions by hand, so this is the only member of a group
 * of its own: it joins once per process, owns all partitions, paused, and is moved to where a restore begins.
 */
export class Restorer {
  readonly #options: RestorerOptions;
  readonly #active = new Map<number, Restore>();
  #member: GroupMember | null = null;
  #joined: Promise<void> | null = null;
  #closed = false;

  constructor(options: RestorerOptions) {
    this.#options = options;
  }

  /**
   * Hands the committed records of [from, last] to `sink`, in order; whatever `sink` throws ends the restore.
   * @param which of them; the others are passed over
   */
  async restore(
    partition: number,
    from: number,
    last: number,
    sink: (records: InputRecord[]) => void,
    which: Which = 'all',
  ): Promise<void> {
    if (from > last) return;
    await this.#join();
    // Never moved while under way: a batch already fetched for the old place could be taken for the new one.
    while (this.#active.has(partition)) await this.#active.get(partition)?.done.catch(() => {});
    // Nobody would tell those that come after the close.
    if (this.#closed) throw new Error(CLOSING);
    let settle: Pick<Restore, 'resolve' | 'reject'> | null = null;
    const done = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#active.set(partition, { next: from, last, which, sink, done, ...(settle as unknown as Pick<Restore, 'resolve' | 'reject'>) });
    this.#read(partition, from);
    await done;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#active.values()) reject(new Error(CLOSING));
    this.#active.clear();
    await this.#member?.stop();
  }

  #join(): Promise<void> {
    this.#joined ??= this.#start().catch((error: unknown) => {
      this.#joined = null;
      throw error;
    });
    return this.#joined;
  }

  async #start(): Promise<void> {
    const { clients, groupId, topic, sessionTimeoutMs } = this.#options;
    const member = new GroupMember(
      {
        clients,
        groupId: `${groupId}.restore.${randomUUID()}`,
        topics: [topic],
        maxBytesPerPartition: 4_194_304,
        ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
      },
      {
        joined: (assignment) => {
          member.pause(topic, assignment.get(topic) ?? []);
          for (const [partition, { next }] of this.#active) this.#read(partition, next);
        },
        batch: (batch) => this.#take(batch),
        skipped: (_topic, partition, _first, next) => {
          const restore = this.#active.get(partition);
          if (restore !== undefined) this.#advance(partition, restore, next);
        },
        crashed: (error) => this.#crashed(error),
      },
    );
    this.#member = member;
    await member.start();
  }

  #read(partition: number, from: number): void {
    this.#member?.seek(this.#options.topic, partition, from);
    this.#member?.resume(this.#options.topic, [partition]);
  }

  #take(batch: FetchedBatch): boolean {
    const restore = this.#active.get(batch.partition);
    if (restore === undefined) return false;
    if (batch.fetchedOffset > restore.next) {
      // Of an earlier place, or kafkajs was moved: what lies between would be missing.
      this.#read(batch.partition, restore.next);
      return false;
    }
    try {
      const messages = restore.which === 'all' ? batch.messages : batch.messages.filter(isTransactional);
      const records = toRecords({ ...batch, messages }, restore.next);
      const beyond = records.findIndex((r) => r.offset > restore.last);
      restore.sink(beyond === -1 ? records : records.slice(0, beyond));
      this.#advance(batch.partition, restore, batch.nextOffset);
    } catch (error) {
      this.#end(batch.partition);
      restore.reject(error as Error);
    }
    return true;
  }

  #advance(partition: number, restore: Restore, next: number): void {
    if (next > restore.next) restore.next = next;
    if (restore.next <= restore.last) return;
    this.#end(partition);
    restore.resolve();
  }

  #end(partition: number): void {
    this.#active.delete(partition);
    this.#member?.pause(this.#options.topic, [partition]);
  }

  #crashed(error: CallstreamError): void {
    for (const { reject } of this.#active.values()) reject(error);
    this.#active.clear();
    this.#member = null;
    this.#joined = null;
  }
}
