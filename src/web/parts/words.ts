import { h } from './dom.js';
import type { Call, Outcome } from './types.js';

/** In the order of charts, legends and filters; colours are the CSS variables `--o-<name>`. */
export const OUTCOMES: readonly Outcome[] = ['answered', 'no_answer', 'cancelled', 'rejected', 'busy', 'failed', 'unknown'];

export const OUTCOME_WORDS: Record<Outcome, string> = {
  answered: 'Answered',
  no_answer: 'No answer',
  cancelled: 'Cancelled',
  rejected: 'Rejected',
  busy: 'Busy',
  failed: 'Failed',
  unknown: 'Unknown',
};

const END_REASONS: Record<string, string> = {
  normal: 'Somebody hung up',
  interrupted: 'The connection of a user broke off',
  timed_out: 'No further event came: closed by timeout',
  no_answer: 'Nobody picked up',
  rejected: 'The other side rejected it',
  busy: 'The other side was busy',
  cancelled: 'The caller gave up',
  failed: 'It failed for a technical reason',
  unknown: 'Nothing tells how it ended',
};

export const endReason = (reason: string): string => END_REASONS[reason] ?? reason;

/** The API says what each means. */
export const anomalyName = (name: string): string => name.replaceAll('_', ' ');

const EVENTS: Record<string, string> = {
  start_call: 'started the call',
  call_accepted: 'was told: accepted',
  call_missed: 'was told: missed',
  call_rejected: 'was told: rejected',
  call_busy: 'was told: busy',
  cancel_call: 'cancelled the call',
  call_failed: 'call failed',
  call_end: 'hung up',
  call_interrupted: 'was cut off',
  receive_call: 'phone rang',
  accept_call: 'accepted',
  not_answer_call: 'did not answer',
  reject_call: 'rejected',
  ignore_call: 'was busy',
  call_canceled: 'saw the call cancelled',
  invite_user: 'was invited',
  join_in_group_call: 'joined the group call',
  join: 'came into the channel',
  leave: 'left the channel',
  record: 'record of the call',
  media: 'media events of this user',
};

export const eventText = (event: string): string => EVENTS[event] ?? event;

/** Of a call that is over, nobody else will come. */
export const nobodyText = ({ status }: Pick<Call, 'status'>): string => (status === 'ended' ? 'nobody' : 'nobody yet');

export const typeText = (call: Call): string => [call.call_type, call.media_type].filter((part) => part !== '').join(' · ') || '–';

/** A coloured mark with its words: while a call is not over, its status. */
export function outcomeBadge(call: Pick<Call, 'status' | 'outcome'>): HTMLElement {
  if (call.status === 'ended') return outcomeMark(call.outcome);
  return h(
    'span',
    { class: `badge open ${call.status}` },
    h('i', { 'aria-hidden': 'true' }),
    call.status === 'ringing' ? 'Ringing' : 'In progress',
  );
}

export const outcomeMark = (outcome: Outcome): HTMLElement =>
  h('span', { class: 'badge' }, h('i', { class: `o-${outcome}`, 'aria-hidden': 'true' }), OUTCOME_WORDS[outcome] ?? outcome);
