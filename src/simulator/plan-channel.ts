import { createHash } from 'node:crypto';
import { type ChannelEvent, tellChannel } from './channel-story.js';
import { RATES, type Sendable, scatter } from './chaos.js';
import type { CallTiming, Features, PlanOptions } from './plan.js';
import { Random } from './random.js';
import { userName } from './story.js';
import { type Delivery, encode, seconds } from './wire.js';

/** What happens in one channel for a while, and the pushes that the vendor makes of it. */
export interface PlannedChannel {
  app_id: string;
  channel_id: string;
  users: number;
  deliveries: Delivery[];
}

const CHANNEL_SHARE = 0.1;
/** Channels that several plans use, a few at a time, and how many of the plans use one of those. */
const SHARED_CHANNELS = 6;
const SHARED = 0.3;
/** Numbers of a run after which others are used: some 50 plans use each. Channels that are used for ever would make sessions that grow for ever. */
const SHARED_FOR = 10_000;
/** A push that holds two events, and a log entry that says "failed" of a push that arrived. */
const BATCH = 0.1;
const ANSWER_LOST = 0.03;
const FAILED_CODES = [500, 502, 503, 504];

/** Whether number `index` of a run is channel traffic and not a call. */
export const isChannel = ({ seed, features }: PlanOptions, index: number): boolean =>
  features !== undefined && features.channelApps.length > 0 && new Random(`${seed}:kind:${index}`).chance(CHANNEL_SHARE);

/** Channel traffic number `index` of a run: a pure function of the options, the index and the timing. */
export function planChannel(options: PlanOptions, features: Features, index: number, timing: CallTiming): PlannedChannel {
  const random = new Random(`${options.seed}:channel:${index}`);
  const { channelApps, channelGap } = features;
  const app = random.pick(channelApps);
  const shared = random.chance(SHARED);
  const lounge = (): number => Math.floor(index / SHARED_FOR) * SHARED_CHANNELS + random.int(1, SHARED_CHANNELS);
  const channel_id = `${options.run}-${shared ? `lounge-${lounge()}` : `c${index.toString(36)}`}`;
  const events = tellChannel(random, { start_at: timing.start_at, maxTalkMs: timing.maxTalkMs, channelGap, userName });
  const dialect: Dialect = {
    app_id: app.app_id,
    channel_id,
    subscribe_id: random.pick(app.subscribeIds),
    // What pushes call their own subscription is another id than the one that is asked for (vendors.md §7.1).
    said_id: createHash('md5').update(`${app.app_id}:${channel_id}`).digest('hex'),
    suffix: random.pick(['Id', 'ID']),
  };
  const rates = RATES[options.chaos];
  const sendables = batches(random, events).map((batch, n): Sendable => {
    const message_id = createHash('md5').update(`${options.run}:${index}:${n}`).digest('hex');
    const code = rates.lost > 0 && random.chance(ANSWER_LOST) ? random.pick(FAILED_CODES) : null;
    const push = { subscribe_id: dialect.subscribe_id, channel_id, message_id, escapedTwice: random.chance(0.5), code };
    const deliver = (send_at: number): Delivery => ({
      send_at,
      source: 'aliyun-rtc',
      app_id: app.app_id,
      query: '',
      body: encode(bodyOf(dialect, message_id, batch)),
      expect: 200,
      push,
    });
    // The vendor writes a push once: a repeat has the same body.
    return { at: batch.at(-1)!.at, deliver, differing: () => deliver };
  });
  const failed = (delivery: Delivery): Delivery[] =>
    delivery.push === undefined ? [] : [{ ...delivery, push: { ...delivery.push, code: random.pick(FAILED_CODES) }, lost: true }];
  const deliveries = scatter(random, rates, sendables, timing.delays, failed);
  return { app_id: app.app_id, channel_id, users: new Set(events.map((e) => e.user)).size, deliveries };
}

interface Dialect {
  app_id: string;
  channel_id: string;
  subscribe_id: string;
  said_id: string;
  /** Of SubscribeId and ChannelId: the pages disagree. */
  suffix: string;
}

function batches(random: Random, events: readonly ChannelEvent[]): ChannelEvent[][] {
  const out: ChannelEvent[][] = [];
  for (let i = 0; i < events.length; ) {
    const size = random.chance(BATCH) ? 2 : 1;
    out.push(events.slice(i, i + size));
    i += size;
  }
  return out;
}

/** Body of a push (vendors.md §7.2). */
function bodyOf(dialect: Dialect, message_id: string, batch: readonly ChannelEvent[]): Record<string, unknown> {
  return {
    MsgId: message_id,
    MsgTimestamp: seconds(batch.at(-1)!.at),
    [`Subscribe${dialect.suffix}`]: dialect.said_id,
    AppId: dialect.app_id,
    [`Channel${dialect.suffix}`]: dialect.channel_id,
    Contents: batch.map((event) => ({
      Event: 'UserEvent',
      UserEvent: {
        UserId: event.user,
        EventTag: event.tag,
        SessionId: event.session,
        Timestamp: seconds(event.at),
        ChannelProfile: 'interactive_live',
        US: event.at * 3_000 + event.terminal,
        ...(event.reason === 0 ? {} : { Reason: event.reason }),
        Role: event.role,
        TerminalType: event.terminal,
        UserType: 2,
      },
    })),
  };
}
