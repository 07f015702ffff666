import { createHmac } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acs3Authorization, acs3CanonicalRequest, acs3Headers, acs3Query } from '../../src/sources/sign/acs3.js';
import { sha256Hex } from '../../src/sources/sign/digest.js';
import { type Tc3Request, tc3Authorization, tc3CanonicalRequest } from '../../src/sources/sign/tc3.js';
import { userSig, verifyUserSig } from '../../src/sources/sign/usersig.js';

/* Published and computed vectors of the three signatures: vendors.md §1.2, §3, §7.3. The keys are the vendors' own examples. */

describe('TC3-HMAC-SHA256', () => {
  const SECRET_ID = 'AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE';
  const SECRET_KEY = 'Gu5t9xGARNpq86cd98joQYCN3EXAMPLE';
  const CVM = {
    method: 'POST',
    host: 'cvm.tencentcloudapi.com',
    contentType: 'application/json; charset=utf-8',
    service: 'cvm',
    timestamp: 1551113065,
  } as const;
  const TRTC_BODY =
    '{"StartTime":1590065777,"EndTime":1590065877,"CommId":"1400188366_218695_1590065777","UserId":"user_2045351","SdkAppId":1400353843,"RoomId":"1400"}';
  const trtc = (host: string, contentType: string): Tc3Request => ({
    method: 'POST',
    host,
    contentType,
    body: TRTC_BODY,
    service: 'trtc',
    timestamp: 1590065900,
  });

  it.each<[string, Tc3Request, string, string, string, string]>([
    [
      'T1',
      { ...CVM, body: '{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}' },
      SECRET_KEY,
      '35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064',
      '5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031',
      '72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168',
    ],
    [
      'T2',
      { ...CVM, body: '{"Limit": 1, "Filters": [{"Values": ["unnamed"], "Name": "instance-name"}]}' },
      '********************************',
      '99d58dfbc6745f6747f36bfca17dee5e6881dc0428a0a36f96199342bc5b4907',
      '2815843035062fffda5fd6f2a44ea8a34818b0dc46f024b8b3786976a3adda7a',
      'a7b8551448762bd123d6f79e81815e31a92013640a6cef36a08ad4b292a4d2f2',
    ],
    [
      'DescribeUserEvent',
      trtc('trtc.tencentcloudapi.com', 'application/json'),
      SECRET_KEY,
      '01f817ed512836ffdf15b4d623cb476abccf9372fdda7d2f174423726de246cb',
      '46d3a7630b32dbe0b98bda9621f7e644c6e93e1e5cda58388a63d3260d731762',
      '62830b082393280b8a99ceb18cb9dd8a15c7aea279d11d440ecf186b6e08048f',
    ],
    [
      'DescribeUserEvent, with a charset',
      trtc('trtc.tencentcloudapi.com', 'application/json; charset=utf-8'),
      SECRET_KEY,
      '01f817ed512836ffdf15b4d623cb476abccf9372fdda7d2f174423726de246cb',
      '43b4ed64dfeb0c8f5c04bd30d3250130b9edf3baf45086399db7f00cfc2374ed',
      '4ffeb7839eab6e3a714cdd9abb9fb824e8035a2e807e4cf631280dc9ae4be114',
    ],
    [
      'DescribeUserEvent, international',
      trtc('trtc.intl.tencentcloudapi.com', 'application/json'),
      SECRET_KEY,
      '01f817ed512836ffdf15b4d623cb476abccf9372fdda7d2f174423726de246cb',
      '1a8b806e56fc684c9273ee0eb3f5ea1524958d4c6ebe4b907cf6ecfd2b29f578',
      '59a2a9f1bff55162b5812b59b470fc86fe29a6ad22c26194ebe4f9a25549252e',
    ],
    [
      'DescribeUserEvent, international, with a charset',
      trtc('trtc.intl.tencentcloudapi.com', 'application/json; charset=utf-8'),
      SECRET_KEY,
      '01f817ed512836ffdf15b4d623cb476abccf9372fdda7d2f174423726de246cb',
      '3d11983f0631eb22fc21dd12d2c78090311bf8baeb857ed473d7403f997b9321',
      '49bb6b7029035c855b63b03ca75d6d84c91a1dc5dbfc6fdbdb7fb414f1e825d1',
    ],
  ])('%s', (_, request, secretKey, bodyHash, canonicalHash, signature) => {
    expect(sha256Hex(request.body)).toBe(bodyHash);
    expect(sha256Hex(tc3CanonicalRequest(request))).toBe(canonicalHash);
    const date = request.service === 'cvm' ? '2019-02-25' : '2020-05-21';
    expect(tc3Authorization(request, { secretId: SECRET_ID, secretKey })).toBe(
      `TC3-HMAC-SHA256 Credential=${SECRET_ID}/${date}/${request.service}/tc3_request, SignedHeaders=content-type;host, Signature=${signature}`,
    );
  });

  it('takes the date from the timestamp, in UTC', () => {
    const at = (timestamp: number) => tc3Authorization({ ...CVM, body: '', timestamp }, { secretId: 'id', secretKey: 'key' });
    expect(at(Date.UTC(2024, 1, 29, 23, 59, 59) / 1000)).toContain('id/2024-02-29/cvm');
    expect(at(Date.UTC(2024, 2, 1) / 1000)).toContain('id/2024-03-01/cvm');
  });
});

describe('ACS3-HMAC-SHA256', () => {
  const KEYS = { accessKeyId: 'YourAccessKeyId', accessKeySecret: 'YourAccessKeySecret' };
  const NOW = Date.UTC(2023, 9, 26, 10, 22, 32, 999);
  const NONCE = '3156853299f313e23d1673dc12e1703d';
  const EVENTS = {
    host: 'live.aliyuncs.com',
    action: 'ListEventSubEvent',
    version: '2016-11-01',
    query: {
      SubscribeId: 'ad53276431c****',
      AppId: '9qb1****',
      EndTime: '1698201013',
      PageNo: '20',
      PageSize: '10',
      StartTime: '1698195600',
    },
    now: NOW,
    nonce: NONCE,
  };
  const RUN = {
    host: 'ecs.cn-shanghai.aliyuncs.com',
    action: 'RunInstances',
    version: '2014-05-26',
    query: { ImageId: 'win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd', RegionId: 'cn-shanghai' },
    now: NOW,
    nonce: NONCE,
  };

  it.each([
    [
      'A1',
      { ...RUN, method: 'POST' as const },
      '7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259',
      '06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0',
    ],
    [
      'A2',
      { ...EVENTS, method: 'POST' as const },
      'e1f084f8922f488abe55833a72c569be26422e5cd21950b164e64efceb9b5e29',
      '53899f5441b19b781834c57b4656812a1a1a22feb53c3ed75321f5215bb6041e',
    ],
    ['A3', { ...EVENTS, method: 'GET' as const }, null, 'b416289a0e2aa04d34b73b09614027caea03f5afa5c1058863a7675e921c78e8'],
  ])('%s', (_, call, canonicalHash, signature) => {
    const { authorization, accept, ...headers } = acs3Headers(call, KEYS);
    expect(authorization).toBe(
      'ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;' +
        `x-acs-signature-nonce;x-acs-version,Signature=${signature}`,
    );
    expect(accept).toBe('application/json');
    expect(headers['x-acs-date']).toBe('2023-10-26T10:22:32Z');
    const request = { method: call.method, path: '/', query: call.query, headers, body: '' };
    if (canonicalHash !== null) expect(sha256Hex(acs3CanonicalRequest(request))).toBe(canonicalHash);
    expect(acs3Authorization(request, KEYS)).toBe(authorization);
  });

  it('sorts and encodes the query as it is to be sent', () => {
    expect(acs3Query(EVENTS.query)).toBe(
      'AppId=9qb1%2A%2A%2A%2A&EndTime=1698201013&PageNo=20&PageSize=10&StartTime=1698195600&SubscribeId=ad53276431c%2A%2A%2A%2A',
    );
    expect(acs3Query({ b: "a b~!'()é", a: '', B: '/' })).toBe('B=%2F&a=&b=a%20b~%21%27%28%29%C3%A9');
  });
});

describe('UserSig', () => {
  const KEY = '5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e';
  const T = 1_600_000_000;
  const VECTORS = [
    [
      { identifier: 'xiaojun', sdkAppId: 1400000000, issuedAt: T, ttl: 15_552_000 },
      'eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogMiUZOamKlkZmqGKplYUZBaBxE1NTY3gosWZ6UpWSoZRpgF56S5Z7omlaanBmQH5TqUVKR6R5q7exl4hKY5ZvgGWxsEm3mVhxr62SrUAnj0xuw__',
    ],
    [
      { identifier: 'administrator', sdkAppId: 1400000000, issuedAt: T, ttl: 86_400 },
      'eJxVysEKwjAQBNB-2atSUqlBAh5yKCJabNCi10i2srZNYxJEFP9dqPXg3ObNvOCw3Sd39CBgljCYDp0M2kg1DaxNR5ZC9Dr2fjwE02jnyIBIMzbmu0TqEETK-xUfjjyCWPDsR4EuIKDtAztWk12Qt40sMA*Yn-mqKEpZKscba59qflq36sqqJbw-sr00BA__',
    ],
  ] as const;

  it.each(VECTORS)('reads and issues the vector of %o', (claims, text) => {
    expect(verifyUserSig(text, KEY, T)).toEqual({ ok: true, claims });
    expect(verifyUserSig(userSig(claims, KEY), KEY, T)).toEqual({ ok: true, claims });
  });

  it('signs as published', () => {
    const content = 'TLS.identifier:xiaojun\nTLS.sdkappid:1400000000\nTLS.time:1600000000\nTLS.expire:15552000\n';
    expect(createHmac('sha256', KEY).update(content).digest('base64')).toBe('1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M=');
  });

  const claims = VECTORS[1][0];
  const documentText = (document: object | string) =>
    deflateSync(typeof document === 'string' ? document : JSON.stringify(document))
      .toString('base64')
      .replaceAll('+', '*')
      .replaceAll('/', '-')
      .replaceAll('=', '_');

  it('expires to the second', () => {
    const text = userSig(claims, KEY);
    expect(verifyUserSig(text, KEY, T + 86_399).ok).toBe(true);
    expect(verifyUserSig(text, KEY, T + 86_400)).toEqual({ ok: false, reason: 'expired' });
  });

  it('refuses another key, and a document that was changed', () => {
    expect(verifyUserSig(userSig(claims, KEY), KEY.toUpperCase(), T)).toEqual({ ok: false, reason: 'bad_signature' });
    const forged = documentText({
      'TLS.ver': '2.0',
      'TLS.identifier': 'somebody',
      'TLS.sdkappid': 1400000000,
      'TLS.time': T,
      'TLS.expire': 86400,
      'TLS.sig': 'los0WU+OsAqKAMeEseEb6GMMPAPQp6knnzQ5XIlQj0U=',
    });
    expect(verifyUserSig(forged, KEY, T)).toEqual({ ok: false, reason: 'bad_signature' });
  });

  it.each([
    ['nothing', ''],
    ['other letters', 'a+b/c='],
    ['what does not inflate', 'abcdef'],
    ['no JSON', documentText('{')],
    ['null', documentText('null')],
    ['a list', documentText([])],
    ['no signature', documentText({ 'TLS.ver': '2.0', 'TLS.identifier': 'a', 'TLS.sdkappid': 1, 'TLS.time': 1, 'TLS.expire': 1 })],
    ['an older version', documentText({ 'TLS.ver': '1.0', 'TLS.identifier': 'a', 'TLS.sdkappid': 1, 'TLS.time': 1, 'TLS.expire': 1 })],
    [
      'a time that is none',
      documentText({
        'TLS.ver': '2.0',
        'TLS.identifier': 'a',
        'TLS.sdkappid': 1,
        'TLS.time': '1',
        'TLS.expire': 1,
        'TLS.sig': '',
      }),
    ],
  ])('finds %s malformed', (_, text) => {
    expect(verifyUserSig(text, KEY, T)).toEqual({ ok: false, reason: 'malformed' });
  });

  it('does not inflate a bomb, be it ever so well signed', () => {
    const document = {
      'TLS.ver': '2.0',
      'TLS.identifier': 'administrator',
      'TLS.sdkappid': 1400000000,
      'TLS.time': T,
      'TLS.expire': 86400,
      'TLS.sig': 'los0WU+OsAqKAMeEseEb6GMMPAPQp6knnzQ5XIlQj0U=',
    };
    expect(verifyUserSig(documentText(document), KEY, T)).toEqual({ ok: true, claims });
    const bomb = documentText(JSON.stringify(document) + ' '.repeat(1_000_000));
    expect(verifyUserSig(bomb, KEY, T)).toEqual({ ok: false, reason: 'malformed' });
  });

  it('never throws on any text', () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String()), (text) => !verifyUserSig(text, KEY, T).ok));
  });
});
