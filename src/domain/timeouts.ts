import { deriveCall, firstReceivedAt } from './call.js';
import { eventTime } from './tally.js';
import type { CallFacts, CallState } from './types.js';

/** The two timeouts that close a call, in milliseconds. */
export interface TimeoutSettings {
  ringTimeout: number;
  maxCall: number;
}

/**
 * Where the timeouts count from: the latest min(event time, received_at) of the callback events; for a call without any, the smallest received_at of its
 * inputs. Records and media never move it once there is a callback event. Epoch ms.
 */
export function latestAt(state: CallState): number {
  if (state.events.length === 0) return firstReceivedAt(state);
  let latest = -Infinity;
  for (const event of state.events) {
    const at = Math.min(eventTime(event), event.received_at);
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
 * Derives a call whose inputs have changed, and decides `state.timed_out` by the way. New callback events may reopen a call that a timeout had
 * closed, unless they are themselves already that old; records and media never reopen one. A call that is past its deadline is closed at once.
 */
export function deriveChanged(state: CallState, hasNewEvents: boolean, streamTime: number, settings: TimeoutSettings): CallFacts {
  if (hasNewEvents) state.timed_out = false;
  const facts = deriveCall(state);
  const closesAt = deadline(state, facts, settings);
  if (closesAt === null || streamTime < closesAt) return facts;
  state.timed_out = true;
  return deriveCall(state);
}
