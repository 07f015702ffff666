import type { Alert } from '../../codec/generated.js';
import { type AlertRule, watches } from '../../domain/alert-rules.js';
import { type AlertChange, type AlertSample, type AlertStanding, look, QUIET } from '../../domain/alerts.js';
import { digest } from '../event-id.js';

/** An app whose alerts are watched. */
export interface WatchedApp {
  provider: string;
  appId: string;
}

/** What a rule measures of an app now; null: nothing is known. */
export type SampleOf = (rule: AlertRule, appId: string) => AlertSample | null;

/** Key of the records about a rule in an app. */
export const alertKey = ({ rule, app_id }: { rule: string; app_id: string }): string => `${rule}:${app_id}`;

/**
 * What fires, by rule and app. It is what has been published and nothing else: {@link next} says what is to be published, and only
 * {@link published} makes it so.
 */
export class AlertBook {
  readonly #entries = new Map<string, AlertStanding<Alert>>();

  /** @param alerts what stands on the topic, each key's in order; the last one of a key counts */
  constructor(alerts: Iterable<Alert>) {
    for (const alert of alerts) this.published([alert]);
  }

  firing(): Alert[] {
    return [...this.#entries.values()].flatMap(({ firing }) => firing ?? []);
  }

  /** One look at everything: what is to be published of it. What fires though no rule watches it any more resolves. */
  next(rules: readonly AlertRule[], apps: readonly WatchedApp[], sampleOf: SampleOf, now: number): Alert[] {
    const changes: Alert[] = [];
    const watched = new Set<string>();
    for (const rule of rules) {
      for (const app of apps) {
        if (!watches(rule, app.appId)) continue;
        const key = alertKey({ rule: rule.name, app_id: app.appId });
        watched.add(key);
        const entry = this.#entries.get(key) ?? QUIET;
        const sample = sampleOf(rule, app.appId);
        const { since, change } = look(rule, sample, entry, now);
        this.#entries.set(key, { ...entry, since });
        if (change !== null) changes.push(alertOf(change, rule, app, sample, entry.firing, now));
      }
    }
    for (const [key, { firing }] of this.#entries) {
      if (watched.has(key)) continue;
      if (firing === null) this.#entries.delete(key);
      else changes.push({ ...firing, state: 'resolved', resolved_at: now });
    }
    return changes;
  }

  published(alerts: readonly Alert[]): void {
    for (const alert of alerts) {
      this.#entries.set(alertKey(alert), { firing: alert.state === 'firing' ? alert : null, since: null });
    }
  }
}

function alertOf(
  change: AlertChange,
  { name, metric, threshold, window }: AlertRule,
  { provider, appId }: WatchedApp,
  sample: AlertSample | null,
  firing: Alert | null,
  now: number,
): Alert {
  const fired_at = firing?.fired_at ?? now;
  return {
    // Deterministic: a rule does not fire twice in an app at one moment.
    alert_id: firing?.alert_id ?? digest([name, appId, now]),
    rule: name,
    provider,
    app_id: appId,
    state: change,
    metric,
    value: sample?.value ?? firing?.value ?? 0,
    n: sample?.n ?? 0,
    threshold,
    window_ms: window,
    fired_at,
    resolved_at: change === 'resolved' ? now : null,
    silenced: firing?.silenced ?? false,
  };
}
