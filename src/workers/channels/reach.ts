import { happenedAt, type PresenceEvent } from '../../domain/channel.js';
import { LONGEST_STAY_MS } from '../../domain/channel-stays.js';
import { MAX_AHEAD_MS } from '../sessions/slot.js';

/** What of a channel may matter to an event: all that ends no earlier than `from`, epoch ms. Loaded, everything that could touch a moment after `knownFrom` is. */
export interface Window {
  from: number;
  knownFrom: number;
}

/**
 * A Leave reaches back to its Join, LONGEST_STAY_MS at most. What a session could still be touched by ends less than that after its own end, since
 * neither maxCall nor channelGap is longer. `at`: when it happened, epoch ms.
 */
export function windowOf(at: number): Window {
  const knownFrom = at - LONGEST_STAY_MS - 1;
  return { from: knownFrom - LONGEST_STAY_MS, knownFrom };
}

/**
 * Whether nothing that has left the state could matter to this event. `known`: everything that could touch a later moment is in the state. `joins`:
 * the channel's Joins at hand. A Join touches what is later than itself only; so does a Leave whose Join is known. An event of unknown
 * time may be the repetition of any.
 */
export function touchesOnlyKnown(event: PresenceEvent, known: number | null, joins: Iterable<PresenceEvent>): boolean {
  if (known === null) return true;
  if (event.event_at === null || event.event_at > event.received_at + MAX_AHEAD_MS) return false;
  if (windowOf(happenedAt(event)).knownFrom >= known) return true;
  if (event.event === 'join') return event.event_at > known;
  for (const join of joins) if (endsWith(join, event) && happenedAt(join) > known) return true;
  return false;
}

/** Whether a Leave could be the end of this, and of no earlier Join: of one moment, it comes first if its user was there. */
function endsWith(join: PresenceEvent, leave: PresenceEvent): boolean {
  const stayed = happenedAt(leave) - happenedAt(join);
  return (
    join.event === 'join' &&
    join.user_id === leave.user_id &&
    join.session_id === leave.session_id &&
    stayed > 0 &&
    stayed <= LONGEST_STAY_MS
  );
}
