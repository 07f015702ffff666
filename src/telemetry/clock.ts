import { uptime } from 'node:os';

/** Wall-clock time as an argument: the only way that logic outside `src/domain` and `src/sources` may ask for it. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
}

/** Where a {@link SteadyClock} gets its time from, all in milliseconds. */
export interface TimeSources {
  /** Epoch; somebody may set it. */
  wall(): number;
  /** From any beginning; only passes, but perhaps not while the machine sleeps. */
  ticks(): number;
  /** From any beginning; passes while the machine sleeps, too. Asked only when the other two disagree. */
  uptime(): number;
}

/** Steps of the wall clock up to this are believed at once: what time synchronisation does to a clock that is nearly right. */
const TOLERANCE_MS = 5_000;
/** A larger step is believed when it has stood for so long. */
const DOUBT_MS = 600_000;

const MACHINE: TimeSources = { wall: () => Date.now(), ticks: () => performance.now(), uptime: () => uptime() * 1_000 };

/**
 * The machine's clock, but for its jumps: while it has leapt by more than seconds, forward or back, time goes on as it went before, until the leap has stood
 * for ten minutes. Stream time never goes back, so one wrong minute of a worker's clock would close every call, for as long as the clock was ahead. That the
 * machine has slept is no leap.
 */
export class SteadyClock implements Clock {
  readonly #sources: TimeSources;
  /** Wall clock minus ticks, as believed. */
  #offset: number;
  /** Uptime minus ticks: grows while the machine sleeps. */
  #slept: number;
  #doubt: { offset: number; since: number } | null = null;

  constructor(sources: TimeSources = MACHINE) {
    this.#sources = sources;
    const ticks = sources.ticks();
    this.#offset = sources.wall() - ticks;
    this.#slept = sources.uptime() - ticks;
  }

  now(): number {
    const wall = this.#sources.wall();
    const ticks = this.#sources.ticks();
    const offset = wall - ticks;
    if (Math.abs(offset - this.#offset) > TOLERANCE_MS && !this.#isBelieved(offset, ticks)) return Math.round(ticks + this.#offset);
    this.#offset = offset;
    this.#doubt = null;
    return wall;
  }

  /** By how many milliseconds the machine's clock is ahead (below 0: behind) of what is believed; 0 while it is believed. */
  get doubted(): number {
    this.now();
    return this.#doubt === null ? 0 : Math.round(this.#doubt.offset - this.#offset);
  }

  #isBelieved(offset: number, ticks: number): boolean {
    const slept = this.#sources.uptime() - ticks;
    if (slept - this.#slept > TOLERANCE_MS) {
      this.#offset += slept - this.#slept;
      this.#slept = slept;
    }
    if (Math.abs(offset - this.#offset) <= TOLERANCE_MS) return true;
    const known = this.#doubt;
    // Another leap begins its time anew.
    if (known === null || Math.abs(offset - known.offset) > TOLERANCE_MS) this.#doubt = { offset, since: ticks };
    return ticks - (this.#doubt?.since ?? ticks) >= DOUBT_MS;
  }
}

/** The clock of this process. */
export const systemClock = new SteadyClock();

/** Time that only passes, in milliseconds from any beginning: for pauses and paces, which must not depend on what anybody sets a clock to. */
export const passingTime: Clock = { now: () => performance.now() };
