import type { TopicCodec } from '../codec/codec.js';
import type { DeadLetter } from '../codec/generated.js';
import type { Delivery } from '../sources/element.js';
import type { InputRecord, OutputRecord, ProcessedCounts } from '../stream/types.js';
import { deadLetterOutput, type Stage } from './dead-letter.js';

/** What a task that folds has to tell at the end of a transaction: its dead letters, and counts by name. */
export class FoldReport {
  readonly #codec: TopicCodec<DeadLetter>;
  readonly #partition: number;
  #dead: OutputRecord[] = [];
  #counts: Record<string, number> = {};

  /** `partition`: the one of the dead letters that this task alone writes. */
  constructor(codec: TopicCodec<DeadLetter>, partition: number) {
    this.#codec = codec;
    this.#partition = partition;
  }

  count(name: string): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
  }

  /** `index`: of the element within the delivery; -1: the whole of it. */
  dead(record: InputRecord, raw: Delivery | null, index: number, reason: string, error: string, stage: Stage = 'fold'): void {
    this.count('dead');
    this.#dead.push(deadLetterOutput(this.#codec, this.#partition, { record, raw, index, stage, reason, error }));
  }

  /** Everything since the last call. */
  take(): { dead: OutputRecord[]; counts: ProcessedCounts } {
    const taken = { dead: this.#dead, counts: this.#counts };
    this.#dead = [];
    this.#counts = {};
    return taken;
  }
}
