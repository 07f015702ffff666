import { verifyUserSig } from '../../sources/sign/usersig.js';
import { type Api, type ApiAnswer, type ApiRequest, countIn, header, objectOf } from './answer.js';
import type { CallApp, RecordsApi } from './app.js';
import { DIALECTS, type Dialect, type Refusal } from './call-api-dialects.js';
import { type CallArchive, RECORDS_KEPT_MS } from './call-archive.js';
import type { RateLimit } from './rate-limit.js';
import type { Served } from './served.js';

/** Largest page. The vendor names none; a smaller page than asked for is no last page. */
const MAX_PAGE = 100;

type RecordsApp = CallApp & { records: RecordsApi };

/**
 * TRTC Call REST API, both generations (vendor-docs/trtc-call-rest-api.txt; vendors.md §4): `POST /v1/records/…` and `POST /v4/call_record_http_srv/…`. Every
 * answer has HTTP 200, an error code inside tells the rest.
 */
export class CallApi implements Api {
  #requests = 0;

  constructor(
    private readonly apps: readonly RecordsApp[],
    private readonly calls: CallArchive,
    private readonly limit: RateLimit,
    private readonly served: Served,
  ) {}

  operationOf({ path }: ApiRequest): string | null {
    const operation = path.slice(1);
    return Object.values(DIALECTS).some(({ paths }) => Object.values<string>(paths).includes(operation)) ? operation : null;
  }

  answer(request: ApiRequest, operation: string): ApiAnswer {
    const dialect = dialectOf(operation);
    const app = this.apps.find(({ app_id }) => app_id === request.query.get('sdkappid'));
    const refusal = refusalOf(request, app, dialect);
    if (refusal !== null || app === undefined) return this.#refuse(dialect, refusal ?? 'app');
    const rate = operation === dialect.paths.call ? dialect.rates.call : dialect.rates.filter;
    if (!this.limit.take(`${app.app_id}:${operation}`, rate, request.now)) return this.#refuse(dialect, 'tooOften');
    const body = objectOf(request.body);
    if (body === null) return this.#refuse(dialect, 'body');
    return operation === dialect.paths.call ? this.#call(app, dialect, body, request.now) : this.#filter(app, dialect, body, request.now);
  }

  internalError(operation: string): ApiAnswer {
    return this.#refuse(dialectOf(operation), 'internal');
  }

  #call(app: RecordsApp, dialect: Dialect, body: Record<string, unknown>, now: number): ApiAnswer {
    const callId = body[dialect.names.callId];
    if (typeof callId !== 'string' || callId === '') return this.#refuse(dialect, 'parameter');
    const text = this.calls.record(app.app_id, callId, app.records.generation, now);
    if (text === null)
      return dialect.unknownCall === 'empty' ? this.#ok(dialect.success(this.#id(), '{}')) : this.#refuse(dialect, 'absent');
    this.served.note('call-record', app.app_id, text);
    return this.#ok(dialect.success(this.#id(), dialect.one(text)));
  }

  #filter(app: RecordsApp, dialect: Dialect, body: Record<string, unknown>, now: number): ApiAnswer {
    const { names } = dialect;
    const nowS = Math.floor(now / 1_000);
    const from = countIn(body, names.from, dialect.fromIsOptional ? nowS - RECORDS_KEPT_MS / 1_000 : -1);
    const to = countIn(body, names.to, nowS);
    const size = countIn(body, names.size, dialect.defaultSize);
    const number = countIn(body, names.page, 1);
    const [result, type] = [body[names.result], body[names.type]].map((word) =>
      word === undefined ? undefined : dialect.word(String(word)),
    );
    if (from === null || from < 0 || to === null || size === null || size === 0 || number === null || number === 0)
      return this.#refuse(dialect, 'parameter');
    const page = { number, size: Math.min(size, MAX_PAGE) };
    const { total, texts } = this.calls.page(app.app_id, { from, to, result, type }, page, app.records.generation, now);
    for (const text of texts) this.served.note('call-record', app.app_id, text);
    return this.#ok(dialect.success(this.#id(), dialect.list(total, texts.length === 0 ? 0 : number, texts)));
  }

  #ok(body: string): ApiAnswer {
    return { kind: 'ok', status: 200, body };
  }

  #refuse(dialect: Dialect, refusal: Refusal): ApiAnswer {
    const kind = refusal === 'tooOften' ? 'rate_limited' : refusal === 'internal' ? 'failed' : refusal === 'absent' ? 'ok' : 'refused';
    const [code, message] = dialect.errors[refusal];
    return { kind, status: 200, body: dialect.failure(this.#id(), code, message) };
  }

  #id(): string {
    return (++this.#requests).toString(16).padStart(32, '0');
  }
}

const dialectOf = (operation: string): Dialect => DIALECTS[operation.startsWith('v4/') ? 'v4' : 'v1'];

/** Why a request is turned away before it is counted and read; null: it is not. */
function refusalOf(request: ApiRequest, app: RecordsApp | undefined, dialect: Dialect): Refusal | null {
  const { query } = request;
  if (request.method !== 'POST') return 'method';
  if (app === undefined) return 'app';
  // A host serves the generation that the app's calls are made with.
  if (DIALECTS[app.records.generation] !== dialect) return 'path';
  const random = query.get('random') ?? '';
  if (!/^[0-9]{1,10}$/.test(random) || Number(random) > 0xffff_ffff || query.get('contenttype') !== 'json') return 'parameter';
  const { identifier, secretKey } = app.records;
  const verdict = verifyUserSig(query.get('usersig') ?? '', secretKey, Math.floor(request.now / 1_000));
  if (!verdict.ok) return verdict.reason;
  if (verdict.claims.sdkAppId !== Number(app.app_id)) return 'otherApp';
  if (verdict.claims.identifier !== query.get('identifier')) return 'otherUser';
  if (verdict.claims.identifier !== identifier) return 'noAdmin';
  if (request.body.length === 0 || !header(request, 'content-type').startsWith('application/json')) return 'body';
  return null;
}
