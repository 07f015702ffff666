import type { EventInput, RecordFields } from './types.js';
import type { CallType, EventName, MediaType, Outcome } from './vocabulary.js';

/*
 * One pass over the callback events of a call collects everything that the rules ask of them. "Earliest" fields start at Infinity, "latest"
 * fields at -Infinity; `known` turns either into null. The time of an event is its EventTime, or where that is unknown its received_at.
 */

/** The latest of several events that judge; ties go to the smaller rank, the one that semantics.md lists first. */
export class Judgement {
  outcome: Outcome | null = null;
  at = -Infinity;
  private rank = 0;

  offer(outcome: Outcome, rank: number, at: number): void {
    if (at < this.at || (at === this.at && rank >= this.rank)) return;
    this.outcome = outcome;
    this.at = at;
    this.rank = rank;
  }
}

/** What a user's own events say. */
export class UserTally {
  readonly user_id: string;
  rangAt = Infinity;
  /** Earliest and latest accept_call or join_in_group_call. */
  joinedAt = Infinity;
  lastJoinedAt = -Infinity;
  /** Earliest and latest call_accepted. */
  acceptedAt = Infinity;
  lastAcceptedAt = -Infinity;
  /** Latest call_end or call_interrupted. */
  leftAt = -Infinity;
  interruptedAt = -Infinity;
  ended = false;
  terminal = false;
  /** Why the user did not join: not_answer_call, reject_call, ignore_call, call_canceled or call_interrupted. */
  readonly refusal = new Judgement();
  /** The earliest event that names a platform. */
  platformFrom: EventInput | null = null;

  constructor(userId: string) {
    this.user_id = userId;
  }
}

/** What all callback events of a call say together. */
export class CallTally {
  /** One per user with events, sorted by user_id. Events without UserId belong to the call but to no user. */
  readonly users: UserTally[] = [];
  /** The caller as the events tell it, or ''. */
  caller = '';
  /** Earliest event of all, latest event of all. */
  firstAt = Infinity;
  lastAt = -Infinity;
  startCallAt = Infinity;
  /** Earliest accept_call, call_accepted or join_in_group_call. */
  acceptAt = Infinity;
  /** Latest call_end; latest call_end or call_interrupted; the latest of these that carries no EndTs. */
  callEndAt = -Infinity;
  leftAt = -Infinity;
  leftWithoutEndTsAt = -Infinity;
  interrupted = false;
  terminalAt = -Infinity;
  startCallTs = Infinity;
  acceptTs = Infinity;
  endTs = -Infinity;
  totalNum = 0;
  /** Of call_missed, call_rejected, call_busy, cancel_call and call_failed, by anyone. */
  readonly verdict = new Judgement();
  roomFrom: EventInput | null = null;
  mediaTypeFrom: EventInput | null = null;
  callTypeFrom: EventInput | null = null;

  constructor(events: readonly EventInput[]) {
    let startCallFrom: EventInput | null = null;
    let callerFrom: EventInput | null = null;
    for (const event of events) {
      this.add(event);
      if (event.role !== 'caller' || event.user_id === '') continue;
      if (callerFrom === null || earlier(event, callerFrom)) callerFrom = event;
      if (event.event === 'start_call' && (startCallFrom === null || earlier(event, startCallFrom))) startCallFrom = event;
    }
    this.caller = (startCallFrom ?? callerFrom)?.user_id ?? '';
  }

  get room(): string {
    return this.roomFrom === null ? '' : this.roomFrom.room_id;
  }

  get mediaType(): MediaType {
    return this.mediaTypeFrom === null ? '' : this.mediaTypeFrom.media_type;
  }

  get callType(): CallType {
    return this.callTypeFrom === null ? '' : this.callTypeFrom.call_type;
  }

  /** One tally per leg: the users of the events and those that a record lists, sorted by user_id. */
  legs(record: RecordFields | null): UserTally[] {
    if (record !== null) {
      for (const id of record.users) if (id !== '') this.user(id);
      if (record.caller !== '') this.user(record.caller);
    }
    return this.users;
  }

  private user(id: string): UserTally {
    const { users } = this;
    let low = 0;
    let high = users.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const user = users[middle]!;
      if (user.user_id === id) return user;
      if (user.user_id < id) low = middle + 1;
      else high = middle;
    }
    const user = new UserTally(id);
    if (low === users.length) users.push(user);
    else users.splice(low, 0, user);
    return user;
  }

  private add(event: EventInput): void {
    const at = eventTime(event);
    if (at < this.firstAt) this.firstAt = at;
    if (at > this.lastAt) this.lastAt = at;
    if (event.start_call_ts !== null && event.start_call_ts < this.startCallTs) this.startCallTs = event.start_call_ts;
    if (event.accept_ts !== null && event.accept_ts < this.acceptTs) this.acceptTs = event.accept_ts;
    if (event.end_ts !== null && event.end_ts > this.endTs) this.endTs = event.end_ts;
    if (event.total_num > this.totalNum) this.totalNum = event.total_num;
    if (event.room_id !== '' && (this.roomFrom === null || earlier(event, this.roomFrom))) this.roomFrom = event;
    if (event.media_type !== '' && (this.mediaTypeFrom === null || earlier(event, this.mediaTypeFrom))) this.mediaTypeFrom = event;
    if (event.call_type !== '' && (this.callTypeFrom === null || earlier(event, this.callTypeFrom))) this.callTypeFrom = event;
    const terminal = isTerminal(event.event);
    if (terminal && at > this.terminalAt) this.terminalAt = at;
    this.addToCall(event, at);
    if (event.user_id === '') return;
    const user = this.user(event.user_id);
    if (terminal) user.terminal = true;
    if (event.platform !== '' && (user.platformFrom === null || earlier(event, user.platformFrom))) user.platformFrom = event;
    addToUser(user, event.event, at);
  }

  private addToCall(event: EventInput, at: number): void {
    switch (event.event) {
      case 'start_call':
        if (at < this.startCallAt) this.startCallAt = at;
        return;
      case 'call_accepted':
      case 'accept_call':
      case 'join_in_group_call':
        if (at < this.acceptAt) this.acceptAt = at;
        return;
      case 'call_end':
        if (at > this.callEndAt) this.callEndAt = at;
        this.leave(event, at);
        return;
      case 'call_interrupted':
        this.interrupted = true;
        this.leave(event, at);
        return;
      case 'call_missed':
        this.verdict.offer('no_answer', 0, at);
        return;
      case 'call_rejected':
        this.verdict.offer('rejected', 1, at);
        return;
      case 'call_busy':
        this.verdict.offer('busy', 2, at);
        return;
      case 'cancel_call':
        this.verdict.offer('cancelled', 3, at);
        return;
      case 'call_failed':
        this.verdict.offer('failed', 4, at);
        return;
    }
  }

  private leave(event: EventInput, at: number): void {
    if (at > this.leftAt) this.leftAt = at;
    if (event.end_ts === null && at > this.leftWithoutEndTsAt) this.leftWithoutEndTsAt = at;
  }
}

function addToUser(user: UserTally, event: EventName, at: number): void {
  switch (event) {
    case 'receive_call':
      if (at < user.rangAt) user.rangAt = at;
      return;
    case 'accept_call':
    case 'join_in_group_call':
      if (at < user.joinedAt) user.joinedAt = at;
      if (at > user.lastJoinedAt) user.lastJoinedAt = at;
      return;
    case 'call_accepted':
      if (at < user.acceptedAt) user.acceptedAt = at;
      if (at > user.lastAcceptedAt) user.lastAcceptedAt = at;
      return;
    case 'call_end':
      user.ended = true;
      if (at > user.leftAt) user.leftAt = at;
      return;
    case 'call_interrupted':
      if (at > user.leftAt) user.leftAt = at;
      if (at > user.interruptedAt) user.interruptedAt = at;
      user.refusal.offer('failed', 4, at);
      return;
    case 'not_answer_call':
      user.refusal.offer('no_answer', 0, at);
      return;
    case 'reject_call':
      user.refusal.offer('rejected', 1, at);
      return;
    case 'ignore_call':
      user.refusal.offer('busy', 2, at);
      return;
    case 'call_canceled':
      user.refusal.offer('cancelled', 3, at);
      return;
  }
}

function isTerminal(event: EventName): boolean {
  switch (event) {
    case 'start_call':
    case 'call_accepted':
    case 'receive_call':
    case 'accept_call':
    case 'invite_user':
    case 'join_in_group_call':
      return false;
    default:
      return true;
  }
}

/** When an event happened: its EventTime, or where that is unknown the smallest received_at of its deliveries. Epoch ms. */
export function eventTime(event: EventInput): number {
  return event.event_at ?? event.received_at;
}

/** By time (ties: smaller user id, then event). */
function earlier(a: EventInput, b: EventInput): boolean {
  const aAt = eventTime(a);
  const bAt = eventTime(b);
  if (aAt !== bAt) return aAt < bAt;
  if (a.user_id !== b.user_id) return a.user_id < b.user_id;
  if (a.event !== b.event) return a.event < b.event;
  // One with EventTime, one without that arrived in that very millisecond: EventTime goes first.
  return a.event_at !== null && b.event_at === null;
}

/** A collected time, or null where nothing was collected. */
export function known(time: number): number | null {
  return time === Infinity || time === -Infinity ? null : time;
}
