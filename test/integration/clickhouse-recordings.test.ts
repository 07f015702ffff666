import { afterAll, beforeAll, expect, test } from 'vitest';
import { Chunk, ClickHouse, Flush, lookupRecordings, migrateClickHouse } from '../../src/clickhouse/index.js';
import { localCodec } from '../../src/codec/codec.js';
import type { Call, Recording } from '../../src/codec/generated.js';
import { packRecording } from '../../src/codec/recording-record.js';
import { TOPICS } from '../../src/codec/topics.js';
import { deriveRecording, emptyRecording, withInput } from '../../src/domain/recording.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { blankCall, Dice } from '../support/clickhouse-model.js';
import { blankInput, blankVideo } from '../support/recordings.js';
import { useStack } from '../support/stack.js';

const DAY = 86_400_000;
const MINUTE = 60_000;
const server = useStack(['clickhouse']);
const codecs = { call: localCodec(TOPICS.calls), recording: localCodec(TOPICS.recordings) };
const now = Date.now();
let client: ClickHouse;

beforeAll(async () => {
  client = new ClickHouse({ url: server.clickhouseUrl, username: 'default', password: '', database: 'recorded', requestTimeoutMs: 60_000 });
  await migrateClickHouse(client, { retention: { calls: 400 * DAY, events: 90 * DAY, metrics: 1826 * DAY } });
});
afterAll(() => client.close());

async function store(calls: readonly Call[], recordings: readonly Recording[]): Promise<void> {
  const chunk = new Chunk();
  for (const c of calls) chunk.addCall(c, codecs.call.encode(c));
  for (const r of recordings) chunk.addRecording(r, codecs.recording.encode(r));
  const flush = new Flush(client, createMetrics(), chunk);
  await flush.rows();
}

/** A recording with nothing in it. */
function blankRecording(over: Partial<Recording>): Recording {
  const state = withInput(emptyRecording({ provider: 'tencent', app_id: 'app', task_id: 'task' }), blankInput());
  const publication = { revision: 1, first_seen_at: now - DAY, updated_at: now, last_change_at: now };
  return { ...packRecording(state, deriveRecording(state), publication), started_at: null, ...over };
}

const columns = async (view: string) =>
  (await client.query<{ name: string; type: string }>(`DESCRIBE TABLE ${view}`))
    .map((c) => (c.type.startsWith('Nullable') ? `${c.name}?` : c.name))
    .join(' ');
const json = (rows: readonly unknown[]): string[] => rows.map((r) => JSON.stringify(r)).sort();
const ms = (name: string): string => `toUnixTimestamp64Milli(t.${name}) AS ${name}`;

test('the relations have the columns that the contract names, in its order', async () => {
  expect(await columns('recordings')).toBe(
    'provider app_id task_id room_id group_id record_user_id status started_at? stopped_at? total_ms finish_reason exceptions error_code error_message pauses videos omitted revision',
  );
  expect(await columns('call_recordings')).toBe(
    'call_id task_id provider app_id room_id status started_at? stopped_at? total_ms finish_reason videos call_started_at call_ended_at?',
  );
});

test('recordings shows the latest revision of each, whatever order and repetition they came in, videos and omitted durations with their units', async () => {
  const at = (revision: number, over: Partial<Recording> = {}) => blankRecording({ app_id: 'a1', task_id: "t'\t二", revision, ...over });
  const video = blankVideo({
    user_id: 'u',
    video_id: 'v',
    type: 'camera',
    format: 'mp4',
    url: 'http://x/y.mp4',
    play_time_ms: 623,
    duration_ms: 17_605,
    size_bytes: 2 ** 40,
  });
  const last = at(3, {
    ...{
      room_id: 'r',
      group_id: 'g',
      record_user_id: 'ru',
      status: 'failed',
      started_at: now - 5_000,
      stopped_at: now - 1_234,
      total_ms: 18_317,
    },
    ...{ finish_reason: 'exception', exceptions: 2, error_code: 'FailedOperation.Record', error_message: 'msg: \\n', pauses: 4 },
    ...{ videos: [video], omitted: [{ video_time_ms: 5, pause_time_ms: now - 4_000, resume_time_ms: now - 3_000 }] },
  });
  await store([], [at(1), last]);
  await store([], [at(2), last]);
  await store([], [at(1)]);
  const shown = await client.query(
    `SELECT provider, app_id, task_id, room_id, group_id, record_user_id, status, ${ms('started_at')}, ${ms('stopped_at')}, total_ms, finish_reason, exceptions,
       error_code, error_message, pauses, videos, omitted, revision FROM recordings AS t WHERE app_id = 'a1'`,
  );
  const { first_seen_at: _f, updated_at: _u, last_change_at: _l, inputs: _i, revision, ...rest } = last;
  expect(shown).toEqual([{ ...rest, revision }]);
  const key = { provider: 'tencent', app_id: 'a1', task_id: last.task_id } as const;
  const found = await lookupRecordings(client, [key, { ...key, task_id: 'nobody' }]);
  expect([...found.keys()]).toEqual([`tencent:a1:${last.task_id}`]);
  expect(codecs.recording.decode(found.get(`tencent:a1:${last.task_id}`)!)).toMatchObject({ revision: 3, inputs: { length: 1 } });
  expect(await lookupRecordings(client, [])).toEqual(new Map());
});

test('a recording whose numbers fit no column leaves no trace', async () => {
  const chunk = new Chunk();
  chunk.addRecording(blankRecording({}), Buffer.from('f'));
  const { bytes } = chunk;
  const row = () => chunk.addRecording(blankRecording({ videos: [blankVideo({ size_bytes: -1 })] }), Buffer.from('f'));
  expect(row).toThrow(expect.objectContaining({ code: 'ROW_INVALID' }));
  expect([chunk.records, chunk.bytes]).toEqual([1, bytes]);
});

test('call_recordings are the calls and recordings of one app and room that overlap, as half-open intervals; an unknown end is now', async () => {
  const base = now - 60 * MINUTE;
  const call = (call_id: string, from: number, to: number | null, over: Partial<Call> = {}) =>
    blankCall({ app_id: 'a2', call_id, room_id: 'r', started_at: base + from, ended_at: to === null ? null : base + to, ...over });
  const recording = (task_id: string, from: number | null, to: number | null, over: Partial<Recording> = {}) =>
    blankRecording({
      app_id: 'a2',
      task_id,
      room_id: 'r',
      started_at: from === null ? null : base + from,
      stopped_at: to === null ? null : base + to,
      ...over,
    });
  await store(
    [
      call('before', 0, 10),
      call('meets the start', 5, 11),
      call('inside', 12, 15),
      call('touches the end', 20, 30),
      call('around', 0, 90),
      call('no time at all', 15, 15),
      call('open', 5, null),
      call('open, later', 50, null),
      call('merged', 12, 15, { end_reason: 'merged' }),
      call('other room', 12, 15, { room_id: 'R' }),
      call('no room', 12, 15, { room_id: '' }),
      call('other app', 12, 15, { app_id: 'a3' }),
    ],
    [
      recording('t', 10, 20),
      recording('goes on', 40, null),
      recording('no start', null, 20),
      recording('no time at all', 15, 15),
      recording('the wrong way round', 60, 1),
      recording('no room', 0, 90, { room_id: '' }),
    ],
  );
  const pairs = await client.query<{ call_id: string; task_id: string }>(
    "SELECT call_id, task_id FROM call_recordings WHERE app_id IN ('a2', 'a3') ORDER BY task_id, call_id",
  );
  expect(pairs.map((p) => `${p.task_id}: ${p.call_id}`)).toEqual([
    'goes on: around',
    'goes on: open',
    'goes on: open, later',
    't: around',
    't: inside',
    't: meets the start',
    't: open',
  ]);
});

test.each([1, 2, 3])('call_recordings are a recomputation from the latest records (seed %i)', async (seed) => {
  const dice = new Dice(seed * 104_729);
  const app = `random-${seed}`;
  const moment = () => now - 90 * MINUTE + dice.int(40) * MINUTE;
  const ids = <T extends string>(name: T, n: number) => `${name}${dice.int(n)}`;
  const first = new Map<string, number>();
  const seen = (id: string) => first.get(id) ?? first.set(id, now - dice.int(60) * DAY).get(id)!;
  const calls = Array.from({ length: 150 }, (_, i) => {
    const call_id = ids('c', 60);
    const over = { room_id: dice.pick(['r', 's', '', 'R']), end_reason: dice.pick(['normal', 'normal', 'merged', '']) };
    const times = { started_at: moment(), ended_at: dice.chance(0.2) ? null : moment(), first_seen_at: seen(call_id) };
    return blankCall({ app_id: `${app}${dice.int(2)}`, call_id, revision: i + 1, ...over, ...times });
  });
  const recordings = Array.from({ length: 120 }, (_, i) => {
    const task_id = ids('t', 40);
    const times = {
      started_at: dice.chance(0.1) ? null : moment(),
      stopped_at: dice.chance(0.2) ? null : moment(),
      first_seen_at: seen(task_id),
    };
    return blankRecording({ app_id: `${app}${dice.int(2)}`, task_id, room_id: dice.pick(['r', 's', '']), revision: i + 1, ...times });
  });
  for (let i = 0; i < 6; i++) {
    const some = <T>(list: readonly T[]): T[] => dice.shuffle(list.filter(() => dice.chance(0.4)));
    await store(some(calls), some(recordings));
  }
  await store(dice.shuffle([...calls]), dice.shuffle([...recordings]));
  const latest = <T extends { revision: number }>(list: readonly T[], keyOf: (t: T) => string) => [
    ...new Map([...list].sort((a, b) => a.revision - b.revision).map((t) => [keyOf(t), t])).values(),
  ];
  const expected = latest(calls, (c) => `${c.app_id}:${c.call_id}`).flatMap((c) =>
    latest(recordings, (r) => `${r.app_id}:${r.task_id}`).flatMap((r) => {
      if (c.end_reason === 'merged' || c.room_id === '' || c.room_id !== r.room_id || c.app_id !== r.app_id || r.started_at === null)
        return [];
      const overlap = Math.min(c.ended_at ?? now, r.stopped_at ?? now) - Math.max(c.started_at, r.started_at);
      return overlap <= 0
        ? []
        : [
            {
              call_id: c.call_id,
              task_id: r.task_id,
              app_id: c.app_id,
              started_at: r.started_at,
              call_started_at: c.started_at,
              call_ended_at: c.ended_at,
            },
          ];
    }),
  );
  const shown = await client.query(
    `SELECT call_id, task_id, app_id, ${ms('started_at')}, ${ms('call_started_at')}, ${ms('call_ended_at')} FROM call_recordings AS t
     WHERE startsWith(app_id, '${app}')`,
  );
  expect(expected.length).toBeGreaterThan(10);
  expect(json(shown)).toEqual(json(expected));
});
