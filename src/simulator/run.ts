import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallstreamError } from '../domain/errors.js';
import type { Clock } from '../telemetry/clock.js';
import type { ChaosLevel } from './chaos.js';
import { Ledger } from './ledger.js';
import type { Features } from './plan.js';
import { type SendCounts, Sender } from './sender.js';
import type { Plot } from './story.js';
import { LONGEST_TALK_MS, type Shape, timelinesOf } from './traffic.js';
import { type CallApp, type ChannelApp, isServed } from './vendor/app.js';
import type { VendorBook } from './vendor/book.js';
import { Outage } from './vendor/outage.js';
import { Vendor } from './vendor/vendor.js';
import { CounterWatch, type WorkerCounters } from './verify/counters.js';
import { playedApps } from './verify/played.js';
import type { VerifyDeps, VerifyReport } from './verify/ports.js';
import { verify } from './verify/verify.js';

export interface SimulationOptions {
  /** Same seed, same calls. */
  seed: string;
  chaos: ChaosLevel;
  /** Calls in all. Without `rate` and `forMs` they are sent as fast as they are answered, in compressed vendor time. */
  calls?: number;
  /** Calls per second in real time. */
  rate?: number;
  /** Length of the run in real time, ms. Neither this nor `calls`: for ever. */
  forMs?: number;
  /** Back-dated traffic to begin with in a paced run, ms; default 0. */
  historyMs?: number;
  /** Compressed runs: calls of these that happen in real time; default a tenth, at most 2,000. */
  live?: number;
  /** Longest talk of a paced run, ms; default 3 hours. One whose end is not known beforehand waits for what the vendor has of its last calls. */
  longestTalkMs?: number;
  /** Requests under way at once; default 128. */
  concurrency?: number;
  /** Part of every call id; default: seed and start time. */
  run?: string;
  /** The vendor's APIs cannot be reached for so long, ms: from a third into a paced run, or after the callbacks of a compressed one. */
  outageMs?: number;
  /** Compare what the project holds with the truth afterwards. */
  verify?: boolean;
}

export interface SimulationDeps {
  /** Origin of the ingest server, for example `http://127.0.0.1:8080`. */
  ingest: string;
  /** The tencent apps that the ingest server knows. */
  apps: readonly CallApp[];
  /** The aliyun apps that it knows; none: nothing happens in channels. */
  channelApps?: readonly ChannelApp[];
  /** The `sessions` section of the configuration, ms: traffic is made to suit it. */
  sessions?: { maxCall: number; channelGap: number };
  clock: Clock;
  /** Stops the sending; what is under way is given up. */
  signal?: AbortSignal;
  /** Ends the sending early, as the end of the run would: what is under way is given up, and what was sent is verified. */
  enough?: AbortSignal;
  onProgress?: (progress: SimulationProgress) => void;
  /** Needed with `verify`. */
  verify?: VerifyDeps;
}

export interface SimulationProgress extends SendCounts {
  /** Calls begun, and to come in all when that is known. */
  calls: number;
  total: number | null;
  elapsed_ms: number;
}

export interface SimulationReport {
  run: string;
  seed: string;
  chaos: ChaosLevel;
  /** Calls begun, by what the vendor meant to happen. */
  plots: Partial<Record<Plot, number>>;
  groups: number;
  /** Calls of which every callback was lost, recordings made, and times that something happened in a channel. */
  lost: number;
  recordings: number;
  channels: number;
  /** Answers of the vendor's APIs, by operation and kind. */
  api: ReturnType<VendorBook['answers']>;
  sent: SendCounts;
  elapsed_ms: number;
  /** From the workers' metrics while the run lasted; null when nobody gave access to them. */
  workers: WorkerCounters | null;
  verify: VerifyReport | null;
}

const DEFAULT_RATE = 5;

/** As the configuration has it by default. */
const SESSIONS = { maxCall: 12 * 3_600_000, channelGap: 300_000 };
/** Whole calls are lost only where the deep sweep, which looks back maxCall and an hour, still finds their records some time into the run. */
const LOST_REACH_MS = 30 * 60_000;

/**
 * Plays the vendor: sends the callbacks, serves the polled APIs; then, when asked to, compares everything the project holds with the truth.
 * @throws CallstreamError SIMULATOR_OPTIONS, PORT_TAKEN
 */
export async function runSimulation(options: SimulationOptions, deps: SimulationDeps): Promise<SimulationReport> {
  const begin_at = deps.clock.now();
  const shape = shapeOf(options, begin_at);
  const check = checkedVerify(options, deps, shape);
  const outageAt = outageStart(options, shape, check !== null);
  const run = options.run ?? `${options.seed}.${begin_at.toString(36)}`;
  const controller = new AbortController();
  // Of every request that is about to be sent again.
  setMaxListeners(0, controller.signal);
  const stop = () => controller.abort();
  deps.signal?.addEventListener('abort', stop, { once: true });
  deps.enough?.addEventListener('abort', stop, { once: true });
  if (deps.signal?.aborted || deps.enough?.aborted) stop();

  const ledger = check === null ? null : new Ledger();
  const { apps, channelApps = [], clock } = deps;
  const { seed, chaos } = options;
  const vendor = await Vendor.open({ apps, channelApps, seed, chaos, clock, audited: check !== null });
  const counters = deps.verify?.metrics ? new CounterWatch(deps.verify.metrics) : null;
  const begun = { plots: {} as SimulationReport['plots'], calls: 0, groups: 0, lost: 0, recordings: 0, channels: 0 };
  const plan = { seed, run, apps: apps.map((a) => a.app_id), chaos, features: featuresOf(deps, begin_at) };
  const timelines = timelinesOf(
    plan,
    shape,
    (call) => {
      begun.calls++;
      if (call.group) begun.groups++;
      if (call.facts?.lost) begun.lost++;
      if (call.recorded) begun.recordings++;
      begun.plots[call.plot] = (begun.plots[call.plot] ?? 0) + 1;
      if (call.facts !== undefined) vendor?.learn(call.facts);
    },
    () => begun.channels++,
  );
  const sender = new Sender({
    origin: deps.ingest,
    secrets: new Map([...apps, ...channelApps].flatMap((a) => (a.secret === undefined ? [] : [[a.app_id, a.secret] as const]))),
    concurrency: options.concurrency ?? 128,
    clock,
    signal: controller.signal,
    ledger,
    // The URL goes without its secret: the log is told to everybody who asks.
    onPushed: ({ app_id, push, source, body }, { at, cost_ms, status }) =>
      vendor?.pushed({
        app_id,
        ...push,
        text: body.toString('utf8'),
        at,
        cost_ms,
        url: `${deps.ingest}/callbacks/${source}`,
        code: push.code ?? status,
      }),
  });
  const elapsed = () => clock.now() - begin_at;
  const progress = () =>
    deps.onProgress?.({ ...sender.counts, calls: begun.calls + begun.channels, total: options.calls ?? null, elapsed_ms: elapsed() });
  const ticker = setInterval(progress, 500);
  const outage = vendor === null || outageAt === null ? null : new Outage(vendor, options.outageMs ?? 0);
  try {
    await counters?.start();
    if (outageAt !== null && outageAt !== 'after') outage?.beginIn(outageAt - clock.now());
    await sender.run(timelines);
    progress();
    clearInterval(ticker);
    const elapsed_ms = elapsed();
    if (outageAt === 'after') outage?.beginIn(0);
    const report =
      check === null || ledger === null
        ? null
        : await verify(
            {
              ledger,
              begin_at,
              apps: playedApps(apps, channelApps),
              clock,
              sleep,
              ...(vendor === null ? {} : { book: vendor.book }),
              ...(deps.signal ? { signal: deps.signal } : {}),
            },
            check,
          );
    await counters?.sample();
    const { plots, groups, lost, recordings, channels } = begun;
    return {
      run,
      seed,
      chaos,
      plots,
      groups,
      lost,
      recordings,
      channels,
      api: vendor?.book.answers() ?? {},
      sent: { ...sender.counts },
      elapsed_ms,
      workers: counters?.totals() ?? null,
      verify: report,
    };
  } finally {
    clearInterval(ticker);
    deps.signal?.removeEventListener('abort', stop);
    deps.enough?.removeEventListener('abort', stop);
    counters?.stop();
    await sender.close();
    await outage?.end();
    await vendor?.close();
  }
}

function featuresOf({ apps, channelApps = [], sessions = SESSIONS }: SimulationDeps, begin_at: number): Features {
  return {
    begin_at,
    recorded: new Set(apps.flatMap((app) => (isServed(app.records) ? [app.app_id] : []))),
    lostSince: begin_at - sessions.maxCall - LOST_REACH_MS,
    tiwKeys: new Map(apps.flatMap((app) => (app.tiwCallbackKey === undefined ? [] : [[app.app_id, app.tiwCallbackKey] as const]))),
    channelApps: channelApps.map(({ app_id, api }) => ({ app_id, subscribeIds: api?.subscribeIds ?? [`sub-${app_id}`] })),
    channelGap: sessions.channelGap,
  };
}

function shapeOf(options: SimulationOptions, begin_at: number): Shape {
  if (options.calls !== undefined && options.rate === undefined && options.forMs === undefined && options.historyMs === undefined) {
    return { kind: 'compressed', begin_at, calls: options.calls, live: options.live ?? Math.min(2_000, Math.floor(options.calls / 10)) };
  }
  return {
    kind: 'paced',
    begin_at,
    rate: options.rate ?? DEFAULT_RATE,
    calls: options.calls ?? null,
    forMs: options.forMs ?? null,
    historyMs: options.historyMs ?? 0,
    longestTalkMs: options.longestTalkMs ?? LONGEST_TALK_MS,
  };
}

/** When the outage begins, epoch ms; null: there is none. */
function outageStart({ outageMs }: SimulationOptions, shape: Shape, verifies: boolean): number | 'after' | null {
  if (outageMs === undefined) return null;
  if (shape.kind === 'compressed') {
    if (verifies) return 'after';
    throw new CallstreamError(
      'SIMULATOR_OPTIONS',
      '--outage comes after the callbacks of a run with --calls alone, and only --verify waits for that',
    );
  }
  const length = shape.forMs ?? (shape.calls === null ? null : (shape.calls / shape.rate) * 1_000);
  if (length === null) throw new CallstreamError('SIMULATOR_OPTIONS', '--outage needs a run that ends: add --calls or --for');
  return shape.begin_at + length / 3;
}

function checkedVerify(options: SimulationOptions, deps: SimulationDeps, shape: Shape): VerifyDeps | null {
  if (deps.apps.length === 0)
    throw new CallstreamError('SIMULATOR_OPTIONS', 'no tencent app is configured: the simulator has nobody to play the vendor of');
  if (!options.verify) return null;
  if (deps.verify === undefined)
    throw new CallstreamError('SIMULATOR_OPTIONS', '--verify needs access to Kafka, the registry and ClickHouse');
  if (shape.kind === 'paced' && shape.calls === null && shape.forMs === null) {
    throw new CallstreamError('SIMULATOR_OPTIONS', '--verify needs a run that ends: add --calls or --for');
  }
  return deps.verify;
}
