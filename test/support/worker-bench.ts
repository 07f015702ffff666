import { TOPICS } from '../../src/codec/topics.js';
import type { TopologyDriver } from '../../src/stream/topology-driver.js';
import type { InputRecord, Processor } from '../../src/stream/types.js';
import { codecs } from './worker-kit.js';

/** One task of a worker with state, on the in-process driver, with a sink that has read what it publishes up to a position, and a wall clock. */
export class WorkerBench<P extends Processor & { setSinkPosition(nextOffset: number): void }> {
  now: number;
  sink = 0;
  readonly driver: TopologyDriver;
  readonly #inputTopic: string;
  readonly #outputTopic: string;

  protected constructor(driver: TopologyDriver, options: { now: number; inputTopic: string; outputTopic: string }) {
    this.driver = driver;
    this.now = options.now;
    this.#inputTopic = options.inputTopic;
    this.#outputTopic = options.outputTopic;
  }

  get processor(): P {
    return this.driver.processor(0) as unknown as P;
  }

  /** What is published, in order. */
  records(): InputRecord[] {
    return this.driver.records(this.#outputTopic);
  }

  dead() {
    return this.driver.records(TOPICS.deadLetters.name).map((r) => ({ ...codecs.deadLetter.decode(r.value!), partition: r.partition }));
  }

  append(value: Buffer, topic = this.#inputTopic): void {
    this.driver.append(topic, { partition: 0, key: 'k', value, timestamp: this.now });
  }

  /** ClickHouse has everything that is published so far. */
  sinkAll(): void {
    this.sink = this.records().length;
    this.processor.setSinkPosition(this.sink);
  }

  /** The owner dies after so many records that it had not committed. */
  async crash(uncommitted: number): Promise<void> {
    await this.driver.processUncommitted(0, uncommitted);
    await this.restart();
  }

  /** The owner dies, and another takes over. */
  async restart(): Promise<void> {
    await this.driver.crash(0);
    this.processor.setSinkPosition(this.sink);
  }

  /** Takes what has come, then lets time pass. */
  async advance(ms: number): Promise<void> {
    await this.driver.drain();
    this.now += ms;
    await this.driver.advance(this.now);
    await this.driver.drain();
  }
}
