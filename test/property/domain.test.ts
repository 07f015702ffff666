import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deriveCall } from '../../src/domain/call.js';
import { compareBytes } from '../../src/domain/order.js';
import { addInput, emptyState } from '../../src/domain/state.js';
import { deadline, deriveChanged } from '../../src/domain/timeouts.js';
import type { CallFacts, CallInput, CallState, EventInput } from '../../src/domain/types.js';
import { callInput, callInputs, eventInput, OUTCOMES, redelivered, time } from '../support/arbitraries.js';
import { KEY, stateOf } from '../support/calls.js';

const RUNS = { numRuns: 2000 };
const SETTINGS = { ringTimeout: 3000, maxCall: 60_000 };

/** The same inputs twice: as generated, and redelivered in another order. */
const twoDeliveries = callInputs.chain((inputs) => fc.tuple(fc.constant(inputs), redelivered(inputs)));

/** Cuts a list into batches, folds each on its own, and adds their sets up. */
function inBatches(inputs: readonly CallInput[], size: number): CallState {
  const whole = emptyState(KEY);
  for (let from = 0; from < inputs.length; from += size) {
    const batch = stateOf(...inputs.slice(from, from + size));
    for (const input of [...batch.media, ...batch.records, ...batch.events]) addInput(whole, input);
  }
  return whole;
}

describe('the set of inputs', () => {
  test('any order, repetition and batching of the same inputs gives the same state and record', () => {
    fc.assert(
      fc.property(twoDeliveries, fc.integer({ min: 1, max: 6 }), ([inputs, again], size) => {
        const state = stateOf(...inputs);
        expect(stateOf(...again)).toEqual(state);
        expect(inBatches(again, size)).toEqual(state);
        expect(deriveCall(stateOf(...again))).toEqual(deriveCall(state));
      }),
      RUNS,
    );
  });

  test('adding what is already there changes nothing and says so', () => {
    fc.assert(
      fc.property(twoDeliveries, ([inputs, again]) => {
        const state = stateOf(...inputs);
        const before = structuredClone(state);
        for (const input of again) expect(addInput(state, input)).toBe(false);
        for (const input of [...state.events, ...state.records, ...state.media]) expect(addInput(state, input)).toBe(false);
        expect(state).toEqual(before);
      }),
      RUNS,
    );
  });

  test('addInput says true exactly when the state became another', () => {
    fc.assert(
      fc.property(callInputs, callInput, (inputs, input) => {
        const state = stateOf(...inputs);
        const before = structuredClone(state);
        const changed = addInput(state, input);
        if (changed) expect(state).not.toEqual(before);
        else expect(state).toEqual(before);
      }),
      RUNS,
    );
  });

  test('inputs are never changed by being added', () => {
    fc.assert(
      fc.property(callInputs, (inputs) => {
        const before = structuredClone(inputs);
        deriveCall(stateOf(...inputs));
        expect(inputs).toEqual(before);
      }),
    );
  });

  test('the merged events are what a plain reading of the rules gives', () => {
    fc.assert(
      fc.property(fc.array(eventInput, { maxLength: 25 }), (events) => {
        const expected = plainMerge(events);
        const actual = new Map(stateOf(...events).events.map((each) => [identity(each), each]));
        expect(actual).toEqual(expected);
      }),
      RUNS,
    );
  });
});

function identity(event: EventInput): string {
  return JSON.stringify([event.user_id, event.event, event.event_at ?? 'unknown']);
}

/** Reference: groups by identity, then reads each field off all bodies at once. */
function plainMerge(events: readonly EventInput[]): Map<string, EventInput> {
  const groups = new Map<string, EventInput[]>();
  for (const event of events) groups.set(identity(event), [...(groups.get(identity(event)) ?? []), event]);
  const numbers = (values: (number | null)[]) => values.filter((each) => each !== null).sort((a, b) => a - b);
  const smallest = <T extends string>(values: T[]) => values.filter((each) => each !== '').sort()[0] ?? ('' as T);
  const merged = new Map<string, EventInput>();
  for (const [id, bodies] of groups) {
    const all = <K extends keyof EventInput>(field: K) => bodies.map((each) => each[field]);
    merged.set(id, {
      ...bodies[0]!,
      role: (['caller', 'callee'] as const).find((role) => all('role').includes(role)) ?? '',
      start_call_ts: numbers(all('start_call_ts'))[0] ?? null,
      accept_ts: numbers(all('accept_ts'))[0] ?? null,
      end_ts: numbers(all('end_ts')).at(-1) ?? null,
      total_num: numbers(all('total_num')).at(-1)!,
      room_id: smallest(all('room_id')),
      media_type: smallest(all('media_type')),
      call_type: smallest(all('call_type')),
      call_result: smallest(all('call_result')),
      platform: smallest(all('platform')),
      received_at: numbers(all('received_at'))[0]!,
    });
  }
  return merged;
}

describe('the derived record', () => {
  test('is the same each time, whatever the order within the state, and leaves the state alone', () => {
    fc.assert(
      fc.property(callInputs, fc.boolean(), fc.integer(), (inputs, timed_out, seed) => {
        const state = { ...stateOf(...inputs), timed_out };
        const before = structuredClone(state);
        const facts = deriveCall(state);
        expect(deriveCall(state)).toEqual(facts);
        expect(state).toEqual(before);
        const shuffled = {
          ...state,
          events: rotate(state.events, seed),
          records: rotate(state.records, seed),
          media: rotate(state.media, seed),
        };
        expect(deriveCall(shuffled)).toEqual(facts);
      }),
      RUNS,
    );
  });

  test('keeps its promises', () => {
    fc.assert(
      fc.property(callInputs, fc.boolean(), (inputs, timed_out) => {
        const state = { ...stateOf(...inputs), timed_out };
        checkPromises(state, deriveCall(state));
      }),
      { numRuns: 5000 },
    );
  });

  test('does not care about a timeout that the inputs forestalled', () => {
    fc.assert(
      fc.property(callInputs, (inputs) => {
        const open = deriveCall(stateOf(...inputs));
        const closed = deriveCall({ ...stateOf(...inputs), timed_out: true });
        if (open.status === 'ended') expect(closed).toEqual(open);
        else expect(closed).toMatchObject({ status: 'ended', end_reason: 'timed_out' });
        expect(closed.started_at).toBe(open.started_at);
        expect(closed.accepted_at).toBe(open.accepted_at);
        expect(closed.callees).toEqual(open.callees);
      }),
      RUNS,
    );
  });
});

function rotate<T>(list: readonly T[], seed: number): T[] {
  const at = list.length === 0 ? 0 : Math.abs(seed) % list.length;
  return [...list.slice(at), ...list.slice(0, at)].reverse();
}

function checkPromises(state: CallState, facts: CallFacts): void {
  const over = facts.status === 'ended';
  expect(OUTCOMES).toContain(facts.outcome);
  expect(facts.end_reason === '').toBe(!over);
  if (!over) {
    expect(facts.outcome).toBe(facts.status === 'active' ? 'answered' : 'unknown');
    expect(facts).toMatchObject({ ended_at: null, talk_ms: 0, missed: false, missed_inclusive: false });
  }
  if (facts.missed) expect(facts.missed_inclusive).toBe(true);
  if (facts.ended_at !== null && facts.accepted_at !== null) expect(facts.ended_at).toBeGreaterThanOrEqual(facts.accepted_at);
  for (const ms of [facts.ring_ms, facts.talk_ms]) {
    expect(ms).toBeGreaterThanOrEqual(0);
    expect(ms).toBeLessThanOrEqual(86_400_000);
  }
  expect(Number.isFinite(facts.started_at)).toBe(true);
  const users = facts.legs.map((each) => each.user_id);
  expect(users).toEqual([...new Set(users)].sort());
  expect(users).not.toContain('');
  expect(facts.callees).toEqual(users.filter((user) => user !== facts.caller));
  if (facts.caller !== '') expect(users).toContain(facts.caller);
  expect(facts.total_users).toBeGreaterThanOrEqual(users.length);
  for (const each of facts.legs) {
    expect(each.role).toBe(each.user_id === facts.caller ? 'caller' : 'callee');
    if (each.role === 'caller') expect(each).toMatchObject({ outcome: facts.outcome, missed: false, missed_inclusive: false });
    if (!over) expect(each).toMatchObject({ missed: false, missed_inclusive: false });
    if (each.talk_ms > 0) expect(each.talk_ms).toBe(each.left_at! - each.joined_at!);
    expect(each.talk_ms).toBeGreaterThanOrEqual(0);
  }
  expect(facts.sources.includes('event')).toBe(state.events.length > 0);
  expect(facts.sources.includes('record') || facts.sources.includes('status')).toBe(state.records.length > 0);
}

describe('timeouts', () => {
  /** Feeds inputs as a worker does: stream time only grows, and timers run now and then. */
  function run(deliveries: readonly { input: CallInput; wait: number }[]): { state: CallState; streamTime: number } {
    const state = emptyState(KEY);
    let streamTime = Math.min(...deliveries.map(({ input }) => input.received_at));
    for (const { input, wait } of deliveries) {
      if (addInput(state, input)) deriveChanged(state, input.kind === 'event', streamTime, SETTINGS);
      streamTime += wait;
      runTimers(state, streamTime);
    }
    return { state, streamTime };
  }

  function runTimers(state: CallState, streamTime: number): void {
    const closesAt = deadline(state, deriveCall(state), SETTINGS);
    if (closesAt !== null && streamTime >= closesAt) state.timed_out = true;
  }

  const waits = fc.constantFrom(0, 0, 100, 2000, 30_000);

  test('once everything that can end has ended, when things arrived says nothing', () => {
    const delivered = (inputs: CallInput[]) =>
      redelivered(inputs).chain((list) => fc.tuple(...list.map((input) => fc.record({ input: fc.constant(input), wait: waits }))));
    fc.assert(
      fc.property(
        callInputs.chain((inputs) => fc.tuple(delivered(inputs), delivered(inputs))),
        ([one, other]) => {
          const ends = [run(one), run(other)];
          for (const { state } of ends) runTimers(state, Infinity);
          expect(deriveCall(ends[0]!.state)).toEqual(deriveCall(ends[1]!.state));
          expect(deriveCall(ends[0]!.state).status).toBe('ended');
        },
      ),
      RUNS,
    );
  });

  test('records and media never reopen a call that a timeout has closed', () => {
    fc.assert(
      fc.property(callInputs, callInput, (inputs, input) => {
        fc.pre(input.kind !== 'event');
        const state = { ...stateOf(...inputs), timed_out: true };
        addInput(state, input);
        expect(deriveChanged(state, false, 0, SETTINGS).status).toBe('ended');
        expect(state.timed_out).toBe(true);
      }),
    );
  });

  test('as stream time grows an unchanged call goes from open to closed, once, at its deadline', () => {
    fc.assert(
      fc.property(callInputs, eventInput, time, (inputs, event, streamTime) => {
        const state = stateOf(...inputs, event);
        const closesAt = deadline(state, deriveCall(state), SETTINGS);
        const timedOutAt = (at: number) => deriveChanged(state, true, at, SETTINGS).end_reason === 'timed_out';
        expect(timedOutAt(streamTime)).toBe(closesAt !== null && streamTime >= closesAt);
        if (closesAt === null) return;
        expect(timedOutAt(closesAt - 1)).toBe(false);
        expect(timedOutAt(closesAt)).toBe(true);
        expect(timedOutAt(closesAt + 1)).toBe(true);
      }),
      RUNS,
    );
  });
});

test('compareBytes orders as the UTF-8 bytes do', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\ud7ff', '\ue000', '\uffee', '😀', '😁', '𐀀'), maxLength: 4 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareBytes(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
    }),
    RUNS,
  );
});
