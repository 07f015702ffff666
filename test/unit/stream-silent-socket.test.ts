import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { ISocketFactory } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endSilent } from '../../src/stream/silent-socket.js';

const PROMPT_MS = 100;
const WAITING_MS = 400;
const LOOK_MS = 5;
const METADATA = 3;
const JOIN_GROUP = 11;
const opened: Socket[] = [];
const accepted: Socket[] = [];
let server: ReturnType<typeof createServer>;
let answers: boolean;
let brokers: ISocketFactory;

beforeEach(async () => {
  answers = true;
  brokers = endSilent(
    ({ host, port, onConnect }) => connect({ host, port }, onConnect),
    { promptMs: PROMPT_MS, waitingMs: WAITING_MS },
    LOOK_MS,
  );
  server = createServer((socket) => {
    accepted.push(socket);
    socket
      .on('error', () => {})
      .on('data', (bytes) => {
        if (answers) socket.write(bytes);
      });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  for (const socket of [...opened.splice(0), ...accepted.splice(0)]) socket.destroy();
  server.close();
  await once(server, 'close');
});

async function open(host = '127.0.0.1'): Promise<Socket> {
  const { port } = server.address() as AddressInfo;
  const socket = brokers({ host, port, ssl: {}, onConnect: () => {} });
  opened.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

function request(kind: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeInt32BE(6, 0);
  bytes.writeInt16BE(kind, 4);
  return bytes;
}

async function ask(socket: Socket, kind = METADATA): Promise<void> {
  socket.write(request(kind));
  await once(socket, 'data');
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a connection to a broker', () => {
  it('ends when what was asked stays without an answer, however often it is asked again', async () => {
    const socket = await open();
    await ask(socket);
    answers = false;
    socket.write(request(METADATA));
    const asking = setInterval(() => socket.write(request(METADATA)), 10);
    const asked = performance.now();
    const [error] = await once(socket, 'error');
    clearInterval(asking);
    expect(String(error)).toContain(`said nothing for ${PROMPT_MS} ms`);
    expect(performance.now() - asked).toBeGreaterThan(PROMPT_MS - LOOK_MS);
    expect(socket.destroyed).toBe(true);
  });

  it('may be idle for as long as it likes', async () => {
    const idle = await open();
    const answered = await open();
    await ask(answered);
    await later(2 * PROMPT_MS);
    expect([idle.destroyed, answered.destroyed]).toEqual([false, false]);
  });

  it('has longer for what waits for others, whatever is asked behind it', async () => {
    const joining = await open();
    answers = false;
    joining.write(request(JOIN_GROUP));
    joining.write(request(METADATA));
    const asked = performance.now();
    const [error] = await once(joining, 'error');
    expect(String(error)).toContain(`said nothing for ${WAITING_MS} ms`);
    expect(performance.now() - asked).toBeGreaterThan(WAITING_MS - LOOK_MS);
  });

  it('takes with it those to the same broker that have heard nothing since, and no others', async () => {
    const idle = await open();
    const elsewhere = await open('localhost');
    const joining = await open();
    const silent = await open();
    await later(4 * LOOK_MS);
    answers = false;
    joining.write(request(JOIN_GROUP));
    silent.write(request(METADATA));
    await later(4 * LOOK_MS);
    const fresh = await open();
    await once(silent, 'error');
    expect([idle, joining, elsewhere, fresh].map(({ destroyed }) => destroyed)).toEqual([true, true, false, false]);
  });

  it('is not silent while this process itself stood still', async () => {
    const socket = await open();
    const answered = once(socket, 'data');
    socket.write(request(METADATA));
    const until = performance.now() + 3 * PROMPT_MS;
    while (performance.now() < until);
    await answered;
    expect(socket.destroyed).toBe(false);
  });
});
