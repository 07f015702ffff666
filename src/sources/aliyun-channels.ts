/**
 * Channels of Alibaba Cloud RTC, which have no call ids: what is pushed to us, and what the vendor's log has of its pushes (aliyun-events.ts reads both,
 * aliyun-rtc.ts asks for the log). The vendor documents no signature of its pushes (vendors.md §7.2).
 */
import { type ChannelInput, channelKey } from '../domain/channel.js';
import { channelIdOf } from '../domain/key.js';
import { type AliyunEvent, channelOf, readAliyunDelivery } from './aliyun-events.js';
import type { Delivery, Element, ReadElement, StoredEvent } from './element.js';
import { envelopeOf } from './envelope.js';
import { idOf, isGiven, type JsonObject, parseObject, toJson } from './json.js';
import { listAt, objectAt } from './nested.js';
import type { SourceOf } from './registry.js';
import { sha256Hex } from './sign/digest.js';

const NAME = 'aliyun-rtc';
const TOPIC = 'callstream.raw.aliyun-rtc';
const PROVIDER = 'aliyun';
/** HTTP 200 is what counts. */
const SUCCESS = '{}';

export const aliyunChannels: SourceOf<'channel'> = {
  name: NAME,
  subject: 'channel',
  topic: TOPIC,
  provider: PROVIDER,
  toInputs,
  describe,
  rebuild,
  webhook: {
    name: NAME,
    topic: TOPIC,
    provider: PROVIDER,
    appIdIn: 'body',
    appIdOf(_query, body) {
      const envelope = envelopeOf(body, ['AppId']);
      return (envelope !== null && idOf(envelope, 'AppId')) || null;
    },
    keyOf(appId, _query, body) {
      const channel = channelOf(body);
      if (channel === '') return sha256Hex(body);
      return channelKey({ provider: PROVIDER, app_id: appId, channel_id: channel });
    },
    successBody: () => SUCCESS,
  },
};

/** The inputs of one delivery: one element for each entry of its Contents. */
function toInputs(raw: Delivery): Element<'channel'>[] {
  return readAliyunDelivery(raw).map((element) => {
    if (!element.ok) return element;
    const { index, event, body } = element;
    const key = { provider: PROVIDER, app_id: raw.app_id, channel_id: event.channel_id } as const;
    return { ok: true, index, key, input: channelInput(event, raw.received_at), body };
  });
}

const channelInput = (event: AliyunEvent, receivedAt: number): ChannelInput => ({
  event: event.event,
  user_id: event.kind === 'user' ? event.user_id : '',
  session_id: event.session_id,
  event_at: event.at,
  polled: event.delivery !== null,
  undelivered: event.delivery !== null && !event.delivery.delivered,
  received_at: receivedAt,
});

/**
 * The detail of a `call_events` row: every field without a column, in the shape of the delivery with this event alone in its Contents: that of a log
 * entry with its Data parsed, or that of a push. Of the Url that was pushed to, only the host: its path may hold the app's secret.
 */
function describe({ key, input, body }: ReadElement<'channel'>): string {
  const isEntry = isGiven(body, 'Data');
  const push = isEntry ? objectAt(body, 'Data') : body;
  const [content, kind] = contentOf(push);
  const fields = without(objectAt(content, kind), (name, text) => {
    if (name === 'EventTag') return true;
    if (name === 'Timestamp') return input.event_at !== null;
    return name === 'UserId' && text === input.user_id;
  });
  const rest = without(
    push,
    (name, text) => name === 'Contents' || (CHANNEL_IDS.has(name) && text === key.channel_id) || isApp(name, text),
  );
  const reduced = { ...rest, Contents: [{ ...content, [kind]: fields }] };
  if (!isEntry) return toJson(reduced);
  const url = idOf(body, 'Url');
  const entry = without(body, (name, text) => name === 'Data' || isApp(name, text));
  return toJson({ ...entry, ...(url === '' ? {} : { Url: originOf(url) }), Data: reduced });

  function isApp(name: string, text: string): boolean {
    return name === 'AppId' && text === key.app_id;
  }
}

/** Scheme and host; '' for what is no URL. */
function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : '';
}

/** Names that the channel's id goes by. */
const CHANNEL_IDS: ReadonlySet<string> = new Set(['ChannelId', 'ChannelID']);

/** The one entry of Contents, and the name of what it holds. */
function contentOf(push: JsonObject): [content: JsonObject, kind: string] {
  const content = objectAt({ content: listAt(push, 'Contents')?.[0] }, 'content');
  return [content, idOf(content, 'Event').toLowerCase() === 'userevent' ? 'UserEvent' : 'ChannelEvent'];
}

/** The fields that are not left out; of each, its name and its value as an id are asked about. */
function without(from: JsonObject, left: (name: string, text: string) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(from).filter(([name]) => !left(name, idOf(from, name))));
}

/** The inverse of {@link describe}: columns and detail as one delivery again. */
function rebuild(stored: StoredEvent): { query: string; body: Buffer } {
  const detail = parseObject(Buffer.from(stored.detail));
  if (!detail.ok) throw new SyntaxError(`the detail of a stored event: ${detail.error}`);
  const isEntry = isGiven(detail.body, 'Data');
  const push = isEntry ? objectAt(detail.body, 'Data') : detail.body;
  const [content, kind] = contentOf(push);
  const fields = {
    ...objectAt(content, kind),
    EventTag: stored.event,
    ...(stored.user_id === '' ? {} : { UserId: stored.user_id }),
    ...(stored.event_at === null ? {} : { Timestamp: stored.event_at }),
  };
  const whole = { ...push, ChannelId: channelIdOf(stored.call_id), Contents: [{ ...content, [kind]: fields }] };
  return { query: '', body: Buffer.from(toJson(isEntry ? { ...detail.body, Data: whole } : whole)) };
}
