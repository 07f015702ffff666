import { request } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { type AdminServer, startAdminServer } from '../../src/telemetry/admin-server.js';
import { createMetrics } from '../../src/telemetry/metrics.js';

let server: AdminServer | undefined;
afterEach(() => server?.close());

const start = async (ready: () => { ok: boolean; problems: string[] } = () => ({ ok: true, problems: [] })) => {
  const metrics = createMetrics();
  server = await startAdminServer({ host: '127.0.0.1', port: 0, metrics: metrics.registry, ready });
  return { metrics, get: (path: string, init?: RequestInit) => fetch(`${server?.address}${path}`, init) };
};

it('says that it is alive whatever the readiness', async () => {
  const { get } = await start(() => ({ ok: false, problems: ['x'] }));
  const response = await get('/healthz');
  expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
});

it('says why it is not ready, and when it is', async () => {
  const problems = ['the schema registry does not answer'];
  const { get } = await start(() => ({ ok: problems.length === 0, problems }));
  let response = await get('/readyz?verbose');
  expect([response.status, await response.json()]).toEqual([503, { ready: false, problems: ['the schema registry does not answer'] }]);
  problems.length = 0;
  response = await get('/readyz');
  expect([response.status, await response.json()]).toEqual([200, { ready: true, problems: [] }]);
});

it('answers 503 when readiness itself fails', async () => {
  const { get } = await start(() => {
    throw new Error('no idea');
  });
  const response = await get('/readyz');
  expect([response.status, await response.json()]).toEqual([503, { ready: false, problems: ['no idea'] }]);
});

it('shows the metrics', async () => {
  const { get, metrics } = await start();
  metrics.callstream_ingest_requests_total.inc({ source: 'tuicallkit', code: '200' }, 3);
  const response = await get('/metrics');
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0.0.4/);
  expect(await response.text()).toContain('callstream_ingest_requests_total{source="tuicallkit",code="200"} 3');
});

it('knows nothing else', async () => {
  const { get } = await start();
  expect((await get('/')).status).toBe(404);
  expect((await get('/toString')).status).toBe(404);
  const post = await get('/readyz', { method: 'POST', body: 'x'.repeat(100_000) });
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  expect((await get('/healthz', { method: 'HEAD' })).status).toBe(200);
});

/** The status of an answer to a request with such a Host header, which fetch would not send. */
const statusFor = (host: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    const open = request(`${server?.address}/metrics`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    open.on('error', reject);
    open.end();
  });

it('on this machine answers only requests that name it (DNS rebinding)', async () => {
  await start();
  for (const host of ['127.0.0.1:9090', 'localhost', '[::1]:9090']) expect(await statusFor(host)).toBe(200);
  for (const host of ['evil.example:9090', '127.0.0.1.evil.example', '10.0.0.1', '[::2]', 'localhost.evil.example'])
    expect(await statusFor(host)).toBe(421);
});

it('where others may reach it, answers to every name: that of a container, say', async () => {
  server = await startAdminServer({
    host: '0.0.0.0',
    port: 0,
    metrics: createMetrics().registry,
    ready: () => ({ ok: true, problems: [] }),
  });
  server = { ...server, address: `http://127.0.0.1:${server.port}` };
  expect(await statusFor('sink.internal:9090')).toBe(200);
});

it('sends the security headers with every answer', async () => {
  const { get } = await start();
  for (const path of ['/metrics', '/readyz', '/healthz', '/nothing']) {
    const { headers } = await get(path);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('access-control-allow-origin')).toBeNull();
  }
});

it('closes although a client keeps its connection', async () => {
  await start();
  await new Promise<void>((resolve) => {
    const open = request(`${server?.address}/healthz`, { agent: undefined, headers: { connection: 'keep-alive' } }, (response) => {
      response.resume().on('end', resolve);
    });
    open.on('error', () => {});
    open.end();
  });
  await server?.close();
  await expect(fetch(`${server?.address}/healthz`)).rejects.toThrow();
});

it('fails with the reason when the port is taken', async () => {
  const { metrics } = await start();
  await expect(
    startAdminServer({ host: '127.0.0.1', port: server?.port ?? 0, metrics: metrics.registry, ready: () => ({ ok: true, problems: [] }) }),
  ).rejects.toMatchObject({ code: 'PORT_TAKEN' });
});
