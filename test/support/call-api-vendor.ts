import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/*
 * A vendor of call records (v1) and of media events on loopback, for tests of who asks it: pages, limits, and whatever else a test has it answer.
 */

export interface VendorAnswer {
  status?: number;
  headers?: Record<string, string>;
  body: string;
}

/** What a test has the vendor do with a request instead of answering it: null answers as usual, 'hang' never does, 'cut' closes the connection. */
export type Whim = (operation: string, body: Record<string, unknown>) => VendorAnswer | 'hang' | 'cut' | null;

export interface VendorRecord {
  callId: string;
  /** Epoch seconds. */
  startCallTs: number;
}

const ok = (data: unknown): VendorAnswer => ({ body: JSON.stringify({ errorCode: 0, errorMessage: 'ok', requestId: 'r-1', data }) });
export const failed = (errorCode: number): VendorAnswer => ({
  body: JSON.stringify({ errorCode, errorMessage: 'no', requestId: 'r-2', data: {} }),
});
const cloud = (response: unknown): VendorAnswer => ({ body: JSON.stringify({ Response: response }) });

export class CallApiVendor {
  /** In the order of their start. */
  readonly records: VendorRecord[] = [];
  /** Users with media events, by room. */
  readonly rooms = new Map<string, { createdAt: number; users: ReadonlySet<string> }>();
  whim: Whim = () => null;
  /** When each request came, by operation: performance.now(). */
  readonly #arrivals = new Map<string, number[]>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(port = 0): Promise<CallApiVendor> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return new CallApiVendor(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  requests(operation: string): number {
    return this.#arrivals.get(operation)?.length ?? 0;
  }

  /** Most requests of an operation in any second. */
  busiestSecond(operation: string): number {
    const times = this.#arrivals.get(operation) ?? [];
    return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + 1_000).length));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrivedAt = performance.now();
    const operation = String(request.headers['x-tc-action'] ?? request.url?.slice(1).split('?')[0]);
    this.#arrivals.set(operation, [...(this.#arrivals.get(operation) ?? []), arrivedAt]);
    let text = '';
    for await (const part of request) text += String(part);
    const body = JSON.parse(text) as Record<string, unknown>;
    const answer = this.whim(operation, body) ?? this.#usual(operation, body);
    if (answer === 'hang') return;
    if (answer === 'cut') {
      request.socket.destroy();
      return;
    }
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
    response.end(answer.body);
  }

  #usual(operation: string, body: Record<string, unknown>): VendorAnswer {
    switch (operation) {
      case 'v1/records/get_record_by_callId':
        return ok(this.records.find(({ callId }) => callId === body.callId) ?? {});
      case 'v1/records/get_records_by_filter':
        return this.#page(body as Record<'startTimestamp' | 'endTimestamp' | 'numberPerPage' | 'page', number>);
      case 'DescribeRoomInfo': {
        const name = String(body.RoomId);
        const room = this.rooms.get(name);
        const list = room === undefined ? [] : [{ CommId: `1_9_${room.createdAt}`, RoomString: name, CreateTime: room.createdAt }];
        return cloud({ Total: list.length, RoomList: list, RequestId: 'r-3' });
      }
      case 'DescribeUserEvent': {
        const there = this.rooms.get(String(body.RoomId))?.users.has(String(body.UserId)) === true;
        // Questions begin five minutes before the call.
        const events = [{ Time: (Number(body.StartTime) + 300) * 1000, EventId: 5003, ParamOne: 1, ParamTwo: -1, Type: 0 }];
        return cloud({ Data: there ? [{ PeerId: body.UserId, Content: events }] : [], RequestId: 'r-4' });
      }
      default:
        return { status: 404, body: '{}' };
    }
  }

  #page({
    startTimestamp,
    endTimestamp,
    numberPerPage,
    page,
  }: Record<'startTimestamp' | 'endTimestamp' | 'numberPerPage' | 'page', number>): VendorAnswer {
    const found = this.records.filter(({ startCallTs }) => startCallTs >= startTimestamp && startCallTs < endTimestamp);
    const callRecordList = found.slice((page - 1) * numberPerPage, page * numberPerPage);
    return ok({ totalNum: found.length, callRecordList });
  }
}
