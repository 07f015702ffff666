import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClients } from '../../src/stream/client.js';
import { silentLogger } from '../../src/telemetry/log.js';

const FIND_COORDINATOR = 10;
const API_VERSIONS = 18;

const int16 = (n: number) => Buffer.from([n >> 8, n & 0xff]);
const int32 = (n: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(n);
  return bytes;
};
const framed = (...parts: Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length), body]);
};

/** A broker of few words: says which versions it knows of two requests, and names itself as the only broker. */
class TinyBroker {
  readonly #server: Server = createServer((socket) => this.#serve(socket));
  connections = 0;
  /** Of the next answer to a question for brokers only so many bytes are sent; then the connection is reset. */
  tearAfter: number | null = null;

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this.port;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    let bytes = Buffer.alloc(0);
    socket
      .on('error', () => {})
      .on('data', (piece) => {
        bytes = Buffer.concat([bytes, piece]);
        while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
          const end = 4 + bytes.readInt32BE(0);
          void this.#answer(socket, bytes.readInt16BE(4), bytes.readInt32BE(8));
          bytes = bytes.subarray(end);
        }
      });
  }

  async #answer(socket: Socket, apiKey: number, correlation: number): Promise<void> {
    if (apiKey === API_VERSIONS) {
      const versions = [FIND_COORDINATOR, API_VERSIONS].flatMap((key) => [int16(key), int16(0), int16(0)]);
      socket.write(framed(int32(correlation), int16(0), int32(2), ...versions));
      return;
    }
    const host = Buffer.from('127.0.0.1');
    const answer = framed(int32(correlation), int16(0), int32(1), int16(host.length), host, int32(this.port));
    if (this.tearAfter === null) {
      socket.write(answer);
      return;
    }
    socket.write(answer.subarray(0, this.tearAfter));
    this.tearAfter = null;
    await delay(20);
    socket.resetAndDestroy();
  }
}

let broker: TinyBroker;
beforeEach(async () => {
  broker = new TinyBroker();
  await broker.listen();
});
afterEach(() => broker.close());

interface Asking {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(question: { groupId: string; coordinatorType: number }): Promise<{ coordinator: { nodeId: number } }>;
}

/** kafkajs's connections to the broker, without what it does with them. */
async function connected(): Promise<Asking> {
  const { createRequire } = await import('node:module');
  const require = createRequire(import.meta.url);
  createClients({ brokers: [`127.0.0.1:${broker.port}`] }, silentLogger());
  const Broker = require('kafkajs/src/broker/index.js');
  const ConnectionPool = require('kafkajs/src/network/connectionPool.js');
  const socketFactory = require('kafkajs/src/network/socketFactory.js')();
  const quiet = { debug() {}, info() {}, warn() {}, error() {}, namespace: () => quiet };
  const options = { host: '127.0.0.1', port: broker.port, logger: quiet, socketFactory, requestTimeout: 1_000, connectionTimeout: 1_000 };
  const client = new Broker({ connectionPool: new ConnectionPool(options), logger: quiet }) as Asking;
  await client.connect();
  return client;
}
const question = { groupId: 'g', coordinatorType: 0 };

describe('a connection of kafkajs', () => {
  it.each([1, 4, 9, 20])('that is torn %i bytes into an answer is understood when it is opened anew', async (bytes) => {
    const client = await connected();
    broker.tearAfter = bytes;
    await expect(client.findGroupCoordinator(question)).rejects.toThrow();
    for (let i = 0; i < 3; i += 1) expect((await client.findGroupCoordinator(question)).coordinator.nodeId).toBe(1);
    await client.disconnect();
  });

  it('is opened once, whoever asks for it at the same time', async () => {
    const client = await connected();
    broker.tearAfter = 1;
    await expect(client.findGroupCoordinator(question)).rejects.toThrow();
    const before = broker.connections;
    await Promise.all(Array.from({ length: 5 }, () => client.findGroupCoordinator(question)));
    expect(broker.connections).toBe(before + 1);
    await client.disconnect();
  });
});
