import { setMaxListeners } from 'node:events';
import type { TopicCodec, TopicReader } from '../../codec/codec.js';
import type { Alert, DeadLetter } from '../../codec/generated.js';
import { CodecError } from '../../codec/registry.js';
import { TOPICS } from '../../codec/topics.js';
import type { Webhook } from '../../config/index.js';
import { createClients, type KafkaConnection, kafkaErrorType } from '../../stream/client.js';
import type { Environment } from '../../stream/environment.js';
import { type FetchedBatch, GroupMember, toRecords } from '../../stream/group-member.js';
import type { InputRecord, OutputRecord } from '../../stream/types.js';
import { Signal, turn } from '../../stream/wait.js';
import type { Chance } from '../../telemetry/chance.js';
import type { Clock } from '../../telemetry/clock.js';
import type { Logger } from '../../telemetry/log.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { deadLetterOutput } from '../dead-letter.js';
import { Delivery, type Retry } from './delivery.js';
import { bodyOf, type Message, messagesOfAlert, messagesOfCall, type ToldCall, wants } from './messages.js';
import { Positions } from './positions.js';
import { Progress } from './progress.js';
import { Sender } from './sender.js';

export interface ReceiverOptions {
  webhook: Webhook;
  kafka: KafkaConnection;
  groupId: string;
  readers: { alert: TopicReader<Alert>; call: TopicReader<ToldCall> };
  deadLetter: TopicCodec<DeadLetter>;
  producer: { send(records: readonly OutputRecord[]): Promise<void> };
  environment: Environment;
  clock: Clock;
  chance: Chance;
  logger: Logger;
  metrics: Metrics;
  userAgent: string;
  onFatal(error: unknown): void;
  retry?: Retry;
  /** How often positions are committed, ms. */
  commitEvery?: number;
  sessionTimeoutMs?: number;
  heartbeatMs?: number;
}

interface Place {
  topic: string;
  partition: number;
  progress: Progress;
  /** Where the next batch must begin. */
  readTo: number;
  /** Where reading was set back to, once: a batch that begins later all the same says that the records are gone. */
  sought: number;
  committed: string;
}

/** One generation of the group: what was read in an earlier one is told by whoever has the partitions now. */
interface Stay {
  abort: AbortController;
  places: Map<string, Place>;
  reading: Promise<void>;
  /** Records that wait to be looked at, and records that are being told of. */
  queued: number;
  open: number;
  paused: boolean;
}

const COMMIT_EVERY_MS = 1_000;
const LAG_EVERY_MS = 10_000;
/** Records that are being told of; beyond it, reading waits. Two of them fit into the metadata of a partition with room to spare. */
const MAX_OPEN = 500;
/** Records that wait to be looked at; beyond it, fetching pauses. */
const MAX_QUEUED = 5_000;
/** Looked at before the event loop gets its turn. */
const SLICE = 500;
const KAFKA = 'Kafka';

const placeName = (topic: string, partition: number): string => `${partition}:${topic}`;

/**
 * One receiver of webhooks, with a consumer group, a position and connections of its own: however slow it is, the others do not notice.
 *
 *     alerts, calls ──> what is to be told ──> requests, in any order ──taken, or dead──> position
 */
export class Receiver {
  readonly #o: ReceiverOptions;
  readonly #topics: readonly string[];
  readonly #positions: Positions;
  readonly #sender: Sender;
  readonly #delivery: Delivery;
  readonly #member: GroupMember;
  readonly #room = new Signal();
  #stay = newStay();
  #joined = false;
  #timers: NodeJS.Timeout[] = [];

  constructor(options: ReceiverOptions) {
    this.#o = options;
    const { webhook, kafka, groupId, clock, chance, logger, metrics, userAgent } = options;
    this.#topics = topicsOf(webhook);
    this.#positions = new Positions(kafka, logger, groupId, this.#topics);
    this.#sender = new Sender(webhook, { clock, userAgent });
    this.#delivery = new Delivery({
      webhook,
      send: (message, signal) => this.#sender.send(message, signal),
      clock,
      chance,
      logger,
      metrics,
      ...(options.retry === undefined ? {} : { retry: options.retry }),
    });
    this.#member = new GroupMember(
      {
        clients: createClients(kafka, logger),
        groupId,
        topics: this.#topics,
        maxWaitMs: 250,
        ...(options.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: options.sessionTimeoutMs }),
        ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
      },
      {
        joined: (assignment) => this.#begin(assignment),
        batch: (batch) => this.#take(batch),
        skipped: (topic, partition, _first, next) => this.#enqueue(this.#stay.places.get(placeName(topic, partition)), [], next),
        crashed: (error) => options.onFatal(error),
      },
    );
  }

  /** Empty when everything works. That the receiver does not answer is no problem of this process. */
  problems(): string[] {
    return this.#joined ? [] : [`webhook ${this.#o.webhook.name} has not joined its group`];
  }

  async start(): Promise<void> {
    await this.#positions.beginAtEnds();
    await this.#member.start();
    this.#joined = true;
    this.#timers = [
      setInterval(() => void this.#commit(), this.#o.commitEvery ?? COMMIT_EVERY_MS),
      setInterval(() => void this.#measureLag(), LAG_EVERY_MS),
    ];
  }

  /** Leaves what is under way, commits what is done, and leaves the group. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#commit();
    this.#stay.abort.abort(new Error('the receiver of webhooks is stopping'));
    await this.#member.stop();
    await this.#positions.close();
    await this.#sender.close();
  }

  #begin(assignment: ReadonlyMap<string, readonly number[]>): void {
    this.#stay.abort.abort(new Error('the group gives out its partitions anew'));
    this.#stay = newStay();
    const assigned = [...assignment].flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition })));
    // Nothing is read before it is known what of it is done.
    for (const { topic, partition } of assigned) this.#member.pause(topic, [partition]);
    const stay = this.#stay;
    void this.#settle(stay, assigned).catch((error) => this.#fail(stay, error));
  }

  async #settle(stay: Stay, assigned: readonly { topic: string; partition: number }[]): Promise<void> {
    const { signal } = stay.abort;
    const committed = await this.#o.environment.until(KAFKA, signal, () => this.#positions.read());
    signal.throwIfAborted();
    for (const { topic, partition } of assigned) {
      const { offset, metadata } = committed.get(topic)?.[partition] ?? { offset: 0, metadata: null };
      const progress = new Progress({ offset: Math.max(0, offset), metadata });
      const readTo = progress.start;
      stay.places.set(placeName(topic, partition), { topic, partition, progress, readTo, sought: -1, committed: '' });
      this.#member.seek(topic, partition, readTo);
      this.#member.resume(topic, [partition]);
    }
  }

  #take(batch: FetchedBatch): boolean {
    const place = this.#stay.places.get(placeName(batch.topic, batch.partition));
    if (place === undefined) return false;
    if (batch.fetchedOffset > place.readTo) {
      if (place.sought !== place.readTo) {
        place.sought = place.readTo;
        this.#member.seek(place.topic, place.partition, place.readTo);
        return false;
      }
      const { topic, partition, readTo } = place;
      this.#o.logger.error({ topic, partition, from: readTo, to: batch.fetchedOffset }, 'records are gone that a webhook was not told of');
    }
    this.#enqueue(place, toRecords(batch, place.readTo), batch.nextOffset);
    return true;
  }

  #enqueue(place: Place | undefined, records: readonly InputRecord[], next: number): void {
    if (place === undefined || next <= place.readTo) return;
    place.readTo = next;
    const stay = this.#stay;
    stay.queued += records.length;
    stay.reading = stay.reading.then(() => this.#read(stay, place, records, next)).catch((error) => this.#fail(stay, error));
    if (!stay.paused && stay.queued > MAX_QUEUED) this.#pause(stay, true);
  }

  async #read(stay: Stay, place: Place, records: readonly InputRecord[], next: number): Promise<void> {
    const { signal } = stay.abort;
    const values = records.map(({ value }) => value);
    const reader = place.topic === TOPICS.alerts.name ? this.#o.readers.alert : this.#o.readers.call;
    await this.#o.environment.until('the schema registry', signal, () => reader.resolve(values));
    for (const [i, record] of records.entries()) {
      if (i % SLICE === SLICE - 1) await turn();
      const messages = this.#messagesOf(record);
      if (messages.length === 0) continue;
      while (stay.open >= MAX_OPEN && !signal.aborted) await this.#room.wait(1_000);
      signal.throwIfAborted();
      if (place.progress.begin(record.offset)) void this.#tell(stay, place, record, messages).catch((error) => this.#fail(stay, error));
    }
    place.progress.passed(next);
    stay.queued -= records.length;
    if (stay.paused && stay.queued <= MAX_QUEUED / 2) this.#pause(stay, false);
  }

  #messagesOf(record: InputRecord): Message[] {
    const { readers, webhook, logger } = this.#o;
    if (record.value === null) return [];
    try {
      const all =
        record.topic === TOPICS.alerts.name
          ? messagesOfAlert(readers.alert.decode(record.value))
          : messagesOfCall(readers.call.decode(record.value));
      return all.filter((message) => wants(webhook, message));
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      // The sink has made a dead letter of it.
      logger.error({ err: error, topic: record.topic, partition: record.partition, offset: record.offset }, 'a record cannot be read');
      return [];
    }
  }

  async #tell(stay: Stay, place: Place, record: InputRecord, messages: readonly Message[]): Promise<void> {
    const { signal } = stay.abort;
    this.#opened(stay, 1);
    for (const [index, message] of messages.entries()) {
      const undelivered = await this.#delivery.deliver(message, record.timestamp, signal);
      if (undelivered !== null) await this.#bury(record, message, index, undelivered.reason, undelivered.error, signal);
    }
    signal.throwIfAborted();
    place.progress.done(record.offset);
    this.#opened(stay, -1);
    this.#room.notify();
  }

  /** Of one record several receivers and messages may die: receiver and position are part of what a dead letter is known by. */
  async #bury(record: InputRecord, message: Message, index: number, reason: string, error: string, signal: AbortSignal): Promise<void> {
    const { webhook, deadLetter, producer, environment, metrics } = this.#o;
    const body = Buffer.from(bodyOf(message, webhook.format));
    const raw = { source: '', app_id: message.appId, received_at: record.timestamp, query: '', body };
    const letter = deadLetterOutput(deadLetter, record.partition, { record, raw, index, stage: `webhook:${webhook.name}`, reason, error });
    await environment.until(KAFKA, signal, () => producer.send([letter]));
    metrics.callstream_dead_letters_total.inc({ worker: 'alerts' });
  }

  #opened(stay: Stay, by: number): void {
    stay.open += by;
    if (stay === this.#stay) this.#o.metrics.callstream_webhook_open.set({ webhook: this.#o.webhook.name }, stay.open);
  }

  #pause(stay: Stay, paused: boolean): void {
    if (stay !== this.#stay) return;
    stay.paused = paused;
    for (const { topic, partition } of stay.places.values()) {
      if (paused) this.#member.pause(topic, [partition]);
      else this.#member.resume(topic, [partition]);
    }
  }

  /** What is not committed is told once more after a restart, by the same id: a failure is tried again at the next turn. */
  async #commit(): Promise<void> {
    const sent: [Place, string][] = [];
    try {
      await this.#member.commit(() =>
        [...this.#stay.places.values()].flatMap((place) => {
          const { offset, metadata } = place.progress.committable();
          const text = `${offset} ${metadata}`;
          if (text === place.committed) return [];
          sent.push([place, text]);
          return [{ topic: place.topic, partition: place.partition, offset, metadata: metadata ?? '' }];
        }),
      );
      for (const [place, text] of sent) place.committed = text;
    } catch (error) {
      this.#o.logger.debug({ err: error, type: kafkaErrorType(error) }, 'positions of a webhook were not committed');
    }
  }

  async #measureLag(): Promise<void> {
    try {
      this.#o.metrics.callstream_webhook_lag.set({ webhook: this.#o.webhook.name }, await this.#positions.lag());
    } catch (error) {
      this.#o.logger.debug({ err: error }, 'the lag cannot be read now');
    }
  }

  #fail(stay: Stay, error: unknown): void {
    if (!stay.abort.signal.aborted) this.#o.onFatal(error);
  }
}

function newStay(): Stay {
  const abort = new AbortController();
  setMaxListeners(0, abort.signal);
  return { abort, places: new Map(), reading: Promise.resolve(), queued: 0, open: 0, paused: false };
}

const topicsOf = ({ events }: Webhook): string[] => [
  ...(events.some((event) => event.startsWith('alert.')) ? [TOPICS.alerts.name] : []),
  ...(events.some((event) => event.startsWith('call.')) ? [TOPICS.calls.name] : []),
];
