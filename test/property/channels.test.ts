import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PresenceEvent, presenceOf } from '../../src/domain/channel.js';
import { aliyunChannels } from '../../src/sources/aliyun-channels.js';
import { channelEventId } from '../../src/workers/event-id.js';
import { truthOf } from '../support/channels.js';
import { Bench, codecs, content, DAY, delivery, HOUR, MINUTE, SETTINGS, T0 } from '../support/channels-bench.js';

const at = fc.oneof(
  { weight: 10, arbitrary: fc.integer({ min: 0, max: 24 }).map((n) => n * 3) },
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 50 }).map((n) => n * 360) },
);
const input = fc.record({
  room: fc.constantFrom('x', 'x', 'y'),
  event: fc.constantFrom('Join', 'Join', 'Leave', 'Leave', 'Publish'),
  user: fc.constantFrom('a', 'b', 'c'),
  session: fc.constantFrom('1', '1', '2'),
  at: fc.option(at, { freq: 20 }),
});
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('input' as const), input }) },
  { weight: 3, arbitrary: fc.constant({ do: 'drain' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), uncommitted: fc.nat(6) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      ms: fc.constantFrom(MINUTE, 10 * MINUTE, 3 * HOUR, 13 * HOUR, 2 * DAY),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'sink' as const }) },
);

describe('the channels worker', () => {
  it('publishes the sessions of the set of events, whatever the batching, crashes, departures and late returns', async () => {
    let [returns, merges, sessions] = [0, 0, 0];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 100, size: 'max' }), async (steps) => {
        const b = await Bench.open();
        const truth = new Map<string, Map<string, PresenceEvent>>();
        for (const s of steps) {
          if (s.do === 'input') {
            const { room, event, user, session, at } = s.input;
            // Of what is dated further ahead of its arrival no exact answer is promised (docs/DESIGN.md, "Late input" of channel sessions).
            if (at !== null && T0 + at * MINUTE > b.now + 7 * DAY) continue;
            const value = delivery([content(event, user, at, session)], b.now, room);
            for (const e of aliyunChannels.toInputs(codecs.raw.decode(value))) {
              if (!e.ok) throw new Error(e.error);
              const presence = presenceOf(e.input, channelEventId(e.key, e.input));
              if (presence === null) continue;
              const events = truth.get(room) ?? new Map<string, PresenceEvent>();
              truth.set(room, events);
              const held = events.get(presence.id);
              if (held === undefined || presence.received_at < held.received_at) events.set(presence.id, presence);
            }
            b.append(value);
          } else if (s.do === 'drain') await b.driver.drain();
          else if (s.do === 'crash') await b.crash(s.uncommitted);
          else if (s.do === 'advance') await b.advance(s.ms);
          else b.sinkAll();
        }
        await b.comeToRest();
        b.expectSound();
        for (const room of ['x', 'y']) {
          const found = b.sessions().filter((c) => c.room_id === room);
          const expected = truthOf([...(truth.get(room)?.values() ?? [])], SETTINGS).sort((p, q) => p.started_at - q.started_at);
          expect(found.map((c) => ({ ...c, legs: c.legs.map((l) => ({ ...l })) }))).toMatchObject(
            expected.map(({ events: _, ...facts }) => ({ ...facts, status: 'ended', final: true, call_type: 'channel' })),
          );
          for (const [i, c] of found.entries()) expect(expected[i]!.events).toContain(c.call_id.slice(`channel:${room}:`.length));
          // Every event is in one record.
          const held = [...b.last().values()].filter((c) => c.room_id === room).flatMap((c) => c.channel_events);
          expect(held.length).toBe(truth.get(room)?.size ?? 0);
          sessions += found.length;
        }
        merges += [...b.last().values()].filter((c) => c.end_reason === 'merged').length;
        expect(b.processor.table.size).toBe(0);
        expect(b.driver.meta(0)?.restoreFrom ?? null).toBeNull();
        returns += b.asked.length;
      }),
      { numRuns: 150 },
    );
    expect(returns).toBeGreaterThan(100);
    expect(merges).toBeGreaterThan(100);
    expect(sessions).toBeGreaterThan(300);
  }, 120_000);
});
