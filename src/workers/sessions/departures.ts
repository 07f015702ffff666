import { mayLeaveEarly } from './schedule.js';
import type { SessionSettings } from './settings.js';
import type { Slot } from './slot.js';

/** Final calls looked at per timer run when the memory cap asks some to leave early. */
const EARLY_LEAVERS_PER_RUN = 20_000;

/**
 * Which calls may leave the state, and what has left: a call leaves once ClickHouse has its last revision, so that later input finds it there
 * (design.md "Late input").
 */
export class Departures {
  /** Next offset that the sink will read of the calls partition: everything before it is in ClickHouse. */
  #sinkPosition = 0;
  #sinkMoved = false;
  /** Calls past their retention that ClickHouse does not have yet. */
  #waiting: Slot[] = [];
  #horizon: number | null = null;
  #looking: Iterator<Slot> | null = null;
  #left = 0;

  /** Latest time of any call that has left, epoch ms; null: none has, so nothing is late. */
  get horizon(): number | null {
    return this.#horizon;
  }

  /** Some that waited may be able to leave. */
  get pending(): boolean {
    return this.#waiting.length > 0 && this.#sinkMoved;
  }

  restored(horizon: number | null): void {
    this.#horizon = horizon;
  }

  setSinkPosition(position: number): void {
    this.#sinkMoved ||= position !== this.#sinkPosition;
    this.#sinkPosition = position;
  }

  mayLeave(slot: Slot): boolean {
    return slot.offset >= 0 && slot.offset < this.#sinkPosition;
  }

  wait(slot: Slot): void {
    this.#waiting.push(slot);
  }

  /** Those that wait, when the sink has moved since the last look; they wait no longer. */
  takePending(): Slot[] {
    if (!this.pending) return [];
    this.#sinkMoved = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  /** A call has left the state. */
  left(slot: Slot): void {
    this.#horizon = Math.max(this.#horizon ?? 0, slot.latestAt, slot.lastChange);
    this.#left++;
  }

  /** How many have left since the last call. */
  takeLeft(): number {
    const left = this.#left;
    this.#left = 0;
    return left;
  }

  /**
   * Of more slots than a task may hold, some that may leave before their retention has passed. Goes on where the last run stopped, so that calls which
   * may not leave do not stand in the way of those that may.
   */
  *early(slots: ReadonlyMap<string, Slot>, settings: SessionSettings, streamTime: number): Iterable<Slot> {
    const { maxCallsPerTask: cap } = settings;
    for (let looked = 0; looked < EARLY_LEAVERS_PER_RUN && slots.size > cap; looked++) {
      this.#looking ??= slots.values();
      const next = this.#looking.next();
      if (next.done) {
        this.#looking = null;
        return;
      }
      const slot = next.value;
      if (mayLeaveEarly(slot, settings, streamTime) && this.mayLeave(slot)) yield slot;
    }
  }
}
