import { deriveCall, firstReceivedAt } from './call.js';
import { eventTime } from './tally.js';
import type { CallFacts, CallInput, CallState } from './types.js';

/** The two timeouts that close a call, in milliseconds. */
export interface TimeoutSettings {
  ringTimeout: number;
  maxCall: number;
}

/** The moment an input counts from: min(event time, received_at). Epoch ms. */
export function inputTime(input: CallInput): number {
  return input.kind === 'event' ? Math.min(eventTime(input), input.received_at) : input.received_at;
}

/**
 * Where the timeouts count from: the latest {@link inputTime} of the callback events; for a call without any, the smallest received_at of its
 * inputs. Records and media never move it once there is a callback event. Epoch ms.
 */
export function latestAt(state: CallState): number {
  if (state.events.length === 0) return firstReceivedAt(state);
  let latest = -Infinity;
  for (const event of state.events) {
    const at = inputTime(event);
    if (at > latest) latest = at;
  }
  return latest;
}

/** The stream time at which a timeout closes the call: reached means closed. Null when the call is over. */
export function deadline(state: CallState, facts: CallFacts, settings: TimeoutSettings): number | null {
  switch (facts.status) {
    case 'ended':
      return null;
    case 'active':
      return latestAt(state) + settings.maxCall;
    case 'ringing':
      return latestAt(state) + settings.ringTimeout;
  }
}

/**
 * Decides `state.timed_out` after `input` changed the set, and returns it. A callback event may reopen a call that a timeout had closed, unless
 * it is itself already that old; records and media never reopen one. A call that is already past its deadline is closed at once.
 */
export function afterInput(state: CallState, input: CallInput, streamTime: number, settings: TimeoutSettings): boolean {
  if (input.kind === 'event' || !state.timed_out) state.timed_out = isExpired(state, streamTime, settings);
  return state.timed_out;
}

/** True when the inputs alone leave the call open and its deadline has been reached. */
function isExpired(state: CallState, streamTime: number, settings: TimeoutSettings): boolean {
  // Mostly the call is young, and then what it looks like does not matter.
  if (streamTime < latestAt(state) + Math.min(settings.ringTimeout, settings.maxCall)) return false;
  state.timed_out = false;
  const closesAt = deadline(state, deriveCall(state), settings);
  return closesAt !== null && streamTime >= closesAt;
}
