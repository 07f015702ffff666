import { setMaxListeners } from 'node:events';
import { pino } from 'pino';
import { expect } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import { TOPICS } from '../../src/codec/topics.js';
import { CallstreamError } from '../../src/domain/errors.js';
import { Acknowledged } from '../../src/poll/acknowledged.js';
import { Hosts } from '../../src/poll/host.js';
import { type Line, openLines } from '../../src/poll/line.js';
import { PollOutlet } from '../../src/poll/outlet.js';
import { TIMING, type Timing } from '../../src/poll/timing.js';
import { walk } from '../../src/poll/walk.js';
import type { PolledApp } from '../../src/sources/polled.js';
import { POLLED_SOURCES } from '../../src/sources/registry.js';
import { Environment } from '../../src/stream/environment.js';
import type { OutputRecord } from '../../src/stream/types.js';
import { systemChance } from '../../src/telemetry/chance.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { createMetrics } from '../../src/telemetry/metrics.js';

const SECRET = 'f'.repeat(64);
/** As the poller, but in a hurry. */
export const FAST: Timing = {
  ...TIMING,
  requestTimeout: 300,
  retryFirst: 5,
  retryMax: 20,
  slowDownFirst: 50,
  slowDownMax: 50,
  stoppedProbe: 250,
  roundFirst: 20,
  roundMax: 20,
};

/** The parts of a poller without Kafka. */
export class Stage {
  readonly abort = new AbortController();
  readonly metrics = createMetrics();
  readonly written: OutputRecord[] = [];
  readonly logged: string[] = [];
  readonly logger = pino({ level: 'debug' }, { write: (line: string) => void this.logged.push(line) });
  /** Sends that fail before the next one that does not. */
  kafkaFails = 0;
  readonly hosts: Hosts;
  readonly environment = new Environment(this.logger, systemChance);
  readonly producer = {
    send: async (records: readonly OutputRecord[]) => {
      if (this.kafkaFails > 0) {
        this.kafkaFails -= 1;
        throw new CallstreamError('KAFKA_UNAVAILABLE', 'not now');
      }
      this.written.push(...records);
    },
  };
  readonly outlet: PollOutlet;
  readonly lines: Line[];

  constructor(
    endpoint: string,
    readonly timing = FAST,
  ) {
    const app: PolledApp = {
      provider: 'tencent',
      appId: '1400000001',
      records: { endpoint, identifier: 'administrator', secretKey: SECRET },
      cloudApi: { endpoint, region: 'ap-singapore', secretId: 'AKID', secretKey: SECRET },
    };
    const { metrics, logger, environment, producer } = this;
    const common = { clock: systemClock, chance: systemChance, logger, metrics };
    setMaxListeners(0, this.abort.signal);
    this.hosts = new Hosts(timing.requestTimeout, systemChance);
    this.lines = openLines(POLLED_SOURCES, [app], { ...common, hosts: this.hosts, timing, share: 0.9 });
    const codecs = new Map([TOPICS.rawCallRecord, TOPICS.rawUserEvent].map((topic) => [topic.name, localCodec(topic)]));
    this.outlet = new PollOutlet({ ...common, producer, codecs, partitions: 4, acknowledged: new Acknowledged(1_000), environment });
  }

  line(source: string): Line {
    return this.lines.find((line) => line.source.name === source)!;
  }

  walk(source: string, plan: unknown, hostRetries = 3) {
    const line = this.line(source);
    return walk(plan, {
      line,
      lane: 'task',
      publish: (elements) => this.outlet.publish(line.source, line.app.appId, elements, this.abort.signal),
      hostRetries,
      timing: this.timing,
      chance: systemChance,
      signal: this.abort.signal,
    });
  }

  /** All records from then on. */
  sweepAll(from = 0) {
    const line = this.line('call-record');
    const now = Date.now();
    return this.walk('call-record', line.source.sweeping!.first(line.app, '', { from, to: now }, now, 0));
  }

  record(callId: string) {
    return this.walk('call-record', { what: 'call', generation: 'v1', appId: '1400000001', callId });
  }

  events(topic = TOPICS.rawCallRecord) {
    return this.written.filter((r) => r.topic === topic.name).map((r) => ({ ...r, event: localCodec(topic).decode(r.value!) }));
  }

  async metric(name: string): Promise<string[]> {
    return (await this.metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(name));
  }

  async close(): Promise<void> {
    this.abort.abort(new Error('the test is over'));
    await this.hosts.close();
    expect(this.logged.filter((line) => line.includes(SECRET) || /usersig=/i.test(line))).toEqual([]);
  }
}
