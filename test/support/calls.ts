import { deriveCall } from '../../src/domain/call.js';
import { addInput, emptyState } from '../../src/domain/state.js';
import type {
  CallFacts,
  CallInput,
  CallState,
  EventInput,
  Leg,
  MediaEvent,
  MediaInput,
  RecordFields,
  RecordInput,
} from '../../src/domain/types.js';
import type { EventName } from '../../src/domain/vocabulary.js';

/** Builders of call inputs: times are seconds after T0, everything not given is absent. */

export const T0 = Date.UTC(2026, 0, 15, 10);

export const KEY = { provider: 'tencent', app_id: '1400000001', call_id: 'call-1' } as const;

/** Epoch ms of a second of the call. */
export function sec(seconds: number): number {
  return T0 + seconds * 1000;
}

/** A callback event at a second of the call, received 100 ms later; null: EventTime unknown, received at T0. */
export function ev(seconds: number | null, user: string, event: EventName, more: Partial<EventInput> = {}): EventInput {
  return {
    kind: 'event',
    user_id: user,
    event,
    event_at: seconds === null ? null : sec(seconds),
    role: '',
    start_call_ts: null,
    accept_ts: null,
    end_ts: null,
    total_num: 0,
    room_id: '',
    media_type: '',
    call_type: '',
    call_result: '',
    platform: '',
    received_at: seconds === null ? T0 : sec(seconds) + 100,
    ...more,
  };
}

const NO_FIELDS: RecordFields = {
  start_at: null,
  accept_at: null,
  end_at: null,
  result: '',
  caller: '',
  users: [],
  total_users: 0,
  room_id: '',
  media_type: '',
  call_type: '',
  event_at: null,
};

/** A REST record, received a minute after T0. */
export function rest(fields: Partial<RecordFields>, more: Partial<RecordInput> = {}): RecordInput {
  return {
    kind: 'record',
    origin: 'record',
    text: JSON.stringify(fields),
    fields: { ...NO_FIELDS, ...fields },
    received_at: sec(60),
    ...more,
  };
}

/** A status callback, received a minute after T0. */
export function status(fields: Partial<RecordFields>, more: Partial<RecordInput> = {}): RecordInput {
  return rest(fields, { origin: 'status', ...more });
}

/** A media poll of one user: [second of the call, event id, ParamOne]. */
export function media(user: string, events: [number, number, number?][], more: Partial<MediaInput> = {}): MediaInput {
  const list: MediaEvent[] = events.map(([seconds, event_id, param_one]) => ({ event_id, at: sec(seconds), param_one: param_one ?? -1 }));
  return { kind: 'media', user_id: user, text: JSON.stringify(events), events: list, received_at: sec(90), ...more };
}

export function stateOf(...inputs: CallInput[]): CallState {
  const state = emptyState(KEY);
  for (const input of inputs) addInput(state, input);
  return state;
}

/** What the domain makes of these inputs. */
export function fold(...inputs: CallInput[]): CallFacts {
  return deriveCall(stateOf(...inputs));
}

/** The same when a timeout has closed the call. */
export function foldTimedOut(...inputs: CallInput[]): CallFacts {
  const state = stateOf(...inputs);
  state.timed_out = true;
  return deriveCall(state);
}

export function leg(facts: CallFacts, user: string): Leg {
  const found = facts.legs.find((each) => each.user_id === user);
  if (found === undefined) throw new Error(`no leg of ${user}`);
  return found;
}

/** alice calls bob, who picks up after 5 s; they talk for a minute. */
export const ANSWERED: CallInput[] = [
  ev(0, 'alice', 'start_call', { role: 'caller', call_type: 'single', media_type: 'audio', room_id: 'room-1', total_num: 2 }),
  ev(1, 'bob', 'receive_call', { role: 'callee', call_type: 'single', media_type: 'audio', room_id: 'room-1', total_num: 2 }),
  ev(5, 'bob', 'accept_call', { role: 'callee', call_type: 'single' }),
  ev(5, 'alice', 'call_accepted', { role: 'caller', call_type: 'single' }),
  ev(65, 'bob', 'call_end', { role: 'callee', call_type: 'single' }),
  ev(65, 'alice', 'call_end', { role: 'caller', call_type: 'single' }),
];
