import { count, percent, span } from './format.js';
import type { AlertRule, AlertUnit } from './types-operations.js';

export const inUnit = (value: number, unit: AlertUnit): string =>
  unit === 'rate' ? percent(value) : unit === 'duration' ? span(value) : count(value);

/** `above 50.0% over 15 min, n at least 20, for 5 min` */
export function conditionText({ threshold, unit, window_ms, minimum, for_ms }: AlertRule): string {
  const held = for_ms === 0 ? '' : `, for ${span(for_ms)}`;
  return `above ${inUnit(threshold, unit)} over ${span(window_ms)}, n at least ${count(minimum)}${held}`;
}

export const appText = (app: string): string => (app === '' ? 'every app' : `app ${app}`);

/** For how long a rule may be silenced, as the API writes it. */
export const LENGTHS: readonly [value: string, words: string][] = [
  ['30m', '30 minutes'],
  ['2h', '2 hours'],
  ['8h', '8 hours'],
  ['1d', '1 day'],
  ['7d', '7 days'],
  ['30d', '30 days'],
];
