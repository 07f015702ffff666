import type { Alert, Call } from '../../codec/generated.js';
import type { Webhook, WebhookEvent } from '../../config/index.js';
import { formatDuration } from '../../config/index.js';
import { unitOf } from '../../domain/alert-rules.js';
import { digest } from '../event-id.js';

/** What of a call webhooks tell. */
export const CALL_FIELDS = [
  'provider',
  'app_id',
  'call_id',
  'room_id',
  'call_type',
  'media_type',
  'caller',
  'callees',
  'total_users',
  'status',
  'outcome',
  'end_reason',
  'started_at',
  'accepted_at',
  'ended_at',
  'ring_ms',
  'talk_ms',
  'missed',
  'missed_inclusive',
  'final',
  'sources',
  'anomalies',
  'first_seen_at',
  'updated_at',
  'revision',
] as const satisfies readonly (keyof Call)[];

/** What must be read of a call to know whether anything is to be told. */
export const READ_FIELDS = [...CALL_FIELDS, 'final_outcome'] as const;
export type ToldCall = Pick<Call, (typeof READ_FIELDS)[number]>;

/** One event for one receiver. */
export interface Message {
  /** The same however often, and by whomever, it is sent. */
  id: string;
  type: WebhookEvent | 'test';
  appId: string;
  /** When it happened, epoch ms. */
  at: number;
  data: Readonly<Record<string, unknown>>;
  /** For people. */
  text: string;
}

const idOf = (...parts: (string | number)[]): string => `msg_${digest(parts)}`;

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

/**
 * What a revision of a call is the first to say. The first final one: `call.ended`, and `call.missed` if it was missed. A later final one with another outcome
 * than the final one before: `call.corrected`. Channel sessions that were merged into others are none.
 */
export function messagesOfCall(call: ToldCall): Message[] {
  if (!call.final || call.end_reason === 'merged') return [];
  if (call.final_outcome !== '')
    return call.final_outcome === call.outcome ? [] : [messageOfCall(call, 'call.corrected', { previous_outcome: call.final_outcome })];
  return [messageOfCall(call, 'call.ended'), ...(call.missed ? [messageOfCall(call, 'call.missed')] : [])];
}

function messageOfCall(call: ToldCall, type: WebhookEvent, more: Record<string, unknown> = {}): Message {
  const fields = Object.fromEntries(CALL_FIELDS.map((name) => [name, call[name]]));
  const times = Object.fromEntries(
    (['started_at', 'accepted_at', 'ended_at', 'first_seen_at', 'updated_at'] as const).map((name) => [name, iso(call[name])]),
  );
  const { provider, app_id, call_id, revision, caller, callees, outcome, talk_ms } = call;
  const who = `${caller || 'unknown'} to ${callees.join(', ') || 'unknown'}`;
  const what = outcome === 'answered' ? `answered, ${(talk_ms / 1000).toFixed(0)} s of talk` : outcome;
  const was = typeof more.previous_outcome === 'string' ? ` (was ${more.previous_outcome})` : '';
  return {
    id: idOf(type, provider, app_id, call_id, revision),
    type,
    appId: app_id,
    at: call.updated_at,
    data: { ...fields, ...times, ...more },
    text: `${type} in app ${app_id}: ${who}, ${what}${was}. Call ${call_id}`,
  };
}

/** A silenced alert is told to nobody. */
export function messagesOfAlert(alert: Alert): Message[] {
  if (alert.silenced) return [];
  const { alert_id, rule, provider, app_id, state, metric, value, n, threshold, window_ms, fired_at, resolved_at } = alert;
  const type = state === 'firing' ? 'alert.fired' : 'alert.resolved';
  const shown = (number: number): string => inUnit(number, metric);
  return [
    {
      id: idOf(type, alert_id),
      type,
      appId: app_id,
      at: resolved_at ?? fired_at,
      data: {
        alert_id,
        rule,
        provider,
        app_id,
        state,
        metric,
        value,
        n,
        threshold,
        window_ms,
        fired_at: iso(fired_at),
        resolved_at: iso(resolved_at),
      },
      text:
        state === 'firing'
          ? `FIRING: ${rule} in app ${app_id}. ${metric} is ${shown(value)}, above ${shown(threshold)}, over the last ${formatDuration(window_ms)} (n = ${n})`
          : `RESOLVED: ${rule} in app ${app_id}, after ${about((resolved_at ?? fired_at) - fired_at)}`,
    },
  ];
}

/** For a receiver to be tried out. @param id of this one test */
export const testMessage = (id: string, at: number): Message => ({
  id: `msg_${id}`,
  type: 'test',
  appId: '',
  at,
  data: { note: 'sent by callstream alerts test' },
  text: 'A test of callstream: this receiver works.',
});

export const wants = ({ events, apps }: Pick<Webhook, 'events' | 'apps'>, { type, appId }: Message): boolean =>
  (events as readonly string[]).includes(type) && (apps === undefined || apps.includes(appId));

/** The body as it is sent: of the Standard Webhooks form (type, timestamp, data), or what Slack and its likes take. */
export const bodyOf = ({ type, at, data, text }: Message, format: Webhook['format']): string =>
  JSON.stringify(format === 'slack' ? { text } : { type, timestamp: iso(at), data });

/** A value of a metric for people. One that this version does not know is a plain number. */
export function inUnit(value: number, metric: string): string {
  const unit = unitOf(metric);
  if (unit === 'rate') return `${(value * 100).toFixed(1)}%`;
  return unit === 'duration' ? about(value) : String(value);
}

/** To the second. */
const about = (ms: number): string => {
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'm'],
    [seconds % 60, 's'],
  ] as const;
  return parts.flatMap(([count, unit]) => (count > 0 ? `${count}${unit}` : [])).join(' ') || '0s';
};
