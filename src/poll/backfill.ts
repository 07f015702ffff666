import { CallstreamError } from '../domain/errors.js';
import { type AnyPolledSource, oldestAt, type PolledElement, type TaskSubject, type TimeRange } from '../sources/polled.js';
import type { Chance } from '../telemetry/chance.js';
import type { Clock } from '../telemetry/clock.js';
import type { CursorKey, Cursors } from './cursors.js';
import type { Line } from './line.js';
import type { PollOutlet } from './outlet.js';
import { piecesOf } from './sweeper.js';
import type { Timing } from './timing.js';
import { type WalkEnd, walk } from './walk.js';

/** Of the vendor's rate: the poller may be asking beside us. */
export const BACKFILL_SHARE = 0.25;

export interface BackfillDeps {
  cursors: Cursors;
  outlet: PollOutlet;
  /** Calls that started in a range and are over, for a source that is asked about one call at a time. */
  callsOf(appId: string, range: TimeRange): Promise<readonly Omit<TaskSubject, 'user_id'>[]>;
  /** How long a call may take, in milliseconds. */
  maxCall: number;
  timing: Timing;
  clock: Clock;
  chance: Chance;
}

export interface BackfillProgress {
  /** Of the range, in milliseconds, over all lines and scopes. */
  done: number;
  total: number;
  /** Elements that were sent, and calls that the vendor had nothing of. */
  elements: number;
  absent: number;
}

/** After each piece a cursor is written: an interrupted backfill begins again there. */
const PIECE_MS = 6 * 3_600_000;
/** Calls that are asked about at once. */
const AT_ONCE = 8;
/** Failures of the host in a row, for one page, before it is said to be away. */
const HOST_RETRIES = 5;

/**
 * A range that can be had now.
 * @throws CallstreamError BACKFILL_RANGE saying what can be had
 */
export function checkRange({ name, limits }: AnyPolledSource, { from, to }: TimeRange, now: number): TimeRange {
  const { granularityMs: step, lookBackMs } = limits;
  const oldest = oldestAt(now, limits);
  const newest = Math.floor(now / step) * step;
  const refuse = (why: string): never => {
    throw new CallstreamError('BACKFILL_RANGE', why);
  };
  if (from >= to) refuse(`--from ${iso(from)} is not before --to ${iso(to)}`);
  if (from < oldest)
    refuse(
      `the vendor answers ${name} ${lookBackMs / 86_400_000} days back: --from ${iso(from)} is too old, the oldest that can be had now is ${iso(oldest)}`,
    );
  if (to > newest) refuse(`--to ${iso(to)} is still to come: the newest that can be had now is ${iso(newest)}`);
  return { from: Math.floor(from / step) * step, to: Math.ceil(to / step) * step };
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** One source of one app, or one subscription of it. */
interface Part {
  line: Line;
  scope: string;
  key: CursorKey;
}

/** Everything that a vendor has of a range, onto the raw topic once more. Equal elements have equal ids, so what was there changes nothing. */
export class Backfill {
  readonly #deps: BackfillDeps;
  readonly #range: TimeRange;
  readonly #parts: readonly Part[];
  readonly #progress: BackfillProgress;

  /** @param range as {@link checkRange} gave it */
  constructor(lines: readonly Line[], range: TimeRange, deps: BackfillDeps) {
    this.#deps = deps;
    this.#range = range;
    const sweep = `backfill:${range.from}-${range.to}`;
    this.#parts = lines.flatMap((line) => {
      const scopes = line.source.sweeping?.scopesOf(line.app) ?? [''];
      return scopes.map((scope) => ({ line, scope, key: { source: line.source.name, app_id: line.app.appId, sweep, scope } }));
    });
    const total = this.#parts.length * (range.to - range.from);
    const left = this.#parts.reduce((sum, part) => sum + range.to - this.#beginOf(part), 0);
    this.#progress = { done: total - left, total, elements: 0, absent: 0 };
  }

  /** When an earlier run has finished this very range, epoch milliseconds; null: there is something to do. */
  get finishedAt(): number | null {
    if (this.#parts.some((part) => this.#beginOf(part) < this.#range.to)) return null;
    return Math.max(...this.#parts.map(({ key }) => this.#deps.cursors.get(key)?.updated_at ?? 0));
  }

  get progress(): Readonly<BackfillProgress> {
    return this.#progress;
  }

  /**
   * Tells of its progress after each page.
   * @throws CallstreamError BACKFILL_STOPPED, BACKFILL_FAILED: what is done stays done; the signal's reason
   */
  async run(onProgress: (progress: Readonly<BackfillProgress>) => void, signal: AbortSignal): Promise<void> {
    const { clock, cursors } = this.#deps;
    for (const part of this.#parts) {
      const left = { from: this.#beginOf(part), to: this.#range.to };
      for (const piece of piecesOf(left, clock.now(), part.line.source.limits, PIECE_MS).windows) {
        await this.#piece(part, piece, onProgress, signal);
        await cursors.advance(part.key, piece.to, signal);
        this.#progress.done += piece.to - piece.from;
        onProgress(this.#progress);
      }
    }
  }

  #beginOf({ key }: Part): number {
    return this.#deps.cursors.get(key)?.swept_to ?? this.#range.from;
  }

  async #piece(
    { line, scope }: Part,
    piece: TimeRange,
    onProgress: (progress: BackfillProgress) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, maxCall, callsOf } = this.#deps;
    const { sweeping, tasking } = line.source;
    const publish = async (elements: readonly PolledElement[]): Promise<void> => {
      await this.#deps.outlet.publish(line.source, line.app.appId, elements, signal);
      this.#progress.elements += elements.length;
      onProgress(this.#progress);
    };
    if (sweeping !== null) {
      const end = await this.#walk(line, sweeping.first(line.app, scope, piece, clock.now(), maxCall), publish, signal);
      if (end.kind !== 'done' && end.kind !== 'not_yet') fail(line, end);
      return;
    }
    const calls = await callsOf(line.app.appId, piece);
    for (let i = 0; i < calls.length; i += AT_ONCE) {
      await this.#together(calls.slice(i, i + AT_ONCE), signal, async (call, either) => {
        const plan = tasking?.first(line.app, { ...call, user_id: '' }, clock.now()) ?? null;
        const end = await this.#walk(line, plan, publish, either);
        if (plan === null || end.kind === 'not_yet' || end.kind === 'refused') this.#progress.absent += 1;
        else if (end.kind !== 'done') fail(line, end);
      });
    }
  }

  /** The first to fail ends the others, which might wait for long where a vendor wants none of them; none goes on behind the back of what is told. */
  async #together<T>(items: readonly T[], signal: AbortSignal, work: (item: T, either: AbortSignal) => Promise<void>): Promise<void> {
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    await Promise.allSettled(items.map((item) => work(item, either).catch((error) => failed.abort(error))));
    signal.throwIfAborted();
    failed.signal.throwIfAborted();
  }

  #walk(line: Line, plan: unknown, publish: (elements: readonly PolledElement[]) => Promise<void>, signal: AbortSignal): Promise<WalkEnd> {
    const { timing, chance } = this.#deps;
    return walk(plan, { line, lane: 'sweep', publish, hostRetries: HOST_RETRIES, timing, chance, signal });
  }
}

function fail(line: Line, end: Exclude<WalkEnd, { kind: 'done' }>): never {
  if (end.kind === 'stop') throw new CallstreamError('BACKFILL_STOPPED', `${line.place}: ${end.message}`);
  const todo = end.hostFailed ? `. Check endpoint under ${line.place}` : '';
  throw new CallstreamError('BACKFILL_FAILED', `${line.place}: ${end.message}${todo}`);
}
