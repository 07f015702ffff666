import type { ISocketFactory } from 'kafkajs';

/** Longer than a broker may take for any answer: one to a join of a group waits up to 15 s for the other members. */
const SILENCE_MS = 20_000;
const LOOK_EVERY_MS = 1_000;

/**
 * Ends connections whose peer has gone silent: something was written, and for `limitMs` nothing has come back. kafkajs gives up on a request after its
 * timeout and sends the next one by the same connection; where the other end is gone without a word (a cable, a firewall, a frozen host),
 * a consumer would go on like that for minutes. An idle connection may be as silent as it likes.
 */
export function endSilent(open: ISocketFactory, limitMs = SILENCE_MS, lookEveryMs = LOOK_EVERY_MS): ISocketFactory {
  return (args) => {
    const socket = open(args);
    let askedAt: number | null = null;
    const write = socket.write;
    socket.write = ((...parts: Parameters<typeof write>) => {
      askedAt ??= performance.now();
      return write.apply(socket, parts);
    }) as typeof write;
    socket.on('data', () => {
      askedAt = null;
    });
    const looking = setInterval(() => {
      if (askedAt === null || performance.now() - askedAt < limitMs) return;
      socket.destroy(new Error(`the broker has said nothing for ${limitMs} ms`));
    }, lookEveryMs);
    looking.unref();
    socket.once('close', () => clearInterval(looking));
    return socket;
  };
}
