import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import Fastify, { type ConnectionError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { CallstreamError } from '../domain/errors.js';
import type { Clock } from '../telemetry/clock.js';
import { listenError } from '../telemetry/listen-error.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { SECURITY_HEADERS } from '../telemetry/security-headers.js';
import { checkChange, createGate } from './access.js';
import type { AlertDesk } from './alert-desk.js';
import { LiveHub } from './live.js';
import { OPENAPI_PATH, openApiDocument } from './openapi.js';
import { noParams, parse } from './params.js';
import { Pipeline } from './pipeline.js';
import { databaseProblem, notFound, Problem, sendProblem } from './problem.js';
import type { Query } from './query.js';
import { type AppRef, type Context, Download } from './route.js';
import { LIVE, ROUTES } from './routes/index.js';
import { type Asset, COMPILED_WEB, loadAssets } from './static.js';

export interface ApiOptions {
  /** Address to listen on. */
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** SHA-256 of the bearer token, hexadecimal. Required unless `host` is a loopback address; asked for wherever it is given. */
  tokenHash?: string | undefined;
  /** The configured apps: shown also before they have calls. */
  apps: readonly AppRef[];
  /** Admin addresses of the roles, `http://HOST:PORT`: their states are shown. None when absent. */
  admins?: readonly string[];
  /** Folder of the compiled dashboard, for tests that compile their own. */
  webDir?: string;
  /** Between two looks of the live tail at the database. */
  livePollMs?: number;
}

export interface ApiDeps {
  query: Query;
  alerts: AlertDesk;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
}

export interface Api {
  /** `http://HOST:PORT`. */
  address: string;
  port: number;
  /** Ends every live view and open connection. */
  stop(): Promise<void>;
}

/** Pages of the dashboard: all are the same document, which reads the address. */
const PAGES = ['/', '/missed', '/calls', '/call', '/people', '/recordings', '/health', '/alerts'] as const;

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ...SECURITY_HEADERS,
} as const;

/** The fields of a silence, and nothing else, are sent here. */
const MAX_BODY_BYTES = 4096;

/** What is no HTTP, or too long to be, is answered before there is a request that a hook could see. */
function refuseUnread(error: ConnectionError, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code] ?? 400;
  const headers = Object.entries({ ...HEADERS, 'content-length': '0', connection: 'close' });
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...headers.map(([name, value]) => `${name}: ${value}`), '', ''];
  socket.end(lines.join('\r\n'));
}

/**
 * Serves the query API, the live tail and the dashboard.
 * @throws CallstreamError API_TOKEN_REQUIRED, API_TOKEN_INVALID, API_WEB_MISSING, API_LISTEN_FAILED
 */
export async function startApi(options: ApiOptions, deps: ApiDeps): Promise<Api> {
  const gate = createGate(options.host, options.tokenHash);
  const assets = loadAssets(options.webDir ?? COMPILED_WEB);
  const query: Query = (sql, params) =>
    deps.query(sql, params).catch((error: unknown) => {
      throw databaseProblem(error);
    });
  const live = new LiveHub({
    query: deps.query,
    clock: deps.clock,
    ...(options.livePollMs === undefined ? {} : { pollMs: options.livePollMs }),
    onError: (error) => deps.log.warn({ err: error }, 'the live tail could not read calls'),
    onClients: (count) => deps.metrics.callstream_api_live_clients.set(count),
  });
  const app = Fastify({
    logger: false,
    forceCloseConnections: true,
    // Call ids may be long; the HTTP parser's limit on a request's head (16 KiB) is the one that counts.
    routerOptions: { maxParamLength: 16_384 },
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: 30_000,
    http: { headersTimeout: 10_000 },
    clientErrorHandler: refuseUnread,
    // A path that cannot be decoded reaches no hook.
    frameworkErrors: (error, request, reply) => {
      const problem = new Problem(error.statusCode ?? 400, 'REQUEST_INVALID', 'Invalid request', error.message);
      return sendProblem((reply as FastifyReply).headers(HEADERS), problem, pathOf(request as FastifyRequest));
    },
    keepAliveTimeout: 30_000,
  });
  addErrors(app, deps);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    if (request.url.startsWith('/api/')) reply.header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async (request, reply) => {
    deps.metrics.callstream_api_request_seconds
      .labels(request.routeOptions.url ?? 'none', String(reply.statusCode))
      .observe(reply.elapsedTime / 1000);
  });
  addPages(app, assets);
  app.register(async (api) => {
    api.addHook('onRequest', async (request) => {
      gate(request.headers);
      if (request.method === 'POST') checkChange(request.headers);
    });
    const pipeline = new Pipeline(options.admins ?? [], deps.clock);
    addRoutes(api, deps, () => ({ query, now: deps.clock.now(), apps: options.apps, alerts: deps.alerts, pipeline }));
    addLive(api, live);
  });
  try {
    await app.listen({ host: options.host, port: options.port }).catch((error: unknown) => {
      throw listenError(error, 'the dashboard', options, 'CALLSTREAM_API_PORT');
    });
  } catch (error) {
    await app.close();
    throw new CallstreamError(
      'API_LISTEN_FAILED',
      `The dashboard cannot listen on ${options.host}:${options.port} (${(error as NodeJS.ErrnoException).code ?? 'error'}). Set CALLSTREAM_API_PORT to another port.`,
      { cause: error },
    );
  }
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : options.port;
  return {
    port,
    address: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`,
    stop: async () => {
      live.close();
      await app.close();
    },
  };
}

const pathOf = (request: FastifyRequest): string => request.url.split('?')[0] ?? '/';

function addErrors(app: FastifyInstance, deps: ApiDeps): void {
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof Problem) {
      if (error.status >= 500) deps.log.warn({ err: error.cause, route: request.routeOptions.url }, error.message);
      return sendProblem(reply, error, pathOf(request));
    }
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    if (status < 500)
      return sendProblem(reply, new Problem(status, 'REQUEST_INVALID', 'Invalid request', (error as Error).message), pathOf(request));
    deps.log.error({ err: error, route: request.routeOptions.url }, 'a request failed');
    return sendProblem(reply, new Problem(500, 'INTERNAL', 'Internal error', 'The log of the api role has the details.'), pathOf(request));
  });
  app.setNotFoundHandler((request, reply) => {
    const methods = ROUTES.flatMap(({ method, path }) => (path === pathOf(request) ? [method] : []));
    const reads = methods.length === 0 || methods.includes('GET');
    if (!reads || (request.method !== 'GET' && request.method !== 'HEAD')) {
      const allow = [...(reads ? ['GET', 'HEAD'] : []), ...(methods.includes('POST') ? ['POST'] : [])].join(', ');
      const problem = new Problem(405, 'METHOD_NOT_ALLOWED', 'Method not allowed', `This takes ${allow}.`, { headers: { allow } });
      return sendProblem(reply, problem, pathOf(request));
    }
    return sendProblem(reply, notFound('There is nothing at this address.'), pathOf(request));
  });
}

function addPages(app: FastifyInstance, assets: Map<string, Asset>): void {
  const serve = (asset: Asset) => (request: FastifyRequest, reply: FastifyReply) => {
    reply.headers({ 'content-type': asset.type, etag: asset.etag, 'cache-control': 'no-cache', vary: 'accept-encoding' });
    const known = request.headers['if-none-match']?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === asset.etag);
    if (known) return reply.code(304).send();
    const zipped = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
    return zipped ? reply.header('content-encoding', 'gzip').send(asset.gzip) : reply.send(asset.body);
  };
  for (const [path, asset] of assets) if (path !== '/') app.get(path, serve(asset));
  for (const path of PAGES) app.get(path, serve(assets.get('/')!));
}

/** As the router writes it. */
const patternOf = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1');

function addRoutes(api: FastifyInstance, deps: ApiDeps, context: () => Context): void {
  for (const { path, method, answer } of ROUTES)
    if (method === 'POST')
      api.post(path, async (request) => {
        parse(noParams, request.query);
        return answer(context(), request.body);
      });
    else
      api.get(patternOf(path), async (request, reply) => {
        const found = await answer(context(), { ...(request.query as object), ...(request.params as object) });
        return found instanceof Download ? sendDownload(request, reply, found, deps.log) : found;
      });
  const document = JSON.stringify(openApiDocument());
  api.get(OPENAPI_PATH, async (request, reply) => {
    parse(noParams, request.query);
    return reply.type('application/json; charset=utf-8').send(document);
  });
}

/** Sent as fast as it is taken: the next piece is made when there is room for it. A failure ends the connection, for the status is sent by then. */
function sendDownload(request: FastifyRequest, reply: FastifyReply, { type, headers, lines }: Download, log: Logger): FastifyReply {
  reply.headers({ ...headers, 'content-type': type });
  if (request.method === 'HEAD') return reply.send();
  const body = Readable.from(lines, { highWaterMark: 1 });
  body.once('error', (error) => log.warn({ err: error.cause ?? error, route: request.routeOptions.url }, 'a download broke off'));
  return reply.send(body);
}

function addLive(api: FastifyInstance, live: LiveHub): void {
  api.get(LIVE.path, (request, reply) => {
    const params = parse(LIVE.params, request.query);
    const resumed = request.headers['last-event-id'];
    const since = resumed === undefined ? params.since : parse(LIVE.params, { since: resumed }).since;
    live.admit();
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, { ...reply.getHeaders(), 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' } as Record<
      string,
      string
    >);
    const stop = live.add(raw, since ?? null, params.app);
    raw.on('close', stop);
    raw.on('error', stop);
  });
}
