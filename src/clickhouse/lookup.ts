import { Buffer } from 'node:buffer';
import type { CallEvent } from '../codec/generated.js';
import { type ChannelKey, channelKey } from '../domain/channel.js';
import { joinKey } from '../domain/key.js';
import { type RecordingKey, recordingKey } from '../domain/recording.js';
import type { CallKey } from '../domain/types.js';
import type { ClickHouse } from './client.js';
import { keysOf, roomKeysOf, taskKeysOf } from './keys.js';
import { requireComplete } from './rebuilds.js';
import { CALL_EVENTS, rowOf, selectOf } from './relations.js';

const TIMEOUT_MS = 30_000;

/**
 * The latest published record of each call that is stored: the value as it stood on `callstream.calls`, by {@link joinKey}. One query for all keys. Never of a
 * channel session, which is not the sessions worker's.
 * @throws ClickHouseFailure
 */
export async function lookupCalls(client: ClickHouse, keys: readonly CallKey[]): Promise<Map<string, Buffer>> {
  if (keys.length === 0) return new Map();
  await requireComplete(client);
  // The history is ordered by call id and knows where in calls_latest (ordered by first_seen_at) the call lies.
  const rows = await client.query<CallKey & { frame: string }>(
    `SELECT provider, app_id, call_id, base64Encode(argMax(state, revision)) AS frame
     FROM calls_latest
     WHERE (app_id, first_seen_at, call_id) IN (SELECT app_id, first_seen_at, call_id FROM call_revisions WHERE (app_id, call_id) IN ${keysOf(keys)} AND NOT has(sources, 'channel'))
     GROUP BY provider, app_id, call_id`,
    {},
    TIMEOUT_MS,
  );
  const wanted = new Set(keys.map(joinKey));
  return new Map(rows.filter((row) => wanted.has(joinKey(row))).map((row) => [joinKey(row), Buffer.from(row.frame, 'base64')]));
}

/**
 * The latest published record of each recording that is stored: the value as it stood on `callstream.recordings`, by {@link recordingKey}. One query for
 * all keys.
 * @throws ClickHouseFailure
 */
export async function lookupRecordings(client: ClickHouse, keys: readonly RecordingKey[]): Promise<Map<string, Buffer>> {
  if (keys.length === 0) return new Map();
  await requireComplete(client);
  const rows = await client.query<RecordingKey & { frame: string }>(
    `SELECT provider, app_id, task_id, base64Encode(argMax(state, revision)) AS frame
     FROM recordings_latest
     WHERE (app_id, task_id) IN ${taskKeysOf(keys)}
     GROUP BY provider, app_id, task_id`,
    {},
    TIMEOUT_MS,
  );
  const wanted = new Set(keys.map(recordingKey));
  return new Map(rows.filter((row) => wanted.has(recordingKey(row))).map((row) => [recordingKey(row), Buffer.from(row.frame, 'base64')]));
}

/**
 * The latest published records of sessions of these channels, by {@link channelKey}: of all that end no earlier than `from` (epoch ms) or not at all, and of whatever
 * began no earlier than the first of these, such as names that were folded into one. One query for all channels.
 * @throws ClickHouseFailure
 */
export async function lookupChannels(client: ClickHouse, keys: readonly ChannelKey[], from: number): Promise<Map<string, Buffer[]>> {
  if (keys.length === 0) return new Map();
  await requireComplete(client);
  // The states are large: only those of the sessions that are wanted are read.
  const rows = await client.query<{ provider: string; app_id: string; room_id: string; frame: string }>(
    `SELECT provider, app_id, room_id, base64Encode(argMax(state, revision)) AS frame
     FROM calls_latest
     WHERE (app_id, first_seen_at, call_id) IN
     (
         SELECT app_id, first_seen_at, call_id
         FROM
         (
             SELECT *, minIf(started, late) OVER (PARTITION BY provider, app_id, room_id) AS first, countIf(late) OVER (PARTITION BY provider, app_id, room_id) AS some
             FROM
             (
                 SELECT
                     provider, app_id, room_id, call_id, first_seen_at,
                     argMax(started_at, revision) AS started,
                     argMax(isNull(ended_at) OR ended_at >= fromUnixTimestamp64Milli({from:Int64}), revision) AS late
                 FROM calls_latest
                 WHERE (app_id, room_id) IN ${roomKeysOf(keys)} AND has(sources, 'channel')
                 GROUP BY provider, app_id, room_id, call_id, first_seen_at
             )
         )
         WHERE some > 0 AND started >= first
     )
     GROUP BY provider, app_id, room_id, call_id`,
    { from },
    TIMEOUT_MS,
  );
  const found = new Map<string, Buffer[]>(keys.map((key) => [channelKey(key), []]));
  for (const { frame, room_id, ...key } of rows) found.get(channelKey({ ...key, channel_id: room_id }))?.push(Buffer.from(frame, 'base64'));
  return found;
}

/** Which calls to find: of one app or all, that started in [from, to) (epoch ms). */
export interface CallRange {
  from: number;
  to: number;
  app_id?: string;
}

/** Keys of the calls of a range, by start; not of channel sessions, which have no inputs under their own ids. */
export function findCalls(client: ClickHouse, range: CallRange): Promise<CallKey[]> {
  return client.query<CallKey>(
    `SELECT provider, app_id, call_id FROM calls
     WHERE started_at >= fromUnixTimestamp64Milli({from:Int64}) AND started_at < fromUnixTimestamp64Milli({to:Int64}) AND NOT has(sources, 'channel')
       ${range.app_id === undefined ? '' : 'AND app_id = {app:String}'}
     ORDER BY started_at, app_id, call_id`,
    { from: range.from, to: range.to, app: range.app_id ?? '' },
    TIMEOUT_MS,
  );
}

const PARTIES = { call_id: 'text', room_id: 'text', caller: 'text', callees: 'texts', started_at: 'time', ended_at: 'time?' } as const;

/** A call that is over, as its media events are asked for. */
export interface FinishedCall {
  call_id: string;
  room_id: string;
  users: string[];
  /** The value as it stood on the topic. */
  state: Buffer;
  /** Epoch milliseconds. */
  started_at: number;
  ended_at: number | null;
}

/** The calls of an app that started in [from, to) (epoch ms) and are over, by start. Sessions of channels are none. */
export async function findFinishedCalls(client: ClickHouse, range: Required<CallRange>): Promise<FinishedCall[]> {
  const rows = await client.query<Record<string, unknown>>(
    `SELECT ${selectOf(PARTIES)}, base64Encode(t.state) AS frame
     FROM calls_latest AS t FINAL
     WHERE t.started_at >= fromUnixTimestamp64Milli({from:Int64}) AND t.started_at < fromUnixTimestamp64Milli({to:Int64})
       AND t.app_id = {app:String} AND t.status = 'ended' AND t.call_type != 'channel'
     ORDER BY t.started_at, t.call_id`,
    { from: range.from, to: range.to, app: range.app_id },
    TIMEOUT_MS,
  );
  return rows.map((row) => {
    const { caller, callees, ...call } = rowOf(PARTIES, row);
    return { ...call, users: caller === '' ? callees : [caller, ...callees], state: Buffer.from(String(row.frame), 'base64') };
  });
}

/** One distinct input of a call as `call_events` has it, with what a fold needs: unknown times stay unknown. Times in epoch ms. */
export type StoredInput = Omit<CallEvent, 'polled' | 'undelivered'> & CallKey;

const STORED_INPUT = { ...CALL_EVENTS, event_at: 'time?', raw_index: 'number' } as const;

/** Every distinct input of a call, by arrival. */
export async function inputsOf(client: ClickHouse, key: CallKey): Promise<StoredInput[]> {
  const rows = await client.query<Record<string, unknown>>(
    `SELECT ${selectOf(STORED_INPUT)}
     FROM call_event_rows AS t FINAL
     WHERE (t.app_id, t.call_id) IN ${keysOf([key])} AND t.provider = {provider:String}
     ORDER BY t.received_at, t.raw_topic, t.raw_partition, t.raw_offset, t.raw_index`,
    { provider: key.provider },
    TIMEOUT_MS,
  );
  return rows.map((row) => ({ ...rowOf(STORED_INPUT, row), provider: key.provider }));
}
