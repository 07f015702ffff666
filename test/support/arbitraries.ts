import fc from 'fast-check';
import type { CallInput, EventInput, MediaInput, RecordInput } from '../../src/domain/types.js';
import { EVENTS, type Outcome } from '../../src/domain/vocabulary.js';
import { T0 } from './calls.js';

/*
 * Inputs of one call as they really come, and worse: few users and few seconds, so that ties, repeated identities with conflicting bodies and
 * rejoining are common; unknown times, odd roles, unicode ids and names of Object.prototype.
 */

const PLAIN_USERS = ['alice', 'bob', 'carol', 'dave'];
const ODD_USERS = ['', 'Alice', '李雷', '😀', '\uffee', 'constructor', '__proto__', 'x'.repeat(200)];

export const userId = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...PLAIN_USERS) },
  { weight: 1, arbitrary: fc.constantFrom(...ODD_USERS) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
);

/** Epoch ms near the call; ties are common, hours and days of skew possible. */
export const time = fc.oneof(
  { weight: 10, arbitrary: fc.integer({ min: 0, max: 8 }).map((n) => T0 + n * 1000) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 600_000 }).map((n) => T0 + n) },
  { weight: 1, arbitrary: fc.integer({ min: -30, max: 30 }).map((hours) => T0 + hours * 3_600_000) },
);

const maybeTime = fc.option(time, { freq: 3 });
const rarelyTime = fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: time });
const callType = fc.constantFrom('single' as const, 'single' as const, 'group' as const, '' as const);
const mediaType = fc.constantFrom('audio' as const, 'video' as const, '' as const);
const word = fc.constantFrom('', '', 'a', 'b', 'ä', '😀');

export const eventInput: fc.Arbitrary<EventInput> = fc.record({
  kind: fc.constant('event' as const),
  user_id: userId,
  event: fc.constantFrom(...EVENTS),
  event_at: fc.option(time, { freq: 8 }),
  role: fc.constantFrom('caller' as const, 'callee' as const, 'callee' as const, '' as const),
  start_call_ts: rarelyTime,
  accept_ts: rarelyTime,
  end_ts: rarelyTime,
  total_num: fc.constantFrom(0, 0, 2, 2, 3, 5),
  room_id: word,
  media_type: mediaType,
  call_type: callType,
  call_result: word,
  platform: word,
  received_at: time,
});

/** The text decides the fields, as it does in life. */
export const recordInput: fc.Arbitrary<RecordInput> = fc
  .record({
    origin: fc.constantFrom('record' as const, 'status' as const),
    received_at: time,
    suffix: fc.constantFrom('', '', 'é', '\uffee', '😀'),
    fields: fc.record({
      start_at: maybeTime,
      accept_at: rarelyTime,
      end_at: maybeTime,
      result: fc.constantFrom(
        '',
        'normal_end',
        'normal_end',
        'interrupt',
        'offline',
        'not_answer',
        'reject',
        'call_busy',
        'cancel',
        'weird',
      ),
      caller: fc.oneof(fc.constant(''), userId),
      users: fc.array(userId, { maxLength: 4 }),
      total_users: fc.constantFrom(0, 2, 3),
      room_id: word,
      media_type: mediaType,
      call_type: callType,
      event_at: rarelyTime,
    }),
  })
  .map(({ origin, received_at, suffix, fields }) => ({
    kind: 'record',
    origin,
    received_at,
    fields,
    text: JSON.stringify(fields) + suffix,
  }));

export const mediaInput: fc.Arbitrary<MediaInput> = fc
  .record({
    user_id: userId,
    received_at: time,
    suffix: fc.constantFrom('', '\uffee', '😀'),
    events: fc.array(
      fc.record({
        event_id: fc.constantFrom(5003, 5005, 5008, 7001, 1003, 32788, 32789, 32790, 32792, 36864),
        at: time,
        param_one: fc.constantFrom(-1, 0, 1),
      }),
      { maxLength: 5 },
    ),
  })
  .map(({ user_id, received_at, suffix, events }) => ({
    kind: 'media',
    user_id,
    received_at,
    events,
    text: JSON.stringify(events) + suffix,
  }));

export const callInput: fc.Arbitrary<CallInput> = fc.oneof(
  { weight: 8, arbitrary: eventInput },
  { weight: 1, arbitrary: recordInput },
  { weight: 1, arbitrary: mediaInput },
);

/** All inputs of one call, in some order of arrival: never none. */
export const callInputs = fc.oneof(
  { weight: 9, arbitrary: fc.array(callInput, { minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.array(callInput, { minLength: 20, maxLength: 60 }) },
);

/** The same inputs, each delivered once at least and again now and then, in any order. */
export function redelivered(inputs: readonly CallInput[]): fc.Arbitrary<CallInput[]> {
  return fc
    .array(fc.nat({ max: inputs.length - 1 }), { maxLength: inputs.length })
    .chain((again) => fc.shuffledSubarray([...inputs.keys(), ...again], { minLength: inputs.length + again.length }))
    .map((order) => order.map((i) => inputs[i]!));
}

export const OUTCOMES: readonly Outcome[] = ['answered', 'no_answer', 'rejected', 'busy', 'cancelled', 'failed', 'unknown'];
