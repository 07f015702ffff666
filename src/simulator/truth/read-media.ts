import { integer, isRecord, jsonOf, list, parameter, time } from './fields.js';
import { type DeadReading, dead, type MediaReading } from './reading.js';

/**
 * A stored poll of one user's media events (trtc-describe-user-event.txt): the body is the user's `Data`, a list of `{ Content: [events], PeerId }`; the query
 * says whose it is. An event without an id or a time is none.
 */
export function readMedia(query: string, body: Uint8Array): MediaReading | DeadReading {
  let data: unknown;
  try {
    data = jsonOf(body);
  } catch {
    return dead('not_json');
  }
  if (!Array.isArray(data)) return dead('not_json');
  const call_id = parameter(query, 'call_id');
  if (call_id === '') return dead('no_call_id');
  const entries = data.flatMap((peer) => (isRecord(peer) ? list(peer.Content) : []));
  return {
    kind: 'media',
    call_id,
    user_id: parameter(query, 'user_id'),
    room_id: parameter(query, 'room_id'),
    events: entries.flatMap((entry) => {
      if (!isRecord(entry)) return [];
      const event = integer(entry.EventId);
      const at = time(entry.Time);
      return event === null || at === null ? [] : [{ event, at, one: integer(entry.ParamOne) ?? -1 }];
    }),
  };
}
