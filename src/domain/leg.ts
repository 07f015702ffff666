import { span } from './measures.js';
import type { MediaFacts } from './media.js';
import { ownOutcome } from './outcome.js';
import { known, type UserTally } from './tally.js';
import type { Leg } from './types.js';
import type { CallType, Outcome } from './vocabulary.js';

/** What a leg needs to know about its call. */
export interface CallContext {
  caller: string;
  call_type: CallType;
  outcome: Outcome;
  over: boolean;
  accepted_at: number | null;
  ended_at: number | null;
}

/** The leg of one user, by its own events and, where they are silent, by the call. */
export function deriveLeg(user: UserTally, call: CallContext, media: MediaFacts): Leg {
  const isCaller = user.user_id === call.caller;
  const own = isCaller ? null : ownOutcome(user);
  const outcome = isCaller ? call.outcome : (own ?? (call.call_type === 'single' && call.over ? call.outcome : 'unknown'));
  const joinedAt = isCaller ? callerJoinedAt(user, call) : calleeJoinedAt(user, own, call);
  const leftAt = known(user.leftAt) ?? (joinedAt !== null && call.over ? call.ended_at : null);
  const missed = !isCaller && call.over && outcome === 'no_answer';
  return {
    user_id: user.user_id,
    role: isCaller ? 'caller' : 'callee',
    outcome,
    rang_at: known(user.rangAt),
    joined_at: joinedAt,
    left_at: leftAt,
    talk_ms: span(joinedAt, leftAt),
    missed,
    missed_inclusive: missed || (!isCaller && call.over && (outcome === 'busy' || outcome === 'cancelled')),
    platform: user.platformFrom === null ? '' : user.platformFrom.platform,
    media_joined_at: media.joined_at,
    media_left_at: media.left_at,
    media_drops: media.drops,
  };
}

function callerJoinedAt(user: UserTally, call: CallContext): number | null {
  return known(user.acceptedAt) ?? (call.outcome === 'answered' ? call.accepted_at : null);
}

function calleeJoinedAt(user: UserTally, own: Outcome | null, call: CallContext): number | null {
  const joined = known(user.joinedAt);
  if (joined !== null) return joined;
  const wasThere = call.outcome === 'answered' && call.call_type === 'single' && (own === null || own === 'answered');
  return wasThere ? call.accepted_at : null;
}
