import { clocksDisagree } from './anomalies.js';
import { type CallContext, deriveLeg } from './leg.js';
import { acceptedAt, endReason, isTooLong, span, startedAt, tellsEnd, toldEnd } from './measures.js';
import { mediaOf } from './media.js';
import { type OutcomeContext, outcomeByRules } from './outcome.js';
import { isOver } from './over.js';
import { winningRecord } from './record.js';
import { CallTally } from './tally.js';
import type { CallFacts, CallState, Leg, RecordFields } from './types.js';
import type { Anomaly, InputSource } from './vocabulary.js';

/** Everything semantics.md says about a call: a pure function of the set of its inputs and of whether a timeout has closed it. */
export function deriveCall(state: CallState): CallFacts {
  const record = winningRecord(state.records);
  const fields = record === null ? null : record.fields;
  const tally = new CallTally(state.events);
  const users = tally.legs(fields);
  const context = outcomeContext(tally, fields);
  const { caller, call_type, accepted_at } = context;
  const total_users = Math.max(tally.totalNum, fields === null ? 0 : fields.total_users, users.length);

  const byRules = outcomeByRules(tally, context);
  const overByInputs = isOver(tally, users, context, byRules, total_users);
  const timedOut = state.timed_out && !overByInputs;
  const over = overByInputs || timedOut;
  const answered = byRules === 'answered';
  const outcome = over || answered ? byRules : 'unknown';

  const started_at = startedAt(tally, fields, () => firstReceivedAt(state));
  const told = over ? toldEnd(tally, fields, answered, call_type, timedOut) : null;
  const endsEarly = told !== null && accepted_at !== null && told < accepted_at;
  const ended_at = endsEarly ? accepted_at : told;
  const ring = answered ? span(started_at, accepted_at) : over ? span(started_at, ended_at) : 0;
  const talk = answered && over ? span(accepted_at, ended_at) : 0;

  const call: CallContext = { caller, call_type, outcome, over, accepted_at, ended_at };
  const legs: Leg[] = [];
  const callees: string[] = [];
  let mediaUsed = false;
  for (const user of users) {
    const media = mediaOf(state.media, user.user_id, started_at, ended_at);
    if (media.used) mediaUsed = true;
    if (user.user_id !== caller) callees.push(user.user_id);
    legs.push(deriveLeg(user, call, media));
  }

  const anomalies: Anomaly[] = [];
  if (endsEarly) anomalies.push('end_before_accept');
  if (accepted_at !== null && accepted_at < started_at) anomalies.push('accept_before_start');
  if (tally.startCallAt === Infinity && record === null) anomalies.push('missing_start');
  if (answered && accepted_at === null) anomalies.push('missing_accept');
  if (answered && over && !tellsEnd(tally, fields)) anomalies.push('missing_end');
  if (isTooLong(ring) || isTooLong(talk) || clocksDisagree(tally)) anomalies.push('time_conflict');
  if (fields !== null) {
    const withoutRecord = outcomeByRules(tally, outcomeContext(tally, null));
    if (withoutRecord !== 'unknown' && withoutRecord !== byRules) anomalies.push('record_conflict');
  }

  const sources: InputSource[] = [];
  if (state.events.length > 0) sources.push('event');
  if (record !== null) sources.push(record.origin);
  if (mediaUsed) sources.push('media');

  return {
    room_id: tally.room || (fields === null ? '' : fields.room_id),
    call_type,
    media_type: tally.mediaType || (fields === null ? '' : fields.media_type),
    caller,
    callees,
    total_users,
    status: over ? 'ended' : answered ? 'active' : 'ringing',
    outcome,
    end_reason: over ? endReason(tally, context.result, outcome, timedOut) : '',
    started_at,
    accepted_at,
    ended_at,
    ring_ms: isTooLong(ring) ? 0 : ring,
    talk_ms: isTooLong(talk) ? 0 : talk,
    missed: over && outcome === 'no_answer',
    missed_inclusive: over && (outcome === 'no_answer' || outcome === 'cancelled' || outcome === 'busy'),
    sources,
    anomalies,
    legs,
  };
}

function outcomeContext(tally: CallTally, record: RecordFields | null): OutcomeContext {
  return {
    result: record === null ? '' : record.result,
    accepted_at: acceptedAt(tally, record),
    call_type: tally.callType || (record === null ? '' : record.call_type),
    caller: tally.caller || (record === null ? '' : record.caller),
  };
}

/** The smallest received_at of all inputs of a call; Infinity for an empty set. Epoch ms. */
export function firstReceivedAt(state: CallState): number {
  let first = Infinity;
  for (const input of state.events) if (input.received_at < first) first = input.received_at;
  for (const input of state.records) if (input.received_at < first) first = input.received_at;
  for (const input of state.media) if (input.received_at < first) first = input.received_at;
  return first;
}
