/** The sections `alerts` and `webhooks`: rules, and who is told. */
import type { z } from 'zod';
import { ALERT_METRIC_NAMES, type AlertMetric, type AlertRuleSetting, BUILT_IN_RULES, unitOf } from '../domain/alert-rules.js';
import { isPublicAddress, literalAddress } from './address.js';
import { parseDuration } from './duration.js';
import { bool, choice, duration, integer, isLoopback, list, section, text } from './fields.js';

const name = text('a name').regex(/^[a-z0-9][a-z0-9-]{0,62}$/, { error: 'must be at most 63 lower-case letters, digits and dashes' });
const apps = list(text('an app id')).min(1, { error: 'must not be empty (leave it out for every app)' });

/** What is built in under a name, or what the entry itself says. */
const metricOf = (rule: { name?: unknown; metric?: unknown }): AlertMetric | undefined =>
  (ALERT_METRIC_NAMES as readonly unknown[]).includes(rule.metric)
    ? (rule.metric as AlertMetric)
    : BUILT_IN_RULES.get(String(rule.name ?? ''))?.metric;

/** null: it is no threshold of that metric. */
function parseThreshold(value: string, metric: AlertMetric): number | null {
  if (unitOf(metric) === 'duration') return parseDuration(value);
  const number = /^\d{1,15}(?:\.\d{1,9})?$/.test(value) ? Number(value) : null;
  return number !== null && unitOf(metric) === 'rate' && number > 1 ? null : number;
}

const THRESHOLDS = {
  rate: 'must be a number from 0 to 1',
  count: 'must be a number',
  duration: 'must be a duration such as 30m or 4h',
} as const;

interface RuleText {
  name?: unknown;
  metric?: unknown;
  threshold?: unknown;
  window?: unknown;
}

const DAY = 86_400_000;

const rule = section({
  name,
  /** false: a built-in that is not wanted. */
  enabled: bool.prefault('true'),
  metric: choice(ALERT_METRIC_NAMES as [AlertMetric, ...AlertMetric[]]).optional(),
  window: duration('1m', '7d').optional(),
  threshold: text('a number or a duration').optional(),
  minimum: integer(1, 1_000_000_000).optional(),
  for: duration('0s', '1d').optional(),
  apps: apps.optional(),
})
  .superRefine(
    (value: RuleText, context) => {
      const known = BUILT_IN_RULES.get(String(value.name));
      const issue = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
      if (known !== undefined && value.metric !== undefined && value.metric !== known.metric)
        issue('metric', `is ${known.metric} in the built-in rule of this name: give the rule another name`);
      if (known === undefined && value.metric === undefined) issue('metric', 'is required (but for built-in rules)');
      if (known === undefined && value.threshold === undefined) issue('threshold', 'is required (but for built-in rules)');
      const metric = metricOf(value);
      if (metric !== undefined && typeof value.threshold === 'string' && parseThreshold(value.threshold, metric) === null)
        issue('threshold', THRESHOLDS[unitOf(metric)]);
      if (metric === 'volume_drop' && typeof value.window === 'number' && value.window > DAY)
        issue('window', 'must not be longer than 1d: days are compared');
    },
    { when: (p) => typeof p.value === 'object' && p.value !== null && typeof (p.value as RuleText).name === 'string' },
  )
  .transform(({ threshold, ...value }): AlertRuleSetting => {
    const metric = metricOf(value);
    const number = threshold === undefined || metric === undefined ? null : parseThreshold(threshold, metric);
    // What the entry leaves out must not hide what is built in.
    const given = Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as typeof value;
    return { ...given, ...(number === null ? {} : { threshold: number }) } as AlertRuleSetting;
  });

/** What a webhook can be told of. */
export const WEBHOOK_EVENTS = ['alert.fired', 'alert.resolved', 'call.ended', 'call.missed', 'call.corrected'] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

const parseUrl = (value: string): URL | null => (URL.canParse(value) ? new URL(value) : null);

/** Why the URL is none to send webhooks to. `isLoopback`: who writes a loopback address means this machine. */
function refusalOf(value: string): string | null {
  const url = parseUrl(value);
  if (url === null || !/^https?:$/.test(url.protocol)) return 'must be a URL that starts with https://';
  if (url.username !== '' || url.password !== '') return 'must not hold a user or password';
  if (url.hash !== '') return 'must not have a fragment';
  const address = literalAddress(url.hostname);
  // 0x7f.1, 2130706433, 0177.0.0.1: all of them are 127.0.0.1, and none says so.
  if (address !== null && !value.toLowerCase().includes(address)) return 'must have the address of its host in plain form';
  if (isLoopback(url.hostname)) return null;
  if (url.protocol === 'http:') return 'must be https:// (http:// is for loopback addresses only)';
  return address === null || isPublicAddress(address) ? null : 'must not lead to a private or reserved address';
}

/** Standard Webhooks: 24 to 64 bytes. */
const SECRET = /^whsec_([A-Za-z0-9+/]{32,86}={0,2})$/;

const webhook = section({
  name,
  url: text('a URL').superRefine((value, context) => {
    const message = refusalOf(value);
    if (message !== null) context.addIssue({ code: 'custom', message });
  }),
  /** Key of the signatures. */
  secret: text().regex(SECRET, { error: 'must be whsec_ and 24 to 64 bytes in base64 (echo whsec_$(openssl rand -base64 32))' }).optional(),
  events: list(choice(WEBHOOK_EVENTS)).min(1, { error: 'must not be empty' }).prefault(['alert.fired', 'alert.resolved']),
  apps: apps.optional(),
  /** `slack`: `{"text": …}` for people, in place of the event. */
  format: choice(['standard', 'slack']).prefault('standard'),
}).superRefine(
  (value, context) => {
    if (value.secret === undefined && value.format !== 'slack')
      context.addIssue({
        code: 'custom',
        path: ['secret'],
        message: 'is required (but for format: slack): receivers know by it who calls',
      });
  },
  { when: (p) => typeof p.value === 'object' && p.value !== null },
);

export const alerts = list(rule).default([]);
export const webhooks = list(webhook).default([]);
export type Webhook = z.output<typeof webhook>;

interface Named {
  name?: unknown;
  apps?: unknown;
}

/** Names that are there twice, and apps that are none. */
export function checkReferences(config: { apps?: unknown; alerts?: unknown; webhooks?: unknown }, context: z.RefinementCtx): void {
  const known = new Set(entries(config.apps).map((app) => (app as { appId?: unknown }).appId));
  for (const key of ['alerts', 'webhooks'] as const) {
    const first = new Map<unknown, number>();
    entries(config[key]).forEach((entry: Named, i) => {
      const before = typeof entry.name === 'string' ? first.get(entry.name) : undefined;
      if (before === undefined) first.set(entry.name, i);
      else context.addIssue({ code: 'custom', path: [key, i, 'name'], message: `is the name of ${key}[${before}] too` });
      (Array.isArray(entry.apps) ? entry.apps : []).forEach((app, j) => {
        if (!known.has(app))
          context.addIssue({ code: 'custom', path: [key, i, 'apps', j], message: 'is not the id of an app of this file' });
      });
    });
  }
}

const entries = (value: unknown): object[] => (Array.isArray(value) ? value.filter((v) => typeof v === 'object' && v !== null) : []);
