import { firstFilled, type Happening, happenings } from './happenings.js';
import { greatest, least, order } from './least.js';
import { legOf, type TruthLeg } from './leg.js';
import { mediaOf } from './media.js';
import { ACCEPTS, ENDS, JOINS, outcomeOf, TERMINAL, verdictOf } from './outcome.js';
import type { CallReading } from './reading.js';
import { type Spoken, winningPolls, winningRecord } from './winners.js';

/**
 * The truth about one call: semantics.md "Legs" and "Call", sentence by sentence, from all deliveries of the call. Slow and plain on purpose; it is
 * compared with the product's fold, so it must not learn from it.
 */

/** One delivery of an event, a record or a media poll, as it stands in the raw topic. */
export interface Input {
  reading: CallReading;
  /** The exact body; empty for an event, of which the reading says all. */
  body: Buffer;
  received_at: number;
}

export interface TruthCall {
  call_id: string;
  room_id: string;
  call_type: string;
  media_type: string;
  caller: string;
  callees: string[];
  total_users: number;
  status: 'ringing' | 'active' | 'ended';
  outcome: string;
  end_reason: string;
  started_at: number;
  accepted_at: number | null;
  ended_at: number | null;
  ring_ms: number;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
  sources: string[];
  anomalies: string[];
  legs: TruthLeg[];
  /** From when on a timeout closes the call, if nothing further comes; null: it is over by its inputs. */
  times_out_at: number | null;
}

export interface Timeouts {
  ringTimeout: number;
  maxCall: number;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** The record of the call as it must stand once stream time has passed `now` (epoch ms). */
export function truthOf(inputs: readonly Input[], timeouts: Timeouts, now: number): TruthCall {
  const open = derive(inputs, false);
  if (open.status === 'ended') return open;
  // Without callback events it counts from the first arrival.
  const events = happenings(inputs).map((e) => Math.min(e.at, e.received));
  const latest = events.length > 0 ? Math.max(...events) : Math.min(...inputs.map((i) => i.received_at));
  const times_out_at = latest + (open.status === 'ringing' ? timeouts.ringTimeout : timeouts.maxCall);
  return { ...(times_out_at <= now ? derive(inputs, true) : open), times_out_at };
}

function derive(inputs: readonly Input[], timedOut: boolean): TruthCall {
  const events = happenings(inputs);
  const record = winningRecord(inputs);
  const named = (names: readonly string[]) => events.filter((e) => names.includes(e.event));
  const times = (list: Happening[]) => list.map((e) => e.at);
  const of = (user: string, names: readonly string[]) => events.filter((e) => e.user === user && names.includes(e.event));

  const caller = callerOf(events, record);
  const users = [...new Set([...events.map((e) => e.user), ...(record?.users ?? []), caller])].filter((u) => u !== '').sort();
  const callees = users.filter((u) => u !== caller);
  const total_users = Math.max(...events.map((e) => e.total), record?.total ?? 0, users.length);
  const call_type = firstFilled(events, 'type') || (record?.call_type ?? '');

  const startCarried = least(events.map((e) => e.start));
  const acceptCarried = least(events.map((e) => e.accept));
  const endCarried = greatest(events.map((e) => e.end));
  const started_at =
    record?.start_at ??
    startCarried ??
    least(times(named(['start_call']))) ??
    least(times(events)) ??
    least(inputs.map((i) => i.received_at)) ??
    0;
  const accepted_at = record?.accept_at ?? acceptCarried ?? least(times(named(ACCEPTS)));
  const callEnds = named(['call_end']);

  const result = record?.call_result ?? '';
  const verdict = verdictOf(events, caller);
  const fullOutcome = outcomeOf(events, { result, accepted_at, call_type, caller, callees });
  const answered = fullOutcome === 'answered';

  const overByInputs = (): boolean => {
    if (result !== '') return true;
    if (!answered) {
      if (verdict !== '') return true;
      return callees.length >= Math.max(1, total_users - 1) && callees.every((u) => of(u, TERMINAL).length > 0);
    }
    if (!named(ENDS).some((e) => e.user !== '')) return false;
    const joined = users.filter((u) => (u === caller ? true : of(u, JOINS).length > 0));
    const stillThere = joined.filter((u) => {
      const joins = greatest(times(of(u, u === caller ? ACCEPTS : JOINS))) ?? Number.NEGATIVE_INFINITY;
      return !of(u, ENDS).some((e) => e.at >= joins);
    });
    return stillThere.length <= 1;
  };
  const over = overByInputs() || timedOut;
  const onlyTimedOut = timedOut && !overByInputs();
  const outcome = over || answered ? fullOutcome : 'unknown';

  const anomalies = new Set<string>();
  let ended_at: number | null = null;
  if (over) {
    ended_at = record?.end_at ?? null;
    if (ended_at === null && onlyTimedOut) ended_at = greatest([endCarried, ...times(events)]);
    if (ended_at === null && answered && call_type !== 'single') {
      ended_at = greatest([...events.map((e) => e.end), ...times(named(ENDS).filter((e) => e.end === null))]);
    }
    ended_at ??= endCarried;
    if (answered) ended_at ??= greatest(times(named(ENDS)));
    ended_at ??= greatest(times(named(TERMINAL)));
    ended_at ??= record?.event_at ?? null;
    if (ended_at !== null && accepted_at !== null && ended_at < accepted_at) {
      ended_at = accepted_at;
      anomalies.add('end_before_accept');
    }
  }

  const span = (from: number | null, to: number | null): number => {
    if (from === null || to === null || to <= from) return 0;
    if (to - from <= DAY) return to - from;
    anomalies.add('time_conflict');
    return 0;
  };
  const ring_ms = answered ? span(started_at, accepted_at) : over ? span(started_at, ended_at) : 0;
  const talk_ms = answered && over ? span(accepted_at, ended_at) : 0;

  const starts = named(['start_call']);
  if (accepted_at !== null && accepted_at < started_at) anomalies.add('accept_before_start');
  if (starts.length === 0 && record === null) anomalies.add('missing_start');
  if (answered && accepted_at === null) anomalies.add('missing_accept');
  // Whatever ended_at may be taken from tells the end, but for the moment of a timeout.
  const endIsTold = [record?.end_at ?? null, record?.event_at ?? null, endCarried].some((t) => t !== null) || named(TERMINAL).length > 0;
  if (answered && over && !endIsTold) anomalies.add('missing_end');
  const conflict = (seen: number | null, carried: number | null) => seen !== null && carried !== null && Math.abs(seen - carried) > HOUR;
  if (
    conflict(least(times(starts)), startCarried) ||
    conflict(least(times(named(ACCEPTS))), acceptCarried) ||
    conflict(greatest(times(callEnds)), endCarried)
  ) {
    anomalies.add('time_conflict');
  }
  if (record !== null && events.length > 0) {
    const without = derive(
      inputs.filter((i) => i.reading.kind === 'event'),
      true,
    ).outcome;
    if (without !== 'unknown' && without !== fullOutcome) anomalies.add('record_conflict');
  }

  const polls = winningPolls(inputs);
  const media = users.map((user) => mediaOf(polls.get(user), started_at, ended_at));
  const legs = users.map((user, i) =>
    legOf(user, { events, caller, call_type, outcome, answered, over, accepted_at, ended_at }, media[i]!),
  );

  let end_reason = '';
  if (over) {
    if (onlyTimedOut) end_reason = 'timed_out';
    else if (!answered) end_reason = outcome;
    else {
      const cut = result === 'interrupt' || result === 'offline' || (named(['call_interrupted']).length > 0 && callEnds.length === 0);
      end_reason = cut ? 'interrupted' : 'normal';
    }
  }
  const sources: string[] = [];
  if (events.length > 0) sources.push('event');
  if (record !== null) sources.push(record.source);
  if (media.some((m) => m.used)) sources.push('media');
  return {
    call_id: inputs[0]!.reading.call_id,
    room_id: firstFilled(events, 'room') || (record?.room_id ?? ''),
    call_type,
    media_type: firstFilled(events, 'media') || (record?.media_type ?? ''),
    caller,
    callees,
    total_users,
    status: over ? 'ended' : answered ? 'active' : 'ringing',
    outcome,
    end_reason,
    started_at,
    accepted_at,
    ended_at,
    ring_ms,
    talk_ms,
    missed: over && outcome === 'no_answer',
    missed_inclusive: over && ['no_answer', 'cancelled', 'busy'].includes(outcome),
    sources,
    anomalies: [...anomalies].sort(),
    legs,
    times_out_at: null,
  };
}

/** The user of the earliest start_call with Role caller, else of the earliest event with Role caller, else the record's caller, else unknown. */
function callerOf(events: readonly Happening[], record: Spoken | null): string {
  const byCaller = events.filter((e) => e.role === 'caller' && e.user !== '');
  const starts = byCaller.filter((e) => e.event === 'start_call');
  const earliest = [...(starts.length > 0 ? starts : byCaller)].sort((a, b) => a.at - b.at || order(a.user, b.user))[0];
  if (earliest) return earliest.user;
  return record?.caller ?? '';
}
