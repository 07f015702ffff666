import type { RawDelivery } from './deliveries.js';
import { PROVIDERS, SOURCE_NAMES, type SourceName } from './read-source.js';
import type { DeadReading, Reading } from './reading.js';

/** The row of `call_events` for a distinct input. Those of recordings and channels stand under call ids that are no call's. */
export interface TruthEvent {
  provider: string;
  app_id: string;
  call_id: string;
  room_id: string;
  user_id: string;
  role: string;
  /** The event's name; `record` for a record of either kind, `media` for a poll. */
  event: string;
  /** null: unknown; then the relation shows the arrival. */
  event_at: number | null;
  received_at: number;
  source: string;
  platform: string;
  call_result: string;
  raw_topic: string;
  raw_partition: number;
  raw_offset: number;
}

const TOPICS = Object.fromEntries(SOURCE_NAMES.map((source) => [source, `callstream.raw.${source}`])) as Record<SourceName, string>;

/** @param raw the first delivery of the input */
export function eventOf(reading: Exclude<Reading, DeadReading>, raw: RawDelivery): TruthEvent {
  return {
    provider: PROVIDERS[raw.source],
    app_id: raw.app_id,
    role: '',
    platform: '',
    call_result: '',
    ...saidBy(reading),
    event_at: reading.kind === 'media' ? null : reading.event_at,
    received_at: raw.received_at,
    source: raw.source,
    raw_topic: TOPICS[raw.source],
    raw_partition: raw.partition,
    raw_offset: raw.offset,
  };
}

type Said = Pick<TruthEvent, 'call_id' | 'room_id' | 'user_id' | 'event'> & Partial<Pick<TruthEvent, 'role' | 'platform' | 'call_result'>>;

function saidBy(reading: Exclude<Reading, DeadReading>): Said {
  switch (reading.kind) {
    case 'event':
    case 'status': {
      const { call_id, room_id, user_id, role, platform, call_result } = reading;
      return { call_id, room_id, user_id, role, platform, call_result, event: reading.kind === 'event' ? reading.event : 'record' };
    }
    case 'record':
      return { call_id: reading.call_id, room_id: reading.room_id, user_id: '', event: 'record', call_result: reading.call_result };
    case 'media':
      return { call_id: reading.call_id, room_id: reading.room_id, user_id: reading.user_id, event: 'media' };
    case 'recording':
      return { call_id: `recording:${reading.task_id}`, room_id: reading.room_id, user_id: reading.user_id, event: reading.event };
    case 'channel':
      return { call_id: `channel:${reading.channel_id}`, room_id: reading.channel_id, user_id: reading.user_id, event: reading.event };
  }
}
