import type { CallKey } from './types.js';

/** Key under which everything about a call travels and is found: `provider:app:call`. Provider and app id hold no colon, so it is unambiguous. */
export const joinKey = (key: Readonly<Record<keyof CallKey, string>>): string => `${key.provider}:${key.app_id}:${key.call_id}`;

const RECORDING = 'recording:';
const CHANNEL = 'channel:';

/** The call id under which `call_events` has the inputs of a recording: they belong to no one call, and yet each delivery has its place there. */
export const recordingCallId = (taskId: string): string => `${RECORDING}${taskId}`;

/** The inverse of {@link recordingCallId}. */
export const taskIdOf = (callId: string): string => (callId.startsWith(RECORDING) ? callId.slice(RECORDING.length) : callId);

/**
 * The call id under which `call_events` has the events of a channel: which session of it an event belongs to is known only once all events are, and
 * may change with each.
 */
export const channelCallId = (channelId: string): string => `${CHANNEL}${channelId}`;

/** The inverse of {@link channelCallId}. */
export const channelIdOf = (callId: string): string => (callId.startsWith(CHANNEL) ? callId.slice(CHANNEL.length) : callId);

/** The call id of a session of a channel; `name` is the id of one of its events. */
export const channelSessionCallId = (channelId: string, name: string): string => `${channelCallId(channelId)}:${name}`;

/** The name of a session, from its call id. */
export const sessionNameOf = (channelId: string, callId: string): string => callId.slice(channelSessionCallId(channelId, '').length);
