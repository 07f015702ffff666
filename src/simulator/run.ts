import { setTimeout as sleep } from 'node:timers/promises';
import { CallstreamError } from '../domain/errors.js';
import type { Clock } from '../telemetry/clock.js';
import type { ChaosLevel } from './chaos.js';
import { Ledger } from './ledger.js';
import { type SendCounts, Sender } from './sender.js';
import type { Plot } from './story.js';
import { type Shape, timelinesOf } from './traffic.js';
import { CounterWatch, type WorkerCounters } from './verify/counters.js';
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
  /** Requests under way at once; default 128. */
  concurrency?: number;
  /** Part of every call id; default: seed and start time. */
  run?: string;
  /** Compare what the project holds with the truth afterwards. */
  verify?: boolean;
}

export interface SimulationDeps {
  /** Origin of the ingest server, for example `http://127.0.0.1:8080`. */
  ingest: string;
  /** The tencent apps that the ingest server knows, with their path secrets. */
  apps: readonly { app_id: string; secret?: string }[];
  clock: Clock;
  /** Stops the sending; what is under way is given up. */
  signal?: AbortSignal;
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
  sent: SendCounts;
  elapsed_ms: number;
  /** From the workers' metrics while the run lasted; null when nobody gave access to them. */
  workers: WorkerCounters | null;
  verify: VerifyReport | null;
}

const DEFAULT_RATE = 5;

/**
 * Plays the vendor, then, when asked to, compares everything the project holds with the truth.
 * @throws CallstreamError SIMULATOR_OPTIONS
 */
export async function runSimulation(options: SimulationOptions, deps: SimulationDeps): Promise<SimulationReport> {
  const begin_at = deps.clock.now();
  const shape = shapeOf(options, begin_at);
  const check = checkedVerify(options, deps, shape);
  const run = options.run ?? `${options.seed}.${begin_at.toString(36)}`;
  const controller = new AbortController();
  const stop = () => controller.abort();
  deps.signal?.addEventListener('abort', stop, { once: true });
  if (deps.signal?.aborted) stop();

  const ledger = check === null ? null : new Ledger();
  const counters = deps.verify?.metrics ? new CounterWatch(deps.verify.metrics) : null;
  const plots: SimulationReport['plots'] = {};
  let calls = 0;
  let groups = 0;
  const plan = { seed: options.seed, run, apps: deps.apps.map((a) => a.app_id), chaos: options.chaos };
  const timelines = timelinesOf(plan, shape, (call) => {
    calls++;
    if (call.group) groups++;
    plots[call.plot] = (plots[call.plot] ?? 0) + 1;
  });
  const sender = new Sender({
    origin: deps.ingest,
    secrets: new Map(deps.apps.flatMap((a) => (a.secret === undefined ? [] : [[a.app_id, a.secret] as const]))),
    concurrency: options.concurrency ?? 128,
    clock: deps.clock,
    signal: controller.signal,
    ledger,
  });
  const elapsed = () => deps.clock.now() - begin_at;
  const progress = () => deps.onProgress?.({ ...sender.counts, calls, total: options.calls ?? null, elapsed_ms: elapsed() });
  const ticker = setInterval(progress, 500);
  try {
    await counters?.start();
    await sender.run(timelines);
    progress();
  } finally {
    clearInterval(ticker);
    deps.signal?.removeEventListener('abort', stop);
    await sender.close();
  }
  const elapsed_ms = elapsed();
  try {
    const report =
      check === null || ledger === null
        ? null
        : await verify(
            { ledger, begin_at, apps: plan.apps, clock: deps.clock, sleep, ...(deps.signal ? { signal: deps.signal } : {}) },
            check,
          );
    await counters?.sample();
    return {
      run,
      seed: options.seed,
      chaos: options.chaos,
      plots,
      groups,
      sent: { ...sender.counts },
      elapsed_ms,
      workers: counters?.totals() ?? null,
      verify: report,
    };
  } finally {
    counters?.stop();
  }
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
  };
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
