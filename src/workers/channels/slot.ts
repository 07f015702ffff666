import type { Publication } from '../../codec/call-record.js';
import type { ChannelKey, PresenceEvent } from '../../domain/channel.js';
import type { Named } from '../../domain/channel-names.js';
import { channelSessionCallId, joinKey } from '../../domain/key.js';

/** A channel of the state: its events, and the names under which they are published. */
export interface ChannelSlot {
  readonly key: ChannelKey;
  /** `channelKey` of it. */
  readonly joined: string;
  /** By id. */
  readonly events: Map<string, PresenceEvent>;
  /** By name. */
  readonly entries: Map<string, Entry>;
  /** Ids of the events that came since names were last given, in order. */
  arrivals: string[];
  /** Events have come or changed since names were last given. */
  changed: boolean;
  /** Of all events, as {@link sizeOf} estimates. */
  bytes: number;
  /** Everything that could touch a later moment than this is in the state, epoch ms; null: everything is. */
  knownFrom: number | null;
  /** Earliest armed timer. */
  armed: number;
  /** It is not in the state any more. */
  gone: boolean;
}

/** One name of a channel, as it is published. */
export interface Entry {
  readonly slot: ChannelSlot;
  readonly name: string;
  content: Named;
  /** The events that its record holds. */
  members: readonly PresenceEvent[];
  /** Time of the event that names it, epoch ms. */
  at: number;
  over: boolean;
  publication: Publication;
  /** Stream time of the last publication. */
  publishedAt: number;
  /** Offset of the last revision on the task's partition of the calls topic; -1: not there, or not in reach of a restore. */
  offset: number;
  dirty: boolean;
  /** It may leave as soon as ClickHouse has it, and what begins before it has left. */
  waits: boolean;
}

export const newSlot = (key: ChannelKey, joined: string, knownFrom: number | null): ChannelSlot => ({
  key,
  joined,
  events: new Map(),
  entries: new Map(),
  arrivals: [],
  changed: false,
  bytes: 0,
  knownFrom,
  armed: Number.POSITIVE_INFINITY,
  gone: false,
});

/** What the record of a name holds: of a session, the events that make it, and then the Leaves near it. */
export function membersOf(content: Named): readonly PresenceEvent[] {
  if (content.kind === 'session') return [...content.session.events, ...content.session.strays];
  return content.kind === 'stray' ? [content.event] : [];
}

/** Whether a record that says this says the same as one with these members. Events are never changed: another object is another event, or says more. */
export const saysTheSame = (entry: Entry, content: Named, members: readonly PresenceEvent[]): boolean =>
  entry.content.kind === content.kind && entry.members.length === members.length && members.every((e, i) => e === entry.members[i]);

/** Bytes that an event takes in the record of its session, at most: among the events, the strings, the callees and the legs. */
export const sizeOf = (e: PresenceEvent): number => 80 + 3 * Buffer.byteLength(e.user_id) + Buffer.byteLength(e.session_id);

/** The key under which a name is published: that of the call. */
export const callKeyOf = (key: ChannelKey, name: string): string =>
  joinKey({ ...key, call_id: channelSessionCallId(key.channel_id, name) });
