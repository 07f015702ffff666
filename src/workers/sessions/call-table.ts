import { packCall, type TextReaders, unpackCall } from '../../codec/call-record.js';
import type { TopicCodec, TopicReader } from '../../codec/codec.js';
import type { Call } from '../../codec/generated.js';
import { deriveCall, firstReceivedAt } from '../../domain/call.js';
import { CallstreamError } from '../../domain/errors.js';
import { addInput, emptyState } from '../../domain/state.js';
import { deadline, deriveChanged } from '../../domain/timeouts.js';
import type { CallInput, CallKey, CallState } from '../../domain/types.js';
import type { SessionSettings } from './settings.js';
import {
  type CallSummary,
  type LiveCall,
  latestOf,
  MAX_AHEAD_MS,
  newSlot,
  pack,
  recordSpan,
  type Slot,
  sizeOf,
  slotOf,
  unpack,
} from './slot.js';
import { Timers } from './timers.js';

/** Bytes, estimated high, of the inputs that one call may hold: its record must fit into one Kafka message of 8 MiB. */
const MAX_INPUT_BYTES = 7 * 1024 * 1024;
/** Bytes of a frame that tell its schema. */
const FRAME_HEAD = 5;
/** Calls that are not over and stay decoded: the next event of a call mostly comes soon. */
const RECENT_CALLS = 10_000;
/** Final calls looked at per timer run when the memory cap asks some to leave early. */
const EARLY_LEAVERS_PER_RUN = 20_000;
/** Changed calls after which a run of timers ends. */
const DUE_PER_RUN = 10_000;

/** `merged`: a repetition that says more than what is there, or came earlier. */
export type Folded = 'folded' | 'merged' | 'unchanged' | 'too_large';

/** A call could not be derived or encoded: one of its new inputs is more than the fold can take. */
export class UnfoldableCall extends CallstreamError {
  readonly key: string;

  constructor(key: string, cause: unknown) {
    super('SESSIONS_UNFOLDABLE', `a call cannot be folded: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
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

/** One revision to publish. */
export interface Revision {
  key: string;
  call: Call;
  value: Buffer;
  /** Its record should be fetched from the vendor: a timeout closed it. */
  wantsRecord: boolean;
}

/**
 * The calls of one task: what semantics.md "Time" says of timeouts, settling, retention and reopening, and what is needed to restore.
 * Slots stand in the order of their last publication, so the first tells how far back a restore must read.
 */
export class CallTable {
  readonly #slots = new Map<string, Slot>();
  readonly #timers = new Timers();
  readonly #dirty: string[] = [];
  readonly #recent = new Set<string>();
  /** Final calls past their retention that ClickHouse does not have yet. */
  #waiting: string[] = [];
  readonly #settings: SessionSettings;
  readonly #codec: TopicCodec<Call>;
  readonly #readers: TextReaders;
  readonly #summaries: TopicReader<CallSummary>;
  /** Next offset that the sink will read of the calls partition: everything before it is in ClickHouse. */
  #sinkPosition = 0;
  #sinkMoved = false;
  #early: IterableIterator<[string, Slot]> | null = null;
  #horizon: number | null = null;
  #counts: CallCounts = { timed_out: 0, reopened: 0, left: 0, revisions: 0 };

  constructor(options: { settings: SessionSettings; codec: TopicCodec<Call>; readers: TextReaders }) {
    this.#settings = options.settings;
    this.#codec = options.codec;
    this.#readers = options.readers;
    this.#summaries = options.codec.only('final', 'status', 'end_reason', 'last_change_at', 'latest_at', 'deadline_at');
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Latest time of any call that has left; null: none has, so nothing is late. */
  get horizon(): number | null {
    return this.#horizon;
  }

  setSinkPosition(position: number): void {
    this.#sinkMoved ||= position !== this.#sinkPosition;
    this.#sinkPosition = position;
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
    this.#slots.set(key, slotOf(pack(value), offset));
  }

  /**
   * End of the restore: `streamTime` and `horizon` as the last commit left them. Throws CodecError: REGISTRY_UNAVAILABLE, or what is wrong with a
   * record that cannot be read.
   */
  async restored(streamTime: number, horizon: number | null): Promise<void> {
    this.#horizon = horizon;
    await this.resolve(this.#heads());
    for (const [key, slot] of this.#slots) {
      this.#summarise(slot);
      slot.publishedAt = streamTime;
      this.#arm(key, slot);
    }
  }

  *#heads(): Iterable<Buffer> {
    for (const { packed } of this.#slots.values()) if (packed !== null) yield unpack(packed.slice(0, FRAME_HEAD));
  }

  /** Puts a call back that had left, as ClickHouse has it. */
  takeBack(key: string, value: Buffer, streamTime: number): void {
    const slot = slotOf(pack(value), -1);
    this.#summarise(slot);
    slot.publishedAt = streamTime;
    this.#slots.set(key, slot);
  }

  /** Forgets a call that was taken back for nothing. */
  putAway(key: string): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined && !slot.dirty && slot.offset === -1) this.#slots.delete(key);
  }

  // ---- inputs

  /** Whether only ClickHouse can tell if this input's call, which is not in the state, is new (design.md "Late input"). */
  isLate(input: CallInput, streamTime: number): boolean {
    if (this.#horizon === null) return false;
    return !(
      input.kind === 'event' &&
      input.event === 'start_call' &&
      input.event_at !== null &&
      input.event_at <= input.received_at + MAX_AHEAD_MS &&
      input.event_at > Math.max(this.#horizon, streamTime - this.#settings.retention)
    );
  }

  /** Folds one input into its call, which is made when it is not there. `appendTime` is the record's timestamp. */
  fold(key: string, id: CallKey, input: CallInput, streamTime: number, appendTime: number): Folded {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = newSlot(emptyState(id));
      this.#slots.set(key, slot);
    }
    const live = this.#live(slot);
    const bytes = sizeOf(input);
    if (live.inputBytes + bytes > MAX_INPUT_BYTES) return addInput(copyOf(live.state), input) ? 'too_large' : 'unchanged';
    const held = inputsIn(live.state);
    if (!addInput(live.state, input)) {
      if (slot.over) this.#rest(slot);
      else this.#remember(key);
      return 'unchanged';
    }
    live.inputBytes += bytes;
    if (input.kind === 'event') live.recheck = true;
    slot.latestAt = Math.max(slot.latestAt, latestOf(input, appendTime));
    this.#touch(key, slot, streamTime);
    return inputsIn(live.state) > held ? 'folded' : 'merged';
  }

  /**
   * As {@link fold}, for a call that could not be published with one of its inputs: makes sure that it still can be, and leaves the input out when not.
   * Throws what the fold threw; the call is as it was before.
   */
  foldCarefully(key: string, id: CallKey, input: CallInput, streamTime: number, appendTime: number): Folded {
    const slot = this.#slots.get(key);
    const before = slot === undefined ? null : copyOf(this.#live(slot).state);
    const folded = this.fold(key, id, input, streamTime, appendTime);
    const live = this.#slots.get(key)!.live!;
    try {
      this.#codec.encode(packCall(live.state, deriveCall(live.state), live.publication));
    } catch (error) {
      live.state = before ?? emptyState(id);
      throw error;
    }
    return folded;
  }

  /** Derives a call anew from what it has, and publishes it if it says something else: after a repair of the rules. */
  refold(key: string, streamTime: number): void {
    const slot = this.#slots.get(key);
    if (slot === undefined || slot.packed === null) return;
    const before = this.#codec.decode(unpack(slot.packed));
    const live = this.#live(slot);
    const after = packCall(live.state, deriveCall(live.state), live.publication);
    if (JSON.stringify(before) === JSON.stringify(after)) this.#rest(slot);
    else this.#touch(key, slot, streamTime);
  }

  // ---- time

  /** Stream time of the earliest timer, or null. */
  nextTimer(): number | null {
    return this.#waiting.length > 0 && this.#sinkMoved ? 0 : this.#timers.next();
  }

  /** Runs the timers due at this stream time, as many as one transaction should carry; {@link nextTimer} tells of the rest. */
  punctuate(streamTime: number): void {
    while (this.#dirty.length < DUE_PER_RUN) {
      const keys = this.#timers.take(streamTime);
      if (keys === null) break;
      for (const key of keys) {
        const slot = this.#slots.get(key);
        if (slot !== undefined) this.#due(key, slot, streamTime);
      }
    }
    if (this.#waiting.length > 0 && this.#sinkMoved) {
      this.#sinkMoved = false;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const key of waiting) {
        const slot = this.#slots.get(key);
        if (slot !== undefined) this.#due(key, slot, streamTime);
      }
    }
    if (this.#slots.size > this.#settings.maxCallsPerTask) this.#leaveEarly(streamTime);
  }

  #due(key: string, slot: Slot, streamTime: number): void {
    if (slot.armed <= streamTime) slot.armed = Number.POSITIVE_INFINITY;
    if (slot.dirty) return;
    if (this.#dueAt(slot) > streamTime) {
      this.#arm(key, slot);
    } else if (!slot.over) {
      const live = this.#live(slot);
      if (slot.deadline !== null && slot.deadline <= streamTime) {
        live.state.timed_out = true;
        slot.lastChange = streamTime;
      }
      this.#mark(key, slot);
    } else if (!slot.final) {
      slot.final = true;
      this.#live(slot);
      this.#mark(key, slot);
    } else if (streamTime < this.#staysUntil(slot)) {
      // It stays longer than a restore may reach back: published again, as it is.
      this.#live(slot);
      this.#mark(key, slot);
    } else if (this.#mayLeave(slot)) {
      this.#leave(key, slot);
    } else {
      this.#waiting.push(key);
    }
  }

  /** ClickHouse has its last revision. */
  #mayLeave(slot: Slot): boolean {
    return slot.offset >= 0 && slot.offset < this.#sinkPosition;
  }

  #leave(key: string, slot: Slot): void {
    this.#horizon = Math.max(this.#horizon ?? 0, slot.latestAt, slot.lastChange);
    this.#slots.delete(key);
    this.#counts.left++;
  }

  /** Goes on where the last run stopped, so that calls which may not leave do not stand in the way of those that may. */
  #leaveEarly(streamTime: number): void {
    for (let looked = 0; looked < EARLY_LEAVERS_PER_RUN && this.#slots.size > this.#settings.maxCallsPerTask; looked++) {
      this.#early ??= this.#slots.entries();
      const next = this.#early.next();
      if (next.done) {
        this.#early = null;
        return;
      }
      const [key, slot] = next.value;
      if (slot.final && !slot.dirty && !slot.timedOutOnly && slot.latestAt <= streamTime && this.#mayLeave(slot)) this.#leave(key, slot);
    }
  }

  /**
   * Until when a call that is over stays: one that only a timeout closed may still get fresh events, and one whose events are ahead of stream time
   * would put the horizon ahead of it too.
   */
  #staysUntil(slot: Slot): number {
    const { maxCall, retention } = this.#settings;
    return Math.max(slot.lastChange + (slot.timedOutOnly ? Math.max(maxCall, retention) : retention), slot.latestAt);
  }

  #dueAt(slot: Slot): number {
    if (slot.over && !slot.final) return slot.lastChange + this.#settings.settle;
    const again = slot.publishedAt + this.#settings.retention;
    if (slot.over) return Math.min(this.#staysUntil(slot), again);
    return slot.deadline === null ? again : Math.min(slot.deadline, again);
  }

  #arm(key: string, slot: Slot): void {
    const due = this.#dueAt(slot);
    if (due >= slot.armed) return;
    slot.armed = due;
    this.#timers.arm(key, due);
  }

  // ---- publication

  /** The changed calls as revisions to publish. `now` is wall-clock time, epoch ms. */
  flush(now: number, streamTime: number): Revision[] {
    const revisions: Revision[] = [];
    for (const key of this.#dirty) {
      try {
        revisions.push(this.#publish(key, this.#slots.get(key)!, now, streamTime));
      } catch (error) {
        throw new UnfoldableCall(key, error);
      }
    }
    this.#counts.revisions += revisions.length;
    return revisions;
  }

  /** After the commit: `base` is the offset of the first revision of the last flush. */
  committed(base: number | null): void {
    let offset = base ?? 0;
    for (const key of this.#dirty) {
      const slot = this.#slots.get(key)!;
      slot.dirty = false;
      slot.offset = offset++;
      if (slot.over) this.#rest(slot);
      else this.#remember(key);
      this.#slots.delete(key);
      this.#slots.set(key, slot);
      this.#arm(key, slot);
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
    const counts = this.#counts;
    this.#counts = { timed_out: 0, reopened: 0, left: 0, revisions: 0 };
    return counts;
  }

  /** Calls by stage: walks all of them. */
  stages(): { ringing_or_active: number; over: number; final: number } {
    const out = { ringing_or_active: 0, over: 0, final: 0 };
    for (const slot of this.#slots.values()) out[slot.over ? (slot.final ? 'final' : 'over') : 'ringing_or_active']++;
    return out;
  }

  #publish(key: string, slot: Slot, now: number, streamTime: number): Revision {
    const live = slot.live!;
    const { state, publication } = live;
    const wasOver = slot.over;
    const facts = deriveChanged(state, live.recheck, streamTime, this.#settings);
    if (facts.end_reason === 'timed_out' && !slot.timedOutOnly) this.#counts.timed_out++;
    slot.over = facts.status === 'ended';
    if (!slot.over) slot.final = false;
    slot.timedOutOnly = facts.end_reason === 'timed_out';
    slot.deadline = slot.over ? null : deadline(state, facts, this.#settings);
    if (wasOver && !slot.over) this.#counts.reopened++;
    const wantsRecord = slot.timedOutOnly && !publication.record_task && this.#settings.hasRecordsApi(state.app_id);
    if (publication.revision === 0) publication.first_seen_at = firstReceivedAt(state);
    publication.revision++;
    publication.final = slot.final;
    publication.updated_at = now;
    publication.last_change_at = slot.lastChange;
    publication.latest_at = slot.latestAt;
    publication.deadline_at = slot.deadline;
    publication.record_task ||= wantsRecord;
    recordSpan(publication, facts);
    const call = packCall(state, facts, publication);
    const value = this.#codec.encode(call);
    slot.packed = pack(value);
    slot.publishedAt = streamTime;
    live.recheck = false;
    return { key, call, value, wantsRecord };
  }

  #touch(key: string, slot: Slot, streamTime: number): void {
    slot.lastChange = streamTime;
    slot.final = false;
    this.#mark(key, slot);
  }

  #mark(key: string, slot: Slot): void {
    if (slot.dirty) return;
    slot.dirty = true;
    this.#dirty.push(key);
  }

  /** The decoded call of a slot. */
  #live(slot: Slot): LiveCall {
    if (slot.live === null) {
      const { state, publication } = unpackCall(this.#codec.decode(unpack(slot.packed!)), this.#readers);
      let inputBytes = 0;
      for (const e of state.events) inputBytes += sizeOf(e);
      for (const r of state.records) inputBytes += sizeOf(r);
      for (const m of state.media) inputBytes += sizeOf(m);
      slot.live = { state, publication, recheck: false, inputBytes };
    }
    return slot.live;
  }

  /** Keeps a call that is not over decoded, until enough others have changed since. */
  #remember(key: string): void {
    this.#recent.delete(key);
    this.#recent.add(key);
    if (this.#recent.size <= RECENT_CALLS) return;
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest);
      const slot = this.#slots.get(oldest);
      if (slot !== undefined) this.#rest(slot);
      return;
    }
  }

  /** Lets go of the decoded form of a published call. */
  #rest(slot: Slot): void {
    if (!slot.dirty && slot.packed !== null) slot.live = null;
  }

  #summarise(slot: Slot): void {
    const summary = this.#summaries.decode(unpack(slot.packed!));
    slot.over = summary.status === 'ended';
    slot.final = summary.final;
    slot.timedOutOnly = summary.end_reason === 'timed_out';
    slot.lastChange = summary.last_change_at;
    slot.latestAt = summary.latest_at;
    slot.deadline = summary.deadline_at;
  }
}

const inputsIn = (state: CallState): number => state.events.length + state.records.length + state.media.length;

const copyOf = (state: CallState): CallState => ({
  ...state,
  events: [...state.events],
  records: [...state.records],
  media: [...state.media],
});
