import { randomUUID } from 'node:crypto';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { recordKey } from '../sources/element.js';
import { sha256Hex } from '../sources/sign/digest.js';
import type { WebhookSource } from '../sources/webhook.js';
import type { Clock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Access, Admission, Refusal } from './access.js';
import { type Address, type AddressRange, clientAddress, truncateAddress } from './address.js';
import type { Connections, Visit } from './connections.js';
import type { Delivery } from './delivery.js';
import type { Fault } from './fault.js';
import { storedQuery } from './query.js';
import { RefusalLog } from './refusal-log.js';

export interface ServerLimits {
  bodyBytes: number;
  /** From the first byte of a request to its last. */
  requestTimeoutMs: number;
  headersTimeoutMs: number;
  /** Between requests of a connection. */
  keepAliveMs: number;
}

export interface ServerOptions {
  limits: ServerLimits;
  trustProxy: readonly AddressRange[];
  /** Store the network of an address (/24, /48), not the address: of the sender, and of the vendor's client in the query. */
  truncateClientIp: boolean;
}

export interface ServerDeps {
  sources: readonly WebhookSource[];
  access: Access;
  connections: Connections;
  /** Resolves when the delivery is durable. */
  submit(delivery: Delivery): Promise<void>;
  clock: Clock;
  metrics: Metrics;
  log: Logger;
  fault?: Fault;
}

/** Kafka has room for longer keys, but nothing is gained by them. */
const RETRY_AFTER_S = 1;
const NO_BODY = Buffer.alloc(0);
const ANY_TYPE = 'application/octet-stream';
const JSON_TYPE = 'application/json; charset=utf-8';

/** The answers other than success, in the vendors' own form: an ErrorCode that is not 0. They say nothing about apps, secrets or other callers. */
const ANSWERS: Record<number, string> = {
  400: 'bad request',
  403: 'forbidden',
  404: 'not found',
  405: 'method not allowed',
  408: 'request timeout',
  413: 'body too large',
  415: 'content encoding not supported',
  500: 'internal error',
  503: 'try again later',
};

interface Received {
  secret: string;
  query: string;
  address: Address | null;
  admission: Admission;
  visit: Visit;
}

/**
 * The webhook server of contract §3. A request is checked in this order: method and path, body encoding, app id in the
 * query, path secret, address, size, app id in the body, signature; then it waits until it is durable.
 */
export function createServer(options: ServerOptions, deps: ServerDeps): FastifyInstance {
  const { limits } = options;
  const app = fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
    exposeHeadRoutes: false,
    // What still comes in over an open connection while we stop is served like the rest, and told that the connection closes.
    return503OnClosing: false,
    http: { headersTimeout: limits.headersTimeoutMs, connectionsCheckingInterval: 1_000 },
    // The query belongs to the sources; fastify need not parse it.
    routerOptions: { querystringParser: () => ({}), maxParamLength: 1_024 },
    frameworkErrors: (_error, _request, reply) => answer(reply as FastifyReply, 400),
  });
  deps.connections.attach(app.server);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const names = new Set(deps.sources.map((source) => source.name));
  app.setNotFoundHandler((request, reply) => {
    const [, root, name, ...rest] = pathOf(request.raw.url ?? '').split('/');
    const known = root === 'callbacks' && name !== undefined && names.has(name) && rest.length <= 1;
    if (!known) return answer(reply, 404);
    reply.header('allow', 'POST');
    count(name, 405);
    return answer(reply, 405);
  });
  app.setErrorHandler<Error & { statusCode?: number }>((error, request, reply) => {
    const status = error.statusCode !== undefined && error.statusCode in ANSWERS ? error.statusCode : 500;
    if (status === 500) deps.log.error({ err: error }, 'a callback request failed');
    const source = (request.routeOptions.config as { source?: string }).source;
    if (source !== undefined) count(source, status);
    return answer(reply, status);
  });

  const refusals = new RefusalLog(deps.log, deps.clock);
  const count = (source: string, code: number): void => deps.metrics.callstream_ingest_requests_total.inc({ source, code });
  app.decorateRequest('received', null);
  for (const source of deps.sources) addRoutes(source);
  return app;

  function addRoutes(source: WebhookSource): void {
    const requests = deps.metrics.callstream_ingest_requests_total.labels({ source: source.name, code: 200 });
    const ackSeconds = deps.metrics.callstream_ingest_ack_seconds.labels({ source: source.name });

    const refuse = (reply: FastifyReply, refusal: Refusal, address: Address | null): FastifyReply => {
      count(source.name, 403);
      deps.metrics.callstream_ingest_refused_total.inc({ source: source.name, reason: refusal });
      refusals.note(source.name, refusal, address === null ? '' : truncateAddress(address));
      return answer(reply, 403);
    };

    const onRequest = (request: FastifyRequest, reply: FastifyReply, next: () => void): void => {
      const { headers, url = '', socket, httpVersionMajor } = request.raw;
      // HTTP/0.9 has neither headers nor bodies: what looks like it has lost both.
      if (httpVersionMajor < 1) {
        count(source.name, 400);
        answer(reply, 400);
        return;
      }
      const encoding = headers['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity') {
        count(source.name, 415);
        answer(reply, 415);
        return;
      }
      const secret = (request.params as { secret?: string }).secret ?? '';
      const query = queryOf(url);
      const forwarded = headers['x-forwarded-for'] as string | undefined;
      const address = clientAddress(socket.remoteAddress ?? '', forwarded, options.trustProxy);
      const verdict = deps.access.beforeBody(source, secret, query, address);
      if (!verdict.ok) {
        refuse(reply, verdict.refusal, address);
        return;
      }
      // Whatever type the sender names, the body is bytes to us.
      if (headers['content-type'] !== undefined) headers['content-type'] = ANY_TYPE;
      const length = Number(headers['content-length'] ?? limits.bodyBytes);
      const visit = deps.connections.begin(socket, Math.min(length, limits.bodyBytes));
      reply.raw.once('close', visit.over);
      request.setDecorator<Received>('received', { secret, query, address, admission: verdict.value, visit });
      next();
    };

    const handler = (request: FastifyRequest, reply: FastifyReply): void => {
      const begun = performance.now();
      const { secret, query, address, admission, visit } = request.getDecorator<Received>('received');
      visit.received();
      const body = (request.body as Buffer | undefined) ?? NO_BODY;
      const now = deps.clock.now();
      const verdict = deps.access.afterBody(source, admission, { query, headers: request.raw.headers, body }, now);
      if (!verdict.ok) {
        refuse(reply, verdict.refusal, address);
        return;
      }
      const { appId } = verdict.value.app;
      const delivery: Delivery = {
        topic: source.topic,
        key: keyOf(source, appId, query, body),
        event: {
          id: randomUUID(),
          source: source.name,
          app_id: appId,
          received_at: now,
          auth: verdict.value.auth,
          remote_addr: address === null ? '' : options.truncateClientIp ? truncateAddress(address) : address.toString(),
          query: storedQuery(query, { secret, truncateClientIp: options.truncateClientIp }),
          body,
        },
      };
      const { fault } = deps;
      const durable = deps.submit(delivery);
      (fault === undefined ? durable : durable.then(() => fault('answer:before-send'))).then(
        () => {
          requests.inc();
          visit.served();
          ackSeconds.observe((performance.now() - begun) / 1_000);
          reply.header('content-type', JSON_TYPE).send(source.successBody(query, body));
          void fault?.('answer:after-send');
        },
        () => {
          // Why it could not be kept is logged where it happened, once for the batch.
          count(source.name, 503);
          answer(reply.header('retry-after', RETRY_AFTER_S), 503);
        },
      );
    };

    for (const path of [`/callbacks/${source.name}`, `/callbacks/${source.name}/:secret`]) {
      app.route({ method: 'POST', url: path, config: { source: source.name }, onRequest, handler });
    }
  }
}

function answer(reply: FastifyReply, status: number): FastifyReply {
  return reply.code(status).header('content-type', JSON_TYPE).send(`{"ErrorCode":${status},"ErrorMessage":"${ANSWERS[status]}"}`);
}

function pathOf(url: string): string {
  const mark = url.indexOf('?');
  return mark < 0 ? url : url.slice(0, mark);
}

function queryOf(url: string): string {
  const mark = url.indexOf('?');
  return mark < 0 ? '' : url.slice(mark + 1);
}

/** A source that fails on a body costs its key, not the event. */
function keyOf(source: WebhookSource, appId: string, query: string, body: Buffer): string {
  try {
    return recordKey(source.keyOf(appId, query, body));
  } catch {
    return sha256Hex(body);
  }
}
