import { CALL_ID, type Columns, CALL_RECORDING as OF_CALL, RECORDINGS, type RowOf, rowOf, selectOf } from '../../clickhouse/relations.js';
import type { Omission, Video } from '../truth/reading.js';
import type { Query } from './ports.js';
import { TIMEOUT_MS } from './rows.js';

/** Lists of tuples are asked for as JSON text. */
const { videos: _videos, omitted: _omitted, ...RECORDING } = RECORDINGS;
const { videos: _, ...OF_RECORDING } = OF_CALL;
const CALL_RECORDING = { ...CALL_ID, ...OF_RECORDING, call_started_at: 'time', call_ended_at: 'time?' } as const satisfies Columns;

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
