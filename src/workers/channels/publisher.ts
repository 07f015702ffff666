import { packSession, unpackSession } from '../../codec/channel-record.js';
import type { TopicCodec } from '../../codec/codec.js';
import type { Call } from '../../codec/generated.js';
import type { ChannelKey, PresenceEvent } from '../../domain/channel.js';
import { deriveSession, mergedFacts } from '../../domain/channel-facts.js';
import type { Named } from '../../domain/channel-names.js';
import type { ChannelSession } from '../../domain/channel-sessions.js';
import { CallstreamError } from '../../domain/errors.js';
import { channelEventId } from '../event-id.js';
import { notPublished, recordSpan } from '../sessions/slot.js';
import type { Users } from '../users.js';
import { latestOf } from './schedule.js';
import { callKeyOf, type Entry, membersOf } from './slot.js';

/** One revision to publish. */
export interface SessionRevision {
  /** Join key of the call. */
  key: string;
  call: Call;
  value: Buffer;
}

/** Bytes of a record: with its key and headers it must fit into a Kafka message of 8 MiB. */
export const MAX_RECORD_BYTES = 7 * 1024 * 1024;

/** A session that is derived before anybody looks at it. */
const NOT_DERIVED: ChannelSession = { stays: [], events: [], strays: [], from: 0, to: 0, open: false, overAt: 0 };

/** Entries as records, and records as entries. */
export class SessionPublisher {
  readonly #codec: TopicCodec<Call>;
  readonly #users: Users;

  constructor(codec: TopicCodec<Call>, users: Users) {
    this.#codec = codec;
    this.#users = users;
  }

  /** Loads the schemas that these records were written with. Throws REGISTRY_UNAVAILABLE: wait and call again. */
  resolve(values: Iterable<Buffer>): Promise<void> {
    return this.#codec.resolve(values);
  }

  /** The next revision of an entry. `now` is wall-clock time, epoch ms. Throws what deriving or encoding throws. */
  publish(entry: Entry, now: number, streamTime: number): SessionRevision {
    const { slot, name, content, members, over, at, publication } = entry;
    const { channel_id } = slot.key;
    const facts = content.kind === 'session' ? deriveSession(channel_id, content.session, over) : mergedFacts(channel_id, at);
    if (publication.revision === 0) publication.first_seen_at = Math.min(...members.map((e) => e.received_at));
    publication.revision++;
    publication.updated_at = now;
    publication.final = content.kind !== 'session' || (over && publication.final);
    publication.latest_at = Math.max(publication.latest_at, latestOf(entry));
    publication.deadline_at = content.kind === 'session' && !over ? content.session.overAt : null;
    recordSpan(publication, facts);
    entry.publishedAt = streamTime;
    const call = packSession({ key: slot.key, name, events: members, publication }, facts);
    if (publication.final) publication.final_outcome = facts.outcome;
    const value = this.#codec.encode(call);
    if (value.length > MAX_RECORD_BYTES)
      throw new CallstreamError('CHANNELS_RECORD_TOO_LARGE', `a record of ${value.length} bytes is larger than Kafka takes`);
    return { key: callKeyOf(slot.key, name), call, value };
  }

  /** The bytes that the record of a session would have. Throws what deriving or encoding throws. */
  bytesOf(key: ChannelKey, session: ChannelSession): number {
    const events = membersOf({ kind: 'session', session });
    const record = { key, name: session.stays[0]!.join.id, events, publication: notPublished() };
    return this.#codec.encode(packSession(record, deriveSession(key.channel_id, session, false))).length;
  }

  /** An event with its user under the id that the user goes by; the very same where that is its own. */
  shown(key: ChannelKey, event: PresenceEvent): PresenceEvent {
    const user_id = this.#users.idOf(key.app_id, event.user_id);
    return user_id === event.user_id ? event : { ...event, user_id, id: channelEventId(key, { ...event, user_id }) };
  }

  /** What a published record says of its entry; its session is not derived yet. `renamed`: users go by other ids than when it was published. Throws CodecError, or RangeError where the record is damaged. */
  read(value: Buffer): { key: ChannelKey; renamed: boolean } & Pick<Entry, 'name' | 'content' | 'members' | 'at' | 'over' | 'publication'> {
    const call = this.#codec.decode(value);
    const { key, name, events, publication } = unpackSession(call);
    const published = events.map((e): PresenceEvent => ({ ...e, id: channelEventId(key, e) }));
    const members = published.map((e) => this.shown(key, e));
    const renamed = members.some((e, i) => e !== published[i]);
    return {
      key,
      renamed,
      name,
      content: contentOf(call, members),
      members,
      at: call.started_at,
      over: call.status === 'ended',
      publication,
    };
  }
}

function contentOf(call: Call, [first]: readonly PresenceEvent[]): Named {
  if (call.end_reason !== 'merged') return { kind: 'session', session: NOT_DERIVED };
  return first === undefined ? { kind: 'nothing' } : { kind: 'stray', event: first };
}
