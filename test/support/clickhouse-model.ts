import type { Call, CallEvent, CallLeg, DeadLetter } from '../../src/codec/generated.js';

/*
 * What the relations of contract §5 must show, recomputed from records in the plainest way; and a generator of random histories of calls.
 */

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const minute = (ms: number): number => Math.floor(ms / MINUTE) * MINUTE;

/** Small seeded generator (mulberry32). */
export class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  /** 0 .. n-1 */
  int(n: number): number {
    return Math.floor(this.next() * n);
  }
  chance(p: number): boolean {
    return this.next() < p;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)]!;
  }
  shuffle<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [list[i], list[j]] = [list[j]!, list[i]!];
    }
    return list;
  }
}

const OUTCOMES = ['answered', 'no_answer', 'rejected', 'busy', 'cancelled', 'failed', 'unknown'];
const USERS = ['ann', 'bob', 'cem', 'dör', '二', "o'neil\t", ''];

/** A call with nothing in it. */
export function blankCall(over: Partial<Call>): Call {
  return {
    provider: 'tencent',
    app_id: 'app',
    call_id: 'call',
    revision: 1,
    final: false,
    room_id: '',
    call_type: 'single',
    media_type: 'audio',
    caller: '',
    callees: [],
    total_users: 0,
    status: 'ringing',
    outcome: 'unknown',
    end_reason: '',
    started_at: 0,
    accepted_at: null,
    ended_at: null,
    ring_ms: 0,
    talk_ms: 0,
    missed: false,
    missed_inclusive: false,
    sources: ['event'],
    anomalies: [],
    first_seen_at: over.started_at ?? 0,
    updated_at: over.started_at ?? 0,
    legs: [],
    last_change_at: 0,
    latest_at: 0,
    sealed_users: [],
    timed_out: false,
    deadline_at: null,
    record_task: false,
    media_task: false,
    final_outcome: '',
    published_minutes: [],
    span_from: null,
    span_to: null,
    strings: [''],
    events: [],
    records: [],
    media: [],
    channel_events: [],
    ...over,
  };
}

export function blankLeg(over: Partial<CallLeg>): CallLeg {
  return {
    user_id: '',
    role: 'callee',
    outcome: 'unknown',
    rang_at: null,
    joined_at: null,
    left_at: null,
    talk_ms: 0,
    missed: false,
    missed_inclusive: false,
    platform: '',
    media_joined_at: null,
    media_left_at: null,
    media_drops: 0,
    ...over,
  };
}

/** Revisions of calls as the sessions worker publishes them: starts move, calls reopen, are merged, have odd times. Every time lies before `now`, but an odd end or two. */
export function randomRevisions(dice: Dice, calls: number, now: number): Call[] {
  const out: Call[] = [];
  for (let i = 0; i < calls; i++) out.push(...randomHistory(dice, `call-${i}${dice.pick(['', 'é', '\0', "'", '\\'])}`, now));
  return out;
}

const recordsOf = (...origins: ('record' | 'status')[]): Call['records'] =>
  origins.map((origin, i) => ({ origin, text: `${i}`, received_at: i }));

function randomHistory(dice: Dice, call_id: string, now: number): Call[] {
  const app_id = dice.pick(['1400000001', "app'2"]);
  const first = now - 100 * MINUTE + dice.int(60 * MINUTE);
  const publishedMinutes = new Set<number>();
  const froms: number[] = [];
  const tos: number[] = [];
  const history: Call[] = [];
  const revisions = 1 + dice.int(5);
  for (let revision = 1; revision <= revisions; revision++) {
    const merged = dice.chance(0.05);
    const over = merged || dice.chance(0.6);
    const odd = dice.chance(0.01) ? 30 * DAY : 0;
    const started_at = first + dice.int(4 * MINUTE) - odd;
    const accepted = dice.chance(0.6);
    const accepted_at = accepted && !merged ? Math.min(started_at + dice.int(2 * MINUTE) * dice.int(2), now - 10 * MINUTE) : null;
    const ended_at = over
      ? dice.chance(0.05)
        ? null
        : Math.max(accepted_at ?? 0, started_at) + odd + dice.int(5 * MINUTE) * dice.int(3) + (dice.chance(0.02) ? 70 * 365 * DAY : 0)
      : null;
    const outcome = accepted_at !== null ? 'answered' : over ? dice.pick(OUTCOMES.slice(1)) : 'unknown';
    publishedMinutes.add(minute(started_at));
    if (over && accepted_at !== null) froms.push(accepted_at);
    if (over && ended_at !== null) tos.push(ended_at);
    const caller = dice.pick(USERS);
    const callees = dice
      .shuffle(USERS.filter((u) => u !== caller && u !== ''))
      .slice(0, 1 + dice.int(3))
      .sort();
    history.push(
      blankCall({
        app_id,
        call_id,
        revision,
        final: over && dice.chance(0.5),
        room_id: String(dice.int(5)),
        call_type: dice.pick(['single', 'group', 'channel', '']),
        media_type: dice.pick(['audio', 'video']),
        caller,
        callees,
        total_users: callees.length + 1,
        status: over ? 'ended' : accepted_at !== null ? 'active' : 'ringing',
        outcome,
        end_reason: merged ? 'merged' : over ? 'normal' : '',
        started_at,
        accepted_at,
        ended_at,
        ring_ms: merged ? 0 : dice.int(dice.pick([10, 300, 3_000, 60_000, 86_400_000])),
        talk_ms: over && outcome === 'answered' ? dice.int(dice.pick([10, 300, 3_000, 600_000, 86_400_000])) : 0,
        missed: over && outcome === 'no_answer',
        missed_inclusive: over && ['no_answer', 'busy', 'cancelled'].includes(outcome),
        ...dice.pick([
          { sources: ['event'], records: [] },
          { sources: ['event', 'record'], records: recordsOf('record') },
          { sources: ['record'], records: recordsOf('record', 'record') },
          { sources: ['record', 'media'], records: recordsOf('record') },
          { sources: ['status'], records: recordsOf('status') },
          // The status callback has lost, and is a callback all the same.
          { sources: ['record'], records: recordsOf('record', 'status') },
          { sources: ['channel'], records: [] },
        ]),
        anomalies: dice.chance(0.2) ? ['missing_end', 'time_conflict'] : [],
        first_seen_at: first,
        updated_at: first + revision * 1000,
        published_minutes: [...publishedMinutes],
        span_from: froms.length === 0 ? null : Math.min(...froms),
        span_to: tos.length === 0 ? null : Math.max(...tos),
        legs: [...(caller === '' ? [] : [caller]), ...callees].sort().map((user_id) =>
          blankLeg({
            user_id,
            role: user_id === caller ? 'caller' : 'callee',
            outcome: dice.pick(OUTCOMES),
            joined_at: accepted_at,
            left_at: ended_at,
            talk_ms: dice.int(1000),
            missed: dice.chance(0.5),
            platform: dice.pick(['', 'iOS']),
            media_drops: dice.int(3),
          }),
        ),
      }),
    );
  }
  return history;
}

/** Deliveries of few events, each delivered several times, some at the same instant. */
export function randomDeliveries(dice: Dice, events: number, now: number): CallEvent[] {
  const out: CallEvent[] = [];
  let offset = 0;
  for (let i = 0; i < events; i++) {
    const app_id = dice.pick(['1400000001', "app'2"]);
    const event_at = dice.chance(0.1) ? null : now - 60 * MINUTE + dice.int(30 * MINUTE);
    const copies = dice.chance(0.5) ? 1 : 1 + dice.int(4);
    for (let copy = 0; copy < copies; copy++) {
      // Of an event of a channel, each delivery by itself is pushed or polled.
      const channel = i % 4 === 0;
      const polled = channel && dice.chance(0.6);
      const [source, event] = channel
        ? (['aliyun-rtc', 'join'] as const)
        : dice.pick([
            ['tuicallkit', 'start_call'],
            ['tuicallkit', 'start_call'],
            ['call-record', 'record'],
            ['user-event', 'media'],
          ] as const);
      out.push({
        provider: 'tencent',
        app_id,
        call_id: `call-${i % 20}`,
        room_id: `${copy}`,
        user_id: 'ann',
        role: 'caller',
        event,
        event_at,
        received_at: now - 20 * MINUTE + dice.int(dice.pick([1, 3, 15 * MINUTE])),
        source,
        platform: '',
        call_result: '',
        event_id: `event-${i}`,
        raw_topic: `callstream.raw.${source}`,
        raw_partition: dice.int(3),
        raw_offset: offset++ * dice.pick([1, 1, 5_000_000_000]),
        raw_index: dice.int(3),
        detail: `{"i":${i},"copy":${copy}}`,
        polled,
        undelivered: polled && dice.chance(0.7),
      });
    }
  }
  return out;
}

/** Letters of `count` deliveries that were never read, of some of `events` that died in the fold (the same once more by the late topic), and of records of our own. */
export function randomDeadLetters(dice: Dice, count: number, now: number, events: readonly CallEvent[] = []): DeadLetter[] {
  const unread = Array.from({ length: count }, (_, i) => ({
    stage: dice.pick(['parse', 'decode', 'fold']),
    reason: 'not_json',
    error: 'no JSON: \u0000 "x"',
    source: 'tuicallkit',
    app_id: '1400000001',
    received_at: now - 20 * MINUTE + dice.int(10 * MINUTE),
    origin_topic: dice.pick(['callstream.raw.tuicallkit', 'callstream.call-events', 'callstream.calls']),
    origin_partition: dice.int(3),
    origin_offset: 1_000_000 + i,
    origin_index: dice.pick([-1, 0]),
    key: 'k',
    body: Buffer.from([0, 255, 10, 39, i % 256]),
  }));
  const given = events
    .filter(() => dice.chance(0.15))
    .flatMap((e, i) => {
      const letter: DeadLetter = {
        stage: 'fold',
        reason: dice.pick(['call_too_large', 'exception']),
        error: 'too large',
        source: e.source,
        app_id: e.app_id,
        received_at: e.received_at,
        origin_topic: e.raw_topic,
        origin_partition: e.raw_partition,
        origin_offset: e.raw_offset,
        origin_index: e.raw_index,
        key: 'k',
        body: Buffer.from(e.detail),
      };
      const late = { ...letter, origin_topic: 'callstream.raw.late', origin_offset: i };
      return dice.pick([[letter], [letter], [late], [letter, late]]);
    });
  return [...unread, ...given];
}

export const latestOf = (revisions: readonly Call[]): Call[] => {
  const latest = new Map<string, Call>();
  for (const c of revisions) {
    const key = JSON.stringify([c.app_id, c.call_id]);
    const before = latest.get(key);
    if (before === undefined || before.revision < c.revision) latest.set(key, c);
  }
  return [...latest.values()];
};

const counted = (c: Call): boolean => c.status === 'ended' && c.end_reason !== 'merged';

/** Nearest rank: the value at position ceil(p * n), from 1; null of nothing. */
export function percentile(values: readonly number[], percent: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil((percent * sorted.length) / 100) - 1] ?? null;
}

export interface MetricsRow {
  bucket: number;
  provider: string;
  app_id: string;
  call_type: string;
  media_type: string;
  counts: Record<string, number>;
  asr: number;
  ner: number;
  acd_ms: number | null;
  percentiles: Record<string, number | null>;
}

/** metrics_1m, _1h, _1d: `width` in ms. */
export function metricsOf(calls: readonly Call[], width: number): MetricsRow[] {
  const groups = new Map<string, Call[]>();
  for (const c of calls.filter(counted)) {
    const key = JSON.stringify([Math.floor(c.started_at / width) * width, c.provider, c.app_id, c.call_type, c.media_type]);
    groups.set(key, [...(groups.get(key) ?? []), c]);
  }
  return [...groups].map(([key, members]) => {
    const [bucket, provider, app_id, call_type, media_type] = JSON.parse(key) as [number, string, string, string, string];
    const of = (outcome: string) => members.filter((c) => c.outcome === outcome).length;
    const sum = (f: (c: Call) => number) => members.reduce((total, c) => total + f(c), 0);
    const answered = members.filter((c) => c.outcome === 'answered');
    const counts: Record<string, number> = { calls: members.length };
    for (const outcome of OUTCOMES) counts[outcome] = of(outcome);
    counts.missed = sum((c) => (c.missed ? 1 : 0));
    counts.missed_inclusive = sum((c) => (c.missed_inclusive ? 1 : 0));
    counts.ring_ms_sum = sum((c) => c.ring_ms);
    counts.talk_ms_sum = sum((c) => c.talk_ms);
    const ring = members.map((c) => c.ring_ms);
    const talk = answered.map((c) => c.talk_ms);
    return {
      bucket,
      provider,
      app_id,
      call_type,
      media_type,
      counts,
      asr: answered.length / members.length,
      ner: (answered.length + of('no_answer') + of('rejected') + of('busy') + of('cancelled')) / members.length,
      acd_ms: answered.length === 0 ? null : counts.talk_ms_sum / answered.length,
      percentiles: {
        ring_p50_ms: percentile(ring, 50),
        ring_p95_ms: percentile(ring, 95),
        talk_p50_ms: percentile(talk, 50),
        talk_p95_ms: percentile(talk, 95),
      },
    };
  });
}

/** concurrency_1m by counting, millisecond edge by edge, which calls are on in each minute; up to the minute of `now`. */
export function concurrencyOf(calls: readonly Call[], now: number): { bucket: number; app_id: string; peak: number; average: number }[] {
  const out: { bucket: number; app_id: string; peak: number; average: number }[] = [];
  for (const app_id of new Set(calls.map((c) => c.app_id))) {
    const intervals = calls
      .filter((c) => c.app_id === app_id && c.end_reason !== 'merged' && c.accepted_at !== null)
      .map((c) => [c.accepted_at!, c.status === 'ended' ? c.ended_at : now] as const)
      .filter((i): i is readonly [number, number] => i[1] !== null && i[0] < i[1]);
    const perMinute = new Map<number, (readonly [number, number])[]>();
    for (const [from, to] of intervals) {
      for (let m = minute(from); m < to && m <= now; m += MINUTE) {
        const list = perMinute.get(m) ?? [];
        list.push([Math.max(from, m), Math.min(to, m + MINUTE)]);
        perMinute.set(m, list);
      }
    }
    for (const [bucket, parts] of perMinute) {
      const peak = Math.max(...parts.map(([at]) => parts.filter(([from, to]) => from <= at && at < to).length));
      out.push({ bucket, app_id, peak, average: parts.reduce((sum, [from, to]) => sum + to - from, 0) / MINUTE });
    }
  }
  return out;
}

/** missed_unreturned. */
export function unreturnedOf(
  calls: readonly Call[],
): { app_id: string; caller: string; callee: string; missed_count: number; first_missed_at: number; last_missed_at: number }[] {
  const known = calls.filter((c) => c.caller !== '' && c.end_reason !== 'merged');
  const groups = new Map<string, number[]>();
  for (const c of known.filter((c) => c.status === 'ended')) {
    for (const leg of c.legs.filter((l) => l.role === 'callee')) {
      const miss = ['no_answer', 'busy'].includes(leg.outcome) || (leg.outcome === 'cancelled' && c.ring_ms >= 5000);
      const talked = known.some(
        (d) =>
          d.app_id === c.app_id &&
          d.started_at > c.started_at &&
          d.legs.some(
            (l) =>
              l.role === 'callee' &&
              l.outcome === 'answered' &&
              ((d.caller === c.caller && l.user_id === leg.user_id) || (d.caller === leg.user_id && l.user_id === c.caller)),
          ),
      );
      if (!miss || talked) continue;
      const key = JSON.stringify([c.app_id, c.caller, leg.user_id]);
      groups.set(key, [...(groups.get(key) ?? []), c.started_at]);
    }
  }
  return [...groups].map(([key, times]) => {
    const [app_id, caller, callee] = JSON.parse(key) as [string, string, string];
    return { app_id, caller, callee, missed_count: times.length, first_missed_at: Math.min(...times), last_missed_at: Math.max(...times) };
  });
}

const firstDelivery = (a: CallEvent, b: CallEvent): number =>
  a.received_at - b.received_at ||
  (a.raw_topic < b.raw_topic ? -1 : a.raw_topic > b.raw_topic ? 1 : 0) ||
  a.raw_partition - b.raw_partition ||
  a.raw_offset - b.raw_offset ||
  a.raw_index - b.raw_index;

/** call_events: the smallest delivery of each identity. */
export function eventsOf(deliveries: readonly CallEvent[]): CallEvent[] {
  const first = new Map<string, CallEvent>();
  for (const e of deliveries) {
    const key = JSON.stringify([e.app_id, e.call_id, e.event_id]);
    const before = first.get(key);
    if (before === undefined || firstDelivery(e, before) < 0) first.set(key, e);
  }
  return [...first.values()];
}

/**
 * What a dead letter says of deliveries: one that was read by nobody or died in the fold, or one whose event is no row. What comes by the late topic has come
 * by its raw topic before.
 */
export const isOfDelivery = (d: DeadLetter): boolean =>
  d.origin_topic === 'callstream.call-events' || (d.origin_topic.startsWith('callstream.raw.') && d.origin_topic !== 'callstream.raw.late');

/** delivery_minutes: every delivery is dead, the first of its identity that is not, or a duplicate. */
export function deliveryMinutesOf(
  deliveries: readonly CallEvent[],
  dead: readonly DeadLetter[],
  calls: readonly Call[],
): Record<string, unknown>[] {
  const rows = new Map<
    string,
    { folded: number; duplicates: number; dead: number; delays: number[]; records: number; undelivered: number }
  >();
  const row = (at: number, app_id: string, source: string) => {
    const key = JSON.stringify([minute(at), app_id, source]);
    const found = rows.get(key) ?? { folded: 0, duplicates: 0, dead: 0, delays: [], records: 0, undelivered: 0 };
    rows.set(key, found);
    return found;
  };
  const died = dead.filter(isOfDelivery);
  const origins = new Set(died.map((d) => JSON.stringify([d.origin_topic, d.origin_partition, d.origin_offset, d.origin_index])));
  const alive = deliveries.filter((e) => !origins.has(JSON.stringify([e.raw_topic, e.raw_partition, e.raw_offset, e.raw_index])));
  const firsts = new Set(eventsOf(alive));
  for (const e of alive) {
    const r = row(e.received_at, e.app_id, e.source);
    if (firsts.has(e)) r.folded++;
    else r.duplicates++;
    if (firsts.has(e) && alive.every((other) => other.app_id !== e.app_id || other.event_id !== e.event_id || other.undelivered))
      r.undelivered++;
    if (!['call-record', 'user-event'].includes(e.source) && !e.polled && e.event_at !== null) r.delays.push(e.received_at - e.event_at);
  }
  for (const d of died) row(d.received_at, d.app_id, d.source).dead++;
  for (const c of calls) {
    const callbacks = c.sources.includes('event') || c.records.some(({ origin }) => origin === 'status');
    if (c.end_reason !== 'merged' && c.sources.includes('record') && !callbacks) {
      row(c.started_at, c.app_id, 'call-record').records++;
    }
  }
  return [...rows].map(([key, r]) => {
    const [bucket, app_id, source] = JSON.parse(key) as [number, string, string];
    return {
      bucket,
      app_id,
      source,
      received: r.folded + r.duplicates + r.dead,
      folded: r.folded,
      duplicates: r.duplicates,
      dead: r.dead,
      delay_p50_ms: percentile(r.delays, 50),
      delay_p95_ms: percentile(r.delays, 95),
      calls_from_records_only: r.records,
      undelivered: r.undelivered,
    };
  });
}
