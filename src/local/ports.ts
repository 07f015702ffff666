import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { CallstreamError } from '../domain/errors.js';

export const LOOPBACK = '127.0.0.1';

/** A predecessor that was just killed may hold its port for a moment. */
const PORT_PATIENCE_MS = 2_000;

/** Binds the port for an instant; resolves to the number that was bound. Rejects with the system's error when it is taken. */
function bindOnce(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, LOOPBACK, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}

/** A port of 127.0.0.1 that nothing listens on at this moment. */
export const freePort = (): Promise<number> => bindOnce(0);

/**
 * The port that a server shall use: a free one for 0, else the one asked for.
 * @throws CallstreamError LOCAL_PORT_TAKEN when something else listens there.
 */
export async function claimPort(server: string, port: number, setting: string): Promise<number> {
  const deadline = performance.now() + PORT_PATIENCE_MS;
  for (;;) {
    try {
      return await bindOnce(port);
    } catch (error) {
      if (performance.now() > deadline) {
        throw new CallstreamError(
          'LOCAL_PORT_TAKEN',
          `Port ${port} for the embedded ${server} is not free. Stop what listens on ${LOOPBACK}:${port}, or set ${setting} to another port.`,
          { cause: error },
        );
      }
    }
    await delay(50);
  }
}
