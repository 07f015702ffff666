import { hash } from 'node:crypto';
import { type ChannelInput, type ChannelKey, channelKey } from '../domain/channel.js';

/** Id of whatever has this identity: 128 bits of SHA-256, as hex. */
export const digest = (identity: unknown[]): string => hash('sha256', JSON.stringify(identity)).slice(0, 32);

/** Id of an event of a channel, equal for every delivery of it, pushed or polled. */
export const channelEventId = (
  key: ChannelKey,
  { user_id, session_id, event, event_at }: Pick<ChannelInput, 'user_id' | 'session_id' | 'event' | 'event_at'>,
): string => digest([channelKey(key), 'channel', user_id, session_id, event, event_at]);
