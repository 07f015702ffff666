import { cloudEventHeaders } from '../../codec/cloudevents.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { Call, DeadLetter, RawEvent } from '../../codec/generated.js';
import { TOPICS } from '../../codec/topics.js';
import { type ChannelKey, channelKey, happenedAt, type PresenceEvent, presenceOf } from '../../domain/channel.js';
import type { Delivery, ReadElement } from '../../sources/element.js';
import { channelSourceOf } from '../../sources/registry.js';
import {
  type FailureCounter,
  type InputRecord,
  type Observe,
  type OutputRecord,
  type ProcessedCounts,
  type Processor,
  type ProcessorMeta,
  StartOver,
  type TaskMeta,
} from '../../stream/types.js';
import { channelEventId } from '../event-id.js';
import { FoldReport } from '../fold-report.js';
import { RawInputs } from '../raw-inputs.js';
import { refoldChannelKey } from '../refold.js';
import { AS_THEY_COME, type Users } from '../users.js';
import type { SessionRevision } from './publisher.js';
import { type Window, windowOf } from './reach.js';
import type { ChannelSettings } from './schedule.js';
import { ChannelTable, UnfoldableChannel } from './table.js';

export interface ChannelCodecs {
  raw: TopicCodec<RawEvent>;
  call: TopicCodec<Call>;
  deadLetter: TopicCodec<DeadLetter>;
}

export interface ChannelDeps {
  partition: number;
  /** Partitions of the raw topics; this worker's calls go to the second share of theirs, its dead letters to the fourth. */
  partitions: number;
  settings: ChannelSettings;
  codecs: ChannelCodecs;
  /**
   * The last Call records that ClickHouse has of these channels, by channel key: of all sessions that end no earlier than `from` (epoch ms), and of the
   * names that were folded into them. Rejects when ClickHouse is away.
   */
  lookup(keys: readonly ChannelKey[], from: number): Promise<ReadonlyMap<string, readonly Buffer[]>>;
  failures: FailureCounter;
  /** Channels that could not be folded with one of their events; shared by the processors that one process has had. */
  suspects: Set<string>;
  /** Absent: users go by the ids that come. */
  users?: Users;
}

/** What ClickHouse has of a channel. */
interface Published {
  key: ChannelKey;
  records: readonly Buffer[];
}

/**
 * The channels worker's logic: folds the Join and Leave events of its partition into sessions, and publishes each changed one once per transaction, as a
 * call. Deliveries that cannot be read are the events worker's to report; this one reports only what fails in the fold itself.
 *
 * What has left the state is asked of ClickHouse before a batch is processed, and nothing happens between the two (docs/DESIGN.md "Channel sessions").
 */
export class ChannelsProcessor implements Processor {
  readonly #deps: ChannelDeps;
  readonly #inputs: RawInputs<'channel'>;
  readonly #report: FoldReport;
  readonly #table: ChannelTable;
  /** What this batch needs of what has left. */
  #published: readonly Published[] = [];
  #knownFrom = 0;
  #streamTime = 0;

  constructor(deps: ChannelDeps) {
    this.#deps = deps;
    const users = deps.users ?? AS_THEY_COME;
    this.#inputs = new RawInputs(deps.codecs.raw, channelSourceOf, { failures: deps.failures, users });
    this.#report = new FoldReport(deps.codecs.deadLetter, 3 * deps.partitions + deps.partition);
    this.#table = new ChannelTable(deps.codecs.call, deps.settings, users);
  }

  /** The state, for gauges. */
  get table(): ChannelTable {
    return this.#table;
  }

  restore(record: InputRecord): void {
    if (record.value !== null && record.key !== null) this.#table.restore(record.key.toString(), record.value, record.offset);
  }

  async restored(meta: TaskMeta | null): Promise<void> {
    this.#streamTime = meta?.streamTime ?? 0;
    await this.#table.restored(this.#streamTime, meta?.horizon ?? null);
  }

  async prepare(records: readonly InputRecord[]): Promise<void> {
    await this.#inputs.resolve(records);
    this.#published = [];
    if (this.#table.horizon === null) return;
    const { unknown, window } = this.#unknownOf(records);
    if (unknown.size === 0) return;
    const keys = [...unknown.values()];
    const found = await this.#deps.lookup(keys, window.from);
    await this.#table.resolve([...found.values()].flat());
    this.#published = keys.map((key) => ({ key, records: found.get(channelKey(key)) ?? [] }));
    this.#knownFrom = window.knownFrom;
  }

  process(record: InputRecord, observe: Observe): void {
    const raw = this.#inputs.decode(record);
    const streamTime = observe(raw?.received_at ?? null);
    // Before the first stream time a record's own counts: a session must not look as if it had changed long ago.
    this.#streamTime = streamTime > 0 ? streamTime : Math.min(raw?.received_at ?? record.timestamp, record.timestamp);
    for (const { key, records } of this.#published) this.#takeBack(key, records);
    this.#published = [];
    if (raw === null) return;
    const asked = refoldChannelKey(raw);
    if (asked !== null) this.#table.refold(asked.key);
    for (const element of this.#inputs.elements(raw)) if (element.ok) this.#take(element, record, raw);
  }

  punctuate(streamTime: number): void {
    this.#streamTime = streamTime;
    this.#orStartOver(() => this.#table.punctuate(streamTime));
  }

  nextTimer(): number | null {
    return this.#table.nextTimer();
  }

  flush(now: number): { outputs: OutputRecord[]; processed: ProcessedCounts } {
    const revisions = this.#orStartOver(() => this.#table.flush(now, this.#streamTime));
    const { dead, counts } = this.#report.take();
    const outputs = [...revisions.map((r) => this.#output(r)), ...dead];
    return { outputs, processed: { ...counts, revisions: revisions.length, left: this.#table.takeLeft() } };
  }

  meta(base: number | null): ProcessorMeta {
    return { horizon: this.#table.horizon, restoreFrom: this.#table.restoreFrom(base) };
  }

  committed(base: number | null): void {
    this.#table.committed(base);
  }

  /** Next offset that the sink will read of this task's partition of the calls topic. */
  setSinkPosition(position: number): void {
    this.#table.setSinkPosition(position);
  }

  /** The channels that ClickHouse must be asked about before these records are folded, and from when on. */
  #unknownOf(records: readonly InputRecord[]): { unknown: Map<string, ChannelKey>; window: Window } {
    const unknown = new Map<string, ChannelKey>();
    const window = { from: Number.POSITIVE_INFINITY, knownFrom: Number.POSITIVE_INFINITY };
    const before = new Map<string, PresenceEvent[]>();
    const ask = (key: ChannelKey, at: number): void => {
      unknown.set(channelKey(key), key);
      const { from, knownFrom } = windowOf(at);
      window.from = Math.min(window.from, from);
      window.knownFrom = Math.min(window.knownFrom, knownFrom);
    };
    for (const record of records) {
      const peeked = this.#inputs.peek(record);
      if (peeked === null) continue;
      const asked = refoldChannelKey(peeked.raw);
      if (asked !== null) ask(asked.key, asked.from);
      for (const { key, input } of peeked.elements) {
        const event = presenceOf(input, channelEventId(key, input));
        if (event === null) continue;
        const joined = channelKey(key);
        const others = before.get(joined) ?? [];
        if (!this.#table.isKnown(joined, event, others)) ask(key, happenedAt(event));
        before.set(joined, others);
        others.push(event);
      }
    }
    return { unknown, window };
  }

  #takeBack(key: ChannelKey, records: readonly Buffer[]): void {
    this.#table.takeBack(key, records, this.#knownFrom, this.#streamTime);
    if (records.length > 0) this.#report.count('taken_back');
  }

  #take({ key, input, index }: ReadElement<'channel'>, record: InputRecord, raw: Delivery): void {
    const event = presenceOf(input, channelEventId(key, input));
    if (event === null) {
      this.#report.count('passed');
      this.#deps.failures.ok();
      return;
    }
    try {
      const folded = this.#table.fold(key, event, this.#deps.suspects.has(channelKey(key)));
      if (folded === 'too_large') {
        this.#report.dead(
          record,
          raw,
          index,
          'channel_too_large',
          'the record of the channel session would be larger than a record may be',
        );
      } else this.#report.count(folded);
      this.#deps.failures.ok();
    } catch (error) {
      this.#deps.failures.failed('fold');
      this.#report.dead(record, raw, index, 'exception', String(error));
    }
  }

  /** A channel that cannot be folded is found out event by event, once its task has begun anew. */
  #orStartOver<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof UnfoldableChannel) || this.#deps.suspects.has(error.key)) throw error;
      this.#deps.suspects.add(error.key);
      throw new StartOver(error.message, error);
    }
  }

  #output({ key, call, value }: SessionRevision): OutputRecord {
    const headers = cloudEventHeaders({
      id: `${key}@${call.revision}`,
      name: 'calls',
      source: `//${call.provider}/${call.app_id}`,
      time: call.updated_at,
    });
    return { topic: TOPICS.calls.name, partition: this.#deps.partitions + this.#deps.partition, key, value, headers };
  }
}
