import type { Row } from './query.js';

/** A call as the API shows it: the columns of relation `calls`, times in epoch milliseconds, null where unknown. */
export interface CallView {
  provider: string;
  app_id: string;
  call_id: string;
  room_id: string;
  call_type: string;
  media_type: string;
  caller: string;
  callees: string[];
  total_users: number;
  status: string;
  outcome: string;
  end_reason: string;
  started_at: number;
  accepted_at: number | null;
  ended_at: number | null;
  ring_ms: number;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
  final: boolean;
  sources: string[];
  anomalies: string[];
  first_seen_at: number;
  updated_at: number;
  revision: number;
}

/** One user of a call: the columns of relation `call_legs` that are not the call's own. */
export interface LegView {
  user_id: string;
  role: string;
  outcome: string;
  rang_at: number | null;
  joined_at: number | null;
  left_at: number | null;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
  platform: string;
  media_joined_at: number | null;
  media_left_at: number | null;
  media_drops: number;
}

/** One distinct input of a call: the columns of relation `call_events`. `detail` is JSON text. */
export interface EventView {
  event: string;
  user_id: string;
  role: string;
  event_at: number;
  received_at: number;
  source: string;
  platform: string;
  call_result: string;
  event_id: string;
  raw_topic: string;
  raw_partition: number;
  raw_offset: number;
  detail: string;
}

const millis = (columns: readonly string[]): string => columns.map((c) => `toUnixTimestamp64Milli(t.${c}) AS ${c}`).join(', ');
const plain = (columns: readonly string[]): string => columns.map((c) => `t.${c} AS ${c}`).join(', ');

/** Select lists. The relation's alias is `t`; conditions must name its columns with it, for a bare name would mean the converted one. */
export const CALL_COLUMNS = `${plain([
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
  'ring_ms',
  'talk_ms',
  'missed',
  'missed_inclusive',
  'final',
  'sources',
  'anomalies',
  'revision',
])}, ${millis(['started_at', 'accepted_at', 'ended_at', 'first_seen_at', 'updated_at'])}`;

export const LEG_COLUMNS = `${plain([
  'user_id',
  'role',
  'outcome',
  'talk_ms',
  'missed',
  'missed_inclusive',
  'platform',
  'media_drops',
])}, ${millis(['rang_at', 'joined_at', 'left_at', 'media_joined_at', 'media_left_at'])}`;

export const EVENT_COLUMNS = `${plain([
  'event',
  'user_id',
  'role',
  'source',
  'platform',
  'call_result',
  'event_id',
  'raw_topic',
  'raw_partition',
  'raw_offset',
  'detail',
])}, ${millis(['event_at', 'received_at'])}`;

/** Numbers below 2^53 only: counts, milliseconds, offsets. ClickHouse may quote 64-bit integers. */
export const num = (value: unknown): number => Number(value ?? 0);
const at = (value: unknown): number | null => (value === null || value === undefined ? null : Number(value));
const flag = (value: unknown): boolean => value === true || num(value) === 1;
const text = (value: unknown): string => (typeof value === 'string' ? value : String(value ?? ''));
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(text) : []);

export function toCall(row: Row): CallView {
  return {
    provider: text(row.provider),
    app_id: text(row.app_id),
    call_id: text(row.call_id),
    room_id: text(row.room_id),
    call_type: text(row.call_type),
    media_type: text(row.media_type),
    caller: text(row.caller),
    callees: texts(row.callees),
    total_users: num(row.total_users),
    status: text(row.status),
    outcome: text(row.outcome),
    end_reason: text(row.end_reason),
    started_at: num(row.started_at),
    accepted_at: at(row.accepted_at),
    ended_at: at(row.ended_at),
    ring_ms: num(row.ring_ms),
    talk_ms: num(row.talk_ms),
    missed: flag(row.missed),
    missed_inclusive: flag(row.missed_inclusive),
    final: flag(row.final),
    sources: texts(row.sources),
    anomalies: texts(row.anomalies),
    first_seen_at: num(row.first_seen_at),
    updated_at: num(row.updated_at),
    revision: num(row.revision),
  };
}

export function toLeg(row: Row): LegView {
  return {
    user_id: text(row.user_id),
    role: text(row.role),
    outcome: text(row.outcome),
    rang_at: at(row.rang_at),
    joined_at: at(row.joined_at),
    left_at: at(row.left_at),
    talk_ms: num(row.talk_ms),
    missed: flag(row.missed),
    missed_inclusive: flag(row.missed_inclusive),
    platform: text(row.platform),
    media_joined_at: at(row.media_joined_at),
    media_left_at: at(row.media_left_at),
    media_drops: num(row.media_drops),
  };
}

export function toEvent(row: Row): EventView {
  return {
    event: text(row.event),
    user_id: text(row.user_id),
    role: text(row.role),
    event_at: num(row.event_at),
    received_at: num(row.received_at),
    source: text(row.source),
    platform: text(row.platform),
    call_result: text(row.call_result),
    event_id: text(row.event_id),
    raw_topic: text(row.raw_topic),
    raw_partition: num(row.raw_partition),
    raw_offset: num(row.raw_offset),
    detail: text(row.detail),
  };
}
