import { describe, expect, test } from 'vitest';
import { deriveCall } from '../../src/domain/call.js';
import { addInput } from '../../src/domain/state.js';
import { deadline, deriveChanged, latestAt } from '../../src/domain/timeouts.js';
import type { CallInput } from '../../src/domain/types.js';
import { ANSWERED, ev, media, rest, sec, stateOf } from '../support/calls.js';

const SETTINGS = { ringTimeout: 120_000, maxCall: 3_600_000 };
const RINGING = ANSWERED.slice(0, 2);
const ACTIVE = ANSWERED.slice(0, 4);

function deadlineOf(...inputs: CallInput[]): number | null {
  const state = stateOf(...inputs);
  return deadline(state, deriveCall(state), SETTINGS);
}

describe('the deadline', () => {
  test('of a ringing call is ringTimeout after the latest event', () => {
    expect(deadlineOf(...RINGING)).toBe(sec(1) + SETTINGS.ringTimeout);
  });
  test('of an active call is maxCall after the latest event', () => {
    expect(deadlineOf(...ACTIVE)).toBe(sec(5) + SETTINGS.maxCall);
  });
  test('of a call that is over there is none', () => {
    expect(deadlineOf(...ANSWERED)).toBeNull();
  });
  test('counts from the arrival where that is before the event', () => {
    expect(deadlineOf(ev(900, 'alice', 'start_call', { received_at: sec(2) }))).toBe(sec(2) + SETTINGS.ringTimeout);
    expect(deadlineOf(ev(null, 'alice', 'start_call', { received_at: sec(3) }))).toBe(sec(3) + SETTINGS.ringTimeout);
  });
  test('is not moved by records and media', () => {
    expect(deadlineOf(...RINGING, rest({}), media('bob', [[1, 5005]]))).toBe(sec(1) + SETTINGS.ringTimeout);
  });
  test('counts from the latest event, in whatever order they came', () => {
    expect(latestAt(stateOf(...ANSWERED.toReversed()))).toBe(sec(65));
  });
  test('of a call without callback events counts from the first arrival', () => {
    expect(deadlineOf(rest({}, { received_at: sec(9) }), media('bob', [[1, 5005]], { received_at: sec(8) }))).toBe(
      sec(8) + SETTINGS.ringTimeout,
    );
  });
});

describe('after an input', () => {
  const LATER = sec(3600);
  function given(inputs: CallInput[], timedOut: boolean, input: CallInput, streamTime: number) {
    const state = stateOf(...inputs);
    state.timed_out = timedOut;
    expect(addInput(state, input)).toBe(true);
    const facts = deriveChanged(state, input.kind === 'event', streamTime, SETTINGS);
    expect(facts).toEqual(deriveCall(state));
    return facts;
  }

  test('a fresh event reopens a call that a timeout had closed', () => {
    expect(given(RINGING, true, ev(3500, 'bob', 'receive_call'), LATER)).toMatchObject({ status: 'ringing', end_reason: '' });
  });
  test('an event that is already that old leaves it over', () => {
    expect(given(RINGING, true, ev(2, 'carol', 'receive_call'), LATER)).toMatchObject({ status: 'ended', end_reason: 'timed_out' });
  });
  test('an old event that answers the call reopens it for maxCall', () => {
    expect(given(RINGING, true, ev(5, 'bob', 'accept_call'), LATER).status).toBe('active');
    expect(given(RINGING, true, ev(5, 'bob', 'accept_call'), sec(5) + SETTINGS.maxCall).status).toBe('ended');
    expect(given(RINGING, true, ev(5, 'bob', 'accept_call'), sec(5) + SETTINGS.maxCall - 1).status).toBe('active');
  });
  test('an event that ends the call takes the place of the timeout', () => {
    const facts = given(RINGING, true, ev(30, 'alice', 'call_missed'), LATER);
    expect(facts).toMatchObject({ status: 'ended', end_reason: 'no_answer', ended_at: sec(30) });
  });
  test('records and media never reopen a call', () => {
    expect(given(RINGING, true, rest({}, { received_at: LATER }), LATER).status).toBe('ended');
    expect(given(RINGING, true, rest({ accept_at: sec(5) }, { received_at: LATER }), LATER)).toMatchObject({
      status: 'ended',
      outcome: 'answered',
    });
    expect(given(RINGING, true, media('bob', [[1, 5005]], { received_at: LATER }), LATER).status).toBe('ended');
  });
  test('a record leaves an open call open before its deadline and closes it from there on', () => {
    expect(given(RINGING, false, rest({}), sec(1) + SETTINGS.ringTimeout - 1).status).toBe('ringing');
    expect(given(RINGING, false, rest({}), sec(1) + SETTINGS.ringTimeout).status).toBe('ended');
  });
  test('a first event that is already too old closes its call at once', () => {
    expect(given([], false, ev(0, 'alice', 'start_call'), LATER)).toMatchObject({
      status: 'ended',
      end_reason: 'timed_out',
      outcome: 'unknown',
    });
    expect(given([], false, ev(0, 'alice', 'start_call'), sec(1)).status).toBe('ringing');
  });
  test('a call that its inputs have ended is not timed out', () => {
    const state = stateOf(...ANSWERED);
    deriveChanged(state, true, sec(1e6), SETTINGS);
    expect(state.timed_out).toBe(false);
  });
});
