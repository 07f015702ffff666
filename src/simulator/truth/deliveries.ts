import { createHash } from 'node:crypto';
import { getOrMake } from '../maps.js';
import type { Input } from './call.js';
import { type ChannelInput, channelIdentity } from './channel.js';
import { readDelivery, type SourceName } from './read-source.js';
import type { CallReading, DeadReading, Reading } from './reading.js';
import type { RecordingInput } from './recording.js';
import { eventOf, type TruthEvent } from './truth-event.js';

/** One record of a raw topic. */
export interface RawDelivery {
  source: SourceName;
  partition: number;
  offset: number;
  app_id: string;
  query: string;
  body: Buffer;
  received_at: number;
}

export interface TruthDeadLetter {
  source: SourceName;
  app_id: string;
  why: DeadReading['why'];
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

/** The first delivery of an input, so far. */
interface First {
  received_at: number;
  partition: number;
  offset: number;
  minute: MinuteCount;
}

const NO_BODY = Buffer.alloc(0);

/** Of a call, a recording or a channel: its app and its id. */
export const callKey = (app_id: string, call_id: string): string => JSON.stringify([app_id, call_id]);
export const sha1 = (bytes: Uint8Array): string => createHash('sha1').update(bytes).digest('hex');

const MINUTE = 60_000;

/**
 * All deliveries of the raw topics, sorted out: which calls, recordings and channels they make, what is folded, duplicate or dead (contract §7.2). Deliveries
 * that are not the run's own are only counted.
 */
export class TruthDeliveries {
  /** Inputs of what is the run's own, by {@link callKey}. */
  readonly calls = new Map<string, { app_id: string; call_id: string; inputs: Input[] }>();
  readonly recordings = new Map<string, { app_id: string; task_id: string; inputs: RecordingInput[] }>();
  readonly channels = new Map<string, { app_id: string; channel_id: string; inputs: ChannelInput[] }>();
  /** Every call, with what kinds of input it has, and every recording that the topics know, the run's own or not. */
  readonly allCalls = new Map<string, Set<CallReading['kind']>>();
  readonly allRecordings = new Set<string>();
  /** By identity: {@link identityOf}. */
  readonly events = new Map<string, TruthEvent>();
  readonly deadLetters: TruthDeadLetter[] = [];
  readonly minutes = new Map<string, MinuteCount>();
  /** Messages of channels that have arrived, by app and id. */
  readonly messages = new Set<string>();
  readonly #first = new Map<string, First>();
  /** One copy of each text: the readings of a call repeat its ids, and a long run has millions of readings. */
  readonly #texts = new Map<string, string>();

  /** @param own the delivery belongs to the run, so what it is about does */
  add(raw: RawDelivery, own: boolean): void {
    const delivery = { ...raw, app_id: this.#text(raw.app_id) };
    for (const reading of readDelivery(raw.source, raw.query, raw.body)) this.#take(this.#shared(reading), delivery, own);
  }

  #shared<R extends Reading>(reading: R): R {
    const texts = Object.entries(reading).flatMap(([name, value]) => (typeof value === 'string' ? [[name, this.#text(value)]] : []));
    return Object.assign(reading, Object.fromEntries(texts));
  }

  #text(text: string): string {
    return getOrMake(this.#texts, text, () => text);
  }

  #take(reading: Reading, raw: RawDelivery, own: boolean): void {
    const minute = this.#minute(raw);
    minute.received++;
    if (reading.kind === 'dead') {
      minute.dead++;
      const { source, app_id, received_at, partition, offset } = raw;
      if (own) this.deadLetters.push({ source, app_id, why: reading.why, received_at, partition, offset, sha1: sha1(raw.body) });
      return;
    }
    if (reading.kind === 'channel') this.messages.add(callKey(raw.app_id, reading.message_id));
    else if (reading.kind === 'recording') this.allRecordings.add(callKey(raw.app_id, reading.task_id));
    else getOrMake(this.allCalls, callKey(raw.app_id, reading.call_id), () => new Set()).add(reading.kind);
    const identity = identityOf(raw.app_id, reading, raw.body);
    const isFirst = this.#count(identity, raw, minute);
    if (!own) return;
    this.#keep(reading, raw);
    if (isFirst) this.events.set(identity, eventOf(reading, raw));
  }

  /** True: the earliest delivery of its input so far. */
  #count(identity: string, { received_at, partition, offset }: RawDelivery, minute: MinuteCount): boolean {
    const at: First = { received_at, partition, offset, minute };
    const earlier = this.#first.get(identity);
    const isFirst = earlier === undefined || before(at, earlier);
    minute.folded += isFirst ? 1 : 0;
    minute.duplicates += isFirst ? 0 : 1;
    if (isFirst && earlier) {
      earlier.minute.folded--;
      earlier.minute.duplicates++;
    }
    if (isFirst) this.#first.set(identity, at);
    return isFirst;
  }

  #keep(reading: Exclude<Reading, DeadReading>, { app_id, body, received_at }: RawDelivery): void {
    if (reading.kind === 'recording') {
      const { task_id } = reading;
      getOrMake(this.recordings, callKey(app_id, task_id), () => ({ app_id, task_id, inputs: [] })).inputs.push({ reading, received_at });
    } else if (reading.kind === 'channel') {
      const { channel_id } = reading;
      getOrMake(this.channels, callKey(app_id, channel_id), () => ({ app_id, channel_id, inputs: [] })).inputs.push({
        reading,
        received_at,
      });
    } else {
      const { call_id } = reading;
      const input = { reading, body: reading.kind === 'event' ? NO_BODY : body, received_at };
      getOrMake(this.calls, callKey(app_id, call_id), () => ({ app_id, call_id, inputs: [] })).inputs.push(input);
    }
  }

  #minute({ app_id, source, received_at }: RawDelivery): MinuteCount {
    const key = deliveryMinuteKey(app_id, source, Math.floor(received_at / MINUTE) * MINUTE);
    return getOrMake(this.minutes, key, () => ({ received: 0, duplicates: 0, folded: 0, dead: 0 }));
  }
}

/** Equal for all deliveries of one input. */
export function identityOf(app_id: string, reading: Exclude<Reading, DeadReading>, body: Uint8Array): string {
  switch (reading.kind) {
    case 'recording':
      return JSON.stringify(['recording', app_id, reading.task_id, reading.event, reading.event_at]);
    case 'channel':
      return channelEventKey(app_id, reading.channel_id, channelIdentity(reading));
    default:
      return callIdentity(app_id, reading, body);
  }
}

export const channelEventKey = (app_id: string, channel_id: string, identity: string): string =>
  JSON.stringify(['channel', app_id, channel_id, identity]);

function callIdentity(app_id: string, reading: CallReading, body: Uint8Array): string {
  const { kind, call_id } = reading;
  if (kind === 'event') return JSON.stringify([kind, app_id, call_id, reading.user_id, reading.event, reading.event_at]);
  return JSON.stringify([kind, app_id, call_id, kind === 'media' ? reading.user_id : '', sha1(body)]);
}

export const deliveryMinuteKey = (app_id: string, source: string, bucket: number): string =>
  JSON.stringify([new Date(bucket).toISOString(), app_id, source]);

const before = (a: First, b: First): boolean => (a.received_at - b.received_at || a.partition - b.partition || a.offset - b.offset) < 0;
