import { packCall, type TextReaders } from '../../codec/call-record.js';
import type { TopicCodec, TopicReader } from '../../codec/codec.js';
import type { Call } from '../../codec/generated.js';
import { deriveCall } from '../../domain/call.js';
import { CallstreamError, messageOf } from '../../domain/errors.js';
import { addInput, addSealed, emptyState, hasInput } from '../../domain/state.js';
import type { CallInput, CallKey, CallState } from '../../domain/types.js';
import type { Users } from '../users.js';
import { Departures } from './departures.js';
import { LiveCalls, rest } from './live-calls.js';
import { Publisher, type Revision } from './publisher.js';
import { dueAt, freshFor, staysUntil } from './schedule.js';
import type { SessionSettings } from './settings.js';
import {
  type CallSummary,
  latestOf,
  MAX_AHEAD_MS,
  newSlot,
  pack,
  type Slot,
  sizeOf,
  sizeOfInputs,
  slotOf,
  unpack,
  unpublished,
} from './slot.js';
import { Timers } from './timers.js';

/** Bytes, estimated high, of the inputs that one call may hold: its record must fit into one Kafka message of 8 MiB. */
const MAX_INPUT_BYTES = 7 * 1024 * 1024;
/** Bytes of a frame that tell its schema. */
const FRAME_HEAD = 5;
/** Changed calls after which a run of timers ends. */
const DUE_PER_RUN = 10_000;

/** `merged`: a repetition that says more than what is there, or came earlier. */
export type Folded = 'folded' | 'merged' | 'unchanged' | 'too_large';

/** How an input came. Times are epoch ms. */
export interface Arrival {
  streamTime: number;
  /** The record's timestamp. */
  appendTime: number;
  /** Sealed ids of its users, where they go by pseudonyms and are needed. */
  sealed: readonly string[];
}

/** A call could not be derived or encoded: one of its new inputs is more than the fold can take. */
export class UnfoldableCall extends CallstreamError {
  readonly key: string;

  constructor(key: string, cause: unknown) {
    super('SESSIONS_UNFOLDABLE', `a call cannot be folded: ${messageOf(cause)}`, { cause });
    this.key = key;
  }
}

/** What happened since the last look; the worker turns it into metrics once the transaction is committed. */
export interface CallCounts {
  timed_out: number;
  reopened: number;
  left: number;
  revisions: number;
}

/**
 * The calls of one task: what semantics.md "Time" says of timeouts, settling, retention and reopening, and what is needed to restore.
 * Slots stand in the order of their last publication, so the first tells how far back a restore must read.
 */
export class CallTable {
  readonly #slots = new Map<string, Slot>();
  readonly #timers = new Timers<Slot>();
  readonly #dirty: Slot[] = [];
  readonly #departures = new Departures();
  readonly #settings: SessionSettings;
  readonly #codec: TopicCodec<Call>;
  readonly #calls: LiveCalls;
  readonly #publisher: Publisher;
  readonly #summaries: TopicReader<CallSummary>;
  readonly #left: (key: string) => void;
  #counts = { timed_out: 0, reopened: 0, revisions: 0 };

  /** `left`: called with the key of each call that leaves. */
  constructor(options: {
    settings: SessionSettings;
    codec: TopicCodec<Call>;
    readers: TextReaders;
    users: Users;
    left: (key: string) => void;
  }) {
    this.#settings = options.settings;
    this.#left = options.left;
    this.#codec = options.codec;
    this.#calls = new LiveCalls(options.codec, options.readers, options.users);
    this.#publisher = new Publisher(options.settings, options.codec, this.#calls, options.users);
    this.#summaries = options.codec.only('final', 'status', 'end_reason', 'updated_at', 'last_change_at', 'latest_at', 'deadline_at');
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Latest time of any call that has left; null: none has, so nothing is late. */
  get horizon(): number | null {
    return this.#departures.horizon;
  }

  setSinkPosition(position: number): void {
    this.#departures.setSinkPosition(position);
  }

  has(key: string): boolean {
    return this.#slots.has(key);
  }

  // ---- restore

  /** Loads the schemas that these records were written with. Throws REGISTRY_UNAVAILABLE: wait and call again. */
  async resolve(frames: Iterable<Buffer>): Promise<void> {
    const unknown = new Map<number, Buffer>();
    for (const frame of frames) unknown.set(frame.readInt32BE(1), frame);
    await this.#codec.resolve(unknown.values());
    await this.#summaries.resolve(unknown.values());
  }

  /** One record of the calls topic, in order. */
  restore(key: string, value: Buffer, offset: number): void {
    this.#slots.delete(key);
    this.#slots.set(key, slotOf(key, pack(value), offset));
  }

  /**
   * End of the restore: `streamTime` and `horizon` as the last commit left them. Throws CodecError: REGISTRY_UNAVAILABLE, or what is wrong with a
   * record that cannot be read.
   */
  async restored(streamTime: number, horizon: number | null): Promise<void> {
    this.#departures.restored(horizon);
    await this.resolve(this.#heads());
    for (const slot of this.#slots.values()) {
      this.#summarise(slot, streamTime);
      this.#arm(slot);
    }
  }

  *#heads(): Iterable<Buffer> {
    for (const { packed } of this.#slots.values()) if (packed !== null) yield unpack(packed.slice(0, FRAME_HEAD));
  }

  /** Puts a call back that had left, as ClickHouse has it. */
  takeBack(key: string, value: Buffer, streamTime: number): void {
    const slot = slotOf(key, pack(value), -1);
    this.#summarise(slot, streamTime);
    this.#slots.set(key, slot);
  }

  /** Forgets a call that was taken back for nothing. */
  putAway(key: string): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined && !slot.dirty && slot.offset === -1) this.#remove(slot);
  }

  // ---- inputs

  /** Whether only ClickHouse can tell if this input's call, which is not in the state, is new (design.md "Late input"). */
  isLate(input: CallInput, streamTime: number): boolean {
    const { horizon } = this.#departures;
    if (horizon === null) return false;
    return !(
      input.kind === 'event' &&
      input.event === 'start_call' &&
      input.event_at !== null &&
      input.event_at <= input.received_at + MAX_AHEAD_MS &&
      input.event_at > Math.max(horizon, streamTime - freshFor(this.#settings))
    );
  }

  /** Folds one input into its call, which is made when it is not there. */
  fold(key: string, id: CallKey, input: CallInput, { streamTime, appendTime, sealed }: Arrival): Folded {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = newSlot(key, emptyState(id));
      this.#slots.set(key, slot);
    }
    const live = this.#calls.of(slot);
    const bytes = sizeOf(input);
    if (live.inputBytes + bytes > MAX_INPUT_BYTES) {
      // Repetitions that said more were counted as if they were inputs of their own.
      live.inputBytes = sizeOfInputs(live.state);
      if (live.inputBytes + bytes > MAX_INPUT_BYTES && !hasInput(live.state, input)) return 'too_large';
    }
    const held = inputsIn(live.state);
    const added = addInput(live.state, input);
    const newlySealed = addSealed(live.state, sealed);
    if (!added && !newlySealed) {
      if (!slot.dirty) this.#calls.settle(slot);
      return 'unchanged';
    }
    live.inputBytes += bytes;
    if (added && input.kind === 'event') live.recheck = true;
    slot.latestAt = Math.max(slot.latestAt, latestOf(input, appendTime));
    this.#touch(slot, streamTime);
    return inputsIn(live.state) > held ? 'folded' : 'merged';
  }

  /**
   * As {@link fold}, for a call that could not be published with one of its inputs: tries the input on a copy of the call first.
   * Throws what deriving or encoding throws; the call is as it was before.
   */
  foldCarefully(key: string, id: CallKey, input: CallInput, arrival: Arrival): Folded {
    const slot = this.#slots.get(key);
    const held = slot === undefined ? unpublished(emptyState(id)) : this.#calls.of(slot);
    const tried = copyOf(held.state);
    addInput(tried, input);
    addSealed(tried, arrival.sealed);
    this.#publisher.encode(packCall(tried, deriveCall(tried), held.publication));
    return this.fold(key, id, input, arrival);
  }

  /** Derives a call anew from what it has, and publishes it if it says something else: after a repair of the rules. */
  refold(key: string, streamTime: number): void {
    const slot = this.#slots.get(key);
    if (slot === undefined || slot.packed === null) return;
    const before = this.#calls.record(slot);
    const live = this.#calls.ofToday(slot);
    // The history is that of the next revision already, which says what this one's outcome was.
    const history = { ...live.publication, final_outcome: before.final_outcome };
    const after = packCall(live.state, deriveCall(live.state), history);
    if (JSON.stringify(before) === JSON.stringify(after)) rest(slot);
    else this.#touch(slot, streamTime);
  }

  // ---- time

  /** Stream time of the earliest timer, or null. */
  nextTimer(): number | null {
    return this.#departures.pending ? 0 : this.#timers.next();
  }

  /** Runs the timers due at this stream time, as many as one transaction should carry; {@link nextTimer} tells of the rest. */
  punctuate(streamTime: number): void {
    while (this.#dirty.length < DUE_PER_RUN) {
      const slots = this.#timers.take(streamTime);
      if (slots === null) break;
      for (const slot of slots) this.#due(slot, streamTime);
    }
    for (const slot of this.#departures.takePending()) this.#due(slot, streamTime);
    for (const slot of this.#departures.early(this.#slots, this.#settings, streamTime)) this.#leave(slot);
  }

  #due(slot: Slot, streamTime: number): void {
    if (slot.armed <= streamTime) slot.armed = Number.POSITIVE_INFINITY;
    if (slot.dirty || slot.gone) return;
    if (dueAt(slot, this.#settings) > streamTime) {
      this.#arm(slot);
    } else if (!slot.over) {
      const live = this.#calls.of(slot);
      if (slot.deadline !== null && slot.deadline <= streamTime) {
        live.state.timed_out = true;
        slot.lastChange = streamTime;
      }
      this.#mark(slot);
    } else if (!slot.final) {
      slot.final = true;
      this.#mark(slot);
    } else if (streamTime < staysUntil(slot, this.#settings)) {
      // It stays longer than a restore may reach back: published again, as it is.
      this.#mark(slot);
    } else if (this.#departures.mayLeave(slot)) {
      this.#leave(slot);
    } else {
      this.#departures.wait(slot);
    }
  }

  #leave(slot: Slot): void {
    this.#departures.left(slot);
    this.#remove(slot);
    this.#left(slot.key);
  }

  /** Timers may hold on to it for a while. */
  #remove(slot: Slot): void {
    this.#slots.delete(slot.key);
    slot.gone = true;
    slot.live = null;
    slot.packed = null;
  }

  #arm(slot: Slot): void {
    const due = dueAt(slot, this.#settings);
    if (due >= slot.armed) return;
    slot.armed = due;
    this.#timers.arm(slot, due);
  }

  // ---- publication

  /** The changed calls as revisions to publish, one after the other. `now` is wall-clock time, epoch ms. Throws UnfoldableCall. */
  *flush(now: number, streamTime: number): Iterable<Revision> {
    for (const slot of this.#dirty) {
      let revision: Revision;
      try {
        revision = this.#publisher.publish(slot, now, streamTime);
      } catch (error) {
        throw new UnfoldableCall(slot.key, error);
      }
      this.#counts.revisions++;
      if (revision.timedOut) this.#counts.timed_out++;
      if (revision.reopened) this.#counts.reopened++;
      yield revision;
    }
  }

  /** After the commit: `base` is the offset of the first revision of the last flush. */
  committed(base: number | null): void {
    let offset = base ?? 0;
    for (const slot of this.#dirty) {
      slot.dirty = false;
      slot.offset = offset++;
      this.#calls.settle(slot);
      this.#slots.delete(slot.key);
      this.#slots.set(slot.key, slot);
      this.#arm(slot);
    }
    this.#dirty.length = 0;
  }

  /** Lowest offset at which a call of the state was last written, given that the last flush begins at `base`; null: nothing to restore. */
  restoreFrom(base: number | null): number | null {
    for (const slot of this.#slots.values()) if (!slot.dirty && slot.offset >= 0) return slot.offset;
    return this.#dirty.length > 0 ? base : null;
  }

  /** What was counted since the last call. */
  takeCounts(): CallCounts {
    const counts = { ...this.#counts, left: this.#departures.takeLeft() };
    this.#counts = { timed_out: 0, reopened: 0, revisions: 0 };
    return counts;
  }

  /** Calls by stage: walks all of them. */
  stages(): { ringing_or_active: number; over: number; final: number } {
    const out = { ringing_or_active: 0, over: 0, final: 0 };
    for (const slot of this.#slots.values()) out[slot.over ? (slot.final ? 'final' : 'over') : 'ringing_or_active']++;
    return out;
  }

  #touch(slot: Slot, streamTime: number): void {
    slot.lastChange = streamTime;
    slot.final = false;
    this.#mark(slot);
  }

  #mark(slot: Slot): void {
    if (slot.dirty) return;
    slot.dirty = true;
    this.#dirty.push(slot);
  }

  #summarise(slot: Slot, streamTime: number): void {
    const summary = this.#summaries.decode(unpack(slot.packed!));
    slot.over = summary.status === 'ended';
    slot.final = summary.final;
    slot.timedOutOnly = summary.end_reason === 'timed_out';
    slot.lastChange = summary.last_change_at;
    slot.latestAt = summary.latest_at;
    slot.deadline = summary.deadline_at;
    // Stream time is never ahead of the clock, and was no later at the last publication than it is now.
    slot.publishedAt = Math.min(summary.updated_at, streamTime);
  }
}

const inputsIn = (state: CallState): number => state.events.length + state.records.length + state.media.length;

const copyOf = (state: CallState): CallState => ({
  ...state,
  events: [...state.events],
  records: [...state.records],
  media: [...state.media],
  sealed_users: [...state.sealed_users],
});
