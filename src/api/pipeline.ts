import type { Clock } from '../telemetry/clock.js';
import { type Sample, samplesOf } from '../telemetry/metrics-text.js';

/** What one admin address says. */
export interface AdminView {
  /** Without its scheme. */
  address: string;
  /** Null: it does not answer. */
  ready: boolean | null;
  problems: string[];
}

export interface LimitView {
  source: string;
  operation: string;
  /** Requests per second that are allowed, over all apps. */
  limit_per_second: number;
  /** Requests per second since the reading before; null on the first one. */
  per_second: number | null;
  /** How often the vendor has asked for patience since the poller began. */
  slow_downs: number;
}

export interface SweepView {
  source: string;
  app_id: string;
  /** Everything that the vendor had up to here has been read, epoch ms; null: not yet. */
  swept_to: number | null;
  stopped: boolean;
  lost_ms: number;
}

/** The state of the roles, as their metrics tell. */
export interface PipelineView {
  admins: AdminView[];
  /** Records that are not worked off yet; `sink` has those not in ClickHouse, `webhook NAME` those that a receiver has not been told of. */
  workers: { worker: string; lag: number }[];
  /** Null: no process that answers takes callbacks. */
  spool: { events: number; bytes: number; quarantined: number; failures: number } | null;
  limits: LimitView[];
  sweeps: SweepView[];
  /** Hosts of vendors that do not answer, and are asked now and then only. */
  hosts_away: string[];
}

interface Reading {
  at: number;
  samples: Sample[];
}

const TIMEOUT_MS = 3_000;
const MAX_TEXT_BYTES = 8 * 1024 * 1024;
/** Between two readings whose difference is a rate. */
const APART_MS = 5_000;
/** Who asks sooner is answered with what is there: several readers do not multiply the questions. */
const FRESH_MS = 1_000;
const NAMES = 'callstream_';
const REQUESTS = 'callstream_poll_requests_total';
const LIMIT = 'callstream_poll_limit_per_second';

/** Reads the admin addresses of the roles, which ClickHouse knows nothing of. */
export class Pipeline {
  readonly #admins: readonly string[];
  readonly #clock: Clock;
  /** What rates are taken from, and the reading that is next to be that, once it is old enough. */
  #before: Reading | null = null;
  #last: Reading | null = null;
  #reading: { at: number; view: Promise<PipelineView> } | null = null;

  /** @param admins `http://HOST:PORT` */
  constructor(admins: readonly string[], clock: Clock) {
    this.#admins = admins;
    this.#clock = clock;
  }

  get configured(): boolean {
    return this.#admins.length > 0;
  }

  read(): Promise<PipelineView> {
    const now = this.#clock.now();
    if (this.#reading === null || Math.abs(now - this.#reading.at) >= FRESH_MS) this.#reading = { at: now, view: this.#readAll(now) };
    return this.#reading.view;
  }

  async #readAll(now: number): Promise<PipelineView> {
    const answers = await Promise.all(this.#admins.map(readAdmin));
    const reading = { at: now, samples: answers.flatMap(({ samples }) => samples) };
    if (this.#last === null || now - this.#last.at >= APART_MS) {
      this.#before = this.#last;
      this.#last = reading;
    }
    return { admins: answers.map(({ view }) => view), ...stateOf(reading, this.#before) };
  }
}

async function readAdmin(base: string): Promise<{ view: AdminView; samples: Sample[] }> {
  const address = base.replace(/^https?:\/\//, '');
  try {
    const [metrics, readiness] = await Promise.all([ask(`${base}/metrics`), ask(`${base}/readyz`)]);
    const { ready, problems } = JSON.parse(readiness) as { ready?: unknown; problems?: unknown };
    return {
      view: { address, ready: ready === true, problems: Array.isArray(problems) ? problems.map(String) : [] },
      samples: samplesOf(metrics, NAMES),
    };
  } catch {
    // Its own words could hold anything; that it does not answer is all that can be said.
    return { view: { address, ready: null, problems: [] }, samples: [] };
  }
}

/** The text of an answer, whatever its status. */
async function ask(url: string): Promise<string> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > MAX_TEXT_BYTES) throw new Error('the answer is too long');
  }
  return text;
}

type State = Omit<PipelineView, 'admins'>;

/** Sums of the samples of a name, by what `key` makes of their labels; '' leaves one out. */
function sums(samples: readonly Sample[], name: string, key: (labels: Sample['labels']) => string): Map<string, number> {
  const found = new Map<string, number>();
  for (const sample of samples) {
    if (sample.name !== name) continue;
    const at = key(sample.labels);
    if (at !== '') found.set(at, (found.get(at) ?? 0) + sample.value);
  }
  return found;
}

/** @param before an earlier reading, which rates are taken from */
export function stateOf({ at, samples }: Reading, before: Reading | null): State {
  const of = (name: string, key: (labels: Sample['labels']) => string) => sums(samples, name, key);
  const total = (name: string): number | null => of(name, () => 'all').get('all') ?? null;
  const lags = new Map([
    ...of('callstream_task_lag', ({ worker = '' }) => worker),
    ...of('callstream_sink_lag', () => 'sink'),
    ...of('callstream_webhook_lag', ({ webhook = '' }) => webhook && `webhook ${webhook}`),
  ]);
  const spooled = total('callstream_spool_events');
  return {
    workers: [...lags].map(([worker, lag]) => ({ worker, lag })),
    spool:
      spooled === null
        ? null
        : {
            events: spooled,
            bytes: total('callstream_spool_bytes') ?? 0,
            quarantined: total('callstream_spool_quarantined_total') ?? 0,
            failures: total('callstream_spool_failures_total') ?? 0,
          },
    limits: limitsOf({ at, samples }, before),
    sweeps: sweepsOf(samples),
    hosts_away: [...of('callstream_poll_breaker_open', ({ host = '' }) => host)].flatMap(([host, open]) => (open > 0 ? [host] : [])),
  };
}

const operationOf = ({ source = '', operation = '' }: Sample['labels']): string => `${source} ${operation}`;

function limitsOf({ at, samples }: Reading, before: Reading | null): LimitView[] {
  const asked = sums(samples, REQUESTS, operationOf);
  const earlier = before === null ? null : sums(before.samples, REQUESTS, operationOf);
  const slowDowns = sums(samples, REQUESTS, (labels) => (labels.result === 'slow_down' ? operationOf(labels) : ''));
  return [...sums(samples, LIMIT, operationOf)].map(([key, limit_per_second]) => {
    const [source, operation] = key.split(' ') as [string, string];
    const more = (asked.get(key) ?? 0) - (earlier?.get(key) ?? 0);
    // A counter that went back belongs to a process that was started again.
    const per_second = before === null || more < 0 ? null : more / ((at - before.at) / 1000);
    return { source, operation, limit_per_second, per_second, slow_downs: slowDowns.get(key) ?? 0 };
  });
}

function sweepsOf(samples: readonly Sample[]): SweepView[] {
  const key = ({ source = '', app = '' }: Sample['labels']): string => JSON.stringify([source, app]);
  const lost = sums(samples, 'callstream_poll_lost_seconds_total', key);
  // Several sweeps of one source: the one that is furthest is what is known.
  const swept = new Map<string, number>();
  for (const { name, labels, value } of samples)
    if (name === 'callstream_poll_swept_to_seconds') swept.set(key(labels), Math.max(swept.get(key(labels)) ?? 0, value));
  return [...sums(samples, 'callstream_poll_stopped', key)].map(([at, stopped]) => {
    const [source, app_id] = JSON.parse(at) as [string, string];
    const to = swept.get(at);
    return {
      source,
      app_id,
      swept_to: to === undefined ? null : Math.round(to * 1000),
      stopped: stopped > 0,
      lost_ms: Math.round((lost.get(at) ?? 0) * 1000),
    };
  });
}
