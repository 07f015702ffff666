import { type Happening, latestOf } from './happenings.js';

export const ACCEPTS = ['accept_call', 'call_accepted', 'join_in_group_call'];
export const JOINS = ['accept_call', 'join_in_group_call'];
export const ENDS = ['call_end', 'call_interrupted'];
export const TERMINAL = [
  ...ENDS,
  'call_missed',
  'call_rejected',
  'call_busy',
  'cancel_call',
  'call_failed',
  'not_answer_call',
  'reject_call',
  'ignore_call',
  'call_canceled',
];
const VERDICTS: [string, string][] = [
  ['call_missed', 'no_answer'],
  ['call_rejected', 'rejected'],
  ['call_busy', 'busy'],
  ['cancel_call', 'cancelled'],
  ['call_failed', 'failed'],
  ['call_interrupted', 'failed'],
];
const LEG_ENDS: [string, string][] = [
  ['not_answer_call', 'no_answer'],
  ['reject_call', 'rejected'],
  ['ignore_call', 'busy'],
  ['call_canceled', 'cancelled'],
  ['call_interrupted', 'failed'],
];

const isThere = (events: readonly Happening[], names: readonly string[], user: string): boolean =>
  events.some((e) => e.user === user && names.includes(e.event));

/** A callee's outcome by its own events; '': they tell none. */
export function ownOutcome(events: readonly Happening[], user: string): string {
  if (isThere(events, [...JOINS, 'call_end'], user)) return 'answered';
  return latestOf(
    events.filter((e) => e.user === user),
    LEG_ENDS,
  );
}

/** The latest verdict by anyone, call_interrupted by the caller only; '': there is none. */
export const verdictOf = (events: readonly Happening[], caller: string): string =>
  latestOf(
    events.filter((e) => e.event !== 'call_interrupted' || (caller !== '' && e.user === caller)),
    VERDICTS,
  );

interface Known {
  /** Of the record; '': there is none. */
  result: string;
  accepted_at: number | null;
  call_type: string;
  caller: string;
  callees: readonly string[];
}

/** semantics.md "Call", outcome: the first rule that applies. */
export function outcomeOf(events: readonly Happening[], { result, accepted_at, call_type, caller, callees }: Known): string {
  const acceptedOrEnded = accepted_at !== null || events.some((e) => e.event === 'call_end');
  switch (result) {
    case 'normal_end':
      if (call_type !== 'group' || acceptedOrEnded) return 'answered';
      break;
    case 'interrupt':
    case 'offline':
      return accepted_at !== null ? 'answered' : 'failed';
    case 'not_answer':
      return 'no_answer';
    case 'reject':
      return 'rejected';
    case 'call_busy':
      return 'busy';
    case 'cancel':
      return 'cancelled';
  }
  if (acceptedOrEnded) return 'answered';
  const verdict = verdictOf(events, caller);
  if (verdict !== '') return verdict;
  const legs = callees.map((user) => ownOutcome(events, user));
  return ['no_answer', 'cancelled', 'rejected', 'busy', 'failed'].find((o) => legs.includes(o)) ?? 'unknown';
}
