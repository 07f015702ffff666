import { MISSED_UNRETURNED } from '../../clickhouse/relations.js';
import type { MissedPair } from '../truth/pairs.js';
import type { SourceName } from '../truth/read-source.js';
import type { Cell, ConcurrencyMinute } from '../truth/rollups.js';
import type { Query } from './ports.js';
import { rows } from './rows.js';

const METRICS = {
  bucket: 'bucket',
  app_id: 'text',
  call_type: 'text',
  media_type: 'text',
  calls: 'number',
  answered: 'number',
  no_answer: 'number',
  rejected: 'number',
  busy: 'number',
  cancelled: 'number',
  failed: 'number',
  unknown: 'number',
  missed: 'number',
  missed_inclusive: 'number',
  ring_ms_sum: 'number',
  talk_ms_sum: 'number',
  asr: 'number?',
  ner: 'number?',
  acd_ms: 'number?',
  ring_p50_ms: 'number?',
  ring_p95_ms: 'number?',
  talk_p50_ms: 'number?',
  talk_p95_ms: 'number?',
} as const;

export const metricsRows = (query: Query, relation: 'metrics_1m' | 'metrics_1h' | 'metrics_1d', apps: readonly string[]): Promise<Cell[]> =>
  rows(query, METRICS, `FROM ${relation} AS t WHERE t.app_id IN {apps:Array(String)}`, { apps });

export const concurrencyRows = (query: Query, apps: readonly string[]): Promise<ConcurrencyMinute[]> =>
  rows(
    query,
    { bucket: 'bucket', app_id: 'text', peak: 'number', average: 'number' },
    'FROM concurrency_1m AS t WHERE t.app_id IN {apps:Array(String)}',
    { apps },
  );

export const missedRows = (query: Query, apps: readonly string[]): Promise<MissedPair[]> =>
  rows(query, MISSED_UNRETURNED, 'FROM missed_unreturned AS t WHERE t.app_id IN {apps:Array(String)}', { apps });

const DELIVERIES = {
  bucket: 'bucket',
  app_id: 'text',
  source: 'text',
  received: 'number',
  folded: 'number',
  duplicates: 'number',
  dead: 'number',
} as const;

export const deliveryRows = (query: Query, apps: readonly string[], sources: readonly SourceName[], from: number, to: number) =>
  rows(
    query,
    DELIVERIES,
    `FROM delivery_minutes AS t WHERE t.app_id IN {apps:Array(String)} AND t.source IN {sources:Array(String)}
       AND t.bucket >= toDateTime({from:UInt32}, 'UTC') AND t.bucket <= toDateTime({to:UInt32}, 'UTC')`,
    { apps, sources, from: from / 1000, to: to / 1000 },
  );

export const recordsOnlyRows = (query: Query, apps: readonly string[]) =>
  rows(
    query,
    { bucket: 'bucket', app_id: 'text', calls_from_records_only: 'number' },
    'FROM delivery_minutes AS t WHERE t.app_id IN {apps:Array(String)} AND t.calls_from_records_only > 0',
    { apps },
  );
