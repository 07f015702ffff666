import type { EventReading, StatusReading } from './read.js';

/**
 * The truth about one call: semantics.md "Legs" and "Call", sentence by sentence, from all deliveries of the call. Slow and plain on purpose; it is
 * compared with the product's fold, so it must not learn from it.
 */

/** One delivery of an event or a status callback, as it stands in the raw topic. */
export interface Input {
  reading: EventReading | StatusReading;
  /** The exact body. */
  body: Buffer;
  received_at: number;
}

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
  /** From when on a timeout closes the call, if nothing further comes; null: it is over by its inputs, or has no callback events. */
  times_out_at: number | null;
}

export interface Timeouts {
  ringTimeout: number;
  maxCall: number;
}

/** One distinct event: all its deliveries merged. `at` is never unknown. */
interface Happening {
  user: string;
  event: string;
  at: number;
  known: boolean;
  role: string;
  start: number | null;
  accept: number | null;
  end: number | null;
  total: number;
  room: string;
  media: string;
  type: string;
  platform: string;
  received: number;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ACCEPTS = ['accept_call', 'call_accepted', 'join_in_group_call'];
const JOINS = ['accept_call', 'join_in_group_call'];
const ENDS = ['call_end', 'call_interrupted'];
const TERMINAL = [
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

/** The record of the call as it must stand once stream time has passed `now` (epoch ms). */
export function truthOf(inputs: readonly Input[], timeouts: Timeouts, now: number): TruthCall {
  const open = derive(inputs, false);
  if (open.status === 'ended') return open;
  const events = happenings(inputs);
  if (events.length === 0) return open;
  const latest = Math.max(...events.map((e) => Math.min(e.at, e.received)));
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
  const users = [...new Set([...events.map((e) => e.user), ...(record ? [record.user_id, ...(record.users ?? []), caller] : [])])]
    .filter((u) => u !== '')
    .sort();
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

  const ownOutcome = (user: string): string => {
    if (of(user, [...JOINS, 'call_end']).length > 0) return 'answered';
    return latestOf(
      events.filter((e) => e.user === user),
      LEG_ENDS,
    );
  };
  const verdict = latestOf(
    events.filter((e) => e.event !== 'call_interrupted' || (caller !== '' && e.user === caller)),
    VERDICTS,
  );
  const outcomeFrom = (result: string, accept: number | null, type: string): string => {
    const acceptedOrEnded = accept !== null || callEnds.length > 0;
    switch (result) {
      case 'normal_end':
        if (type !== 'group' || acceptedOrEnded) return 'answered';
        break;
      case 'interrupt':
      case 'offline':
        return accept !== null ? 'answered' : 'failed';
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
    if (verdict !== '') return verdict;
    const legs = callees.map(ownOutcome);
    return ['no_answer', 'cancelled', 'rejected', 'busy', 'failed'].find((o) => legs.includes(o)) ?? 'unknown';
  };
  const result = record?.call_result ?? '';
  const fullOutcome = outcomeFrom(result, accepted_at, call_type);
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

  const legs = users.map((user): TruthLeg => {
    const isCaller = user === caller;
    const own = isCaller ? '' : ownOutcome(user);
    let legOutcome = outcome;
    if (!isCaller) legOutcome = own !== '' ? own : call_type === 'single' && over ? outcome : 'unknown';
    let joined_at: number | null;
    if (isCaller) {
      joined_at = least(times(of(user, ['call_accepted'])));
      if (joined_at === null && answered) joined_at = accepted_at;
    } else {
      joined_at = least(times(of(user, JOINS)));
      if (joined_at === null && answered && call_type === 'single' && (own === '' || own === 'answered')) joined_at = accepted_at;
    }
    let left_at = greatest(times(of(user, ENDS)));
    if (left_at === null && joined_at !== null && over) left_at = ended_at;
    const callee = !isCaller && over;
    return {
      user_id: user,
      role: isCaller ? 'caller' : 'callee',
      outcome: legOutcome,
      rang_at: least(times(of(user, ['receive_call']))),
      joined_at,
      left_at,
      talk_ms: joined_at !== null && left_at !== null ? Math.max(0, left_at - joined_at) : 0,
      missed: callee && legOutcome === 'no_answer',
      missed_inclusive: callee && ['no_answer', 'busy', 'cancelled'].includes(legOutcome),
      platform: firstFilled(
        events.filter((e) => e.user === user),
        'platform',
      ),
    };
  });

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
  if (record !== null) sources.push('status');
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
function callerOf(events: readonly Happening[], record: StatusReading | null): string {
  const byCaller = events.filter((e) => e.role === 'caller' && e.user !== '');
  const starts = byCaller.filter((e) => e.event === 'start_call');
  const earliest = [...(starts.length > 0 ? starts : byCaller)].sort((a, b) => a.at - b.at || order(a.user, b.user))[0];
  if (earliest) return earliest.user;
  return record !== null && record.role === 'caller' ? record.user_id : '';
}

/** Same event = equal (user, event, event time); the bodies of one event merge. */
function happenings(inputs: readonly Input[]): Happening[] {
  const byIdentity = new Map<string, Happening>();
  for (const { reading: r, received_at } of inputs) {
    if (r.kind !== 'event') continue;
    const identity = JSON.stringify([r.user_id, r.event, r.event_at]);
    const one: Happening = {
      user: r.user_id,
      event: r.event,
      at: r.event_at ?? received_at,
      known: r.event_at !== null,
      role: r.role,
      start: r.start_at,
      accept: r.accept_at,
      end: r.end_at,
      total: r.total,
      room: r.room_id,
      media: r.media_type,
      type: r.call_type,
      platform: r.platform,
      received: received_at,
    };
    const other = byIdentity.get(identity);
    if (other === undefined) {
      byIdentity.set(identity, one);
      continue;
    }
    other.received = Math.min(other.received, received_at);
    if (!other.known) other.at = other.received;
    other.role = [other.role, one.role].includes('caller') ? 'caller' : other.role || one.role;
    other.start = least([other.start, one.start]);
    other.accept = least([other.accept, one.accept]);
    other.end = greatest([other.end, one.end]);
    other.total = Math.max(other.total, one.total);
    other.room = smaller(other.room, one.room);
    other.media = smaller(other.media, one.media);
    other.type = smaller(other.type, one.type);
    other.platform = smaller(other.platform, one.platform);
  }
  return [...byIdentity.values()];
}

/** The newest status callback by received_at wins as a whole (ties: larger EndTs, then larger bytes); equal bodies are one, with the smallest received_at. */
function winningRecord(inputs: readonly Input[]): StatusReading | null {
  const bodies = new Map<string, Input>();
  for (const input of inputs) {
    if (input.reading.kind !== 'status') continue;
    const key = input.body.toString('latin1');
    const other = bodies.get(key);
    if (other === undefined || input.received_at < other.received_at) bodies.set(key, input);
  }
  const best = [...bodies.values()].sort(
    (a, b) => b.received_at - a.received_at || endOf(b) - endOf(a) || Buffer.compare(b.body, a.body),
  )[0];
  return best === undefined ? null : (best.reading as StatusReading);
}

const endOf = (input: Input): number => input.reading.end_at ?? Number.NEGATIVE_INFINITY;

/** What the latest of the listed events means (ties: the first listed), or ''. */
function latestOf(events: readonly Happening[], meanings: readonly [string, string][]): string {
  let best = '';
  let at = Number.NEGATIVE_INFINITY;
  for (const [name, meaning] of meanings) {
    for (const e of events) {
      if (e.event === name && e.at > at) {
        best = meaning;
        at = e.at;
      }
    }
  }
  return best;
}

/** The field of the earliest event that has it (ties: smaller user id, then event; one that knows its time goes before one that only arrived then). */
function firstFilled(events: readonly Happening[], field: 'room' | 'media' | 'type' | 'platform'): string {
  const filled = events
    .filter((e) => e[field] !== '')
    .sort((a, b) => a.at - b.at || order(a.user, b.user) || order(a.event, b.event) || Number(b.known) - Number(a.known));
  return filled[0]?.[field] ?? '';
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const smaller = (a: string, b: string): string => (a === '' ? b : b === '' || a < b ? a : b);

function least(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null);
  return known.length === 0 ? null : Math.min(...known);
}

function greatest(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null);
  return known.length === 0 ? null : Math.max(...known);
}
