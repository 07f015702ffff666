import { type CallRow, type Chunk, RowError } from '../../clickhouse/index.js';
import type { TopicCodec, TopicReader } from '../../codec/codec.js';
import type { Alert, CallEvent, DeadLetter, Recording } from '../../codec/generated.js';
import { CodecError } from '../../codec/registry.js';
import { TOPICS } from '../../codec/topics.js';
import { messageOf } from '../../domain/errors.js';
import type { Delivery } from '../../sources/element.js';
import type { FailureCounter, InputRecord, OutputRecord } from '../../stream/types.js';
import type { Metrics } from '../../telemetry/metrics.js';
import { deadLetterOutput } from '../dead-letter.js';

export interface SinkReaders {
  call: TopicReader<CallRow>;
  recording: TopicReader<Recording>;
  callEvent: TopicReader<CallEvent>;
  deadLetter: TopicCodec<DeadLetter>;
  alert: TopicReader<Alert>;
}

/** What the sink reads. */
export const SINK_TOPICS = [
  TOPICS.calls.name,
  TOPICS.recordings.name,
  TOPICS.callEvents.name,
  TOPICS.deadLetters.name,
  TOPICS.alerts.name,
] as const;

/** Which records become rows. */
export interface Admission {
  call(call: CallRow): boolean;
  recording(recording: Recording): boolean;
  callEvent(event: CallEvent): boolean;
  deadLetter(letter: DeadLetter): boolean;
  alert(alert: Alert): boolean;
}

const yes = (): boolean => true;
const ALL: Admission = { call: yes, recording: yes, callEvent: yes, deadLetter: yes, alert: yes };

/** Why a record became no row. */
interface Refusal {
  stage: 'decode' | 'row';
  reason: string;
  error: unknown;
  /** The delivery that the record stands for, where it is known. */
  raw: Delivery | null;
}

/** Turns records into rows of a chunk; what cannot become a row becomes a dead letter, never a stop (up to the dead-letter limit). */
export class Intake {
  readonly #readers: SinkReaders;
  readonly #limit: FailureCounter;
  readonly #metrics: Metrics;
  readonly #admission: Admission;

  constructor(readers: SinkReaders, limit: FailureCounter, metrics: Metrics, admission: Admission = ALL) {
    this.#metrics = metrics;
    this.#admission = admission;
    this.#readers = readers;
    this.#limit = limit;
  }

  /** Loads the schemas that the records were written with. @throws CodecError REGISTRY_UNAVAILABLE */
  async resolve(records: readonly InputRecord[]): Promise<void> {
    await this.#readers.call.resolve(valuesOf(records, TOPICS.calls.name));
    await this.#readers.recording.resolve(valuesOf(records, TOPICS.recordings.name));
    await this.#readers.callEvent.resolve(valuesOf(records, TOPICS.callEvents.name));
    await this.#readers.deadLetter.resolve(valuesOf(records, TOPICS.deadLetters.name));
    await this.#readers.alert.resolve(valuesOf(records, TOPICS.alerts.name));
  }

  /** Adds the rows of the records, and returns the dead letters to send before their offsets are committed. @throws CallstreamError STREAM_DEAD_LETTER_LIMIT */
  add(chunk: Chunk, records: readonly InputRecord[]): OutputRecord[] {
    const dead: OutputRecord[] = [];
    for (const record of records) {
      const refusal = this.#addOne(chunk, record);
      if (refusal === null) {
        this.#limit.ok();
        continue;
      }
      const { stage, reason, error, raw } = refusal;
      this.#limit.failed(`${stage} ${reason}`);
      this.#metrics.callstream_dead_letters_total.inc({ worker: 'sink' });
      dead.push(
        deadLetterOutput(this.#readers.deadLetter, record.partition, {
          record,
          raw,
          index: -1,
          stage,
          reason,
          error: messageOf(error),
        }),
      );
    }
    return dead;
  }

  #addOne(chunk: Chunk, record: InputRecord): Refusal | null {
    // A tombstone of a compacted topic: nothing to store.
    if (record.value === null) return null;
    let event: CallEvent | null = null;
    try {
      if (record.topic === TOPICS.calls.name) {
        const call = this.#readers.call.decode(record.value);
        if (this.#admission.call(call)) chunk.addCall(call, record.value);
      } else if (record.topic === TOPICS.recordings.name) {
        const recording = this.#readers.recording.decode(record.value);
        if (this.#admission.recording(recording)) chunk.addRecording(recording, record.value);
      } else if (record.topic === TOPICS.callEvents.name) {
        event = this.#readers.callEvent.decode(record.value);
        if (this.#admission.callEvent(event)) chunk.addEvent(event);
      } else if (record.topic === TOPICS.alerts.name) {
        const alert = this.#readers.alert.decode(record.value);
        if (this.#admission.alert(alert)) chunk.addAlert(alert);
      } else {
        const letter = this.#readers.deadLetter.decode(record.value);
        if (this.#admission.deadLetter(letter)) chunk.addDeadLetter(letter);
      }
      return null;
    } catch (error) {
      if (error instanceof CodecError) return { stage: 'decode', reason: error.code.toLowerCase(), error, raw: null };
      const raw: Delivery | null = event && {
        source: event.source,
        app_id: event.app_id,
        received_at: event.received_at,
        query: '',
        body: record.value,
      };
      return { stage: 'row', reason: error instanceof RowError ? error.code.toLowerCase() : 'row_failed', error, raw };
    }
  }
}

function* valuesOf(records: readonly InputRecord[], topic: string): Generator<Buffer | null> {
  for (const record of records) if (record.topic === topic) yield record.value;
}
