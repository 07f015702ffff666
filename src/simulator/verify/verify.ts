import type { Clock } from '../../telemetry/clock.js';
import type { Ledger } from '../ledger.js';
import { callKey } from '../truth/deliveries.js';
import { truthOfRecording } from '../truth/recording.js';
import type { VendorBook } from '../vendor/book.js';
import { compareCalls } from './compare-calls.js';
import { compareDeadLetters, compareEvents } from './compare-events.js';
import { compareLegs } from './compare-legs.js';
import { compareRecordings } from './compare-recordings.js';
import { compareRequests } from './compare-requests.js';
import { compareRollups } from './compare-rollups.js';
import { compareTopic } from './compare-topic.js';
import type { Compared } from './compared.js';
import { type Comparison, type OwnCall, type OwnRecording, type OwnSession, sessionKey } from './comparison.js';
import { Differences } from './differences.js';
import { fateOf, sessionFates, standsAt } from './fate.js';
import { deepSweepEvery, describeOwed, mediaTasks, owedBySweeps, owedMedia } from './owed.js';
import type { PlayedApp } from './played.js';
import type { Sleep, VerifyDeps, VerifyReport } from './ports.js';
import { RawReading, sourcesOf } from './raw.js';
import { countCalls, unfinishedCalls } from './rows.js';
import { Wait } from './wait.js';

export interface VerifiedRun {
  ledger: Ledger;
  begin_at: number;
  apps: readonly PlayedApp[];
  /** Of the vendor's APIs; absent: none is served. */
  book?: VendorBook;
  clock: Clock;
  sleep: Sleep;
  signal?: AbortSignal;
}

/** An active call whose timeout is closer than this is waited for. */
const NEAR_MS = 75_000;
const DEFAULT_DEADLINE_MS = 600_000;
/** Between two looks for what only a sweep brings. */
const SWEEP_LOOK_MS = 5_000;
/** Polls go on while things are compared; what was compared with too little is compared again, so many times. */
const ATTEMPTS = 5;

/**
 * Compares everything the project holds about a run with the truth.
 *
 * What is owed is what was acknowledged: every such request must be in the raw topics, and so must be what the vendor's APIs have; nothing else may be. The
 * truth is then a plain reading of semantics.md over the raw deliveries of what is the run's own, because received_at, which parts of the semantics
 * depend on, is given by the ingest server and the poller. Calls of other runs on the same apps are taken from `calls` as they are, and only count in
 * the rollups; so traffic that goes on at the same time on the same apps can make rollups differ from one read to the next, which is retried.
 */
export async function verify(run: VerifiedRun, deps: VerifyDeps): Promise<VerifyReport> {
  return new Verification(run, deps).report();
}

class Verification {
  readonly #run: VerifiedRun;
  readonly #apps: readonly string[];
  readonly #deps: VerifyDeps;
  readonly #say: (line: string) => void;
  readonly #wait: Wait;
  /** Of the waits; what is compared has its own, for it may be compared again. */
  readonly #waited = new Differences();
  readonly #raw: RawReading;
  readonly #calls = new Map<string, OwnCall>();
  /** By channel: its sessions, and of how many inputs they are made. */
  readonly #channels = new Map<string, { inputs: number; sessions: readonly OwnSession[] }>();
  #sessions: ReadonlyMap<string, OwnSession> = new Map();

  constructor(run: VerifiedRun, deps: VerifyDeps) {
    this.#run = run;
    this.#apps = run.apps.map((app) => app.app_id);
    this.#deps = deps;
    this.#raw = new RawReading(run);
    this.#say = deps.onLine ?? (() => {});
    const { ringTimeout, settle } = deps.sessions;
    const polled = run.book === undefined ? 0 : deepSweepEvery(deps.polling);
    this.#wait = new Wait(run, deps.deadlineMs ?? DEFAULT_DEADLINE_MS + ringTimeout + settle + polled, this.#waited, this.#say);
  }

  async report(): Promise<VerifyReport> {
    await this.#idle();
    this.#say('reading the raw topics');
    await this.#read();
    await this.#arrived();
    await this.#settled();
    await this.#mediaPolled();
    let differences = new Differences();
    let compared = await this.#compare(differences);
    for (let attempt = 1; attempt < ATTEMPTS && differences.total > 0; attempt++) {
      const known = this.#raw.own;
      await this.#read();
      if (this.#raw.own === known) break;
      this.#say('more has come meanwhile: comparing again');
      await this.#settled();
      differences = new Differences();
      compared = await this.#compare(differences);
    }
    differences.merge(this.#waited);
    const now = this.#run.clock.now();
    const all = [...this.#calls.values()].map((c) => standsAt(c.fate, now));
    return {
      compared,
      differences: differences.counts,
      first: differences.first,
      total: differences.total,
      timed_out_calls: all.filter((t) => t.end_reason === 'timed_out').length,
      open_calls: all.filter((t) => t.status !== 'ended').length,
    };
  }

  #idle(): Promise<void> {
    return this.#wait.until('idle workers', async () => {
      const behind = Object.entries(await this.#deps.lag()).filter(([, n]) => n > 0);
      return behind.length === 0 ? null : behind.map(([group, n]) => `${group} ${n} behind`).join(', ');
    });
  }

  async #read(): Promise<void> {
    await this.#raw.readOn(this.#deps);
    const { calls, channels } = this.#raw.truth;
    for (const [key, { app_id, call_id, inputs }] of calls) {
      if (this.#calls.get(key)?.inputs.length !== inputs.length)
        this.#calls.set(key, { app_id, call_id, inputs: [...inputs], fate: fateOf(inputs, this.#deps.sessions) });
    }
    for (const [key, { app_id, channel_id, inputs }] of channels) {
      if (this.#channels.get(key)?.inputs === inputs.length) continue;
      const arrivals = inputs.map((i) => i.received_at);
      const sessions = sessionFates(inputs, this.#deps.sessions).map((fate) => ({ app_id, channel_id, arrivals, fate }));
      this.#channels.set(key, { inputs: inputs.length, sessions });
    }
    const sessions = [...this.#channels.values()].flatMap((channel) => channel.sessions);
    this.#sessions = new Map(sessions.map((s) => [sessionKey(s.app_id, s.channel_id, s.fate.open.started_at), s]));
  }

  /** Until the raw topics have every acknowledged callback, and what the vendor's APIs have. */
  async #arrived(): Promise<void> {
    const { ledger, book, begin_at, clock } = this.#run;
    await this.#wait.until('every acknowledged callback in the raw topics', async () => {
      let missing = 0;
      for (const [id, { acknowledged }] of ledger.entries) if ((this.#raw.requests.get(id) ?? 0) < acknowledged) missing++;
      if (missing === 0) return null;
      await this.#read();
      return `${missing} missing`;
    });
    if (book === undefined) return;
    const owed = () => owedBySweeps({ begin_at, now: clock.now(), book, raw: this.#raw }, this.#deps);
    await this.#wait.until(
      'the sweeps',
      async () => {
        const missing = describeOwed(owed());
        if (missing !== null) await this.#read();
        return missing;
      },
      SWEEP_LOOK_MS,
    );
  }

  /**
   * Until every call and session that is over, or soon will be by its timeout, stands final in ClickHouse. Ringing calls always will; active ones may have hours
   * left, and one whose time comes later, while things are compared, may stand either way then.
   */
  async #settled(): Promise<void> {
    await this.#idle();
    const { clock, begin_at } = this.#run;
    const near = clock.now() + NEAR_MS;
    const ending = new Set<string>();
    for (const [key, { fate }] of this.#calls) {
      if ((fate.open.status === 'ringing' && fate.timedOut !== null) || standsAt(fate, near).status === 'ended') ending.add(key);
    }
    for (const [key, { fate }] of this.#sessions) if (fate.deadline <= near) ending.add(key);
    const due = { calls: this.#calls.size, sessions: this.#sessions.size };
    const sessions = due.sessions === 0 ? '' : ` and ${due.sessions} channel sessions`;
    this.#say(`${due.calls} calls${sessions}, ${ending.size} of them over or about to be`);
    await this.#wait.until('calls in ClickHouse, all that can end final', async () => {
      const found = await countCalls(this.#deps.query, this.#apps, begin_at);
      if (found.calls < due.calls) return `${due.calls - found.calls} calls missing`;
      if (found.sessions < due.sessions) return `${due.sessions - found.sessions} channel sessions missing`;
      const unfinished = await unfinishedCalls(this.#deps.query, this.#apps, begin_at);
      const pending = unfinished.filter(
        (c) => ending.has(callKey(c.app_id, c.call_id)) || ending.has(sessionKey(c.app_id, c.room_id, c.started_at)),
      ).length;
      return pending === 0 ? null : `${pending} not final`;
    });
    await this.#idle();
  }

  /** Media events are asked for once a call is final. What the vendor has nothing of may be asked for again for hours: that is not waited for. */
  async #mediaPolled(): Promise<void> {
    const { book, apps } = this.#run;
    if (book === undefined || !apps.some((app) => app.media)) return;
    let waited = false;
    await this.#wait.until(
      'media events',
      async () => {
        const tasks = await mediaTasks(this.#deps.readTasks);
        const owed = owedMedia({ book, apps, calls: this.#calls.values(), tasks, users: this.#deps.users }, this.#deps.polling.userEvents);
        if (owed.length === 0) return null;
        waited = true;
        await this.#read();
        return `${owed.length} polls, the first of ${owed[0]}`;
      },
      SWEEP_LOOK_MS,
    );
    if (waited) await this.#settled();
  }

  async #compare(differences: Differences): Promise<Compared> {
    this.#say('comparing requests, calls, legs, events and dead letters');
    const { ledger, book, begin_at, apps, clock, sleep } = this.#run;
    const { query, sessions, readCalls, polling } = this.#deps;
    const { truth, requests, strangers } = this.#raw;
    for (const stranger of strangers) differences.add('invented poll', stranger);
    if (book !== undefined) {
      for (const r of owedBySweeps({ begin_at, now: clock.now(), book, raw: this.#raw }, this.#deps).records)
        if (r.lost) differences.add('lost call', `${r.app_id} ${r.call_id}: every callback was lost, and no sweep has found its record`);
    }
    const recordings = [...truth.recordings].map(([key, { app_id, task_id, inputs }]): [string, OwnRecording] => [
      key,
      { app_id, task_id, truth: truthOfRecording(inputs) },
    ]);
    const sources = sourcesOf(apps);
    const c: Comparison = {
      query,
      apps: this.#apps,
      sources,
      begin_at,
      clock,
      sleep,
      settle: sessions.settle,
      calls: this.#calls,
      sessions: this.#sessions,
      recordings: new Map(recordings),
      deliveries: truth,
      differences,
      eventIds: new Map(),
      revisions: new Map(),
      named: new Map(),
    };
    const compared = compareRequests(ledger, requests, differences);
    const events = await compareEvents(c);
    const found = await compareCalls(c);
    const legs = await compareLegs(c);
    const deadLetters = await compareDeadLetters(c);
    const recorded = sources.includes('tiw') ? await compareRecordings(c) : 0;
    const revisions = await compareTopic(c, readCalls);
    const { overlaps, ...rolled } = await compareRollups(c, this.#say);
    return {
      requests: compared,
      calls: found.calls,
      legs,
      events: [...events.values()].reduce((sum, n) => sum + n, 0),
      dead_letters: deadLetters,
      revisions,
      ...(sources.includes('call-record') ? { records: events.get('call-record') ?? 0 } : {}),
      ...(sources.includes('user-event') && polling.userEvents === 'all' ? { media_polls: events.get('user-event') ?? 0 } : {}),
      ...(sources.includes('tiw') ? { recordings: recorded, call_recordings: overlaps } : {}),
      ...(sources.includes('aliyun-rtc') ? { channel_sessions: found.sessions } : {}),
      ...rolled,
    };
  }
}
