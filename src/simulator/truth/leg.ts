import { firstFilled, type Happening } from './happenings.js';
import { greatest, least } from './least.js';
import type { TruthMedia } from './media.js';
import { ENDS, JOINS, ownOutcome } from './outcome.js';

export interface TruthLeg {
  user_id: string;
  role: 'caller' | 'callee';
  outcome: string;
  rang_at: number | null;
  joined_at: number | null;
  left_at: number | null;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
  platform: string;
  media_joined_at: number | null;
  media_left_at: number | null;
  media_drops: number;
}

interface Call {
  events: readonly Happening[];
  caller: string;
  call_type: string;
  outcome: string;
  answered: boolean;
  over: boolean;
  accepted_at: number | null;
  ended_at: number | null;
}

/** semantics.md "Legs", for one user of a call. */
export function legOf(user: string, call: Call, { used: _used, ...media }: TruthMedia): TruthLeg {
  const events = call.events.filter((e) => e.user === user);
  const times = (names: readonly string[]) => events.filter((e) => names.includes(e.event)).map((e) => e.at);
  const single = call.call_type === 'single';
  const isCaller = user === call.caller;
  const own = isCaller ? '' : ownOutcome(events, user);
  let outcome = call.outcome;
  if (!isCaller) outcome = own !== '' ? own : single && call.over ? call.outcome : 'unknown';
  let joined_at = least(times(isCaller ? ['call_accepted'] : JOINS));
  if (joined_at === null && call.answered && (isCaller || (single && (own === '' || own === 'answered')))) joined_at = call.accepted_at;
  let left_at = greatest(times(ENDS));
  if (left_at === null && joined_at !== null && call.over) left_at = call.ended_at;
  const missable = !isCaller && call.over;
  return {
    user_id: user,
    role: isCaller ? 'caller' : 'callee',
    outcome,
    rang_at: least(times(['receive_call'])),
    joined_at,
    left_at,
    talk_ms: joined_at !== null && left_at !== null ? Math.max(0, left_at - joined_at) : 0,
    missed: missable && outcome === 'no_answer',
    missed_inclusive: missable && ['no_answer', 'busy', 'cancelled'].includes(outcome),
    platform: firstFilled(events, 'platform'),
    ...media,
  };
}
