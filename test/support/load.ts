import { expect } from 'vitest';
import { DurableProducer } from '../../src/stream/durable-producer.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { problemsOf, type Scene, until } from '../integration/stream-kit.js';
import { report } from './torture.js';

const KEYS = 16;
/** Numbers per second, about: a load, not a flood. */
const PAUSE_MS = 10;

/**
 * Sends numbers to a scene's input, one for each key at a time, as ingest sends callbacks: what is not acknowledged is sent again until it is.
 */
export class Load {
  readonly #producer: DurableProducer;
  readonly #scene: Scene;
  readonly #done: Promise<void>;
  readonly numbers: number[] = [];
  #waiting: (() => void)[] = [];
  #stopping = false;
  /** Why producers were thrown away. */
  readonly renewals: string[] = [];

  constructor(brokers: readonly string[], scene: Scene) {
    this.#scene = scene;
    this.#producer = new DurableProducer({
      kafka: { brokers },
      logger: silentLogger(),
      onRenewal: (reason) => this.renewals.push(reason),
    });
    this.#done = this.#run();
  }

  /** Numbers that are acknowledged. */
  get acknowledged(): number {
    return this.numbers.length;
  }

  /** The next time that a send fails. */
  refusal(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Awaits that work gets on: numbers are acknowledged from now on, and the workers have come past them. */
  async movesOn(timeoutMs = 60_000): Promise<void> {
    const { acknowledged } = this;
    await until('numbers are acknowledged', () => this.acknowledged > acknowledged + 3 * KEYS, timeoutMs);
    const { input } = this.#scene;
    const ends = await this.#scene.ends(input);
    await until(
      'the workers have come past them',
      async () => (await this.#scene.committed()).every(({ offset }, p) => offset >= (ends[p] as number)),
      timeoutMs,
    );
  }

  /** Once stopped: everything acknowledged is in the input, and the output is exactly what the input's records add up to. Reports it under that name. */
  async expectExact(scenario: string, faults: number | Record<string, number>): Promise<void> {
    const scene = this.#scene;
    await scene.drained([scene.input], 60_000);
    const raw = (await scene.published(scene.input)) as unknown as Map<string, { n: number }[]>;
    const there = new Set([...raw.values()].flatMap((list) => list.map(({ n }) => n)));
    const lost = this.numbers.filter((n) => !there.has(n));
    const sums = new Map([...raw].map(([key, list]) => [key, list.reduce((sum, { n }) => sum + n, 0)]));
    const problems = problemsOf(await scene.published(), sums);
    const doubled = problems.filter((text) => text.includes('revision')).length;
    const events = [...raw.values()].reduce((sum, list) => sum + list.length, 0);
    report({ scenario, faults, events, lost: lost.length, doubled, differing: problems.length - doubled });
    expect(lost).toEqual([]);
    expect(problems).toEqual([]);
    expect(scene.fatal).toEqual([]);
  }

  /** Resolves once everything sent is acknowledged. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
    await this.#producer.close();
  }

  async #run(): Promise<void> {
    const refused: number[][] = [];
    let next = 1;
    let lost = false;
    while (!this.#stopping || refused.length > 0) {
      // After a failure other numbers come first: equal ones would not show whether what comes next is swallowed as a repeat (rule 4).
      const again: number[] | undefined = this.#stopping || !lost ? refused.shift() : undefined;
      const numbers: number[] = again ?? Array.from({ length: KEYS }, () => next++);
      lost = !(await this.#sent(numbers));
      if (lost) {
        refused.push(numbers);
        for (const resolve of this.#waiting.splice(0)) resolve();
      } else this.numbers.push(...numbers);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #sent(numbers: readonly number[]): Promise<boolean> {
    const { input, partitions } = this.#scene;
    const records = numbers.map((n) => ({
      topic: input,
      partition: (n % KEYS) % partitions,
      key: String(n % KEYS),
      value: Buffer.from(JSON.stringify({ n })),
    }));
    return this.#producer.send(records).then(
      () => true,
      () => false,
    );
  }
}
