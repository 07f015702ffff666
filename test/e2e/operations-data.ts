import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMetrics } from '../../src/telemetry/metrics.js';
import type { ApiFixture } from '../integration/api-fixture.js';

/*
 * What the pages about operations show beside calls: deliveries, dead letters, alerts, and the metrics of the roles.
 */

export const APP = '1400000001';

interface Traffic {
  app: string;
  source: string;
  /** New inputs, the last one `silentMs` before now. */
  count: number;
  silentMs: number;
  delayMs?: number;
  /** Of these, so many came twice. */
  twice?: number;
}

/** Deliveries of the last 50 minutes, evenly. */
export async function putTraffic(fixture: ApiFixture, now: number, traffic: readonly Traffic[]): Promise<void> {
  const rows = traffic.flatMap(({ app, source, count, silentMs, delayMs, twice = 0 }, topic) =>
    Array.from({ length: count + twice }, (_, i) => ({
      raw_topic: `callstream.raw.${source}`,
      raw_partition: topic,
      raw_offset: i,
      raw_index: 0,
      app_id: app,
      source,
      received_at: now - silentMs - Math.floor(((count - 1 - (i % count)) * (50 * 60_000 - silentMs)) / count),
      delay_ms: delayMs === undefined ? null : delayMs + ((i * 37) % 160),
      event_id: `${source}-${app}-${i % count}`,
      dead: 0,
    })),
  );
  await fixture.insert('deliveries', rows);
}

/** Dead letters that arrived at these moments. */
export async function putDeadLetters(
  fixture: ApiFixture,
  reason: string,
  error: string,
  body: string,
  at: readonly number[],
): Promise<void> {
  const origin = (i: number) => ({ partition: 9, offset: at[i]! % 1_000_000, index: 0 });
  const letters = at.map((received_at, i) => ({
    stage: 'parse',
    reason,
    error,
    source: 'tuicallkit',
    app_id: APP,
    received_at,
    origin_topic: 'callstream.raw.tuicallkit',
    origin_partition: origin(i).partition,
    origin_offset: origin(i).offset,
    origin_index: 0,
    key: '',
    body,
  }));
  await fixture.insert('dead_letter_rows', letters);
  await fixture.insert(
    'deliveries',
    letters.map(({ received_at, origin_topic, origin_partition, origin_offset }) => ({
      raw_topic: origin_topic,
      raw_partition: origin_partition,
      raw_offset: origin_offset,
      raw_index: 0,
      app_id: APP,
      source: 'tuicallkit',
      received_at,
      event_id: '',
      dead_stage: 'parse',
      dead_reason: reason,
      dead: 1,
    })),
  );
}

export interface AlertPlot {
  rule: string;
  firedAt: number;
  lastedMs: number | null;
  metric: string;
  value: number;
  n: number;
  threshold: number;
  silenced?: boolean;
}

export const putAlerts = (fixture: ApiFixture, alerts: readonly AlertPlot[]): Promise<void> =>
  fixture.insert(
    'alert_rows',
    alerts.map(({ rule, firedAt, lastedMs, metric, value, n, threshold, silenced = false }) => ({
      alert_id: `${rule}-${firedAt}`,
      rule,
      provider: 'tencent',
      app_id: APP,
      state: lastedMs === null ? 'firing' : 'resolved',
      metric,
      value,
      n,
      threshold,
      window_ms: 900_000,
      fired_at: firedAt,
      resolved_at: lastedMs === null ? null : firedAt + lastedMs,
      silenced,
      version: lastedMs === null ? 1 : 2,
    })),
  );

/** An admin address as the roles have it. */
export interface Admin {
  readonly address: string;
  /** What `/metrics` shows. */
  readonly metrics: ReturnType<typeof createMetrics>;
  /** What keeps the roles from working; empty: they are ready. */
  problems: string[];
  close(): Promise<void>;
}

export async function startAdmin(): Promise<Admin> {
  const metrics = createMetrics();
  const server = createServer(async (request, response) => {
    const ready = admin.problems.length === 0;
    if (request.url === '/metrics') response.end(await metrics.registry.metrics());
    else response.writeHead(ready ? 200 : 503).end(JSON.stringify({ ready, problems: admin.problems }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const admin: Admin = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    metrics,
    problems: [],
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return admin;
}
