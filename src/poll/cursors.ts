import type { TopicCodec } from '../codec/codec.js';
import type { PollCursor } from '../codec/generated.js';
import { TOPICS } from '../codec/topics.js';
import { unlessAborted } from '../stream/abort.js';
import type { Environment } from '../stream/environment.js';
import { partitionOf } from '../stream/partition.js';
import type { Clock } from '../telemetry/clock.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { PollFault } from './fault.js';
import type { Producer } from './outlet.js';
import { isAhead } from './sweep-range.js';

/** What a cursor is about: PollCursor without its values. */
export type CursorKey = Pick<PollCursor, 'source' | 'app_id' | 'sweep' | 'scope'>;

export interface CursorDeps {
  producer: Producer;
  codec: Pick<TopicCodec<PollCursor>, 'encode'>;
  partitions: number;
  /** Everything that stands on the topic. */
  read(): Promise<readonly PollCursor[]>;
  /** Resolves when this process is known to be the one that polls; before each write. */
  confirmed(): Promise<void>;
  environment: Pick<Environment, 'until'>;
  clock: Clock;
  metrics: Metrics;
  /** For tests. */
  fault?: PollFault;
}

const keyOf = ({ source, app_id, sweep, scope }: CursorKey): string => `${source}:${app_id}:${sweep}:${scope}`;

/** How far each sweep has come, on a compacted topic. */
export class Cursors {
  readonly #deps: CursorDeps;
  readonly #known = new Map<string, PollCursor>();

  private constructor(deps: CursorDeps) {
    this.#deps = deps;
  }

  /**
   * As the topic has them. One that was written late by another poller counts only if it is the furthest; one that is ahead of now, only while there is no
   * other.
   */
  static async load(deps: CursorDeps): Promise<Cursors> {
    const cursors = new Cursors(deps);
    const now = deps.clock.now();
    const rank = ({ swept_to }: PollCursor): number => (isAhead(swept_to, now) ? -1 : swept_to);
    for (const cursor of await deps.read()) {
      const known = cursors.#known.get(keyOf(cursor));
      if (known === undefined || rank(cursor) >= rank(known)) cursors.#keep(cursor);
    }
    return cursors;
  }

  get(key: CursorKey): PollCursor | null {
    return this.#known.get(keyOf(key)) ?? null;
  }

  /**
   * Everything up to `sweptTo` is on the raw topic, acknowledged. Never goes back, but from a time that has not been.
   * @throws the signal's reason
   */
  async advance(key: CursorKey, sweptTo: number, signal: AbortSignal): Promise<void> {
    const { producer, codec, partitions, confirmed, environment, clock, fault } = this.#deps;
    const name = keyOf(key);
    const known = this.#known.get(name);
    if (known !== undefined && sweptTo < known.swept_to && !isAhead(known.swept_to, clock.now())) return;
    await unlessAborted(confirmed(), signal);
    const { source, app_id, sweep, scope } = key;
    const cursor: PollCursor = { source, app_id, sweep, scope, swept_to: sweptTo, updated_at: clock.now() };
    const record = { topic: TOPICS.pollCursors.name, partition: partitionOf(name, partitions), key: name, value: codec.encode(cursor) };
    await fault?.('poll:before-cursor-write');
    await environment.until('Kafka', signal, () => producer.send([record]));
    await fault?.('poll:after-cursor-write');
    this.#keep(cursor);
  }

  #keep(cursor: PollCursor): void {
    this.#known.set(keyOf(cursor), cursor);
    if (cursor.sweep.startsWith('backfill')) return;
    const { source, app_id: app, sweep } = cursor;
    const alike = [...this.#known.values()].filter((c) => c.source === source && c.app_id === app && c.sweep === sweep);
    const slowest = Math.min(...alike.map((c) => c.swept_to));
    this.#deps.metrics.callstream_poll_swept_to_seconds.set({ source, app, sweep }, slowest / 1000);
  }
}
