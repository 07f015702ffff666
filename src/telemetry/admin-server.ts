import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../domain/errors.js';
import { listenError } from './listen-error.js';
import { isLoopback, namesThisMachine } from './loopback.js';
import { SECURITY_HEADERS } from './security-headers.js';

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

/** Nothing here is a page. */
const HEADERS = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ...SECURITY_HEADERS,
  'cache-control': 'no-store',
} as const;

type Routes = Record<string, (response: ServerResponse) => Promise<void>>;

/**
 * The admin port of a process: `/healthz` (200 while the event loop turns), `/readyz` (200 or 503, `{"ready":…,"problems":[…]}`),
 * `/metrics` (Prometheus text). On a loopback address it answers only requests whose Host header names this machine (else 421): pages of other sites cannot
 * read it through a DNS name that they point at 127.0.0.1. Rejects with CallstreamError PORT_TAKEN when the port is taken.
 * @param options.port 0 takes a free one
 */
export async function startAdminServer(options: {
  host: string;
  port: number;
  metrics: MetricsText;
  ready: () => Readiness | Promise<Readiness>;
}): Promise<AdminServer> {
  const routes: Routes = {
    '/healthz': async (response) => json(response, 200, { status: 'ok' }),
    '/readyz': async (response) => {
      const { ok, problems } = await options.ready();
      json(response, ok ? 200 : 503, { ready: ok, problems });
    },
    '/metrics': async (response) => send(response, 200, options.metrics.contentType, await options.metrics.metrics()),
  };
  const local = isLoopback(options.host);
  const server = createServer((request, response) => {
    request.resume();
    if (local && !namesThisMachine(request.headers.host)) json(response, 421, { error: 'host not served' });
    else void answer(routes, request, response);
  });
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

async function answer(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
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
  response.writeHead(status, { ...HEADERS, 'content-type': type });
  response.end(body);
}
