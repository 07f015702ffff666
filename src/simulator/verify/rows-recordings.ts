import { type Columns, type RowOf, rowOf, selectOf } from '../../clickhouse/relations.js';
import type { Omission, Video } from '../truth/reading.js';
import type { Query } from './ports.js';
import { TIMEOUT_MS } from './rows.js';

const RECORDING = {
  provider: 'text',
  app_id: 'text',
  task_id: 'text',
  room_id: 'text',
  group_id: 'text',
  record_user_id: 'text',
  status: 'text',
  started_at: 'time?',
  stopped_at: 'time?',
  total_ms: 'number',
  finish_reason: 'text',
  exceptions: 'number',
  error_code: 'text',
  error_message: 'text',
  pauses: 'number',
  revision: 'number',
} as const satisfies Columns;

const CALL_RECORDING = {
  call_id: 'text',
  task_id: 'text',
  provider: 'text',
  app_id: 'text',
  room_id: 'text',
  status: 'text',
  started_at: 'time?',
  stopped_at: 'time?',
  total_ms: 'number',
  finish_reason: 'text',
  call_started_at: 'time',
  call_ended_at: 'time?',
} as const satisfies Columns;

/** Lists of tuples, as JSON text. */
const selected = (columns: Columns, ...lists: string[]): string =>
  [selectOf(columns), ...lists.map((name) => `toJSONString(t.${name}) AS ${name}`)].join(', ');

/** ClickHouse may quote 64-bit integers: those columns that hold numbers are numbers here. */
function listOf<T>(text: unknown, numbers: readonly string[]): T[] {
  const parsed = JSON.parse(String(text)) as Record<string, unknown>[];
  return parsed.map((tuple) =>
    Object.fromEntries(Object.entries(tuple).map(([name, value]) => [name, numbers.includes(name) ? Number(value) : value])),
  ) as T[];
}

const VIDEO_NUMBERS = ['play_time_ms', 'duration_ms', 'size_bytes', 'width', 'height'];
const OMISSION_NUMBERS = ['video_time_ms', 'pause_time_ms', 'resume_time_ms'];

export async function recordingRows(
  query: Query,
  apps: readonly string[],
): Promise<(RowOf<typeof RECORDING> & { videos: Video[]; omitted: Omission[] })[]> {
  const found = await query<Record<string, unknown>>(
    `SELECT ${selected(RECORDING, 'videos', 'omitted')} FROM recordings AS t WHERE t.app_id IN {apps:Array(String)}`,
    { apps },
    TIMEOUT_MS,
  );
  return found.map((row) => ({
    ...rowOf(RECORDING, row),
    videos: listOf<Video>(row.videos, VIDEO_NUMBERS),
    omitted: listOf<Omission>(row.omitted, OMISSION_NUMBERS),
  }));
}

export async function callRecordingRows(
  query: Query,
  apps: readonly string[],
): Promise<(RowOf<typeof CALL_RECORDING> & { videos: Video[] })[]> {
  const found = await query<Record<string, unknown>>(
    `SELECT ${selected(CALL_RECORDING, 'videos')} FROM call_recordings AS t WHERE t.app_id IN {apps:Array(String)}`,
    { apps },
    TIMEOUT_MS,
  );
  return found.map((row) => ({ ...rowOf(CALL_RECORDING, row), videos: listOf<Video>(row.videos, VIDEO_NUMBERS) }));
}
