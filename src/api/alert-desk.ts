import type { AlertRule } from '../domain/alert-rules.js';
import type { AlertSample } from '../domain/alerts.js';

/** Until when no webhook tells of the alerts of a rule. Times in epoch ms. */
export interface Silence {
  rule: string;
  /** Empty: every app. */
  app_id: string;
  until: number;
  comment: string;
}

/** Somebody whom messages are sent to. Never its address or secret. */
export interface Receiver {
  name: string;
  events: readonly string[];
  /** App ids; null: all. */
  apps: readonly string[] | null;
  format: string;
}

/** What came of a message to a receiver. */
export interface TestResult {
  delivered: boolean;
  /** What was answered, or why nothing was; holds no word of the address, the secret or the answer. */
  detail: string;
}

/** What the query API needs of alerts that ClickHouse does not have: rules and receivers of the configuration, silences on Kafka. */
export interface AlertDesk {
  /** Those in force. */
  readonly rules: readonly AlertRule[];
  readonly receivers: readonly Receiver[];
  /** What the metric of a rule is now, by app id. @throws ClickHouseFailure */
  measure(rule: AlertRule, now: number): Promise<ReadonlyMap<string, AlertSample>>;
  /** Those in force. @throws CallstreamError KAFKA_UNAVAILABLE, REGISTRY_UNAVAILABLE */
  silences(now: number): Promise<readonly Silence[]>;
  /** Durable when it resolves; one of the same rule and app that is there is replaced, and ended where `until` is not after `now`. @throws CallstreamError KAFKA_UNAVAILABLE, REGISTRY_UNAVAILABLE */
  silence(silence: Silence, now: number): Promise<void>;
  /** Sends one signed message of type `test`. */
  test(receiver: string, now: number): Promise<TestResult>;
}
