import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Delivery } from '../../src/ingest/delivery.js';
import { type Ingest, type IngestDeps, type IngestOptions, type Outlet, startIngest } from '../../src/ingest/index.js';
import type { WebhookSource } from '../../src/sources/webhook.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.js';

export const NOW = 1_704_695_566_000;

/** A vendor that puts the app into the query, and the call into the body up to the first blank. */
export const source: WebhookSource = {
  name: 'vendor',
  provider: 'tencent',
  topic: 'callstream.raw.vendor',
  appIdIn: 'query',
  appIdOf: (query) => new URLSearchParams(query).get('app'),
  keyOf: (appId, _query, body) => `tencent:${appId}:${body.toString().split(' ')[0]}`,
  successBody: () => '{"ErrorCode":0}',
};

/** Kafka as the tests want it: `up`, `down` (refuses), or `hung` (never answers). */
export class FakeKafka implements Outlet {
  state: 'up' | 'down' | 'hung' = 'up';
  readonly deliveries: Delivery[] = [];
  readonly batches: number[] = [];

  async send(deliveries: readonly Delivery[]): Promise<void> {
    if (this.state === 'down') throw new Error('Kafka is away');
    if (this.state === 'hung') return new Promise(() => undefined);
    this.batches.push(deliveries.length);
    this.deliveries.push(...deliveries);
  }

  get bodies(): string[] {
    return this.deliveries.map(({ event }) => event.body.toString());
  }
}

export interface Harness {
  ingest: Ingest;
  kafka: FakeKafka;
  metrics: Metrics;
  spoolDir: string;
  url: string;
  post(path: string, body?: string | Buffer, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

export async function startHarness(options: Partial<IngestOptions> = {}, deps: Partial<IngestDeps> = {}): Promise<Harness> {
  const kafka = new FakeKafka();
  const metrics = createMetrics();
  const spoolDir = options.spoolDir ?? mkdtempSync(join(tmpdir(), 'callstream-ingest-'));
  const ingest = await startIngest(
    { host: '127.0.0.1', port: 0, apps: [{ provider: 'tencent', appId: 'app' }], truncateClientIp: false, spoolDir, ...options },
    { sources: [source], connect: async () => kafka, metrics, log: silentLogger(), clock: { now: () => NOW }, ...deps },
  );
  const url = `http://127.0.0.1:${ingest.port}`;
  return {
    ingest,
    kafka,
    metrics,
    spoolDir,
    url,
    post: (path, body, headers) =>
      fetch(url + path, { method: 'POST', ...(body === undefined ? {} : { body }), ...(headers ? { headers } : {}) }),
    close: async () => {
      await ingest.close();
      rmSync(spoolDir, { recursive: true, force: true });
    },
  };
}

/** Waits until the condition holds; the test's own timeout is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Something that waits until the test lets it go on, and tells when it has come there. */
export function gate(): { pass: () => Promise<void>; readonly reached: boolean; open: () => void } {
  let reached = false;
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    pass: () => {
      reached = true;
      return opened;
    },
    get reached() {
      return reached;
    },
    open,
  };
}
