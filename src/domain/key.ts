import type { CallKey } from './types.js';

/** Key under which everything about a call travels and is found: `provider:app:call`. Provider and app id hold no colon, so it is unambiguous. */
export const joinKey = (key: Readonly<Record<keyof CallKey, string>>): string => `${key.provider}:${key.app_id}:${key.call_id}`;
