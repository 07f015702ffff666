import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type ChaosLevel, RATES, scatter } from '../../src/simulator/chaos.js';
import type { Features, PlannedCall } from '../../src/simulator/plan.js';
import type { PlannedChannel } from '../../src/simulator/plan-channel.js';
import { Random } from '../../src/simulator/random.js';
import { timelinesOf } from '../../src/simulator/traffic.js';
import type { Delivery } from '../../src/simulator/wire.js';
import { readAliyunDelivery } from '../../src/sources/aliyun-events.js';
import { tiw } from '../../src/sources/tiw.js';

const BEGIN = Date.UTC(2026, 5, 10, 18);
const HOUR = 3_600_000;
const APP = '1400000001';
const PLAIN_APP = '1400000002';
const KEY = 'key-of-nobody';
const GAP = 300_000;
const FEATURES: Features = {
  begin_at: BEGIN,
  recorded: new Set([APP]),
  lostSince: BEGIN - 12.5 * HOUR,
  tiwKeys: new Map([[APP, KEY]]),
  channelApps: [{ app_id: 'rtc', subscribeIds: ['sub-1', 'sub-2'] }],
  channelGap: GAP,
};

function play(chaos: ChaosLevel, features: Features | null = FEATURES, seed = '7', calls = 6_000) {
  const planned: PlannedCall[] = [];
  const channels: PlannedChannel[] = [];
  const timelines = timelinesOf(
    { seed, run: 'r', apps: [APP, PLAIN_APP], chaos, ...(features === null ? {} : { features }) },
    { kind: 'compressed', begin_at: BEGIN, calls, live: 100 },
    (call) => planned.push(call),
    (channel) => channels.push(channel),
  );
  const all: Delivery[] = [];
  for (const timeline of timelines) for (let d = timeline.next(); d !== null; d = timeline.next()) all.push(d);
  const of = (source: Delivery['source']) => all.filter((d) => d.source === source);
  return { calls: planned, channels, all, of };
}
const text = (d: Delivery) => `${d.send_at} ${d.source} ${d.query} ${d.body.toString('latin1')} ${JSON.stringify(d.push)} ${d.lost}`;
const body = (d: Delivery) => JSON.parse(d.body.toString());

describe('the traffic of apps with every feature', () => {
  const hard = play('hard');
  const none = play('none');

  it('is the same for the same seed and another for another', () => {
    const once = hard.all.map(text);
    expect(play('hard').all.map(text)).toEqual(once);
    expect(play('hard', FEATURES, '8').all.map(text)).not.toEqual(once);
  });

  it('has nothing new without features', () => {
    const plain = play('hard', null, '7', 2_000);
    expect(plain.channels).toEqual([]);
    expect(plain.all.every((d) => d.source === 'tuicallkit')).toBe(true);
    expect(plain.calls.some((c) => c.facts?.lost || c.recorded)).toBe(false);
  });

  it('loses every callback of some calls of apps whose records are served, recent ones only, and knows what the record will say', () => {
    const lost = hard.calls.filter((c) => c.facts?.lost);
    const losable = hard.calls.filter((c) => c.facts?.app_id === APP && c.facts.start_at >= FEATURES.lostSince);
    expect(lost.length / losable.length).toBeGreaterThan(0.01);
    expect(lost.length / losable.length).toBeLessThan(0.035);
    expect(lost.every((c) => c.deliveries.length === 0 && losable.includes(c))).toBe(true);
    expect(none.calls.some((c) => c.facts?.lost)).toBe(false);
    const ids = new Set(lost.map((c) => c.facts!.call_id));
    expect(hard.of('tuicallkit').some((d) => ids.has(callIdOf(d)))).toBe(false);
    expect(new Set(lost.map((c) => c.facts!.result)).size).toBeGreaterThan(3);
  });

  it('has calls of up to three hours, among the lost ones too', () => {
    const talk = (c: PlannedCall) => (c.facts === undefined ? 0 : c.facts.end_at - (c.facts.accept_at ?? c.facts.end_at));
    const long = hard.calls.filter((c) => talk(c) > HOUR);
    expect(long.length).toBeGreaterThan(15);
    expect(long.some((c) => c.facts!.lost)).toBe(true);
    expect(Math.max(...long.map(talk))).toBeGreaterThan(2.5 * HOUR);
    expect(Math.max(...long.map(talk))).toBeLessThanOrEqual(3 * HOUR + 60_000);
  });

  it('ends every call for the vendor, whose results are those of its plots', () => {
    for (const { facts, plot, group } of none.calls) {
      if (facts === undefined) {
        expect(plot).toBe('failed');
        continue;
      }
      expect(facts.end_at).toBeGreaterThanOrEqual(facts.accept_at ?? facts.start_at);
      expect(facts.users[0]).toBe(facts.caller);
      if (plot === 'lost_end') expect([facts.result, facts.accept_at !== null]).toEqual(['offline', true]);
      if (plot === 'lost_answer') expect([facts.result, facts.accept_at]).toEqual(['not_answer', null]);
      if (plot === 'answered') expect(facts.result).toBe('normal_end');
      if (plot === 'interrupted') expect(['interrupt', 'offline']).toContain(facts.result);
      if (!group && plot === 'rejected') expect(facts.result).toBe('reject');
      expect(facts.presences[0]!.user).toBe(facts.caller);
      expect(facts.presences.length > 1).toBe(facts.accept_at !== null);
      for (const { user, from, to } of facts.presences) {
        expect(facts.users).toContain(user);
        expect(to).toBeGreaterThan(from);
      }
    }
  });

  it('loses a tenth of the single callbacks under hard chaos, and repeats some of all', () => {
    const sendables = Array.from({ length: 5_000 }, (_, n) => {
      const deliver = (send_at: number): Delivery => ({
        send_at,
        source: 'tiw',
        app_id: APP,
        query: `${n}`,
        body: Buffer.alloc(0),
        expect: 200,
      });
      return { at: BEGIN, deliver, differing: () => deliver };
    });
    const delays = { reorderMs: HOUR, stragglerMs: null };
    const sent = (lost?: (delivery: Delivery) => Delivery[]) => scatter(new Random('x'), RATES.hard, sendables, delays, lost);
    const share = sent((delivery) => [{ ...delivery, lost: true }]).filter((d) => d.lost).length / sendables.length;
    expect(share).toBeGreaterThan(0.09);
    expect(share).toBeLessThan(0.11);
    // A repeat may stand in for what was lost.
    const never = 1 - new Set(sent().map((d) => d.query)).size / sendables.length;
    expect(never).toBeGreaterThan(0.075);
    expect(never).toBeLessThan(share);
    expect(scatter(new Random('x'), RATES.none, sendables, delays)).toHaveLength(sendables.length);
  });

  it('records group calls: every event type, signed for the future, in bodies that the product reads', () => {
    const recorded = none.calls.filter((c) => c.recorded);
    expect(recorded.length).toBeGreaterThan(50);
    expect(recorded.every((c) => c.group && c.facts?.app_id === APP && c.facts.accept_at !== null)).toBe(true);
    const bodies = none.of('tiw');
    expect(new Set(bodies.map((d) => body(d).EventType))).toEqual(
      new Set(['Started', 'Stopped', 'Finished', 'LongPauseWarning', 'LongPauseForceStopped'].map((type) => `OnlineRecord${type}`)),
    );
    for (const d of bodies) {
      const { ExpireTime, Sign, SdkAppId } = body(d);
      expect(Sign).toBe(createHash('md5').update(`${KEY}${ExpireTime}`).digest('hex'));
      expect(ExpireTime * 1_000).toBeGreaterThan(BEGIN + 24 * HOUR);
      expect(SdkAppId).toBe(Number(APP));
      const request = { query: '', headers: {}, body: d.body };
      expect(tiw.webhook!.authenticate!(request, { provider: 'tencent', appId: APP, tiwCallbackKey: KEY }, BEGIN + HOUR)).toBe(true);
      const read = tiw.toInputs({ source: 'tiw', app_id: APP, received_at: BEGIN, query: '', body: d.body });
      expect(read).toMatchObject([{ ok: true }]);
    }
    const finished = bodies
      .map(body)
      .filter((b) => b.EventType === 'OnlineRecordFinished')
      .map((b) => b.EventData);
    expect(finished.some((f) => f.Error)).toBe(true);
    expect(finished.some((f) => f.OmittedDurations.length > 0)).toBe(true);
    expect(new Set(finished.map((f) => f.FinishReason))).toEqual(new Set(['USER_CALL', 'AUTO', 'FORCE_STOP', 'EXCEPTION']));
    const identity = (d: Delivery) => `${body(d).EventData.TaskId} ${body(d).EventType} ${body(d).Timestamp}`;
    const chaotic = hard.of('tiw');
    expect(new Set(chaotic.map(identity)).size).toBeLessThan(chaotic.length);
    expect(new Set(chaotic.map((d) => d.body.toString())).size).toBeGreaterThan(new Set(chaotic.map(identity)).size);
  });

  it('has users in channels: sessions around the gap, on channels used again, alone at times, pushed and logged', () => {
    expect(none.channels.length / 6_000).toBeGreaterThan(0.08);
    expect(none.channels.length / 6_000).toBeLessThan(0.12);
    expect(new Set(none.channels.map((c) => c.channel_id)).size).toBeLessThan(none.channels.length);
    expect(new Set(none.channels.map((c) => c.users))).toEqual(new Set([1, 2, 3, 4, 5]));
    const pushes = none.of('aliyun-rtc');
    const events = pushes.flatMap((d) =>
      readAliyunDelivery({ source: 'aliyun-rtc', app_id: 'rtc', received_at: BEGIN, query: '', body: d.body }),
    );
    const tags = new Set(events.map((e) => (e.ok ? e.event.event : 'unread')));
    expect(tags).toEqual(new Set(['join', 'leave', 'publish', 'unpublish', 'roleupdate']));
    expect(events.length).toBeGreaterThan(pushes.length);
    expect(new Set(pushes.map((d) => Object.keys(body(d)).join())).size).toBe(2);
    expect(new Set(pushes.map((d) => d.push!.escapedTwice)).size).toBe(2);
    expect(new Set(pushes.map((d) => d.push!.subscribe_id))).toEqual(new Set(['sub-1', 'sub-2']));
    // Within the channels of one plan: pauses shorter and longer than the gap.
    const pauses = none.channels.flatMap(({ deliveries }) => emptyFor(deliveries));
    expect(pauses.some((ms) => ms > 30_000 && ms < GAP)).toBe(true);
    expect(pauses.some((ms) => ms > GAP)).toBe(true);
    const chaotic = hard.of('aliyun-rtc');
    expect(pushes.some((d) => d.lost)).toBe(false);
    const share = chaotic.filter((d) => d.lost).length / chaotic.length;
    expect(share).toBeGreaterThan(0.05);
    expect(share).toBeLessThan(0.12);
    expect(chaotic.filter((d) => d.lost).every((d) => (d.push!.code ?? 200) >= 500)).toBe(true);
    expect(new Set(chaotic.map((d) => d.push!.message_id)).size).toBeLessThan(chaotic.length);
  });
});

/** The call id that a v1 body names, as far as it is one. */
const callIdOf = (d: Delivery): string => {
  try {
    const { CallId, CallInfo, CallRecord } = JSON.parse(d.body.toString());
    return String(CallId ?? CallInfo?.CallId ?? CallRecord?.CallId);
  } catch {
    return '';
  }
};

/** How long the channel of a plan was empty in between, ms. */
function emptyFor(deliveries: readonly Delivery[]): number[] {
  const events = deliveries
    .flatMap((d) => body(d).Contents)
    .map((c) => c.UserEvent)
    .filter((e) => e.EventTag === 'Join' || e.EventTag === 'Leave')
    .sort((a, b) => a.Timestamp - b.Timestamp || (a.EventTag === 'Join' ? -1 : 1));
  const there = new Set<string>();
  const pauses: number[] = [];
  let emptySince: number | null = null;
  for (const { EventTag, SessionId, Timestamp } of events) {
    if (EventTag === 'Join') {
      if (emptySince !== null) pauses.push((Timestamp - emptySince) * 1_000);
      emptySince = null;
      there.add(SessionId);
    } else {
      there.delete(SessionId);
      if (there.size === 0) emptySince = Timestamp;
    }
  }
  return pauses;
}
