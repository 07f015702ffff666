import { createHash } from 'node:crypto';
import { getOrMake } from '../maps.js';
import type { Input } from './call.js';
import type { Reading } from './read.js';
import { readAll } from './read-v4.js';

/** One record of the raw topic. */
export interface RawDelivery {
  partition: number;
  offset: number;
  app_id: string;
  query: string;
  body: Buffer;
  received_at: number;
}

export interface TruthEvent {
  call_id: string;
  app_id: string;
  room_id: string;
  user_id: string;
  role: string;
  /** The event's name, or `record` for a status callback. */
  event: string;
  event_at: number | null;
  received_at: number;
  platform: string;
  call_result: string;
  raw_partition: number;
  raw_offset: number;
}

export interface TruthDeadLetter {
  app_id: string;
  why: Extract<Reading, { kind: 'dead' }>['why'];
  received_at: number;
  partition: number;
  offset: number;
  /** Of the body. */
  sha1: string;
}

interface MinuteCount {
  received: number;
  duplicates: number;
  folded: number;
  dead: number;
}

export const callKey = (app_id: string, call_id: string): string => JSON.stringify([app_id, call_id]);
export const sha1 = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('hex');

const MINUTE = 60_000;

/**
 * All deliveries of the raw topic, sorted out: which calls they make, what is folded, duplicate or dead (contract §7.2). Deliveries of calls
 * that are not the run's own are only counted.
 */
export class TruthDeliveries {
  /** Inputs of the run's own calls. */
  readonly calls = new Map<string, { app_id: string; call_id: string; inputs: Input[] }>();
  /** Every call that the topic knows, the run's own or not. */
  readonly allCalls = new Set<string>();
  readonly events = new Map<string, TruthEvent>();
  readonly deadLetters: TruthDeadLetter[] = [];
  readonly minutes = new Map<string, MinuteCount>();
  readonly #first = new Map<string, { at: [number, number, number]; minute: MinuteCount }>();

  /** @param own the request belongs to the run, so its call does */
  add(raw: RawDelivery, own: boolean): void {
    for (const reading of readAll(raw.query, raw.body)) this.#take(reading, raw, own);
  }

  #take(reading: Reading, raw: RawDelivery, own: boolean): void {
    const minute = this.#minute(raw.app_id, raw.received_at);
    minute.received++;
    if (reading.kind === 'dead') {
      minute.dead++;
      if (own) {
        const { app_id, received_at, partition, offset } = raw;
        this.deadLetters.push({ app_id, why: reading.why, received_at, partition, offset, sha1: sha1(raw.body) });
      }
      return;
    }
    const key = callKey(raw.app_id, reading.call_id);
    this.allCalls.add(key);
    const identity =
      reading.kind === 'event'
        ? JSON.stringify([key, reading.user_id, reading.event, reading.event_at])
        : JSON.stringify([key, sha1(raw.body)]);
    const at: [number, number, number] = [raw.received_at, raw.partition, raw.offset];
    const earlier = this.#first.get(identity);
    const isFirst = earlier === undefined || before(at, earlier.at);
    minute.folded += isFirst ? 1 : 0;
    minute.duplicates += isFirst ? 0 : 1;
    if (isFirst && earlier) {
      earlier.minute.folded--;
      earlier.minute.duplicates++;
    }
    if (isFirst) this.#first.set(identity, { at, minute });
    if (!own) return;
    const call = getOrMake(this.calls, key, () => ({ app_id: raw.app_id, call_id: reading.call_id, inputs: [] }));
    call.inputs.push({ reading, body: raw.body, received_at: raw.received_at });
    if (!isFirst) return;
    this.events.set(identity, {
      call_id: reading.call_id,
      app_id: raw.app_id,
      room_id: reading.room_id,
      user_id: reading.user_id,
      role: reading.role,
      event: reading.kind === 'event' ? reading.event : 'record',
      event_at: reading.event_at,
      received_at: raw.received_at,
      platform: reading.platform,
      call_result: reading.call_result,
      raw_partition: raw.partition,
      raw_offset: raw.offset,
    });
  }

  #minute(app_id: string, received_at: number): MinuteCount {
    const key = deliveryMinuteKey(app_id, Math.floor(received_at / MINUTE) * MINUTE);
    return getOrMake(this.minutes, key, () => ({ received: 0, duplicates: 0, folded: 0, dead: 0 }));
  }
}

export const deliveryMinuteKey = (app_id: string, bucket: number): string => JSON.stringify([new Date(bucket).toISOString(), app_id]);

const before = (a: readonly number[], b: readonly number[]): boolean => {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! < b[i]!;
  return false;
};
