import type { RawEvent } from '../codec/generated.js';
import type { ChannelKey } from '../domain/channel.js';
import type { RecordingKey } from '../domain/recording.js';
import type { CallKey } from '../domain/types.js';
import type { Provider } from '../domain/vocabulary.js';
import type { Delivery } from '../sources/element.js';

/**
 * Source name of an internal delivery: derive this anew, and publish it if it says something else. Of a call it goes by the late topic; of a recording or a
 * channel by the raw topic, for their workers read no other. It is no input, so nobody else takes notice of it.
 */
export const REFOLD_SOURCE = 'callstream.refold';

const PROVIDERS: ReadonlySet<unknown> = new Set<Provider>(['tencent', 'aliyun']);

/** What is asked for, as the body says it. */
type Asked = { call_id: string } | { task_id: string } | { channel_id: string; from: number };

function request(provider: Provider, app_id: string, asked: Asked, id: string, now: number): RawEvent {
  return {
    id,
    source: REFOLD_SOURCE,
    app_id,
    received_at: now,
    auth: 'internal',
    remote_addr: '',
    query: '',
    body: Buffer.from(JSON.stringify({ provider, ...asked })),
  };
}

/** The internal delivery that asks for a refold of a call. */
export const refoldDelivery = ({ provider, app_id, call_id }: CallKey, id: string, now: number): RawEvent =>
  request(provider, app_id, { call_id }, id, now);

/** As {@link refoldDelivery}, of a recording. */
export const refoldRecording = ({ provider, app_id, task_id }: RecordingKey, id: string, now: number): RawEvent =>
  request(provider, app_id, { task_id }, id, now);

/** As {@link refoldDelivery}, of what a channel was since a moment, epoch ms. */
export const refoldChannel = ({ provider, app_id, channel_id }: ChannelKey, from: number, id: string, now: number): RawEvent =>
  request(provider, app_id, { channel_id, from }, id, now);

/** The call that a refold names; null when the delivery is not one of {@link refoldDelivery}'s. */
export function refoldKey(raw: Delivery): CallKey | null {
  const read = bodyOf(raw);
  return typeof read?.call_id === 'string' ? { provider: read.provider, app_id: raw.app_id, call_id: read.call_id } : null;
}

/** As {@link refoldKey}, of a recording. */
export function refoldRecordingKey(raw: Delivery): RecordingKey | null {
  const read = bodyOf(raw);
  return typeof read?.task_id === 'string' ? { provider: read.provider, app_id: raw.app_id, task_id: read.task_id } : null;
}

/** As {@link refoldKey}, of a channel. */
export function refoldChannelKey(raw: Delivery): { key: ChannelKey; from: number } | null {
  const read = bodyOf(raw);
  if (typeof read?.channel_id !== 'string' || typeof read.from !== 'number') return null;
  return { key: { provider: read.provider, app_id: raw.app_id, channel_id: read.channel_id }, from: read.from };
}

interface Body {
  provider: Provider;
  call_id?: unknown;
  task_id?: unknown;
  channel_id?: unknown;
  from?: unknown;
}

function bodyOf({ source, body }: Delivery): Body | null {
  if (source !== REFOLD_SOURCE) return null;
  try {
    const read: unknown = JSON.parse(body.toString());
    return typeof read === 'object' && read !== null && PROVIDERS.has((read as Body).provider) ? (read as Body) : null;
  } catch {
    return null;
  }
}
