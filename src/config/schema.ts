/** The configuration of contract §2. Durations become milliseconds, the rest keeps the names of the file. */
import { z } from 'zod';
import { alerts, checkReferences, webhooks } from './alerts.js';
import { FIELD_DEFAULTS } from './defaults.js';
import {
  bool,
  brokers,
  choice,
  cidr,
  duration,
  endpoint,
  host,
  httpUrl,
  integer,
  isLoopback,
  list,
  port,
  section,
  share,
  text,
} from './fields.js';

const appId = text('an app id')
  .max(128, { error: 'must not be longer than 128 characters' })
  .regex(/^[^:\s/]+$/, { error: "must not contain ':', '/' or spaces" });

/** What a vendor's SdkAppId can be. */
const NUMBER = /^[0-9]{1,15}$/;

const common = {
  appId,
  /** Part of the callback URL's path: /callbacks/tuicallkit/<secret>. */
  callbackSecret: text()
    .regex(/^[^\s/?#%]+$/, { error: "is a part of a URL's path: it must not contain '/', '?', '#', '%' or spaces" })
    .optional(),
  allowFrom: list(cidr).min(1, { error: 'must not be empty (leave it out to allow every address)' }).optional(),
};

const tencentApp = section({
  provider: z.literal('tencent'),
  ...common,
  /** Callback key of the whiteboard (TIW). */
  tiwCallbackKey: text().optional(),
  /** TRTC Call REST API. `generation` absent: as the endpoint's host tells. */
  records: section({ endpoint, identifier: text(), secretKey: text(), generation: choice(['v1', 'v4']).optional() }).optional(),
  /** Tencent Cloud API: DescribeUserEvent, DescribeRoomInfo. */
  cloudApi: section({ endpoint, region: text(), secretId: text(), secretKey: text() }).optional(),
}).refine((a) => (a.records === undefined && a.cloudApi === undefined) || NUMBER.test(a.appId), {
  path: ['appId'],
  error: 'must be a number: the vendor’s APIs (records, cloudApi) know apps by numbers only',
  when: (p) => typeof (p.value as { appId?: unknown }).appId === 'string',
});

const aliyunApp = section({
  provider: z.literal('aliyun'),
  ...common,
  /** ListEventSubEvent. */
  api: section({
    endpoint,
    subscribeIds: list(text()).min(1, { error: 'must name at least one subscription' }),
    accessKeyId: text(),
    accessKeySecret: text(),
  }).optional(),
});

const app = z.discriminatedUnion('provider', [tencentApp, aliyunApp], {
  error: (issue) => (issue.code === 'invalid_union' ? 'must be one of tencent, aliyun' : 'must be a mapping (provider: …, appId: …)'),
});

const d = FIELD_DEFAULTS;

/** True when all are numbers already: a rule between fields speaks only about fields that are right by themselves. */
const numbers = (value: unknown, ...keys: string[]): boolean =>
  typeof value === 'object' && value !== null && keys.every((key) => typeof (value as Record<string, unknown>)[key] === 'number');

const sessions = section({
  ringTimeout: duration('1s', '1h').prefault(d.sessions.ringTimeout),
  settle: duration('0s', '1h').prefault(d.sessions.settle),
  maxCall: duration('2s', '7d').prefault(d.sessions.maxCall),
  retention: duration('1s', '7d').prefault(d.sessions.retention),
  channelGap: duration('1s', '1d').prefault(d.sessions.channelGap),
})
  .refine((s) => s.maxCall > s.ringTimeout, {
    path: ['maxCall'],
    error: 'must be longer than ringTimeout',
    when: (p) => numbers(p.value, 'maxCall', 'ringTimeout'),
  })
  .refine((s) => s.retention >= s.settle, {
    path: ['retention'],
    error: 'must not be shorter than settle: a call would leave before it is final',
    when: (p) => numbers(p.value, 'retention', 'settle'),
  });

const polling = section({
  sweepEvery: duration('1s', '1d').prefault(d.polling.sweepEvery),
  overlap: duration('1s', '1d').prefault(d.polling.overlap),
  delay: duration('0s', '1h').prefault(d.polling.delay),
  userEvents: choice(['off', 'abnormal', 'all']).prefault(d.polling.userEvents),
  /** Share of all calls that are over whose REST record is fetched, though nothing looks wrong. */
  recordSample: share.prefault(d.polling.recordSample),
  backfillOnStart: duration('0s', '14d').prefault(d.polling.backfillOnStart),
}).refine((p) => p.overlap > p.delay, {
  path: ['overlap'],
  error: 'must be longer than delay: sweeps would leave holes',
  when: (p) => numbers(p.value, 'overlap', 'delay'),
});

const privacy = section({
  pseudonymiseUsers: bool.prefault(d.privacy.pseudonymiseUsers),
  /** Of the pseudonyms, also of users that are forgotten. */
  key: text().min(16, { error: 'must have at least 16 characters' }).optional(),
  truncateClientIp: bool.prefault(d.privacy.truncateClientIp),
}).refine((p) => !p.pseudonymiseUsers || p.key !== undefined, {
  path: ['key'],
  error: 'is required when pseudonymiseUsers is on: pseudonyms that anyone could make hide nobody',
  when: (p) => (p.value as { pseudonymiseUsers?: unknown }).pseudonymiseUsers === true,
});

const kafka = section({
  brokers: brokers.prefault([...d.kafka.brokers]),
  ssl: bool.prefault(d.kafka.ssl),
  sasl: section({ mechanism: choice(['plain', 'scram-sha-256', 'scram-sha-512']), username: text(), password: text() }).optional(),
  /** Of every topic, when `migrate` creates it; fixed from then on. Default: 4 embedded, 12 elsewhere. */
  partitions: integer(1, 256).optional(),
  /** Consumer groups and transactional ids start with it. */
  groupPrefix: text()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, { error: 'must be at most 64 letters, digits, dots, dashes or underscores' })
    .prefault(d.kafka.groupPrefix),
});

const registry = section({ url: httpUrl.prefault(d.registry.url), username: text().optional(), password: text().optional() });

const clickhouse = section({
  url: httpUrl.prefault(d.clickhouse.url),
  username: text().prefault(d.clickhouse.username),
  password: z.string({ error: 'must be text' }).default(d.clickhouse.password),
  database: text()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, { error: 'must be a name of letters, digits and underscores' })
    .prefault(d.clickhouse.database),
});

const ingest = section({
  host: host.prefault(d.ingest.host),
  port: port.prefault(d.ingest.port),
  /** Proxies whose X-Forwarded-For is believed. */
  trustProxy: list(cidr).default([]),
});

const api = section({
  host: host.prefault(d.api.host),
  port: port.prefault(d.api.port),
  /** SHA-256 of the access token, in hexadecimal. */
  tokenHash: text()
    .regex(/^[0-9a-fA-F]{64}$/, { error: 'must be the SHA-256 of the token: 64 hexadecimal digits (printf %s TOKEN | sha256sum)' })
    .transform((value) => value.toLowerCase())
    .optional(),
  /** Admin addresses of the roles: their metrics and readiness are shown on the page Health. */
  admins: list(httpUrl).default([]),
}).refine((a) => isLoopback(a.host) || a.tokenHash !== undefined, {
  path: ['tokenHash'],
  error: 'is required when host is not a loopback address: anyone who reaches the port could read every call',
  when: (p) => typeof (p.value as { host?: unknown }).host === 'string',
});

const retention = section({
  calls: duration('1d', '100y').prefault(d.retention.calls),
  events: duration('1d', '100y').prefault(d.retention.events),
  metrics: duration('1d', '100y').prefault(d.retention.metrics),
});

/** Not in the file: where the process itself listens and keeps its files. Set by environment variables. */
export const adminSchema = section({ host: host.prefault(d.admin.host), port: port.prefault(d.admin.port) });

export const configSchema = section({
  apps: z
    .array(app, { error: (issue) => (issue.input === undefined ? 'is required: list at least one app' : 'must be a list') })
    .min(1, { error: 'must list at least one app' }),
  sessions: sessions.prefault({}),
  polling: polling.prefault({}),
  privacy: privacy.prefault({}),
  kafka: kafka.prefault({}),
  registry: registry.prefault({}),
  clickhouse: clickhouse.prefault({}),
  ingest: ingest.prefault({}),
  api: api.prefault({}),
  retention: retention.prefault({}),
  alerts,
  webhooks,
}).superRefine(
  (config, context) => {
    // One name space for all providers: a callback, a row and a dashboard filter name an app by its id alone.
    const firstOf = new Map<string, number>();
    config.apps.forEach((entry, i) => {
      const id = (entry as { appId?: unknown } | undefined)?.appId;
      if (typeof id !== 'string') return;
      const first = firstOf.get(id);
      if (first === undefined) firstOf.set(id, i);
      else
        context.addIssue({
          code: 'custom',
          path: ['apps', i, 'appId'],
          message: `is the app id of apps[${first}] too: it must be unique over all providers`,
        });
    });
    checkReferences(config, context);
  },
  { when: (p) => Array.isArray((p.value as { apps?: unknown }).apps) },
);
