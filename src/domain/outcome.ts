import type { CallTally, UserTally } from './tally.js';
import type { CallType, Outcome } from './vocabulary.js';

/*
 * The order in which semantics.md resolves itself: caller, call_type and accepted_at need no outcome; the outcome rules need those three;
 * "over" needs the outcome; and only then is the outcome of a call that is not over reduced to `answered` or `unknown`, and do legs fall
 * back on the call. Wherever a rule says "answered", reduced or not makes no difference.
 */

/** What the outcome rules need beside the events. */
export interface OutcomeContext {
  /** Canonical result of the record, '' without one. */
  result: string;
  accepted_at: number | null;
  call_type: CallType;
  caller: string;
}

/** The outcome by rules 1 to 5, as if the call were over. */
export function outcomeByRules(tally: CallTally, context: OutcomeContext): Outcome {
  const byRecord = outcomeByRecord(tally, context);
  if (byRecord !== null) return byRecord;
  if (context.accepted_at !== null || tally.callEndAt !== -Infinity) return 'answered';
  return verdict(tally, context.caller) ?? outcomeByLegs(tally.users, context.caller) ?? 'unknown';
}

/** Rule 1. Null: go on. */
function outcomeByRecord(tally: CallTally, context: OutcomeContext): Outcome | null {
  switch (context.result) {
    case 'normal_end':
      return context.call_type !== 'group' || context.accepted_at !== null || tally.callEndAt !== -Infinity ? 'answered' : null;
    case 'interrupt':
    case 'offline':
      return context.accepted_at !== null ? 'answered' : 'failed';
    case 'not_answer':
      return 'no_answer';
    case 'reject':
      return 'rejected';
    case 'call_busy':
      return 'busy';
    case 'cancel':
      return 'cancelled';
    default:
      return null;
  }
}

/** Rule 3: the latest of the events that judge the call; call_interrupted counts by the caller only and, being listed last, loses ties. */
export function verdict(tally: CallTally, caller: string): Outcome | null {
  if (caller !== '') {
    for (const user of tally.users) {
      if (user.user_id === caller) return user.interruptedAt > tally.verdict.at ? 'failed' : tally.verdict.outcome;
    }
  }
  return tally.verdict.outcome;
}

/** Rule 4: callee legs, by their own events. */
function outcomeByLegs(users: readonly UserTally[], caller: string): Outcome | null {
  let found: Outcome | null = null;
  let best = LEG_ORDER.length;
  for (const user of users) {
    if (user.user_id === caller) continue;
    const own = ownOutcome(user);
    const rank = own === null ? -1 : LEG_ORDER.indexOf(own);
    if (rank < 0 || rank >= best) continue;
    found = own;
    best = rank;
  }
  return found;
}

const LEG_ORDER: readonly Outcome[] = ['no_answer', 'cancelled', 'rejected', 'busy', 'failed'];

/** The outcome that a callee's own events tell, or null. */
export function ownOutcome(user: UserTally): Outcome | null {
  return user.joinedAt !== Infinity || user.ended ? 'answered' : user.refusal.outcome;
}
