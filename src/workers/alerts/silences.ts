import type { Alert, AlertSilence } from '../../codec/generated.js';
import { alertKey } from './book.js';

/** The silences in force at `now`, epoch ms. The newest of a key counts; of equal age the one that came last. */
export function inForce(silences: readonly AlertSilence[], now: number): AlertSilence[] {
  const newest = new Map<string, AlertSilence>();
  for (const silence of silences) {
    const known = newest.get(alertKey(silence));
    if (known === undefined || silence.updated_at >= known.updated_at) newest.set(alertKey(silence), silence);
  }
  return [...newest.values()].filter(({ until }) => until > now);
}

/** The alert as it is to be published. Whoever was not told that it fires is not told that it resolves. */
export function silence(alert: Alert, silences: readonly AlertSilence[], now: number): Alert {
  const silenced =
    (alert.state === 'resolved' && alert.silenced) ||
    inForce(silences, now).some(({ rule, app_id }) => rule === alert.rule && (app_id === '' || app_id === alert.app_id));
  return { ...alert, silenced };
}
