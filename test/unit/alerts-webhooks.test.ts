import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Alert } from '../../src/codec/generated.js';
import { isPublicAddress, type Webhook } from '../../src/config/index.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { Delivery, type Retry } from '../../src/workers/alerts/delivery.js';
import { checkHost, guardedLookup, type ResolvedAddress } from '../../src/workers/alerts/guard.js';
import { bodyOf, type Message, messagesOfAlert, messagesOfCall, testMessage, wants } from '../../src/workers/alerts/messages.js';
import { Sender } from '../../src/workers/alerts/sender.js';
import { webhookHeaders } from '../../src/workers/alerts/signature.js';
import { blankCall } from '../support/clickhouse-model.js';

const NOW = 1_700_000_000_000;
const clock = { now: () => NOW };
const SECRET = `whsec_${Buffer.from('the key of a test, which is long').toString('base64')}`;

describe('signatures', () => {
  it('are those of Standard Webhooks: its example, computed with openssl', () => {
    expect(
      webhookHeaders('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330_999, '{"test": 2432232314}'),
    ).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('are left out where there is no secret', () => {
    expect(Object.keys(webhookHeaders(null, 'msg_1', NOW, ''))).toEqual(['webhook-id', 'webhook-timestamp']);
  });
});

describe('addresses', () => {
  it.each(['93.184.216.34', '1.1.1.1', '172.15.255.255', '172.32.0.1', '2606:4700::1111', '2a00:1450:4001:81b::200e'])(
    '%s is public',
    (a) => expect(isPublicAddress(a)).toBe(true),
  );

  it.each([
    ...['0.0.0.0', '0.1.2.3', '127.0.0.1', '127.255.255.254', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254'],
    ...['100.64.0.1', '192.0.0.8', '192.0.2.1', '198.18.0.1', '198.51.100.7', '203.0.113.9', '192.88.99.1', '224.0.0.1', '239.1.1.1'],
    ...['240.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', 'fe80::1%eth0', 'fec0::1', 'fc00::1', 'fd12:3456::1', 'ff02::1', '100::1'],
    ...['::ffff:93.184.216.34', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '::93.184.216.34', '::ffff:0:127.0.0.1'],
    ...[
      '64:ff9b::7f00:1',
      '64:ff9b::5db8:d822',
      '64:ff9b:1::1',
      '2002:7f00:1::',
      '2001::1',
      '2001:db8::1',
      '3fff::1',
      '5f00::1',
      '4000::1',
    ],
    ...['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '0x7f.1', '1.1', '', 'localhost', '01.1.1.1'],
  ])('%s is not', (a) => expect(isPublicAddress(a)).toBe(false));
});

describe('the lookup of a name', () => {
  const look = (addresses: string[], loopback = false, all = true) =>
    new Promise<{ error: (Error & { code?: string }) | null; found: unknown }>((resolve) => {
      const answer = async (): Promise<ResolvedAddress[]> =>
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      guardedLookup(loopback, answer)('h.example.com', { all }, (error, found) => resolve({ error, found }));
    });

  it('gives out what it has checked', async () => {
    expect(await look(['93.184.216.34', '2606:4700::1'])).toEqual({
      error: null,
      found: [
        { address: '93.184.216.34', family: 4 },
        { address: '2606:4700::1', family: 6 },
      ],
    });
    expect(await look(['93.184.216.34'], false, false)).toEqual({ error: null, found: '93.184.216.34' });
  });

  it.each([[['10.0.0.1']], [['93.184.216.34', '127.0.0.1']], [['::ffff:169.254.169.254']], [['64:ff9b::a00:1']], [[]]])(
    'refuses %j as a whole',
    async (addresses) => expect((await look(addresses)).error?.code).toBe('WEBHOOK_ADDRESS_REFUSED'),
  );

  it('of this machine takes loopback addresses, and nothing else', async () => {
    expect((await look(['127.0.0.1', '::1'], true)).error).toBeNull();
    expect((await look(['93.184.216.34'], true)).error?.code).toBe('WEBHOOK_ADDRESS_REFUSED');
    expect((await look(['10.0.0.1'], true)).error?.code).toBe('WEBHOOK_ADDRESS_REFUSED');
  });

  it('is not all: an address in the URL is never looked up, and is checked too', () => {
    for (const url of ['https://10.0.0.1/', 'https://[fd00::1]/', 'https://[::ffff:a00:1]/', 'https://0xa9fea9fe/']) {
      expect(() => checkHost(new URL(url))).toThrow(expect.objectContaining({ code: 'WEBHOOK_ADDRESS_REFUSED' }));
    }
    for (const url of ['https://93.184.216.34/', 'https://h.example.com/', 'http://127.0.0.1:1/']) checkHost(new URL(url));
  });
});

const call = (over: Parameters<typeof blankCall>[0]) => blankCall({ status: 'ended', final: true, final_outcome: '', ...over });

describe('what is told of a call', () => {
  const types = (over: Parameters<typeof blankCall>[0]) => messagesOfCall(call(over)).map(({ type }) => type);

  it('ended, and missed, at the first final revision', () => {
    expect(types({ outcome: 'answered' })).toEqual(['call.ended']);
    expect(types({ outcome: 'no_answer', missed: true })).toEqual(['call.ended', 'call.missed']);
    expect(types({ outcome: 'no_answer', missed: true, final: false })).toEqual([]);
  });

  it('corrected, when a later final revision has another outcome', () => {
    expect(types({ outcome: 'answered', final_outcome: 'answered' })).toEqual([]);
    expect(types({ outcome: 'no_answer', missed: true, final_outcome: 'answered' })).toEqual(['call.corrected']);
    const [message] = messagesOfCall(call({ outcome: 'busy', final_outcome: 'failed', revision: 7, updated_at: NOW }));
    expect(message?.data).toMatchObject({
      outcome: 'busy',
      previous_outcome: 'failed',
      revision: 7,
      updated_at: '2023-11-14T22:13:20.000Z',
    });
    expect(message?.data).not.toHaveProperty('final_outcome');
  });

  it('nothing of a session that was merged into another', () => expect(types({ end_reason: 'merged' })).toEqual([]));

  it('under an id that is the same each time, and of no other message', () => {
    const ids = (over: object) => messagesOfCall(call({ missed: true, ...over })).map(({ id }) => id);
    expect(ids({})).toEqual(ids({ talk_ms: 3 }));
    const all = [...ids({}), ...ids({ revision: 2 }), ...ids({ call_id: 'other' }), ...ids({ app_id: 'other' })];
    expect(new Set(all).size).toBe(all.length);
  });
});

const alert: Alert = {
  alert_id: 'a1',
  rule: 'missed-rate',
  provider: 'tencent',
  app_id: '1',
  state: 'firing',
  metric: 'missed_rate',
  value: 0.625,
  n: 40,
  threshold: 0.5,
  window_ms: 900_000,
  fired_at: NOW,
  resolved_at: null,
  silenced: false,
};

describe('what is told of an alert', () => {
  it('that it fires, and that it resolves, for machines and for people', () => {
    const [fired] = messagesOfAlert(alert);
    const [resolved] = messagesOfAlert({ ...alert, state: 'resolved', resolved_at: NOW + 3_725_000 });
    expect(JSON.parse(bodyOf(fired!, 'standard'))).toEqual({
      type: 'alert.fired',
      timestamp: '2023-11-14T22:13:20.000Z',
      data: {
        ...{
          alert_id: 'a1',
          rule: 'missed-rate',
          provider: 'tencent',
          app_id: '1',
          state: 'firing',
          metric: 'missed_rate',
          value: 0.625,
          n: 40,
        },
        ...{ threshold: 0.5, window_ms: 900_000, fired_at: '2023-11-14T22:13:20.000Z', resolved_at: null },
      },
    });
    expect(JSON.parse(bodyOf(fired!, 'slack'))).toEqual({
      text: 'FIRING: missed-rate in app 1. missed_rate is 62.5%, above 50.0%, over the last 15m (n = 40)',
    });
    expect(resolved).toMatchObject({ type: 'alert.resolved', at: NOW + 3_725_000, text: 'RESOLVED: missed-rate in app 1, after 1h 2m 5s' });
    expect(resolved?.id).not.toBe(fired?.id);
  });

  it('nothing while it is silenced', () => expect(messagesOfAlert({ ...alert, silenced: true })).toEqual([]));

  it('to those who want it', () => {
    const [message] = messagesOfAlert(alert);
    const events: Webhook['events'] = ['alert.fired'];
    expect(wants({ events }, message!)).toBe(true);
    expect(wants({ events, apps: ['2'] }, message!)).toBe(false);
    expect(wants({ events: ['alert.resolved'] }, message!)).toBe(false);
  });
});

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Got {
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver on this machine, whose answers are given by `answer`. */
async function receiver(
  answer: (response: ServerResponse, request: IncomingMessage, n: number) => void,
): Promise<{ url: string; got: Got[] }> {
  const got: Got[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      got.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      answer(response, request, got.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=hidden`, got };
}

const webhookOf = (url: string): Webhook => ({ name: 'w', url, secret: SECRET, events: ['alert.fired'], format: 'standard' });

function senderOf(url: string, options: { timeoutMs?: number; resolve?: () => Promise<ResolvedAddress[]> } = {}): Sender {
  const sender = new Sender(webhookOf(url), { clock, userAgent: 'callstream/test', ...options });
  closers.push(() => sender.close());
  return sender;
}

const signal = new AbortController().signal;
const message = testMessage('one', NOW);
const answerWith =
  (status: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    response.writeHead(status, headers).end('thanks');

describe('a request', () => {
  it('is one that its receiver can verify', async () => {
    const { url, got } = await receiver(answerWith(204));
    expect(await senderOf(url).send(message, signal)).toEqual({ kind: 'delivered', status: 204 });
    const { headers, body } = got[0]!;
    const key = Buffer.from('the key of a test, which is long');
    const signed = createHmac('sha256', key).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`).digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${signed}`);
    expect(headers).toMatchObject({
      'webhook-id': 'msg_one',
      'webhook-timestamp': '1700000000',
      'content-type': 'application/json',
      'user-agent': 'callstream/test',
    });
    expect(JSON.parse(body)).toEqual({
      type: 'test',
      timestamp: '2023-11-14T22:13:20.000Z',
      data: { note: 'sent by callstream alerts test' },
    });
  });

  it('that is redirected has failed, and goes nowhere else', async () => {
    const other = await receiver(answerWith(200));
    const { url } = await receiver(answerWith(307, { location: other.url }));
    expect(await senderOf(url).send(message, signal)).toEqual({
      kind: 'failed',
      why: 'the receiver answers 307, and redirects are not followed',
      retryAfter: null,
    });
    expect(other.got).toEqual([]);
  });

  it.each([
    [500, {}, { kind: 'failed', why: 'the receiver answers 500', retryAfter: null }],
    [429, { 'retry-after': '7' }, { kind: 'failed', why: 'the receiver answers 429', retryAfter: 7_000 }],
    [503, { 'retry-after': new Date(NOW + 60_000).toUTCString() }, { kind: 'failed', why: 'the receiver answers 503', retryAfter: 60_000 }],
    [503, { 'retry-after': '999999' }, { kind: 'failed', why: 'the receiver answers 503', retryAfter: 3_600_000 }],
    [503, { 'retry-after': 'soon' }, { kind: 'failed', why: 'the receiver answers 503', retryAfter: null }],
    [410, {}, { kind: 'gone', why: 'the receiver answers 410: it takes no more' }],
  ])('that is answered %i %j', async (status, headers, result) => {
    const { url } = await receiver(answerWith(status, headers));
    expect(await senderOf(url).send(message, signal)).toEqual(result);
  });

  it('whose answer is endless is over when enough of it has come', async () => {
    const { url } = await receiver((response) => {
      response.writeHead(200);
      const more = (): void => {
        if (!response.destroyed) response.write('x'.repeat(64 * 1024), () => setImmediate(more));
      };
      more();
    });
    expect(await senderOf(url).send(message, signal)).toEqual({ kind: 'delivered', status: 200 });
  });

  it('that is not answered fails in time', async () => {
    const { url } = await receiver(() => {});
    expect(await senderOf(url, { timeoutMs: 100 }).send(message, signal)).toEqual({
      kind: 'failed',
      why: 'no answer in time',
      retryAfter: null,
    });
  });

  it('to a name that leads inside is never made', async () => {
    const { url, got } = await receiver(answerWith(200));
    const { port } = new URL(url);
    const inside = senderOf(`https://h.example.com:${port}/`, { resolve: async () => [{ address: '127.0.0.1', family: 4 }] });
    expect(await inside.send(message, signal)).toEqual({
      kind: 'failed',
      why: 'its name leads to an address that webhooks may not go to',
      retryAfter: null,
    });
    expect(got).toEqual([]);
  });

  it('looks its name up once, and goes to the address that was checked', async () => {
    const { url, got } = await receiver(answerWith(200));
    let asked = 0;
    const sender = senderOf(url.replace('127.0.0.1', 'rebinding.localhost'), {
      resolve: async () => {
        asked += 1;
        return [{ address: asked === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }];
      },
    });
    expect(await sender.send(message, signal)).toEqual({ kind: 'delivered', status: 200 });
    expect([asked, got.length]).toEqual([1, 1]);
  });

  it('says nothing of URL or secret when it fails', async () => {
    const { url } = await receiver((response) => response.destroy());
    const result = await senderOf(url).send(message, signal);
    expect(result).toEqual({ kind: 'failed', why: 'the connection was cut', retryAfter: null });
  });
});

describe('a delivery', () => {
  const quick: Retry = { first: 1, longest: 2, giveUpAfter: 86_400_000 };

  function deliveryOf(send: (message: Message) => Promise<Awaited<ReturnType<Sender['send']>>>, now = () => NOW) {
    const metrics = createMetrics();
    const delivery = new Delivery({
      webhook: webhookOf('http://127.0.0.1:1/'),
      send,
      clock: { now },
      chance: { next: () => 0.5, nonce: () => '' },
      logger: silentLogger(),
      metrics,
      retry: quick,
    });
    return { delivery, metrics };
  }

  const failed = { kind: 'failed', why: 'the receiver answers 500', retryAfter: null } as const;
  const counted = async (metrics: ReturnType<typeof createMetrics>) =>
    Object.fromEntries((await metrics.callstream_webhook_requests_total.get()).values.map(({ labels, value }) => [labels.result, value]));

  it('tries until the message is taken', async () => {
    let left = 3;
    const { delivery, metrics } = deliveryOf(async () => (left-- > 0 ? failed : { kind: 'delivered', status: 200 }));
    expect(await delivery.deliver(message, NOW, signal)).toBeNull();
    expect(await counted(metrics)).toEqual({ failed: 3, delivered: 1 });
  });

  it('gives up when a failure comes a day after it was published, not before', async () => {
    let tries = 0;
    let now = NOW;
    const { delivery } = deliveryOf(
      async () => {
        tries += 1;
        if (tries === 4) now = NOW + quick.giveUpAfter;
        return failed;
      },
      () => now,
    );
    expect(await delivery.deliver(message, NOW, signal)).toEqual({
      reason: 'webhook_expired',
      error: 'w, test: the receiver answers 500; given up',
    });
    expect(tries).toBe(4);
  });

  it('tries once what is old already', async () => {
    const { delivery } = deliveryOf(async () => ({ kind: 'delivered', status: 200 }));
    expect(await delivery.deliver(message, NOW - 3 * quick.giveUpAfter, signal)).toBeNull();
  });

  it('ends where the receiver is gone', async () => {
    const { delivery } = deliveryOf(async () => ({ kind: 'gone', why: 'the receiver answers 410: it takes no more' }));
    expect(await delivery.deliver(message, NOW, signal)).toMatchObject({ reason: 'webhook_gone' });
  });

  it('has four requests under way at a time, and no place is lost to one that is called off', async () => {
    let [under, most] = [0, 0];
    const releases: (() => void)[] = [];
    const { delivery } = deliveryOf(async () => {
      under += 1;
      most = Math.max(most, under);
      await new Promise<void>((resolve) => releases.push(resolve));
      under -= 1;
      return { kind: 'delivered', status: 200 };
    });
    const off = new AbortController();
    const kept = [1, 2, 3, 4].map(() => delivery.deliver(message, NOW, signal));
    const calledOff = [1, 2, 3].map(() => delivery.deliver(message, NOW, off.signal));
    const late = delivery.deliver(message, NOW, signal);
    off.abort(new Error('off'));
    const all = Promise.allSettled([...kept, ...calledOff, late]);
    while (releases.length < 4) await new Promise((resolve) => setImmediate(resolve));
    for (const release of releases.splice(0)) release();
    while (releases.length < 1) await new Promise((resolve) => setImmediate(resolve));
    for (const release of releases.splice(0)) release();
    expect((await all).map(({ status }) => status)).toEqual([...Array(4).fill('fulfilled'), ...Array(3).fill('rejected'), 'fulfilled']);
    expect(most).toBe(4);
  });
});
