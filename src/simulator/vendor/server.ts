import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../telemetry/clock.js';
import { listenError } from '../../telemetry/listen-error.js';
import type { ApiAnswer, ApiRequest } from './answer.js';
import { SILENCE_MS } from './faults.js';

/** What becomes of a request: its answer, and whether it arrives whole, breaks off half-way, or comes only when the vendor's time is over. */
export interface Reaction {
  answer: ApiAnswer;
  manner: 'whole' | 'cut' | 'silent';
}

const MAX_BODY_BYTES = 1024 * 1024;
const PORT_OF = 'the port in the endpoints of the apps (of the demo: CALLSTREAM_VENDOR_PORT)';

/** One of the vendors' hosts, on a port of this machine. */
export class VendorServer {
  #server: Server | null = null;
  #port: number;
  readonly #host: string;

  private constructor(
    origin: string,
    private readonly clock: Clock,
    private readonly react: (request: ApiRequest) => Reaction,
  ) {
    const url = new URL(origin);
    this.#host = url.hostname.replace(/^\[|\]$/g, '');
    this.#port = url.port === '' ? 80 : Number(url.port);
  }

  /** @throws CallstreamError PORT_TAKEN */
  static async open(origin: string, clock: Clock, react: (request: ApiRequest) => Reaction): Promise<VendorServer> {
    const server = new VendorServer(origin, clock, react);
    await server.listen();
    return server;
  }

  /** The port that is listened on. */
  get port(): number {
    return this.#port;
  }

  /** Also after {@link close}: at the same place. */
  async listen(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      const at = { host: this.#host, port: this.#port };
      server.once('error', (error) => reject(listenError(error, 'the simulated vendor', at, PORT_OF)));
      server.listen(this.#port, this.#host, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Nobody is reached any more; what is under way breaks off. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(incoming);
    if (body === null) {
      incoming.destroy();
      return;
    }
    const url = new URL(incoming.url ?? '/', 'http://vendor');
    const headers = Object.fromEntries(
      Object.entries(incoming.headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
    );
    const { answer, manner } = this.react({
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers,
      body,
      now: this.clock.now(),
    });
    const send = () => {
      response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
      response.end(answer.body);
    };
    if (manner === 'whole') send();
    else if (manner === 'silent') {
      const timer = setTimeout(send, SILENCE_MS);
      response.once('close', () => clearTimeout(timer));
    } else {
      response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer.body) + 1 });
      response.write(answer.body.slice(0, answer.body.length / 2), () => response.destroy());
    }
  }
}

/** The whole body; null when it is too long or breaks off. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_BODY_BYTES) return null;
      chunks.push(chunk);
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks);
}
