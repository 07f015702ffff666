import type { TextReaders } from '../../codec/call-record.js';
import { cloudEventHeaders } from '../../codec/cloudevents.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { Call, DeadLetter, PollTask, RawEvent } from '../../codec/generated.js';
import { CodecError } from '../../codec/registry.js';
import { TOPICS } from '../../codec/topics.js';
import { joinKey } from '../../domain/key.js';
import type { CallKey } from '../../domain/types.js';
import type { Delivery, ReadElement } from '../../sources/element.js';
import { readMediaText, readRecordText } from '../../sources/readers.js';
import { callSourceOf } from '../../sources/registry.js';
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
import type { Stage } from '../dead-letter.js';
import { FoldReport } from '../fold-report.js';
import { RawInputs } from '../raw-inputs.js';
import { REFOLD_SOURCE, refoldKey } from '../refold.js';
import { AS_THEY_COME, type ShownDelivery, type Users } from '../users.js';
import { CallTable, UnfoldableCall } from './call-table.js';
import { originHeaders, originOf } from './origin.js';
import type { Revision } from './publisher.js';
import type { SessionSettings } from './settings.js';

export interface SessionCodecs {
  raw: TopicCodec<RawEvent>;
  call: TopicCodec<Call>;
  deadLetter: TopicCodec<DeadLetter>;
  task: TopicCodec<PollTask>;
}

export interface SessionDeps {
  partition: number;
  /** Partitions of the raw topics; this worker's dead letters go to the second share of theirs. */
  partitions: number;
  settings: SessionSettings;
  codecs: SessionCodecs;
  /** The last Call record of each call that ClickHouse has, by join key. Rejects when ClickHouse is away. */
  lookup(keys: readonly CallKey[]): Promise<ReadonlyMap<string, Buffer>>;
  failures: FailureCounter;
  /** Calls that could not be folded with one of their inputs; shared by the processors that one process has had. */
  suspects: Set<string>;
  /** Absent: users go by the ids that come. */
  users?: Users;
}

const READERS: TextReaders = { record: readRecordText, media: readMediaText };

/**
 * The sessions worker's logic: folds the raw deliveries of its partition into calls, and publishes each changed call once per transaction.
 * Deliveries that cannot be read are the events worker's to report; this one reports only what fails in the fold itself.
 */
export class SessionsProcessor implements Processor {
  readonly #deps: SessionDeps;
  readonly #users: Users;
  readonly #inputs: RawInputs<'call'>;
  readonly #report: FoldReport;
  readonly #table: CallTable;
  #late: OutputRecord[] = [];
  #streamTime = 0;
  /** Calls that ClickHouse is being asked for… */
  #asked = new Set<string>();
  /** …and what it said of those that are not in the state, which holds until they have come and gone; null: it does not know the call. */
  readonly #found = new Map<string, Buffer | null>();

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    this.#users = deps.users ?? AS_THEY_COME;
    this.#inputs = new RawInputs(deps.codecs.raw, callSourceOf, { failures: deps.failures, users: this.#users });
    this.#report = new FoldReport(deps.codecs.deadLetter, deps.partitions + deps.partition);
    const left = (key: string): void => {
      this.#asked.delete(key);
      this.#found.delete(key);
    };
    this.#table = new CallTable({ settings: deps.settings, codec: deps.codecs.call, readers: READERS, users: this.#users, left });
  }

  /** The state, for gauges. */
  get table(): CallTable {
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
    if (records[0]?.topic !== TOPICS.rawLate.name) return;
    const unknown = new Map<string, CallKey>();
    for (const record of records) {
      for (const key of this.#keysOf(record)) {
        const joined = joinKey(key);
        if (!this.#table.has(joined)) unknown.set(joined, key);
      }
    }
    this.#found.clear();
    if (unknown.size === 0) return;
    const asked = new Set(unknown.keys());
    this.#asked = asked;
    const found = await this.#deps.lookup([...unknown.values()]);
    await this.#table.resolve(found.values());
    for (const key of asked) this.#found.set(key, found.get(key) ?? null);
  }

  process(record: InputRecord, observe: Observe): void {
    const late = record.topic === TOPICS.rawLate.name;
    const raw = this.#decode(record, late);
    const streamTime = observe(raw?.received_at ?? null);
    if (raw === null) return;
    // Before the first stream time a record's own counts: a call must not look as if it had changed long ago.
    this.#streamTime = streamTime > 0 ? streamTime : Math.min(raw.received_at, record.timestamp);
    if (raw.source === REFOLD_SOURCE) {
      this.#refold(raw, record);
      return;
    }
    let deferred = false;
    for (const element of this.#inputs.elements(raw)) {
      if (!element.ok) continue;
      if (this.#take(element, record, raw, late) === 'deferred') deferred = true;
    }
    if (deferred) this.#defer(record);
  }

  punctuate(streamTime: number): void {
    this.#streamTime = streamTime;
    this.#table.punctuate(streamTime);
  }

  nextTimer(): number | null {
    return this.#table.nextTimer();
  }

  flush(now: number): { outputs: OutputRecord[]; processed: ProcessedCounts } {
    const outputs: OutputRecord[] = [];
    const tasks: OutputRecord[] = [];
    try {
      for (const revision of this.#table.flush(now, this.#streamTime)) {
        outputs.push(this.#revisionOutput(revision));
        for (const task of revision.tasks) tasks.push(this.#taskOutput(revision.key, task));
      }
    } catch (error) {
      // A call that cannot be folded is found out input by input, once its task has begun anew.
      if (!(error instanceof UnfoldableCall) || this.#deps.suspects.has(error.key)) throw error;
      this.#deps.suspects.add(error.key);
      throw new StartOver(error.message, error);
    }
    const { dead, counts } = this.#report.take();
    const all = outputs.concat(tasks, this.#late, dead);
    this.#late = [];
    return { outputs: all, processed: { ...counts, ...this.#table.takeCounts() } };
  }

  meta(base: number | null): ProcessorMeta {
    return { horizon: this.#table.horizon, restoreFrom: this.#table.restoreFrom(base) };
  }

  committed(base: number | null): void {
    this.#table.committed(base);
  }

  /** Next offset that the sink will read of this partition of the calls topic. */
  setSinkPosition(position: number): void {
    this.#table.setSinkPosition(position);
  }

  #take(element: ReadElement, record: InputRecord, raw: ShownDelivery<Delivery>, late: boolean): 'deferred' | 'done' {
    const key = joinKey(element.key);
    let takenBack = false;
    if (!this.#table.has(key)) {
      if (late) {
        const found = this.#found.get(key);
        // Not asked about: it was in the state when the batch was prepared, and has left since. Its turn comes again.
        if (found === undefined) return this.#deferred();
        if (found !== null) {
          this.#table.takeBack(key, found, this.#streamTime);
          takenBack = true;
        }
        this.#report.count(found === null ? 'late_new' : 'late_taken_back');
      } else if (this.#table.isLate(element.input, this.#streamTime)) {
        return this.#deferred();
      }
    }
    try {
      const arrival = { streamTime: this.#streamTime, appendTime: record.timestamp, sealed: this.#users.sealedOf(element.input, raw) };
      const folded = this.#deps.suspects.has(key)
        ? this.#table.foldCarefully(key, element.key, element.input, arrival)
        : this.#table.fold(key, element.key, element.input, arrival);
      if (folded === 'too_large') {
        this.#deadLetter(record, raw, element.index, 'call_too_large', 'the inputs of the call are larger than a record may be');
      } else this.#report.count(folded);
      this.#deps.failures.ok();
    } catch (error) {
      this.#deps.failures.failed('fold');
      this.#deadLetter(record, raw, element.index, 'exception', String(error));
    }
    if (takenBack) this.#table.putAway(key);
    return 'done';
  }

  #deferred(): 'deferred' {
    this.#report.count('late_deferred');
    return 'deferred';
  }

  /** Sends a delivery round by the late topic, whose batches are looked up in ClickHouse first. */
  #defer(record: InputRecord): void {
    this.#late.push({
      topic: TOPICS.rawLate.name,
      partition: this.#deps.partition,
      key: Buffer.from(record.key ?? ''),
      value: record.value === null ? null : Buffer.from(record.value),
      headers: originHeaders(record),
    });
  }

  #refold(raw: Delivery, record: InputRecord): void {
    const key = refoldKey(raw);
    if (key === null) return;
    const joined = joinKey(key);
    const inState = this.#table.has(joined);
    const found = this.#found.get(joined);
    if (!inState && found === undefined) {
      this.#defer(record);
      return;
    }
    if (!inState && found) this.#table.takeBack(joined, found, this.#streamTime);
    this.#table.refold(joined, this.#streamTime);
    if (!inState && found) this.#table.putAway(joined);
  }

  #decode(record: InputRecord, late: boolean): ShownDelivery<Delivery> | null {
    // Of the raw topics, the events worker reports it.
    if (!late) return this.#inputs.decode(record);
    return this.#inputs.decode(record, (error) =>
      this.#deadLetter(record, null, -1, error instanceof CodecError ? error.code.toLowerCase() : 'exception', String(error), 'decode'),
    );
  }

  #keysOf(record: InputRecord): CallKey[] {
    const peeked = this.#inputs.peek(record);
    if (peeked === null) return [];
    if (peeked.raw.source !== REFOLD_SOURCE) return peeked.elements.map(({ key }) => key);
    const key = refoldKey(peeked.raw);
    return key === null ? [] : [key];
  }

  #revisionOutput({ key, call, value }: Revision): OutputRecord {
    const headers = cloudEventHeaders({
      id: `${key}@${call.revision}`,
      name: 'calls',
      source: `//${call.provider}/${call.app_id}`,
      time: call.updated_at,
    });
    return { topic: TOPICS.calls.name, partition: this.#deps.partition, key, value, headers };
  }

  #taskOutput(key: string, task: PollTask): OutputRecord {
    return { topic: TOPICS.tasks.name, partition: this.#deps.partition, key, value: this.#deps.codecs.task.encode(task) };
  }

  /** Under the place where the delivery stood first. */
  #deadLetter(record: InputRecord, raw: Delivery | null, index: number, reason: string, error: string, stage: Stage = 'fold'): void {
    this.#report.dead({ ...record, ...originOf(record) }, raw, index, reason, error, stage);
  }
}
