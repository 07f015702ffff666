import { EVENTS, type EventName } from '../../domain/vocabulary.js';
import { anyResult, count, fieldsOf, id, isThere, platformOf, result, time, word } from './fields.js';
import { type CallbackReading, type Common, dead } from './reading.js';

/** semantics.md "Inputs" for one TUICallKit v1 callback, said once more in plain code: the oracle shares nothing with the product but the names. */
export function read(query: string, body: Uint8Array): CallbackReading {
  const b = fieldsOf(body);
  if (b === null) return dead('not_json');
  const call_id = id(b.CallId);
  if (call_id === '') return dead('no_call_id');
  const isEvent = isThere(b.Event);
  const event = word(b.Event);
  if (isEvent && !(EVENTS as readonly string[]).includes(event)) return dead('unknown_event');
  if (!isEvent && !isThere(b.CallResult)) return dead('nothing');
  const role = word(b.Role);
  const media = word(b.MediaType);
  const type = word(b.CallType);
  const common: Common = {
    call_id,
    user_id: id(b.UserId),
    role: role === 'caller' || role === 'callee' ? role : '',
    room_id: id(b.RoomId),
    media_type: media === 'audio' || media === 'video' ? media : '',
    call_type: type === 'single' || type === 'group' ? type : '',
    call_result: result(word(b.CallResult)),
    event_at: time(b.EventTime),
    start_at: time(b.StartCallTs),
    accept_at: time(b.AcceptTs),
    end_at: time(b.EndTs),
    total: count(b.TotalNum),
    platform: platformOf(query),
  };
  if (isEvent) return { kind: 'event', event: event as EventName, ...common };
  return { kind: 'status', ...common, call_result: anyResult(b.CallResult) };
}
