import type { Frame } from '../frame/page.js';
import type { Call } from './types.js';

/*
 * Addresses of things that several pages lead to.
 */

/** The page of a call. */
export const callLink =
  (frame: Frame) =>
  (call: Pick<Call, 'provider' | 'app_id' | 'call_id'>): string =>
    frame.link('/call', { provider: call.provider, app_id: call.app_id, id: call.call_id });

/** The page of a user of an app: a user id means somebody else in another app. */
export const personLink =
  (frame: Frame) =>
  ({ app_id }: { readonly app_id: string }, user: string): string =>
    frame.link('/people', { user }, { app: app_id });
