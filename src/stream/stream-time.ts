/**
 * Stream time of one task (semantics.md "Time"): per partition the largest min(received_at, append time) seen; the task's is the smallest
 * of its partitions', the deferred (late) topic not counted. Monotone. 0 until every partition is known.
 */
export class StreamTime {
  readonly #topics: Map<string, { time: number; target: { at: number; end: number } | null }>;
  #time: number;

  /** `topics`: the inputs that count. `carried`: stream time of the last commit. */
  constructor(topics: readonly string[], carried: number) {
    this.#topics = new Map(topics.map((topic) => [topic, { time: 0, target: null }]));
    this.#time = carried;
  }

  now(): number {
    return this.#time;
  }

  /** Time of one input partition, 0: nothing known; used to take the input that is furthest behind first. */
  of(topic: string): number {
    return this.#topics.get(topic)?.time ?? 0;
  }

  /** A record has arrived; returns the task's stream time with it. */
  observe(topic: string, receivedAt: number | null, appendTime: number): number {
    const entry = this.#topics.get(topic);
    if (entry === undefined) return this.#time;
    const time = receivedAt === null || receivedAt > appendTime ? appendTime : receivedAt;
    if (time <= entry.time) return this.#time;
    entry.time = time;
    return this.advance();
  }

  /**
   * The broker said that the partition ended at `end` after `at`: once read to there, the partition counts as `at`, whether or not anything came.
   * An answer that is still to be reached is kept, else a slow reader of a busy partition would never reach any.
   */
  ended(topic: string, at: number, end: number, position: number): void {
    const entry = this.#topics.get(topic);
    if (entry === undefined) return;
    entry.target ??= { at, end };
    this.reached(topic, position);
  }

  /** The task has processed everything below `position`. */
  reached(topic: string, position: number): void {
    const entry = this.#topics.get(topic);
    if (!entry?.target || position < entry.target.end) return;
    if (entry.target.at > entry.time) entry.time = entry.target.at;
    entry.target = null;
  }

  /** Recomputes and returns the task's stream time. */
  advance(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const { time } of this.#topics.values()) if (time < least) least = time;
    if (least !== Number.POSITIVE_INFINITY && least > this.#time) this.#time = least;
    return this.#time;
  }
}
