import { cloudEventHeaders } from '../../codec/cloudevents.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { DeadLetter, RawEvent, Recording } from '../../codec/generated.js';
import { TOPICS } from '../../codec/topics.js';
import { type RecordingKey, recordingKey } from '../../domain/recording.js';
import type { Delivery, ReadElement } from '../../sources/element.js';
import { recordingSourceOf } from '../../sources/registry.js';
import type {
  FailureCounter,
  InputRecord,
  Observe,
  OutputRecord,
  ProcessedCounts,
  Processor,
  ProcessorMeta,
  TaskMeta,
} from '../../stream/types.js';
import { FoldReport } from '../fold-report.js';
import { RawInputs } from '../raw-inputs.js';
import { refoldRecordingKey } from '../refold.js';
import { AS_THEY_COME, type Users } from '../users.js';
import { type RecordingRevision, RecordingTable } from './table.js';

export interface RecordingCodecs {
  raw: TopicCodec<RawEvent>;
  recording: TopicCodec<Recording>;
  deadLetter: TopicCodec<DeadLetter>;
}

export interface RecordingDeps {
  partition: number;
  /** Partitions of the raw topics; this worker's dead letters go to the third share of theirs. */
  partitions: number;
  /** How long a recording stays after its last change, ms. */
  retention: number;
  codecs: RecordingCodecs;
  /** The last Recording record of each task that ClickHouse has, by recording key. Rejects when ClickHouse is away. */
  lookup(keys: readonly RecordingKey[]): Promise<ReadonlyMap<string, Buffer>>;
  failures: FailureCounter;
  /** Absent: users go by the ids that come. */
  users?: Users;
}

/**
 * The recordings worker's logic: folds the raw deliveries of its partition into recordings, and publishes each changed one once per transaction.
 * Deliveries that cannot be read are the events worker's to report; this one reports only what fails in the fold itself.
 *
 * What has left the state is asked of ClickHouse before a batch is processed, and nothing happens between the two: no late topic is needed, at the
 * price that new tasks wait while ClickHouse is away (docs/DESIGN.md "Recordings").
 */
export class RecordingsProcessor implements Processor {
  readonly #deps: RecordingDeps;
  readonly #inputs: RawInputs<'recording'>;
  readonly #report: FoldReport;
  readonly #table: RecordingTable;
  /** What ClickHouse has of the tasks of this batch that are not in the state. */
  #published: ReadonlyMap<string, Buffer> = new Map();

  constructor(deps: RecordingDeps) {
    this.#deps = deps;
    const users = deps.users ?? AS_THEY_COME;
    this.#inputs = new RawInputs(deps.codecs.raw, recordingSourceOf, { failures: deps.failures, users });
    this.#report = new FoldReport(deps.codecs.deadLetter, 2 * deps.partitions + deps.partition);
    this.#table = new RecordingTable(deps.codecs.recording, deps.retention, users);
  }

  /** The state, for gauges. */
  get table(): RecordingTable {
    return this.#table;
  }

  restore(record: InputRecord): void {
    if (record.value !== null && record.key !== null) this.#table.restore(record.key.toString(), record.value, record.offset);
  }

  async restored(meta: TaskMeta | null): Promise<void> {
    await this.#table.restored(meta?.horizon ?? null);
  }

  async prepare(records: readonly InputRecord[]): Promise<void> {
    await this.#inputs.resolve(records);
    this.#published = new Map();
    if (this.#table.horizon === null) return;
    const unknown = new Map<string, RecordingKey>();
    for (const record of records) {
      for (const key of this.#keysOf(record)) {
        const joined = recordingKey(key);
        if (!this.#table.has(joined)) unknown.set(joined, key);
      }
    }
    if (unknown.size === 0) return;
    const published = await this.#deps.lookup([...unknown.values()]);
    await this.#deps.codecs.recording.resolve(published.values());
    this.#published = published;
  }

  process(record: InputRecord, observe: Observe): void {
    const raw = this.#inputs.decode(record);
    const observed = observe(raw?.received_at ?? null);
    if (raw === null) return;
    // Before the first stream time a record's own counts: a recording must not look as if it had changed long ago.
    const streamTime = observed > 0 ? observed : Math.min(raw.received_at, record.timestamp);
    const asked = refoldRecordingKey(raw);
    if (asked !== null) this.#table.refold(recordingKey(asked), this.#published.get(recordingKey(asked)) ?? null, streamTime);
    for (const element of this.#inputs.elements(raw)) if (element.ok) this.#take(element, record, raw, streamTime);
  }

  punctuate(streamTime: number): void {
    this.#table.punctuate(streamTime);
  }

  nextTimer(): number | null {
    return this.#table.nextTimer();
  }

  flush(now: number): { outputs: OutputRecord[]; processed: ProcessedCounts } {
    const revisions = this.#table.flush(now);
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

  /** Next offset that the sink will read of this partition of the recordings topic. */
  setSinkPosition(position: number): void {
    this.#table.setSinkPosition(position);
  }

  #keysOf(record: InputRecord): RecordingKey[] {
    const peeked = this.#inputs.peek(record);
    if (peeked === null) return [];
    const asked = refoldRecordingKey(peeked.raw);
    return asked === null ? peeked.elements.map(({ key }) => key) : [asked];
  }

  #take({ key, input, index }: ReadElement<'recording'>, record: InputRecord, raw: Delivery, streamTime: number): void {
    const joined = recordingKey(key);
    const published = this.#table.has(joined) ? null : (this.#published.get(joined) ?? null);
    try {
      const folded = this.#table.fold(joined, key, input, published, streamTime);
      if (folded === 'too_large')
        this.#report.dead(record, raw, index, 'recording_too_large', 'the inputs of the recording are larger than a record may be');
      else this.#report.count(folded);
      if (published !== null && this.#table.has(joined)) this.#report.count('taken_back');
      this.#deps.failures.ok();
    } catch (error) {
      this.#deps.failures.failed('fold');
      this.#report.dead(record, raw, index, 'exception', String(error));
    }
  }

  #output({ key, recording, value }: RecordingRevision): OutputRecord {
    const headers = cloudEventHeaders({
      id: `${key}@${recording.revision}`,
      name: 'recordings',
      source: `//${recording.provider}/${recording.app_id}`,
      time: recording.updated_at,
    });
    return { topic: TOPICS.recordings.name, partition: this.#deps.partition, key, value, headers };
  }
}
