import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Api, startApi } from '../../src/api/index.js';
import { OPENAPI_PATH, openApiDocument } from '../../src/api/openapi.js';
import { parse } from '../../src/api/params.js';
import { LIVE, ROUTES } from '../../src/api/routes/index.js';
import { Chunk, ClickHouse, Flush, migrateClickHouse, Roller } from '../../src/clickhouse/index.js';
import { localCodec } from '../../src/codec/codec.js';
import type { Call, CallEvent, DeadLetter } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { joinKey } from '../../src/domain/key.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { MemoryDesk } from '../support/alert-desk.js';
import {
  blankCall,
  blankLeg,
  concurrencyOf,
  Dice,
  deliveryMinutesOf,
  isOfDelivery,
  latestOf,
  metricsOf,
  percentile,
  randomDeadLetters,
  randomDeliveries,
  randomRevisions,
  unreturnedOf,
} from '../support/clickhouse-model.js';
import { answerErrors } from '../support/openapi.js';
import { useStack } from '../support/stack.js';

/*
 * Every route on random histories, stored and rolled by the product, against a plain recomputation from the records.
 */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const RETENTION = { calls: 400 * DAY, events: 90 * DAY, metrics: 1826 * DAY };
const server = useStack(['clickhouse']);
const dice = new Dice(20_261);
const now = Date.now();
/** When calls began that were first seen at quite another time. */
const oddStart = now - 71 * MINUTE;
const revisions: Call[] = [
  ...randomRevisions(dice, 150, now),
  // A room with a recording, and inputs that could not be folded.
  blankCall({
    call_id: 'whole/1',
    app_id: '1400000001',
    room_id: 'board',
    caller: 'ann',
    callees: ['bob'],
    total_users: 2,
    status: 'ended',
    outcome: 'answered',
    end_reason: 'normal',
    started_at: now - 30 * MINUTE,
    accepted_at: now - 29 * MINUTE,
    ended_at: now - 25 * MINUTE,
    ring_ms: MINUTE,
    talk_ms: 4 * MINUTE,
    anomalies: ['record_conflict'],
    legs: [
      blankLeg({ user_id: 'ann', role: 'caller', outcome: 'answered', talk_ms: 4 * MINUTE }),
      blankLeg({ user_id: 'bob', outcome: 'answered' }),
    ],
    published_minutes: [now - 30 * MINUTE - ((now - 30 * MINUTE) % MINUTE)],
    span_from: now - 29 * MINUTE,
    span_to: now - 25 * MINUTE,
  }),
];
const odd = [-30 * HOUR, 5 * HOUR].map((later, i) =>
  blankCall({
    call_id: `odd-${i}`,
    app_id: '1400000001',
    caller: 'odd',
    callees: ['bob'],
    status: 'ended',
    outcome: 'failed',
    end_reason: 'failed',
    started_at: oddStart,
    ended_at: oddStart + 1,
    first_seen_at: oddStart + later,
    legs: [blankLeg({ user_id: 'odd', role: 'caller' }), blankLeg({ user_id: 'bob', outcome: 'no_answer' })],
    published_minutes: [oddStart - (oddStart % MINUTE)],
  }),
);
revisions.push(...odd);
const latest = latestOf(revisions);
const shown = latest.filter((call) => call.end_reason !== 'merged');
const deliveries: CallEvent[] = randomDeliveries(dice, 120, now);
const key = joinKey({ provider: 'tencent', app_id: '1400000001', call_id: 'whole/1' });
const dead: DeadLetter[] = randomDeadLetters(dice, 25, now, deliveries).map((letter, i) => (i < 3 ? { ...letter, key } : letter));
// Read in the vendor's log, which says that it could not be pushed; and then it was.
const pulled = deliveries.find((e) => e.source === 'aliyun-rtc' && e.event_at !== null)!;
deliveries.push(
  { ...pulled, event_id: 'pushed after all', polled: true, undelivered: true, received_at: now - 18 * MINUTE, raw_offset: 900_001 },
  { ...pulled, event_id: 'pushed after all', polled: false, undelivered: false, received_at: now - 7 * MINUTE, raw_offset: 900_002 },
);
const recordings = Array.from({ length: 23 }, (_, i) => ({
  provider: 'tencent',
  app_id: '1400000001',
  task_id: `task-${String(i).padStart(2, '0')}`,
  room_id: i === 0 ? 'board' : `room-${i % 4}`,
  status: ['finished', 'failed', 'recording'][i % 3],
  started_at: i >= 21 ? null : now - 29 * MINUTE - (i >> 1) * MINUTE,
  stopped_at: i === 22 ? null : now - 26 * MINUTE,
  exceptions: i % 5 === 0 ? 1 : 0,
  videos: [
    { user_id: 'ann', video_id: 'v', type: 'mixed', format: 'mp4', url: 'https://example.org/v.mp4', play_time_ms: 1, size_bytes: 5 },
  ],
  revision: 1,
  first_seen_at: now - 25 * MINUTE,
}));
const alerts = Array.from({ length: 9 }, (_, i) => ({
  rule: `rule-${i % 2}`,
  app_id: '1400000001',
  state: i < 2 ? 'firing' : 'resolved',
  metric: 'missed_rate',
  value: i / 10,
  n: 20 + i,
  threshold: 0.5,
  window_ms: 900_000,
  silenced: i === 3,
  fired_at: now - i * HOUR,
  resolved_at: i < 2 ? null : now - i * HOUR + MINUTE,
}));

const webDir = mkdtempSync(join(tmpdir(), 'callstream-web-'));
let client: ClickHouse;
let reader: ClickHouse;
let api: Api;

async function insert(table: string, rows: object[]): Promise<void> {
  const body = `INSERT INTO ${table} FORMAT JSONEachRow\n${rows.map((row) => JSON.stringify(row)).join('\n')}`;
  const response = await fetch(`${server.clickhouseUrl}/?database=callstream`, { method: 'POST', body });
  expect([table, response.status, response.ok ? '' : await response.text()]).toEqual([table, 200, '']);
}

beforeAll(async () => {
  writeFileSync(join(webDir, 'main.js'), '');
  const options = { url: server.clickhouseUrl, username: 'default', password: '', database: 'callstream', requestTimeoutMs: 60_000 };
  client = new ClickHouse(options);
  reader = new ClickHouse({ ...options, readOnly: true });
  await migrateClickHouse(client, { retention: RETENTION });
  const codec = localCodec(TOPICS.calls);
  // In two parts that overlap, as after a crash.
  for (const part of [0, 1]) {
    const chunk = new Chunk();
    const some = <T>(list: readonly T[]): T[] => list.filter((_, i) => part === 1 || i % 2 === 0);
    for (const call of some(revisions)) chunk.addCall(call, codec.encode(call));
    for (const event of some(deliveries)) chunk.addEvent(event);
    for (const letter of some(dead)) chunk.addDeadLetter(letter);
    const flush = new Flush(client, createMetrics(), chunk);
    await flush.rows();
    await flush.touches();
  }
  await new Roller(client, RETENTION.calls).pass();
  await insert('recordings_latest', recordings);
  await insert('alert_rows', alerts);
  api = await startApi(
    { host: '127.0.0.1', port: 0, apps: [{ provider: 'tencent', app_id: '1400000001' }], webDir },
    {
      query: (sql, params) => reader.query(sql, params),
      alerts: new MemoryDesk(),
      clock: { now: () => now },
      log: silentLogger(),
      metrics: createMetrics(),
    },
  );
});
afterAll(async () => {
  await api?.stop();
  await Promise.all([client?.close(), reader?.close()]);
  rmSync(webDir, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: bodies are looked at field by field
async function get(path: string, status = 200): Promise<any> {
  const response = await fetch(api.address + path);
  const body = (await response.json()) as { detail?: string };
  expect([path, response.status, body.detail]).toEqual([path, status, status === 200 ? undefined : expect.any(String)]);
  expect([path, answerErrors(path, status, body)]).toEqual([path, []]);
  return body;
}

/** Every row of a list, some at a time. */
async function walk<T>(path: string, name: string, limit = 7): Promise<T[]> {
  const rows: T[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = await get(`${path}${path.includes('?') ? '&' : '?'}limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`);
    rows.push(...page[name]);
    cursor = page.next_cursor;
  }
  return rows;
}

const byJson = (rows: readonly object[]): string[] => rows.map((row) => JSON.stringify(row, Object.keys(row).sort())).sort();

describe('numbers of periods', () => {
  it('over time equal the minutes of a recomputation, and the period before is the period before', async () => {
    const series = await get('/api/v1/series?window=2h&step=1m&compare=previous');
    const rows = metricsOf(latest, MINUTE);
    const sumAt = (at: number, name: string): number =>
      rows.filter((row) => row.bucket === at).reduce((sum, row) => sum + row.counts[name]!, 0);
    series.at.forEach((at: number, i: number) => {
      expect([at, series.calls[i], series.missed[i], series.missed_inclusive[i], series.outcomes.busy[i]]).toEqual([
        at,
        sumAt(at, 'calls'),
        sumAt(at, 'missed'),
        sumAt(at, 'missed_inclusive'),
        sumAt(at, 'busy'),
      ]);
      expect(series.asr[i]).toBe(sumAt(at, 'calls') === 0 ? null : sumAt(at, 'answered') / sumAt(at, 'calls'));
      expect(series.acd_ms[i]).toBe(sumAt(at, 'answered') === 0 ? null : sumAt(at, 'talk_ms_sum') / sumAt(at, 'answered'));
    });
    expect(series.calls.some((n: number) => n > 0)).toBe(true);
    const { from, to } = series.previous;
    expect([to, to - from]).toEqual([series.from, 2 * HOUR]);
    const before = await get(`/api/v1/series?from=${from}&to=${to}&step=1m`);
    expect(before.calls).toEqual(series.previous.calls);
    const summary = await get('/api/v1/summary?window=2h&step=1m&compare=previous');
    expect(summary.previous).toMatchObject({ from, to });
    expect(summary.previous.measures.calls.value).toBe(before.calls.reduce((a: number, b: number) => a + b, 0));
  });

  it('of days begin at midnight of the time zone', async () => {
    const series = await get('/api/v1/series?window=40d&step=1d&tz=Asia/Kolkata');
    expect(series.at.every((at: number) => (at + 5.5 * HOUR) % DAY === 0)).toBe(true);
    const counted = latest.filter(
      (c) => c.status === 'ended' && c.end_reason !== 'merged' && c.started_at >= series.from && c.started_at < series.to,
    );
    series.at.forEach((at: number, i: number) => {
      expect(series.calls[i]).toBe(counted.filter((c) => c.started_at >= at && c.started_at < at + DAY).length);
    });
    expect(series.calls.reduce((a: number, b: number) => a + b, 0)).toBe(counted.length);
  });

  it.each(['UTC', 'Asia/Kathmandu', 'America/St_Johns'])('by hour and weekday stand on the clock of %s', async (tz) => {
    const map = await get(`/api/v1/heatmap?window=60d&tz=${tz}`);
    const expected = Array.from({ length: 7 }, () => new Array<number>(24).fill(0));
    const names = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
    for (const call of latest) {
      if (call.status !== 'ended' || call.end_reason === 'merged' || call.started_at < map.from || call.started_at >= map.to) continue;
      const parts = new Intl.DateTimeFormat('en-GB', { timeZone: tz, weekday: 'short', hour: '2-digit', hourCycle: 'h23' }).formatToParts(
        call.started_at,
      );
      const part = (type: string): string => parts.find((p) => p.type === type)!.value;
      expected[names.indexOf(part('weekday'))]![Number(part('hour'))]!++;
    }
    expect(map.calls).toEqual(expected);
    expect(map.asr[0]![0]).toBe(map.calls[0]![0] === 0 ? null : map.answered[0]![0]! / map.calls[0]![0]!);
  });

  it('of concurrency are exact, by app, and buckets put minutes together', async () => {
    const past = Math.floor((now - 20 * MINUTE) / HOUR) * HOUR;
    for (const step of ['1m', '1h']) {
      const found = await get(`/api/v1/concurrency?from=${past - 4 * HOUR}&to=${past}&step=${step}`);
      const width = step === '1m' ? MINUTE : HOUR;
      const rows = concurrencyOf(latest, now).filter((row) => row.bucket >= found.from && row.bucket < found.to);
      expect(found.apps.map((a: { app_id: string }) => a.app_id).sort()).toEqual([...new Set(rows.map((row) => row.app_id))].sort());
      for (const app of found.apps) {
        const own = rows.filter((row) => row.app_id === app.app_id);
        expect(app.peak).toBe(Math.max(...own.map((row) => row.peak)));
        found.at.forEach((at: number, i: number) => {
          const minutes = own.filter((row) => row.bucket >= at && row.bucket < at + width);
          expect(app.peaks[i]).toBe(Math.max(0, ...minutes.map((row) => row.peak)));
          expect(app.averages[i]).toBeCloseTo((minutes.reduce((sum, row) => sum + row.average, 0) * MINUTE) / width, 6);
        });
      }
      expect(found.apps.length).toBeGreaterThan(0);
    }
  });
});

describe('missed calls', () => {
  const everything = `from=${now - 300 * DAY}&to=${now + DAY}`;

  it('that nobody has returned are those of the relation', async () => {
    const expected = unreturnedOf(latest);
    expect(expected.length).toBeGreaterThan(20);
    expect(byJson(await walk(`/api/v1/missed?${everything}`, 'missed'))).toEqual(byJson(expected));
    const summary = await get(`/api/v1/missed/callees?${everything}`);
    expect([summary.pairs, summary.calls]).toEqual([expected.length, expected.reduce((sum, pair) => sum + pair.missed_count, 0)]);
    expect(summary.oldest).toBe(Math.min(...expected.map((pair) => pair.first_missed_at)));
    for (const { app_id, callee, callers, missed_count } of summary.callees) {
      const own = expected.filter((pair) => pair.app_id === app_id && pair.callee === callee);
      expect([callers, missed_count]).toEqual([own.length, own.reduce((sum, pair) => sum + pair.missed_count, 0)]);
    }
    const one = expected[0]!;
    const found = await get(
      `/api/v1/missed?${everything}&app=${encodeURIComponent(one.app_id)}&callee=${encodeURIComponent(one.callee || 'x')}`,
    );
    expect(found.missed.every((pair: { callee: string }) => pair.callee === (one.callee || 'x'))).toBe(true);
    const either = expected.filter((pair) => [pair.caller, pair.callee].includes('ann'));
    expect(either.length).toBeGreaterThan(1);
    expect(byJson(await walk(`/api/v1/missed?${everything}&user=ann`, 'missed'))).toEqual(byJson(either));
    expect((await get(`/api/v1/missed/callees?${everything}&user=ann`)).pairs).toBe(either.length);
  });

  it('of a period are those that began in it; a later call still returns them', async () => {
    const [from, to] = [now - 80 * MINUTE, now - 60 * MINUTE];
    const found = await walk<{ first_missed_at: number; last_missed_at: number }>(`/api/v1/missed?from=${from}&to=${to}`, 'missed');
    const misses = latest.filter((call) => call.started_at >= from);
    const expected = unreturnedOf(
      misses.map((call) =>
        call.started_at < to
          ? call
          : { ...call, legs: call.legs.map((leg) => (leg.outcome === 'answered' ? leg : { ...leg, outcome: 'unknown' })) },
      ),
    );
    expect(byJson(found)).toEqual(byJson(expected));
    expect(expected.length).toBeGreaterThan(3);
  });
});

describe('calls', () => {
  it('are counted as they are listed', async () => {
    for (const filter of [
      '',
      'status=ended',
      'outcome=answered,busy',
      'missed=true',
      'user=ann',
      'app=1400000001',
      `from=${now - 90 * MINUTE}`,
    ]) {
      const rows = await walk<object>(`/api/v1/calls?${filter}`, 'calls', 83);
      expect([filter, (await get(`/api/v1/calls/count?${filter}`)).count]).toEqual([filter, rows.length]);
    }
    expect((await get('/api/v1/calls/count')).count).toBe(shown.length);
  });

  it('between two users are those of both', async () => {
    const both = (await walk<Call>('/api/v1/calls?user=ann', 'calls', 83)).filter((call) => [call.caller, ...call.callees].includes('bob'));
    expect(both.length).toBeGreaterThan(0);
    expect(await walk('/api/v1/calls?user=ann&with=bob', 'calls', 83)).toEqual(both);
  });

  it('are found by their start, whenever they were first seen', async () => {
    const at = `from=${oddStart}&to=${oddStart + 1}`;
    for (const filter of ['', '&user=odd', '&outcome=failed', '&q=odd']) {
      const { calls } = await get(`/api/v1/calls?${at}&app=1400000001${filter}`);
      expect([filter, calls.filter((c: Call) => c.caller === 'odd').map((c: Call) => c.call_id)]).toEqual([filter, ['odd-1', 'odd-0']]);
    }
    expect((await get(`/api/v1/calls/count?${at}&user=odd`)).count).toBe(2);
    expect((await get(`/api/v1/users/1400000001/odd?${at}`)).measures.placed).toMatchObject({ value: 2, n: 2 });
    const { missed } = await get(`/api/v1/missed?${at}&caller=odd`);
    expect(missed).toMatchObject([{ caller: 'odd', callee: 'bob', missed_count: 2, first_missed_at: oddStart, last_missed_at: oddStart }]);
  });

  it('are exported as they are listed, with their number beforehand', async () => {
    const rows = await walk<Record<string, unknown>>('/api/v1/calls', 'calls', 500);
    const ndjson = await fetch(`${api.address}/api/v1/calls/export?format=ndjson`);
    expect([ndjson.headers.get('x-total-count'), ndjson.headers.get('content-type')]).toEqual([
      String(rows.length),
      'application/x-ndjson',
    ]);
    expect(
      (await ndjson.text())
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(rows);
    const csv = await fetch(`${api.address}/api/v1/calls/export?format=csv&outcome=answered`);
    const [head, ...lines] = (await csv.text()).trimEnd().split('\r\n');
    expect(head!.split(',')).toEqual(Object.keys(rows[0]!));
    expect(lines).toHaveLength(rows.filter((row) => row.status === 'ended' && row.outcome === 'answered').length);
    expect(csv.headers.get('content-disposition')).toBe('attachment; filename="calls.csv"');
    const asked = await fetch(`${api.address}/api/v1/calls/export?format=csv`, { method: 'HEAD' });
    expect([asked.headers.get('x-total-count'), await asked.text()]).toEqual([String(rows.length), '']);
    await get('/api/v1/calls/export', 400);
    await get(`/api/v1/calls?from=${now}&to=${now}`, 400);
  });

  it('come whole: legs, revisions, recordings, what is odd, and what could not be processed', async () => {
    const found = await get(`/api/v1/calls/tencent/1400000001/${encodeURIComponent('whole/1')}`);
    expect(found.recordings.map((r: { task_id: string }) => r.task_id)).toEqual(['task-00']);
    expect(found.recordings[0].videos[0]).toMatchObject({ video_id: 'v', size_bytes: 5 });
    expect(found.anomalies).toEqual([{ name: 'record_conflict', explanation: expect.stringContaining('The record wins') }]);
    expect(found.dead_letters).toHaveLength(3);
    const many = latest.find((call) => call.revision > 3 && call.app_id === '1400000001' && !call.call_id.includes('\0'))!;
    const history = await get(`/api/v1/calls/tencent/1400000001/${encodeURIComponent(many.call_id)}`);
    expect(history.revisions.map((r: Call) => r.revision)).toEqual(
      revisions
        .filter((r) => r.call_id === many.call_id && r.app_id === many.app_id)
        .map((r) => r.revision)
        .sort((a, b) => a - b),
    );
    expect(history.revisions.at(-1)).toEqual(history.call);
  });
});

describe('a user', () => {
  it('has the calls of both sides, each with the own leg, and totals of these', async () => {
    for (const user of ['ann', 'dör']) {
      const path = `/api/v1/users/1400000001/${encodeURIComponent(user)}`;
      const calls = await walk<{ call: Call; leg: Call['legs'][number] }>(`${path}/calls`, 'calls');
      const own = shown.filter((c) => c.app_id === '1400000001' && (c.caller === user || c.callees.includes(user)));
      expect(calls.map(({ call }) => call.call_id).sort()).toEqual(own.map((c) => c.call_id).sort());
      const legOf = (c: Call) => c.legs.find((leg) => leg.user_id === user);
      for (const { call, leg } of calls) {
        const expected = legOf(own.find((c) => c.call_id === call.call_id)!);
        if (expected !== undefined) expect(leg).toEqual(expected);
      }
      const legs = own.map(legOf).filter((leg) => leg !== undefined);
      const as = (role: string) => legs.filter((leg) => leg.role === role);
      const answered = (of: typeof legs): number => of.filter((leg) => leg.outcome === 'answered').length;
      const found = await get(path);
      const numbers = Object.fromEntries(
        Object.entries(found.measures as Record<string, { value: number; n: number }>).map(([name, { value, n }]) => [name, [value, n]]),
      );
      const called = as('callee').length;
      expect(numbers).toEqual({
        calls: [own.length, own.length],
        placed: [as('caller').length, own.length],
        placed_answered: [answered(as('caller')), as('caller').length],
        called: [called, own.length],
        called_answered: [answered(as('callee')), called],
        missed: [legs.filter((leg) => leg.missed).length, called],
        missed_inclusive: [legs.filter((leg) => leg.missed_inclusive).length, called],
        talk_ms: [legs.reduce((sum, leg) => sum + leg.talk_ms, 0), answered(legs)],
      });
      expect(found).toMatchObject({
        first_call_at: Math.min(...own.map((c) => c.started_at)),
        last_call_at: Math.max(...own.map((c) => c.started_at)),
      });
      expect(own.length).toBeGreaterThan(5);
      const expected = new Map<string, { calls: number; spoken: number; talk_ms: number; last_call_at: number }>();
      for (const call of own) {
        const mine = legOf(call);
        for (const leg of call.legs) {
          if (leg.user_id === user || leg.user_id === '') continue;
          const known = expected.get(leg.user_id) ?? { calls: 0, spoken: 0, talk_ms: 0, last_call_at: 0 };
          const spoke = mine?.outcome === 'answered' && leg.outcome === 'answered';
          const times = [mine?.joined_at, leg.joined_at, mine?.left_at, leg.left_at];
          const [mineIn, otherIn, mineOut, otherOut] = times as number[];
          const measured = spoke && call.status === 'ended' && times.every((at) => typeof at === 'number');
          expected.set(leg.user_id, {
            calls: known.calls + 1,
            spoken: known.spoken + (spoke ? 1 : 0),
            talk_ms: known.talk_ms + (measured ? Math.max(0, Math.min(mineOut!, otherOut!) - Math.max(mineIn!, otherIn!)) : 0),
            last_call_at: Math.max(known.last_call_at, call.started_at),
          });
        }
      }
      const { contacts, total } = await get(`${path}/contacts?limit=100`);
      expect(Object.fromEntries(contacts.map(({ user_id, ...rest }: { user_id: string }) => [user_id, rest]))).toEqual(
        Object.fromEntries(expected),
      );
      expect(total).toBe(expected.size);
      const [first] = contacts;
      expect(first.spoken).toBe(Math.max(...[...expected.values()].map(({ spoken }) => spoken)));
      expect(first.talk_ms).toBeGreaterThan(0);
    }
    const one = await get('/api/v1/users/1400000001/ann/contacts?limit=1');
    expect(one.contacts).toHaveLength(1);
    expect(one.total).toBeGreaterThan(1);
    expect(await get('/api/v1/users/1400000001/nobody')).toMatchObject({ measures: { calls: { value: 0, n: 0 } }, last_call_at: null });
  });
});

describe('health', () => {
  const NAMES = ['received', 'folded', 'duplicates', 'dead', 'calls_from_records_only', 'undelivered', 'delay_p50_ms', 'delay_p95_ms'];
  const range = `from=${now - 110 * MINUTE}&to=${now + MINUTE}&step=1m`;

  it('by minute is the relation', async () => {
    const { buckets, from, to } = await get(`/api/v1/health?${range}`);
    const pick = (row: Record<string, unknown>, at: string): object =>
      Object.fromEntries([['at', row[at]], ...['app_id', 'source', ...NAMES].map((name) => [name, row[name]])]);
    const expected = deliveryMinutesOf(deliveries, dead, latest).filter((row) => Number(row.bucket) >= from && Number(row.bucket) < to);
    expect(byJson(buckets.map((row: Record<string, unknown>) => pick(row, 'at')))).toEqual(
      byJson(expected.map((row) => pick(row, 'bucket'))),
    );
    for (const source of ['tuicallkit', 'aliyun-rtc', 'call-record']) {
      const own = await get(`/api/v1/health?${range}&source=${source}`);
      expect(own.buckets).toEqual(buckets.filter((row: { source: string }) => row.source === source));
      expect(own.buckets.length).toBeGreaterThan(2);
    }
    expect(expected.length).toBeGreaterThan(20);
    expect(buckets.some((row: { duplicates: number }) => row.duplicates > 0)).toBe(true);
  });

  it('of a part of the time knows duplicates of what came before it', async () => {
    const [from, to] = [now - 15 * MINUTE, now - 4 * MINUTE].map((at) => Math.floor(at / MINUTE) * MINUTE);
    const { buckets } = await get(`/api/v1/health?from=${from}&to=${to}&step=1m`);
    const expected = deliveryMinutesOf(deliveries, dead, latest).filter((row) => Number(row.bucket) >= from! && Number(row.bucket) < to!);
    const counts = (rows: Record<string, unknown>[], at: string): object[] =>
      rows.map((row) => ({ at: row[at], app_id: row.app_id, source: row.source, folded: row.folded, duplicates: row.duplicates }));
    expect(byJson(counts(buckets, 'at'))).toEqual(byJson(counts(expected, 'bucket')));
    expect(expected.length).toBeGreaterThan(5);
  });

  it('is the same of deliveries that were stored before the hours of their events were', async () => {
    const upgraded = Math.floor((now - 12 * MINUTE) / MINUTE) * MINUTE;
    const periods = [range, `from=${now - 110 * MINUTE}&to=${upgraded}&step=1m`, `from=${upgraded}&to=${now + MINUTE}&step=1m`];
    const read = () => Promise.all(periods.map(async (period) => (await get(`/api/v1/health?${period}`)).buckets));
    const before = await read();
    for (const name of ['duplicates', 'undelivered'])
      expect(before.map((rows) => rows.some((row: Record<string, number>) => row[name]! > 0))).toEqual([true, true, true]);
    await client.command(
      `ALTER TABLE deliveries UPDATE event_hour = 4294967295 WHERE dead = 0 AND received_at < fromUnixTimestamp64Milli(${upgraded}) SETTINGS mutations_sync = 2`,
    );
    expect(await read()).toEqual(before);
  });

  it('of the whole period adds up, with percentiles of its own, and says why letters are dead', async () => {
    const { sources, dead_letters } = await get(`/api/v1/health?${range}`);
    const rows = deliveryMinutesOf(deliveries, dead, latest);
    const died = new Set(
      dead.filter(isOfDelivery).map((d) => JSON.stringify([d.origin_topic, d.origin_partition, d.origin_offset, d.origin_index])),
    );
    for (const source of sources) {
      const own = rows.filter((row) => row.app_id === source.app_id && row.source === source.source);
      expect(source.received).toBe(source.folded + source.duplicates + source.dead);
      expect(source.received).toBe(own.reduce((sum, row) => sum + Number(row.received), 0));
      const delays = deliveries
        .filter((e) => e.app_id === source.app_id && e.source === source.source && !e.polled && e.event_at !== null)
        .filter((e) => !['call-record', 'user-event'].includes(e.source))
        .filter((e) => !died.has(JSON.stringify([e.raw_topic, e.raw_partition, e.raw_offset, e.raw_index])))
        .map((e) => e.received_at - e.event_at!);
      expect([source.delay_p50_ms, source.delay_p95_ms]).toEqual([percentile(delays, 50), percentile(delays, 95)]);
      const last = own.filter((row) => Number(row.received) > 0).at(-1);
      expect(source.last_at === null ? undefined : Math.floor(source.last_at / MINUTE) * MINUTE).toBe(
        last === undefined ? undefined : Math.max(...own.filter((row) => Number(row.received) > 0).map((row) => Number(row.bucket))),
      );
    }
    const letters = await walk<{ reason: string; body: string; body_bytes: number }>('/api/v1/dead-letters', 'dead_letters');
    expect(letters).toHaveLength(dead.length);
    expect(dead_letters.reduce((sum: number, row: { count: number }) => sum + row.count, 0)).toBe(dead.length);
    expect(letters.filter((l) => l.reason === 'exception').length).toBe(dead.filter((l) => l.reason === 'exception').length);
    expect(letters.filter((l) => l.reason === 'not_json').every((l) => l.body_bytes === 5)).toBe(true);
    await get(`/api/v1/health?window=40d`, 400);
  });

  it('holds callbacks against the records, where there are any', async () => {
    const { coverage, sources, from, to } = await get(`/api/v1/health?${range}`);
    const polled = sources.filter((source: { source: string; received: number }) => source.source === 'call-record' && source.received > 0);
    expect(coverage.map((row: { app_id: string }) => row.app_id)).toEqual(polled.map((row: { app_id: string }) => row.app_id));
    expect(coverage.length).toBeGreaterThan(0);
    for (const { app_id, value, n } of coverage) {
      const over = shown.filter((c) => c.app_id === app_id && c.status === 'ended' && c.started_at >= from && c.started_at < to);
      const alone = over.filter(
        (c) => c.sources.includes('record') && !c.sources.includes('event') && !c.records.some(({ origin }) => origin === 'status'),
      );
      expect([app_id, n, value]).toEqual([app_id, over.length, over.length === 0 ? null : (over.length - alone.length) / over.length]);
    }
    expect(coverage.some(({ value }: { value: number | null }) => value !== null && value < 1)).toBe(true);
  });
});

describe('lists', () => {
  it('of recordings come newest first, unknown starts last, page by page', async () => {
    type Found = { recording: { task_id: string; room_id: string }; calls_total: number; calls: { call_id: string }[] };
    const found = await walk<Found>('/api/v1/recordings', 'recordings', 5);
    const expected = [...recordings].sort((a, b) => (b.started_at ?? 0) - (a.started_at ?? 0) || (a.task_id < b.task_id ? 1 : -1));
    expect(found.map((r) => r.recording.task_id)).toEqual(expected.map((r) => r.task_id));
    const odd = await get('/api/v1/recordings?exceptions=true&status=finished,failed');
    expect(odd.recordings.map((r: Found) => r.recording.task_id).sort()).toEqual(
      recordings.filter((r) => (r.exceptions > 0 || r.status === 'failed') && r.status !== 'recording').map((r) => r.task_id),
    );
    const board = (await get('/api/v1/recordings?room=board')).recordings;
    expect(board.map(({ calls, calls_total }: Found) => [calls_total, calls.map((c) => c.call_id)])).toEqual([[1, ['whole/1']]]);
    for (const { recording, calls, calls_total } of found) {
      const { room_id, started_at, stopped_at } = recordings.find((r) => r.task_id === recording.task_id)!;
      const overlapping = shown.filter(
        (c) =>
          c.app_id === '1400000001' &&
          c.room_id === room_id &&
          started_at !== null &&
          Math.max(c.started_at, started_at) < Math.min(c.ended_at ?? now, stopped_at ?? now),
      );
      expect(calls_total).toBe(overlapping.length);
      expect(calls.map((c) => c.call_id).sort()).toEqual(overlapping.map((c) => c.call_id).sort());
    }
    // Of unknown start: in the period in which it stopped.
    const late = await get(`/api/v1/recordings?from=${now - 26 * MINUTE}&to=${now - 25 * MINUTE}`);
    expect(late.recordings.map((r: Found) => r.recording.task_id)).toEqual(['task-21']);
  });

  it('of a window begin where its summary does', async () => {
    const { from, measures } = await get('/api/v1/summary?window=2h&app=1400000001');
    const { count } = await get('/api/v1/calls/count?window=2h&app=1400000001&status=ended');
    expect(count).toBe(measures.calls.value);
    expect(count).toBeGreaterThan(20);
    const calls = await walk<Call>('/api/v1/calls?window=2h&app=1400000001&status=ended', 'calls', 50);
    expect(calls.length).toBe(count);
    expect(Math.min(...calls.map((c) => c.started_at))).toBeGreaterThanOrEqual(from);
    expect((await get(`/api/v1/calls?window=2h&from=${from}`, 400)).errors).toHaveLength(1);
  });

  it('of alerts come last fired first, page by page', async () => {
    const found = await walk<{ fired_at: number }>('/api/v1/alerts', 'alerts', 2);
    expect(found.map((a) => a.fired_at)).toEqual(alerts.map((a) => a.fired_at));
    expect((await get('/api/v1/alerts?state=firing&rule=rule-0')).alerts).toEqual([alerts[0]]);
  });

  it('of apps and definitions', async () => {
    expect((await get('/api/v1/apps')).apps.map((a: { app_id: string }) => a.app_id)).toEqual(
      [...new Set(latest.filter((c) => c.status === 'ended').map((c) => c.app_id))].sort(),
    );
    const { measures } = await get('/api/v1/definitions');
    expect(measures.asr).toMatchObject({ unit: 'ratio', definition: expect.stringContaining('answered calls divided by all calls') });
  });
});

describe('docs/api.md', () => {
  const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const commands = [...page.matchAll(/^curl (?:.*-d '(\{.*\})' )?.*'http:\/\/127\.0\.0\.1:8090(\/[^']+)'$/gm)];
  const examples = commands.flatMap(([, body, path]) => (body === undefined ? [path!] : []));
  const changes = commands.flatMap(([, body, path]) => (body === undefined ? [] : [{ path: path!, body }]));

  it.each(examples.filter((path) => !path.includes('/live') && !path.includes('/export')))('%s is answered', async (path) => {
    await get(path);
  });

  it.each(changes)('$path takes $body', async ({ path, body }) => {
    const response = await fetch(api.address + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect([response.status, await response.json()]).toEqual([200, expect.objectContaining({ as_of: now })]);
  });

  it('has an example of every route', () => {
    const asked = [...examples.map((path) => `GET ${path.split('?')[0]}`), ...changes.map(({ path }) => `POST ${path}`)];
    const patterns = [...ROUTES, LIVE].map(
      ({ method, path }) => [path, new RegExp(`^${method} ${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`)] as const,
    );
    expect(patterns.filter(([, pattern]) => !asked.some((path) => pattern.test(path))).map(([path]) => path)).toEqual([]);
    for (const path of examples.filter((example) => example.includes('/live') || example.includes('/export'))) {
      const route = [...ROUTES, LIVE].find((known) => known.path === path.split('?')[0])!;
      expect(() => parse(route.params, Object.fromEntries(new URLSearchParams(path.split('?')[1])))).not.toThrow();
    }
  });

  it('names the codes that there are', () => {
    const sources = readdirSync(new URL('../../src/api/', import.meta.url), { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    const text = sources.map((name) => readFileSync(new URL(`../../src/api/${name}`, import.meta.url), 'utf8')).join('');
    const codes = [...text.matchAll(/Problem\([\s\w.?]*?,\s*'([A-Z_]+)'/g)].map((match) => match[1]!);
    expect(new Set(codes).size).toBeGreaterThan(6);
    expect([...new Set(codes)].filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });
});

describe('every route', () => {
  it('is served with its document, and refuses what it does not know', async () => {
    expect(await (await fetch(api.address + OPENAPI_PATH)).json()).toEqual(JSON.parse(JSON.stringify(openApiDocument())));
    for (const { path } of ROUTES.filter(({ method }) => method === 'GET')) {
      const problem = await get(`${path.replaceAll(/\{\w+\}/g, 'x')}?colour=red`, 400);
      expect(problem.errors.map((e: { parameter: string }) => e.parameter)).toContain('colour');
    }
  });
});
