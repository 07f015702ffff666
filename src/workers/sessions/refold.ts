import type { RawEvent } from '../../codec/generated.js';
import type { CallKey } from '../../domain/types.js';
import type { Provider } from '../../domain/vocabulary.js';
import type { Delivery } from '../../sources/element.js';

/** Source name of an internal delivery on the late topic: derive this call anew, and publish it if it says something else. */
export const REFOLD_SOURCE = 'callstream.refold';

/** The internal delivery that asks for a refold. */
export function refoldDelivery(key: CallKey, id: string, now: number): RawEvent {
  return {
    id,
    source: REFOLD_SOURCE,
    app_id: key.app_id,
    received_at: now,
    auth: 'internal',
    remote_addr: '',
    query: '',
    body: Buffer.from(JSON.stringify({ provider: key.provider, call_id: key.call_id })),
  };
}

/** The call that a refold names; null when the delivery is not one of {@link refoldDelivery}'s. */
export function refoldKey(raw: Delivery): CallKey | null {
  try {
    const { provider, call_id } = JSON.parse(raw.body.toString()) as { provider?: unknown; call_id?: unknown };
    if ((provider !== 'tencent' && provider !== 'aliyun') || typeof call_id !== 'string') return null;
    return { provider: provider satisfies Provider, app_id: raw.app_id, call_id };
  } catch {
    return null;
  }
}
