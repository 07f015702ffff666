import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { Access, type IngestApp } from '../../src/ingest/access.js';
import { type AddressRange, clientAddress, parseAddress, truncateAddress } from '../../src/ingest/address.js';
import { storedQuery } from '../../src/ingest/query.js';
import type { WebhookSource } from '../../src/sources/webhook.js';

const range = (text: string): AddressRange => {
  const [address, bits] = ipaddr.parseCIDR(text);
  return { address, bits };
};

const byQuery: WebhookSource = {
  name: 'by-query',
  provider: 'tencent',
  topic: 't',
  appIdIn: 'query',
  appIdOf: (query) => new URLSearchParams(query).get('app'),
  keyOf: () => 'k',
  successBody: () => '{}',
};

/** As TIW does it: app and signature in the body, signed only when the app has a key. */
const byBody: WebhookSource = {
  ...byQuery,
  name: 'by-body',
  appIdIn: 'body',
  appIdOf: (_query, body) => /app=(\w+)/.exec(body.toString())?.[1] ?? null,
  authenticate: ({ body }, app) => (app.tiwCallbackKey === undefined ? null : body.includes(`sign=${app.tiwCallbackKey}`)),
};

function judge(
  source: WebhookSource,
  apps: IngestApp[],
  request: { secret?: string; query?: string; address?: string; body?: string },
): string {
  const access = new Access(apps);
  const { secret = '', query = '', address = '198.51.100.7', body = '' } = request;
  const before = access.beforeBody(source, secret, query, parseAddress(address));
  if (!before.ok) return before.refusal;
  const after = access.afterBody(source, before.value, { query, headers: {}, body: Buffer.from(body) }, 0);
  return after.ok ? `${after.value.app.appId} by ${after.value.auth}` : after.refusal;
}

const plain: IngestApp = { provider: 'tencent', appId: 'plain' };
const secret: IngestApp = { provider: 'tencent', appId: 'secret', callbackSecret: 's3cret' };
const fenced: IngestApp = { provider: 'tencent', appId: 'fenced', allowFrom: [range('203.0.113.0/24'), range('2001:db8::/32')] };
const signed: IngestApp = { provider: 'tencent', appId: 'signed', tiwCallbackKey: 'KEY' };
const aliyun: IngestApp = { provider: 'aliyun', appId: 'aliyun' };
const apps = [plain, secret, fenced, signed, aliyun];

describe('access', () => {
  it.each([
    ['an app without secret, on the plain URL', { query: 'app=plain' }, 'plain by app'],
    ['no app id', { query: '' }, 'unknown_app'],
    ['an unknown app id', { query: 'app=other' }, 'unknown_app'],
    ['an app of another provider', { query: 'app=aliyun' }, 'unknown_app'],
    ['an app id in the body only', { body: 'app=plain' }, 'unknown_app'],
    ['the right secret', { query: 'app=secret', secret: 's3cret' }, 'secret by secret'],
    ['a wrong secret', { query: 'app=secret', secret: 's3cres' }, 'secret'],
    ['a secret that is a prefix', { query: 'app=secret', secret: 's3cre' }, 'secret'],
    ['a missing secret', { query: 'app=secret' }, 'secret'],
    ['a secret for an app without one', { query: 'app=plain', secret: 's3cret' }, 'secret'],
    ['an allowed address', { query: 'app=fenced', address: '203.0.113.9' }, 'fenced by address'],
    ['an allowed IPv6 address', { query: 'app=fenced', address: '2001:db8::1' }, 'fenced by address'],
    ['an allowed address, IPv4-mapped', { query: 'app=fenced', address: '::ffff:203.0.113.9' }, 'fenced by address'],
    ['another address', { query: 'app=fenced', address: '203.0.114.9' }, 'address'],
    ['another IPv6 address', { query: 'app=fenced', address: '2001:db9::1' }, 'address'],
    ['no address at all', { query: 'app=fenced', address: 'unknown' }, 'address'],
  ])('judges %s', (_what, request, verdict) => expect(judge(byQuery, apps, request)).toBe(verdict));

  it.each([
    ['an app id in the body', { body: 'app=plain' }, 'plain by app'],
    ['a body without one', { body: 'gibberish' }, 'unreadable'],
    ['a body without one on a path whose secret names the app', { body: 'gibberish', secret: 's3cret' }, 'secret by secret'],
    ['a body of another app than the secret', { body: 'app=plain', secret: 's3cret' }, 'unknown_app'],
    ['a body of the app with a secret, without it', { body: 'app=secret' }, 'unknown_app'],
    ['a secret of nobody', { body: 'app=plain', secret: 'x' }, 'secret'],
    ['a good signature', { body: 'app=signed sign=KEY' }, 'signed by signature'],
    ['a bad signature', { body: 'app=signed sign=KEX' }, 'signature'],
    ['no signature', { body: 'app=signed' }, 'signature'],
    ['an app of another provider', { body: 'app=aliyun' }, 'unknown_app'],
    ['an address that the app does not allow', { body: 'app=fenced' }, 'unknown_app'],
  ])('judges %s (app id in the body)', (_what, request, verdict) => expect(judge(byBody, apps, request)).toBe(verdict));

  it('does not let a secret that two apps share name one of them', () => {
    const twins = [secret, { ...secret, appId: 'twin' }];
    expect(judge(byBody, twins, { secret: 's3cret', body: 'gibberish' })).toBe('unreadable');
    expect(judge(byBody, twins, { secret: 's3cret', body: 'app=twin' })).toBe('twin by secret');
  });
});

describe('client address', () => {
  const trusted = [range('10.0.0.0/8'), range('fd00::/8')];
  it.each([
    ['the peer, when it is no proxy', '198.51.100.1', '203.0.113.5', '198.51.100.1'],
    ['what the proxy saw', '10.0.0.1', '203.0.113.5', '203.0.113.5'],
    ['what the outermost trusted proxy saw, not what the sender claims', '10.0.0.1', '1.1.1.1, 203.0.113.5, 10.2.3.4', '203.0.113.5'],
    ['the last proxy, when all are trusted', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['the peer, when the header is missing', '10.0.0.1', undefined, '10.0.0.1'],
    ['a mapped peer', '::ffff:10.0.0.1', '203.0.113.5', '203.0.113.5'],
    ['an address with a port', '10.0.0.1', '203.0.113.5:4711', '203.0.113.5'],
    ['an IPv6 address with a port', 'fd00::1', '[2001:db8::5]:4711', '2001:db8::5'],
    ['nobody, when the entry is none', '10.0.0.1', '203.0.113.5, unknown', undefined],
    ['nobody, when the entry is a short form', '10.0.0.1', '0x7f000001', undefined],
  ])('is %s', (_what, peer, header, expected) => expect(clientAddress(peer, header, trusted)?.toString()).toBe(expected));

  it('believes no header when no proxy is trusted', () => {
    expect(clientAddress('10.0.0.1', '203.0.113.5', [])?.toString()).toBe('10.0.0.1');
  });

  it.each([
    ['203.0.113.77', '203.0.113.0'],
    ['::ffff:203.0.113.77', '203.0.113.0'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::'],
  ])('of %s is truncated to %s', (text, network) => {
    const address = parseAddress(text);
    expect(address && truncateAddress(address)).toBe(network);
  });
});

describe('stored query', () => {
  const keep = { secret: '', truncateClientIp: false };
  it.each([
    [
      'keeps what is no secret byte for byte',
      'sdkappid=1&command=a%20b&&x&contenttype=json',
      keep,
      'sdkappid=1&command=a%20b&&x&contenttype=json',
    ],
    ['drops what is secret by name, in any case', 'a=1&Sign=ff&b=2&usersig=x&TOKEN=t&RequestTime=3', keep, 'a=1&b=2&RequestTime=3'],
    ['drops an encoded name', 's%69gn=ff&a=1', keep, 'a=1'],
    ['drops the secret of the path under any name', 'x=s3cret&y=%733cret&z=1', { ...keep, secret: 's3cret' }, 'z=1'],
    [
      'truncates the address of the client',
      'clientip=203.0.113.7&ClientIP=2001:db8:1:2::7&a=1',
      { ...keep, truncateClientIp: true },
      'clientip=203.0.113.0&ClientIP=2001:db8:1::&a=1',
    ],
    ['leaves an odd address alone', 'clientip=home', { ...keep, truncateClientIp: true }, 'clientip=home'],
  ])('%s', (_what, query, options, stored) => expect(storedQuery(query, options)).toBe(stored));
});
