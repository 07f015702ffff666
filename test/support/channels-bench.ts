import { expect } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import type { Call } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { type ChannelKey, channelKey } from '../../src/domain/channel.js';
import { TopologyDriver } from '../../src/stream/topology-driver.js';
import { type ChannelCodecs, ChannelsProcessor } from '../../src/workers/channels/processor.js';
import { channelEventId } from '../../src/workers/event-id.js';
import { AS_THEY_COME, type Users } from '../../src/workers/users.js';
import { WorkerBench } from './worker-bench.js';

export const codecs = { raw: localCodec(TOPICS.rawAliyunRtc), call: localCodec(TOPICS.calls), deadLetter: localCodec(TOPICS.deadLetters) };
const RAW = TOPICS.rawAliyunRtc.name;
export const T0 = 1_700_000_000_000;
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** Of `callstream up`. */
export const SETTINGS = { channelGap: 5 * MINUTE, maxCall: 12 * HOUR, settle: 30_000, retention: 2 * HOUR };

/** The channels worker on the in-process driver, with a sink that has read the calls up to a position, and a wall clock. */
export class Bench extends WorkerBench<ChannelsProcessor> {
  away = false;
  asked: { keys: string[]; from: number }[] = [];
  /** As the next processor finds them. */
  readonly settings: typeof SETTINGS;
  readonly who: { users: Users };

  private constructor(driver: TopologyDriver, settings: typeof SETTINGS, who: { users: Users }) {
    super(driver, { now: T0, inputTopic: RAW, outputTopic: TOPICS.calls.name });
    this.settings = settings;
    this.who = who;
  }

  static async open(own: Partial<ChannelCodecs> = {}): Promise<Bench> {
    const clock = { now: (): number => bench?.now ?? T0 };
    const suspects = new Set<string>();
    const settings = { ...SETTINGS };
    const who = { users: AS_THEY_COME };
    const driver = await TopologyDriver.open({
      inputs: [RAW],
      outputTopic: TOPICS.calls.name,
      outputShare: 1,
      restores: true,
      partitions: 1,
      clock,
      transactionRecords: 3,
      createProcessor: ({ partition, failures }) =>
        new ChannelsProcessor({
          partition,
          partitions: 1,
          settings,
          codecs: { ...codecs, ...own },
          lookup: (keys, from) => bench!.lookup(keys, from),
          failures,
          suspects,
          users: who.users,
        }),
    });
    const bench: Bench | undefined = new Bench(driver, settings, who);
    return bench;
  }

  /** As ClickHouse answers: sessions that end no earlier than `from`, and whatever began no earlier than the first of these. */
  async lookup(keys: readonly ChannelKey[], from: number): Promise<Map<string, Buffer[]>> {
    if (this.away) throw new Error('ClickHouse is away');
    this.asked.push({ keys: keys.map(channelKey), from });
    const latest = new Map(
      this.records()
        .slice(0, this.sink)
        .map((r) => [String(r.key), r.value!]),
    );
    const stored = [...latest.values()].map((value) => ({ value, call: codecs.call.decode(value) }));
    return new Map(
      keys.map((key) => {
        const own = stored.filter(({ call }) => call.app_id === key.app_id && call.room_id === key.channel_id);
        const late = own.filter(({ call }) => call.ended_at === null || call.ended_at >= from);
        const first = Math.min(...late.map(({ call }) => call.started_at));
        return [channelKey(key), own.filter((o) => late.includes(o) || o.call.started_at >= first).map((o) => o.value)];
      }),
    );
  }

  calls(): Call[] {
    return this.records().map((r) => codecs.call.decode(r.value!));
  }

  override async advance(ms: number): Promise<void> {
    await super.advance(ms);
    expect(this.driver.meta(0)?.restoreFrom ?? 0).toBeGreaterThanOrEqual(0);
  }

  /** Everything that is over becomes final and leaves. */
  async comeToRest(): Promise<void> {
    for (const ms of [0, 2 * DAY, HOUR, 9 * DAY, HOUR, DAY]) {
      await this.advance(ms);
      await this.advance(MINUTE);
      this.sinkAll();
      await this.advance(1);
    }
  }

  last(): Map<string, Call> {
    return new Map(this.calls().map((c) => [c.call_id, c]));
  }

  /** The sessions as last published, by time. */
  sessions(): Call[] {
    return [...this.last().values()].filter((c) => c.end_reason !== 'merged').sort((a, b) => a.started_at - b.started_at);
  }

  /** Whatever happened: (call, revision) once and without gaps, one first_seen_at, and merged rows that say nothing. */
  expectSound(): void {
    const revisions = new Map<string, number[]>();
    const seen = new Map<string, number>();
    for (const c of this.calls()) {
      revisions.set(c.call_id, [...(revisions.get(c.call_id) ?? []), c.revision]);
      expect(c.first_seen_at).toBe(seen.get(c.call_id) ?? c.first_seen_at);
      seen.set(c.call_id, c.first_seen_at);
      if (c.end_reason !== 'merged') continue;
      expect(c).toMatchObject({
        status: 'ended',
        outcome: 'unknown',
        accepted_at: null,
        ring_ms: 0,
        talk_ms: 0,
        total_users: 0,
        final: true,
      });
      expect([c.callees, c.legs]).toEqual([[], []]);
    }
    for (const own of revisions.values()) expect(own).toEqual(own.map((_, i) => i + 1));
  }
}

let deliveries = 0;
export const delivery = (contents: object[], receivedAt: number, channel = 'room', more: object = {}): Buffer =>
  codecs.raw.encode({
    id: `d${deliveries++}`,
    source: 'aliyun-rtc',
    app_id: 'app',
    received_at: receivedAt,
    auth: 'app',
    remote_addr: '',
    query: '',
    body: Buffer.from(JSON.stringify({ AppId: 'app', ChannelId: channel, Contents: contents, ...more })),
  });

/** `at`: minutes after T0; null: a time that cannot be read. */
export const content = (EventTag: string, UserId: string, at: number | null, SessionId = `s-${UserId}`) => ({
  Event: 'UserEvent',
  UserEvent: { UserId, EventTag, SessionId, Timestamp: at === null ? 'soon' : T0 + at * MINUTE },
});
export const join = (user: string, at: number, session?: string) => content('Join', user, at, session);
export const leave = (user: string, at: number, session?: string) => content('Leave', user, at, session);

/** One delivery of each, now. */
export const push = (b: Bench, ...contents: object[]): void => {
  for (const c of contents) b.append(delivery([c], b.now));
};

export const idOf = (c: Call): string => c.call_id.slice('channel:room:'.length);
export const eventId = (EventTag: string, UserId: string, at: number): string =>
  channelEventId(
    { provider: 'aliyun', app_id: 'app', channel_id: 'room' },
    { event: EventTag.toLowerCase(), user_id: UserId, session_id: `s-${UserId}`, event_at: T0 + at * MINUTE },
  );
export const minutes = (c: Call) => [c.started_at, c.accepted_at, c.ended_at].map((t) => (t === null ? null : (t - T0) / MINUTE));
