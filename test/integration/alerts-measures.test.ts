import { afterAll, beforeAll, expect, it } from 'vitest';
import { Chunk, ClickHouse, Flush, migrateClickHouse, Roller } from '../../src/clickhouse/index.js';
import { localCodec } from '../../src/codec/codec.js';
import type { Call, CallEvent, DeadLetter, Recording } from '../../src/codec/generated.js';
import { packRecording } from '../../src/codec/recording-record.js';
import { TOPICS } from '../../src/codec/topics.js';
import type { AlertMetric } from '../../src/domain/alert-rules.js';
import { deriveRecording, emptyRecording, withInput } from '../../src/domain/recording.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { measure } from '../../src/workers/alerts/measures.js';
import { blankCall, blankLeg, Dice, randomDeadLetters, randomDeliveries } from '../support/clickhouse-model.js';
import { blankInput } from '../support/recordings.js';
import { useStack } from '../support/stack.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const RETENTION = { calls: 400 * DAY, events: 90 * DAY, metrics: 1826 * DAY };
const server = useStack(['clickhouse']);
const codecs = { call: localCodec(TOPICS.calls), recording: localCodec(TOPICS.recordings) };
/** A whole minute of the near past, so that windows and minutes of the rollups end together. */
const now = Math.floor(Date.now() / MINUTE) * MINUTE;
let reader: ClickHouse;
let writer: ClickHouse;
let calls = 0;

beforeAll(async () => {
  const options = { url: server.clickhouseUrl, username: 'default', password: '', database: 'measured', requestTimeoutMs: 60_000 };
  writer = new ClickHouse(options);
  reader = new ClickHouse({ ...options, readOnly: true });
  await migrateClickHouse(writer, { retention: RETENTION });
});
afterAll(async () => {
  await writer?.close();
  await reader?.close();
});

interface Stored {
  calls?: readonly Call[];
  recordings?: readonly Recording[];
  events?: readonly CallEvent[];
  dead?: readonly DeadLetter[];
}

async function store({ calls = [], recordings = [], events = [], dead = [] }: Stored): Promise<void> {
  const chunk = new Chunk();
  for (const c of calls) chunk.addCall(c, codecs.call.encode(c));
  for (const r of recordings) chunk.addRecording(r, codecs.recording.encode(r));
  for (const e of events) chunk.addEvent(e);
  for (const d of dead) chunk.addDeadLetter(d);
  const flush = new Flush(writer, createMetrics(), chunk);
  await flush.rows();
  await flush.touches();
  await new Roller(writer, RETENTION.calls).pass();
}

const callAt = (app_id: string, started_at: number, over: Partial<Call> = {}): Call =>
  blankCall({
    app_id,
    call_id: `call-${calls++}`,
    started_at,
    first_seen_at: started_at,
    updated_at: started_at,
    published_minutes: [],
    status: 'ended',
    outcome: 'answered',
    ...over,
  });
const missed = { outcome: 'no_answer', end_reason: 'no_answer', missed: true, missed_inclusive: true } as const;

const measured = async (metric: AlertMetric, app_id: string, window: number, minimum = 1) => {
  const options = { clickhouse: reader, callbackSources: ['tuicallkit'], maxCall: 12 * HOUR };
  const samples = await measure(options, { metric, window, appIds: [app_id, 'nobody'], now }, minimum);
  expect(samples.has('nobody')).toBe(false);
  return samples.get(app_id) ?? null;
};

it('missed_rate: missed calls of those that started within the window; nothing where there are none', async () => {
  await store({
    calls: [
      callAt('missed', now - 2 * MINUTE, missed),
      callAt('missed', now - 3 * MINUTE),
      callAt('missed', now - 14 * MINUTE),
      callAt('missed', now - 15 * MINUTE),
      callAt('missed', now - 17 * MINUTE, missed),
    ],
  });
  expect(await measured('missed_rate', 'missed', 15 * MINUTE)).toEqual({ value: 0.25, n: 4 });
  expect(await measured('missed_rate', 'missed', MINUTE)).toBeNull();
});

it('failed_rate: failed and interrupted ones', async () => {
  await store({
    calls: [
      callAt('failed', now - MINUTE, { outcome: 'failed', end_reason: 'failed' }),
      callAt('failed', now - MINUTE, { end_reason: 'interrupted' }),
      callAt('failed', now - MINUTE, { end_reason: 'normal' }),
      callAt('failed', now - MINUTE, missed),
      callAt('failed', now - MINUTE, { end_reason: 'merged', outcome: 'failed' }),
      callAt('failed', now - 16 * MINUTE, { outcome: 'failed' }),
    ],
  });
  expect(await measured('failed_rate', 'failed', 15 * MINUTE)).toEqual({ value: 0.5, n: 4 });
});

it('volume_drop: against the smaller of the median of seven days and the day a week ago, at the same time of day', async () => {
  const day = (d: number, count: number) => Array.from({ length: count }, (_, i) => callAt('volume', now - d * DAY - (i + 1) * MINUTE));
  // Of 1 to 7 days ago: 8, 20, 10, 10, 12, 0, 16. Median 10, a week ago 16.
  await store({ calls: [day(0, 4), day(1, 8), day(2, 20), day(3, 10), day(4, 10), day(5, 12), day(7, 16)].flat() });
  // Another time of those days.
  await store({ calls: [1, 2, 3].map((d) => callAt('volume', now - d * DAY - 3 * HOUR)) });
  expect(await measured('volume_drop', 'volume', HOUR)).toEqual({ value: 0.6, n: 10 });
  await store({ calls: [callAt('young', now - DAY - MINUTE), callAt('young', now - 2 * DAY - MINUTE)] });
  expect(await measured('volume_drop', 'young', HOUR)).toBeNull();
});

it('starts_without_ends: ended calls whose end nothing has told, by the last change of the record', async () => {
  const changed = (updated_at: number, over: Partial<Call> = {}) => callAt('ends', updated_at - 12 * HOUR, { updated_at, ...over });
  await store({
    calls: [
      changed(now - MINUTE, { end_reason: 'timed_out' }),
      changed(now - MINUTE, { end_reason: 'normal', anomalies: ['missing_start', 'missing_end'] }),
      changed(now - MINUTE, { end_reason: 'normal' }),
      changed(now - MINUTE, { end_reason: 'normal' }),
      changed(now - MINUTE, { end_reason: 'normal' }),
      changed(now - MINUTE, { status: 'active', end_reason: '', outcome: 'answered' }),
      changed(now - 2 * HOUR, { end_reason: 'timed_out' }),
    ],
  });
  expect(await measured('starts_without_ends', 'ends', HOUR)).toEqual({ value: 0.4, n: 5 });
});

it('source_silence: the most silent of the sources that call us, of those with enough callbacks', async () => {
  const base = randomDeliveries(new Dice(1), 1, now)[0]!;
  let offset = 0;
  const callbacks = (source: string, count: number, last: number): CallEvent[] =>
    Array.from({ length: count }, (_, i) => ({
      ...base,
      app_id: 'silent',
      source,
      received_at: last - i * MINUTE,
      raw_topic: `callstream.raw.${source}`,
      raw_offset: offset++,
      event_id: `${source}-${offset}`,
    }));
  await store({ events: [...callbacks('tuicallkit', 12, now - 40 * MINUTE), ...callbacks('call-record', 12, now - 2 * HOUR)] });
  expect(await measured('source_silence', 'silent', DAY, 12)).toEqual({ value: 40 * MINUTE, n: 12 });
  expect(await measured('source_silence', 'silent', DAY, 13)).toBeNull();
  expect(await measured('source_silence', 'silent', 30 * MINUTE, 1)).toBeNull();
});

it('dead_letter_rate: of all deliveries of the app', async () => {
  const base = randomDeliveries(new Dice(2), 1, now)[0]!;
  const dead = randomDeadLetters(new Dice(3), 1, now)[0]!;
  const origin = { origin_topic: 'callstream.raw.tuicallkit', origin_partition: 7, origin_index: 0 };
  await store({
    events: [1, 2, 3].map((i) => ({
      ...base,
      app_id: 'dead',
      received_at: now - MINUTE,
      raw_partition: 7,
      raw_offset: 100 + i,
      event_id: `d${i}`,
    })),
    dead: [{ ...dead, ...origin, app_id: 'dead', received_at: now - MINUTE, origin_offset: 1 }],
  });
  expect(await measured('dead_letter_rate', 'dead', 15 * MINUTE)).toEqual({ value: 0.25, n: 4 });
});

it('recording_exceptions: recordings that failed or had exceptions, counted', async () => {
  const recording = (task_id: string, over: Partial<Recording>): Recording => {
    const state = withInput(emptyRecording({ provider: 'tencent', app_id: 'recorded', task_id }), blankInput());
    const publication = { revision: 1, first_seen_at: now - DAY, updated_at: now - MINUTE, last_change_at: now };
    return { ...packRecording(state, deriveRecording(state), publication), ...over };
  };
  await store({
    recordings: [
      recording('a', { status: 'failed' }),
      recording('b', { status: 'finished', exceptions: 2 }),
      recording('c', { status: 'finished', exceptions: 0 }),
      recording('d', { status: 'failed', updated_at: now - 2 * HOUR }),
    ],
  });
  expect(await measured('recording_exceptions', 'recorded', HOUR)).toEqual({ value: 2, n: 3 });
});

it('unreturned_missed: the age of the oldest, of those missed within the window; one that was returned is none', async () => {
  const between = (caller: string, callee: string, started_at: number, over: Partial<Call>, outcome = 'no_answer') =>
    callAt('unreturned', started_at, {
      caller,
      callees: [callee],
      legs: [
        blankLeg({ user_id: caller, role: 'caller', outcome }),
        blankLeg({ user_id: callee, role: 'callee', outcome, missed: outcome !== 'answered' }),
      ],
      ...over,
    });
  await store({
    calls: [
      between('ann', 'bob', now - 5 * HOUR, missed),
      between('cem', 'dora', now - 8 * HOUR, missed),
      between('dora', 'cem', now - 7 * HOUR, {}, 'answered'),
      between('eve', 'fred', now - HOUR, missed),
      between('gil', 'hal', now - 30 * HOUR, missed),
    ],
  });
  expect(await measured('unreturned_missed', 'unreturned', DAY)).toEqual({ value: 5 * HOUR, n: 2 });
});
