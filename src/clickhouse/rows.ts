import type { Call, CallEvent, DeadLetter } from '../codec/generated.js';
import { TOPICS } from '../codec/topics.js';
import { shownBody } from './dead-letter-body.js';
import { RowError, type RowWriter } from './row-writer.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** A longer interval than a day can only come from odd times: its minutes are not written out one by one. */
const LONGEST_SPAN_MINUTES = 24 * 60;
const RAW_PREFIX = 'callstream.raw.';
/** Sources whose deliveries are all polled; of others, the event tells. */
const POLLED_SOURCES: ReadonlySet<string> = new Set(['call-record', 'user-event']);

/** Columns of a revision; of the latest revision too, followed by {@link LATEST_COLUMNS}. The order is that of {@link writeRevision}. */
export const REVISION_COLUMNS = [
  'provider',
  'app_id',
  'call_id',
  'room_id',
  'call_type',
  'media_type',
  'caller',
  'callees',
  'total_users',
  'status',
  'outcome',
  'end_reason',
  'started_at',
  'accepted_at',
  'ended_at',
  'ring_ms',
  'talk_ms',
  'missed',
  'missed_inclusive',
  'final',
  'sources',
  'anomalies',
  'first_seen_at',
  'updated_at',
  'revision',
] as const;

export const LATEST_COLUMNS = [...REVISION_COLUMNS, 'legs', 'records_only', 'state'] as const;

/** What the tables need of a Call record besides its bytes; the rest need not be decoded. */
export const CALL_FIELDS = [
  ...REVISION_COLUMNS,
  'legs',
  'records',
  'published_minutes',
  'span_from',
  'span_to',
] as const satisfies readonly (keyof Call)[];

export type CallRow = Pick<Call, (typeof CALL_FIELDS)[number]>;

export function writeRevision(w: RowWriter, c: CallRow): void {
  w.string(c.provider);
  w.string(c.app_id);
  w.string(c.call_id);
  w.string(c.room_id);
  w.string(c.call_type);
  w.string(c.media_type);
  w.string(c.caller);
  w.strings(c.callees);
  w.u64(c.total_users);
  w.string(c.status);
  w.string(c.outcome);
  w.string(c.end_reason);
  w.time(c.started_at);
  w.nullableTime(c.accepted_at);
  w.nullableTime(c.ended_at);
  w.u64(c.ring_ms);
  w.u64(c.talk_ms);
  w.bool(c.missed);
  w.bool(c.missed_inclusive);
  w.bool(c.final);
  w.strings(c.sources);
  w.strings(c.anomalies);
  w.time(c.first_seen_at);
  w.time(c.updated_at);
  w.u64(c.revision);
}

/** No callback has told of the call, only records that were polled; a status callback counts as one also where a record has won over it. */
const isFromRecordsOnly = ({ sources, records }: CallRow): boolean =>
  records.length > 0 && !sources.includes('event') && records.every(({ origin }) => origin === 'record');

/** What {@link LATEST_COLUMNS} has beyond a revision. `frame` is the record's value as it stands on the topic. */
export function writeLegsAndState(w: RowWriter, c: CallRow, frame: Uint8Array): void {
  w.count(c.legs.length);
  for (const leg of c.legs) {
    w.string(leg.user_id);
    w.string(leg.role);
    w.string(leg.outcome);
    w.nullableTime(leg.rang_at);
    w.nullableTime(leg.joined_at);
    w.nullableTime(leg.left_at);
    w.u64(leg.talk_ms);
    w.bool(leg.missed);
    w.bool(leg.missed_inclusive);
    w.string(leg.platform);
    w.nullableTime(leg.media_joined_at);
    w.nullableTime(leg.media_left_at);
    w.i32(leg.media_drops);
  }
  w.bool(isFromRecordsOnly(c));
  w.bytes(frame);
}

export const EVENT_COLUMNS = [
  'provider',
  'app_id',
  'call_id',
  'room_id',
  'user_id',
  'role',
  'event',
  'event_at',
  'received_at',
  'source',
  'platform',
  'call_result',
  'event_id',
  'raw_topic',
  'raw_partition',
  'raw_offset',
  'raw_index',
  'detail',
  'version',
] as const;

export function writeEvent(w: RowWriter, e: CallEvent): void {
  w.string(e.provider);
  w.string(e.app_id);
  w.string(e.call_id);
  w.string(e.room_id);
  w.string(e.user_id);
  w.string(e.role);
  w.string(e.event);
  w.nullableTime(e.event_at);
  w.time(e.received_at);
  w.string(e.source);
  w.string(e.platform);
  w.string(e.call_result);
  w.string(e.event_id);
  w.string(e.raw_topic);
  w.i32(e.raw_partition);
  w.u64(e.raw_offset);
  w.i32(e.raw_index);
  w.string(e.detail);
  w.raw(versionOf(e));
}

/**
 * UInt256 that falls as (received_at, raw_topic, raw_partition, raw_offset, raw_index) rises: the bytes of these, most significant first,
 * complemented. Of a topic the 8 bytes after `callstream.raw.` count: no two raw topics share them.
 */
function versionOf(e: CallEvent): Uint8Array {
  const v = new Uint8Array(32);
  const view = new DataView(v.buffer);
  view.setUint32(0, e.raw_index, true);
  view.setUint32(4, e.raw_offset % 0x1_0000_0000, true);
  view.setUint32(8, Math.floor(e.raw_offset / 0x1_0000_0000), true);
  view.setUint32(12, e.raw_partition, true);
  const topic = e.raw_topic.startsWith(RAW_PREFIX) ? e.raw_topic.slice(RAW_PREFIX.length) : e.raw_topic;
  for (let i = 0; i < 8; i++) v[23 - i] = i < topic.length ? topic.charCodeAt(i) : 0;
  view.setUint32(24, e.received_at % 0x1_0000_0000, true);
  view.setUint32(28, Math.floor(e.received_at / 0x1_0000_0000), true);
  for (let i = 0; i < 32; i++) v[i]! ^= 0xff;
  return v;
}

export const DELIVERY_COLUMNS = [
  'raw_topic',
  'raw_partition',
  'raw_offset',
  'raw_index',
  'app_id',
  'source',
  'received_at',
  'delay_ms',
  'event_id',
  'dead_stage',
  'dead_reason',
  'dead',
  'undelivered',
  'event_hour',
] as const;

/** The delivery that an event came with. */
export function writeDelivery(w: RowWriter, e: CallEvent): void {
  w.string(e.raw_topic);
  w.i32(e.raw_partition);
  w.u64(e.raw_offset);
  w.i32(e.raw_index);
  w.string(e.app_id);
  w.string(e.source);
  w.time(e.received_at);
  w.nullableI64(e.event_at === null || e.polled || POLLED_SOURCES.has(e.source) ? null : e.received_at - e.event_at);
  w.string(e.event_id);
  w.string('');
  w.string('');
  w.u8(0);
  w.u8(e.undelivered ? 1 : 0);
  w.i32(hourOf(e.event_at));
}

/** The hour of an event since 1970, the same for every delivery of it; 0 where the vendor gave no time. */
const hourOf = (at: number | null): number => (at === null ? 0 : Math.floor(at / HOUR));

/**
 * True when a dead letter stands for one vendor's delivery: one of a raw topic, or the one event that was made of it. What goes by the late topic has come
 * by its raw topic before.
 */
export const isDelivery = (d: DeadLetter): boolean =>
  d.origin_topic === TOPICS.callEvents.name || (d.origin_topic.startsWith(RAW_PREFIX) && d.origin_topic !== TOPICS.rawLate.name);

/** The delivery that ended as a dead letter; see {@link isDelivery}. */
export function writeDeadDelivery(w: RowWriter, d: DeadLetter): void {
  w.string(d.origin_topic);
  w.i32(d.origin_partition);
  w.u64(d.origin_offset);
  w.i32(d.origin_index);
  w.string(d.app_id);
  w.string(d.source);
  w.time(d.received_at);
  w.nullableI64(null);
  w.string('');
  w.string(d.stage);
  w.string(d.reason);
  w.u8(1);
  w.u8(0);
  w.i32(0);
}

export const DEAD_LETTER_COLUMNS = [
  'stage',
  'reason',
  'error',
  'source',
  'app_id',
  'received_at',
  'origin_topic',
  'origin_partition',
  'origin_offset',
  'origin_index',
  'key',
  'body',
] as const;

export function writeDeadLetter(w: RowWriter, d: DeadLetter): void {
  w.string(d.stage);
  w.string(d.reason);
  w.string(d.error);
  w.string(d.source);
  w.string(d.app_id);
  w.time(d.received_at);
  w.string(d.origin_topic);
  w.i32(d.origin_partition);
  w.u64(d.origin_offset);
  w.i32(d.origin_index);
  w.string(d.key);
  w.bytes(shownBody(d));
}

export const TOUCHED_COLUMNS = ['kind', 'app_id', 'bucket'] as const;

/** A minute whose rollup must be made anew. */
export interface Touch {
  kind: 'metrics' | 'concurrency';
  app_id: string;
  /** Start of the minute, epoch ms. */
  bucket: number;
}

export function writeTouch(w: RowWriter, t: Touch): void {
  w.u8(t.kind === 'metrics' ? 1 : 2);
  w.string(t.app_id);
  w.second(t.bucket / 1000);
}

/** Minutes of a call that its rollups may have to change in. `historic`: also those of every earlier revision, which only the history table knows. */
export interface TouchedMinutes {
  metrics: number[];
  concurrency: number[];
  historic: boolean;
}

/** A DateTime is 32 bits of seconds: until 2106. */
const LAST_MINUTE = 0xffff_ffff * 1000;

function minuteOf(ms: number): number {
  if (!Number.isSafeInteger(ms) || ms < 0 || ms > LAST_MINUTE) throw new RowError(`${ms} is no time that a rollup can hold`);
  return ms - (ms % MINUTE);
}

function startMinutes(c: CallRow): number[] {
  const started = minuteOf(c.started_at);
  const published = c.published_minutes;
  // Nearly every call keeps its minute.
  if (published.length === 0 || (published.length === 1 && published[0] === started)) return [started];
  return [...new Set([...published.map(minuteOf), started])];
}

/**
 * The minutes that this revision touches: every minute of started_at it was ever published under, and, as edges of earlier intervals may lie anywhere in
 * between, every minute from the earliest accepted_at to the latest ended_at published when it was over.
 * @throws RowError
 */
export function touchesOf(c: CallRow): TouchedMinutes {
  const metrics = startMinutes(c);
  const over = c.status === 'ended';
  if (c.span_from === null && c.span_to === null && (!over || c.accepted_at === null)) return { metrics, concurrency: [], historic: false };
  const froms = [c.span_from, over ? c.accepted_at : null].filter((t) => t !== null);
  const tos = [c.span_to, over ? c.ended_at : null].filter((t) => t !== null);
  if (froms.length === 0 || tos.length === 0) return { metrics, concurrency: [], historic: false };
  const from = minuteOf(Math.min(...froms, ...tos));
  const to = minuteOf(Math.max(...froms, ...tos));
  const minutes = (to - from) / MINUTE + 1;
  if (minutes <= LONGEST_SPAN_MINUTES) {
    return { metrics, concurrency: Array.from({ length: minutes }, (_, i) => from + i * MINUTE), historic: false };
  }
  return { metrics, concurrency: [...new Set([...froms, ...tos].map(minuteOf))], historic: true };
}
