import type { Clock } from '../../telemetry/clock.js';
import type { ChaosLevel } from '../chaos.js';
import { getOrMake } from '../maps.js';
import { Random } from '../random.js';
import type { AnswerKind, Api, ApiAnswer, ApiRequest } from './answer.js';
import { type CallApp, type ChannelApp, type CloudApi, type EventLogApi, isServed, type RecordsApi, servedOrigin } from './app.js';
import type { VendorBook } from './book.js';
import { CallApi } from './call-api.js';
import { CallArchive } from './call-archive.js';
import { MonitoringApi } from './cloud-api.js';
import { EventSubscriptionApi } from './event-log-api.js';
import type { CallFacts } from './facts.js';
import { type Fault, nextFault } from './faults.js';
import { type LoggedPush, PushLog } from './push-log.js';
import { RateLimit } from './rate-limit.js';
import { Rooms } from './rooms.js';
import { Served } from './served.js';
import { type Reaction, VendorServer } from './server.js';

export interface VendorOptions {
  apps: readonly CallApp[];
  channelApps: readonly ChannelApp[];
  seed: string;
  chaos: ChaosLevel;
  clock: Clock;
  /** Everything is remembered, for verification; else what is old is forgotten, so that memory stays bounded. */
  audited: boolean;
}

/** Calls, rooms and log entries of each app that are remembered in a run that nobody checks: with 1.5 calls a second 18 hours. */
const REMEMBERED = 100_000;

/** The vendors' side of the polled APIs: what they know, and servers that tell it, on every loopback endpoint of the apps. */
export class Vendor {
  readonly book: VendorBook;
  readonly #calls: CallArchive;
  readonly #rooms: Rooms;
  readonly #log: PushLog;
  readonly #apis: readonly Api[];
  readonly #answers = new Map<string, Map<AnswerKind, number>>();
  readonly #faults: Random;
  readonly #recorded: ReadonlySet<string>;
  readonly #monitored: ReadonlySet<string>;
  readonly #logged: ReadonlySet<string>;
  #servers: readonly VendorServer[] = [];

  private constructor(private readonly options: VendorOptions) {
    const { apps, channelApps, audited, seed } = options;
    const capacity = audited ? Number.POSITIVE_INFINITY : REMEMBERED;
    const recorded = apps.filter((app): app is CallApp & { records: RecordsApi } => isServed(app.records));
    const monitored = apps.filter((app): app is CallApp & { cloudApi: CloudApi } => isServed(app.cloudApi));
    const logged = channelApps.filter((app): app is ChannelApp & { api: EventLogApi } => isServed(app.api));
    const [limit, served] = [new RateLimit(), new Served(audited)];
    this.#recorded = new Set(recorded.map((app) => app.app_id));
    this.#monitored = new Set(monitored.map((app) => app.app_id));
    this.#logged = new Set(logged.map((app) => app.app_id));
    this.#calls = new CallArchive(capacity);
    this.#rooms = new Rooms(capacity);
    this.#log = new PushLog(capacity);
    this.#faults = new Random(`${seed}:faults`);
    this.#apis = [
      new CallApi(recorded, this.#calls, limit, served),
      new MonitoringApi(monitored, this.#rooms, limit, served),
      new EventSubscriptionApi(logged, this.#log, limit, served),
    ];
    this.book = {
      owedRecords: (now) => this.#calls.owed(now),
      owedEvents: (now) => this.#log.owed(now),
      served: (source, app_id, text) => served.has(source, app_id, text),
      mediaUsers: (app_id, call_id) => this.#rooms.usersOf(app_id, call_id),
      answers: () => Object.fromEntries([...this.#answers].map(([operation, kinds]) => [operation, Object.fromEntries(kinds)])),
    };
  }

  /**
   * @returns null when no endpoint is on this machine
   * @throws CallstreamError PORT_TAKEN
   */
  static async open(options: VendorOptions): Promise<Vendor | null> {
    const endpoints = [
      ...options.apps.flatMap(({ records, cloudApi }) => [records, cloudApi]),
      ...options.channelApps.map(({ api }) => api),
    ];
    const origins = new Set(endpoints.flatMap((api) => (api === undefined ? [] : (servedOrigin(api.endpoint) ?? []))));
    if (origins.size === 0) return null;
    const vendor = new Vendor(options);
    try {
      for (const origin of origins)
        vendor.#servers = [...vendor.#servers, await VendorServer.open(origin, options.clock, (request) => vendor.#react(request))];
    } catch (error) {
      await vendor.close();
      throw error;
    }
    return vendor;
  }

  /** A call took place. Only what an API of its app could tell is remembered. */
  learn(facts: CallFacts): void {
    if (this.#recorded.has(facts.app_id)) this.#calls.add(facts, this.options.clock.now());
    if (this.#monitored.has(facts.app_id)) this.#rooms.add(facts);
  }

  /** An event was pushed, or failed to be. */
  pushed(push: LoggedPush): void {
    if (this.#logged.has(push.app_id)) this.#log.add(push, this.options.clock.now());
  }

  /** Nobody reaches the APIs, until {@link recover}. */
  async fail(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  async recover(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.listen()));
  }

  async close(): Promise<void> {
    await this.fail();
  }

  #react(request: ApiRequest): Reaction {
    for (const api of this.#apis) {
      const operation = api.operationOf(request);
      if (operation === null) continue;
      const fault = nextFault(this.#faults, this.options.chaos);
      const reaction = fault === null ? whole(api.answer(request, operation)) : faulty(fault, () => api.internalError(operation));
      this.#count(operation, reaction.answer.kind);
      return reaction;
    }
    this.#count('unknown path', 'refused');
    return whole({ kind: 'refused', status: 404, body: '{}' });
  }

  #count(operation: string, kind: AnswerKind): void {
    const kinds = getOrMake(this.#answers, operation, () => new Map<AnswerKind, number>());
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
}

const whole = (answer: ApiAnswer): Reaction => ({ answer, manner: 'whole' });

function faulty(fault: Fault, internalError: () => ApiAnswer): Reaction {
  switch (fault) {
    case 'internal':
      return whole(internalError());
    case 'http_500':
      return whole({ kind: 'failed', status: 500, body: '{}' });
    case 'http_503':
      return whole({ kind: 'failed', status: 503, headers: { 'retry-after': '1' }, body: '{}' });
    case 'cut':
      return { answer: internalError(), manner: 'cut' };
    case 'silent':
      return { answer: { kind: 'failed', status: 504, body: '{}' }, manner: 'silent' };
  }
}
