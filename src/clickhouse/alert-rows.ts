import type { Alert } from '../codec/generated.js';
import type { RowWriter } from './row-writer.js';

/** Columns of `alert_rows`, in the order of {@link writeAlert}. */
export const ALERT_COLUMNS = [
  'alert_id',
  'rule',
  'provider',
  'app_id',
  'state',
  'metric',
  'value',
  'n',
  'threshold',
  'window_ms',
  'fired_at',
  'resolved_at',
  'silenced',
  'version',
] as const;

/** An alert that has resolved takes the place of the one that fires. */
export function writeAlert(w: RowWriter, a: Alert): void {
  w.string(a.alert_id);
  w.string(a.rule);
  w.string(a.provider);
  w.string(a.app_id);
  w.string(a.state);
  w.string(a.metric);
  w.f64(a.value);
  w.u64(a.n);
  w.f64(a.threshold);
  w.u64(a.window_ms);
  w.time(a.fired_at);
  w.nullableTime(a.resolved_at);
  w.bool(a.silenced);
  w.u8(a.resolved_at === null ? 0 : 1);
}
