/** What can be watched, and the rules that do. Pure. */

/** `rate`: a share, 0 to 1. `count`: a number. `duration`: milliseconds. */
export type AlertUnit = 'rate' | 'count' | 'duration';

interface AlertMetricDefinition {
  readonly unit: AlertUnit;
  /** What the value is, for people. */
  readonly means: string;
  /** What `minimum` counts. */
  readonly counts: string;
}

/** Each is measured for one app over the window that ends now. */
export const ALERT_METRICS = {
  missed_rate: {
    unit: 'rate',
    means: 'calls that were missed, of the calls that started within the window',
    counts: 'calls',
  },
  failed_rate: {
    unit: 'rate',
    means: 'calls that failed or were interrupted, of the calls that started within the window',
    counts: 'calls',
  },
  volume_drop: {
    unit: 'rate',
    means:
      'how far the calls that started within the window stay below those of the same time of day: 1 - calls / usual, where usual is the smaller of the median of the last seven days and the day a week ago',
    counts: 'the usual number of calls',
  },
  starts_without_ends: {
    unit: 'rate',
    means:
      'calls of which no end has come (a timeout has closed them, or nothing tells their end), of the calls that ended and whose record last changed within the window',
    counts: 'calls that ended',
  },
  source_silence: {
    unit: 'duration',
    means: 'time since the last callback of a source that has sent callbacks within the window; of several sources the most silent',
    counts: 'callbacks of that source within the window',
  },
  dead_letter_rate: {
    unit: 'rate',
    means: 'deliveries that ended as dead letters, of those received within the window',
    counts: 'deliveries',
  },
  recording_exceptions: {
    unit: 'count',
    means: 'recordings that failed or had exceptions, among those whose record last changed within the window',
    counts: 'recordings',
  },
  unreturned_missed: {
    unit: 'duration',
    means:
      'how long ago the oldest missed call was that nobody has returned, among those missed within the window; of a caller and a callee the last one counts',
    counts: 'pairs of caller and callee with such a call',
  },
} as const satisfies Record<string, AlertMetricDefinition>;

export type AlertMetric = keyof typeof ALERT_METRICS;
export const ALERT_METRIC_NAMES = Object.keys(ALERT_METRICS) as AlertMetric[];
const isMetric = (name: string): name is AlertMetric => Object.hasOwn(ALERT_METRICS, name);

/** A metric of a version that this one does not know counts something. */
export const unitOf = (metric: string): AlertUnit => (isMetric(metric) ? ALERT_METRICS[metric].unit : 'count');

/** A condition that is watched in each app: the metric is above the threshold, and n is large enough to say so. Times in ms. */
export interface AlertRule {
  name: string;
  metric: AlertMetric;
  window: number;
  /** In the unit of the metric. It fires above, not at, the threshold. */
  threshold: number;
  /** Below this n nothing is concluded: the condition does not hold. */
  minimum: number;
  /** How long the condition must hold before it fires, and be gone before it resolves. */
  for: number;
  /** App ids; null: all. */
  apps: readonly string[] | null;
}

/** What a configuration says of one rule. Of a built-in's name: what it leaves out is as built in. */
export type AlertRuleSetting = { name: string; enabled: boolean } & Partial<Omit<AlertRule, 'name'>>;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface BuiltIn extends AlertRule {
  /** Whether it is in force without being named. */
  enabled: boolean;
}

const builtIn = (
  name: string,
  metric: AlertMetric,
  [window, threshold, minimum, hold]: [window: number, threshold: number, minimum: number, hold: number],
  enabled = true,
): BuiltIn => ({ name, metric, window, threshold, minimum, for: hold, apps: null, enabled });

/** Most apps never return every missed call: that one is for those who mean to. */
const BUILT_INS: readonly BuiltIn[] = [
  builtIn('missed-rate', 'missed_rate', [15 * MINUTE, 0.5, 20, 5 * MINUTE]),
  builtIn('failed-rate', 'failed_rate', [15 * MINUTE, 0.1, 20, 5 * MINUTE]),
  builtIn('volume-drop', 'volume_drop', [HOUR, 0.7, 50, 10 * MINUTE]),
  builtIn('starts-without-ends', 'starts_without_ends', [HOUR, 0.1, 20, 5 * MINUTE]),
  builtIn('source-silent', 'source_silence', [24 * HOUR, HOUR, 1_000, 0]),
  builtIn('dead-letter-rate', 'dead_letter_rate', [15 * MINUTE, 0.05, 20, 5 * MINUTE]),
  builtIn('recording-exceptions', 'recording_exceptions', [HOUR, 0, 1, 0]),
  builtIn('unreturned-missed', 'unreturned_missed', [24 * HOUR, 4 * HOUR, 1, 0], false),
];

/** Of a rule that is none of the built-ins, where its setting does not say. */
const DEFAULTS = { window: 15 * MINUTE, minimum: 20, for: 5 * MINUTE, apps: null } as const;

export const BUILT_IN_RULES: ReadonlyMap<string, Readonly<BuiltIn>> = new Map(BUILT_INS.map((rule) => [rule.name, rule]));

/**
 * The rules in force: the built-ins, as the settings change them, then the others in their order.
 * @param settings checked: one of another name has a metric and a threshold
 */
export function rulesOf(settings: readonly AlertRuleSetting[]): AlertRule[] {
  const named = new Map(settings.map((setting) => [setting.name, setting]));
  const own = settings.filter(({ name }) => !BUILT_IN_RULES.has(name));
  const all = [...BUILT_INS.map((rule) => ({ ...rule, ...named.get(rule.name) })), ...own.map((setting) => ({ ...DEFAULTS, ...setting }))];
  return all.flatMap(({ enabled, metric, threshold, ...rule }) =>
    enabled && metric !== undefined && threshold !== undefined ? [{ ...rule, metric, threshold }] : [],
  );
}

/** Whether a rule watches an app. */
export const watches = ({ apps }: AlertRule, appId: string): boolean => apps === null || apps.includes(appId);
