import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Pipeline, stateOf } from '../../src/api/pipeline.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { samplesOf } from '../../src/telemetry/metrics-text.js';

describe('a text of metrics', () => {
  it('is read as prom-client writes it, escapes and all', async () => {
    const metrics = createMetrics();
    metrics.callstream_task_lag.set({ worker: 'sessions', topic: 'a "quoted"\\ name\nand }{ more, x="y"' }, 7);
    metrics.callstream_spool_events.set(3);
    const samples = samplesOf(await metrics.registry.metrics(), 'callstream_');
    expect(samples.find(({ name }) => name === 'callstream_task_lag')).toEqual({
      name: 'callstream_task_lag',
      labels: { worker: 'sessions', topic: 'a "quoted"\\ name\nand }{ more, x="y"' },
      value: 7,
    });
    expect(samples).toContainEqual({ name: 'callstream_spool_events', labels: {}, value: 3 });
  });

  it('may hold what is none', () => {
    const text =
      'callstream_a NaN\ncallstream_b +Inf\ncallstream_c\ncallstream_d{x="1" 2\n# HELP callstream_e x\nother 1\ncallstream_f 2 1764158400000';
    expect(samplesOf(text, 'callstream_')).toEqual([{ name: 'callstream_f', labels: {}, value: 2 }]);
  });
});

describe('the state of the roles', () => {
  const text = (requests: number, slow: number) => `
callstream_task_lag{role="sessions",worker="sessions",topic="a"} 5
callstream_task_lag{role="sessions",worker="sessions",topic="b"} 7
callstream_task_lag{role="events",worker="events",topic="a"} 0
callstream_sink_lag{topic="a"} 2
callstream_sink_lag{topic="b"} 1
callstream_webhook_lag{webhook="ops"} 4
callstream_poll_limit_per_second{source="call-record",app="1",operation="page"} 10
callstream_poll_limit_per_second{source="call-record",app="2",operation="page"} 10
callstream_poll_requests_total{source="call-record",operation="page",result="page"} ${requests}
callstream_poll_requests_total{source="call-record",operation="page",result="slow_down"} ${slow}
callstream_poll_stopped{source="call-record",app="1"} 1
callstream_poll_stopped{source="call-record",app="2"} 0
callstream_poll_swept_to_seconds{source="call-record",app="1",sweep="near"} 1764158400.5
callstream_poll_swept_to_seconds{source="call-record",app="1",sweep="deep"} 1764150000
callstream_poll_lost_seconds_total{source="call-record",app="1"} 60
callstream_poll_breaker_open{host="a.example"} 0
callstream_poll_breaker_open{host="b.example"} 1
callstream_spool_events 3
callstream_spool_bytes 300
`;
  const reading = (at: number, written: string) => ({ at, samples: samplesOf(written, 'callstream_') });

  it('adds up what the processes say', () => {
    const state = stateOf(reading(10_000, text(100, 5)), null);
    expect(state.workers).toEqual([
      { worker: 'sessions', lag: 12 },
      { worker: 'events', lag: 0 },
      { worker: 'sink', lag: 3 },
      { worker: 'webhook ops', lag: 4 },
    ]);
    expect(state.spool).toEqual({ events: 3, bytes: 300, quarantined: 0, failures: 0 });
    expect(state.limits).toEqual([{ source: 'call-record', operation: 'page', limit_per_second: 20, per_second: null, slow_downs: 5 }]);
    expect(state.sweeps).toEqual([
      { source: 'call-record', app_id: '1', swept_to: 1_764_158_400_500, stopped: true, lost_ms: 60_000 },
      { source: 'call-record', app_id: '2', swept_to: null, stopped: false, lost_ms: 0 },
    ]);
    expect(state.hosts_away).toEqual(['b.example']);
    expect(stateOf(reading(1, ''), null)).toEqual({ workers: [], spool: null, limits: [], sweeps: [], hosts_away: [] });
  });

  it('takes rates from two readings, and none across a restart', () => {
    const before = reading(10_000, text(100, 5));
    expect(stateOf(reading(20_000, text(145, 10)), before).limits[0]!.per_second).toBe(5);
    expect(stateOf(reading(20_000, text(3, 0)), before).limits[0]!.per_second).toBeNull();
  });
});

describe('the reader of admin addresses', () => {
  let asked = 0;
  let requests = 0;
  const server: Server = createServer((request, response) => {
    asked++;
    if (request.url === '/metrics')
      response.end(
        `callstream_poll_limit_per_second{source="s",operation="o"} 10\ncallstream_poll_requests_total{source="s",operation="o",result="page"} ${requests}\n`,
      );
    else if (request.url === '/readyz') response.writeHead(503).end(JSON.stringify({ ready: false, problems: ['sink is starting'] }));
    else response.writeHead(302, { location: '/metrics' }).end();
  });
  let address: string;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('tells who answers, who is not ready and why, and who is not there; what they say stands beside it', async () => {
    const pipeline = new Pipeline([address, 'http://127.0.0.1:1', `${address}/elsewhere`], { now: () => 0 });
    const { admins, limits } = await pipeline.read();
    expect(admins).toEqual([
      { address: address.slice(7), ready: false, problems: ['sink is starting'] },
      { address: '127.0.0.1:1', ready: null, problems: [] },
      { address: `${address.slice(7)}/elsewhere`, ready: null, problems: [] },
    ]);
    expect(limits).toHaveLength(1);
  });

  it('asks once for those who ask at once, and takes rates from readings that are far enough apart', async () => {
    let now = 0;
    const pipeline = new Pipeline([address], { now: () => now });
    const rate = async () => (await pipeline.read()).limits[0]!.per_second;
    asked = 0;
    expect(await Promise.all([rate(), rate()])).toEqual([null, null]);
    expect(asked).toBe(2);
    // A page looks every two seconds.
    const seen: (number | null)[] = [];
    for (let i = 0; i < 8; i++) {
      now += 2_000;
      requests += 10;
      seen.push(await rate());
    }
    expect(seen).toEqual([null, null, 5, 5, 5, 5, 5, 5]);
  });
});
