import { type Fields, fieldsOf, id, isRecord, isThere, list, record, time, word } from './fields.js';
import { type ChannelReading, type DeadReading, dead } from './reading.js';

/** Pushes of more events than this are not taken apart. */
const MOST_EVENTS = 100;

/**
 * What a push, or an entry of the log of pushes, says of a channel (aliyun-list-event-sub-event.txt; vendors.md §7): one reading for each of its Contents. An
 * entry has the push as a string in Data; its own Time and Code say nothing of the events.
 */
export function readChannel(body: Uint8Array): (ChannelReading | DeadReading)[] {
  const b = fieldsOf(body);
  if (b === null) return [dead('not_json')];
  const push = isThere(b.Data) ? pushOf(b.Data) : b;
  if (push === null) return [dead('not_json')];
  const channel_id = id(push.ChannelId) || id(push.ChannelID);
  if (channel_id === '') return [dead('no_channel')];
  const message_id = id(push.MsgId) || id(b.MessageId);
  const contents = list(push.Contents);
  if (contents.length === 0) return [dead('nothing')];
  if (contents.length > MOST_EVENTS) return [dead('too_much')];
  return contents.map((content) => {
    if (!isRecord(content)) return dead('nothing');
    const kind = word(content.Event);
    if (kind !== 'userevent' && kind !== 'channelevent') return dead('unknown_event');
    const said = record(kind === 'userevent' ? content.UserEvent : content.ChannelEvent);
    if (!isThere(said.EventTag)) return dead('nothing');
    return {
      kind: 'channel',
      channel_id,
      user_id: kind === 'userevent' ? id(said.UserId) : '',
      session_id: id(said.SessionId),
      event: word(said.EventTag),
      event_at: time(said.Timestamp),
      message_id,
    };
  });
}

/** Data was escaped once or twice (vendors.md §7.1). */
function pushOf(data: unknown): Fields | null {
  if (isRecord(data)) return data;
  if (typeof data !== 'string') return null;
  const once = fieldsOf(Buffer.from(data));
  if (once !== null) return once;
  try {
    return fieldsOf(Buffer.from(String(JSON.parse(`"${data}"`))));
  } catch {
    return null;
  }
}

/** Of the log of pushes, not a push itself. */
export const isLogEntry = (body: Uint8Array): boolean => isThere(fieldsOf(body)?.Data);
