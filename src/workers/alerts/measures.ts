import type { ClickHouse } from '../../clickhouse/index.js';
import type { AlertMetric } from '../../domain/alert-rules.js';
import type { AlertSample } from '../../domain/alerts.js';

/** What a measurement is about. Times in epoch ms, the window in ms. */
export interface Measuring {
  metric: AlertMetric;
  window: number;
  appIds: readonly string[];
  now: number;
}

export interface MeasureOptions {
  clickhouse: Pick<ClickHouse, 'query'>;
  /** Sources that the vendor calls us for. */
  callbackSources: readonly string[];
  /** Longest that a call can be open, ms: an ended call is at most so much older than its last change. */
  maxCall: number;
}

const DAY = 86_400_000;
/** The key of deliveries. FINAL would read nearly all of them for the last hour: their order is that of the topics. */
const DELIVERY = 'raw_topic, raw_partition, raw_offset, raw_index';

/**
 * Each yields `app_id`, `value` and `n`; an app without a row has no value. `from` and `to` bound the window, in ms. `seen_from` bounds the key of calls_latest:
 * a call is first seen when it starts, or later, but for what a vendor dates in the future.
 */
const QUERIES: Record<AlertMetric, string> = {
  missed_rate: `
    SELECT app_id, sum(missed) / sum(calls) AS value, sum(calls) AS n
    FROM metrics_1m
    WHERE app_id IN {apps:Array(String)} AND bucket >= toStartOfMinute(fromUnixTimestamp64Milli({from:Int64})) AND bucket <= fromUnixTimestamp64Milli({to:Int64})
    GROUP BY app_id HAVING n > 0`,
  failed_rate: `
    SELECT app_id, countIf(outcome = 'failed' OR end_reason = 'interrupted') / count() AS value, count() AS n
    FROM calls
    WHERE app_id IN {apps:Array(String)} AND first_seen_at >= fromUnixTimestamp64Milli({seen_from:Int64}) AND end_reason != 'merged'
      AND started_at >= fromUnixTimestamp64Milli({from:Int64}) AND started_at <= fromUnixTimestamp64Milli({to:Int64})
    GROUP BY app_id HAVING n > 0`,
  // Day 0 is the window itself, day d the same time d days ago; a day without calls has none.
  volume_drop: `
    SELECT app_id, 1 - counts[1] / usual AS value, usual AS n
    FROM
    (
      SELECT app_id, sumMap([day], [calls]) AS by_day,
        arrayMap(d -> if(has(by_day.1, d), by_day.2[indexOf(by_day.1, d)], 0), range(8)) AS counts,
        least(arraySort(arraySlice(counts, 2))[4], counts[8]) AS usual
      FROM
      (
        SELECT app_id, calls, intDiv({to:Int64} - toInt64(toUnixTimestamp(bucket)) * 1000, ${DAY}) AS day
        FROM metrics_1m
        WHERE app_id IN {apps:Array(String)} AND bucket >= fromUnixTimestamp64Milli({to:Int64} - 8 * ${DAY}) AND bucket <= fromUnixTimestamp64Milli({to:Int64})
          AND ({to:Int64} - toInt64(toUnixTimestamp(bucket)) * 1000) % ${DAY} <= {to:Int64} - {from:Int64}
      )
      GROUP BY app_id
    )
    WHERE usual > 0`,
  starts_without_ends: `
    SELECT app_id, countIf(end_reason = 'timed_out' OR has(anomalies, 'missing_end')) / count() AS value, count() AS n
    FROM calls
    WHERE app_id IN {apps:Array(String)} AND first_seen_at >= fromUnixTimestamp64Milli({seen_from:Int64}) AND status = 'ended' AND end_reason != 'merged'
      AND updated_at >= fromUnixTimestamp64Milli({from:Int64}) AND updated_at <= fromUnixTimestamp64Milli({to:Int64})
    GROUP BY app_id HAVING n > 0`,
  source_silence: `
    SELECT app_id, max(silence) AS value, argMax(callbacks, silence) AS n
    FROM
    (
      SELECT app_id, source, {to:Int64} - toUnixTimestamp64Milli(max(received_at)) AS silence, uniqExact(${DELIVERY}) AS callbacks
      FROM deliveries
      WHERE app_id IN {apps:Array(String)} AND source IN {sources:Array(String)} AND received_at >= fromUnixTimestamp64Milli({from:Int64})
      GROUP BY app_id, source
      HAVING callbacks >= {minimum:UInt64}
    )
    GROUP BY app_id`,
  dead_letter_rate: `
    SELECT app_id, countIf(died) / count() AS value, count() AS n
    FROM
    (
      SELECT app_id, max(dead) > 0 AS died
      FROM deliveries
      WHERE app_id IN {apps:Array(String)} AND received_at >= fromUnixTimestamp64Milli({from:Int64}) AND received_at <= fromUnixTimestamp64Milli({to:Int64})
      GROUP BY app_id, ${DELIVERY}
    )
    GROUP BY app_id HAVING n > 0`,
  recording_exceptions: `
    SELECT app_id, countIf(status = 'failed' OR exceptions > 0) AS value, count() AS n
    FROM recordings_latest FINAL
    WHERE app_id IN {apps:Array(String)} AND updated_at >= fromUnixTimestamp64Milli({from:Int64}) AND updated_at <= fromUnixTimestamp64Milli({to:Int64})
    GROUP BY app_id`,
  unreturned_missed: `
    SELECT app_id, {to:Int64} - min(toUnixTimestamp64Milli(last_missed_at)) AS value, count() AS n
    FROM missed_unreturned
    WHERE app_id IN {apps:Array(String)} AND last_missed_at >= fromUnixTimestamp64Milli({from:Int64}) AND last_missed_at <= fromUnixTimestamp64Milli({to:Int64})
    GROUP BY app_id`,
};

/** Measures one metric of several apps, by app id. A rule's minimum picks among sources, so it is asked with the metric. @throws ClickHouseFailure */
export async function measure(
  { clickhouse, callbackSources, maxCall }: MeasureOptions,
  { metric, window, appIds, now }: Measuring,
  minimum: number,
): Promise<Map<string, AlertSample>> {
  const from = now - window;
  const rows = await clickhouse.query<{ app_id: string; value: number; n: number }>(QUERIES[metric], {
    apps: appIds,
    from,
    to: now,
    seen_from: from - maxCall - DAY,
    sources: callbackSources,
    minimum,
  });
  return new Map(rows.map(({ app_id, value, n }) => [app_id, { value: Number(value), n: Number(n) }]));
}
