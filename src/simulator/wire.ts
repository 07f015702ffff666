import type { EventName } from '../domain/vocabulary.js';
import type { Moment, Story } from './story.js';

/** What goes over the wire for one callback. */
export interface Callback {
  app_id: string;
  command: string;
  platform: string;
  client_ip: string;
  body: Record<string, unknown>;
  /** Of the v4 generation: other names in the query, another answer. */
  v4?: true;
}

/** Webhooks that the vendor calls, by path part and RawEvent.source. */
export type WebhookName = 'tuicallkit' | 'tiw' | 'aliyun-rtc';

/** One HTTP request of the vendor. */
export interface Delivery {
  /** When the vendor sends it, epoch ms on the vendor's clock. */
  send_at: number;
  source: WebhookName;
  app_id: string;
  query: string;
  body: Buffer;
  /** The answer that the contract promises. */
  expect: 200 | 403;
  /** The vendor takes only this generation's answer for success. */
  v4?: true;
  /** It never arrives: the vendor only notes that it did not. */
  lost?: true;
  /** Of a channel's events: what the vendor's log of pushes says of it. */
  push?: PushNote;
}

export interface PushNote {
  subscribe_id: string;
  channel_id: string;
  message_id: string;
  /** How the log writes the body. */
  escapedTwice: boolean;
  /** What the log says of the answer; null: what it was. */
  code: number | null;
}

const UNPREFIXED = new Set(['invite_user', 'join_in_group_call']);
/** `<role>_<event>` but for two events. */
export const commandOf = (event: EventName, role: Moment['role']): string => (UNPREFIXED.has(event) ? event : `${role}_${event}`);

export const seconds = (ms: number): number => Math.floor(ms / 1000);

/**
 * Which events carry StartCallTs, AcceptTs and EndTs: the vendor's text says those of a normal end, its example every one, and old clients send none.
 */
export type TimesStyle = 'on_end' | 'always' | 'never';

/** The callback of one user action, times in seconds (vendors.md §4.1). */
export function eventCallback(story: Story, moment: Moment, style: TimesStyle, app_id: string, client_ip: string): Callback {
  const ended = moment.event === 'call_end' && style !== 'never';
  const started = ended || style === 'always';
  const accepted = started && story.accept_at !== null && moment.at >= story.accept_at;
  return {
    app_id,
    command: commandOf(moment.event, moment.role),
    platform: moment.platform,
    client_ip,
    body: {
      UserId: moment.user,
      RoomId: story.room_id,
      TotalNum: moment.total,
      MediaType: story.media_type,
      CallType: story.call_type,
      CallId: story.call_id,
      Role: moment.role,
      Event: moment.event,
      CallResult: moment.event === 'call_end' ? 'normal_end' : '',
      EventTime: seconds(moment.at),
      StartCallTs: started ? seconds(story.start_at) : 0,
      AcceptTs: accepted ? seconds(story.accept_at ?? 0) : 0,
      EndTs: ended ? seconds(moment.at) : 0,
    },
  };
}

/** The status callback of a call: no Event, but a CallResult; the three times only on normal_end. */
export function statusCallback(story: Story, app_id: string, client_ip: string): Callback {
  const normal = story.status === 'normal_end';
  const caller = story.moments.find((m) => m.role === 'caller');
  return {
    app_id,
    command: story.status ?? '',
    platform: caller?.platform ?? 'Unknown',
    client_ip,
    body: {
      UserId: story.caller,
      RoomId: story.room_id,
      TotalNum: caller?.total ?? 2,
      MediaType: story.media_type,
      CallType: story.call_type,
      CallId: story.call_id,
      Role: 'caller',
      CallResult: story.status,
      EventTime: seconds(story.end_at + 500),
      ...(normal
        ? { StartCallTs: seconds(story.start_at), AcceptTs: seconds(story.accept_at ?? story.end_at), EndTs: seconds(story.end_at) }
        : {}),
    },
  };
}

/** Query string of the vendor's callbacks: of v1 all lower-case parameter names. */
export function queryOf(c: Pick<Callback, 'app_id' | 'command' | 'client_ip' | 'platform' | 'v4'>): string {
  const q = encodeURIComponent;
  if (c.v4)
    return `SdkAppid=${q(c.app_id)}&CallbackCommand=${q(c.command)}&contenttype=json&ClientIP=${q(c.client_ip)}&OptPlatform=${q(c.platform)}`;
  return `sdkappid=${q(c.app_id)}&command=${q(c.command)}&contenttype=json&clientip=${q(c.client_ip)}&optplatform=${q(c.platform)}`;
}

export const render = (callback: Callback, send_at: number): Delivery => ({
  send_at,
  source: 'tuicallkit',
  app_id: callback.app_id,
  query: queryOf(callback),
  body: encode(callback.body),
  expect: 200,
  ...(callback.v4 ? { v4: true } : {}),
});

const NUMBER_MARK = '@@number:';

/** A JSON number that no JavaScript number can hold or would write so, such as 2^53 + 1 or 1e3: {@link encode} writes it bare. */
export const exactNumber = (number: string): string => NUMBER_MARK + number;

export const encode = (body: unknown): Buffer => Buffer.from(JSON.stringify(body).replace(/"@@number:([-+.\deE]+)"/g, '$1'));
