import { equalSecrets } from '../../sources/sign/digest.js';
import { tc3Authorization } from '../../sources/sign/tc3.js';
import { type Api, type ApiAnswer, type ApiRequest, countIn, header, objectOf } from './answer.js';
import type { CallApp, CloudApi } from './app.js';
import type { RateLimit } from './rate-limit.js';
import { ROOMS_KEPT_MS, type Rooms } from './rooms.js';
import type { Served } from './served.js';

type CloudApp = CallApp & { cloudApi: CloudApi };
type Fields = Record<string, unknown>;
type Refuse = { code: string; message: string };

const SERVICE = 'trtc';
const VERSION = '2019-07-22';
const PER_SECOND = 20;
const SKEW_S = 300;
const DAY_S = 86_400;
const REGIONS = ['ap-beijing', 'ap-guangzhou', 'ap-mumbai', 'ap-singapore'];
const ACTIONS: Readonly<Record<string, { regions: readonly string[] }>> = {
  DescribeUserEvent: { regions: REGIONS },
  DescribeRoomInfo: { regions: [...REGIONS, 'na-toronto'] },
};

/**
 * Tencent Cloud API 3.0, as far as DescribeRoomInfo and DescribeUserEvent go (vendor-docs/trtc-describe-user-event.txt; vendors.md §1). Requests are signed with
 * TC3-HMAC-SHA256; errors come with HTTP 200.
 */
export class MonitoringApi implements Api {
  #requests = 0;

  constructor(
    private readonly apps: readonly CloudApp[],
    private readonly rooms: Rooms,
    private readonly limit: RateLimit,
    private readonly served: Served,
  ) {}

  operationOf(request: ApiRequest): string | null {
    const action = header(request, 'x-tc-action');
    if (request.path !== '/' || action === '') return null;
    return Object.hasOwn(ACTIONS, action) ? action : 'unknown action';
  }

  answer(request: ApiRequest, operation: string): ApiAnswer {
    const known = this.apps.filter((app) => app.cloudApi.secretId === secretIdOf(request));
    const refused = authFailure(request, known[0]?.cloudApi) ?? commonFailure(request, operation);
    if (refused !== null) return this.#refuse(refused);
    const body = objectOf(request.body);
    if (body === null) return this.#refuse(refusal('InvalidParameter.BodyParamsError', 'the body is no JSON object'));
    const app = known.find(({ app_id }) => Number(app_id) === body.SdkAppId);
    const isRoom = operation === 'DescribeRoomInfo';
    if (app === undefined)
      return this.#refuse(
        body.SdkAppId === undefined
          ? refusal(isRoom ? 'MissingParameter.SdkAppId' : 'MissingParameter.AppId', 'SdkAppId is missing')
          : refusal(isRoom ? 'InvalidParameter.SdkAppId' : 'InvalidParameter.SdkAppid', 'SdkAppId is none of this account'),
      );
    if (!this.limit.take(`${app.app_id}:${operation}`, PER_SECOND, request.now))
      return this.#error('rate_limited', 'RequestLimitExceeded', 'the frequency limit of 20 requests a second is exceeded');
    return isRoom ? this.#rooms(app, body, request.now) : this.#events(app, body, request.now);
  }

  internalError(operation: string): ApiAnswer {
    const code = operation === 'DescribeRoomInfo' ? 'InternalError.DBError' : 'InternalError.EsQueryError';
    return this.#error('failed', code, 'internal error');
  }

  #rooms(app: CloudApp, body: Fields, now: number): ApiAnswer {
    const range = rangeOf(body, now, { start: 'InvalidParameter', end: 'InvalidParameter', old: 'InvalidParameter.StartTimeOversize' });
    if ('code' in range) return this.#refuse(range);
    if (range.to - range.from > DAY_S)
      return this.#refuse(refusal('InvalidParameter.QueryScaleOversize', 'the range is longer than 24 hours'));
    const number = countIn(body, 'PageNumber', 0);
    const size = countIn(body, 'PageSize', 10);
    if (number === null) return this.#refuse(refusal('InvalidParameter.PageNumber', 'PageNumber is no number'));
    if (size === null || size === 0) return this.#refuse(refusal('InvalidParameter.PageSize', 'PageSize is no size'));
    if (size > 100) return this.#refuse(refusal('InvalidParameter.PageSizeOversize', 'PageSize is above 100'));
    const name = body.RoomId === undefined || body.RoomId === '' ? null : String(body.RoomId);
    const found = this.rooms.found(app.app_id, range.from, range.to, name, now);
    // Without both of them the page has 10 rooms, whatever one says.
    const paged = body.PageNumber !== undefined && body.PageSize !== undefined;
    const [first, most] = paged ? [number * size, size] : [0, 10];
    const RoomList = found.slice(first, first + most).map((room) => ({
      CommId: room.comm_id,
      RoomString: room.name,
      CreateTime: room.create_at / 1_000,
      DestroyTime: Math.ceil(Math.min(room.destroy_at, now) / 1_000),
      IsFinished: room.destroy_at <= now,
      UserId: room.creator,
    }));
    return this.#ok(`"Total":${RoomList.length},"RoomList":${JSON.stringify(RoomList)}`);
  }

  #events(app: CloudApp, body: Fields, now: number): ApiAnswer {
    for (const [field, code] of Object.entries({
      CommId: 'CommId',
      RoomId: 'RoomId',
      UserId: 'UserId',
      StartTime: 'StartTs',
      EndTime: 'EndTs',
    })) {
      if (body[field] === undefined || body[field] === '') return this.#refuse(refusal(`MissingParameter.${code}`, `${field} is missing`));
    }
    const range = rangeOf(body, now, {
      start: 'InvalidParameter.StartTs',
      end: 'InvalidParameter.EndTs',
      old: 'InvalidParameter.StartTsOversize',
    });
    if ('code' in range) return this.#refuse(range);
    if (typeof body.UserId !== 'string') return this.#refuse(refusal('InvalidParameter.UserId', 'UserId is no text'));
    const data = JSON.stringify(this.rooms.data(app.app_id, String(body.CommId), body.UserId, range.from, range.to, now));
    this.served.note('user-event', app.app_id, data);
    return this.#ok(`"Data":${data}`);
  }

  #ok(fields: string): ApiAnswer {
    return { kind: 'ok', status: 200, body: `{"Response":{${fields},"RequestId":"${this.#id()}"}}` };
  }

  #refuse({ code, message }: Refuse): ApiAnswer {
    return this.#error('refused', code, message);
  }

  #error(kind: ApiAnswer['kind'], Code: string, Message: string): ApiAnswer {
    return { kind, status: 200, body: JSON.stringify({ Response: { Error: { Code, Message }, RequestId: this.#id() } }) };
  }

  #id(): string {
    return `00000000-0000-4000-8000-${(++this.#requests).toString(16).padStart(12, '0')}`;
  }
}

const refusal = (code: string, message: string): Refuse => ({ code, message });

const secretIdOf = (request: ApiRequest): string => /Credential=([^/,]*)\//.exec(header(request, 'authorization'))?.[1] ?? '';

/** Signature and clock, in the order in which the vendor looks (vendors.md §1.1). */
function authFailure(request: ApiRequest, keys: CloudApi | undefined): Refuse | null {
  const stamp = header(request, 'x-tc-timestamp');
  if (request.method !== 'POST') return refusal('UnsupportedProtocol', 'only POST is served');
  if (header(request, 'authorization') === '' || !/^[0-9]{1,12}$/.test(stamp))
    return refusal('MissingParameter', 'the request is not signed');
  if (keys === undefined) return refusal('AuthFailure.SecretIdNotFound', 'the SecretId is not found');
  const timestamp = Number(stamp);
  if (Math.abs(request.now / 1_000 - timestamp) > SKEW_S)
    return refusal('AuthFailure.SignatureExpire', 'the timestamp is more than five minutes off');
  const contentType = header(request, 'content-type');
  const signed = { method: 'POST', host: header(request, 'host'), contentType, body: request.body, service: SERVICE, timestamp } as const;
  if (!equalSecrets(header(request, 'authorization'), tc3Authorization(signed, keys)))
    return refusal('AuthFailure.SignatureFailure', 'the signature does not match');
  if (!/^application\/json(?:;|$)/.test(contentType)) return refusal('InvalidParameter', 'the content type must be application/json');
  return null;
}

function commonFailure(request: ApiRequest, operation: string): Refuse | null {
  const action = Object.hasOwn(ACTIONS, operation) ? ACTIONS[operation] : undefined;
  if (action === undefined) return refusal('InvalidAction', 'there is no such action');
  if (header(request, 'x-tc-version') !== VERSION) return refusal('NoSuchVersion', 'there is no such version');
  const region = header(request, 'x-tc-region');
  if (region === '') return refusal('MissingParameter', 'X-TC-Region is missing');
  return action.regions.includes(region) ? null : refusal('UnsupportedRegion', 'the region is not served');
}

/** StartTime and EndTime, in seconds. A start beyond the look-back is too old, but for the second in which the question travelled. */
function rangeOf(body: Fields, now: number, codes: { start: string; end: string; old: string }): { from: number; to: number } | Refuse {
  const from = countIn(body, 'StartTime', -1);
  const to = countIn(body, 'EndTime', -1);
  if (from === null || from < 0) return refusal(codes.start, 'StartTime is no time');
  if (to === null || to < from) return refusal(codes.end, 'EndTime is no time after StartTime');
  return from * 1_000 < now - ROOMS_KEPT_MS - 1_000 ? refusal(codes.old, 'StartTime is more than 14 days ago') : { from, to };
}
