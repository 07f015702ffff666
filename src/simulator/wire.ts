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

/** One HTTP request of the vendor. */
export interface Delivery {
  /** When the vendor sends it, epoch ms on the vendor's clock. */
  send_at: number;
  app_id: string;
  query: string;
  body: Buffer;
  /** The answer that the contract promises. */
  expect: 200 | 403;
  /** The vendor takes only this generation's answer for success. */
  v4?: true;
}

const UNPREFIXED = new Set(['invite_user', 'join_in_group_call']);
export const seconds = (ms: number): number => Math.floor(ms / 1000);

/**
 * Which events carry StartCallTs, AcceptTs and EndTs: the vendor's text says those of a normal end, its example every one, and old clients send none.
 */
export type TimesStyle = 'on_end' | 'always' | 'never';

/** The callback of one user action: command `<role>_<event>` but for two, times in seconds (vendors.md §4.1). */
export function eventCallback(story: Story, moment: Moment, style: TimesStyle, app_id: string, client_ip: string): Callback {
  const ended = moment.event === 'call_end' && style !== 'never';
  const started = ended || style === 'always';
  const accepted = started && story.accept_at !== null && moment.at >= story.accept_at;
  return {
    app_id,
    command: UNPREFIXED.has(moment.event) ? moment.event : `${moment.role}_${moment.event}`,
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
  app_id: callback.app_id,
  query: queryOf(callback),
  body: encode(callback.body),
  expect: 200,
  ...(callback.v4 ? { v4: true } : {}),
});

const NUMBER_MARK = '@@number:';

/** A JSON number that no JavaScript number can hold, such as 2^53 + 1: {@link encode} writes its digits bare. */
export const exactNumber = (digits: string): string => NUMBER_MARK + digits;

export const encode = (body: unknown): Buffer => Buffer.from(JSON.stringify(body).replace(/"@@number:(\d+)"/g, '$1'));
