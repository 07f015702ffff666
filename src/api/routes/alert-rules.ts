import { z } from 'zod';
import { ALERT_METRIC_NAMES, ALERT_METRICS, type AlertRule, BUILT_IN_RULES, watches } from '../../domain/alert-rules.js';
import { holds } from '../../domain/alerts.js';
import { CallstreamError } from '../../domain/errors.js';
import { DAY, duration, id, noParams } from '../params.js';
import { databaseProblem, invalidParameter, Problem } from '../problem.js';
import { asOf, count } from '../records.js';
import { action, type Context, route } from '../route.js';

/*
 * Rules and receivers as the configuration has them, silences as Kafka has them. What is changed here is what `callstream alerts` changes.
 */

const ms = z.int().min(0).describe('Milliseconds.');

const RULE = z
  .strictObject({
    name: z.string(),
    built_in: z.boolean(),
    metric: z.enum(ALERT_METRIC_NAMES),
    unit: z.enum(['rate', 'count', 'duration']).describe('`rate`: a share, 0 to 1. `duration`: milliseconds.'),
    means: z.string().describe('What the value is, for people.'),
    counts: z.string().describe('What `n` and `minimum` count.'),
    window_ms: ms.describe('What the metric looks at, ending now, milliseconds.'),
    threshold: z.number().describe('It fires above, not at it.'),
    minimum: z.number().describe('The smallest `n` that says anything.'),
    for_ms: ms.describe('How long the condition must hold, or be gone, milliseconds.'),
    apps: z.array(z.string()).nullable().describe('App ids; null: all.'),
    now: z
      .array(
        z.strictObject({
          app_id: z.string(),
          value: z.number(),
          n: count,
          above: z.boolean().describe('Whether the condition holds at this moment. It fires when it has held for `for_ms`.'),
        }),
      )
      .describe('What the metric is at this moment, by app; apps of which nothing is known are left out.'),
  })
  .meta({ id: 'AlertRule', description: 'A condition that is watched in each app.' });

const shown = (rule: AlertRule, now: z.output<typeof RULE>['now']): z.output<typeof RULE> => ({
  name: rule.name,
  built_in: BUILT_IN_RULES.has(rule.name),
  metric: rule.metric,
  ...ALERT_METRICS[rule.metric],
  window_ms: rule.window,
  threshold: rule.threshold,
  minimum: rule.minimum,
  for_ms: rule.for,
  apps: rule.apps === null ? null : [...rule.apps],
  now,
});

const rules = route({
  path: '/api/v1/alerts/rules',
  operation: 'listAlertRules',
  summary: 'The alert rules in force, and what their metrics are now.',
  description: 'As the configuration of this server says; the role `alerts` judges by its own.',
  params: noParams,
  answer: z.strictObject({ as_of: asOf, rules: z.array(RULE) }),
  async read({ alerts, apps, now }) {
    const measured = alerts.rules.map(async (rule) => {
      const samples = await alerts.measure(rule, now);
      const watched = apps.filter(({ app_id }) => watches(rule, app_id)).map(({ app_id }) => app_id);
      return shown(
        rule,
        watched.flatMap((app_id) => {
          const sample = samples.get(app_id);
          return sample === undefined ? [] : [{ app_id, ...sample, above: holds(rule, sample) }];
        }),
      );
    });
    const settled = await Promise.all(measured).catch((error: unknown) => {
      throw databaseProblem(error);
    });
    return { as_of: now, rules: settled };
  },
});

const receivers = route({
  path: '/api/v1/alerts/webhooks',
  operation: 'listWebhooks',
  summary: 'Who is told of alerts and calls.',
  params: noParams,
  answer: z.strictObject({
    webhooks: z.array(
      z.strictObject({
        name: z.string(),
        events: z.array(z.string()),
        apps: z.array(z.string()).nullable().describe('App ids; null: all.'),
        format: z.string(),
      }),
    ),
  }),
  read: async ({ alerts }) => ({
    webhooks: alerts.receivers.map(({ name, events, apps, format }) => ({
      name,
      events: [...events],
      apps: apps === null ? null : [...apps],
      format,
    })),
  }),
});

const SILENCE = z
  .strictObject({
    rule: z.string(),
    app_id: z.string().describe('Empty: every app.'),
    until: z.int().describe('Epoch milliseconds.'),
    comment: z.string(),
  })
  .meta({ id: 'Silence', description: 'Until when no webhook tells of the alerts of a rule.' });

/** Kafka and the registry come back by themselves: try again. */
const reached = <T>(asked: Promise<T>): Promise<T> =>
  asked.catch((error: unknown) => {
    if (!(error instanceof CallstreamError)) throw error;
    throw new Problem(
      503,
      'KAFKA_UNAVAILABLE',
      'Kafka unavailable',
      'Silences are kept in Kafka, and Kafka or the schema registry did not answer. Try again shortly.',
      {
        headers: { 'retry-after': '2' },
        cause: error,
      },
    );
  });

const silences = route({
  path: '/api/v1/alerts/silences',
  operation: 'listSilences',
  summary: 'The silences in force.',
  params: noParams,
  answer: z.strictObject({ as_of: asOf, silences: z.array(SILENCE) }),
  read: async ({ alerts, now }) => ({ as_of: now, silences: [...(await reached(alerts.silences(now)))] }),
});

const whose = {
  rule: id.describe('Name of a rule in force.'),
  app: id.optional().describe('For this app only; absent: for every app.'),
};

/** @throws Problem PARAMETER_INVALID */
function checkWhose({ alerts, apps }: Context, { rule, app }: { rule: string; app?: string | undefined }): void {
  const names = alerts.rules.map(({ name }) => name);
  if (!names.includes(rule)) throw invalidParameter('rule', `is none in force: these are ${names.join(', ')}`);
  if (app !== undefined && !apps.some(({ app_id }) => app_id === app)) throw invalidParameter('app', 'is none of the configuration');
}

const MAX_SILENCE = 90 * DAY;

const silence = action({
  path: '/api/v1/alerts/silences',
  operation: 'silenceRule',
  summary: 'Keeps webhooks quiet about a rule for a while.',
  description:
    'Alerts still fire and resolve, marked as silenced. It is in force, and durable, when this is answered; one of the same rule and app that is there is replaced.',
  params: z.strictObject({
    ...whose,
    for: duration
      .refine((length) => length <= MAX_SILENCE, { error: 'must be at most 90d' })
      .describe('For how long: 30m, 2h, 3d. At most 90 days.'),
    comment: z.string().max(500, { error: 'must not be longer than 500 characters' }).default('').describe('Why.'),
  }),
  answer: z.strictObject({ as_of: asOf, silence: SILENCE }),
  async act(context, fields) {
    checkWhose(context, fields);
    const { alerts, now } = context;
    const made = { rule: fields.rule, app_id: fields.app ?? '', until: now + fields.for, comment: fields.comment };
    await reached(alerts.silence(made, now));
    return { as_of: now, silence: made };
  },
});

const unsilence = action({
  path: '/api/v1/alerts/silences/end',
  operation: 'endSilence',
  summary: 'Ends a silence now.',
  description: 'The one of this rule and app, or, without an app, the one of every app. Without such a silence nothing changes.',
  params: z.strictObject(whose),
  answer: z.strictObject({ as_of: asOf }),
  async act(context, fields) {
    checkWhose(context, fields);
    const { alerts, now } = context;
    await reached(alerts.silence({ rule: fields.rule, app_id: fields.app ?? '', until: now, comment: '' }, now));
    return { as_of: now };
  },
});

const test = action({
  path: '/api/v1/alerts/webhooks/test',
  operation: 'testWebhook',
  summary: 'Sends one signed message of type `test` to a webhook, and says what came of it.',
  params: z.strictObject({ webhook: id.describe('Its name.') }),
  answer: z.strictObject({
    as_of: asOf,
    delivered: z.boolean(),
    detail: z.string().describe('What the receiver answered, or why nothing was.'),
  }),
  async act({ alerts, now }, { webhook }) {
    const names = alerts.receivers.map(({ name }) => name);
    if (!names.includes(webhook))
      throw invalidParameter(
        'webhook',
        names.length === 0 ? 'is none: the configuration has none' : `is none: these are ${names.join(', ')}`,
      );
    return { as_of: now, ...(await alerts.test(webhook, now)) };
  },
});

export const ALERT_RULES = [rules, receivers, silences, silence, unsilence, test];
