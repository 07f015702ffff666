import type { TopicCodec } from '../../codec/codec.js';
import type { Call } from '../../codec/generated.js';
import { type ChannelKey, channelKey, happenedAt, type PresenceEvent } from '../../domain/channel.js';
import { type KnownName, nameAll } from '../../domain/channel-names.js';
import { sessionsOf } from '../../domain/channel-sessions.js';
import { CallstreamError, messageOf } from '../../domain/errors.js';
import { notPublished } from '../sessions/slot.js';
import { Timers } from '../sessions/timers.js';
import type { Users } from '../users.js';
import { MAX_RECORD_BYTES, SessionPublisher, type SessionRevision } from './publisher.js';
import { touchesOnlyKnown } from './reach.js';
import { againAt, beginningOf, type ChannelSettings, dueAt, finalAt, leavesAt, touchedUntil } from './schedule.js';
import { type ChannelSlot, callKeyOf, type Entry, membersOf, newSlot, saysTheSame, sizeOf } from './slot.js';

/** `merged`: a repetition that came earlier. */
export type Folded = 'folded' | 'merged' | 'unchanged' | 'too_large';

/** A channel could not be derived or encoded: one of its new events is more than the fold can take. */
export class UnfoldableChannel extends CallstreamError {
  readonly key: string;

  constructor(key: string, cause: unknown) {
    super('CHANNELS_UNFOLDABLE', `a channel cannot be folded: ${messageOf(cause)}`, { cause });
    this.key = key;
  }
}

/** Changed records after which a run of timers ends. */
const DUE_PER_RUN = 10_000;

/**
 * The channels of one task: which sessions their events make, under which names, when those are over, final, and may leave. Entries stand in the order of
 * their last publication, so the first tells how far back a restore must read.
 */
export class ChannelTable {
  readonly #settings: ChannelSettings;
  readonly #publisher: SessionPublisher;
  readonly #channels = new Map<string, ChannelSlot>();
  /** By key of the call. */
  readonly #order = new Map<string, Entry>();
  readonly #timers = new Timers<ChannelSlot>();
  readonly #touched = new Set<ChannelSlot>();
  /** Those with something that waits for ClickHouse. */
  readonly #waiting = new Set<ChannelSlot>();
  readonly #restoring = new Map<string, { value: Buffer; offset: number }>();
  #dirty: Entry[] = [];
  #horizon: number | null = null;
  /** Next offset that the sink will read: everything before it is in ClickHouse. */
  #sinkPosition = 0;
  #sinkMoved = false;
  #left = 0;

  constructor(codec: TopicCodec<Call>, settings: ChannelSettings, users: Users) {
    this.#publisher = new SessionPublisher(codec, users);
    this.#settings = settings;
  }

  /** Channels. */
  get size(): number {
    return this.#channels.size;
  }

  /** Nothing that has left could be touched by a later event than this, epoch ms; null: nothing has left. */
  get horizon(): number | null {
    return this.#horizon;
  }

  setSinkPosition(position: number): void {
    this.#sinkMoved ||= position !== this.#sinkPosition;
    this.#sinkPosition = position;
  }

  // ---- what is here

  /** One record of the calls topic, in order. The value is copied: it lies in a larger buffer. */
  restore(key: string, value: Buffer, offset: number): void {
    this.#restoring.delete(key);
    this.#restoring.set(key, { value: Buffer.from(value), offset });
  }

  /**
   * End of the restore: `streamTime` and `horizon` as the last commit left them. Throws CodecError: REGISTRY_UNAVAILABLE, or what is wrong with a
   * record that cannot be read.
   */
  async restored(streamTime: number, horizon: number | null): Promise<void> {
    this.#horizon = horizon;
    await this.resolve([...this.#restoring.values()].map(({ value }) => value));
    for (const { value, offset } of this.#restoring.values()) this.#load(value, offset, streamTime);
    this.#restoring.clear();
    for (const slot of this.#channels.values()) this.#settle(slot, streamTime);
  }

  /** Loads the schemas that these records were written with. Throws REGISTRY_UNAVAILABLE: wait and call again. */
  resolve(records: Iterable<Buffer>): Promise<void> {
    return this.#publisher.resolve(records);
  }

  /** Puts back what has left of a channel, as ClickHouse has it; what is here is newer. From now on everything after `knownFrom` is here. */
  takeBack(key: ChannelKey, records: Iterable<Buffer>, knownFrom: number, streamTime: number): void {
    const slot = this.#slotOf(key);
    slot.knownFrom = slot.knownFrom === null ? null : Math.min(slot.knownFrom, knownFrom);
    for (const value of records) this.#load(value, -1, streamTime);
    this.#settle(slot, streamTime);
  }

  /** Whether nothing that has left could matter to this event; `more`: events that come before it, and are not here yet. */
  isKnown(joined: string, event: PresenceEvent, more: Iterable<PresenceEvent>): boolean {
    const slot = this.#channels.get(joined);
    if (slot === undefined) return touchesOnlyKnown(event, this.#horizon, more);
    return (
      slot.events.has(event.id) ||
      touchesOnlyKnown(event, slot.knownFrom, more) ||
      touchesOnlyKnown(event, slot.knownFrom, slot.events.values())
    );
  }

  #slotOf(key: ChannelKey): ChannelSlot {
    const joined = channelKey(key);
    let slot = this.#channels.get(joined);
    if (slot === undefined) {
      slot = newSlot(key, joined, this.#horizon);
      this.#channels.set(joined, slot);
    }
    return slot;
  }

  /** One published record, as an entry of its channel; a name that is here already stays as it is. */
  #load(value: Buffer, offset: number, streamTime: number): void {
    const { key, renamed, ...record } = this.#publisher.read(value);
    const slot = this.#slotOf(key);
    if (slot.entries.has(record.name)) return;
    for (const e of record.members) {
      slot.events.set(e.id, e);
      slot.bytes += sizeOf(e);
    }
    // Stream time is never ahead of the clock, and was no later at the last publication than it is now.
    const publishedAt = Math.min(record.publication.updated_at, streamTime);
    const entry: Entry = { slot, ...record, publishedAt, offset, dirty: false, waits: false };
    slot.entries.set(entry.name, entry);
    this.#order.set(callKeyOf(key, entry.name), entry);
    slot.changed = true;
    if (renamed) this.#change(entry, streamTime);
  }

  /** After {@link #load}. What records say and what is derived from them differ only where the settings have changed. */
  #settle(slot: ChannelSlot, streamTime: number): void {
    this.#refresh(slot, streamTime);
    this.#arm(slot);
  }

  #forgetIfEmpty(slot: ChannelSlot): void {
    if (slot.entries.size > 0 || slot.events.size > 0) return;
    this.#channels.delete(slot.joined);
    slot.gone = true;
  }

  // ---- inputs

  /** Folds one event into its channel. `careful`: finds out first whether the result can be published; throws what deriving or encoding throws. */
  fold(key: ChannelKey, event: PresenceEvent, careful: boolean): Folded {
    const slot = this.#slotOf(key);
    const held = slot.events.get(event.id);
    if (held !== undefined && held.received_at <= event.received_at) return 'unchanged';
    let fits = false;
    try {
      fits = !this.#isTooLarge(slot, event) && (!careful || this.#fits(slot, event));
    } finally {
      if (!fits) this.#forgetIfEmpty(slot);
    }
    if (!fits) return 'too_large';
    slot.events.set(event.id, held === undefined ? event : { ...held, received_at: event.received_at });
    if (held === undefined) {
      slot.arrivals.push(event.id);
      slot.bytes += sizeOf(event);
    }
    slot.changed = true;
    this.#touched.add(slot);
    return held === undefined ? 'folded' : 'merged';
  }

  /** Names the users of a channel anew: sessions whose events are others then, for an id of an event tells of its user, are published under other names. */
  refold(key: ChannelKey): void {
    const slot = this.#channels.get(channelKey(key));
    if (slot === undefined) return;
    for (const event of [...slot.events.values()]) {
      const shown = this.#publisher.shown(key, event);
      if (shown === event) continue;
      slot.events.delete(event.id);
      slot.bytes -= sizeOf(event);
      const held = slot.events.get(shown.id);
      if (held === undefined) slot.bytes += sizeOf(shown);
      slot.events.set(shown.id, held !== undefined && held.received_at <= shown.received_at ? held : shown);
      slot.changed = true;
    }
    slot.arrivals = slot.arrivals.filter((id) => slot.events.has(id));
    if (slot.changed) this.#touched.add(slot);
  }

  /** Whether the sessions around an event would be too large with it, estimated high. */
  #isTooLarge(slot: ChannelSlot, event: PresenceEvent): boolean {
    if (slot.bytes + sizeOf(event) <= MAX_RECORD_BYTES) return false;
    const at = happenedAt(event);
    const reach = Math.max(this.#settings.channelGap, this.#settings.maxCall);
    let bytes = sizeOf(event);
    for (const id of slot.arrivals) bytes += sizeOf(slot.events.get(id)!);
    for (const { content, members } of slot.entries.values()) {
      if (content.kind !== 'session' || content.session.from - reach > at || content.session.to + reach < at) continue;
      for (const e of members) bytes += sizeOf(e);
    }
    return bytes > MAX_RECORD_BYTES;
  }

  /** Tries an event on a copy of its channel. */
  #fits(slot: ChannelSlot, event: PresenceEvent): boolean {
    const { sessions } = sessionsOf(new Map(slot.events).set(event.id, event).values(), this.#settings);
    const session = sessions.find((s) => membersOf({ kind: 'session', session: s }).includes(event));
    return session === undefined || this.#publisher.bytesOf(slot.key, session) <= MAX_RECORD_BYTES;
  }

  // ---- time

  /** Stream time of the earliest timer, or null. */
  nextTimer(): number | null {
    return this.#waiting.size > 0 && this.#sinkMoved ? 0 : this.#timers.next();
  }

  /** Runs the timers due at this stream time, as many as one transaction should carry; {@link nextTimer} tells of the rest. Throws UnfoldableChannel. */
  punctuate(streamTime: number): void {
    while (this.#dirty.length < DUE_PER_RUN) {
      const slots = this.#timers.take(streamTime);
      if (slots === null) break;
      for (const slot of slots) {
        if (slot.armed <= streamTime) slot.armed = Number.POSITIVE_INFINITY;
        this.#due(slot, streamTime);
      }
    }
    if (!this.#sinkMoved) return;
    this.#sinkMoved = false;
    for (const slot of [...this.#waiting]) this.#due(slot, streamTime);
  }

  #due(slot: ChannelSlot, streamTime: number): void {
    if (slot.gone) return;
    this.#waiting.delete(slot);
    this.#refresh(slot, streamTime);
    // What comes after an open Join tells its end, so nothing leaves before what begins earlier, which may have come late.
    let held = false;
    for (const entry of [...slot.entries.values()].sort((a, b) => beginningOf(a) - beginningOf(b))) {
      if (!entry.dirty) this.#dueEntry(entry, streamTime, held);
      held ||= entry.members.length > 0 && slot.entries.has(entry.name);
    }
    this.#arm(slot);
  }

  #dueEntry(entry: Entry, streamTime: number, held: boolean): void {
    entry.waits = false;
    const mayLeave = leavesAt(entry, this.#settings) <= streamTime;
    if (mayLeave && !held && entry.offset < this.#sinkPosition) {
      this.#leave(entry, streamTime);
    } else if (entry.over && !entry.publication.final && finalAt(entry, this.#settings) <= streamTime) {
      entry.publication.final = true;
      this.#mark(entry);
    } else if (againAt(entry, this.#settings) <= streamTime) {
      this.#mark(entry);
    } else if (mayLeave) {
      entry.waits = true;
      this.#waiting.add(entry.slot);
    }
  }

  #leave(entry: Entry, streamTime: number): void {
    const { slot } = entry;
    const until = Math.min(touchedUntil(entry, this.#settings), streamTime);
    this.#horizon = Math.max(this.#horizon ?? until, until);
    slot.knownFrom = Math.max(slot.knownFrom ?? until, until);
    slot.entries.delete(entry.name);
    this.#order.delete(callKeyOf(slot.key, entry.name));
    for (const e of entry.members) {
      slot.events.delete(e.id);
      slot.bytes -= sizeOf(e);
    }
    this.#left++;
    this.#forgetIfEmpty(slot);
  }

  #arm(slot: ChannelSlot): void {
    if (slot.gone) return;
    let due = Number.POSITIVE_INFINITY;
    for (const entry of slot.entries.values()) if (!entry.dirty) due = Math.min(due, dueAt(entry, this.#settings));
    if (due >= slot.armed) return;
    slot.armed = due;
    this.#timers.arm(slot, due);
  }

  // ---- names and publication

  /** Gives names anew where events have changed, and sees which sessions are over. */
  #refresh(slot: ChannelSlot, streamTime: number): void {
    if (slot.changed) attempt(slot, () => this.#name(slot, streamTime));
    for (const entry of slot.entries.values()) {
      const over = entry.content.kind !== 'session' || entry.content.session.overAt <= streamTime;
      if (over !== entry.over && !entry.dirty) this.#change(entry, streamTime);
      entry.over = over;
    }
  }

  #name(slot: ChannelSlot, streamTime: number): void {
    const known = new Map<string, KnownName>();
    for (const { name, content, publication } of slot.entries.values())
      known.set(name, { kind: content.kind, first_seen_at: publication.first_seen_at });
    for (const [name, content] of nameAll(sessionsOf(slot.events.values(), this.#settings), known, slot.arrivals)) {
      const entry = slot.entries.get(name) ?? this.#newEntry(slot, name);
      const members = membersOf(content);
      if (entry.publication.revision === 0 || !saysTheSame(entry, content, members)) this.#change(entry, streamTime);
      entry.content = content;
      entry.members = members;
      // A name that stands for nothing may have its event where it is not known: then its time stays as it was published.
      const named = slot.events.get(name);
      if (named !== undefined) entry.at = happenedAt(named);
    }
    slot.arrivals = [];
    slot.changed = false;
  }

  #newEntry(slot: ChannelSlot, name: string): Entry {
    const blank = { content: { kind: 'nothing' }, members: [], at: 0, over: false, publication: notPublished() } as const;
    const entry: Entry = { slot, name, ...blank, publishedAt: 0, offset: -1, dirty: false, waits: false };
    slot.entries.set(name, entry);
    return entry;
  }

  #change(entry: Entry, streamTime: number): void {
    entry.publication.last_change_at = streamTime;
    entry.publication.final = false;
    this.#mark(entry);
  }

  #mark(entry: Entry): void {
    if (entry.dirty) return;
    entry.dirty = true;
    this.#dirty.push(entry);
  }

  /** The changed records as revisions to publish. `now` is wall-clock time, epoch ms. Throws UnfoldableChannel. */
  flush(now: number, streamTime: number): SessionRevision[] {
    for (const slot of this.#touched) this.#refresh(slot, streamTime);
    this.#touched.clear();
    return this.#dirty.map((entry) => attempt(entry.slot, () => this.#publisher.publish(entry, now, streamTime)));
  }

  /** After the commit: `base` is the offset of the first revision of the last flush. */
  committed(base: number | null): void {
    let offset = base ?? 0;
    const slots = new Set<ChannelSlot>();
    for (const entry of this.#dirty) {
      const key = callKeyOf(entry.slot.key, entry.name);
      entry.dirty = false;
      entry.offset = offset++;
      this.#order.delete(key);
      this.#order.set(key, entry);
      slots.add(entry.slot);
    }
    this.#dirty = [];
    for (const slot of slots) this.#arm(slot);
  }

  /** Lowest offset at which a record of the state was last written, given that the last flush begins at `base`; null: nothing to restore. */
  restoreFrom(base: number | null): number | null {
    for (const entry of this.#order.values()) if (!entry.dirty && entry.offset >= 0) return entry.offset;
    return this.#dirty.length > 0 ? base : null;
  }

  /** How many sessions have left since the last call. */
  takeLeft(): number {
    const left = this.#left;
    this.#left = 0;
    return left;
  }
}

function attempt<T>(slot: ChannelSlot, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UnfoldableChannel(slot.joined, error);
  }
}
