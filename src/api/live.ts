import { joinKey } from '../domain/key.js';
import type { Clock } from '../telemetry/clock.js';
import { type CallView, changesStatement, toCall } from './calls.js';
import { Problem } from './problem.js';
import type { Query } from './query.js';

/** Where one client's events go: a response that never ends. */
export interface Outlet {
  write(chunk: string): unknown;
  end(): void;
  destroy(): void;
  /** Bytes written and not yet taken by the network. */
  readonly writableLength: number;
}

export interface LiveOptions {
  query: Query;
  clock: Clock;
  /** Between two looks at the database while anyone listens. */
  pollMs?: number;
  /** How much earlier than the newest change seen a change may still appear: workers and sinks do not run in step. */
  overlapMs?: number;
  heartbeatMs?: number;
  /** Calls first seen longer ago are not announced. */
  lookBackMs?: number;
  maxClients?: number;
  /** A client that has this many bytes waiting is dropped; it comes back with Last-Event-ID. */
  maxWaitingBytes?: number;
  onError: (error: unknown) => void;
  onClients: (count: number) => void;
}

interface Client {
  outlet: Outlet;
  app: string | undefined;
  /** Events wait here until the client's own backlog is sent. */
  held: string[] | null;
}

const MAX_ROWS = 500;
const frame = (event: string, id: number | null, data: unknown): string =>
  `event: ${event}\n${id === null ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;

/**
 * The live tail: one query a second for all clients together, none while nobody listens. Each client gets
 * `calls` {calls: CallView[], truncated} for changes (possibly a call again: a client keeps the highest revision; `truncated`: there were more than these,
 * and it must read anew) and
 * `heartbeat` {now, ok}, `ok` false while the database does not answer.
 * An event's id is the newest `updated_at` sent, so a client may resume at any server, after any restart.
 */
export class LiveHub {
  readonly #o: Required<LiveOptions>;
  readonly #clients = new Set<Client>();
  /** Revision and change time of what was sent, by call: what the overlap shows again is not sent again. */
  readonly #sent = new Map<string, { revision: number; updated_at: number }>();
  #newest = 0;
  #ok = true;
  /** The running loop; a new one for each time that somebody starts to listen, so that an old one's last look cannot go on beside it. */
  #loop: { timer: NodeJS.Timeout | undefined } | null = null;
  #beatAt = 0;

  constructor(options: LiveOptions) {
    this.#o = {
      pollMs: 1000,
      overlapMs: 60_000,
      heartbeatMs: 10_000,
      lookBackMs: 24 * 3_600_000,
      maxClients: 200,
      maxWaitingBytes: 1 << 20,
      ...options,
    };
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** @throws Problem LIVE_FULL */
  admit(): void {
    if (this.#clients.size >= this.#o.maxClients)
      throw new Problem(503, 'LIVE_FULL', 'Too many listeners', `More than ${this.#o.maxClients} live views are open.`, {
        headers: { 'retry-after': '10' },
      });
  }

  /**
   * Sends everything from `since` on (epoch ms of `updated_at`), then what changes. Returns how to stop.
   */
  add(outlet: Outlet, since: number | null, app: string | undefined): () => void {
    const client: Client = { outlet, app, held: [] };
    this.#clients.add(client);
    this.#o.onClients(this.#clients.size);
    outlet.write('retry: 2000\n\n');
    outlet.write(this.#heartbeat());
    void this.#catchUp(client, since);
    if (this.#loop === null) this.#start();
    return () => this.#remove(client);
  }

  close(): void {
    this.#halt();
    for (const client of this.#clients) client.outlet.end();
    this.#clients.clear();
  }

  #remove(client: Client): void {
    if (!this.#clients.delete(client)) return;
    this.#o.onClients(this.#clients.size);
    if (this.#clients.size === 0) this.#halt();
  }

  #halt(): void {
    clearTimeout(this.#loop?.timer);
    this.#loop = null;
  }

  #heartbeat(): string {
    return frame('heartbeat', null, { now: this.#o.clock.now(), ok: this.#ok });
  }

  #start(): void {
    this.#newest = this.#o.clock.now();
    this.#sent.clear();
    this.#beatAt = this.#o.clock.now();
    this.#loop = { timer: undefined };
    this.#schedule(this.#loop);
  }

  #schedule(loop: { timer: NodeJS.Timeout | undefined }): void {
    loop.timer = setTimeout(async () => {
      await this.#tick();
      if (this.#loop === loop) this.#schedule(loop);
    }, this.#o.pollMs);
  }

  async #tick(): Promise<void> {
    try {
      this.#publish(await this.#changes(this.#newest - this.#o.overlapMs, undefined));
      this.#setOk(true);
    } catch (error) {
      this.#o.onError(error);
      this.#setOk(false);
    }
    const now = this.#o.clock.now();
    if (now - this.#beatAt < this.#o.heartbeatMs) return;
    this.#beatAt = now;
    for (const client of this.#clients) this.#send(client, this.#heartbeat());
  }

  /** Clients hear of trouble, and of its end, at once. */
  #setOk(ok: boolean): void {
    if (this.#ok === ok) return;
    this.#ok = ok;
    for (const client of this.#clients) this.#send(client, this.#heartbeat());
  }

  async #changes(since: number, app: string | undefined): Promise<CallView[]> {
    const { sql, params } = changesStatement(since, since - this.#o.lookBackMs, app, MAX_ROWS);
    return (await this.#o.query(sql, params)).map(toCall);
  }

  #publish(rows: CallView[]): void {
    const now = this.#o.clock.now();
    // The newest come first. A full answer that reaches back to what was sent lacks nothing new.
    const truncated = rows.length === MAX_ROWS && rows.at(-1)!.updated_at > this.#newest;
    const fresh = rows.filter((call) => {
      const key = joinKey(call);
      if ((this.#sent.get(key)?.revision ?? 0) >= call.revision) return false;
      this.#sent.set(key, { revision: call.revision, updated_at: call.updated_at });
      // A worker's clock that runs ahead must not make the tail skip what the others write.
      this.#newest = Math.max(this.#newest, Math.min(call.updated_at, now));
      return true;
    });
    const horizon = this.#newest - this.#o.overlapMs;
    for (const [key, { updated_at }] of this.#sent) if (updated_at < horizon) this.#sent.delete(key);
    if (fresh.length === 0) return;
    const whole = frame('calls', this.#newest, { calls: fresh, truncated });
    for (const client of this.#clients) {
      const own = client.app === undefined ? fresh : fresh.filter((call) => call.app_id === client.app);
      if (own.length > 0 || truncated)
        this.#send(client, own.length === fresh.length ? whole : frame('calls', this.#newest, { calls: own, truncated }));
    }
  }

  async #catchUp(client: Client, since: number | null): Promise<void> {
    if (since !== null) {
      try {
        const calls = await this.#changes(since - this.#o.overlapMs, client.app);
        const newest = calls[0]?.updated_at;
        if (newest !== undefined)
          this.#write(client, frame('calls', Math.min(newest, this.#o.clock.now()), { calls, truncated: calls.length === MAX_ROWS }));
      } catch (error) {
        // Without its backlog the client would miss changes and not know: it starts over with the same id.
        this.#o.onError(error);
        this.#remove(client);
        client.outlet.end();
        return;
      }
    }
    for (const chunk of client.held ?? []) this.#write(client, chunk);
    client.held = null;
  }

  #send(client: Client, chunk: string): void {
    if (client.held === null) this.#write(client, chunk);
    else client.held.push(chunk);
  }

  #write(client: Client, chunk: string): void {
    if (!this.#clients.has(client)) return;
    if (client.outlet.writableLength > this.#o.maxWaitingBytes) {
      this.#remove(client);
      client.outlet.destroy();
    } else client.outlet.write(chunk);
  }
}
