import { createRequire } from 'node:module';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { acs3Authorization, acs3Headers } from '../../src/sources/sign/acs3.js';
import { sha256Hex } from '../../src/sources/sign/digest.js';
import { tc3Authorization } from '../../src/sources/sign/tc3.js';
import { userSig, verifyUserSig } from '../../src/sources/sign/usersig.js';

/* Each signer against its vendor's own package, on random inputs. */

const load = createRequire(import.meta.url);

/** Signer inside tencentcloud-sdk-nodejs-common, which does not export it. */
interface TencentSign {
  sign3(request: {
    method: string;
    url: string;
    payload: Buffer;
    timestamp: number;
    service: string;
    secretId: string;
    secretKey: string;
    headers: Record<string, string>;
  }): string;
}

/** Of @alicloud/openapi-core. */
interface AliyunUtils {
  getAuthorization(
    request: { method: string; pathname: string; query: Record<string, string>; headers: Record<string, string> },
    algorithm: string,
    payloadHash: string,
    keyId: string,
    secret: string,
  ): string;
}

type TlsSigApi = new (sdkAppId: number, key: string) => { genUserSig(identifier: string, ttl: number): string };

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,12}$/);
const secret = fc.string({ minLength: 1, maxLength: 64 });
const anyText = fc.string({ unit: 'grapheme', maxLength: 40 });

afterEach(() => vi.useRealTimers());

describe('the signers agree with the official packages', () => {
  it('TC3-HMAC-SHA256', () => {
    const { sign3 } = load('tencentcloud-sdk-nodejs-common/tencentcloud/common/sign').default as TencentSign;
    const contentType = fc.constantFrom('application/json', 'application/json; charset=utf-8', 'application/x-www-form-urlencoded');
    fc.assert(
      fc.property(
        fc.record({ service: word, contentType, secretId: word, secretKey: secret, timestamp: fc.integer({ min: 0, max: 4_000_000_000 }) }),
        fc.oneof(
          fc.uint8Array({ minLength: 1, maxLength: 300 }),
          anyText.map((text) => Buffer.from(JSON.stringify({ text }))),
        ),
        fc.constantFrom('tencentcloudapi.com', 'intl.tencentcloudapi.com'),
        ({ service, contentType, secretId, secretKey, timestamp }, bytes, domain) => {
          const host = `${service}.${domain}`;
          const body = Buffer.from(bytes);
          const oracle = sign3({
            method: 'POST',
            url: `https://${host}/`,
            payload: body,
            timestamp,
            service,
            secretId,
            secretKey,
            headers: { 'Content-Type': contentType },
          });
          const request = { method: 'POST', host, contentType, body, service, timestamp } as const;
          expect(tc3Authorization(request, { secretId, secretKey })).toBe(oracle);
          const query = `Limit=${timestamp}&Name=${service}%20x`;
          const get = {
            method: 'GET',
            url: `https://${host}/?${query}`,
            payload: Buffer.alloc(0),
            timestamp,
            service,
            secretId,
            secretKey,
            headers: { 'Content-Type': contentType },
          };
          expect(tc3Authorization({ ...request, method: 'GET', query, body: '' }, { secretId, secretKey })).toBe(sign3(get));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('ACS3-HMAC-SHA256', () => {
    const { getAuthorization } = load('@alicloud/openapi-core/dist/utils').default as AliyunUtils;
    // The package does not encode names, so they are plain here.
    const query = fc.dictionary(fc.stringMatching(/^[A-Za-z][A-Za-z0-9._-]{0,10}$/), anyText, { maxKeys: 8 });
    fc.assert(
      fc.property(
        fc.record({ method: fc.constantFrom('GET' as const, 'POST' as const), action: word, version: word, nonce: word, query }),
        fc.integer({ min: 0, max: 4_000_000_000_000 }),
        fc.record({ accessKeyId: word, accessKeySecret: secret }),
        fc.option(fc.constantFrom('application/json', 'application/x-www-form-urlencoded; charset=utf-8'), { nil: null }),
        (call, now, keys, contentType) => {
          const { accept, authorization, ...headers } = acs3Headers({ ...call, host: 'live.aliyuncs.com', now }, keys);
          const oracle = (all: Record<string, string>, payload: string) =>
            getAuthorization(
              { method: call.method, pathname: '/', query: call.query, headers: all },
              'ACS3-HMAC-SHA256',
              sha256Hex(payload),
              keys.accessKeyId,
              keys.accessKeySecret,
            );
          expect(authorization).toBe(oracle({ ...headers, accept: accept ?? '' }, ''));
          const more = {
            ...headers,
            'x-acs-security-token': ' token ',
            'user-agent': 'x',
            ...(contentType === null ? {} : { 'content-type': contentType }),
          };
          expect(acs3Authorization({ method: call.method, path: '/', query: call.query, headers: more, body: '{}' }, keys)).toBe(
            oracle(more, '{}'),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it('UserSig, both ways', () => {
    const { Api } = load('tls-sig-api-v2') as { Api: TlsSigApi };
    vi.useFakeTimers();
    fc.assert(
      fc.property(
        fc.record({
          identifier: fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/),
          sdkAppId: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
          issuedAt: fc.integer({ min: 0, max: 4_000_000_000 }),
          ttl: fc.integer({ min: 1, max: 2 ** 31 }),
        }),
        fc.stringMatching(/^[0-9a-f]{64}$/),
        (claims, key) => {
          vi.setSystemTime(claims.issuedAt * 1000);
          const oracle = new Api(claims.sdkAppId, key).genUserSig(claims.identifier, claims.ttl);
          expect(verifyUserSig(oracle, key, claims.issuedAt)).toEqual({ ok: true, claims });
          // Both are deflated by the zlib of this Node, so here even the bytes are equal.
          expect(userSig(claims, key)).toBe(oracle);
        },
      ),
      { numRuns: 500 },
    );
  });
});
