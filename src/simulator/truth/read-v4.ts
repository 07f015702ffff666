import type { EventName } from '../../domain/vocabulary.js';
import {
  anyResult,
  bare,
  type Fields,
  id,
  isRecord,
  isThere,
  jsonOf,
  list,
  MEDIA,
  oneOf,
  platformOf,
  record,
  TYPES,
  time,
} from './fields.js';
import { read } from './read.js';
import { type CallbackReading, type Common, dead } from './reading.js';

/**
 * semantics.md "TUICallKit v4", read once more in plain code: everything that one delivery of either generation says, one reading per user or record. Shares
 * nothing with the product but the names.
 */
export function readAll(query: string, body: Uint8Array): CallbackReading[] {
  const alone = read(query, body);
  if (alone.kind !== 'dead' || alone.why === 'not_json') return [alone];
  const top = record(jsonOf(body));
  if (isThere(top.Event) || isThere(top.CallResult)) return [alone];
  if (isThere(top.CallRecord)) return [endCall(top, record(top.CallRecord), platformOf(query))];
  if (isThere(top.ChangedUserList)) return memberChanged(top, platformOf(query));
  if (isThere(top.CallInfo)) return startCall(top, record(top.CallInfo), platformOf(query));
  return [alone];
}

/** What every reading has, mostly empty. */
const nothing = (call_id: string, top: Fields): Common => ({
  call_id,
  user_id: '',
  role: '',
  room_id: '',
  media_type: '',
  call_type: '',
  call_result: '',
  event_at: time(top.EventTime),
  start_at: null,
  accept_at: null,
  end_at: null,
  total: 0,
  platform: '',
});

/** The caller is the one with Status Calling; whoever else is on the list receives the call. The client that called has the platform. */
function startCall(top: Fields, info: Fields, platform: string): CallbackReading[] {
  const call_id = id(top.CallId) || id(info.CallId);
  if (call_id === '') return [dead('no_call_id')];
  const users = list(top.UserList);
  if (users.length === 0) return [dead('nothing')];
  const caller = users.find((user) => isRecord(user) && bare(user.Status) === 'calling');
  return users.map((user): CallbackReading => {
    if (!isRecord(user)) return dead('nothing');
    return {
      ...nothing(call_id, top),
      kind: 'event',
      event: user === caller ? 'start_call' : 'receive_call',
      user_id: id(user.User_Account),
      role: user === caller ? 'caller' : 'callee',
      room_id: id(info.RoomId),
      media_type: oneOf(isThere(info.CallMediaType) ? info.CallMediaType : info.MediaType, MEDIA),
      platform: user === caller ? platform : '',
    };
  });
}

function memberChanged(top: Fields, platform: string): CallbackReading[] {
  const call_id = id(top.CallId);
  if (call_id === '') return [dead('no_call_id')];
  const changes = list(top.ChangedUserList);
  if (changes.length === 0) return [dead('nothing')];
  return changes.map((change): CallbackReading => {
    if (!isRecord(change) || !isThere(change.ActionType)) return dead('nothing');
    const user_id = id(change.User_Account);
    const event = eventOf(bare(change.ActionType), user_id, list(top.UserList).filter(isRecord));
    if (event === null) return dead('unknown_event');
    const passive = event === 'invite_user' || event === 'call_canceled';
    const role =
      event === 'cancel_call'
        ? 'caller'
        : ['call_end', 'call_interrupted', 'join_in_group_call', 'invite_user'].includes(event)
          ? ''
          : 'callee';
    return { ...nothing(call_id, top), kind: 'event', event, user_id, role, platform: passive ? '' : platform };
  });
}

function eventOf(action: string, user: string, members: Fields[]): EventName | null {
  switch (action) {
    case 'accept':
    case 'answer':
      return 'accept_call';
    case 'reject':
      return 'reject_call';
    case 'notanswer':
      return 'not_answer_call';
    case 'join':
      return 'join_in_group_call';
    case 'offline':
      return 'call_interrupted';
    case 'invite':
    case 'invited':
      return 'invite_user';
    case 'cancelinvite':
    case 'canncelinvite':
      return 'call_canceled';
    case 'hangup': {
      const listed = members.map((m) => `${id(m.User_Account) === user ? 'self' : 'other'} ${bare(m.Status)}`);
      if (listed.includes('self waiting')) return 'reject_call';
      return listed.includes('other waiting') && !listed.includes('other calling') ? 'cancel_call' : 'call_end';
    }
    default:
      return null;
  }
}

/** A status callback: its own times are in seconds, its users are the caller and the callees. */
function endCall(top: Fields, call: Fields, platform: string): CallbackReading {
  const call_id = id(top.CallId) || id(call.CallId);
  if (call_id === '') return dead('no_call_id');
  if (!isThere(call.CallResult)) return dead('nothing');
  const caller = id(call.Caller_Account);
  const users = [caller, ...list(call.CalleeList_Account).map(id)].filter((user) => user !== '');
  return {
    ...nothing(call_id, top),
    kind: 'status',
    user_id: users[0] ?? '',
    users,
    role: caller === '' ? '' : 'caller',
    room_id: id(call.RoomId),
    media_type: oneOf(call.MediaType, MEDIA),
    call_type: oneOf(call.CallType, TYPES),
    call_result: anyResult(call.CallResult),
    platform,
    start_at: time(call.StartTime),
    accept_at: time(call.AcceptTime),
    end_at: time(call.EndTime),
  };
}
