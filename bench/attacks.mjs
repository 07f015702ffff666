/**
 * One kind of attack on ingest, in a process of its own: `node attacks.mjs KIND PORT APP`. Its rate is bounded, so that it is the server that is measured
 * and not two cores that are shared. Says when it is under way, and, asked by a message, how many connections and requests it has made so far.
 */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { Pool } from 'undici';

const BODY_BYTES = 255 * 1024;
let made = 0;
const filled = (unit) => unit.repeat(Math.floor(BODY_BYTES / unit.length));

/** By kind: what it is in words, and what starts it. */
export const ATTACKS = {
  idle: {
    what: '10,000 silent connections, 500 opened a second',
    start: (at) => hold(at, { connections: 10_000, perSecond: 500, open: () => {} }),
  },
  'slow headers': {
    what: '200 connections with a header line each half second',
    start: (at) => hold(at, { connections: 200, perSecond: 50, open: (socket) => trickle(socket, at.head, 'x: y\r\n') }),
  },
  'slow bodies': {
    what: '200 connections with 200 kB of a body and a byte each half second',
    start: (at) =>
      hold(at, {
        connections: 200,
        perSecond: 50,
        open: (socket) => trickle(socket, `${at.head}Content-Length: 250000\r\n\r\n${'x'.repeat(200_000)}`, 'x'),
      }),
  },
  'gzip bombs': {
    what: '100 a second that unpack to 64 MB',
    start: (at) =>
      post(at, { perSecond: 100, path: at.signed, body: gzipSync(Buffer.alloc(64 << 20)), headers: { 'content-encoding': 'gzip' } }),
  },
  'deep JSON': {
    what: '50 a second, 255 KiB of brackets',
    start: (at) => post(at, { perSecond: 50, path: '/callbacks/tiw', body: filled('[') }),
  },
  pipelining: {
    what: '1,000 refused requests a second, 100 in one write',
    start: (at) =>
      hold(at, {
        connections: 20,
        perSecond: 20,
        open: (socket) =>
          trickle(socket, '', 'POST /callbacks/tuicallkit?sdkappid=0 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'.repeat(100), 2_000),
      }),
  },
  garbage: {
    what: '200 connections a second with bytes that are no HTTP',
    start: (at) => hold(at, { connections: 200, perSecond: 200, open: (socket) => socket.write(Buffer.alloc(4_096, 0x9b)) }),
  },
  'unsigned TIW': {
    what: '50 a second, 255 KiB of numbers with a forged Sign',
    start: (at) =>
      post(at, {
        perSecond: 50,
        path: '/callbacks/tiw',
        body: `{"SdkAppId":${at.app},"Sign":"x","ExpireTime":"9999999999","a":[${filled('1e99,')}1]}`,
      }),
  },
  'unsigned Aliyun': {
    what: "50 a second, 255 KiB of numbers for a stranger's app",
    start: (at) => post(at, { perSecond: 50, path: '/callbacks/aliyun-rtc', body: `{"AppId":"stranger","a":[${filled('1e99,')}1]}` }),
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [kind, port, app] = process.argv.slice(2);
  const head = `POST /callbacks/tuicallkit?sdkappid=${app} HTTP/1.1\r\nHost: x\r\n`;
  const at = { port: Number(port), app, head, signed: `/callbacks/tuicallkit?sdkappid=${app}` };
  for (const name of kind === 'all' ? Object.keys(ATTACKS) : [kind]) ATTACKS[name].start(at);
  await delay(2_000);
  process.send('under way');
  process.on('message', () => process.send({ made }));
}

/** Keeps so many connections open, and opens no more than so many in any second. */
function hold({ port }, { connections, perSecond, open }) {
  const held = new Set();
  const each = 50;
  setInterval(() => {
    for (let n = 0; n < (perSecond * each) / 1_000 && held.size < connections; n++) {
      const socket = connect(port, '127.0.0.1');
      held.add(socket);
      made++;
      socket.on('error', () => {});
      socket.on('close', () => held.delete(socket));
      socket.resume();
      open(socket);
    }
  }, each);
}

function trickle(socket, first, then, everyMs = 500) {
  socket.write(first);
  const timer = setInterval(() => {
    socket.write(then);
    made++;
  }, everyMs);
  socket.on('close', () => clearInterval(timer));
}

function post({ port }, { perSecond, path, body, headers = {} }) {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 16 });
  setInterval(() => {
    made++;
    pool
      .request({ method: 'POST', path, body, headers })
      .then((answer) => answer.body.dump())
      .catch(() => {});
  }, 1_000 / perSecond);
}
