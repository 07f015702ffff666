import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { ISocketFactory } from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endSilent } from '../../src/stream/silent-socket.js';

const LIMIT_MS = 100;
let server: ReturnType<typeof createServer>;
let answers: boolean;
const accepted: Socket[] = [];

beforeEach(async () => {
  answers = true;
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
  for (const socket of accepted.splice(0)) socket.destroy();
  server.close();
  await once(server, 'close');
});

async function open(): Promise<Socket> {
  const { port } = server.address() as AddressInfo;
  const plain: ISocketFactory = ({ onConnect }) => connect({ host: '127.0.0.1', port }, onConnect);
  const socket = endSilent(plain, LIMIT_MS, 5)({ host: '', port, ssl: {}, onConnect: () => {} });
  await once(socket, 'connect');
  return socket;
}

describe('a connection to a broker', () => {
  it('ends when what was asked stays without an answer, however often it is asked again', async () => {
    const socket = await open();
    socket.write('one');
    await once(socket, 'data');
    answers = false;
    const asking = setInterval(() => socket.write('again'), 10);
    const asked = performance.now();
    const [error] = await once(socket, 'error');
    clearInterval(asking);
    expect(String(error)).toContain('said nothing for 100 ms');
    expect(performance.now() - asked).toBeGreaterThan(LIMIT_MS - 15);
    expect(socket.destroyed).toBe(true);
  });

  it('may be idle for as long as it likes', async () => {
    const idle = await open();
    const answered = await open();
    answered.write('one');
    await once(answered, 'data');
    const asked = await open();
    answers = false;
    asked.write('one');
    await once(asked, 'error');
    expect([idle.destroyed, answered.destroyed]).toEqual([false, false]);
    idle.destroy();
    answered.destroy();
  });
});
