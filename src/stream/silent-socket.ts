import type { Socket } from 'node:net';
import type { ISocketFactory } from 'kafkajs';

/** How long nothing may come back before a connection counts as silent. */
export interface Patience {
  /** For what a broker answers by itself. */
  promptMs: number;
  /** For what it answers when others have done their part. */
  waitingMs: number;
}

/**
 * API keys of the requests whose answer waits for others (https://kafka.apache.org/protocol): Produce and the steps of a transaction for the replicas,
 * JoinGroup and SyncGroup for the members of the group, 15 s at most.
 */
const WAITING_KINDS: ReadonlySet<number> = new Set([0, 11, 14, 22, 24, 25, 26]);
/** A request begins with its length (4 bytes) and its API key (2 bytes). */
const KIND_AT = 4;
const PATIENCE: Patience = { promptMs: 10_000, waitingMs: 20_000 };
const LOOK_EVERY_MS = 1_000;

/** A connection, timed in looks. */
interface Line {
  peer: string;
  socket: Socket;
  /** When something last came, or when it was opened. */
  heardAt: number;
  /** Since when something asked has had no answer at all. */
  askedAt: number | null;
  patienceMs: number;
}

/**
 * Ends connections whose peer has gone silent: something was written, and for as long as `patience` says nothing has come back. kafkajs gives up on a request
 * after its timeout and sends the next one by the same connection; where the other end is gone without a word (a cable, a firewall, a frozen host),
 * a consumer would go on like that for minutes. With a connection go all others to the same peer that have heard nothing since before it was asked: they would
 * be found dead one after the other, each when it is used next. An idle connection may otherwise be as silent as it likes.
 *
 * Time is counted in looks, so that a process that was frozen itself, and has not listened, blames nobody.
 */
export function endSilent(open: ISocketFactory, patience: Patience = PATIENCE, lookEveryMs = LOOK_EVERY_MS): ISocketFactory {
  const lines = new Set<Line>();
  let looks = 0;
  let looking: NodeJS.Timeout | undefined;
  const look = (): void => {
    looks += 1;
    for (const { peer, askedAt, patienceMs } of [...lines]) {
      if (askedAt === null || (looks - askedAt) * lookEveryMs <= patienceMs) continue;
      for (const line of lines) {
        if (line.peer !== peer || line.heardAt > askedAt) continue;
        lines.delete(line);
        line.socket.destroy(new Error(`the broker has said nothing for ${patienceMs} ms`));
      }
    }
  };
  return (args) => {
    const socket = open(args);
    const line: Line = { peer: `${args.host}:${args.port}`, socket, heardAt: looks, askedAt: null, patienceMs: 0 };
    const write = socket.write;
    socket.write = ((...parts: Parameters<typeof write>) => {
      const ms = WAITING_KINDS.has(kindOf(parts[0])) ? patience.waitingMs : patience.promptMs;
      line.patienceMs = line.askedAt === null ? ms : Math.max(line.patienceMs, ms);
      line.askedAt ??= looks;
      return write.apply(socket, parts);
    }) as typeof write;
    socket.on('data', () => {
      line.heardAt = looks;
      line.askedAt = null;
    });
    lines.add(line);
    looking ??= setInterval(look, lookEveryMs).unref();
    socket.once('close', () => {
      lines.delete(line);
      if (lines.size > 0) return;
      clearInterval(looking);
      looking = undefined;
    });
    return socket;
  };
}

const kindOf = (request: unknown): number =>
  Buffer.isBuffer(request) && request.length >= KIND_AT + 2 ? request.readInt16BE(KIND_AT) : -1;
