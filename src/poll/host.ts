import { Pool } from 'undici';
import { messageOf } from '../domain/errors.js';
import type { PollFailure, PollRequest, ResponseHeaders } from '../sources/polled.js';
import type { Chance } from '../telemetry/chance.js';
import { Breaker } from './breaker.js';

/** More at once brings nothing at the vendors' rates. */
const CONNECTIONS = 8;
const CONNECT_TIMEOUT_MS = 5_000;
/** The vendors close idle connections after some tens of seconds: ours are closed sooner, so that no request meets a closed one. */
const KEEP_ALIVE_MS = 10_000;
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;

export interface HostAnswer {
  status: number;
  /** Names in lower case. */
  headers: ResponseHeaders;
  body: Buffer;
}

/** One vendor host: its connections, and whether it answers. Follows no redirect. */
export class Host {
  /** Name and port. */
  readonly name: string;
  readonly breaker: Breaker;
  readonly #pool: Pool;
  readonly #timeoutMs: number;

  constructor(origin: string, timeoutMs: number, chance: Chance) {
    this.name = new URL(origin).host;
    this.breaker = new Breaker(chance);
    this.#timeoutMs = timeoutMs;
    this.#pool = new Pool(origin, {
      connections: CONNECTIONS,
      pipelining: 1,
      connect: { timeout: Math.min(CONNECT_TIMEOUT_MS, timeoutMs) },
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: MAX_RESPONSE_BYTES,
    });
  }

  /**
   * The answer, or why there is none. No word of the request is in what it says: its URL may hold a credential.
   * @throws the signal's reason
   */
  async send(request: PollRequest, signal: AbortSignal): Promise<HostAnswer | PollFailure> {
    const { pathname, search } = new URL(request.url);
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    try {
      const response = await this.#pool.request({
        method: request.method,
        path: pathname + search,
        headers: request.headers,
        body: request.body === '' ? null : request.body,
        signal: AbortSignal.any([signal, timeout]),
      });
      return { status: response.statusCode, headers: response.headers, body: Buffer.from(await response.body.arrayBuffer()) };
    } catch (error) {
      signal.throwIfAborted();
      return this.#failure(error, timeout.aborted);
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #failure(error: unknown, timedOut: boolean): PollFailure {
    const code = codeOf(error);
    if (timedOut || TIMEOUTS.has(code))
      return { kind: 'retry', code: 'timeout', message: `${this.name} does not answer within ${this.#timeoutMs / 1000} s` };
    if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
      return { kind: 'retry', code: 'too_large', message: `${this.name} answers with more than ${MAX_RESPONSE_BYTES} bytes` };
    return { kind: 'retry', code: 'unreachable', message: `${this.name} cannot be reached: ${WORDS.get(code) ?? messageOf(error)}` };
  }
}

const TIMEOUTS: ReadonlySet<string> = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT']);

const WORDS: ReadonlyMap<string, string> = new Map([
  ['ENOTFOUND', 'there is no host of this name'],
  ['EAI_AGAIN', 'the name cannot be looked up at present'],
  ['ECONNREFUSED', 'nothing listens there'],
  ['ECONNRESET', 'the connection was cut'],
  ['UND_ERR_SOCKET', 'the connection was cut'],
  ['EHOSTUNREACH', 'there is no way to it'],
  ['ENETUNREACH', 'there is no way to it'],
]);

/** Of the error, or of the first that lies behind it. */
function codeOf(error: unknown): string {
  for (let e = error; e instanceof Error; e = e instanceof AggregateError ? e.errors[0] : e.cause) {
    const { code } = e as { code?: unknown };
    if (typeof code === 'string') return code;
  }
  return '';
}

/** The hosts of all apps, by origin: apps that share one share its connections and its breaker. */
export class Hosts {
  readonly #hosts = new Map<string, Host>();
  readonly #timeoutMs: number;
  readonly #chance: Chance;

  constructor(timeoutMs: number, chance: Chance) {
    this.#timeoutMs = timeoutMs;
    this.#chance = chance;
  }

  /** @param url of a request */
  of(url: string): Host {
    const { origin } = new URL(url);
    const host = this.#hosts.get(origin) ?? new Host(origin, this.#timeoutMs, this.#chance);
    this.#hosts.set(origin, host);
    return host;
  }

  [Symbol.iterator](): IterableIterator<Host> {
    return this.#hosts.values();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.close()));
  }
}
