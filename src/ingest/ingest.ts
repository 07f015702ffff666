import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { messageOf } from '../domain/errors.js';
import type { WebhookSource } from '../sources/webhook.js';
import { type Clock, systemClock } from '../telemetry/clock.js';
import { listenError } from '../telemetry/listen-error.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Access, type IngestApp } from './access.js';
import type { AddressRange } from './address.js';
import { Batcher, type BatcherOptions } from './batcher.js';
import { type ConnectionLimits, Connections } from './connections.js';
import type { Delivery } from './delivery.js';
import type { Fault } from './fault.js';
import type { Outlet } from './outlet.js';
import { Road, type RoadOptions } from './road.js';
import { createServer, type ServerLimits } from './server.js';
import { Spool, type SpoolOptions } from './spool.js';
import type { SpoolFs } from './spool-fs.js';

export interface IngestOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  apps: readonly IngestApp[];
  /** Proxies whose X-Forwarded-For is believed. */
  trustProxy?: readonly AddressRange[];
  /** Keep networks instead of addresses. */
  truncateClientIp: boolean;
  /** Folder of the spool; each ingest process needs one of its own. */
  spoolDir: string;
  limits?: Partial<ServerLimits & ConnectionLimits>;
  batch?: Partial<BatcherOptions>;
  spool?: Partial<Omit<SpoolOptions, 'dir'>>;
  road?: Partial<RoadOptions>;
}

export interface IngestDeps {
  sources: readonly WebhookSource[];
  /** Reaches Kafka and the registry; called again, with backoff, until it resolves. Callbacks are taken meanwhile, into the spool. */
  connect(): Promise<Outlet>;
  metrics: Metrics;
  log: Logger;
  clock?: Clock;
  fs?: SpoolFs;
  fault?: Fault;
}

export interface Ingest {
  readonly port: number;
  /** Not ok: callbacks are answered 503. Problems may also be told while all is accepted (Kafka is away, say). */
  ready(): { ok: boolean; problems: string[] };
  /** Takes no more connections, answers what is under way, closes the spool. The outlet belongs to the caller. */
  close(): Promise<void>;
}

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;

const LIMITS: ServerLimits & ConnectionLimits = {
  bodyBytes: 256 * 1024,
  requestTimeoutMs: 10_000,
  headersTimeoutMs: 5_000,
  keepAliveMs: 75_000,
  maxConnections: 2_048,
  maxReceivingBytes: 64 * MIB,
};
const BATCH: BatcherOptions = {
  lingerMs: 5,
  maxRecords: 1_000,
  maxBytes: 0.75 * MIB,
  maxPending: 20_000,
  maxPendingBytes: 128 * MIB,
  ackTimeoutMs: 10_000,
};
const SPOOL = { maxBytes: 1024 * MIB, maxAgeMs: 24 * HOUR_MS, segmentBytes: 8 * MIB };
const ROAD: RoadOptions = {
  // Vendors wait two to five seconds and then send again: the spool must have its turn before that.
  sendTimeoutMs: 1_500,
  nearlyDry: 2_000,
  drain: { maxRecords: BATCH.maxRecords, maxBytes: BATCH.maxBytes, backoffMs: 100, maxBackoffMs: 2_000 },
};
const CLOSE_PATIENCE_MS = 10_000;
const IDLE_SWEEP_MS = 50;
/** A disk that has refused something is asked so often whether it takes something again. */
const PROBE_MS = 1_000;
/** Connections that wait to be taken, as many as Linux allows: beyond them a vendor's connection is tried again after one second, three, seven. */
const BACKLOG = 4_096;

/**
 * Starts the ingest role: opens the spool, listens, and from then on answers 200 only to what is durable (contract §3, §7.1).
 * @throws CallstreamError SPOOL_LOCKED; the system's error when the port is taken
 */
export async function startIngest(options: IngestOptions, deps: IngestDeps): Promise<Ingest> {
  const { metrics, log, fault } = deps;
  const clock = deps.clock ?? systemClock;
  const stop = new AbortController();
  let connected = false;
  let drainError: unknown = null;

  const spool = await Spool.open(
    { dir: options.spoolDir, ...SPOOL, ...options.spool },
    {
      clock,
      fs: deps.fs,
      fault,
      onRefusal: () => metrics.callstream_spool_failures_total.inc(),
      onDamage: ({ segment, bad, cut }) => {
        metrics.callstream_spool_quarantined_total.inc(bad);
        if (bad > 0) log.error({ segment, bad }, 'spool records are damaged; their segment will be set aside in the quarantine folder');
        if (cut > 0) log.warn({ segment, cut }, 'a torn tail of the spool was cut: it was never acknowledged');
      },
    },
  );
  if (!spool.isEmpty) log.info({ events: spool.events, bytes: spool.bytes }, 'the spool holds events of an earlier run');

  const road = new Road(
    { ...ROAD, ...options.road },
    {
      clock,
      spool,
      fault,
      onDetour: (error) => log.warn({ err: error }, 'Kafka does not take events: they go to the spool'),
      onDrainState: (error) => {
        if (error !== null && drainError === null) log.warn({ err: error, events: spool.events }, 'the spool cannot be drained yet');
        if (error === null) log.info({ events: spool.events }, 'Kafka takes events again: the spool drains');
        drainError = error;
      },
      onAppended: (records) => metrics.callstream_spool_appended_total.inc(records),
      onDrained: (records) => metrics.callstream_spool_drained_total.inc(records),
    },
  );
  const refused = new Throttle(clock, 1_000);
  const batcher = new Batcher({ ...BATCH, ...options.batch }, async (batch: Delivery[]) => {
    try {
      await road.accept(batch);
    } catch (error) {
      if (refused.allows()) log.error({ err: error, events: batch.length }, 'events could not be made durable and were refused');
      throw error;
    }
  });
  watch(metrics, spool);

  const limits = { ...LIMITS, ...options.limits };
  const connections = new Connections(limits, (reason) => metrics.callstream_ingest_connections_dropped_total.inc({ reason }));
  const server = createServer(
    { limits, trustProxy: options.trustProxy ?? [], truncateClientIp: options.truncateClientIp },
    {
      sources: deps.sources,
      access: new Access(options.apps),
      connections,
      submit: (delivery) => batcher.submit(delivery),
      clock,
      metrics,
      log,
      fault,
    },
  );
  try {
    await server.listen({ host: options.host, port: options.port, backlog: BACKLOG }).catch((error: unknown) => {
      throw listenError(error, 'ingest', options, 'CALLSTREAM_INGEST_PORT');
    });
  } catch (error) {
    await spool.close();
    throw error;
  }
  const probing = setInterval(() => {
    if (spool.refusal !== null) void spool.probe();
  }, PROBE_MS);
  const connecting = connect();
  let closing: Promise<void> | null = null;

  return {
    port: (server.server.address() as AddressInfo).port,
    ready,
    close: () => {
      closing ??= close();
      return closing;
    },
  };

  async function connect(): Promise<void> {
    let backoff = ROAD.drain.backoffMs;
    while (!stop.signal.aborted) {
      try {
        road.open(await deps.connect());
        connected = true;
        return;
      } catch (error) {
        log.warn({ err: error }, 'Kafka or the schema registry cannot be reached yet');
      }
      await delay(backoff, undefined, { signal: stop.signal }).catch(() => undefined);
      backoff = Math.min(backoff * 2, ROAD.drain.maxBackoffMs);
    }
  }

  function ready(): { ok: boolean; problems: string[] } {
    const problems: string[] = [];
    if (!connected) problems.push('Kafka or the schema registry has not been reached yet');
    if (!spool.isEmpty) problems.push(`${spool.events} events wait in the spool`);
    if (drainError !== null) problems.push(`the spool cannot be drained: ${messageOf(drainError)}`);
    const full = spool.fullBecause;
    const outOfRoom = road.detour && full !== null;
    const refused = spool.refusal !== null && road.refusing;
    if (spool.refusal !== null) problems.push(`the disk of the spool takes nothing: ${messageOf(spool.refusal)}`);
    if (refused) problems.push('neither Kafka nor the spool has taken the last callbacks: they were answered 503');
    if (outOfRoom) problems.push(`Kafka is away and the spool takes nothing more: ${full}`);
    if (batcher.stalled) problems.push('a batch is overdue: neither Kafka nor the disk answers');
    if (stop.signal.aborted) problems.push('stopping');
    return { ok: !outOfRoom && !refused && !batcher.stalled && !stop.signal.aborted, problems };
  }

  async function close(): Promise<void> {
    stop.abort();
    clearInterval(probing);
    await closeServer(server, connections);
    await settledOr(batcher.close(), CLOSE_PATIENCE_MS);
    // A send that Kafka does not answer need not be waited for: what it carries is still in the spool.
    await settledOr(Promise.all([connecting, road.close()]), options.road?.sendTimeoutMs ?? ROAD.sendTimeoutMs);
    await spool.close();
  }
}

/** Waits for the work, but not for ever. */
async function settledOr(work: Promise<unknown>, patienceMs: number): Promise<void> {
  const stop = new AbortController();
  const patience = delay(patienceMs, undefined, { signal: stop.signal }).catch(() => undefined);
  await Promise.race([work, patience]);
  stop.abort();
}

/** Spool figures are read when they are asked for. */
function watch(metrics: Metrics, spool: Spool): void {
  const { callstream_spool_events: events, callstream_spool_bytes: bytes } = metrics;
  Object.assign(events, { collect: () => events.set(spool.events) });
  Object.assign(bytes, { collect: () => bytes.set(spool.bytes) });
}

/** Lets what is under way finish; connections without a request go at once, those that never finish after a while. */
async function closeServer(server: FastifyInstance, connections: Connections): Promise<void> {
  const sweep = (): void => {
    server.server.closeIdleConnections();
    connections.closeSilent();
  };
  const sweeping = setInterval(sweep, IDLE_SWEEP_MS);
  const force = setTimeout(() => server.server.closeAllConnections(), CLOSE_PATIENCE_MS);
  try {
    await server.close();
  } finally {
    clearInterval(sweeping);
    clearTimeout(force);
  }
}

/** True at most once per interval. */
class Throttle {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #last = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  allows(): boolean {
    const now = this.#clock.now();
    if (now - this.#last < this.#everyMs) return false;
    this.#last = now;
    return true;
  }
}
