import { Pool } from 'undici';
import { isLoopback, type Webhook } from '../../config/index.js';
import type { Clock } from '../../telemetry/clock.js';
import { checkHost, guardedLookup, type Resolve } from './guard.js';
import { bodyOf, type Message } from './messages.js';
import { webhookHeaders } from './signature.js';

/** What came of one request. `why` holds no word of the URL, the secret or the answer. */
export type SendResult =
  | { kind: 'delivered'; status: number }
  /** `retryAfter`: the receiver asks for so many ms of patience. */
  | { kind: 'failed'; why: string; retryAfter: number | null }
  /** The receiver says that it will never take it. */
  | { kind: 'gone'; why: string };

export interface SenderOptions {
  clock: Clock;
  userAgent: string;
  /** For tests: how names are looked up. */
  resolve?: Resolve;
  timeoutMs?: number;
}

/** Requests to one receiver at a time. */
export const CONNECTIONS = 4;
const CONNECT_TIMEOUT_MS = 5_000;
/** Standard Webhooks asks for 15 to 30 s. */
const TIMEOUT_MS = 20_000;
const KEEP_ALIVE_MS = 4_000;
/** Of an answer, so much is taken before its connection is closed; nobody reads it. */
const MAX_ANSWER_BYTES = 16 * 1024;
const MAX_RETRY_AFTER_MS = 3_600_000;

/** One receiver. Follows no redirect: its answer is one that is no success. */
export class Sender {
  readonly #webhook: Webhook;
  readonly #o: SenderOptions;
  readonly #path: string;
  readonly #pool: Pool;

  /** @throws CallstreamError WEBHOOK_ADDRESS_REFUSED */
  constructor(webhook: Webhook, options: SenderOptions) {
    this.#webhook = webhook;
    this.#o = options;
    const url = new URL(webhook.url);
    checkHost(url);
    const timeout = options.timeoutMs ?? TIMEOUT_MS;
    this.#path = url.pathname + url.search;
    this.#pool = new Pool(url.origin, {
      connections: CONNECTIONS,
      pipelining: 1,
      connect: { timeout: Math.min(CONNECT_TIMEOUT_MS, timeout), lookup: guardedLookup(isLoopback(url.hostname), options.resolve) },
      keepAliveTimeout: KEEP_ALIVE_MS,
      headersTimeout: timeout,
      bodyTimeout: timeout,
    });
  }

  /** One request. @throws the signal's reason */
  async send(message: Message, signal: AbortSignal): Promise<SendResult> {
    const { format, secret } = this.#webhook;
    const { clock, userAgent, timeoutMs } = this.#o;
    const timeout = AbortSignal.timeout(timeoutMs ?? TIMEOUT_MS);
    const body = bodyOf(message, format);
    try {
      const response = await this.#pool.request({
        method: 'POST',
        path: this.#path,
        headers: {
          'content-type': 'application/json',
          'user-agent': userAgent,
          ...webhookHeaders(secret ?? null, message.id, clock.now(), body),
        },
        body,
        signal: AbortSignal.any([signal, timeout]),
      });
      // An answer that never ends, or is cut, is the receiver's own affair: the status has come.
      await response.body.dump({ limit: MAX_ANSWER_BYTES }).catch(() => {});
      return judge(response.statusCode, response.headers['retry-after'], clock.now());
    } catch (error) {
      signal.throwIfAborted();
      return { kind: 'failed', why: timeout.aborted ? 'no answer in time' : reasonOf(error), retryAfter: null };
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

function judge(status: number, retryAfter: string | string[] | undefined, now: number): SendResult {
  if (status >= 200 && status < 300) return { kind: 'delivered', status };
  if (status === 410) return { kind: 'gone', why: 'the receiver answers 410: it takes no more' };
  const redirect = status >= 300 && status < 400 ? ', and redirects are not followed' : '';
  return { kind: 'failed', why: `the receiver answers ${status}${redirect}`, retryAfter: patience(retryAfter, now) };
}

/** Seconds or a date; what is neither says nothing. */
function patience(value: string | string[] | undefined, now: number): number | null {
  if (typeof value !== 'string') return null;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms)) : null;
}

const WORDS: ReadonlyMap<string, string> = new Map([
  ['WEBHOOK_ADDRESS_REFUSED', 'its name leads to an address that webhooks may not go to'],
  ['ENOTFOUND', 'there is no host of its name'],
  ['EAI_AGAIN', 'its name cannot be looked up at present'],
  ['ECONNREFUSED', 'nothing listens there'],
  ['ECONNRESET', 'the connection was cut'],
  ['UND_ERR_SOCKET', 'the connection was cut'],
  ['UND_ERR_CONNECT_TIMEOUT', 'no connection in time'],
  ['UND_ERR_HEADERS_TIMEOUT', 'no answer in time'],
  ['EHOSTUNREACH', 'there is no way to it'],
  ['ENETUNREACH', 'there is no way to it'],
]);

/** By code only: messages of the network name addresses, and may name more. */
function reasonOf(error: unknown): string {
  for (let e = error; e instanceof Error; e = e instanceof AggregateError ? e.errors[0] : e.cause) {
    const code = String((e as { code?: unknown }).code ?? '');
    const known = WORDS.get(code);
    if (known !== undefined) return known;
    if (code !== '') return `it cannot be reached (${code})`;
  }
  return 'it cannot be reached';
}
