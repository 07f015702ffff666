import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Whether a piece of what a client sends begins the request that a fault is meant for. */
export type Matches = (piece: Buffer) => boolean;

/** A Kafka request begins with its size and its API key. kafkajs writes each request by itself. */
const isRequest =
  (apiKey: number): Matches =>
  (piece) =>
    piece.length > 6 && piece.readInt16BE(4) === apiKey;
export const isProduce = isRequest(0);
export const isFindCoordinator = isRequest(10);
const isJoinGroup = isRequest(11);
/** A member joins its group by the name that the coordinator has given it: the name follows client, group and two timeouts. */
export const isJoinByName: Matches = (piece) => {
  if (!isJoinGroup(piece)) return false;
  const client = 12;
  const group = client + 2 + piece.readInt16BE(client);
  return piece.readInt16BE(group + 2 + piece.readInt16BE(group) + 8) > 0;
};
/** A ClickHouse insert into a table, over HTTP. */
export const isInsertInto =
  (table: string): Matches =>
  (piece) =>
    piece.includes(`INSERT+INTO+${table}`) || piece.includes(`INSERT%20INTO%20${table}`) || piece.includes(`INSERT INTO ${table}`);

interface Once {
  left: number;
  matches: Matches;
  /** Bytes of the answer that still come through; then both ends are torn off. */
  cutAfter?: number;
  /** Said to the client in the server's place, which never sees the request. */
  answer?: Buffer;
}

/** One client's connection and the server's end of it. */
interface Pair {
  client: Socket;
  upstream: Socket | null;
  /** Nothing comes through any more, and nobody is told. */
  dead: boolean;
  /** The answer under way is cut after so many bytes. */
  cutIn: number | null;
}

/**
 * Stands between a client and a server on loopback and does to their connections what networks do: delays, narrows, tears and hangs them.
 * Knows nothing of protocols; what a fault is meant for, the test says.
 */
export class TcpProxy {
  readonly #target: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #planned: Once[] = [];
  #hanging = false;
  /** Before each piece of an answer is passed on. */
  delayMs = 0;
  /** Of answers, for each connection. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  /** Answers that were cut. */
  cuts = 0;
  /** Requests that were answered in the server's place. */
  answered = 0;
  /** Connections that were accepted and never answered, or stopped answering. */
  hung = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => void this.#accept(client));
  }

  /** @param target port of 127.0.0.1 that need not be open yet; @param port 0 takes a free one */
  static async listen(target: number, port = 0): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(port, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** The next `times` requests that match reach the server; of each answer `afterBytes` bytes come through, and then the connection is gone. Tells how many are left. */
  cutAnswers(matches: Matches, { times = 1, afterBytes = 0 } = {}): { readonly left: number } {
    const planned: Once = { left: times, matches, cutAfter: afterBytes };
    this.#planned.push(planned);
    return planned;
  }

  /** The next `times` requests that match are answered in the server's place. */
  answerInstead(matches: Matches, answer: string, times = 1): void {
    this.#planned.push({ left: times, matches, answer: Buffer.from(answer) });
  }

  /** Faults planned and not yet met are called off. */
  forget(): void {
    this.#planned = [];
  }

  /** Half-open: every connection there is, and every new one until `resume`, takes what it is sent and never answers. */
  hang(): void {
    this.#hanging = true;
    for (const pair of this.#pairs) this.#kill(pair);
  }

  /** New connections work again; those that hang never will. */
  resume(): void {
    this.#hanging = false;
  }

  /** Tears every connection, with a reset. */
  reset(): void {
    for (const pair of this.#pairs) this.#tear(pair);
  }

  async close(): Promise<void> {
    this.reset();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #accept(client: Socket): Promise<void> {
    const pair: Pair = { client, upstream: null, dead: false, cutIn: null };
    this.#pairs.add(pair);
    client.on('error', () => {}).once('close', () => this.#gone(pair));
    if (this.#hanging) this.#kill(pair);
    else {
      pair.upstream = connect({ host: '127.0.0.1', port: this.#target });
      pair.upstream.on('error', () => {}).once('close', () => this.#gone(pair));
      void this.#answers(pair, pair.upstream).catch(() => this.#gone(pair));
    }
    await this.#requests(pair).catch(() => this.#gone(pair));
  }

  async #requests(pair: Pair): Promise<void> {
    for await (const piece of pair.client as AsyncIterable<Buffer>) {
      if (pair.dead) continue;
      const planned = this.#planned.find(({ left, matches }) => left > 0 && matches(piece));
      if (planned !== undefined) {
        planned.left -= 1;
        if (planned.answer !== undefined) {
          this.answered += 1;
          pair.client.end(planned.answer);
          pair.dead = true;
          continue;
        }
        pair.cutIn = planned.cutAfter ?? 0;
      }
      await write(pair.upstream as Socket, piece);
    }
    if (!pair.dead) pair.upstream?.end();
  }

  async #answers(pair: Pair, upstream: Socket): Promise<void> {
    for await (const piece of upstream as AsyncIterable<Buffer>) {
      if (pair.dead) continue;
      const wait = this.delayMs + (piece.length / this.bytesPerSecond) * 1_000;
      if (wait > 0) await delay(wait);
      if (pair.dead) continue;
      if (pair.cutIn !== null && piece.length >= pair.cutIn) {
        await write(pair.client, piece.subarray(0, pair.cutIn));
        this.cuts += 1;
        this.#tear(pair);
        return;
      }
      if (pair.cutIn !== null) pair.cutIn -= piece.length;
      await write(pair.client, piece);
    }
    if (!pair.dead) pair.client.end();
  }

  #kill(pair: Pair): void {
    if (pair.dead) return;
    pair.dead = true;
    this.hung += 1;
    pair.upstream?.destroy();
  }

  #tear(pair: Pair): void {
    pair.dead = true;
    pair.upstream?.destroy();
    pair.client.resetAndDestroy();
  }

  /** One end is gone: so is the other, unless it hangs, for then nobody is told. */
  #gone(pair: Pair): void {
    if (!pair.client.destroyed && pair.dead) return;
    pair.client.destroy();
    pair.upstream?.destroy();
    this.#pairs.delete(pair);
  }
}

async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (bytes.length === 0 || socket.destroyed) return;
  if (!socket.write(bytes)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
}
