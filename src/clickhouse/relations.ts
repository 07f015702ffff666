/** What a column of a relation holds, and what becomes of it in a plain record: times are epoch milliseconds, counts numbers (below 2^53). */
interface Values {
  text: string;
  texts: string[];
  /** Named tuples; times and units are in the names. */
  objects: Record<string, unknown>[];
  number: number;
  'number?': number | null;
  flag: boolean;
  time: number;
  'time?': number | null;
  /** A DateTime: whole seconds. */
  bucket: number;
}

export type Kind = keyof Values;
export type Columns = Readonly<Record<string, Kind>>;
export type RowOf<C extends Columns> = { -readonly [Name in keyof C]: Values[C[Name]] };

const text = (value: unknown): string => (typeof value === 'string' ? value : String(value ?? ''));
const number = (value: unknown): number => Number(value ?? 0);
const nullable = (value: unknown): number | null => (value === null || value === undefined ? null : Number(value));

/** ClickHouse may quote 64-bit integers, and writes a Bool as true or 1. */
const READ: { readonly [K in Kind]: (value: unknown) => Values[K] } = {
  text,
  texts: (value) => (Array.isArray(value) ? value.map(text) : []),
  objects: (value) => (Array.isArray(value) ? value : []),
  number,
  'number?': nullable,
  flag: (value) => value === true || number(value) === 1,
  time: number,
  'time?': nullable,
  bucket: number,
};

function selected(name: string, kind: Kind): string {
  if (kind === 'time' || kind === 'time?') return `toUnixTimestamp64Milli(t.${name}) AS ${name}`;
  return kind === 'bucket' ? `toUnixTimestamp(t.${name}) * 1000 AS ${name}` : `t.${name} AS ${name}`;
}

/** The select list of the columns. The relation's alias is `t`; conditions must name its columns with it, for a bare name means the converted one. */
export const selectOf = (columns: Columns): string =>
  Object.entries(columns)
    .map(([name, kind]) => selected(name, kind))
    .join(', ');

/** A row as {@link selectOf} gave it. */
export const rowOf = <C extends Columns>(columns: C, row: Readonly<Record<string, unknown>>): RowOf<C> =>
  Object.fromEntries(Object.entries(columns).map(([name, kind]) => [name, READ[kind](row[name])])) as RowOf<C>;

export const CALL_ID = { provider: 'text', app_id: 'text', call_id: 'text' } as const satisfies Columns;

/** Relation `calls`. */
export const CALLS = {
  ...CALL_ID,
  room_id: 'text',
  call_type: 'text',
  media_type: 'text',
  caller: 'text',
  callees: 'texts',
  total_users: 'number',
  status: 'text',
  outcome: 'text',
  end_reason: 'text',
  started_at: 'time',
  accepted_at: 'time?',
  ended_at: 'time?',
  ring_ms: 'number',
  talk_ms: 'number',
  missed: 'flag',
  missed_inclusive: 'flag',
  final: 'flag',
  sources: 'texts',
  anomalies: 'texts',
  first_seen_at: 'time',
  updated_at: 'time',
  revision: 'number',
} as const satisfies Columns;

/** What `call_legs` says of the user alone. */
export const LEG = {
  user_id: 'text',
  role: 'text',
  outcome: 'text',
  rang_at: 'time?',
  joined_at: 'time?',
  left_at: 'time?',
  talk_ms: 'number',
  missed: 'flag',
  missed_inclusive: 'flag',
  platform: 'text',
  media_joined_at: 'time?',
  media_left_at: 'time?',
  media_drops: 'number',
} as const satisfies Columns;

/** Relation `call_legs`. */
export const CALL_LEGS = { ...CALL_ID, ...LEG, call_started_at: 'time', revision: 'number' } as const satisfies Columns;

/** What `call_events` says of the input alone; `detail` is JSON text. */
export const EVENT = {
  event: 'text',
  user_id: 'text',
  role: 'text',
  event_at: 'time',
  received_at: 'time',
  source: 'text',
  platform: 'text',
  call_result: 'text',
  event_id: 'text',
  raw_topic: 'text',
  raw_partition: 'number',
  raw_offset: 'number',
  detail: 'text',
} as const satisfies Columns;

/** Relation `call_events`. */
export const CALL_EVENTS = { ...CALL_ID, room_id: 'text', ...EVENT } as const satisfies Columns;

/** Relation `recordings`. */
export const RECORDINGS = {
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
  videos: 'objects',
  omitted: 'objects',
  revision: 'number',
} as const satisfies Columns;

/** What `call_recordings` says of the recording. */
export const CALL_RECORDING = {
  task_id: 'text',
  room_id: 'text',
  status: 'text',
  started_at: 'time?',
  stopped_at: 'time?',
  total_ms: 'number',
  finish_reason: 'text',
  videos: 'objects',
} as const satisfies Columns;

/** Relation `missed_unreturned`. */
export const MISSED_UNRETURNED = {
  app_id: 'text',
  caller: 'text',
  callee: 'text',
  missed_count: 'number',
  first_missed_at: 'time',
  last_missed_at: 'time',
} as const satisfies Columns;

/** Relation `alerts`. */
export const ALERTS = {
  rule: 'text',
  app_id: 'text',
  state: 'text',
  metric: 'text',
  value: 'number',
  n: 'number',
  threshold: 'number',
  window_ms: 'number',
  silenced: 'flag',
  fired_at: 'time',
  resolved_at: 'time?',
} as const satisfies Columns;
