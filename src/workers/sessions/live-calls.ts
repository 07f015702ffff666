import { type TextReaders, unpackCall } from '../../codec/call-record.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { Call } from '../../codec/generated.js';
import type { Users } from '../users.js';
import { type LiveCall, type Slot, sizeOfInputs, unpack } from './slot.js';

/** Calls that are not over and stay decoded: the next event of a call mostly comes soon. */
const RECENT_CALLS = 10_000;

/** The decoded form of calls: of those that change, and of those that lately have. */
export class LiveCalls {
  readonly #codec: TopicCodec<Call>;
  readonly #readers: TextReaders;
  readonly #users: Users;
  readonly #recent = new Set<Slot>();

  constructor(codec: TopicCodec<Call>, readers: TextReaders, users: Users) {
    this.#codec = codec;
    this.#readers = readers;
    this.#users = users;
  }

  /** The decoded call of a slot, its users under the ids that they go by. */
  of(slot: Slot): LiveCall {
    if (slot.live === null) {
      const { state: published, publication } = unpackCall(this.record(slot), this.#readers);
      const state = this.#users.ofState(published);
      slot.live = { state, publication, recheck: false, inputBytes: sizeOfInputs(state) };
    }
    return slot.live;
  }

  /** As {@link of}, where who goes by which id may have changed since the call was decoded. */
  ofToday(slot: Slot): LiveCall {
    const live = this.of(slot);
    live.state = this.#users.ofState(live.state);
    return live;
  }

  /** The last revision of a slot that has one. */
  record(slot: Slot): Call {
    return this.#codec.decode(unpack(slot.packed!));
  }

  /** After a look or a publication: a call that is over rests, any other stays decoded until enough others have changed since. */
  settle(slot: Slot): void {
    if (slot.over) {
      rest(slot);
      return;
    }
    this.#recent.delete(slot);
    this.#recent.add(slot);
    if (this.#recent.size <= RECENT_CALLS) return;
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest);
      rest(oldest);
      return;
    }
  }
}

/** Lets go of the decoded form of a published call. */
export function rest(slot: Slot): void {
  if (!slot.dirty && slot.packed !== null) slot.live = null;
}
