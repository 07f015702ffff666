import type { TopicCodec } from '../codec/codec.js';
import type { RawEvent } from '../codec/generated.js';
import type { AnyPolledSource, PolledElement } from '../sources/polled.js';
import { sha256 } from '../sources/sign/digest.js';
import type { Environment } from '../stream/environment.js';
import { partitionOf } from '../stream/partition.js';
import type { OutputRecord } from '../stream/types.js';
import type { Clock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Acknowledged } from './acknowledged.js';
import type { PollFault } from './fault.js';

/** Resolves when every record is on all in-sync replicas: DurableProducer of src/stream. */
export interface Producer {
  send(records: readonly OutputRecord[]): Promise<void>;
}

export interface OutletDeps {
  producer: Producer;
  /** By topic name. */
  codecs: ReadonlyMap<string, Pick<TopicCodec<RawEvent>, 'encode'>>;
  /** Partitions of every raw topic. */
  partitions: number;
  acknowledged: Acknowledged;
  environment: Pick<Environment, 'until'>;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  /** For tests. */
  fault?: PollFault;
}

/** What still fits into a Kafka message of ours, key and envelope aside. */
const MAX_BODY_BYTES = 7 * 1024 * 1024;

/** Bytes of the digest that make an id. */
const ID_BYTES = 16;

/** The id of a polled delivery: equal for equal text of one app, so that asking again is a repeat. Hundreds of thousands are remembered: a slice of a longer text would hold on to all of it. */
export const polledId = (source: string, appId: string, { query, body }: PolledElement): string =>
  sha256(JSON.stringify([source, appId, query, body]))
    .subarray(0, ID_BYTES)
    .toString('hex');

/** Elements onto the raw topics, durable. What has been acknowledged lately is not sent again: sweeps overlap. */
export class PollOutlet {
  readonly #deps: OutletDeps;
  /** Ids that are on their way: sweeps that overlap may both have one. */
  readonly #flying = new Map<string, Promise<void>>();

  constructor(deps: OutletDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves when all are durable.
   * @throws the signal's reason
   */
  async publish(source: AnyPolledSource, appId: string, elements: readonly PolledElement[], signal: AbortSignal): Promise<void> {
    const { acknowledged, metrics, clock } = this.#deps;
    const receivedAt = clock.now();
    const fresh = new Map<string, OutputRecord>();
    const flights = new Set<Promise<void>>();
    const counts = { known: 0, published: 0, too_large: 0 };
    for (const element of elements) {
      const id = polledId(source.name, appId, element);
      const flight = this.#flying.get(id);
      if (flight !== undefined) flights.add(flight);
      let result: 'known' | 'published' | 'too_large' = 'known';
      if (flight === undefined && !fresh.has(id) && !acknowledged.has(id)) {
        const record = this.#record(source, appId, id, receivedAt, element);
        result = record === null ? 'too_large' : 'published';
        if (record !== null) fresh.set(id, record);
      }
      counts[result] += 1;
    }
    if (fresh.size > 0) flights.add(this.#fly(fresh, signal));
    await Promise.all(flights);
    for (const [result, count] of Object.entries(counts))
      if (count > 0) metrics.callstream_poll_elements_total.inc({ source: source.name, result }, count);
  }

  /** Nothing comes between the look at what is flying and this. */
  #fly(records: ReadonlyMap<string, OutputRecord>, signal: AbortSignal): Promise<void> {
    const { acknowledged, environment, producer, fault } = this.#deps;
    const flight = (async () => {
      try {
        await fault?.('poll:before-raw-send');
        await environment.until('Kafka', signal, () => producer.send([...records.values()]));
        await fault?.('poll:after-raw-send');
        for (const id of records.keys()) acknowledged.add(id);
      } finally {
        for (const id of records.keys()) this.#flying.delete(id);
      }
    })();
    for (const id of records.keys()) this.#flying.set(id, flight);
    return flight;
  }

  #record(
    source: AnyPolledSource,
    appId: string,
    id: string,
    receivedAt: number,
    { key, query, body }: PolledElement,
  ): OutputRecord | null {
    const { codecs, partitions, logger } = this.#deps;
    const bytes = Buffer.from(body);
    if (bytes.length > MAX_BODY_BYTES) {
      logger.error({ source: source.name, app: appId, bytes: bytes.length }, 'an element is larger than Kafka takes, and left out');
      return null;
    }
    const codec = codecs.get(source.topic);
    if (codec === undefined) throw new Error(`no codec for ${source.topic}`);
    const event = { id, source: source.name, app_id: appId, received_at: receivedAt, auth: 'polled', remote_addr: '', query, body: bytes };
    return { topic: source.topic, partition: partitionOf(key, partitions), key, value: codec.encode(event) };
  }
}
