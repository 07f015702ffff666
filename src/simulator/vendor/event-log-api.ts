import { type Acs3Request, acs3Authorization } from '../../sources/sign/acs3.js';
import { equalSecrets, sha256Hex } from '../../sources/sign/digest.js';
import { type Api, type ApiAnswer, type ApiRequest, header } from './answer.js';
import type { ChannelApp, EventLogApi } from './app.js';
import { LOG_KEPT_MS, type PushLog } from './push-log.js';
import type { RateLimit } from './rate-limit.js';
import type { Served } from './served.js';

type LogApp = ChannelApp & { api: EventLogApi };
interface Refuse {
  status: number;
  code: string;
  message: string;
}

const ACTION = 'ListEventSubEvent';
const VERSION = '2016-11-01';
const PER_SECOND = 50;
const MINUTE_S = 60;
/** The vendor's page is cut after the number; its older APIs say minutes. */
const FRESH_MS = 15 * 60_000;
const [PAGE_MIN, PAGE_MAX] = [10, 100];

/**
 * Alibaba Cloud's ListEventSubEvent (vendor-docs/aliyun-list-event-sub-event.txt; vendors.md §7). Requests are signed with ACS3-HMAC-SHA256; errors have an HTTP
 * status of their own and are flat.
 */
export class EventSubscriptionApi implements Api {
  #requests = 0;
  /** Nonces that are still fresh, by when they were used. */
  readonly #nonces = new Map<string, number>();

  constructor(
    private readonly apps: readonly LogApp[],
    private readonly log: PushLog,
    private readonly limit: RateLimit,
    private readonly served: Served,
  ) {}

  operationOf(request: ApiRequest): string | null {
    const action = header(request, 'x-acs-action');
    return request.path !== '/' || action === '' ? null : action === ACTION ? ACTION : 'unknown action';
  }

  answer(request: ApiRequest, operation: string): ApiAnswer {
    const known = this.apps.filter(({ api }) => api.accessKeyId === keyIdOf(request));
    const refused = authFailure(request, operation, known[0]?.api) ?? this.#nonceFailure(request);
    if (refused !== null) return this.#refuse(refused);
    const app = known.find(({ app_id }) => app_id === request.query.get('AppId'));
    if (app === undefined) return this.#refuse(refusal(404, 'ResourceNotExist', 'the app does not exist'));
    if (!this.limit.take(app.app_id, PER_SECOND, request.now))
      return this.#error('rate_limited', refusal(400, 'Throttling.User', 'Request was denied due to user flow control.'));
    return this.#list(app, request);
  }

  internalError(): ApiAnswer {
    return this.#error('failed', refusal(500, 'ServerError', 'internal error'));
  }

  #list(app: LogApp, { query, now }: ApiRequest): ApiAnswer {
    const [start, end, size, page] = ['StartTime', 'EndTime', 'PageSize', 'PageNo'].map((name) => countOf(query.get(name)));
    if (
      start === undefined ||
      end === undefined ||
      size === undefined ||
      page === undefined ||
      size < PAGE_MIN ||
      size > PAGE_MAX ||
      page < 1
    )
      return this.#refuse(refusal(400, 'InputInvalid', 'StartTime, EndTime, PageSize (10 to 100) and PageNo (from 1) are required'));
    // Nothing is told apart below a minute.
    const [from, to] = [start, end].map((at) => Math.floor(at / MINUTE_S) * MINUTE_S * 1_000) as [number, number];
    if (to - from < MINUTE_S * 1_000 || to - from > LOG_KEPT_MS)
      return this.#refuse(refusal(400, 'InputInvalid', 'from a minute to 7 days can be asked for'));
    if (from < now - LOG_KEPT_MS - MINUTE_S * 1_000) return this.#refuse(refusal(400, 'InputInvalid', 'StartTime is more than 7 days ago'));
    const subscription = query.get('SubscribeId');
    if (subscription !== null && !app.api.subscribeIds.includes(subscription))
      return this.#refuse(refusal(404, 'ResourceNotExist', 'the subscription does not exist'));
    const { texts, more } = this.log.page(app.app_id, { subscribeId: subscription, from, to }, { number: page, size }, now);
    for (const text of texts) this.served.note('aliyun-rtc', app.app_id, text);
    const fields = `"Count":${texts.length},"HasMore":${more},"Logs":[${texts.join()}]`;
    return { kind: 'ok', status: 200, body: `{"RequestId":"${this.#id()}",${fields}}` };
  }

  #nonceFailure(request: ApiRequest): Refuse | null {
    for (const [nonce, at] of this.#nonces) {
      if (at > request.now - 2 * FRESH_MS) break;
      this.#nonces.delete(nonce);
    }
    const nonce = header(request, 'x-acs-signature-nonce');
    if (this.#nonces.has(nonce)) return refusal(400, 'SignatureNonceUsed', 'the nonce was used before');
    this.#nonces.set(nonce, request.now);
    return null;
  }

  #refuse(refused: Refuse): ApiAnswer {
    return this.#error('refused', refused);
  }

  #error(kind: ApiAnswer['kind'], { status, code, message }: Refuse): ApiAnswer {
    return { kind, status, body: JSON.stringify({ RequestId: this.#id(), HostId: 'live.aliyuncs.com', Code: code, Message: message }) };
  }

  #id(): string {
    return `CC8CB656-0000-1811-9D6B-${(++this.#requests).toString(16).toUpperCase().padStart(12, '0')}`;
  }
}

const refusal = (status: number, code: string, message: string): Refuse => ({ status, code, message });
const countOf = (text: string | null): number | undefined => (text !== null && /^[0-9]{1,12}$/.test(text) ? Number(text) : undefined);
const keyIdOf = (request: ApiRequest): string => /Credential=([^,]*),/.exec(header(request, 'authorization'))?.[1] ?? '';

/** Signature, clock and action, in this order (vendors.md §7.3). */
function authFailure(request: ApiRequest, operation: string, keys: EventLogApi | undefined): Refuse | null {
  const authorization = header(request, 'authorization');
  const date = header(request, 'x-acs-date');
  if (request.method !== 'POST' && request.method !== 'GET') return refusal(405, 'UnsupportedHTTPMethod', 'POST or GET');
  if (authorization === '' || date === '' || header(request, 'x-acs-signature-nonce') === '')
    return refusal(400, 'IncompleteSignature', 'the request is not signed');
  if (keys === undefined) return refusal(404, 'InvalidAccessKeyId.NotFound', 'the AccessKeyId is not found');
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(date) ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(at)) return refusal(400, 'InvalidTimeStamp.Format', 'x-acs-date is no time');
  if (Math.abs(request.now - at) > FRESH_MS) return refusal(400, 'InvalidTimeStamp.Expired', 'x-acs-date is too far off');
  if (
    header(request, 'x-acs-content-sha256') !== sha256Hex(request.body) ||
    !equalSecrets(authorization, acs3Authorization(signedPart(request), keys))
  )
    return refusal(400, 'SignatureDoesNotMatch', 'the signature does not match');
  if (operation !== ACTION) return refusal(404, 'InvalidAction.NotFound', 'there is no such action');
  return header(request, 'x-acs-version') === VERSION ? null : refusal(400, 'InvalidVersion', 'there is no such version');
}

function signedPart({ method, path, query, headers, body }: ApiRequest): Acs3Request {
  const names = /SignedHeaders=([^,]*),/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? [];
  return {
    method: method === 'GET' ? 'GET' : 'POST',
    path,
    query: Object.fromEntries(query),
    headers: Object.fromEntries(names.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]]))),
    body: body.toString('utf8'),
  };
}
