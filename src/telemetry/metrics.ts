import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/**
 * Every metric of callstream, in one place: name, type, labels, meaning. docs/metrics.md is generated from this list.
 * Labels come from small fixed sets; never a call, user or secret.
 */
export const METRICS = {
  callstream_ingest_requests_total: { type: 'counter', labels: ['source', 'code'], help: 'Callback requests answered, by HTTP status.' },
  callstream_ingest_ack_seconds: {
    type: 'histogram',
    labels: ['source'],
    help: 'From a whole request body to the durable acknowledgement.',
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  callstream_ingest_refused_total: {
    type: 'counter',
    labels: ['source', 'reason'],
    help: 'Callbacks answered 403, by reason (unknown_app, secret, address, signature, unreadable).',
  },
  callstream_ingest_connections_dropped_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Connections closed to make room for others: too many open (connections), or too many bytes on their way (bodies).',
  },
  callstream_ingest_producer_renewals_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Kafka producers thrown away after a failed or incomplete send.',
  },
  callstream_spool_events: { type: 'gauge', labels: [], help: 'Events waiting in the local spool.' },
  callstream_spool_bytes: { type: 'gauge', labels: [], help: 'Bytes of the local spool.' },
  callstream_spool_quarantined_total: { type: 'counter', labels: [], help: 'Spool records set aside because their checksum failed.' },
  callstream_spool_appended_total: { type: 'counter', labels: [], help: 'Events written to the spool because Kafka was away.' },
  callstream_spool_drained_total: { type: 'counter', labels: [], help: 'Events carried over from the spool to Kafka.' },
  callstream_spool_failures_total: {
    type: 'counter',
    labels: [],
    help: 'Appends that the disk of the spool refused: it is full, or broken.',
  },
  callstream_clock_doubted_seconds: {
    type: 'gauge',
    labels: [],
    help: 'By how much the clock of the machine has leapt and is not believed yet; 0: it is believed.',
  },
  callstream_task_state: { type: 'gauge', labels: ['worker', 'state'], help: 'Stream tasks by lifecycle state.' },
  callstream_task_records_total: { type: 'counter', labels: ['worker'], help: 'Input records processed and committed.' },
  callstream_task_transactions_total: {
    type: 'counter',
    labels: ['worker', 'result'],
    help: 'Transactions by result (committed, failed).',
  },
  callstream_task_takeovers_total: { type: 'counter', labels: ['worker', 'result'], help: 'Takeovers of a task by result.' },
  callstream_task_restored_records_total: { type: 'counter', labels: ['worker'], help: 'State records read back at takeovers.' },
  callstream_task_restore_seconds_total: { type: 'counter', labels: ['worker'], help: 'Time that reading state back at takeovers took.' },
  callstream_task_lag: { type: 'gauge', labels: ['worker', 'topic'], help: 'Input records not yet committed.' },
  callstream_stream_time_seconds: { type: 'gauge', labels: ['worker', 'partition'], help: 'Stream time of a task, epoch seconds.' },
  callstream_dead_letters_total: { type: 'counter', labels: ['worker'], help: 'Dead letters written.' },
  callstream_inputs_total: {
    type: 'counter',
    labels: ['result'],
    help: 'Inputs taken by the sessions worker: folded, merged, unchanged, dead.',
  },
  callstream_calls: { type: 'gauge', labels: ['stage'], help: 'Calls in the state of the sessions worker, by stage.' },
  callstream_calls_over_cap: {
    type: 'gauge',
    labels: [],
    help: 'Calls beyond the memory cap that cannot leave: not over, or not yet in ClickHouse.',
  },
  callstream_call_revisions_total: { type: 'counter', labels: [], help: 'Call revisions published.' },
  callstream_calls_timed_out_total: { type: 'counter', labels: [], help: 'Calls closed by a timeout.' },
  callstream_calls_reopened_total: { type: 'counter', labels: [], help: 'Calls that were over and are not any more.' },
  callstream_calls_left_total: { type: 'counter', labels: [], help: 'Calls that left the worker state after retention.' },
  callstream_late_inputs_total: { type: 'counter', labels: ['result'], help: 'Late inputs: deferred, taken_back, new.' },
  callstream_recording_inputs_total: {
    type: 'counter',
    labels: ['result'],
    help: 'Inputs taken by the recordings worker: folded, merged, unchanged, dead.',
  },
  callstream_recordings: { type: 'gauge', labels: [], help: 'Recordings in the state of the recordings worker.' },
  callstream_recording_revisions_total: { type: 'counter', labels: [], help: 'Recording revisions published.' },
  callstream_recordings_left_total: { type: 'counter', labels: [], help: 'Recordings that left the worker state after retention.' },
  callstream_recordings_taken_back_total: { type: 'counter', labels: [], help: 'Recordings taken back from ClickHouse for late input.' },
  callstream_channel_inputs_total: {
    type: 'counter',
    labels: ['result'],
    help: 'Inputs taken by the channels worker: folded, merged, unchanged, passed (they say nothing of who is present), dead.',
  },
  callstream_channels: { type: 'gauge', labels: [], help: 'Channels in the state of the channels worker.' },
  callstream_channel_session_revisions_total: { type: 'counter', labels: [], help: 'Revisions of channel sessions published.' },
  callstream_channel_sessions_left_total: {
    type: 'counter',
    labels: [],
    help: 'Channel sessions that left the worker state after retention.',
  },
  callstream_channels_taken_back_total: {
    type: 'counter',
    labels: [],
    help: 'Channels of which sessions were taken back from ClickHouse.',
  },
  callstream_sink_rows_total: { type: 'counter', labels: ['table'], help: 'Rows acknowledged by ClickHouse.' },
  callstream_sink_inserts_total: {
    type: 'counter',
    labels: ['table', 'result'],
    help: 'Inserts by result (ok, retriable, permanent, unknown).',
  },
  callstream_sink_flush_seconds: {
    type: 'histogram',
    labels: [],
    help: 'Duration of one flush.',
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  callstream_sink_lag: { type: 'gauge', labels: ['topic'], help: 'Records not yet in ClickHouse.' },
  callstream_roller_buckets_total: { type: 'counter', labels: [], help: 'Rollup minutes recomputed.' },
  callstream_roller_dirty: { type: 'gauge', labels: [], help: 'Rollup minutes touched and not yet rolled.' },
  callstream_poll_active: { type: 'gauge', labels: [], help: '1 in the one process that polls, 0 in those that stand by.' },
  callstream_poll_requests_total: {
    type: 'counter',
    labels: ['source', 'operation', 'result'],
    help: 'Questions to vendors, by what came of them (page, not_yet, retry, slow_down, renew, refused, stop; host: no answer).',
  },
  callstream_poll_limit_per_second: {
    type: 'gauge',
    labels: ['source', 'app', 'operation'],
    help: 'Requests per second that an operation of an app is allowed.',
  },
  callstream_poll_elements_total: {
    type: 'counter',
    labels: ['source', 'result'],
    help: 'Polled elements: published, known already, or too_large for Kafka.',
  },
  callstream_poll_tasks_total: {
    type: 'counter',
    labels: ['kind', 'result'],
    help: 'Tasks by what became of them (done, put_off, given_up, refused, too_old, superseded, dropped, unserved, unreadable).',
  },
  callstream_poll_tasks_waiting: { type: 'gauge', labels: [], help: 'Tasks in memory that are not done.' },
  callstream_poll_stopped: {
    type: 'gauge',
    labels: ['source', 'app'],
    help: '1 where the vendor is left alone until the configuration of the app is put in order.',
  },
  callstream_poll_breaker_open: {
    type: 'gauge',
    labels: ['host'],
    help: '1 where a vendor host does not answer, and is asked now and then only.',
  },
  callstream_poll_swept_to_seconds: {
    type: 'gauge',
    labels: ['source', 'app', 'sweep'],
    help: 'Everything that the vendor had up to here is on the raw topic, epoch seconds.',
  },
  callstream_poll_lost_seconds_total: {
    type: 'counter',
    labels: ['source', 'app'],
    help: 'Time that was not swept before the vendor forgot it.',
  },
  callstream_alerts_active: {
    type: 'gauge',
    labels: [],
    help: '1 in the one process that judges the rules of alerts, 0 in those that stand by.',
  },
  callstream_alerts_firing: { type: 'gauge', labels: ['rule'], help: 'Apps in which the rule fires.' },
  callstream_alert_changes_total: { type: 'counter', labels: ['rule', 'state'], help: 'Alerts published, by state (firing, resolved).' },
  callstream_alert_evaluation_seconds: {
    type: 'histogram',
    labels: [],
    help: 'Measuring what all rules look at, once.',
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  callstream_webhook_requests_total: {
    type: 'counter',
    labels: ['webhook', 'result'],
    help: 'Requests to receivers of webhooks: delivered, failed (tried again), gone, expired (given up after a day).',
  },
  callstream_webhook_open: { type: 'gauge', labels: ['webhook'], help: 'Records that the receiver has not been told of in full.' },
  callstream_webhook_lag: { type: 'gauge', labels: ['webhook'], help: 'Records that the receiver’s position is behind the topics.' },
  callstream_api_request_seconds: {
    type: 'histogram',
    labels: ['route', 'code'],
    help: 'Requests of the query API and the dashboard, by route and HTTP status.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  callstream_api_live_clients: { type: 'gauge', labels: [], help: 'Live views that are open.' },
} as const satisfies Record<string, MetricDefinition>;

export interface MetricDefinition {
  type: 'counter' | 'gauge' | 'histogram';
  labels: readonly string[];
  help: string;
  buckets?: readonly number[];
}

type Instrument<D extends MetricDefinition> = D['type'] extends 'counter'
  ? Counter<D['labels'][number]>
  : D['type'] extends 'gauge'
    ? Gauge<D['labels'][number]>
    : Histogram<D['labels'][number]>;

export type Metrics = { readonly [K in keyof typeof METRICS]: Instrument<(typeof METRICS)[K]> } & { readonly registry: Registry };

/** A fresh set of all metrics in a registry of its own, so that two workers in one process never share counters. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const out: Record<string, unknown> = { registry };
  for (const [name, d] of Object.entries(METRICS) as [string, MetricDefinition][]) {
    const base = { name, help: d.help, labelNames: [...d.labels], registers: [registry] };
    out[name] =
      d.type === 'counter'
        ? new Counter(base)
        : d.type === 'gauge'
          ? new Gauge(base)
          : new Histogram({ ...base, ...(d.buckets ? { buckets: [...d.buckets] } : {}) });
  }
  return out as Metrics;
}
