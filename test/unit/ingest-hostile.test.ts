import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { gate, type Harness, startHarness, until } from './ingest-kit.js';

/*
 * The webhook server over real sockets, against senders that mean no good: a clear 4xx or a closed connection, nothing taken that nobody meant to send,
 * and everybody else served meanwhile.
 */

let harness: Harness | undefined;
const sockets: Socket[] = [];
const start = async (...args: Parameters<typeof startHarness>): Promise<Harness> => {
  harness = await startHarness(...args);
  return harness;
};
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await harness?.close();
  harness = undefined;
});

const PATH = '/callbacks/vendor?app=app';
const HEAD = `POST ${PATH} HTTP/1.1\r\nHost: x\r\n`;

interface Peer {
  socket: Socket;
  answer: string;
  closed: boolean;
}

async function open(port: number, bytes: string | Buffer = ''): Promise<Peer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  sockets.push(socket);
  const peer: Peer = { socket, answer: '', closed: false };
  socket.on('data', (data) => {
    peer.answer += data.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.on('end', () => {
    peer.closed = true;
    socket.destroy();
  });
  socket.on('close', () => {
    peer.closed = true;
  });
  await once(socket, 'connect');
  if (bytes.length > 0) socket.write(bytes);
  return peer;
}

/** 64 MiB of zeros. */
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));

const status = (answer: string): number[] => [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]));
const chunked = (...chunks: string[]): string => chunks.map((c) => `${c.length.toString(16)}\r\n${c}\r\n`).join('');

describe('requests that two servers might read differently', () => {
  const smuggled = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nsmuggled`;

  it.each([
    ['a length and chunks', `${HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['chunks and a length', `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`],
    ['two lengths', `${HEAD}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde${smuggled}`],
    ['a list of lengths', `${HEAD}Content-Length: 4, 5\r\n\r\nabcde${smuggled}`],
    ['a negative length', `${HEAD}Content-Length: -1\r\n\r\n${smuggled}`],
    ['a length with a sign', `${HEAD}Content-Length: +4\r\n\r\nabcd${smuggled}`],
    ['a length beyond all numbers', `${HEAD}Content-Length: ${'9'.repeat(40)}\r\n\r\n${smuggled}`],
    ['chunks that are not last', `${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`],
    ['an encoding like chunks', `${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['a blank before the colon', `${HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['a chunk without a size', `${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n${smuggled}`],
    ['a chunk of absurd size', `${HEAD}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(17)}\r\n${smuggled}`],
    ['a chunk longer than it says', `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n${smuggled}`],
    ['a NUL in a header', `${HEAD}X: a\0b\r\nContent-Length: 0\r\n\r\n${smuggled}`],
    ['lines that end in CR alone', `${HEAD}X: a\rContent-Length: 0\r\n\r\n${smuggled}`],
  ])('%s: refused, and nothing behind it is read', async (_what, bytes) => {
    const { ingest, kafka } = await start();
    const peer = await open(ingest.port, bytes);
    await until(() => peer.closed);
    expect(status(peer.answer)).toEqual([400]);
    expect(kafka.bodies.filter((body) => body.includes('smuggled'))).toEqual([]);
  });

  it('chunks with extensions, trailers and odd cuts are one body', async () => {
    const { ingest, kafka } = await start();
    const text = `${HEAD}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2;name="v"\r\nab\r\n3\r\ncde\r\n0\r\nX: y\r\n\r\n`;
    const peer = await open(ingest.port);
    for (const byte of text) {
      peer.socket.write(byte);
      await new Promise(setImmediate);
    }
    await until(() => peer.closed);
    expect([status(peer.answer), kafka.bodies]).toEqual([[200], ['abcde']]);
  });
});

describe('what is no request for us', () => {
  it.each<[string, string | Buffer, number[]]>([
    ['a greeting of TLS', Buffer.from('16030100c8010000c40303', 'hex'), [400]],
    ['a preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]],
    ['HTTP/0.9', `POST ${PATH}\r\n\r\n`, [400]],
    ['no host', `POST ${PATH} HTTP/1.1\r\nContent-Length: 1\r\n\r\nc`, [400]],
    ['any bytes', Buffer.from(Array.from({ length: 2_000 }, (_, i) => (i * 131) % 256)), [400]],
    ['headers without end', `${HEAD}X: ${'a'.repeat(20_000)}`, [431]],
    ['thousands of headers', `${HEAD}${'X: y\r\n'.repeat(10_000)}`, [431]],
    ['a query without end', `POST ${PATH}&${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, [431]],
    ['an expectation that nobody knows', `${HEAD}Expect: miracles\r\nConnection: close\r\nContent-Length: 1\r\n\r\nc`, [417]],
    ['a tunnel', 'CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n', []],
    [
      'another server',
      'POST http://10.0.0.1/callbacks/vendor?app=no HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nc',
      [403],
    ],
    [
      'a path that climbs',
      'POST /callbacks/../callbacks/vendor?app=app HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nc',
      [404],
    ],
  ])('%s', async (_what, bytes, expected) => {
    const { ingest, kafka, post } = await start();
    const peer = await open(ingest.port, bytes);
    await until(() => peer.closed);
    expect(status(peer.answer)).toEqual(expected);
    expect((await post(PATH, 'good')).status).toBe(200);
    expect(kafka.bodies).toEqual(['good']);
  });

  it.each(['gzip', 'deflate', 'br', 'zstd', 'gzip, gzip', 'x-gzip'])('a body packed with %s is refused unopened', async (encoding) => {
    const { post, kafka } = await start();
    const before = process.memoryUsage().arrayBuffers;
    expect((await post(PATH, bomb, { 'content-encoding': encoding })).status).toBe(415);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    expect(kafka.bodies).toEqual([]);
  });
});

describe('odd, but honest', () => {
  it('a sender that waits to be told to go on', async () => {
    const { ingest, kafka } = await start();
    const peer = await open(ingest.port, `${HEAD}Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n`);
    await until(() => peer.answer.includes('100 Continue'));
    peer.socket.write('c1');
    await until(() => peer.closed);
    expect([status(peer.answer), kafka.bodies]).toEqual([[100, 200], ['c1']]);
  });

  it('a sender that closes its half before the answer is told nothing, least of all success', async () => {
    const { ingest, post } = await start();
    const peer = await open(ingest.port, `${HEAD}Content-Length: 2\r\n\r\nc1`);
    peer.socket.end();
    await until(() => peer.closed);
    expect(status(peer.answer)).toEqual([]);
    expect((await post(PATH, 'good')).status).toBe(200);
  });

  it('a sender that leaves in the middle of its body leaves nothing', async () => {
    const { ingest, kafka, post } = await start();
    const peer = await open(ingest.port, `${HEAD}Content-Length: 20\r\n\r\nhalf`);
    peer.socket.end();
    await until(() => peer.closed);
    expect((await post(PATH, 'good')).status).toBe(200);
    expect(kafka.bodies).toEqual(['good']);
  });

  it('an upgrade is a callback like any other', async () => {
    const { ingest, kafka } = await start();
    const peer = await open(ingest.port, `${HEAD}Connection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nc1`);
    await until(() => peer.closed);
    expect([status(peer.answer), kafka.bodies]).toEqual([[200], ['c1']]);
  });
});

describe('a crowd', () => {
  it('of idle connections, far more than there is room for, keeps nobody out', async () => {
    const metrics = createMetrics();
    const { ingest, kafka, post } = await start({ limits: { maxConnections: 40 } }, { metrics });
    const crowd: Peer[] = [];
    for (let round = 0; round < 10; round++) {
      crowd.push(...(await Promise.all(Array.from({ length: 50 }, (_, i) => open(ingest.port, i % 2 === 0 ? '' : 'POST ')))));
      expect((await post(PATH, `good ${round}`)).status).toBe(200);
    }
    await until(() => crowd.filter((peer) => !peer.closed).length <= 40);
    expect(kafka.bodies).toHaveLength(10);
    const dropped = /callstream_ingest_connections_dropped_total\{reason="connections"\} (\d+)/.exec(await metrics.registry.metrics());
    expect(Number(dropped?.[1])).toBeGreaterThanOrEqual(460);
  });

  it('takes the place of strangers first, of those served longest ago next, and of nobody who waits for an acknowledgement', async () => {
    const send = gate();
    let held = false;
    const { ingest, kafka } = await start(
      { limits: { maxConnections: 3 } },
      { fault: (point) => (held && point === 'kafka:before-send' ? send.pass() : undefined) },
    );
    const request = `${HEAD}Content-Length: 2\r\n\r\nc`;
    const [first, second] = [await open(ingest.port, `${request}1`), await open(ingest.port)];
    await until(() => status(first.answer).length === 1);
    second.socket.write(`${request}2`);
    await until(() => status(second.answer).length === 1);
    const stranger = await open(ingest.port);
    const third = await open(ingest.port);
    await until(() => stranger.closed);
    expect([first.closed, second.closed, third.closed]).toEqual([false, false, false]);
    // Of two that are served, the one that waits for Kafka stays, though its last answer is the older.
    held = true;
    first.socket.write(`${request}3`);
    await until(() => send.reached);
    const newcomers = [await open(ingest.port), await open(ingest.port), await open(ingest.port)];
    await until(() => newcomers.filter((peer) => !peer.closed).length <= 2);
    expect(first.closed).toBe(false);
    send.open();
    await until(() => status(first.answer).length === 2);
    expect(status(first.answer)).toEqual([200, 200]);
    expect(kafka.bodies).toEqual(['c1', 'c2', 'c3']);
  });

  it('of bodies that never end costs no more memory than there is for them', async () => {
    const metrics = createMetrics();
    const limit = 256 * 1024;
    const { ingest, kafka, post } = await start({ limits: { maxReceivingBytes: 8 * limit } }, { metrics });
    const slow: Peer[] = [];
    for (let i = 0; i < 40; i++) {
      const framing =
        i % 2 === 0
          ? `Content-Length: ${limit}\r\n\r\n${'x'.repeat(100_000)}`
          : `Transfer-Encoding: chunked\r\n\r\n${chunked('x'.repeat(100_000))}`;
      slow.push(await open(ingest.port, `${HEAD}${framing}`));
    }
    await until(() => slow.filter((peer) => !peer.closed).length <= 8);
    expect((await post(PATH, 'good')).status).toBe(200);
    expect(slow.slice(-7).every((peer) => !peer.closed)).toBe(true);
    expect(kafka.bodies).toEqual(['good']);
    expect(await metrics.registry.metrics()).toMatch(/callstream_ingest_connections_dropped_total\{reason="bodies"\} 3[2-4]/);
  });

  it('of bodies that were received takes no room from those to come', async () => {
    const { ingest, post } = await start({ limits: { maxReceivingBytes: 256 * 1024 } });
    const peer = await open(ingest.port);
    for (let i = 1; i <= 5; i++) {
      peer.socket.write(`${HEAD}Content-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`);
      await until(() => status(peer.answer).length === i);
      expect((await post(PATH, Buffer.alloc(200_000))).status).toBe(200);
      expect((await post(PATH, Buffer.alloc(300_000))).status).toBe(413);
    }
    expect([peer.closed, status(peer.answer)]).toEqual([false, [200, 200, 200, 200, 200]]);
  });

  it('that trickles its headers and bodies is let go, and others are served meanwhile', async () => {
    const { ingest, post, kafka } = await start({ limits: { headersTimeoutMs: 300, requestTimeoutMs: 600 } });
    const begun = Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? HEAD : `${HEAD}Content-Length: 5000\r\n\r\n`));
    const slow = await Promise.all(begun.map((bytes) => open(ingest.port, bytes)));
    const trickle = setInterval(() => {
      for (const { socket } of slow) if (socket.writable) socket.write('x: y\r\n');
    }, 20);
    let served = 0;
    while (slow.some((peer) => !peer.closed)) {
      expect((await post(PATH, 'good')).status).toBe(200);
      served++;
    }
    clearInterval(trickle);
    expect(new Set(slow.map((peer) => status(peer.answer).join()))).toEqual(new Set(['408']));
    expect(kafka.bodies.every((body) => body === 'good') && kafka.bodies.length === served).toBe(true);
  });
});
