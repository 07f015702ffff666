import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as it came; the body of none is empty. */
export interface Asked {
  operation: string;
  body: Record<string, unknown>;
}

/** A vendor on loopback that answers its pages' examples, byte for byte; null: it knows no such operation. */
export class ExampleVendor {
  readonly #asked: Asked[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(answer: (asked: Asked) => string | null): Promise<ExampleVendor> {
    const server = createServer(async (request, response) => {
      const asked = await read(request);
      vendor.#asked.push(asked);
      const text = answer(asked);
      response.writeHead(text === null ? 404 : 200, { 'content-type': 'application/json' }).end(text ?? '{}');
    });
    const vendor = new ExampleVendor(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return vendor;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The bodies that an operation was asked with. */
  bodies(operation: string): Record<string, unknown>[] {
    return this.#asked.filter((asked) => asked.operation === operation).map(({ body }) => body);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Cloud APIs name their operation in a header, the Call REST API in its path. */
async function read(request: IncomingMessage): Promise<Asked> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const action = request.headers['x-tc-action'] ?? request.headers['x-acs-action'];
  let text = '';
  for await (const part of request) text += String(part);
  return { operation: String(action ?? url.pathname.slice(1)), body: text === '' ? {} : JSON.parse(text) };
}
