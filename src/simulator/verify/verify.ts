import { CallstreamError } from '../../domain/errors.js';
import type { Clock } from '../../telemetry/clock.js';
import { type Ledger, requestId } from '../ledger.js';
import { getOrMake } from '../maps.js';
import type { Timeouts } from '../truth/call.js';
import { callKey, TruthDeliveries } from '../truth/deliveries.js';
import type { VendorBook } from '../vendor/book.js';
import { compareCalls, compareDeadLetters, compareEvents, compareLegs, compareRequests, type OwnCall } from './compare.js';
import { compareRollups } from './compare-rollups.js';
import { compareTopic } from './compare-topic.js';
import { Differences } from './differences.js';
import { fateOf, standsAt } from './fate.js';
import type { Compared, Sleep, VerifyDeps, VerifyReport } from './ports.js';
import { countCalls, unfinishedCalls } from './rows.js';
import { sparing } from './sparing.js';

export interface VerifiedRun {
  ledger: Ledger;
  begin_at: number;
  apps: readonly string[];
  /** Of the vendor's APIs; absent: none is served. */
  book?: VendorBook;
  clock: Clock;
  sleep: Sleep;
  signal?: AbortSignal;
}

/** An active call whose timeout is closer than this is waited for. */
const NEAR_MS = 75_000;
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

  const calls = new Map<string, OwnCall>(
    [...raw.truth.calls.values()].map((c) => [callKey(c.app_id, c.call_id), { ...c, fate: fateOf(c.inputs, deps.sessions) }]),
  );
  await waitUntilFinal(run, deps, wait, calls, say);

  say('comparing requests, calls, legs, events and dead letters');
  const context = {
    query: deps.query,
    apps: run.apps,
    begin_at: run.begin_at,
    clock: run.clock,
    sleep: run.sleep,
    settle: deps.sessions.settle,
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
    revisions: await compareTopic(context, deps.readCalls),
    ...(await compareRollups(context, say)),
  };
  const now = run.clock.now();
  const all = [...calls.values()].map((c) => standsAt(c.fate, now));
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
    const request = requestId('tuicallkit', record.app_id, record.query, body);
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

/**
 * Until every call that is over, or soon will be by its timeout, stands final in ClickHouse. Ringing calls always will; active ones may have hours left, and
 * one whose time comes later, while things are compared, may stand either way then.
 */
async function waitUntilFinal(
  run: VerifiedRun,
  deps: VerifyDeps,
  wait: Wait,
  calls: ReadonlyMap<string, OwnCall>,
  say: (line: string) => void,
): Promise<void> {
  const near = run.clock.now() + NEAR_MS;
  const ending = new Set(
    [...calls].flatMap(([key, { fate }]) =>
      (fate.open.status === 'ringing' && fate.timedOut !== null) || standsAt(fate, near).status === 'ended' ? [key] : [],
    ),
  );
  say(`${calls.size} calls, ${ending.size} of them over or about to be`);
  await wait.until('calls in ClickHouse, all that can end final', async () => {
    const found = await countCalls(deps.query, run.apps, run.begin_at);
    if (found < calls.size) return `${calls.size - found} calls missing`;
    const unfinished = await unfinishedCalls(deps.query, run.apps, run.begin_at);
    const pending = unfinished.filter((c) => ending.has(callKey(c.app_id, c.call_id))).length;
    return pending === 0 ? null : `${pending} not final`;
  });
  await wait.until('idle workers', async () => lagging(await deps.lag()));
}

/** Awaits conditions, tells what is missing, and turns a deadline that passes into a difference that explains itself. */
class Wait {
  readonly #deadline: number;
  readonly #run: VerifiedRun;
  readonly #differences: Differences;
  readonly #say: (line: string) => void;

  constructor(run: VerifiedRun, deps: VerifyDeps, differences: Differences, say: (line: string) => void) {
    this.#run = run;
    this.#differences = differences;
    this.#say = say;
    const { ringTimeout, settle } = deps.sessions satisfies Timeouts & { settle: number };
    this.#deadline = run.clock.now() + (deps.deadlineMs ?? DEFAULT_DEADLINE_MS + ringTimeout + settle);
  }

  /** @param missing null when the condition holds, else what is missing; errors of servers that are away count as missing */
  async until(what: string, missing: () => Promise<string | null>): Promise<void> {
    const tell = sparing(this.#say, this.#run.clock);
    for (;;) {
      if (this.#run.signal?.aborted) throw new CallstreamError('SIMULATOR_STOPPED', `stopped while waiting for ${what}`);
      const problem = await missing().catch((error: Error) => `cannot tell: ${error.message}`);
      if (problem === null) return;
      tell(`waiting for ${what}: ${problem}`);
      if (this.#run.clock.now() > this.#deadline) {
        this.#differences.add('waited in vain', `${what}: ${problem}`);
        return;
      }
      await this.#run.sleep(POLL_MS);
    }
  }
}
