import { compareStrings } from './order.js';
import type { Provider } from './vocabulary.js';

/**
 * Channels have no calls: users join and leave. From the set of a channel's Join and Leave events, semantics.md "Channel sessions" makes sessions. Here
 * is what goes in; channel-stays.ts pairs the events, channel-sessions.ts makes sessions of them, channel-facts.ts the record of each, channel-names.ts
 * tells which of them is which.
 */

/** Identity of a channel: one (provider, app_id, channel_id). Ids are case-sensitive strings. */
export interface ChannelKey {
  provider: Provider;
  app_id: string;
  channel_id: string;
}

/**
 * One event of a channel. Identity within it: (user_id, session_id, event, event_at), where an unknown time is an identity of its own.
 * Times are epoch milliseconds; strings are '' when absent.
 */
export interface ChannelInput {
  /** Lower-cased: `join`, `leave`, or any other word of the vendor's. */
  event: string;
  /** '' for an event of the channel itself. */
  user_id: string;
  /** The vendor's id of one connection of the user. */
  session_id: string;
  /** null: unknown. */
  event_at: number | null;
  /** It came by a poll: its arrival says nothing of the vendor's delay. */
  polled: boolean;
  /** The vendor's own log says that the push of it failed. */
  undelivered: boolean;
  received_at: number;
}

/** An event that says who is present, of all its deliveries. */
export interface PresenceEvent {
  /** Equal for equal events, whatever brought them; another for any other. */
  readonly id: string;
  readonly event: 'join' | 'leave';
  readonly user_id: string;
  readonly session_id: string;
  readonly event_at: number | null;
  /** Smallest arrival of the equal deliveries, epoch ms. */
  readonly received_at: number;
}

/** How long what may be, in milliseconds. */
export interface ChannelTimes {
  /** A session is over when nobody has been present for so long. */
  channelGap: number;
  /** So long without a further event closes a session that someone never left. */
  maxCall: number;
}

/** Key under which everything about a channel travels and is found: `provider:app:channel`. */
export const channelKey = (key: Readonly<Record<keyof ChannelKey, string>>): string => `${key.provider}:${key.app_id}:${key.channel_id}`;

/** What an input says of presence; null: nothing. A Join or Leave of nobody is none. */
export function presenceOf({ event, user_id, session_id, event_at, received_at }: ChannelInput, id: string): PresenceEvent | null {
  if ((event !== 'join' && event !== 'leave') || user_id === '') return null;
  return { id, event, user_id, session_id, event_at, received_at };
}

/** An event of unknown time took place when it first arrived. */
export const happenedAt = (e: PresenceEvent): number => e.event_at ?? e.received_at;

/** By time; of one moment by id. */
export const compareEvents = (a: PresenceEvent, b: PresenceEvent): number => happenedAt(a) - happenedAt(b) || compareStrings(a.id, b.id);
