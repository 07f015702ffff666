import type { ChannelKey, PresenceEvent } from '../domain/channel.js';
import { channelSessionCallId, sessionNameOf } from '../domain/key.js';
import type { CallFacts } from '../domain/types.js';
import type { Provider } from '../domain/vocabulary.js';
import { type Publication, packCall, publicationOf, StringTable, stringAt } from './call-record.js';
import type { Call } from './generated.js';

/** Position: the code under which an event is stored. */
const EVENTS: readonly PresenceEvent['event'][] = ['join', 'leave'];

/** What the record of a channel session holds beside what is derived. */
export interface ChannelRecord {
  key: ChannelKey;
  /** Id of the event that names it. */
  name: string;
  /** The distinct events that it holds. Their ids are not stored: they follow from the rest. */
  events: readonly Omit<PresenceEvent, 'id'>[];
  publication: Publication;
}

/** The Avro record of one revision. */
export function packSession({ key, name, events, publication }: ChannelRecord, facts: CallFacts): Call {
  const { provider, app_id, channel_id } = key;
  const state = { provider, app_id, call_id: channelSessionCallId(channel_id, name), events: [], records: [], media: [], sealed_users: [] };
  const strings = new StringTable();
  const channel_events = events.map((e) => ({
    user: strings.of(e.user_id),
    session: strings.of(e.session_id),
    event: EVENTS.indexOf(e.event),
    event_at: e.event_at,
    received_at: e.received_at,
  }));
  return {
    ...packCall({ ...state, timed_out: facts.end_reason === 'timed_out' }, facts, publication),
    strings: strings.all,
    channel_events,
  };
}

/** The inverse of {@link packSession}. Throws when an event code or string position is out of range: the record is damaged. */
export function unpackSession(call: Call): ChannelRecord {
  const key = { provider: call.provider as Provider, app_id: call.app_id, channel_id: call.room_id };
  return {
    key,
    name: sessionNameOf(key.channel_id, call.call_id),
    events: call.channel_events.map((e) => {
      const event = EVENTS[e.event];
      if (event === undefined) throw new RangeError(`event code ${e.event} is not known`);
      const [user_id, session_id] = [stringAt(call.strings, e.user), stringAt(call.strings, e.session)];
      return { event, user_id, session_id, event_at: e.event_at, received_at: e.received_at };
    }),
    publication: publicationOf(call),
  };
}
