import type { AlertRule } from './alert-rules.js';

/** What a metric says of one app. */
export interface AlertSample {
  value: number;
  /** How many things the value is about. */
  n: number;
}

/** An alert that fires and has not resolved. Times in epoch ms. */
export interface FiringAlert {
  fired_at: number;
}

/** Where one rule stands in one app. */
export interface AlertStanding<F extends FiringAlert = FiringAlert> {
  firing: F | null;
  /** Since when the condition has been other than what `firing` says; null: it agrees. */
  since: number | null;
}

export const QUIET: AlertStanding<never> = { firing: null, since: null };

export type AlertChange = 'firing' | 'resolved';

/** Whether the condition of the rule holds. Nothing known, or too little, is no reason to wake anybody. */
export const holds = ({ threshold, minimum }: AlertRule, sample: AlertSample | null): boolean =>
  sample !== null && sample.n >= minimum && sample.value > threshold;

/**
 * What one look at the metric changes: the alert fires once the condition has held for the rule's `for`, and resolves once it has been gone as long.
 * @param now epoch ms; of a clock that was put back, only longer waiting comes
 * @returns since when the condition has been other than the state says, and what is to be published; a caller that cannot publish it keeps `since`
 */
export function look(
  rule: AlertRule,
  sample: AlertSample | null,
  { firing, since }: AlertStanding,
  now: number,
): { since: number | null; change: AlertChange | null } {
  if (holds(rule, sample) === (firing !== null)) return { since: null, change: null };
  const begun = since ?? now;
  if (now - begun < rule.for) return { since: begun, change: null };
  return { since: begun, change: firing === null ? 'firing' : 'resolved' };
}
