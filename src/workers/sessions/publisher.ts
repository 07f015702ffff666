import { packCall } from '../../codec/call-record.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { Call, PollTask } from '../../codec/generated.js';
import { firstReceivedAt } from '../../domain/call.js';
import { CallstreamError } from '../../domain/errors.js';
import { deadline, deriveChanged } from '../../domain/timeouts.js';
import type { Users } from '../users.js';
import type { LiveCalls } from './live-calls.js';
import type { SessionSettings } from './settings.js';
import { type LiveCall, pack, recordSpan, type Slot } from './slot.js';
import { takeTasks } from './tasks.js';

/** One revision to publish. */
export interface Revision {
  key: string;
  call: Call;
  value: Buffer;
  /** What should be fetched from the vendor about it. */
  tasks: readonly PollTask[];
  /** What this revision is the first to say. */
  timedOut: boolean;
  reopened: boolean;
}

/** Bytes of a record: with its key and headers, which hold the key once more, it must fit into a Kafka message of 8 MiB. */
const MAX_RECORD_BYTES = 7.25 * 1024 * 1024;

/** Makes the next revision of a call, and keeps its bytes as what the call is at rest. */
export class Publisher {
  readonly #settings: SessionSettings;
  readonly #codec: TopicCodec<Call>;
  readonly #calls: LiveCalls;
  readonly #users: Users;

  constructor(settings: SessionSettings, codec: TopicCodec<Call>, calls: LiveCalls, users: Users) {
    this.#settings = settings;
    this.#codec = codec;
    this.#calls = calls;
    this.#users = users;
  }

  /** `now` is wall-clock time, epoch ms. Throws what deriving or encoding throws. */
  publish(slot: Slot, now: number, streamTime: number): Revision {
    const revision = slot.live === null ? this.#unchanged(slot, now) : this.#changed(slot, slot.live, now, streamTime);
    slot.packed = pack(revision.value);
    slot.publishedAt = streamTime;
    return revision;
  }

  /** The bytes of a revision. Throws CodecError AVRO_INVALID, and SESSIONS_CALL_TOO_LARGE for what no Kafka message could carry. */
  encode(call: Call): Buffer {
    const value = this.#codec.encode(call);
    if (value.length > MAX_RECORD_BYTES)
      throw new CallstreamError('SESSIONS_CALL_TOO_LARGE', `a record of ${value.length} bytes is larger than Kafka takes`);
    return value;
  }

  /** A call at rest, once more: only its history of publication differs. What is over stays so without new input, so nothing is derived. */
  #unchanged(slot: Slot, now: number): Revision {
    const call = this.#calls.record(slot);
    const becameFinal = slot.final && !call.final;
    if (call.final) call.final_outcome = call.outcome;
    call.revision++;
    call.final = slot.final;
    call.updated_at = now;
    const tasks = becameFinal ? takeTasks(call, true, now, this.#settings, this.#users) : [];
    return { key: slot.key, call, value: this.encode(call), tasks, timedOut: false, reopened: false };
  }

  #changed(slot: Slot, live: LiveCall, now: number, streamTime: number): Revision {
    const { state, publication } = live;
    const facts = deriveChanged(state, live.recheck, streamTime, this.#settings);
    const over = facts.status === 'ended';
    const timedOutOnly = facts.end_reason === 'timed_out';
    const timedOut = timedOutOnly && !slot.timedOutOnly;
    const reopened = slot.over && !over;
    slot.over = over;
    if (!over) slot.final = false;
    slot.timedOutOnly = timedOutOnly;
    slot.deadline = over ? null : deadline(state, facts, this.#settings);
    const becameFinal = slot.final && !publication.final;
    if (publication.revision === 0) publication.first_seen_at = firstReceivedAt(state);
    publication.revision++;
    publication.final = slot.final;
    publication.updated_at = now;
    publication.last_change_at = slot.lastChange;
    publication.latest_at = slot.latestAt;
    publication.deadline_at = slot.deadline;
    recordSpan(publication, facts);
    live.recheck = false;
    const call = packCall(state, facts, publication);
    if (publication.final) publication.final_outcome = facts.outcome;
    const tasks = takeTasks(call, becameFinal, now, this.#settings, this.#users);
    publication.record_task = call.record_task;
    publication.media_task = call.media_task;
    return { key: slot.key, call, value: this.encode(call), tasks, timedOut, reopened };
  }
}
