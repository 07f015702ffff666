import { type OutcomeContext, verdict } from './outcome.js';
import type { CallTally, UserTally } from './tally.js';
import type { Outcome } from './vocabulary.js';

/** Whether the inputs alone say that the call is over; a timeout is the other way. `users` are the legs, `outcome` is by rules 1 to 5. */
export function isOver(
  tally: CallTally,
  users: readonly UserTally[],
  context: OutcomeContext,
  outcome: Outcome,
  totalUsers: number,
): boolean {
  if (context.result !== '') return true;
  if (outcome === 'answered') return allHaveLeft(users, context.caller);
  return verdict(tally, context.caller) !== null || allCalleesAreDone(users, context.caller, totalUsers);
}

/** Not answered: at least total_users - 1 (and at least one) callee legs, and each has a terminal. */
function allCalleesAreDone(users: readonly UserTally[], caller: string, totalUsers: number): boolean {
  let callees = 0;
  for (const user of users) {
    if (user.user_id === caller) continue;
    if (!user.terminal) return false;
    callees++;
  }
  return callees >= 1 && callees >= totalUsers - 1;
}

/** Answered: some participant has left, and at most one joined leg has not left at or after its latest join. */
function allHaveLeft(users: readonly UserTally[], caller: string): boolean {
  let someoneLeft = false;
  let present = 0;
  for (const user of users) {
    if (user.leftAt !== -Infinity) someoneLeft = true;
    const isCaller = user.user_id === caller;
    // The caller is in the call by having made it; a callee by an event that says so.
    if (!isCaller && user.joinedAt === Infinity) continue;
    const lastJoin = isCaller ? Math.max(user.lastJoinedAt, user.lastAcceptedAt) : user.lastJoinedAt;
    if (user.leftAt === -Infinity || user.leftAt < lastJoin) present++;
  }
  return someoneLeft && present <= 1;
}
