import type { EventName } from '../domain/vocabulary.js';
import { type ChaosLevel, type Delays, RATES, type Sendable, scatter } from './chaos.js';
import { differingV4, oddV4 } from './chaos-v4.js';
import type { Random } from './random.js';
import { type Callback, commandOf, type Delivery, encode, exactNumber, queryOf, render } from './wire.js';

export interface PlannedCallback {
  at: number;
  callback: Callback;
}

/**
 * The requests that really go out for the callbacks of one call, in no particular order.
 */
export function distort(random: Random, level: ChaosLevel, planned: readonly PlannedCallback[], delays: Delays): Delivery[] {
  const rates = RATES[level];
  const milliseconds = random.chance(rates.perCallMilliseconds);
  const joins = rates.perCallCallerJoins > 0 && random.chance(rates.perCallCallerJoins) ? callerJoins(random, planned) : [];
  const sendables = [...planned, ...joins].map(({ at, callback }): Sendable => {
    // v4 is in milliseconds as it is.
    let sent = milliseconds && !callback.v4 ? inMilliseconds(random, callback, at) : callback;
    if (random.chance(rates.odd)) sent = { ...sent, body: callback.v4 ? oddV4(random, sent.body) : oddBody(random, sent.body) };
    const deliver = (one: Callback) => (send_at: number) => render(one, send_at);
    return { at, deliver: deliver(sent), differing: () => deliver({ ...sent, ...differing(random, sent) }) };
  });
  return scatter(random, rates, sendables, delays);
}

/** The caller, back after one of its own events. */
function callerJoins(random: Random, planned: readonly PlannedCallback[]): PlannedCallback[] {
  const own = planned.filter(({ callback }) => callback.body.Role === 'caller' && callback.body.Event !== undefined);
  if (own.length === 0) return [];
  const { at, callback } = random.pick(own);
  const event = random.pick<EventName>(['accept_call', 'join_in_group_call']);
  const joinedAt = at + random.int(1, 4_000);
  const body = { ...callback.body, Event: event, CallResult: '', EventTime: Math.floor(joinedAt / 1000), EndTs: 0 };
  return [{ at: joinedAt, callback: { ...callback, command: commandOf(event, 'caller'), body } }];
}

/** The same call from an app that reports milliseconds. */
function inMilliseconds(random: Random, callback: Callback, at: number): Callback {
  const body = { ...callback.body };
  for (const field of ['StartCallTs', 'AcceptTs', 'EndTs']) {
    const value = body[field];
    if (typeof value === 'number' && value > 0) body[field] = value * 1000 + random.int(0, 999);
  }
  body.EventTime = Math.floor(at);
  return { ...callback, body };
}

type Body = Record<string, unknown>;
const without = (body: Body, field: string): Body => Object.fromEntries(Object.entries(body).filter(([name]) => name !== field));

/** Another body of the same event: its identity (call, user, event, time) stays, the rest may differ. */
function differing(random: Random, callback: Callback): Pick<Callback, 'body' | 'platform'> {
  if (callback.v4) return { body: differingV4(random, callback.body), platform: callback.platform };
  const body: Body = { ...callback.body };
  const time = body.EventTime;
  const changes: Record<string, () => void> = {
    total: () => (body.TotalNum = random.int(0, 9)),
    room: () => (body.RoomId = random.pick(['', 'aside', 'Zimmer 7'])),
    role: () => delete body.Role,
    media: () => (body.MediaType = random.pick(['AUDIO', 'Video', ''])),
    start: () => (body.StartCallTs = typeof time === 'number' ? time - random.int(0, 40) * unit(time) : 0),
    end: () => (body.EndTs = typeof body.EndTs === 'number' && body.EndTs > 0 ? body.EndTs + random.int(-3, 3) * unit(body.EndTs) : 0),
    spelling: () => {
      if (typeof time === 'number' && Number.isInteger(time) && time > 0)
        body.EventTime = time < 1e11 ? random.pick([`${time}`, time * 1000]) : `${time}`;
    },
    extra: () => (body.Extra = { note: random.token(6) }),
  };
  for (let n = random.int(1, 3); n > 0; n--) random.pick(Object.values(changes))();
  return { body, platform: random.chance(0.2) ? random.pick(['iOS', 'Web', '']) : callback.platform };
}

const unit = (time: number): number => (time < 1e11 ? 1 : 1000);

/** Events after which a call may end; those keep their user, and a wrong user or far-away time on them would only test the vendor. */
const ENDS = new Set(['call_end', 'call_interrupted']);

/** One or two fields with a value that no vendor documents but somebody has seen. */
function oddBody(random: Random, source: Body): Body {
  let body: Body = { ...source };
  for (let n = random.int(1, 2); n > 0; n--) {
    const field = random.pick([
      'EventTime',
      'EventTime',
      'StartCallTs',
      'AcceptTs',
      'EndTs',
      'TotalNum',
      'RoomId',
      'MediaType',
      'CallType',
      'Role',
      'UserId',
      'Event',
      'CallResult',
    ]);
    const value = body[field];
    const options: unknown[] = [null, undefined];
    switch (field) {
      case 'EventTime':
      case 'StartCallTs':
      case 'AcceptTs':
      case 'EndTs':
        options.push(-1, 0, '', 'yesterday', 99_999_999_999_999, exactNumber('9007199254740993'), [], true);
        if (typeof value === 'number' && value > 0) options.push(`${value}`, `${value}`, value + 0.5, value * (value < 1e11 ? 1000 : 1));
        if (Number.isInteger(value)) options.push(exactNumber(`${value}.1239998`));
        if (body.Event === 'receive_call' && field === 'EventTime') options.push(4_000_000_000);
        break;
      case 'TotalNum':
        options.push(-3, 0, 'several', '5', {}, exactNumber('9007199254740991'), exactNumber('3e0'));
        break;
      case 'RoomId':
        options.push(20_222, exactNumber('9007199254740993'), exactNumber('20222.50'), 'room:with:colons', '🛋️ "sofa"\n');
        break;
      case 'MediaType':
        options.push('VIDEO', 'Audio', 'hologram', 7);
        break;
      case 'CallType':
        options.push('SINGLE', 'Group', 'party', 1);
        break;
      case 'Role':
        options.push('Caller', 'CALLEE', 'host');
        break;
      case 'UserId':
        if (ENDS.has(String(body.Event))) continue;
        options.push(exactNumber('9007199254740993'), exactNumber('9007199254740993.0'), exactNumber('42e0'), 42, '');
        break;
      case 'Event':
        if (typeof value !== 'string') continue;
        options.splice(0, 2, value.toUpperCase());
        break;
      default:
        if (typeof value !== 'string' || value === '') continue;
        options.splice(0, 2, value.toUpperCase(), value.replace('_', ''));
        // A status callback that contradicts the events, or says something nobody has heard of.
        if (body.Event === undefined) options.push('reject', 'cancel', 'not_answer', 'offline', 'dropped', '_', true, exactNumber('1e0'));
    }
    const chosen = random.pick(options);
    body = chosen === undefined ? without(body, field) : { ...body, [field]: chosen };
  }
  return body;
}

export interface OddIds {
  call_id: (plain: string) => string;
  room_id: (plain: string) => string;
  user: (plain: string) => string;
}

const plainIds: OddIds = { call_id: (id) => id, room_id: (id) => id, user: (id) => id };

/**
 * Ids of one call: mostly plain, sometimes very long, in other scripts, or digits beyond 2^53. Every call id keeps the run's own part, and so does the name of a room that is used
 * again, as numbers of rooms do (`planCall`).
 */
export function chooseIds(random: Random, level: ChaosLevel, run: string): OddIds {
  const rates = RATES[level];
  const room = random.chance(rates.perCallReusedRoom) ? () => `lobby-${random.int(1, 12)}-${run}` : (id: string) => id;
  if (!random.chance(rates.perCallOddIds)) return { ...plainIds, room_id: room };
  const decorate = random.pick<(id: string) => string>([
    (id) => `${id}-${'long'.repeat(random.int(60, 400))}`,
    (id) => `😀 通话 ${id}`,
    (id) => `ﬀ-مكالمة:${id}`,
    (id) => `${id}\\"'\t\n<b>%00&=#`,
    (id) => ` ${id.toUpperCase()} `,
  ]);
  return { call_id: decorate, room_id: decorate, user: random.chance(0.5) ? decorate : (id) => id };
}

/** True when a piece of noise goes along with this call. */
export const wantsNoise = (random: Random, level: ChaosLevel): boolean => random.chance(RATES[level].perCallNoise);

/** Requests that belong to no call: unreadable bodies (200 and a dead letter each), or an app that is not ours (403). `mark` makes each unique to the run. */
export function noise(random: Random, at: number, app_id: string, mark: string, only?: 'garbage' | 'wrong_app'): Delivery {
  const kind = only ?? random.weighted({ garbage: 4, no_call_id: 3, unknown_event: 3, no_event: 2, wrong_app: 3 });
  const body: Body = {
    UserId: 'alice-0',
    RoomId: mark,
    TotalNum: 2,
    MediaType: 'audio',
    CallType: 'single',
    CallId: mark,
    Role: 'caller',
    EventTime: Math.floor(at / 1000),
  };
  const callback = (platform = 'Web') => ({ app_id, command: 'caller_start_call', client_ip: '127.0.0.1', platform });
  const make = (content: Buffer, expect: 200 | 403 = 200, app = app_id): Delivery => ({
    send_at: at,
    source: 'tuicallkit',
    app_id: app,
    query: queryOf({ ...callback(), app_id: app }),
    body: content,
    expect,
  });
  switch (kind) {
    case 'garbage':
      return make(garbage(random, mark));
    case 'no_call_id':
      return make(encode({ ...body, Event: 'start_call', CallId: random.pick([undefined, null, '', {}, true]) }));
    case 'unknown_event':
      return make(encode({ ...body, Event: random.pick(['teleport', 'start call', '来电']) }));
    case 'no_event':
      return make(encode({ ...body, Event: random.pick([undefined, '', null]) }));
    case 'wrong_app':
      return make(encode({ ...body, Event: 'start_call' }), 403, random.pick(['999', `${app_id}0`, 'app', '']));
  }
}

function garbage(random: Random, mark: string): Buffer {
  return random.pick([
    () => Buffer.from(`hello, this is ${mark}`),
    () => Buffer.from(`{"CallId":"${mark}","Event":"start_call"`),
    () => Buffer.from(`["${mark}",1,2,3]`),
    () => Buffer.from(JSON.stringify(mark)),
    () => Buffer.concat([Buffer.from([0xff, 0xfe, 0x00, 0x80]), Buffer.from(mark)]),
    () => Buffer.from(`CallId=${encodeURIComponent(mark)}&Event=start_call`),
    () => Buffer.from(`${'['.repeat(2_000)}"${mark}"${']'.repeat(2_000)}`),
  ])();
}
