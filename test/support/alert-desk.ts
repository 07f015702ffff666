import type { AlertDesk, Silence } from '../../src/api/index.js';
import { type AlertRule, rulesOf } from '../../src/domain/alert-rules.js';
import type { AlertSample } from '../../src/domain/alerts.js';

/** A desk without servers behind it: silences are kept in memory, and every test message arrives. */
export class MemoryDesk implements AlertDesk {
  readonly rules: readonly AlertRule[] = rulesOf([]);
  readonly receivers: AlertDesk['receivers'] = [
    { name: 'ops', events: ['alert.fired', 'alert.resolved'], apps: null, format: 'standard' },
    { name: 'chat', events: ['alert.fired'], apps: ['1400000001'], format: 'slack' },
  ];
  /** By rule and app. */
  readonly kept = new Map<string, Silence>();
  readonly tested: string[] = [];
  /** What metrics are, by rule, then app. */
  samples: Readonly<Record<string, ReadonlyMap<string, AlertSample>>> = {};
  /** What is thrown instead of an answer of Kafka. */
  trouble: Error | null = null;
  /** What the receiver answers. */
  answer = { delivered: true, detail: 'The receiver answers 200.' };

  async measure(rule: AlertRule): Promise<ReadonlyMap<string, AlertSample>> {
    return this.samples[rule.name] ?? new Map();
  }

  async silences(now: number): Promise<readonly Silence[]> {
    if (this.trouble !== null) throw this.trouble;
    return [...this.kept.values()].filter(({ until }) => until > now);
  }

  async silence(silence: Silence): Promise<void> {
    if (this.trouble !== null) throw this.trouble;
    this.kept.set(`${silence.rule}:${silence.app_id}`, silence);
  }

  async test(receiver: string): Promise<{ delivered: boolean; detail: string }> {
    this.tested.push(receiver);
    return this.answer;
  }
}
