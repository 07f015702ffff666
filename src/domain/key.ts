import type { CallKey } from './types.js';

/** Key under which everything about a call travels and is found: `provider:app:call`. Provider and app id hold no colon, so it is unambiguous. */
export const joinKey = (key: Readonly<Record<keyof CallKey, string>>): string => `${key.provider}:${key.app_id}:${key.call_id}`;

const RECORDING = 'recording:';

/** The call id under which `call_events` has the inputs of a recording: they belong to no one call, and yet each delivery has its place there. */
export const recordingCallId = (taskId: string): string => `${RECORDING}${taskId}`;

/** The inverse of {@link recordingCallId}. */
export const taskIdOf = (callId: string): string => (callId.startsWith(RECORDING) ? callId.slice(RECORDING.length) : callId);
