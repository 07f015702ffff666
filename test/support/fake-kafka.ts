import { EventEmitter } from 'node:events';
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';

/*
 * A broker in memory, and a client of it with the shape and the hazards of kafkajs 2.2.4, as far as src/stream meets them. A test replaces kafkajs by it:
 *
 *     vi.mock('../../src/stream/kafkajs.js', async (original) => ({ ...(await original<object>()), Kafka: FakeKafka }));
 *
 * and can then say when answers are lost, heartbeats fail or logs are cut, without waiting for any of it.
 */

interface FakeMessage {
  key: string | Buffer | null;
  value: string | Buffer | null;
  headers?: Record<string, string>;
  partition: number;
}
interface TopicMessages {
  topic: string;
  messages: FakeMessage[];
}
interface Place {
  topic: string;
  partition: number;
}
interface TopicOffsets {
  topic: string;
  partitions: { partition: number; offset: string; metadata?: string | null }[];
}

/** A record of the log. `open` lasts as long as its transaction; consumers see only `committed`. */
interface Logged {
  state: 'committed' | 'open' | 'aborted' | 'control';
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, string>;
  timestamp: number;
  /** It came in a transaction. */
  transactional?: boolean;
}
interface Log {
  low: number;
  /** By offset; what is below `low` is gone. */
  records: Logged[];
}
interface Open {
  epoch: number;
  places: Map<string, Logged[]>;
  offsets: [group: string, place: string, Committed][];
}
interface Committed {
  offset: string;
  metadata: string | null;
}

const nameOf = ({ topic, partition }: Place): string => `${topic}:${partition}`;
const bytes = (of: string | Buffer | null): Buffer | null => (of === null ? null : Buffer.from(of));

export class FakeProtocolError extends Error {
  constructor(readonly type: string) {
    super(type);
    this.name = 'KafkaJSProtocolError';
  }
}

/** A step of a client, in the order in which the broker meets them: `fence`, `send`, `offsets`, `commit`, `abort`, `committed`, `ranges`. */
export type Step = 'fence' | 'send' | 'answer' | 'offsets' | 'commit' | 'abort' | 'committed' | 'ranges';

export class FakeBroker {
  static readonly #all = new Map<string, FakeBroker>();
  readonly address = `fake-${FakeBroker.#all.size}`;
  /** Called at each step: what it throws, the client throws. `answer` comes after the records of a `send` are written. */
  onStep: (step: Step, of: string) => void | Promise<void> = () => {};
  /** Changes what a send is answered. */
  onAnswer: (answer: Answer[]) => Answer[] = (answer) => answer;
  /** Called between a fetch and the handing over of what it brought, as a real fetch takes time. */
  onFetched: (place: string, from: number) => void = () => {};
  /** While false, members of groups are not counted in. */
  heartbeats = true;
  readonly steps: string[] = [];
  readonly requests: { acks: number; topicMessages: TopicMessages[] }[] = [];
  readonly members: FakeConsumer[] = [];
  readonly #logs = new Map<string, Log[]>();
  readonly #offsets = new Map<string, Map<string, Committed>>();
  /** By group: what its coordinator tells, where that is not what was committed last. */
  readonly #told = new Map<string, Map<string, Committed>>();
  readonly #epochs = new Map<string, number>();
  readonly #open = new Map<string, Open>();
  /** By producer and place: the sequence number that comes next. */
  readonly #sequences = new Map<string, number>();

  constructor() {
    FakeBroker.#all.set(this.address, this);
  }

  static at(address: string): FakeBroker {
    const found = FakeBroker.#all.get(address);
    if (found === undefined) throw new Error(`no fake broker at ${address}`);
    return found;
  }

  create(topic: string, partitions = 1): void {
    this.#logs.set(
      topic,
      Array.from({ length: partitions }, () => ({ low: 0, records: [] })),
    );
  }

  log({ topic, partition }: Place): Log {
    const log = this.#logs.get(topic)?.[partition];
    if (log === undefined) throw new FakeProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
    return log;
  }

  topics(): string[] {
    return [...this.#logs.keys()];
  }

  partitionsOf(topic: string): number[] {
    return [...(this.#logs.get(topic) ?? []).keys()];
  }

  append(place: Place, key: string | Buffer | null, value: string | Buffer | null, timestamp = Date.now()): void {
    this.log(place).records.push({ state: 'committed', key: bytes(key), value: bytes(value), headers: {}, timestamp });
  }

  /** The topic was deleted and made anew: its log is empty, and no group has an offset of it. */
  recreate(topic: string): void {
    this.create(topic, this.partitionsOf(topic).length);
    for (const offsets of this.#offsets.values())
      for (const name of [...offsets.keys()]) if (name.startsWith(`${topic}:`)) offsets.delete(name);
  }

  /** Values of the committed records of a partition, in order. */
  values(place: Place): string[] {
    return this.log(place)
      .records.filter(({ state }) => state === 'committed')
      .map(({ value }) => String(value));
  }

  committed(group: string, place: Place): Committed | undefined {
    return this.#offsets.get(group)?.get(nameOf(place));
  }

  /** Call the result for another coordinator of the group. It tells nothing of what was committed after this call, until a transaction says an offset of the group. */
  coordinatorThatKnows(group: string): () => void {
    const known = new Map(this.#offsets.get(group));
    return () => this.#told.set(group, known);
  }

  tellNew(group: string): void {
    this.#told.delete(group);
  }

  told(group: string, place: Place): Committed | undefined {
    return (this.#told.get(group) ?? this.#offsets.get(group))?.get(nameOf(place));
  }

  commit(group: string, place: Place, offset: number, metadata: string | null = null): void {
    const offsets = this.#offsets.get(group) ?? new Map<string, Committed>();
    offsets.set(nameOf(place), { offset: String(offset), metadata });
    this.#offsets.set(group, offsets);
  }

  /** Where the log begins, and its last stable offset. */
  range(place: Place): { low: number; end: number } {
    const { low, records } = this.log(place);
    const open = records.findIndex(({ state }) => state === 'open');
    return { low, end: open === -1 ? records.length : open };
  }

  /** Every log of these topics and every offset of the group is as if a member had read them to the end. */
  drained(group: string, topics: readonly string[]): boolean {
    return topics.every((topic) =>
      this.partitionsOf(topic).every((partition) => {
        const { end } = this.range({ topic, partition });
        return end === 0 || Number(this.committed(group, { topic, partition })?.offset ?? -1) >= end;
      }),
    );
  }

  async step(step: Step, of: string): Promise<void> {
    this.steps.push(`${step} ${of}`);
    await this.onStep(step, of);
  }

  fence(id: string): number {
    const epoch = (this.#epochs.get(id) ?? -1) + 1;
    this.#epochs.set(id, epoch);
    this.end(id, false);
    return epoch;
  }

  check(id: string, epoch: number): void {
    if (this.#epochs.get(id) !== epoch) throw new FakeProtocolError('INVALID_PRODUCER_EPOCH');
  }

  open(id: string, epoch: number): Open {
    this.check(id, epoch);
    const open = this.#open.get(id) ?? { epoch, places: new Map(), offsets: [] };
    this.#open.set(id, open);
    return open;
  }

  /** Ends what is open, if anything is; the markers take an offset each. */
  end(id: string, commit: boolean): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    for (const [place, records] of open.places) {
      for (const record of records) record.state = commit ? 'committed' : 'aborted';
      const [topic, partition] = place.split(':') as [string, string];
      this.log({ topic, partition: Number(partition) }).records.push({
        state: 'control',
        key: null,
        value: null,
        headers: {},
        timestamp: Date.now(),
      });
    }
    if (commit) for (const [group, place, at] of open.offsets) this.#setOffset(group, place, at);
  }

  #setOffset(group: string, place: string, at: Committed): void {
    const [topic, partition] = place.split(':') as [string, string];
    this.commit(group, { topic, partition: Number(partition) }, Number(at.offset), at.metadata);
  }

  /** Appends a record batch as an idempotent producer sends it: a sequence number that was there already is a duplicate, and dropped without a word. */
  write(producer: string, place: Place, sequence: number, records: Logged[]): number {
    const log = this.log(place);
    const name = `${producer} ${nameOf(place)}`;
    const expected = this.#sequences.get(name) ?? 0;
    const fresh = records.slice(Math.max(0, expected - sequence));
    this.#sequences.set(name, Math.max(expected, sequence + records.length));
    const base = log.records.length;
    log.records.push(...fresh);
    return base;
  }
}

export interface Answer {
  topicName: string;
  partition: number;
  errorCode: number;
  baseOffset: string;
}

/** What stands for kafkajs's `Kafka`. */
export class FakeKafka {
  readonly #broker: FakeBroker;
  static #producers = 0;

  constructor({ brokers }: { brokers: string[] }) {
    this.#broker = FakeBroker.at(brokers[0] as string);
  }

  producer({ transactionalId }: { transactionalId?: string } = {}) {
    const broker = this.#broker;
    FakeKafka.#producers += 1;
    const name = `p${FakeKafka.#producers}`;
    let epoch: number | null = null;
    const sequences = new Map<string, number>();
    let connected = false;
    let ongoing = false;

    const sendBatch = async (request: { acks: number; topicMessages: TopicMessages[] }, open: () => Open | null): Promise<Answer[]> => {
      if (!connected) throw new FakeProtocolError('the producer is disconnected');
      await broker.step('send', transactionalId ?? name);
      broker.requests.push(request);
      const answer: Answer[] = [];
      const advance: (() => void)[] = [];
      const transaction = open();
      for (const { topic, messages } of request.topicMessages) {
        for (const partition of new Set(messages.map((m) => m.partition))) {
          const place = { topic, partition };
          const records = messages
            .filter((m) => m.partition === partition)
            .map(
              ({ key, value, headers }): Logged => ({
                state: transaction === null ? 'committed' : 'open',
                key: bytes(key),
                value: bytes(value),
                headers: headers ?? {},
                timestamp: Date.now(),
                transactional: transaction !== null,
              }),
            );
          const at = sequences.get(nameOf(place)) ?? 0;
          const base = broker.write(`${name}.${epoch}`, place, at, records);
          if (transaction !== null) {
            const known = transaction.places.get(nameOf(place)) ?? [];
            transaction.places.set(nameOf(place), [...known, ...records]);
          }
          advance.push(() => sequences.set(nameOf(place), at + records.length));
          answer.push({ topicName: topic, partition, errorCode: 0, baseOffset: String(base) });
        }
      }
      // Where the answer is lost, kafkajs begins the next batch with the same sequence numbers.
      await broker.step('answer', transactionalId ?? name);
      for (const act of advance) act();
      return broker.onAnswer(answer);
    };

    return {
      connect: async () => {
        connected = true;
      },
      disconnect: async () => {
        connected = false;
      },
      sendBatch: (request: { acks: number; topicMessages: TopicMessages[] }) => sendBatch(request, () => null),
      transaction: async () => {
        const id = transactionalId as string;
        // As kafkajs: only the first transaction asks for an epoch.
        if (epoch === null) {
          await broker.step('fence', id);
          epoch = broker.fence(id);
        }
        // As kafkajs, which keeps one transaction at a time.
        if (ongoing) throw new FakeProtocolError('there is already an ongoing transaction for this producer');
        ongoing = true;
        const mine = epoch;
        let open = false;
        const begin = (): Open => {
          open = true;
          return broker.open(id, mine);
        };
        const end = async (step: 'commit' | 'abort'): Promise<void> => {
          ongoing = false;
          await broker.step(step, id);
          // As kafkajs: an empty one sends nothing.
          if (!open) return;
          broker.check(id, mine);
          broker.end(id, step === 'commit');
        };
        return {
          sendBatch: (request: { acks: number; topicMessages: TopicMessages[] }) => sendBatch(request, begin),
          sendOffsets: async ({ consumerGroupId, topics }: { consumerGroupId: string; topics: TopicOffsets[] }) => {
            await broker.step('offsets', id);
            const { offsets } = begin();
            broker.tellNew(consumerGroupId);
            for (const { topic, partitions } of topics)
              for (const { partition, offset, metadata } of partitions)
                offsets.push([consumerGroupId, nameOf({ topic, partition }), { offset, metadata: metadata ?? null }]);
          },
          commit: () => end('commit'),
          abort: () => end('abort'),
        };
      },
    };
  }

  consumer(options: { groupId: string; heartbeatInterval?: number }): FakeConsumer {
    return new FakeConsumer(this.#broker, options);
  }

  admin() {
    const broker = this.#broker;
    return {
      connect: async () => {},
      disconnect: async () => {},
      listTopics: async () => broker.topics(),
      fetchTopicMetadata: async ({ topics }: { topics: string[] }) => ({
        topics: topics.map((name) => ({ name, partitions: broker.partitionsOf(name).map((partitionId) => ({ partitionId })) })),
      }),
      fetchOffsets: async ({ groupId, topics }: { groupId: string; topics: string[] }) => {
        await broker.step('committed', groupId);
        return topics.map((topic) => ({
          topic,
          partitions: broker.partitionsOf(topic).map((partition) => {
            const { offset, metadata } = broker.told(groupId, { topic, partition }) ?? { offset: '-1', metadata: null };
            return { partition, offset, metadata };
          }),
        }));
      },
      fetchTopicOffsets: async (topic: string) => {
        await broker.step('ranges', topic);
        if (broker.partitionsOf(topic).length === 0) throw new FakeProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
        return broker.partitionsOf(topic).map((partition) => {
          const { low, end } = broker.range({ topic, partition });
          return { partition, low: String(low), high: String(end), offset: String(end) };
        });
      },
    };
  }
}

interface EachBatch {
  batch: object;
  isStale: () => boolean;
  isRunning: () => boolean;
  resolveOffset: (offset: string) => void;
  commitOffsetsIfNecessary: (offsets?: { topics: TopicOffsets[] }) => Promise<void>;
}

const RECORDS_PER_FETCH = 1_000;

/** A member of a group; the first one gets every partition, and keeps them until the test says otherwise. */
export class FakeConsumer {
  readonly events = {
    GROUP_JOIN: 'consumer.group_join',
    CRASH: 'consumer.crash',
    HEARTBEAT: 'consumer.heartbeat',
    END_BATCH_PROCESS: 'consumer.end_batch_process',
  };
  readonly groupId: string;
  /** What `run` was given. */
  options: { autoCommit?: boolean; eachBatchAutoResolve?: boolean } = {};
  /** Batches handed over: fetches that no pause has held back. */
  readonly fetched: { place: string; from: number }[] = [];
  /** What it was told of its partitions, in order: `pause in:0`, `seek in:0 5`, `resume in:0`. */
  readonly told: string[] = [];
  /** Times that every partition had its turn to be fetched. */
  rounds = 0;
  readonly #broker: FakeBroker;
  readonly #emitter = new EventEmitter();
  readonly #heartbeatMs: number;
  readonly #positions = new Map<string, number>();
  readonly #seeks = new Map<string, number>();
  readonly #paused = new Set<string>();
  #assigned: Place[] = [];
  #topics: string[] = [];
  #running = false;
  #loop: Promise<void> = Promise.resolve();
  #heart: NodeJS.Timeout | undefined;

  constructor(broker: FakeBroker, { groupId, heartbeatInterval }: { groupId: string; heartbeatInterval?: number }) {
    this.#broker = broker;
    this.groupId = groupId;
    this.#heartbeatMs = heartbeatInterval ?? 100;
    broker.members.push(this);
  }

  async connect(): Promise<void> {}

  async subscribe({ topics }: { topics: string[] }): Promise<void> {
    this.#topics = topics;
  }

  on(event: string, listener: (event: { payload: object }) => void): void {
    this.#emitter.on(event, listener);
  }

  emit(event: string, payload: object = {}): void {
    this.#emitter.emit(event, { payload });
  }

  async run(options: { autoCommit?: boolean; eachBatchAutoResolve?: boolean; eachBatch: (of: EachBatch) => Promise<void> }): Promise<void> {
    this.options = options;
    this.#running = true;
    const others = this.#broker.members.filter((m) => m !== this && m.groupId === this.groupId && m.#running);
    this.join(
      others.length > 0 ? [] : this.#topics.flatMap((topic) => this.#broker.partitionsOf(topic).map((partition) => ({ topic, partition }))),
    );
    this.#heart = setInterval(() => {
      if (this.#broker.heartbeats) this.emit(this.events.HEARTBEAT);
    }, this.#heartbeatMs);
    this.#loop = this.#fetchLoop(options.eachBatch);
  }

  async disconnect(): Promise<void> {
    this.#running = false;
    clearInterval(this.#heart);
    await this.#loop;
  }

  /** A new generation, in which this member has these partitions. */
  join(assigned: Place[]): void {
    this.#assigned = assigned;
    this.#positions.clear();
    this.#seeks.clear();
    const memberAssignment: Record<string, number[]> = Object.fromEntries(this.#topics.map((topic) => [topic, []]));
    for (const { topic, partition } of assigned) memberAssignment[topic]?.push(partition);
    this.emit(this.events.GROUP_JOIN, { memberAssignment });
  }

  pause(places: { topic: string; partitions: number[] }[]): void {
    for (const { topic, partitions } of places) for (const partition of partitions) this.#setPaused(nameOf({ topic, partition }), true);
  }

  resume(places: { topic: string; partitions: number[] }[]): void {
    for (const { topic, partitions } of places) for (const partition of partitions) this.#setPaused(nameOf({ topic, partition }), false);
  }

  #setPaused(name: string, paused: boolean): void {
    this.told.push(`${paused ? 'pause' : 'resume'} ${name}`);
    if (paused) this.#paused.add(name);
    else this.#paused.delete(name);
  }

  /** As kafkajs does after an error that it takes for passing: the same member, in a new generation, has forgotten what was paused. */
  restart(): void {
    this.#paused.clear();
    this.join(this.#assigned);
  }

  /** Resolves when every partition has had so many turns more. */
  async idle(rounds: number): Promise<void> {
    for (const until = this.rounds + rounds; this.rounds < until; ) await turn();
  }

  isPaused(place: Place): boolean {
    return this.#paused.has(nameOf(place));
  }

  seek({ topic, partition, offset }: Place & { offset: string }): void {
    this.told.push(`seek ${nameOf({ topic, partition })} ${offset}`);
    this.#seeks.set(nameOf({ topic, partition }), Number(offset));
  }

  /** As kafkajs: tries again whatever the group has decided meanwhile. */
  async commitOffsets(offsets: (Place & { offset: string })[]): Promise<void> {
    const topics = offsets.map(({ topic, ...rest }) => ({ topic, partitions: [rest] }));
    await this.#commit(topics).catch(() => this.#commit(topics));
  }

  async #commit(topics: readonly TopicOffsets[]): Promise<void> {
    await this.#broker.step('offsets', this.groupId);
    for (const { topic, partitions } of topics)
      for (const { partition, offset } of partitions) this.#broker.commit(this.groupId, { topic, partition }, Number(offset));
  }

  async #fetchLoop(eachBatch: (of: EachBatch) => Promise<void>): Promise<void> {
    while (this.#running) {
      let any = false;
      for (const place of this.#assigned) if (await this.#fetch(place, eachBatch)) any = true;
      this.rounds += 1;
      await (any ? turn() : delay(1));
    }
  }

  async #fetch(place: Place, eachBatch: (of: EachBatch) => Promise<void>): Promise<boolean> {
    const name = nameOf(place);
    if (this.#paused.has(name)) return false;
    const sought = this.#seeks.get(name);
    this.#seeks.delete(name);
    const { low, end } = this.#broker.range(place);
    let from = sought ?? this.#positions.get(name) ?? Number(this.#broker.committed(this.groupId, place)?.offset ?? -1);
    // As kafkajs: an offset that the log does not have becomes its beginning.
    if (from < low || from > end) from = low;
    this.#positions.set(name, from);
    const records = this.#broker.log(place).records.slice(from, Math.min(end, from + RECORDS_PER_FETCH));
    if (records.length === 0) return false;
    const last = from + records.length - 1;
    const messages = records.flatMap(({ state, key, value, headers, timestamp, transactional = false }, i) => {
      if (state !== 'committed') return [];
      const batchContext = { inTransaction: transactional };
      return [{ offset: String(from + i), key, value, headers, timestamp: String(timestamp), attributes: 0, batchContext }];
    });
    this.fetched.push({ place: name, from });
    if (messages.length === 0) {
      this.#positions.set(name, last + 1);
      this.emit(this.events.END_BATCH_PROCESS, { ...place, batchSize: 0, firstOffset: String(from), lastOffset: String(last) });
      return true;
    }
    this.#broker.onFetched(name, from);
    let resolved = this.options.eachBatchAutoResolve !== false;
    await eachBatch({
      batch: { ...place, fetchedOffset: String(from), messages, lastOffset: () => String(last) },
      isStale: () => this.#seeks.has(name),
      isRunning: () => this.#running,
      resolveOffset: () => {
        resolved = true;
      },
      commitOffsetsIfNecessary: (offsets) => this.#commit(offsets?.topics ?? []),
    });
    if (resolved) this.#positions.set(name, last + 1);
    if (this.options.autoCommit !== false && resolved) this.#broker.commit(this.groupId, place, last + 1);
    return resolved;
  }
}
