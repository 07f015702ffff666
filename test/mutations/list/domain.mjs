/** /semantics: the set of inputs, and the timeouts. */
const STATE = 'src/domain/state.ts';
const TIMEOUTS = 'src/domain/timeouts.ts';
const state = (name) => ({ file: 'test/unit/domain-state.test.ts', name });
const timeouts = (name) => ({ file: 'test/unit/domain-timeouts.test.ts', name });

export const DOMAIN = [
  {
    name: 'a repeated event is a further input',
    guarantee: 'inputs are deduplicated by identity',
    file: STATE,
    find: 'return add(state.events, input, compareEvents, mergeEvents);',
    replace: 'state.events.push(input);\n      return true;',
    test: state('a new event changes the set, a repeat does not'),
  },
  {
    name: 'events of two users at one moment are one',
    guarantee: 'inputs are deduplicated by identity, and by nothing less',
    file: STATE,
    find: 'return compareStrings(a.user_id, b.user_id) || compareStrings(a.event, b.event);',
    replace: 'return compareStrings(a.event, b.event);',
    test: state('user, event and time make an event; ids are never lower-cased'),
  },
  {
    name: 'of equal bodies the last one counts',
    guarantee: 'order and repetition of deliveries say nothing',
    file: STATE,
    find: 'return input.received_at < held.received_at ? input : held;',
    replace: 'return input;',
    test: state('equal records are one input with the smallest received_at'),
  },
  {
    name: 'of differing bodies of one event the later EndTs is dropped',
    guarantee: 'bodies of one event merge, in any order',
    file: STATE,
    find: 'end_ts: largestKnown(held.end_ts, input.end_ts),',
    replace: 'end_ts: held.end_ts,',
    test: state('bodies of the same event merge'),
  },
  {
    name: 'a call is closed a millisecond after its deadline',
    guarantee: 'the deadline: reached means closed',
    file: TIMEOUTS,
    find: 'streamTime < closesAt',
    replace: 'streamTime <= closesAt',
    test: timeouts('a record leaves an open call open before its deadline and closes it from there on'),
  },
  {
    name: 'ringing calls are given the time of active ones',
    guarantee: 'ringTimeout closes ringing calls, maxCall active ones',
    file: TIMEOUTS,
    find: 'return latestAt(state) + settings.ringTimeout;',
    replace: 'return latestAt(state) + settings.maxCall;',
    test: timeouts('of a ringing call is ringTimeout after the latest event'),
  },
  {
    name: 'timeouts count from event times that lie ahead of their arrival',
    guarantee: 'a vendor’s clock that is ahead keeps no call open',
    file: TIMEOUTS,
    find: 'Math.min(eventTime(event), event.received_at)',
    replace: 'eventTime(event)',
    test: timeouts('counts from the arrival where that is before the event'),
  },
  {
    name: 'any input reopens a call that a timeout has closed',
    guarantee: 'records and media never reopen a call',
    file: TIMEOUTS,
    find: 'if (hasNewEvents) state.timed_out = false;',
    replace: 'state.timed_out = false;',
    test: timeouts('records and media never reopen a call'),
  },
];
