import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import type { PollCursor } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { Backfill, checkRange } from '../../src/poll/backfill.js';
import { Cursors } from '../../src/poll/cursors.js';
import { aliyunRtc } from '../../src/sources/aliyun-rtc.js';
import { callRecord } from '../../src/sources/call-record.js';
import type { AnyPolledSource } from '../../src/sources/polled.js';
import { systemChance } from '../../src/telemetry/chance.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { CallApiVendor, failed } from '../support/call-api-vendor.js';
import { FAST, Stage } from '../support/poll-stage.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FILTER = 'v1/records/get_records_by_filter';

describe('the range of a backfill', () => {
  const now = Date.UTC(2026, 0, 10, 12, 0, 30);
  it.each<[string, AnyPolledSource, number, number, RegExp]>([
    ['the wrong way round', callRecord, now - HOUR, now - 2 * HOUR, /--from 2026-01-10T11:00:30.000Z is not before --to/],
    [
      'too old',
      callRecord,
      now - 8 * DAY,
      now - HOUR,
      /7 days back: .* too old, the oldest that can be had now is 2026-01-03T12:01:30.000Z/,
    ],
    ['still to come', callRecord, now - HOUR, now + HOUR, /still to come: the newest that can be had now is 2026-01-10T12:00:30.000Z/],
    ['in the minute that is not over', aliyunRtc, now - HOUR, now, /the newest that can be had now is 2026-01-10T12:00:00.000Z/],
  ])('is refused where it is %s', (_, source, from, to, message) => {
    expect(() => checkRange(source, { from, to }, now)).toThrow(message);
  });

  it('is rounded outwards to what the vendor takes', () => {
    expect(checkRange(aliyunRtc, { from: now - HOUR, to: now - HOUR / 2 }, now)).toEqual({
      from: Date.UTC(2026, 0, 10, 11, 0),
      to: Date.UTC(2026, 0, 10, 11, 31),
    });
  });
});

describe('a backfill', () => {
  const stored: PollCursor[] = [];
  let vendor: CallApiVendor;
  let stage: Stage;
  beforeEach(async () => {
    stored.length = 0;
    vendor = await CallApiVendor.start();
    stage = new Stage(vendor.endpoint);
  });
  afterEach(async () => {
    await stage.close();
    await vendor.stop();
  });

  const now = Math.floor(Date.now() / 1000) * 1000;
  const range = { from: now - 2 * DAY, to: now - HOUR };
  const calls = Array.from({ length: 20 }, (_, n) => ({
    call_id: `c${n}`,
    room_id: `room-${n}`,
    users: ['alice', 'bob'],
    started_at: now - 3 * HOUR,
    ended_at: now - 2 * HOUR,
  }));

  async function prepare(source: string): Promise<Backfill> {
    const cursors = await Cursors.load({
      producer: { send: async (records) => void stored.push(...records.map((r) => localCodec(TOPICS.pollCursors).decode(r.value!))) },
      codec: localCodec(TOPICS.pollCursors),
      partitions: 4,
      read: async () => stored,
      confirmed: async () => {},
      environment: stage.environment,
      clock: systemClock,
      metrics: stage.metrics,
    });
    const callsOf = async (_: string, { from, to }: { from: number; to: number }) =>
      calls.filter(({ started_at }) => started_at >= from && started_at < to);
    const common = { clock: systemClock, chance: systemChance, timing: FAST, outlet: stage.outlet, maxCall: HOUR };
    return new Backfill([stage.line(source)], range, { ...common, cursors, callsOf });
  }

  it('sends all that the vendor has of the range, tells how far it is, and is finished then', async () => {
    for (let n = 0; n < 300; n++) vendor.records.push({ callId: `call-${n}`, startCallTs: (range.from + n * 300_000) / 1000 });
    const work = await prepare('call-record');
    expect(work.finishedAt).toBeNull();
    const seen: number[] = [];
    await work.run(({ done }) => seen.push(done), stage.abort.signal);
    expect(new Set(stage.events().map(({ event }) => event.id)).size).toBe(300);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(work.progress).toMatchObject({ done: 47 * HOUR, total: 47 * HOUR });
    const again = await prepare('call-record');
    expect(again.finishedAt).toBe(stored.at(-1)!.updated_at);
    const asked = vendor.requests(FILTER);
    await again.run(() => {}, stage.abort.signal);
    expect(vendor.requests(FILTER)).toBe(asked);
  });

  it('goes on where it was, after the vendor said no', async () => {
    for (let n = 0; n < 10; n++) vendor.records.push({ callId: `call-${n}`, startCallTs: (range.from + n * 4 * HOUR) / 1000 });
    vendor.whim = (_, { startTimestamp }) => (Number(startTimestamp) * 1000 >= range.from + DAY ? failed(70002) : null);
    await expect((await prepare('call-record')).run(() => {}, stage.abort.signal)).rejects.toMatchObject({
      code: 'BACKFILL_STOPPED',
      message: expect.stringMatching(/^apps\[0\]\.records: .*check identifier and secretKey under records/),
    });
    expect(stored.at(-1)!.swept_to).toBe(range.from + DAY);
    const asked = vendor.requests(FILTER);
    await stage.close();
    stage = new Stage(vendor.endpoint);
    vendor.whim = () => null;
    const work = await prepare('call-record');
    expect(work.progress.done).toBe(DAY);
    await work.run(() => {}, stage.abort.signal);
    // Four pieces of six hours, the last of five, each of one page with records and an empty one, or of an empty one.
    expect(vendor.requests(FILTER) - asked).toBeLessThanOrEqual(8);
    expect(stored.at(-1)!.swept_to).toBe(range.to);
  });

  it('asks for the media events of each call, and counts those of which there are none', async () => {
    for (const { room_id } of calls.slice(5)) vendor.rooms.set(room_id, { createdAt: (now - 3 * HOUR) / 1000, users: new Set(['alice']) });
    const work = await prepare('user-event');
    await work.run(() => {}, stage.abort.signal);
    expect(stage.events(TOPICS.rawUserEvent)).toHaveLength(15);
    expect(work.progress).toMatchObject({ elements: 15, absent: 5 });
  });

  it('ends at once for all calls when the keys are refused', async () => {
    vendor.whim = () => ({ body: JSON.stringify({ Response: { Error: { Code: 'UnsupportedRegion', Message: 'no' }, RequestId: 'r' } }) });
    await expect((await prepare('user-event')).run(() => {}, stage.abort.signal)).rejects.toMatchObject({
      code: 'BACKFILL_STOPPED',
      message: expect.stringMatching(/^apps\[0\]\.cloudApi: .*check endpoint and region under cloudApi/),
    });
  });

  it('says which host cannot be reached', async () => {
    await vendor.stop();
    const work = await prepare('call-record');
    await expect(work.run(() => {}, stage.abort.signal)).rejects.toMatchObject({
      code: 'BACKFILL_FAILED',
      message: expect.stringMatching(
        /^apps\[0\]\.records: 127\.0\.0\.1:\d+ cannot be reached: nothing listens there. Check endpoint under apps\[0\]\.records$/,
      ),
    });
    vendor = await CallApiVendor.start();
  });
});
