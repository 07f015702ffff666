import { anyResult, count, type Fields, fieldsOf, id, list, MEDIA, oneOf, TYPES, time } from './fields.js';
import { type DeadReading, dead, type RecordReading } from './reading.js';

/** A stored call record (trtc-call-rest-api.txt; vendors.md §4): v1 names its fields in camel case, v4 in Pascal case. */
export function readRecord(body: Uint8Array): RecordReading | DeadReading {
  const b = fieldsOf(body);
  if (b === null) return dead('not_json');
  if (id(b.callId) !== '') {
    return {
      kind: 'record',
      call_id: id(b.callId),
      caller: id(b.caller),
      users: users(b.caller, b.callees),
      room_id: id(b.roomId),
      media_type: oneOf(b.mediaType, MEDIA),
      call_type: oneOf(b.callType, TYPES),
      call_result: anyResult(b.callResult),
      ...times(b, 'startCallTs', 'acceptTs', 'endTs'),
      total: count(b.totalUserNumber),
    };
  }
  if (id(b.CallId) === '') return dead('no_call_id');
  return {
    kind: 'record',
    call_id: id(b.CallId),
    caller: id(b.Caller_Account),
    users: users(b.Caller_Account, b.CalleeList_Account),
    room_id: id(b.RoomId),
    media_type: oneOf(b.MediaType, MEDIA),
    call_type: oneOf(b.CallType, TYPES),
    call_result: anyResult(b.CallResult),
    ...times(b, 'StartTime', 'AcceptTime', 'EndTime'),
    total: 0,
  };
}

/** Both generations list the caller among the callees. */
const users = (caller: unknown, callees: unknown): string[] =>
  [...new Set([id(caller), ...list(callees).map(id)])].filter((user) => user !== '');

const times = (b: Fields, start: string, accept: string, end: string) => ({
  event_at: null,
  start_at: time(b[start]),
  accept_at: time(b[accept]),
  end_at: time(b[end]),
});
