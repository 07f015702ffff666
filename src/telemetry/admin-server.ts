import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../domain/errors.js';
import { listenError } from './listen-error.js';

/** Whether a process can do its work now, and what keeps it from it. */
export interface Readiness {
  ok: boolean;
  problems: string[];
}

/** What `/metrics` shows; a registry of prom-client is one. */
export interface MetricsText {
  readonly contentType: string;
  metrics(): Promise<string>;
}

export interface AdminServer {
  readonly port: number;
  /** `http://host:port` */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * The admin port of a process: `/healthz` (200 while the event loop turns), `/readyz` (200 or 503, `{"ready":…,"problems":[…]}`),
 * `/metrics` (Prometheus text). Rejects with CallstreamError PORT_TAKEN when the port is taken.
 * @param options.port 0 takes a free one
 */
export async function startAdminServer(options: {
  host: string;
  port: number;
  metrics: MetricsText;
  ready: () => Readiness | Promise<Readiness>;
}): Promise<AdminServer> {
  const routes: Record<string, (response: ServerResponse) => Promise<void>> = {
    '/healthz': async (response) => json(response, 200, { status: 'ok' }),
    '/readyz': async (response) => {
      const { ok, problems } = await options.ready();
      json(response, ok ? 200 : 503, { ready: ok, problems });
    },
    '/metrics': async (response) => send(response, 200, options.metrics.contentType, await options.metrics.metrics()),
  };
  const server = createServer((request, response) => void answer(routes, request, response));
  server.requestTimeout = 10_000;
  server.headersTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, 'the admin server', options, 'CALLSTREAM_ADMIN_PORT')));
    server.listen(options.port, options.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    address: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  routes: Record<string, (response: ServerResponse) => Promise<void>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.resume();
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return json(response, 404, { error: 'not found', paths: Object.keys(routes) });
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return json(response, 405, { error: 'method not allowed' });
  }
  try {
    await route(response);
  } catch (error) {
    json(response, 503, { ready: false, problems: [messageOf(error)] });
  }
}

const json = (response: ServerResponse, status: number, body: unknown): void =>
  send(response, status, 'application/json; charset=utf-8', `${JSON.stringify(body)}\n`);

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}
