import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PresenceEvent } from '../../src/domain/channel.js';
import { deriveSession } from '../../src/domain/channel-facts.js';
import { sessionsOf } from '../../src/domain/channel-sessions.js';
import { truthOf } from '../support/channels.js';

const T0 = 1_700_000_000_000;
const HOUR = 3_600_000;

/** Few users, connections and moments: events meet. Some moments are days apart, so that nobody stays for so long. */
const event: fc.Arbitrary<PresenceEvent> = fc
  .record({
    event: fc.constantFrom('join' as const, 'leave' as const),
    user_id: fc.constantFrom('a', 'b', 'c'),
    session_id: fc.constantFrom('1', '2'),
    at: fc.option(fc.oneof({ weight: 9, arbitrary: fc.nat(30) }, fc.integer({ min: 150, max: 220 })), { freq: 12 }),
    arrival: fc.nat(40),
  })
  .map(({ at, arrival, ...e }) => ({
    ...e,
    id: JSON.stringify([e.event, e.user_id, e.session_id, at]),
    event_at: at === null ? null : T0 + at * HOUR,
    received_at: T0 + arrival * HOUR,
  }));
const set = fc.uniqueArray(event, { selector: (e) => e.id, maxLength: 16, size: 'max' });
const times = fc.record({ channelGap: fc.constantFrom(1, 2, 5), maxCall: fc.constantFrom(1, 4, 12, 168) }).map((t) => ({
  channelGap: t.channelGap * HOUR,
  maxCall: t.maxCall * HOUR,
}));

const idsOf = (events: readonly PresenceEvent[]) => events.map((e) => e.id).sort();

describe('the sessions of a channel', () => {
  it('are what semantics.md defines', () => {
    let answered = 0;
    fc.assert(
      fc.property(set, times, (events, settings) => {
        const { sessions, strays } = sessionsOf(events, settings);
        const found = sessions.map((session) => {
          const facts = deriveSession('room', session, true);
          if (facts.outcome === 'answered') answered++;
          expect(facts.ring_ms).toBe(facts.accepted_at === null ? 0 : facts.accepted_at - facts.started_at);
          return {
            started_at: facts.started_at,
            accepted_at: facts.accepted_at,
            ended_at: facts.ended_at,
            talk_ms: facts.talk_ms,
            end_reason: facts.end_reason,
            legs: facts.legs.map(({ user_id, outcome, joined_at, left_at }) => ({ user_id, outcome, joined_at, left_at })),
            events: idsOf(session.events),
          };
        });
        expect(found).toEqual(truthOf(events, settings).sort((a, b) => a.started_at - b.started_at));
        // Every event is in one place, and sessions are apart.
        expect([...sessions.flatMap((s) => [...s.events, ...s.strays]), ...strays].map((e) => e.id).sort()).toEqual(idsOf(events));
        for (const [i, s] of sessions.slice(1).entries()) expect(s.from - sessions[i]!.to).toBeGreaterThan(settings.channelGap);
      }),
      { numRuns: 5_000 },
    );
    expect(answered).toBeGreaterThan(1_000);
  });

  it('are a function of the set, in whatever order it comes', () => {
    fc.assert(
      fc.property(
        set.chain((events) => fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length }))),
        times,
        ([events, shuffled], settings) => {
          expect(sessionsOf(shuffled, settings)).toEqual(sessionsOf(events, settings));
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
