import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { LOOPBACK } from '../config/defaults.js';
import { CallstreamError } from '../domain/errors.js';

/** A predecessor that was just killed may hold its port for a moment. */
const PORT_PATIENCE_MS = 2_000;

/**
 * Free ports come from below the range that systems use for outgoing connections (32768 and up on Linux): one of those could take the port
 * between our look and the server's start, and a client that keeps calling a stopped server there can end up connected to itself.
 */
const FREE_PORTS = { from: 20_000, to: 32_000 };

/** Ports that this process has been given: the server that is meant to listen on one may not have started yet. */
const given = new Set<number>();

/** Binds the port for an instant. Rejects with the system's error when it is taken. */
function bindOnce(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, LOOPBACK, () => server.close(() => resolve()));
  });
}

/** A port of 127.0.0.1 that nothing listens on at this moment; never the same one twice. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(FREE_PORTS.from, FREE_PORTS.to);
    if (given.has(port)) continue;
    try {
      await bindOnce(port);
      given.add(port);
      return port;
    } catch {
      // Taken: try another.
    }
  }
  throw new CallstreamError('LOCAL_PORT_TAKEN', `Found no free port between ${FREE_PORTS.from} and ${FREE_PORTS.to}.`);
}

/**
 * The port that a server shall use: a free one for 0, else the one asked for.
 * @param variable the environment variable that moves the server, for the message
 * @throws CallstreamError LOCAL_PORT_TAKEN when something else listens there
 */
export async function claimPort(name: string, port: number, variable: string): Promise<number> {
  if (port === 0) return freePort();
  const deadline = performance.now() + PORT_PATIENCE_MS;
  for (;;) {
    try {
      await bindOnce(port);
      return port;
    } catch (cause) {
      if (performance.now() > deadline) {
        throw new CallstreamError(
          'LOCAL_PORT_TAKEN',
          `${name} cannot use port ${port} of ${LOOPBACK}: something else holds it. Stop that, or set ${variable} to another port.`,
          { cause },
        );
      }
    }
    await delay(50);
  }
}
