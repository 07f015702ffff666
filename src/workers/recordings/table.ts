import type { TopicCodec } from '../../codec/codec.js';
import type { Recording } from '../../codec/generated.js';
import { packRecording, type RecordingPublication, unpackRecording } from '../../codec/recording-record.js';
import {
  deriveRecording,
  emptyRecording,
  type RecordingInput,
  type RecordingKey,
  type RecordingState,
  recordingFirstSeen,
  withInput,
} from '../../domain/recording.js';

import type { Users } from '../users.js';

/** `merged`: a repetition that says more than what is there, or came earlier. */
export type Folded = 'folded' | 'merged' | 'unchanged' | 'too_large';

/** Bytes of a record: with its key and headers it must fit into a Kafka message of 8 MiB. */
const MAX_RECORD_BYTES = 7 * 1024 * 1024;

interface Slot {
  state: RecordingState;
  /** Of the last revision; 0: none yet. */
  publication: RecordingPublication;
  /** Offset of the last revision on the recordings partition; -1: not there, or not in reach of a restore. */
  offset: number;
  dirty: boolean;
}

/** One revision to publish. */
export interface RecordingRevision {
  key: string;
  recording: Recording;
  value: Buffer;
}

/**
 * The recordings of one task that may still change soon. A recording leaves once it has been quiet for `retention` and ClickHouse has its last revision,
 * whatever its status: whoever meets an input of one that is not here asks ClickHouse first, so that leaving is never seen from outside.
 * Slots stand in the order of their last publication: the first tells how far back a restore must read, and is the first to leave.
 */
export class RecordingTable {
  readonly #codec: TopicCodec<Recording>;
  readonly #retention: number;
  readonly #users: Users;
  readonly #slots = new Map<string, Slot>();
  readonly #dirty = new Map<string, Slot>();
  readonly #restoring = new Map<string, { value: Buffer; offset: number }>();
  #horizon: number | null = null;
  /** Next offset that the sink will read: everything before it is in ClickHouse. */
  #sinkPosition = 0;
  #left = 0;

  /** `retention`: milliseconds of stream time. */
  constructor(codec: TopicCodec<Recording>, retention: number, users: Users) {
    this.#codec = codec;
    this.#retention = retention;
    this.#users = users;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Stream time of the last change of any recording that has left, epoch ms; null: none has, so one that is not here is new. */
  get horizon(): number | null {
    return this.#horizon;
  }

  setSinkPosition(position: number): void {
    this.#sinkPosition = position;
  }

  has(key: string): boolean {
    return this.#slots.has(key);
  }

  /** One record of the recordings topic, in order. The value is copied: it lies in a larger buffer. */
  restore(key: string, value: Buffer, offset: number): void {
    this.#restoring.delete(key);
    this.#restoring.set(key, { value: Buffer.from(value), offset });
  }

  /** End of the restore. Throws CodecError: REGISTRY_UNAVAILABLE, or what is wrong with a record that cannot be read. */
  async restored(horizon: number | null): Promise<void> {
    this.#horizon = horizon;
    await this.#codec.resolve([...this.#restoring.values()].map(({ value }) => value));
    for (const [key, { value, offset }] of this.#restoring) {
      const slot = this.#slotOf(value, offset);
      this.#slots.set(key, slot);
      if (slot.dirty) this.#dirty.set(key, slot);
    }
    this.#restoring.clear();
  }

  /**
   * Folds one input into its recording: the one that is here, else the one that `published` holds as ClickHouse has it, else a new one. The result is
   * derived and encoded at once, so that an input which cannot be is found here, where it is known. Throws what deriving or encoding throws; then, and
   * when the result is too large, the recording is as it was before.
   */
  fold(key: string, id: RecordingKey, input: RecordingInput, published: Buffer | null, streamTime: number): Folded {
    const slot = this.#slots.get(key) ?? (published === null ? newSlot(id) : this.#slotOf(published, -1));
    const state = withInput(slot.state, input);
    if (state === slot.state) return 'unchanged';
    const publication = { ...slot.publication, last_change_at: streamTime };
    if (this.#codec.encode(packRecording(state, deriveRecording(state), publication)).length > MAX_RECORD_BYTES) return 'too_large';
    const folded = state.inputs.length > slot.state.inputs.length ? 'folded' : 'merged';
    slot.state = state;
    slot.publication = publication;
    slot.dirty = true;
    this.#slots.set(key, slot);
    this.#dirty.set(key, slot);
    return folded;
  }

  /** Publishes a recording anew if its users go by other ids than when it was published. `published`: as ClickHouse has it, where it is not here. */
  refold(key: string, published: Buffer | null, streamTime: number): void {
    const slot = this.#slots.get(key) ?? (published === null ? undefined : this.#slotOf(published, -1));
    if (slot === undefined) return;
    const state = this.#users.ofRecording(slot.state);
    if (state === slot.state && !slot.dirty) return;
    slot.state = state;
    slot.publication = { ...slot.publication, last_change_at: streamTime };
    slot.dirty = true;
    this.#slots.set(key, slot);
    this.#dirty.set(key, slot);
  }

  /** Stream time at which the next one may leave, or null. */
  nextTimer(): number | null {
    for (const slot of this.#slots.values()) return this.#mayLeave(slot) ? slot.publication.last_change_at + this.#retention : null;
    return null;
  }

  /** Lets those go that have been quiet for long enough. */
  punctuate(streamTime: number): void {
    for (const [key, slot] of this.#slots) {
      if (!this.#mayLeave(slot) || slot.publication.last_change_at + this.#retention > streamTime) return;
      this.#slots.delete(key);
      this.#horizon = Math.max(this.#horizon ?? 0, slot.publication.last_change_at);
      this.#left++;
    }
  }

  /** The changed recordings as revisions to publish. `now` is wall-clock time, epoch ms. */
  flush(now: number): RecordingRevision[] {
    return [...this.#dirty].map(([key, slot]) => {
      const { revision, first_seen_at } = slot.publication;
      slot.publication.first_seen_at = revision === 0 ? recordingFirstSeen(slot.state) : first_seen_at;
      slot.publication.revision = revision + 1;
      slot.publication.updated_at = now;
      const recording = packRecording(slot.state, deriveRecording(slot.state), slot.publication);
      return { key, recording, value: this.#codec.encode(recording) };
    });
  }

  /** After the commit: `base` is the offset of the first revision of the last flush. */
  committed(base: number | null): void {
    let offset = base ?? 0;
    for (const [key, slot] of this.#dirty) {
      slot.dirty = false;
      slot.offset = offset++;
      this.#slots.delete(key);
      this.#slots.set(key, slot);
    }
    this.#dirty.clear();
  }

  /** Lowest offset at which a recording of the state was last written, given that the last flush begins at `base`; null: nothing to restore. */
  restoreFrom(base: number | null): number | null {
    for (const slot of this.#slots.values()) if (!slot.dirty) return slot.offset;
    return this.#dirty.size > 0 ? base : null;
  }

  /** How many have left since the last call. */
  takeLeft(): number {
    const left = this.#left;
    this.#left = 0;
    return left;
  }

  #mayLeave(slot: Slot): boolean {
    return !slot.dirty && slot.offset < this.#sinkPosition;
  }

  /** Dirty: its users go by other ids than when it was published. */
  #slotOf(value: Buffer, offset: number): Slot {
    const { state: published, publication } = unpackRecording(this.#codec.decode(value));
    const state = this.#users.ofRecording(published);
    return { state, publication, offset, dirty: state !== published };
  }
}

const newSlot = (id: RecordingKey): Slot => ({
  state: emptyRecording(id),
  publication: { revision: 0, first_seen_at: 0, updated_at: 0, last_change_at: 0 },
  offset: -1,
  dirty: false,
});
