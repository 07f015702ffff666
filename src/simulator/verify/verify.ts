import { setTimeout as sleep } from 'node:timers/promises';
import { CallstreamError } from '../../domain/errors.js';
import type { Clock } from '../../telemetry/clock.js';
import { type Ledger, requestId } from '../ledger.js';
import { getOrMake } from '../maps.js';
import { type Timeouts, type TruthCall, truthOf } from '../truth/call.js';
import { callKey, TruthDeliveries } from '../truth/deliveries.js';
import { compareCalls, compareDeadLetters, compareEvents, compareLegs, compareRequests, type OwnCall } from './compare.js';
import { compareRollups } from './compare-rollups.js';
import { compareTopic } from './compare-topic.js';
import { Differences } from './differences.js';
import type { Compared, VerifyDeps, VerifyReport } from './ports.js';
import { countCalls, unfinishedCalls } from './rows.js';

export interface VerifiedRun {
  ledger: Ledger;
  begin_at: number;
  apps: readonly string[];
  clock: Clock;
  signal?: AbortSignal;
}

/** A call whose timeout is closer than this is waited for; one that is further away must be open. */
const NEAR_MS = 45_000;
const POLL_MS = 500;
const DEFAULT_DEADLINE_MS = 600_000;

/**
 * Compares everything the project holds about a run with the truth.
 *
 * What is owed is what was acknowledged: every such request must be in the raw topic, and nothing else may be. The truth is then a plain reading of
 * semantics.md over the raw deliveries of the run's calls, because received_at, which parts of the semantics depend on, is given by the ingest server.
 * Calls of other runs on the same apps are taken from `calls` as they are, and only count in the rollups; so traffic that goes on at the same
 * time on the same apps can make rollups differ from one read to the next, which is retried.
 */
export async function verify(run: VerifiedRun, deps: VerifyDeps): Promise<VerifyReport> {
  const differences = new Differences();
  const say = deps.onLine ?? (() => {});
  const wait = new Wait(run, deps, differences, say);

  await wait.until('idle workers', async () => lagging(await deps.lag()));
  say('reading the raw topic');
  let raw = await readRaw(run, deps);
  await wait.until('every acknowledged callback in the raw topic', async () => {
    const missing = [...run.ledger.entries].filter(([id, e]) => (raw.requests.get(id)?.size ?? 0) < e.acknowledged).length;
    if (missing === 0) return null;
    raw = await readRaw(run, deps);
    return `${missing} missing`;
  });
  await wait.until('idle workers', async () => lagging(await deps.lag()));

  const own = [...raw.truth.calls.values()];
  const truths = new Map<string, TruthCall>();
  const judge = (now: number) => {
    for (const call of own) truths.set(callKey(call.app_id, call.call_id), truthOf(call.inputs, deps.sessions, now));
  };
  await waitUntilFinal(run, deps, wait, truths, judge, say);

  say('comparing requests, calls, legs, events and dead letters');
  const calls = new Map<string, OwnCall>(
    own.map((c) => [callKey(c.app_id, c.call_id), { ...c, truth: truths.get(callKey(c.app_id, c.call_id))! }]),
  );
  const context = {
    query: deps.query,
    apps: run.apps,
    begin_at: run.begin_at,
    now: run.clock.now(),
    calls,
    deliveries: raw.truth,
    differences,
  };
  const compared: Compared = {
    requests: compareRequests(run.ledger, raw.requests, differences),
    calls: await compareCalls(context),
    legs: await compareLegs(context),
    events: await compareEvents(context),
    dead_letters: await compareDeadLetters(context),
    revisions: await compareTopic(context, deps.readCalls, run.clock),
    ...(await compareRollups(context, run.clock, say)),
  };
  const all = [...truths.values()];
  return {
    compared,
    differences: differences.counts,
    first: differences.first,
    total: differences.total,
    timed_out_calls: all.filter((t) => t.end_reason === 'timed_out').length,
    open_calls: all.filter((t) => t.status !== 'ended').length,
  };
}

interface RawReading {
  truth: TruthDeliveries;
  /** Ids of the stored deliveries by request; a repeat of one delivery (equal id) is not another. */
  requests: Map<string, Set<string>>;
}

async function readRaw(run: VerifiedRun, deps: VerifyDeps): Promise<RawReading> {
  const truth = new TruthDeliveries();
  const requests = new Map<string, Set<string>>();
  const apps = new Set(run.apps);
  await deps.readRaw((record) => {
    const body = Buffer.from(record.body);
    const request = requestId(record.app_id, record.query, body);
    const own = run.ledger.entries.has(request);
    if (own) {
      getOrMake(requests, request, () => new Set()).add(record.id);
    }
    if (own || apps.has(record.app_id)) truth.add({ ...record, body }, own);
  });
  return { truth, requests };
}

function lagging(lag: Record<string, number>): string | null {
  const behind = Object.entries(lag).filter(([, n]) => n > 0);
  return behind.length === 0 ? null : behind.map(([group, n]) => `${group} ${n} behind`).join(', ');
}

/** Until every call that is over, or soon will be by its timeout, stands final in ClickHouse, and the truth is taken at a moment when no timeout is near. */
async function waitUntilFinal(
  run: VerifiedRun,
  deps: VerifyDeps,
  wait: Wait,
  truths: Map<string, TruthCall>,
  judge: (now: number) => void,
  say: (line: string) => void,
): Promise<void> {
  for (;;) {
    const from = run.clock.now();
    judge(from + NEAR_MS);
    const ended = [...truths.values()].filter((t) => t.status === 'ended').length;
    say(`${truths.size} calls, ${ended} of them over or about to be`);
    await wait.until('calls in ClickHouse, all that can end final', async () => {
      const found = await countCalls(deps.query, run.apps, run.begin_at);
      if (found < truths.size) return `${truths.size - found} calls missing`;
      const unfinished = await unfinishedCalls(deps.query, run.apps, run.begin_at);
      const pending = unfinished.filter((c) => truths.get(callKey(c.app_id, c.call_id))?.status === 'ended').length;
      return pending === 0 ? null : `${pending} not final`;
    });
    await wait.until('idle workers', async () => lagging(await deps.lag()));
    // A wait may take longer than NEAR_MS; then calls that were to stay open may have timed out meanwhile.
    const now = run.clock.now();
    const expired = [...truths.values()].some((t) => t.status !== 'ended' && t.times_out_at !== null && t.times_out_at <= now + 5_000);
    if (!expired || wait.expired) return;
  }
}

/** Awaits conditions, tells what is missing, and turns a deadline that passes into a difference that explains itself. */
class Wait {
  readonly #deadline: number;
  readonly #run: VerifiedRun;
  readonly #differences: Differences;
  readonly #say: (line: string) => void;
  expired = false;

  constructor(run: VerifiedRun, deps: VerifyDeps, differences: Differences, say: (line: string) => void) {
    this.#run = run;
    this.#differences = differences;
    this.#say = say;
    const { ringTimeout, settle } = deps.sessions satisfies Timeouts & { settle: number };
    this.#deadline = run.clock.now() + (deps.deadlineMs ?? DEFAULT_DEADLINE_MS + ringTimeout + settle);
  }

  /** @param missing null when the condition holds, else what is missing; errors of servers that are away count as missing */
  async until(what: string, missing: () => Promise<string | null>): Promise<void> {
    let told = '';
    for (;;) {
      if (this.#run.signal?.aborted) throw new CallstreamError('SIMULATOR_STOPPED', `stopped while waiting for ${what}`);
      const problem = await missing().catch((error: Error) => `cannot tell: ${error.message}`);
      if (problem === null) return;
      if (problem !== told) this.#say(`waiting for ${what}: ${problem}`);
      told = problem;
      if (this.#run.clock.now() > this.#deadline) {
        this.expired = true;
        this.#differences.add('waited in vain', `${what}: ${problem}`);
        return;
      }
      await sleep(POLL_MS);
    }
  }
}
