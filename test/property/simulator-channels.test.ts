import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PresenceEvent, presenceOf } from '../../src/domain/channel.js';
import { deriveSession } from '../../src/domain/channel-facts.js';
import { sessionsOf as foldedSessions } from '../../src/domain/channel-sessions.js';
import { type ChannelInput, sessionsOf } from '../../src/simulator/truth/channel.js';
import { readChannel } from '../../src/simulator/truth/read-channel.js';
import { aliyunChannels } from '../../src/sources/aliyun-channels.js';

/*
 * The product's reading and folding of channel events against the simulator's truth: two implementations of semantics.md "Channel sessions" that share no
 * code. Few users, few connections and few seconds, so that ties, Leaves without a Join and Joins without a Leave are common.
 */
const APP = '9qb1abcd';
const BEGIN = Date.UTC(2026, 5, 10, 18) / 1000;
const TIMES = { channelGap: 5_000, maxCall: 20_000 };

const second = fc.oneof(fc.nat(12), fc.nat(60));
const event = fc.record({
  UserId: fc.constantFrom('a', 'a', 'b', 'b', 'c', ''),
  EventTag: fc.constantFrom('Join', 'Join', 'Join', 'Leave', 'Leave', 'leave', 'Publish', 'Roleupdate'),
  SessionId: fc.constantFrom('x', 'x', 'y', ''),
  Timestamp: fc.oneof({ weight: 15, arbitrary: second.map((s): unknown => BEGIN + s) }, { weight: 1, arbitrary: fc.constant<unknown>('') }),
  Reason: fc.nat(3),
});
const delivery = fc
  .record({
    events: fc.array(event, { minLength: 1, maxLength: 3 }),
    ids: fc.constantFrom('Id', 'ID'),
    carried: fc.constantFrom('pushed', 'escaped once', 'escaped twice'),
    received: second.map((s) => (BEGIN + s) * 1000),
  })
  .map(({ events, ids, carried, received }) => {
    const push = JSON.stringify({
      MsgId: 'm',
      AppId: APP,
      [`Channel${ids}`]: 'room',
      Contents: events.map((UserEvent) => ({ Event: 'UserEvent', UserEvent })),
    });
    if (carried === 'pushed') return { body: Buffer.from(push), received };
    const Data = carried === 'escaped once' ? push : JSON.stringify(push).slice(1, -1);
    return {
      body: Buffer.from(JSON.stringify({ AppId: APP, MessageId: 'm', Data, Code: 500, Time: '2026-06-11 02:00:00.000' })),
      received,
    };
  });
const deliveries = fc.array(delivery, { minLength: 1, maxLength: 12 });

describe('the fold of channels and the truth', () => {
  it('agree about every session', () => {
    fc.assert(
      fc.property(deliveries, fc.constantFrom(0, 8, 30, 70, 200), (list, later) => {
        const now = (BEGIN + later) * 1000;
        const inputs: ChannelInput[] = [];
        const events = new Map<string, PresenceEvent>();
        for (const { body, received: received_at } of list) {
          const readings = readChannel(body);
          for (const reading of readings) {
            if (reading.kind === 'dead') throw new Error(reading.why);
            inputs.push({ reading, received_at });
          }
          for (const element of aliyunChannels.toInputs({ source: 'aliyun-rtc', app_id: APP, query: '', body, received_at })) {
            if (!element.ok) throw new Error(element.error);
            const { event: tag, user_id, session_id, event_at } = element.input;
            const id = JSON.stringify([user_id, session_id, tag, event_at]);
            const known = events.get(id)?.received_at ?? received_at;
            const presence = presenceOf({ ...element.input, received_at: Math.min(known, received_at) }, id);
            if (presence !== null) events.set(id, presence);
          }
        }
        const product = foldedSessions([...events.values()].reverse(), TIMES).sessions.map((session) => ({
          ...deriveSession('room', session, session.overAt <= now),
          over_at: session.overAt,
          identities: session.events.map((e) => e.id).sort(),
        }));
        const truth = sessionsOf(inputs, TIMES, now).map((s) => ({ ...s, identities: [...s.identities].sort() }));
        expect(product).toEqual(truth);
      }),
      { numRuns: 2_000 },
    );
  });
});
