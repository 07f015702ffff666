/** Raw events of believable calls, the same for the same count: overlapping two-party calls, 70% answered, with their status callbacks. */
import { randomUUID } from 'node:crypto';

/** A small linear congruential generator (Numerical Recipes' constants): the same traffic in every run. */
function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Calls as lists of [ms after start, body], in the order of their starts. */
export function* calls(count, startsPerSecond, t0, seed = 1) {
  const random = numbers(seed);
  for (let i = 0; i < count; i++) {
    const start = t0 + (i / startsPerSecond) * 1000;
    const id = `${Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')}-441a-4a9b-87c0-${i.toString(16).padStart(12, '0')}`;
    const caller = `user_${Math.floor(random() * 50_000)}`;
    const callee = `user_${Math.floor(random() * 50_000) + 50_000}`;
    const common = { RoomId: `room_${i}`, TotalNum: 2, MediaType: random() < 0.6 ? 'audio' : 'video', CallType: 'single', CallId: id };
    const at = (ms, UserId, Role, Event, more = {}) => [
      start + ms,
      { UserId, ...common, Role, Event, CallResult: '', EventTime: Math.floor((start + ms) / 1000), ...more },
    ];
    const ring = 2_000 + random() * 10_000;
    const out = [at(0, caller, 'caller', 'start_call'), at(150, callee, 'callee', 'receive_call')];
    if (random() < 0.7) {
      const talk = 5_000 - Math.log(1 - random()) * 40_000;
      const times = {
        StartCallTs: Math.floor(start / 1000),
        AcceptTs: Math.floor((start + ring) / 1000),
        EndTs: Math.floor((start + ring + talk) / 1000),
      };
      out.push(at(ring, callee, 'callee', 'accept_call'), at(ring + 100, caller, 'caller', 'call_accepted'));
      out.push(at(ring + talk, caller, 'caller', 'call_end', times), at(ring + talk + 50, callee, 'callee', 'call_end', times));
      out.push(at(ring + talk + 80, caller, 'caller', undefined, { CallResult: 'normal_end', ...times }));
    } else {
      out.push(at(ring + 20_000, callee, 'callee', 'not_answer_call'), at(ring + 20_050, caller, 'caller', 'call_missed'));
      out.push(at(ring + 20_100, caller, 'caller', undefined, { CallResult: 'not_answer' }));
    }
    yield out;
  }
}

/** The events of many calls in the order of their times, as [time, body]. */
export function* events(total, eventsPerSecond, t0) {
  const perCall = 6.4;
  let waiting = [];
  let sent = 0;
  let n = 0;
  for (const call of calls(Number.MAX_SAFE_INTEGER, eventsPerSecond / perCall, t0)) {
    waiting.push(...call);
    if (++n % 500 !== 0) continue;
    waiting.sort((a, b) => a[0] - b[0]);
    let ready = 0;
    while (ready < waiting.length && waiting[ready][0] < call[0][0]) {
      yield waiting[ready++];
      if (++sent >= total) return;
    }
    waiting = waiting.slice(ready);
  }
}

export const query = (app, body) =>
  `sdkappid=${app}&command=${body.Event === undefined ? body.CallResult : `${body.Role}_${body.Event}`}&contenttype=json&clientip=127.0.0.1&optplatform=iOS`;

/** The raw record of one event. */
export const rawEvent = (app, at, body) => ({
  id: randomUUID(),
  source: 'tuicallkit',
  app_id: app,
  received_at: Math.floor(at),
  auth: 'app',
  remote_addr: '127.0.0.0',
  query: query(app, body),
  body: Buffer.from(JSON.stringify(body)),
});
