import { once } from 'node:events';
import { connect } from 'node:net';
import ipaddr from 'ipaddr.js';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { gate, type Harness, NOW, source, startHarness, until } from './ingest-kit.js';

let harness: Harness | undefined;
const start = async (...args: Parameters<typeof startHarness>): Promise<Harness> => {
  harness = await startHarness(...args);
  return harness;
};
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

const URL_OF_APP = '/callbacks/vendor?app=app';
const secretApp = { provider: 'tencent', appId: 'locked', callbackSecret: 's3cret' } as const;

/** Writes bytes as they are and gives back everything that comes until the peer closes. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (data) => {
    answer += data.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

describe('a callback', () => {
  it('is answered with the success body of the vendor and arrives untouched, with all that is known of it', async () => {
    const { post, kafka } = await start();
    const body = Buffer.from([0x63, 0x20, 0xff, 0x00, 0x0d, 0x0a]);
    const response = await post('/callbacks/vendor?app=app&command=x%20y&Sign=abc', body, { 'content-type': 'application/json' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(await response.text()).toBe('{"ErrorCode":0}');
    expect(kafka.deliveries).toEqual([
      {
        topic: 'callstream.raw.vendor',
        key: 'tencent:app:c',
        event: {
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          source: 'vendor',
          app_id: 'app',
          received_at: NOW,
          auth: 'app',
          remote_addr: '127.0.0.1',
          query: 'app=app&command=x%20y',
          body,
        },
      },
    ]);
  });

  it.each([
    ['that is not JSON', 'gibberish', 'application/json'],
    ['without a type', Buffer.from('x'), undefined],
    ['with a malformed type', 'x', 'foo'],
    ['with a form type', 'x', 'application/x-www-form-urlencoded'],
    ['without a body', undefined, undefined],
    ['with an empty body', '', 'application/json'],
    ['of exactly the limit', Buffer.alloc(256 * 1024, 'x'), 'application/json'],
  ])('%s is kept raw', async (_what, body, type) => {
    const { post, kafka } = await start();
    const response = await post(URL_OF_APP, body, type === undefined ? undefined : { 'content-type': type });
    expect(response.status).toBe(200);
    expect(kafka.deliveries[0]?.event.body.equals(Buffer.from(body ?? ''))).toBe(true);
  });

  it('stores networks instead of addresses when told to', async () => {
    const { post, kafka } = await start({ truncateClientIp: true });
    await post(`${URL_OF_APP}&clientip=203.0.113.7`, 'c');
    expect(kafka.deliveries[0]?.event).toMatchObject({ remote_addr: '127.0.0.0', query: 'app=app&clientip=203.0.113.0' });
  });

  it('keeps a key of absurd length short, and equal for equal keys', async () => {
    const { post, kafka } = await start();
    const long = 'é'.repeat(50_000);
    await post(URL_OF_APP, `${long} 1`);
    await post(URL_OF_APP, `${long} 2`);
    const [first, second] = kafka.deliveries.map(({ key }) => key);
    expect(first).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(second).toBe(first);
  });

  it('is kept raw even where its source fails on it', async () => {
    const broken = {
      ...source,
      keyOf: () => {
        throw new Error('a bug');
      },
    };
    const { post, kafka } = await start({}, { sources: [broken] });
    expect((await post(URL_OF_APP, 'c')).status).toBe(200);
    expect(kafka.deliveries[0]?.key).toMatch(/^[0-9a-f]{64}$/);
  });

  it('takes the secret path of an app, and tells neither the stored query nor any log of it', async () => {
    const lines: string[] = [];
    const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
    const { post, kafka } = await start({ apps: [secretApp] }, { log });
    expect((await post('/callbacks/vendor/s3cret?app=locked&again=s3cret', 'c')).status).toBe(200);
    expect(kafka.deliveries[0]?.event).toMatchObject({ auth: 'secret', query: 'app=locked' });
    expect((await post('/callbacks/vendor/s3cre?app=locked', 'c')).status).toBe(403);
    kafka.state = 'down';
    expect((await post('/callbacks/vendor/s3cret?app=locked', 'c')).status).toBe(200);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join('')).not.toContain('s3cre');
  });

  it('is believed to come from where a trusted proxy says', async () => {
    const loopback = { address: ipaddr.parse('127.0.0.0'), bits: 8 };
    const allowed = { address: ipaddr.parse('203.0.113.0'), bits: 24 };
    const { post, kafka } = await start({ trustProxy: [loopback], apps: [{ provider: 'tencent', appId: 'app', allowFrom: [allowed] }] });
    expect((await post(URL_OF_APP, 'c', { 'x-forwarded-for': '1.1.1.1, 203.0.113.5' })).status).toBe(200);
    expect(kafka.deliveries[0]?.event).toMatchObject({ auth: 'address', remote_addr: '203.0.113.5' });
    expect((await post(URL_OF_APP, 'c', { 'x-forwarded-for': '203.0.113.5, 1.1.1.1' })).status).toBe(403);
  });
});

describe('refusals', () => {
  it.each([
    ['403', 'an unknown app', '/callbacks/vendor?app=foreign', 'POST'],
    ['403', 'no app', '/callbacks/vendor', 'POST'],
    ['403', 'a missing secret', '/callbacks/vendor?app=locked', 'POST'],
    ['403', 'a wrong secret', '/callbacks/vendor/wrong?app=locked', 'POST'],
    ['403', 'a secret where none is wanted', '/callbacks/vendor/s3cret?app=app', 'POST'],
    ['403', 'an address that is not allowed', '/callbacks/vendor?app=fenced', 'POST'],
    ['404', 'an unknown source', '/callbacks/other?app=app', 'POST'],
    ['404', 'a longer path', '/callbacks/vendor/a/b?app=app', 'POST'],
    ['404', 'another path', '/', 'GET'],
    ['404', 'a path cased otherwise', '/Callbacks/vendor?app=app', 'POST'],
    ['400', 'a path that cannot be decoded', '/callbacks/vendor/%zz?app=app', 'POST'],
    ['405', 'GET', URL_OF_APP, 'GET'],
    ['405', 'HEAD', URL_OF_APP, 'HEAD'],
    ['405', 'PUT', '/callbacks/vendor/s3cret?app=locked', 'PUT'],
    ['405', 'an odd method', URL_OF_APP, 'PROPFIND'],
  ])('%s for %s', async (status, _what, path, method) => {
    const nowhere = { address: ipaddr.parse('203.0.113.0'), bits: 24 };
    const apps = [
      { provider: 'tencent', appId: 'app' } as const,
      secretApp,
      { provider: 'tencent', appId: 'fenced', allowFrom: [nowhere] } as const,
    ];
    const { url, kafka } = await start({ apps });
    const response = await fetch(url + path, { method, ...(method === 'POST' ? { body: 'c' } : {}) });
    expect(response.status).toBe(Number(status));
    expect(response.headers.get('allow')).toBe(status === '405' ? 'POST' : null);
    if (method !== 'HEAD') expect(await response.json()).toMatchObject({ ErrorCode: Number(status) });
    expect(kafka.deliveries).toEqual([]);
  });

  it('403 for a bad signature', async () => {
    const signed = { ...source, authenticate: () => false };
    const { post, kafka } = await start({}, { sources: [signed] });
    expect((await post(URL_OF_APP, 'c')).status).toBe(403);
    expect(kafka.deliveries).toEqual([]);
  });

  it('413 over the limit, whether the length is told before or not', async () => {
    const { post, ingest, kafka } = await start();
    expect((await post(URL_OF_APP, Buffer.alloc(256 * 1024 + 1))).status).toBe(413);
    const chunk = `${(64 * 1024).toString(16)}\r\n${'x'.repeat(64 * 1024)}\r\n`;
    const answer = await raw(
      ingest.port,
      `POST ${URL_OF_APP} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}0\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(kafka.deliveries).toEqual([]);
  });

  it('415 for an encoded body', async () => {
    const { post } = await start();
    expect((await post(URL_OF_APP, 'c', { 'content-encoding': 'gzip' })).status).toBe(415);
    expect((await post(URL_OF_APP, 'c', { 'content-encoding': 'identity' })).status).toBe(200);
  });

  it('says no word of the body of a foreign app, not even that it is too large', async () => {
    const { post } = await start();
    expect((await post('/callbacks/vendor?app=foreign', Buffer.alloc(300_000))).status).toBe(403);
  });

  it('counts requests by code and refusals by reason', async () => {
    const metrics = createMetrics();
    const { post } = await start({}, { metrics });
    await post(URL_OF_APP, 'c');
    await post('/callbacks/vendor?app=foreign', 'c');
    await post('/callbacks/vendor/x?app=app', 'c');
    const text = await metrics.registry.metrics();
    expect(text).toContain('callstream_ingest_requests_total{source="vendor",code="200"} 1');
    expect(text).toContain('callstream_ingest_requests_total{source="vendor",code="403"} 2');
    expect(text).toContain('callstream_ingest_refused_total{source="vendor",reason="unknown_app"} 1');
    expect(text).toContain('callstream_ingest_refused_total{source="vendor",reason="secret"} 1');
    expect(text).toContain('callstream_ingest_ack_seconds_count{source="vendor"} 1');
  });
});

describe('connections', () => {
  it('hear nothing of a callback before it is durable', async () => {
    const send = gate();
    const happened: string[] = [];
    const { post } = await start(
      {},
      {
        fault: (point) =>
          point === 'kafka:before-send' ? send.pass() : void (point === 'kafka:after-ack' && happened.push('acknowledged')),
      },
    );
    const answered = post(URL_OF_APP, 'c1').then(({ status }) => happened.push(`answered ${status}`));
    await until(() => send.reached);
    // Another question is answered meanwhile.
    expect((await post('/elsewhere')).status).toBe(404);
    send.open();
    await answered;
    expect(happened).toEqual(['acknowledged', 'answered 200']);
  });

  it('answers pipelined requests in order, each only when it is durable', async () => {
    const { ingest, kafka } = await start({ batch: { maxRecords: 1 } });
    const request = (i: number, more = ''): string => `POST ${URL_OF_APP} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n${more}\r\nc${i}`;
    const answer = await raw(
      ingest.port,
      `${request(1)}${request(2).replace('app=app', 'app=foreign')}${request(3, 'Connection: close\r\n')}`,
    );
    expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 403', 'HTTP/1.1 200']);
    expect(kafka.bodies).toEqual(['c1', 'c3']);
  });

  it('gives up on a sender that does not finish its headers or its body', async () => {
    const { ingest, kafka } = await start({ limits: { headersTimeoutMs: 200, requestTimeoutMs: 400 } });
    const [headers, body] = await Promise.all([
      raw(ingest.port, `POST ${URL_OF_APP} HTTP/1.1\r\nHost: x\r\n`),
      raw(ingest.port, `POST ${URL_OF_APP} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nshort`),
    ]);
    expect(headers).toMatch(/^HTTP\/1.1 408 /);
    expect(body).toMatch(/^HTTP\/1.1 408 /);
    expect(kafka.deliveries).toEqual([]);
  });

  it('closes a connection that stays idle', async () => {
    const { ingest } = await start({ limits: { keepAliveMs: 100 } });
    expect(await raw(ingest.port, `POST ${URL_OF_APP} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nc`)).toMatch(/^HTTP\/1.1 200 /);
  });

  it('answers what is under way when it stops, closes idle connections, and takes no new ones', async () => {
    const send = gate();
    const { ingest, kafka, post } = await start({}, { fault: (point) => (point === 'kafka:before-send' ? send.pass() : undefined) });
    const idle = connect(ingest.port, '127.0.0.1');
    await once(idle, 'connect');
    const underWay = post(URL_OF_APP, 'c1');
    await until(() => send.reached);
    const closing = ingest.close();
    expect(ingest.ready()).toMatchObject({ ok: false, problems: ['stopping'] });
    send.open();
    const response = await underWay;
    expect(response.status).toBe(200);
    await closing;
    expect(kafka.bodies).toEqual(['c1']);
    expect(idle.destroyed || (await once(idle, 'close').then(() => true))).toBe(true);
    await expect(post(URL_OF_APP, 'c2')).rejects.toThrow();
  });
});
