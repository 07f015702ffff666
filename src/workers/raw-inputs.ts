import type { TopicCodec, TopicReader } from '../codec/codec.js';
import type { RawEvent } from '../codec/generated.js';
import type { Delivery, Element, ReadElement, Subject } from '../sources/element.js';
import type { SourceOf } from '../sources/registry.js';
import type { FailureCounter, InputRecord } from '../stream/types.js';
import type { ShownDelivery, Users } from './users.js';

/**
 * Reads the raw deliveries of a task that folds what is about one subject, with users under the ids that they go by. What cannot be decoded or read is the events worker's to report: here it only
 * counts against the limit of failures.
 */
export class RawInputs<S extends Subject> {
  readonly #reader: TopicReader<Delivery>;
  readonly #sourceOf: (name: string) => SourceOf<S> | undefined;
  readonly #failures: FailureCounter;
  readonly #users: Users;

  constructor(
    codec: TopicCodec<RawEvent>,
    sourceOf: (name: string) => SourceOf<S> | undefined,
    { failures, users }: { failures: FailureCounter; users: Users },
  ) {
    this.#reader = codec.only('source', 'app_id', 'received_at', 'query', 'body');
    this.#sourceOf = sourceOf;
    this.#failures = failures;
    this.#users = users;
  }

  /** Loads what is needed to read the records: their schemas, and who is to be forgotten. Rejects when the registry or Kafka is away. */
  async resolve(records: readonly InputRecord[]): Promise<void> {
    await this.#users.ready();
    await this.#reader.resolve(records.map((r) => r.value));
  }

  /** Null where there is nothing to read. @param report told why a value cannot be decoded, where nobody else will be */
  decode({ value }: InputRecord, report: (error: unknown) => void = () => {}): ShownDelivery<Delivery> | null {
    if (value === null) return null;
    try {
      return this.#users.show(this.#reader.decode(value));
    } catch (error) {
      this.#failures.failed('decode');
      report(error);
      return null;
    }
  }

  elements(raw: Delivery): Element<S>[] {
    try {
      return this.#sourceOf(raw.source)?.toInputs(raw) ?? [];
    } catch {
      // The events worker meets the same exception.
      this.#failures.failed('fold');
      return [];
    }
  }

  /** The delivery of a record whose turn has not come, and what can be read of it; null where that is nothing. Failures count when its turn comes. */
  peek({ value }: InputRecord): { raw: Delivery; elements: ReadElement<S>[] } | null {
    if (value === null) return null;
    try {
      const raw = this.#users.show(this.#reader.decode(value));
      return { raw, elements: (this.#sourceOf(raw.source)?.toInputs(raw) ?? []).filter((element) => element.ok) };
    } catch {
      return null;
    }
  }
}
