import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveCall, firstReceivedAt } from '../../src/domain/call.js';
import { addInput, emptyState } from '../../src/domain/state.js';
import type { CallFacts, CallState } from '../../src/domain/types.js';
import { EVENTS } from '../../src/domain/vocabulary.js';
import type { ChaosLevel } from '../../src/simulator/chaos.js';
import { AT_THE_END } from '../../src/simulator/chaos.js';
import { Random } from '../../src/simulator/random.js';
import { timelinesOf } from '../../src/simulator/traffic.js';
import { type Input, truthOf } from '../../src/simulator/truth/call.js';
import { callKey, TruthDeliveries } from '../../src/simulator/truth/deliveries.js';
import { readDelivery, type SourceName } from '../../src/simulator/truth/read-source.js';
import { readAll } from '../../src/simulator/truth/read-v4.js';
import type { EventReading, StatusReading } from '../../src/simulator/truth/reading.js';
import { Differences } from '../../src/simulator/verify/differences.js';
import type { Delivery } from '../../src/simulator/wire.js';
import { callRecord } from '../../src/sources/call-record.js';
import type { ReadElement } from '../../src/sources/element.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';
import { userEvent } from '../../src/sources/user-event.js';
import { callEvent } from '../../src/workers/events/call-event.js';

/**
 * The product's reading and folding against the simulator's truth, without any server: two implementations of semantics.md that share no code.
 * Deliveries reach the fold in a shuffled order, so this is also a test that order says nothing.
 */
const APP = '1400000001';
const BEGIN = Date.UTC(2026, 5, 10, 18);
const TIMEOUTS = { ringTimeout: 120_000, maxCall: 43_200_000 };

interface Arrival {
  delivery: Delivery;
  offset: number;
  received_at: number;
}

function arrivals(chaos: ChaosLevel, seed: string, calls: number): Arrival[] {
  const timelines = timelinesOf(
    { seed, run: seed, apps: [APP], chaos },
    { kind: 'compressed', begin_at: BEGIN, calls, live: Math.floor(calls / 4) },
  );
  const out: Arrival[] = [];
  for (const t of timelines) {
    for (let d = t.next(); d !== null; d = t.next()) {
      if (d.expect !== 200) continue;
      // Compressed calls arrive one after the other from BEGIN on, live ones when they are sent, stragglers last.
      const received_at = d.send_at === AT_THE_END ? BEGIN + 200_000 + out.length : Math.max(d.send_at, BEGIN + Math.floor(out.length / 4));
      out.push({ delivery: d, offset: out.length, received_at });
    }
  }
  return out;
}

function productRecords(list: readonly Arrival[], now: number, shuffle: string) {
  const states = new Map<string, CallState>();
  const source = tuicallkit;
  let dead = 0;
  const random = new Random(shuffle);
  const shuffled = list.map((arrival) => ({ arrival, at: random.next() })).sort((a, b) => a.at - b.at);
  for (const { arrival } of shuffled) {
    const { app_id, query, body } = arrival.delivery;
    for (const element of source.toInputs({ source: 'tuicallkit', app_id, query, body, received_at: arrival.received_at })) {
      if (!element.ok) {
        dead++;
        continue;
      }
      const key = callKey(app_id, element.key.call_id);
      const state = states.get(key) ?? emptyState(element.key);
      states.set(key, state);
      addInput(state, element.input);
    }
  }
  const records = new Map<string, CallFacts>();
  for (const [key, state] of states) records.set(key, factsAt(state, now));
  return { records, dead };
}

function factsAt(state: CallState, now: number): CallFacts {
  const facts = deriveCall(state);
  if (facts.status === 'ended') return facts;
  const latest =
    state.events.length === 0
      ? firstReceivedAt(state)
      : Math.max(...state.events.map((e) => Math.min(e.event_at ?? e.received_at, e.received_at)));
  if (latest + (facts.status === 'ringing' ? TIMEOUTS.ringTimeout : TIMEOUTS.maxCall) > now) return facts;
  state.timed_out = true;
  return deriveCall(state);
}

/** A record in the words of the truth. */
const asTruth = (facts: CallFacts) => ({ ...facts, anomalies: [...facts.anomalies].sort() });

/** Few users, few seconds, and arrivals in the very milliseconds of the events: ties everywhere, in calls that no vendor would make up. */
const second = fc.integer({ min: 0, max: 5 });
const carried = fc.constantFrom(undefined, undefined, undefined, 0, BEGIN / 1000 + 2, BEGIN / 1000 + 3605, BEGIN + 4500, `${BEGIN / 1000}`);
const callback = fc
  .record(
    {
      UserId: fc.constantFrom('a', 'a', 'b', 'b', 'c', ''),
      Role: fc.constantFrom('caller', 'callee', 'callee', ''),
      Event: fc.constantFrom(...EVENTS),
      EventTime: second.map((s) => BEGIN / 1000 + s),
      CallType: fc.constantFrom('single', 'group'),
      RoomId: fc.constantFrom('r', 's', ''),
      MediaType: fc.constantFrom('audio', 'video'),
      TotalNum: fc.constantFrom(0, 2, 3),
      StartCallTs: carried,
      AcceptTs: carried,
      EndTs: carried,
    },
    { requiredKeys: ['UserId', 'Event'] },
  )
  .chain((event) => {
    const { Event: _, ...status } = event;
    const results = fc.constantFrom(
      'normal_end',
      'NormalEnd',
      'interrupt',
      'offline',
      'not_answer',
      'reject',
      'call_busy',
      'cancel',
      '_',
      true,
    );
    return fc.oneof(
      { weight: 7, arbitrary: fc.constant(event) },
      { weight: 1, arbitrary: results.map((CallResult) => ({ ...status, CallResult })) },
    );
  });
const users = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 3 });
const caller = fc.constantFrom('a', 'b', '');
const v1Record = fc
  .record({
    caller,
    callees: users,
    roomId: fc.constantFrom('r', 't', ''),
    mediaType: fc.constantFrom('audio', 'Video', 'x'),
    callType: fc.constantFrom('single', 'Group', 'y'),
    callResult: fc.constantFrom('normal_end', 'offline', 'interrupt', 'not_answer', 'cancel', 'odd', ''),
    startCallTs: carried,
    acceptTs: carried,
    endTs: carried,
    totalUserNumber: fc.constantFrom(0, 2, '3'),
  })
  .map((fields) => ({ callId: 'c', ...fields }));
const v4Record = fc
  .record({
    Caller_Account: caller,
    CalleeList_Account: users,
    RoomId: fc.constantFrom('r', 7),
    CallType: fc.constantFrom('SingleCall', 'MultiCall'),
    CallResult: fc.constantFrom('NormalEnd', 'NotAnswer', 'Offline', 'Reject'),
    StartTime: carried,
    AcceptTime: carried,
    EndTime: carried,
  })
  .map((fields) => ({ CallId: 'c', ...fields }));
/** Near the call, hours off, at the very edge of what still counts, or unknown. */
const mediaTime = fc.oneof(
  second.map((s) => BEGIN + s * 1000),
  fc.constantFrom(BEGIN - 300_000, BEGIN - 300_001, BEGIN + 302_000, BEGIN + 302_001, BEGIN + 3_900_000, 7),
);
const mediaEvent = fc.record({
  EventId: fc.constantFrom<unknown>(5003, 5008, 5005, 7001, 32788, 32789, 32790, 32792, 36864, 1001, '5003'),
  ParamOne: fc.constantFrom<unknown>(0, 1, 1, -1, undefined),
  Time: mediaTime,
});
const data = fc.array(fc.record({ PeerId: fc.constantFrom('', 'a'), Content: fc.array(mediaEvent, { maxLength: 4 }) }), { maxLength: 2 });

/** One delivery of any source about call `c`. */
const told = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      source: fc.constant(tuicallkit),
      query: fc.constantFrom('', 'optplatform=iOS', 'optplatform=Web'),
      body: callback.map((fields) => ({ CallId: 'c', ...fields })),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      source: fc.constant(callRecord),
      query: fc.constant(''),
      body: fc.oneof<fc.Arbitrary<object>[]>(v1Record, v4Record),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      source: fc.constant(userEvent),
      query: fc.constantFrom('call_id=c&user_id=a', 'call_id=c&user_id=b&room_id=r', 'call_id=c&user_id=d'),
      body: data,
    }),
  },
);
const smallCall = fc.array(fc.record({ delivery: told, received: second }), { minLength: 1, maxLength: 9 });

describe('the fold and the truth', () => {
  it.each<[ChaosLevel, string]>([
    ['none', 'a'],
    ['mild', 'b'],
    ['hard', 'c'],
    ['hard', 'd'],
  ])('agree about every call and leg (%s, seed %s)', (chaos, seed) => {
    const list = arrivals(chaos, seed, 800);
    const now = BEGIN + 600_000;
    const truth = new TruthDeliveries();
    for (const { delivery, offset, received_at } of list) {
      const { source, app_id, query, body } = delivery;
      truth.add({ source, partition: 0, offset, app_id, query, body, received_at }, true);
    }
    const product = productRecords(list, now, seed);
    expect(product.dead).toBe(truth.deadLetters.length);
    expect([...product.records.keys()].sort()).toEqual([...truth.calls.keys()].sort());
    const differences = new Differences(3);
    for (const [key, call] of truth.calls) {
      const { times_out_at: _timesOutAt, call_id: _callId, ...expected } = truthOf(call.inputs, TIMEOUTS, now);
      const actual = asTruth(product.records.get(key)!);
      differences.fields('call', `${key} ${call.inputs.map((i) => i.body.toString()).join(' ')}`, expected, actual);
    }
    expect(differences.first).toEqual([]);
    expect(differences.total).toBe(0);
  });

  it('agree about calls that no vendor would make up', () => {
    fc.assert(
      fc.property(smallCall, fc.constantFrom(0, 10_000, 125_000, 50_000_000), (deliveries, later) => {
        const inputs: Input[] = [];
        let state: CallState | null = null;
        for (const { delivery, received } of deliveries) {
          const { source, query } = delivery;
          const body = Buffer.from(JSON.stringify(delivery.body));
          const received_at = BEGIN + received * 1000;
          const [reading] = readDelivery(source.name as SourceName, query, body);
          if (reading === undefined || !('call_id' in reading)) throw new Error(`not about a call: ${body}`);
          inputs.push({ reading, body, received_at });
          const [element] = source.toInputs({ source: source.name, app_id: APP, query, body, received_at });
          if (!element?.ok) throw new Error(element?.error);
          state ??= emptyState(element.key);
          addInput(state, element.input);
        }
        const { times_out_at: _timesOutAt, call_id: _callId, ...expected } = truthOf(inputs, TIMEOUTS, BEGIN + later);
        expect(asTruth(factsAt(state!, BEGIN + later))).toEqual(expected);
        expect(truthOf([...inputs].reverse(), TIMEOUTS, BEGIN + later)).toMatchObject(expected);
      }),
      { numRuns: 5_000 },
    );
  });

  it.each<[ChaosLevel, string]>([
    ['none', 'e'],
    ['hard', 'f'],
  ])('agree about everything that a v4 delivery says (%s, seed %s)', (chaos, seed) => {
    const list = arrivals(chaos, seed, 1_600).filter(({ delivery }) => delivery.v4);
    const source = tuicallkit;
    const events = new Set<string>();
    const differences = new Differences(3);
    for (const { delivery, received_at } of list) {
      const { app_id, query, body } = delivery;
      const inputs = source.toInputs({ source: 'tuicallkit', app_id, query, body, received_at });
      const product = inputs.sort((a, b) => a.index - b.index).map((e) => (e.ok ? { ok: true, ...said(e) } : { ok: false }));
      const truth = readAll(query, body).map((r) => (r.kind === 'dead' ? { ok: false } : { ok: true, ...meant(r) }));
      expect(product).toHaveLength(truth.length);
      for (const [i, expected] of truth.entries()) differences.fields('element', `${i} of ${query} ${body}`, expected, product[i]!);
      for (const r of truth) events.add('event' in r ? r.event : 'dead');
    }
    expect(differences.first).toEqual([]);
    const all = [
      'start_call',
      'receive_call',
      'accept_call',
      'reject_call',
      'not_answer_call',
      'call_end',
      'call_interrupted',
      'cancel_call',
    ];
    all.push('call_canceled', 'invite_user', 'join_in_group_call', 'record', ...(chaos === 'none' ? [] : ['dead']));
    expect(events).toEqual(new Set(all));
  });

  it('give the same calls again from what the rows of v4 events keep', () => {
    const source = tuicallkit;
    const record = { topic: 't', partition: 0, offset: 0, timestamp: 0, key: null, value: null };
    let rebuilt = 0;
    for (const { delivery, received_at } of arrivals('hard', 'g', 800)) {
      const { app_id, query, body } = delivery;
      const raw = { id: '', source: 'tuicallkit', app_id, received_at, auth: 'app', remote_addr: '', query, body };
      for (const element of source.toInputs(raw)) {
        if (!element.ok || !delivery.v4) continue;
        const again = source.toInputs({ ...raw, ...source.rebuild(callEvent(element, source, record, raw)) });
        expect(again.map((e) => e.ok && [e.key, e.input])).toEqual([[element.key, element.input]]);
        rebuilt++;
      }
    }
    expect(rebuilt).toBeGreaterThan(1_000);
  });
});

/** What the product and the truth have in common of one input. */
function said({ key, input, reporter }: ReadElement) {
  if (input.kind === 'record') {
    return { ...input.fields, call_id: key.call_id, event: 'record', ...reporter };
  }
  if (input.kind === 'media') throw new Error('a callback is no media poll');
  const { start_call_ts, accept_ts, end_ts, total_num, ...event } = input;
  return { ...event, call_id: key.call_id, start_at: start_call_ts, accept_at: accept_ts, end_at: end_ts };
}

function meant(reading: EventReading | StatusReading) {
  const { kind, total, call_result, platform, ...rest } = reading;
  if (kind === 'status') return { ...rest, platform, event: 'record', result: call_result, users: [...new Set(reading.users)] };
  return { ...rest, call_result, platform };
}
