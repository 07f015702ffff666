import { type Ledger, requestId } from '../ledger.js';
import { getOrMake } from '../maps.js';
import { callKey, TruthDeliveries } from '../truth/deliveries.js';
import { isLogEntry } from '../truth/read-channel.js';
import type { SourceName } from '../truth/read-source.js';
import type { ServedSource, VendorBook } from '../vendor/book.js';
import { shorten } from './differences.js';
import type { PlayedApp } from './played.js';
import type { RawTopicRecord, ShownUsers, VerifyDeps } from './ports.js';

interface Run {
  ledger: Ledger;
  begin_at: number;
  apps: readonly PlayedApp[];
  book?: VendorBook;
}

/** The raw topics that apps with such features fill. */
export function sourcesOf(apps: readonly PlayedApp[]): SourceName[] {
  const wanted: Record<SourceName, boolean> = {
    tuicallkit: true,
    tiw: apps.some((app) => app.recordings),
    'call-record': apps.some((app) => app.records),
    'user-event': apps.some((app) => app.media),
    'aliyun-rtc': apps.some((app) => app.channels),
  };
  return (Object.keys(wanted) as SourceName[]).filter((source) => wanted[source]);
}

const featureOf = { 'call-record': 'records', 'user-event': 'media', 'aliyun-rtc': 'log' } as const satisfies Record<
  ServedSource,
  keyof PlayedApp
>;

/** What the raw topics hold so far, and what of it is the run's own: sent by it, or served by its APIs. */
export class RawReading {
  readonly truth = new TruthDeliveries();
  /** How many deliveries are stored of each request; a repeat of one (equal id) is not another. */
  readonly requests = new Map<string, number>();
  /** Polled during the run of an API that the run plays, yet never served by it. */
  readonly strangers: string[] = [];
  /** Deliveries of the run's own: a larger number later means that something has come meanwhile. */
  own = 0;
  readonly #stored = new Set<string>();
  /** By source: the next offset of each partition. */
  readonly #positions = new Map<SourceName, Map<number, number>>();
  readonly #run: Run;
  readonly #played: ReadonlySet<string>;
  readonly #apps: ReadonlySet<string>;

  constructor(run: Run) {
    this.#run = run;
    this.#apps = new Set(run.apps.map((app) => app.app_id));
    this.#played = new Set(
      run.apps.flatMap((app) =>
        (Object.keys(featureOf) as ServedSource[]).filter((source) => app[featureOf[source]]).map((source) => callKey(app.app_id, source)),
      ),
    );
  }

  /** Takes what has come since the last time. */
  async readOn({ readRaw, users }: Pick<VerifyDeps, 'readRaw' | 'users'>): Promise<void> {
    for (const source of sourcesOf(this.#run.apps)) {
      const positions = getOrMake(this.#positions, source, () => new Map<number, number>());
      const take = (record: RawTopicRecord): void => {
        positions.set(record.partition, Math.max(positions.get(record.partition) ?? 0, record.offset + 1));
        this.#take(source, record, users);
      };
      await readRaw(source, take, positions);
    }
  }

  #take(source: SourceName, record: RawTopicRecord, users: ShownUsers | undefined): void {
    const body = Buffer.from(record.body);
    const own = isPoll(source, body) ? this.#isServed(source, record, body) : this.#isSent(source, record, body);
    if (own) this.own++;
    if (!own && !this.#apps.has(record.app_id)) return;
    const came = { ...record, source, body };
    this.truth.add({ ...came, ...users?.show(came) }, own);
  }

  #isSent(source: Exclude<SourceName, 'call-record' | 'user-event'>, record: RawTopicRecord, body: Buffer): boolean {
    const request = requestId(source, record.app_id, record.query, body);
    if (!this.#run.ledger.entries.has(request)) return false;
    if (!this.#stored.has(record.id)) this.requests.set(request, (this.requests.get(request) ?? 0) + 1);
    this.#stored.add(record.id);
    return true;
  }

  #isServed(source: ServedSource, { app_id, received_at, query }: RawTopicRecord, body: Buffer): boolean {
    const { book, begin_at } = this.#run;
    if (book === undefined || received_at < begin_at || !this.#played.has(callKey(app_id, source))) return false;
    const text = body.toString('utf8');
    if (book.served(source, app_id, text)) return true;
    this.strangers.push(`${source} of ${app_id}: ${shorten(`?${query} ${text}`)}`);
    return false;
  }
}

function isPoll(source: SourceName, body: Buffer): source is ServedSource;
function isPoll(source: SourceName, body: Buffer): boolean {
  return source === 'call-record' || source === 'user-event' || (source === 'aliyun-rtc' && isLogEntry(body));
}
