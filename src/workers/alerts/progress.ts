/**
 * How far a receiver has been told of one partition: which records below a position are still open. Deliveries end in any order, so one that does not end keeps
 * back nothing but itself. What is committed is the offset of the oldest open record, where reading begins again, and in the metadata the position
 * and the other open ones: all else below the position is done, and is not told again after a restart. Pure.
 */
export class Progress {
  /** Everything below has been looked at. */
  #next: number;
  /** Not done; ascending. */
  readonly #open: Set<number>;
  /** Those of them that are under way, not merely known to be open. */
  readonly #begun = new Set<number>();

  constructor(committed: Committed) {
    const { next, open } = read(committed);
    this.#next = next;
    this.#open = new Set(open);
  }

  /** Where reading must begin. */
  get start(): number {
    return first(this.#open) ?? this.#next;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Whether a record is to be told: it has not been looked at, or was found open. The caller says {@link done} for each that it begins. */
  begin(offset: number): boolean {
    if (offset >= this.#next) {
      this.#open.add(offset);
      this.#next = offset + 1;
    } else if (!this.#open.has(offset) || this.#begun.has(offset)) return false;
    this.#begun.add(offset);
    return true;
  }

  done(offset: number): void {
    this.#open.delete(offset);
    this.#begun.delete(offset);
  }

  /** Reading is past all below `offset`: what is open there and was not begun is gone from the topic, or not wanted any more. */
  passed(offset: number): void {
    for (const open of this.#open) {
      if (open >= offset) break;
      if (!this.#begun.has(open)) this.#open.delete(open);
    }
    this.#next = Math.max(this.#next, offset);
  }

  /** What to commit. */
  committable(): Committed {
    const start = this.start;
    return { offset: start, metadata: write(this.#next, [...this.#open]) };
  }
}

export interface Committed {
  offset: number;
  metadata: string | null;
}

/** Kafka refuses metadata of more than 4,096 bytes. */
const MAX_METADATA = 4_000;
const FORM = /^1;([0-9a-z]+);((?:[0-9a-z]+(?:,[0-9a-z]+)*)?)$/;

const first = (offsets: ReadonlySet<number>): number | undefined => offsets.values().next().value;

/** `1;<next>;<open>,<open>,…` in base 36, each open offset as its distance from the one before. Where they are too many, the position steps back to the first left out. */
function write(next: number, open: readonly number[]): string {
  const steps: string[] = [];
  let length = 32;
  let last = 0;
  for (const offset of open) {
    const step = (offset - last).toString(36);
    if (length + step.length + 1 > MAX_METADATA) return form(offset, steps);
    steps.push(step);
    length += step.length + 1;
    last = offset;
  }
  return form(next, steps);
}

const form = (next: number, steps: readonly string[]): string => `1;${next.toString(36)};${steps.join(',')}`;

/** Metadata that is none of ours says that everything from the offset on is to be told. */
function read({ offset, metadata }: Committed): { next: number; open: number[] } {
  const match = FORM.exec(metadata ?? '');
  const next = Number.parseInt(match?.[1] ?? '', 36);
  if (match === null || !Number.isSafeInteger(next) || next < offset) return { next: offset, open: [] };
  const open: number[] = [];
  let last = 0;
  for (const step of (match[2] as string).split(',')) {
    if (step === '') continue;
    last += Number.parseInt(step, 36);
    if (!Number.isSafeInteger(last) || last < offset || last >= next) return { next: offset, open: [] };
    open.push(last);
  }
  return { next, open };
}
