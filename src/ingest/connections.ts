import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  maxConnections: number;
  /** Of bodies that are being received, by what they say of their length. */
  maxReceivingBytes: number;
}

/** Why a connection was closed for the sake of others: a label of metrics. */
export type Crowding = 'connections' | 'bodies';

/** One request whose body may come: it has passed everything that can be checked before. */
export interface Visit {
  /** The body is here. */
  received(): void;
  /** It was taken: its connection has proven to be good for something. */
  served(): void;
  /** Answered, whatever the answer, or gone. */
  over(): void;
}

interface Coming {
  socket: Socket;
  /** At most. */
  bytes: number;
  /** The body is here and waits to be durable. */
  waits: boolean;
}

/**
 * The open connections of a server. Whoever holds them open without a callback must not keep out those who have one: a newcomer beyond the limit takes the
 * place of the connection that has waited longest without a callback taken, then of the one whose last was taken longest ago. A connection whose body
 * is here and waits to be durable is never closed. Likewise, a body that would exceed the bound of all takes the place of the one that has been coming longest.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #onDropped: (reason: Crowding) => void;
  /** Without a callback taken so far, oldest first. */
  readonly #strangers = new Map<Socket, Set<Coming>>();
  /** The others, the one last served at the end. */
  readonly #known = new Map<Socket, Set<Coming>>();
  /** Bodies on their way, oldest first. */
  readonly #receiving = new Set<Coming>();
  #receivingBytes = 0;

  constructor(limits: ConnectionLimits, onDropped: (reason: Crowding) => void) {
    this.#limits = limits;
    this.#onDropped = onDropped;
  }

  /** Takes charge of the connections that the server will have. */
  attach(server: Server): void {
    server.on('connection', (socket: Socket) => this.#admit(socket));
  }

  /** Closes those that have not sent anything: Node counts a connection as idle only after its first request. */
  closeSilent(): void {
    for (const socket of this.#strangers.keys()) if (socket.bytesRead === 0) socket.destroy();
  }

  /** A request begins. @param bytes at most so many will come */
  begin(socket: Socket, bytes: number): Visit {
    const coming: Coming = { socket, bytes, waits: false };
    const requests = this.#strangers.get(socket) ?? this.#known.get(socket);
    requests?.add(coming);
    this.#receiving.add(coming);
    this.#receivingBytes += bytes;
    for (const slow of this.#receiving) {
      if (this.#receivingBytes <= this.#limits.maxReceivingBytes || slow === coming) break;
      this.#drop(slow.socket, 'bodies');
    }
    return {
      received: () => {
        this.#arrived(coming);
        coming.waits = true;
      },
      served: () => {
        if (requests === undefined || !(this.#strangers.delete(socket) || this.#known.delete(socket))) return;
        this.#known.set(socket, requests);
      },
      over: () => {
        this.#arrived(coming);
        requests?.delete(coming);
      },
    };
  }

  #admit(socket: Socket): void {
    this.#strangers.set(socket, new Set());
    socket.once('close', () => this.#gone(socket));
    if (this.#strangers.size + this.#known.size <= this.#limits.maxConnections) return;
    this.#drop(this.#leastMissed(socket) ?? socket, 'connections');
  }

  #leastMissed(newcomer: Socket): Socket | undefined {
    for (const among of [this.#strangers, this.#known])
      for (const [socket, requests] of among) if (socket !== newcomer && ![...requests].some(({ waits }) => waits)) return socket;
    return undefined;
  }

  #drop(socket: Socket, reason: Crowding): void {
    this.#gone(socket);
    socket.destroy();
    this.#onDropped(reason);
  }

  #gone(socket: Socket): void {
    for (const coming of this.#strangers.get(socket) ?? this.#known.get(socket) ?? []) this.#arrived(coming);
    this.#strangers.delete(socket);
    this.#known.delete(socket);
  }

  #arrived(coming: Coming): void {
    if (this.#receiving.delete(coming)) this.#receivingBytes -= coming.bytes;
  }
}
