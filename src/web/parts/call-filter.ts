import { oneOf } from '../frame/state.js';
import type { Call, Outcome } from './types.js';
import { OUTCOMES } from './words.js';

/*
 * Which calls are listed: the filters of the API (`listCalls`), as the address has them.
 */

export const STATUSES = ['ringing', 'active', 'ended'] as const;
export const TYPES = ['single', 'group', 'channel'] as const;
export const MEDIA = ['audio', 'video'] as const;

/** Names of the filters in the address, as in the API. */
export const FILTER_NAMES = ['q', 'user', 'room', 'call', 'outcome', 'status', 'type', 'media', 'missed'] as const;
type FilterName = (typeof FILTER_NAMES)[number];

export type CallFilter = Readonly<Record<FilterName, string>>;

export const outcomesOf = (text: string | undefined): Outcome[] => (text ?? '').split(',').flatMap((name) => oneOf(OUTCOMES, name) ?? []);

/** What an address says; what no filter has is none. */
export function readFilter(own: Readonly<Record<string, string>>): CallFilter {
  return {
    q: own.q ?? '',
    user: own.user ?? '',
    room: own.room ?? '',
    call: own.call ?? '',
    outcome: outcomesOf(own.outcome).join(','),
    status: oneOf(STATUSES, own.status) ?? '',
    type: oneOf(TYPES, own.type) ?? '',
    media: oneOf(MEDIA, own.media) ?? '',
    missed: own.missed === 'true' ? 'true' : '',
  };
}

export const isEmpty = (filter: CallFilter): boolean => FILTER_NAMES.every((name) => filter[name] === '');

/** Whether the API would list this call: for calls that come by themselves. */
export function matches(call: Call, filter: CallFilter, app: string): boolean {
  const { q, user, room, outcome, status } = filter;
  const users = [call.caller, ...call.callees];
  const same = (wanted: string, value: string): boolean => wanted === '' || wanted === value;
  return (
    call.end_reason !== 'merged' &&
    same(app, call.app_id) &&
    (outcome === '' || (call.status === 'ended' && outcomesOf(outcome).includes(call.outcome))) &&
    same(status, call.status) &&
    same(filter.type, call.call_type) &&
    same(filter.media, call.media_type) &&
    same(filter.missed, String(call.missed)) &&
    same(room, call.room_id) &&
    same(filter.call, call.call_id) &&
    (user === '' || users.includes(user)) &&
    (q === '' || [call.call_id, call.room_id, ...users].includes(q))
  );
}
