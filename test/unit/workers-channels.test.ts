import { describe, expect, it } from 'vitest';
import type { Call } from '../../src/codec/generated.js';
import { StartOver } from '../../src/stream/types.js';
import {
  Bench,
  codecs,
  content,
  DAY,
  delivery,
  eventId,
  HOUR,
  idOf,
  join,
  leave,
  MINUTE,
  minutes,
  push,
  SETTINGS,
  T0,
} from '../support/channels-bench.js';

/** Of each name its last revision: what it is, and the minutes of its start, accept and end. */
const shown = (b: Bench) =>
  Object.fromEntries([...b.last().values()].map((c) => [idOf(c), [c.revision, c.end_reason || c.status, ...minutes(c)]]));
/** A sink that keeps up, and time enough for what is over to become final and to leave. */
async function rest(b: Bench): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await b.advance(3 * HOUR);
    b.sinkAll();
  }
  await b.advance(1);
}

describe('the channels worker', () => {
  it('publishes a session as a call of its own share, once per transaction', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), join('a', 0), join('b', 1));
    await b.driver.drain();
    expect(b.calls()).toMatchObject([
      {
        ...{ provider: 'aliyun', app_id: 'app', call_id: `channel:room:${eventId('Join', 'a', 0)}`, room_id: 'room', call_type: 'channel' },
        ...{
          revision: 1,
          status: 'active',
          outcome: 'answered',
          end_reason: '',
          final: false,
          sources: ['channel'],
          media_type: '',
          caller: '',
        },
        ...{ callees: ['a', 'b'], total_users: 2, started_at: T0, accepted_at: T0 + MINUTE, ended_at: null, ring_ms: MINUTE, talk_ms: 0 },
        ...{ deadline_at: T0 + 12 * HOUR, channel_events: { length: 2 } },
      },
    ]);
    const [record] = b.records();
    expect(record).toMatchObject({ partition: 1, headers: { ce_type: 'callstream.calls.v1', ce_source: '//aliyun/app' } });
    expect(record!.headers!.ce_id).toBe(`aliyun:app:channel:room:${eventId('Join', 'a', 0)}@1`);
  });

  it('ends a session when nobody has been there for channelGap, and makes it final after settle', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), join('b', 1));
    await b.advance(3 * MINUTE);
    push(b, leave('a', 2), leave('b', 3));
    await b.advance(SETTINGS.channelGap - 1);
    expect(b.calls().at(-1)).toMatchObject({ status: 'active', ended_at: null, deadline_at: T0 + 8 * MINUTE });
    await b.advance(1);
    const over = { status: 'ended', end_reason: 'normal', ended_at: T0 + 3 * MINUTE, talk_ms: MINUTE, deadline_at: null };
    expect(b.calls().at(-1)).toMatchObject({ ...over, final: false });
    await b.advance(SETTINGS.settle - 1);
    expect(b.calls()).toHaveLength(3);
    await b.advance(100);
    expect(b.calls().at(-1)).toMatchObject({ ...over, final: true, revision: 4 });
    await b.advance(MINUTE);
    expect(b.calls()).toHaveLength(4);
    expect(b.calls().map(({ final_outcome }) => final_outcome)).toEqual(['', '', '', '']);
    // What comes within channelGap of its end goes on with it.
    push(b, join('c', 4));
    await b.advance(1);
    expect(b.calls().at(-1)).toMatchObject({ revision: 5, final: false, final_outcome: 'answered' });
  });

  it('goes on with a session that someone comes back to within channelGap', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), leave('a', 1), join('a', 6));
    await b.advance(MINUTE);
    expect(b.sessions().map(minutes)).toEqual([[0, null, null]]);
    push(b, join('b', 30), leave('b', 31), leave('a', 40), join('a', 46));
    await b.advance(HOUR);
    expect(b.sessions().map(minutes)).toEqual([
      [0, 30, 40],
      [46, null, null],
    ]);
  });

  it('folds the younger of two sessions into the elder when a late event joins them, and splits them again', async () => {
    const b = await Bench.open();
    // The later session is seen first: it is the elder.
    push(b, join('b', 20));
    await b.advance(25 * MINUTE);
    push(b, leave('b', 25), join('a', 0), leave('a', 10));
    await b.advance(10 * MINUTE);
    const [elder, younger] = [eventId('Join', 'b', 20), eventId('Join', 'a', 0)];
    expect(shown(b)).toMatchObject({ [elder]: [3, 'unknown', 20, null, 25], [younger]: [2, 'unknown', 0, null, 10] });
    push(b, join('c', 9), leave('c', 21));
    await b.advance(MINUTE);
    expect(shown(b)).toEqual({ [elder]: [5, 'normal', 0, 9, 25], [younger]: [3, 'merged', 0, null, 0] });
    expect(b.last().get(`channel:room:${younger}`)).toMatchObject({
      channel_events: [],
      legs: [],
      callees: [],
      total_users: 0,
      final: true,
    });
    // c was gone in between after all: the part with the naming event keeps the name, the other takes its own earliest Join's, whose revisions go on.
    push(b, leave('c', 10));
    await b.advance(MINUTE);
    expect(shown(b)).toMatchObject({ [elder]: [7, 'unknown', 20, null, 25], [younger]: [5, 'normal', 0, 9, 10] });
    b.expectSound();
    await rest(b);
    expect(b.processor.table.size).toBe(0);
    expect(b.asked).toEqual([]);
  });

  it('keeps a Leave whose Join has not come, under its own name, and goes on with that when it comes', async () => {
    const b = await Bench.open();
    push(b, leave('a', 5));
    await b.driver.drain();
    const name = eventId('Leave', 'a', 5);
    expect(shown(b)).toEqual({ [name]: [1, 'merged', 5, null, 5] });
    expect(b.last().get(`channel:room:${name}`)).toMatchObject({ channel_events: { length: 1 }, first_seen_at: T0, legs: [] });
    await b.restart();
    b.now += 10 * MINUTE;
    push(b, join('a', 0));
    await b.advance(MINUTE);
    expect(shown(b)).toEqual({ [name]: [3, 'unknown', 0, null, 5] });
    b.expectSound();
  });

  it('keeps it with the session that it came in or after, where it counts for nothing', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), leave('a', 10), leave('b', 12));
    await b.advance(30 * MINUTE);
    expect(b.sessions()).toMatchObject([{ callees: ['a'], ended_at: T0 + 10 * MINUTE, channel_events: { length: 3 } }]);
    expect(b.last().size).toBe(1);
    push(b, join('b', 8));
    await b.advance(HOUR);
    expect(b.sessions()).toMatchObject([{ callees: ['a', 'b'], ended_at: T0 + 12 * MINUTE, talk_ms: 2 * MINUTE }]);
  });

  it('closes a session that someone never left after maxCall, at its latest event, and takes a Leave that comes after all', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), join('b', 1));
    await b.advance(30 * MINUTE);
    push(b, leave('b', 30));
    await b.advance(12 * HOUR - 1);
    expect(b.sessions()).toMatchObject([{ status: 'active' }]);
    await b.advance(1);
    expect(b.sessions()).toMatchObject([{ status: 'ended', end_reason: 'timed_out', ended_at: T0 + 30 * MINUTE, timed_out: true }]);
    await b.advance(MINUTE);
    b.sinkAll();
    await b.advance(3 * HOUR);
    expect(b.processor.table.size).toBe(0);
    push(b, leave('a', 15 * 60));
    await b.advance(10 * MINUTE);
    expect(b.asked).toHaveLength(1);
    expect(b.sessions()).toMatchObject([{ end_reason: 'normal', ended_at: T0 + 15 * HOUR, talk_ms: 29 * MINUTE, timed_out: false }]);
    b.expectSound();
  });

  it('is restored from its own share, and goes on', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), join('b', 1));
    await b.driver.drain();
    expect(b.driver.meta(0)).toMatchObject({ restoreFrom: 0, lastOutput: 0, horizon: null });
    await b.crash(0);
    push(b, leave('b', 2));
    await b.driver.drain();
    await b.restart();
    await b.advance(30 * MINUTE);
    push(b, leave('a', 3));
    await b.advance(MINUTE);
    expect(b.sessions()).toMatchObject([{ revision: 4, status: 'ended', talk_ms: MINUTE, ended_at: T0 + 3 * MINUTE, first_seen_at: T0 }]);
    b.expectSound();
  });

  it('asks ClickHouse nothing for what has just happened, also when much has left and it is away', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), join('b', 1), leave('a', 2), leave('b', 3));
    await rest(b);
    expect(b.processor.table.size).toBe(0);
    b.away = true;
    const now = (b.now - T0) / MINUTE;
    push(b, join('a', now), join('b', now + 1));
    await b.advance(2 * MINUTE);
    push(b, leave('a', now + 2), leave('a', now + 2), leave('b', now + 2), join('c', now + 2));
    await b.advance(10 * MINUTE);
    expect(b.asked).toEqual([]);
    expect(b.sessions().map(minutes)).toEqual([
      [0, 1, 3],
      [now, now + 1, null],
    ]);
  });

  it.each([
    ['a Join that is late', join('c', 2)],
    ['a Join of the gap after', join('c', 7)],
    ['a Leave of someone who is not known', leave('c', 700)],
    ['a Leave that is repeated', leave('b', 3)],
    ['a Join of unknown time', content('Join', 'c', null)],
    ['a Join that is dated far ahead', join('c', 60 * 24 * 30)],
  ])('waits for ClickHouse before it takes %s', async (_, event) => {
    const b = await Bench.open();
    push(b, join('a', 0), join('b', 1), leave('a', 2), leave('b', 3));
    await rest(b);
    b.away = true;
    push(b, event);
    await expect(b.driver.drain()).rejects.toThrow('ClickHouse is away');
    b.away = false;
    await b.driver.drain();
    expect(b.asked.map(({ keys }) => keys)).toEqual([['aliyun:app:room']]);
    await rest(b);
    b.expectSound();
  });

  it('takes back what is near an event, and not all that a channel ever was', async () => {
    const b = await Bench.open();
    for (const day of [0, 10, 20, 30]) {
      b.now = T0 + day * DAY;
      push(b, join('a', day * 1440), leave('a', day * 1440 + 1));
      await rest(b);
    }
    push(b, join('b', 20 * 1440 + 2));
    await b.driver.drain();
    const from = b.asked[0]!.from;
    expect(from).toBeGreaterThan(T0 + 5 * DAY);
    expect(from).toBeLessThan(T0 + 7 * DAY);
    await rest(b);
    await b.advance(DAY);
    expect(b.sessions().map(minutes)[2]).toEqual([20 * 1440, null, 20 * 1440 + 2]);
    // Nothing is brought to ClickHouse again that has not changed.
    expect(b.sessions().map((c) => c.revision)).toEqual(
      [2, 2, expect.any(Number), 2].map((r) => (typeof r === 'number' ? expect.any(Number) : r)),
    );
    b.expectSound();
  });

  it('after a restart asks once for a channel whose session is older than what has left', async () => {
    const b = await Bench.open();
    push(b, join('a', 0));
    for (const c of [join('z', 0), leave('z', 1)]) b.append(delivery([c], b.now, 'other'));
    await b.advance(MINUTE);
    b.now += 2 * MINUTE;
    await rest(b);
    expect(b.driver.meta(0)?.horizon).toBe(T0 + 6 * MINUTE);
    push(b, join('b', 5));
    await b.advance(MINUTE);
    expect(b.asked).toEqual([]);
    await b.restart();
    for (const c of [leave('b', 600), leave('a', 601)]) {
      push(b, c);
      await b.advance(6 * MINUTE);
    }
    expect(b.asked.map(({ keys }) => keys)).toEqual([['aliyun:app:room']]);
    expect(b.sessions().find((c) => c.room_id === 'room')).toMatchObject({ ended_at: T0 + 601 * MINUTE, callees: ['a', 'b'] });
  });

  it('lets one far-future event close nobody else’s session', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), join('b', 1));
    b.append(delivery([join('x', 60 * 24 * 365 * 50)], b.now, 'other'));
    push(b, join('c', 60 * 24 * 365 * 50));
    await b.advance(HOUR);
    expect(b.sessions().filter((c) => c.started_at === T0)).toMatchObject([{ status: 'active', callees: ['a', 'b'] }]);
    await b.advance(12 * HOUR);
    expect(b.sessions().filter((c) => c.started_at !== T0)).toMatchObject([
      { status: 'ended', end_reason: 'timed_out' },
      { status: 'ended', end_reason: 'timed_out' },
    ]);
    await b.comeToRest();
    expect(b.processor.table.size).toBe(0);
  });

  it('lets nothing leave before what begins earlier and came late: what comes after an open Join tells its end', async () => {
    const b = await Bench.open();
    push(b, leave('b', 1_440), join('b', 1_080), leave('b', 3_960));
    await b.advance(2 * DAY);
    await b.advance(13 * HOUR);
    push(b, join('b', 0));
    b.sinkAll();
    push(b, join('a', 3_660));
    await b.driver.drain();
    b.sinkAll();
    push(b, join('a', 1_800));
    await b.comeToRest();
    expect(b.sessions().map(minutes)).toEqual([
      [0, null, 0],
      [1_080, null, 1_440],
      [1_800, null, 1_800],
      [3_660, null, 3_660],
    ]);
  });

  it('asks what a Leave ends that is of one moment with a Join: it ends the Join before, if the user was there', async () => {
    const b = await Bench.open();
    push(b, join('c', 7_920));
    await b.advance(13 * HOUR);
    push(b, join('c', 0));
    await b.advance(13 * HOUR);
    b.sinkAll();
    await b.driver.drain();
    push(b, leave('c', 7_920));
    await b.comeToRest();
    expect(b.asked).toHaveLength(1);
    expect(b.sessions().map(minutes)).toEqual([[0, null, 7_920]]);
  });

  it('publishes again what cannot leave, so that nothing pins where a restore begins', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), leave('a', 1));
    for (let i = 0; i < 4; i++) await b.advance(3 * HOUR);
    const [call] = b.sessions();
    expect(call).toMatchObject({ final: true, end_reason: 'unknown' });
    expect(call!.revision).toBeGreaterThan(3);
    expect(b.driver.meta(0)?.restoreFrom).toBe(b.records().length - 1);
    b.sinkAll();
    await b.advance(1);
    expect(b.processor.table.size).toBe(0);
    expect(b.driver.meta(0)?.restoreFrom).toBeNull();
  });

  it('makes sessions anew when channelGap has changed', async () => {
    const b = await Bench.open();
    push(b, join('a', 0), leave('a', 1), join('a', 5), leave('a', 6));
    await b.driver.drain();
    expect(b.sessions().map(minutes)).toEqual([[0, null, null]]);
    b.settings.channelGap = 2 * MINUTE;
    await b.restart();
    await b.advance(10 * MINUTE);
    expect(b.sessions().map(minutes)).toEqual([
      [0, null, 1],
      [5, null, 6],
    ]);
    b.expectSound();
  });

  it('tells every minute and the interval that a session ever counted in, also when it is no more', async () => {
    const b = await Bench.open();
    push(b, join('a', 20), join('b', 20), leave('a', 25), leave('b', 25));
    await b.advance(HOUR);
    push(b, join('c', 18), join('d', 30), leave('c', 31), leave('d', 32));
    await b.advance(HOUR);
    expect(b.sessions()).toMatchObject([
      {
        published_minutes: [20, 18].map((m) => Math.floor((T0 + m * MINUTE) / MINUTE) * MINUTE),
        ...{ span_from: T0 + 20 * MINUTE, span_to: T0 + 32 * MINUTE },
      },
    ]);
    push(b, join('e', 0), leave('e', 1));
    await b.advance(HOUR);
    push(b, join('f', 1), leave('f', 18));
    await b.advance(HOUR);
    const merged = [...b.last().values()].find((c) => c.end_reason === 'merged');
    expect(merged?.published_minutes).toEqual([Math.floor(T0 / MINUTE) * MINUTE]);
  });

  it('keeps the smallest arrival of an event, whichever delivery of it comes first', async () => {
    const b = await Bench.open();
    b.append(delivery([join('a', 0)], T0 + 500));
    await b.driver.drain();
    b.append(delivery([join('a', 0)], T0 + 600));
    await b.driver.drain();
    b.append(delivery([join('a', 0)], T0 + 100));
    await b.driver.drain();
    expect(b.calls().map((c) => [c.revision, c.channel_events[0]?.received_at, c.first_seen_at])).toEqual([
      [1, T0 + 500, T0 + 500],
      [2, T0 + 100, T0 + 500],
    ]);
  });

  it('takes a record’s own time for the time while the stream’s is not known', async () => {
    const b = await Bench.open();
    const value = delivery([join('a', 0)], T0 + 7);
    await b.processor.prepare([]);
    b.processor.process({ topic: 't', partition: 0, offset: 0, timestamp: T0 + 5, key: null, value }, () => 0);
    const [output] = b.processor.flush(T0).outputs;
    expect(codecs.call.decode(output!.value!).last_change_at).toBe(T0 + 5);
  });

  it('counts what says nothing of presence, and makes nothing of it', async () => {
    const b = await Bench.open();
    push(b, content('Publish', 'a', 0), content('Join', '', 0), { Event: 'ChannelEvent', ChannelEvent: { EventTag: 'Join', UserId: 'a' } });
    b.append(delivery([{}, { Event: 'UserEvent' }], b.now));
    b.append(Buffer.from('no frame'));
    b.append(codecs.raw.encode({ ...codecs.raw.decode(delivery([join('a', 0)], b.now)), source: 'tiw' }));
    await b.driver.drain();
    expect([b.records(), b.dead(), b.processor.table.size]).toEqual([[], [], 0]);
  });

  it('finds out the one event that a channel cannot be folded with, dead-letters it in its own share, and goes on without it', async () => {
    const indigestible = (c: Call) => c.callees.includes('poison');
    const call = {
      ...{ decode: codecs.call.decode.bind(codecs.call), resolve: codecs.call.resolve.bind(codecs.call) },
      only: codecs.call.only.bind(codecs.call),
      encode(value: Call) {
        if (indigestible(value)) throw new Error('indigestible');
        return codecs.call.encode(value);
      },
    };
    const b = await Bench.open({ call });
    push(b, join('a', 0), join('poison', 1), join('b', 2));
    await expect(b.driver.drain()).rejects.toBeInstanceOf(StartOver);
    await b.restart();
    await b.driver.drain();
    expect(b.sessions()).toMatchObject([{ callees: ['a', 'b'] }]);
    expect(b.dead()).toMatchObject([{ stage: 'fold', reason: 'exception', partition: 3, source: 'aliyun-rtc', origin_index: 0 }]);
  });

  it('takes no further event into a record that Kafka could not carry', async () => {
    const b = await Bench.open();
    const long = (name: string) => name.repeat(700_000);
    for (const name of ['a', 'b', 'c', 'd', 'e']) push(b, join(long(name), 0, 's'));
    await b.driver.drain();
    expect(b.dead()).toMatchObject([{ stage: 'fold', reason: 'channel_too_large', partition: 3 }, { reason: 'channel_too_large' }]);
    expect(b.sessions()[0]?.total_users).toBe(3);
    // Another session of the channel has room of its own.
    push(b, leave(long('a'), 1, 's'), leave(long('b'), 1, 's'), leave(long('c'), 1, 's'), join(long('d'), 60 * 24 * 3, 's'));
    await b.driver.drain();
    expect(b.sessions()).toHaveLength(2);
  });
});
