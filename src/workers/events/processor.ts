import { cloudEventHeaders } from '../../codec/cloudevents.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { CallEvent, DeadLetter, RawEvent } from '../../codec/generated.js';
import { CodecError } from '../../codec/registry.js';
import { TOPICS } from '../../codec/topics.js';
import type { UnreadElement } from '../../sources/element.js';
import { type Source, sourceOf } from '../../sources/registry.js';
import type { FailureCounter, InputRecord, Observe, OutputRecord, Processor, ProcessorMeta } from '../../stream/types.js';
import { deadLetterOutput, type Stage } from '../dead-letter.js';
import { REFOLD_SOURCE } from '../refold.js';
import { AS_THEY_COME, type Users } from '../users.js';
import { callEvent, channelEvent, recordingEvent } from './call-event.js';

export interface EventCodecs {
  raw: TopicCodec<RawEvent>;
  callEvent: TopicCodec<CallEvent>;
  deadLetter: TopicCodec<DeadLetter>;
}

/**
 * The events worker's logic, without state: every raw delivery becomes one canonical event per element, or one dead letter per element that
 * cannot be read. Nothing is dropped and nothing deduplicated: each delivery is accounted for (contract.md §7.2).
 */
export class EventsProcessor implements Processor {
  readonly #partition: number;
  readonly #codecs: EventCodecs;
  readonly #failures: FailureCounter;
  readonly #users: Users;
  #outputs: OutputRecord[] = [];
  #counts: Record<string, number> = {};

  constructor(deps: { partition: number; codecs: EventCodecs; failures: FailureCounter; users?: Users }) {
    this.#partition = deps.partition;
    this.#codecs = deps.codecs;
    this.#failures = deps.failures;
    this.#users = deps.users ?? AS_THEY_COME;
  }

  restored(): void {}

  async prepare(records: readonly InputRecord[]): Promise<void> {
    await this.#users.ready();
    await this.#codecs.raw.resolve(records.map((r) => r.value));
  }

  process(record: InputRecord, observe: Observe): void {
    let raw: RawEvent;
    try {
      raw = this.#users.show(this.#codecs.raw.decode(record.value ?? Buffer.alloc(0)));
    } catch (error) {
      this.#failures.failed('decode');
      this.#dead(record, null, -1, 'decode', error instanceof CodecError ? error.code.toLowerCase() : 'exception', String(error));
      observe(null);
      return;
    }
    observe(raw.received_at);
    // A wish of our own, no input.
    if (raw.source === REFOLD_SOURCE) return;
    const source = sourceOf(raw.source);
    if (source === undefined) {
      this.#dead(record, raw, -1, 'parse', 'unknown_source', `no source is called ${raw.source}`);
      return;
    }
    try {
      this.#take(source, record, raw);
      this.#failures.ok();
    } catch (error) {
      this.#failures.failed('fold');
      this.#dead(record, raw, -1, 'fold', 'exception', String(error));
    }
  }

  punctuate(): void {}

  nextTimer(): null {
    return null;
  }

  flush(): { outputs: OutputRecord[]; processed: Record<string, number> } {
    const outputs = this.#outputs;
    const processed = this.#counts;
    this.#outputs = [];
    this.#counts = {};
    return { outputs, processed };
  }

  meta(): ProcessorMeta {
    return { horizon: null, restoreFrom: null };
  }

  committed(): void {}

  #take(source: Source, record: InputRecord, raw: RawEvent): void {
    switch (source.subject) {
      case 'call':
        for (const element of source.toInputs(raw)) {
          if (element.ok) this.#event(callEvent(element, source, record, raw), record);
          else this.#unread(element, record, raw);
        }
        break;
      case 'recording':
        for (const element of source.toInputs(raw)) {
          if (element.ok) this.#event(recordingEvent(element, source, record, raw), record);
          else this.#unread(element, record, raw);
        }
        break;
      case 'channel':
        for (const element of source.toInputs(raw)) {
          if (element.ok) this.#event(channelEvent(element, source, record, raw), record);
          else this.#unread(element, record, raw);
        }
        break;
      default:
        throw new TypeError(`nobody reads about ${source satisfies never}`);
    }
  }

  #event(event: CallEvent, record: InputRecord): void {
    this.#count('events');
    this.#outputs.push({
      topic: TOPICS.callEvents.name,
      partition: this.#partition,
      key: Buffer.from(record.key ?? ''),
      value: this.#codecs.callEvent.encode(event),
      headers: cloudEventHeaders({
        id: event.event_id,
        name: 'call-events',
        source: `//${event.provider}/${event.app_id}`,
        time: event.event_at ?? event.received_at,
      }),
    });
  }

  #unread({ index, reason, error }: UnreadElement, record: InputRecord, raw: RawEvent): void {
    this.#dead(record, raw, index, 'parse', reason, error);
  }

  #dead(record: InputRecord, raw: RawEvent | null, index: number, stage: Stage, reason: string, error: string): void {
    this.#count('dead');
    this.#outputs.push(deadLetterOutput(this.#codecs.deadLetter, this.#partition, { record, raw, index, stage, reason, error }));
  }

  #count(name: string): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
  }
}
