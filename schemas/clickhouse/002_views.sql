-- The relations of the contract (section 5), by name and column. Each is exact as it stands: readers need no FINAL and see no duplicates.

CREATE OR REPLACE VIEW calls AS SELECT * EXCEPT (legs, state) FROM calls_latest FINAL;

CREATE OR REPLACE VIEW call_legs AS
SELECT
    provider, app_id, call_id,
    leg.user_id AS user_id, leg.role AS role, leg.outcome AS outcome,
    leg.rang_at AS rang_at, leg.joined_at AS joined_at, leg.left_at AS left_at, leg.talk_ms AS talk_ms,
    leg.missed AS missed, leg.missed_inclusive AS missed_inclusive, leg.platform AS platform,
    leg.media_joined_at AS media_joined_at, leg.media_left_at AS media_left_at, leg.media_drops AS media_drops,
    call_started_at, revision
FROM
(
    SELECT provider, app_id, call_id, started_at AS call_started_at, revision, arrayJoin(legs) AS leg
    FROM calls_latest FINAL
    WHERE end_reason != 'merged'
);

-- An event of unknown time takes the smallest received_at of its deliveries as its time.
CREATE OR REPLACE VIEW call_events AS
SELECT
    provider, app_id, call_id, room_id, user_id, role, event, ifNull(event_at, received_at) AS event_at, received_at, source,
    platform, call_result, event_id, raw_topic, raw_partition, raw_offset, detail
FROM (SELECT * FROM call_event_rows FINAL);

CREATE OR REPLACE VIEW dead_letters AS
SELECT
    stage, reason, error, source, app_id, received_at, body,
    concat(origin_topic, ':', toString(origin_partition), ':', toString(origin_offset), if(origin_index < 0, '', concat(':', toString(origin_index)))) AS origin
FROM dead_letter_rows FINAL;

-- The rolled minutes put together to buckets of so many seconds, which must be whole minutes.
-- Percentiles are nearest rank: the first bin whose cumulated count c has c >= p% of the total. The value of a bin is at most 1% off.
CREATE OR REPLACE VIEW metrics_by AS
SELECT
    bucket, provider, app_id, call_type, media_type,
    calls, answered, no_answer, rejected, busy, cancelled, failed, unknown, missed, missed_inclusive, ring_ms_sum, talk_ms_sum,
    if(calls = 0, NULL, answered / calls) AS asr,
    if(calls = 0, NULL, (answered + no_answer + rejected + busy + cancelled) / calls) AS ner,
    if(answered = 0, NULL, talk_ms_sum / answered) AS acd_ms,
    percentiles[1][1] AS ring_p50_ms, percentiles[1][2] AS ring_p95_ms, percentiles[2][1] AS talk_p50_ms, percentiles[2][2] AS talk_p95_ms
FROM
(
    SELECT
        *,
        arrayMap(bins ->
            arrayMap(b -> if(b < 0, NULL, if(b <= 256, toUInt64(b), toUInt64(round(256 * pow(1.015, b - 256) * 2 / 2.015)))),
                arrayMap(p -> if(empty(bins.2), -1, toInt32(bins.1[arrayFirstIndex(c -> 100 * c >= p * arraySum(bins.2), arrayCumSum(bins.2))])), [50, 95])),
            [ring, talk]) AS percentiles
    FROM
    (
        -- No time zone here: with one, a condition on bucket could not use the key of the table.
        SELECT
            toStartOfInterval(minute, toIntervalSecond({seconds:UInt32})) AS bucket,
            g.provider AS provider, app_id, g.call_type AS call_type, g.media_type AS media_type,
            sum(g.calls) AS calls, sum(g.answered) AS answered, sum(g.no_answer) AS no_answer, sum(g.rejected) AS rejected, sum(g.busy) AS busy,
            sum(g.cancelled) AS cancelled, sum(g.failed) AS failed, sum(g.unknown) AS unknown, sum(g.missed) AS missed,
            sum(g.missed_inclusive) AS missed_inclusive, sum(g.ring_ms_sum) AS ring_ms_sum, sum(g.talk_ms_sum) AS talk_ms_sum,
            sumMap(g.ring_bins.1, g.ring_bins.2) AS ring, sumMap(g.talk_bins.1, g.talk_bins.2) AS talk
        FROM (SELECT bucket AS minute, app_id, arrayJoin(groups) AS g FROM metrics_minutes FINAL)
        GROUP BY bucket, provider, app_id, call_type, media_type
    )
);

CREATE OR REPLACE VIEW metrics_1m AS SELECT * FROM metrics_by(seconds = 60);
CREATE OR REPLACE VIEW metrics_1h AS SELECT * FROM metrics_by(seconds = 3600);
CREATE OR REPLACE VIEW metrics_1d AS SELECT * FROM metrics_by(seconds = 86400);

-- The count before a minute is the sum of all earlier steps. Calls that are over come from the rolled minutes; open ones, from their accept until now, are
-- added here: the few minutes with an edge of an open call are put together from single steps. A minute without a step has the count that the last one
-- with a step has left. Minutes later than this one have no concurrency yet, whatever end a vendor has named.
-- The minutes are a series of their own, so that a condition on bucket is applied before anything is joined: one call with an accept of the year 2000 makes
-- 14 million minutes, and a reader of the last hour sees 60.
CREATE OR REPLACE VIEW concurrency_1m AS
WITH
    open_edges AS
    (
        SELECT app_id, toStartOfMinute(edge) AS bucket, toUInt16(toUnixTimestamp64Milli(edge) % 60000) AS offset, step
        FROM
        (
            SELECT app_id, [assumeNotNull(accepted_at), now64(3, 'UTC')] AS edges
            FROM calls_latest FINAL
            WHERE status != 'ended' AND accepted_at < now64(3, 'UTC')
        )
        ARRAY JOIN edges AS edge, [toInt64(1), toInt64(-1)] AS step
    ),
    minutes AS
    (
        SELECT app_id, bucket, net, peak, area
        FROM concurrency_minutes FINAL
        WHERE (app_id, bucket) NOT IN (SELECT app_id, bucket FROM open_edges)
        UNION ALL
        SELECT
            app_id, bucket,
            arraySum(edges.2) AS net,
            greatest(arrayMax(arrayCumSum(edges.2)), if(edges.1[1] > 0, 0, arrayMax(arrayCumSum(edges.2)))) AS peak,
            arraySum(e -> e.2 * (60000 - e.1), edges) AS area
        FROM
        (
            SELECT app_id, bucket, arraySort(groupArray((toInt64(offset), change))) AS edges
            FROM
            (
                SELECT app_id, bucket, offset, sum(step) AS change
                FROM
                (
                    SELECT app_id, bucket, offset, step FROM open_edges
                    UNION ALL
                    SELECT app_id, bucket, offset, step
                    FROM (SELECT app_id, bucket, offsets, steps FROM concurrency_minutes FINAL WHERE (app_id, bucket) IN (SELECT app_id, bucket FROM open_edges))
                    ARRAY JOIN offsets AS offset, steps AS step
                )
                GROUP BY app_id, bucket, offset
            )
            GROUP BY app_id, bucket
        )
    ),
    levels AS
    (
        SELECT
            app_id, bucket, net, peak, area,
            sum(net) OVER (PARTITION BY app_id ORDER BY bucket ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS after
        FROM minutes
        WHERE bucket <= now()
    )
SELECT
    bucket, app_id,
    toUInt64(if(edge = bucket, after - net + level_peak, after)) AS peak,
    if(edge = bucket, (after - net) + area / 60000, toFloat64(after)) AS average
FROM
(
    SELECT
        axis.bucket AS bucket, axis.app_id AS app_id, levels.bucket AS edge, levels.net AS net, levels.peak AS level_peak, levels.area AS area,
        levels.after AS after
    FROM
    (
        -- From the first step on, but never before 2000: earlier times are no times of a call.
        SELECT toDateTime(generate_series, 'UTC') AS bucket, app_id
        FROM generate_series(
            greatest(toUInt64(946684800), assumeNotNull((SELECT toUInt64(toUnixTimestamp(min(bucket))) FROM minutes))),
            toUInt64(toUnixTimestamp(now())), 60) AS series
        CROSS JOIN (SELECT app_id FROM concurrency_minutes UNION DISTINCT SELECT app_id FROM open_edges) AS apps
    ) AS axis
    ASOF INNER JOIN levels ON axis.app_id = levels.app_id AND axis.bucket >= levels.bucket
)
WHERE peak > 0;

-- Deliveries by minute of received_at. Each is dead, the first of its input (folded) or a duplicate. An input's first delivery is the one that
-- call_event_rows keeps; where that one died in the fold, the first that did not.
-- So received = folded + duplicates + dead, in every row. Calls known from records alone stand in the minute of started_at, under the source of the records.
CREATE OR REPLACE VIEW delivery_minutes AS
WITH
    lost AS
    (
        SELECT origin_topic, origin_partition, origin_offset, origin_index
        FROM dead_letter_rows
        WHERE stage = 'fold' AND startsWith(origin_topic, 'callstream.raw.') AND origin_topic != 'callstream.raw.late' AND origin_index >= 0
    ),
    lost_events AS
    (
        SELECT event_id
        FROM call_event_rows FINAL
        WHERE (SELECT count() FROM lost) > 0 AND (raw_topic, raw_partition, raw_offset, raw_index) IN (SELECT * FROM lost)
    )
SELECT
    bucket, app_id, source, received, folded, duplicates, dead,
    if(empty(delays), NULL, delays[intDiv(length(delays) * 50 + 99, 100)]) AS delay_p50_ms,
    if(empty(delays), NULL, delays[intDiv(length(delays) * 95 + 99, 100)]) AS delay_p95_ms,
    calls_from_records_only
FROM
(
    SELECT
        bucket, app_id, source,
        sum(delivered) AS received,
        sum(firsts) AS folded,
        sum(identified) - sum(firsts) AS duplicates,
        sum(delivered) - sum(identified) AS dead,
        arraySort(groupArrayArray(delay)) AS delays,
        sum(records_only) AS calls_from_records_only
    FROM
    (
        SELECT
            toStartOfMinute(received_at) AS bucket, app_id, source, count() AS delivered, toInt64(countIf(dead = 0)) AS identified,
            toInt64(0) AS firsts, groupArray(delay_ms) AS delay, toUInt64(0) AS records_only
        FROM deliveries FINAL
        GROUP BY bucket, app_id, source
        UNION ALL
        SELECT toStartOfMinute(received_at) AS bucket, app_id, source, 0, 0, toInt64(count()), [], 0
        FROM call_event_rows FINAL
        WHERE (raw_topic, raw_partition, raw_offset, raw_index) NOT IN (SELECT * FROM lost)
        GROUP BY bucket, app_id, source
        UNION ALL
        SELECT toStartOfMinute(first.1) AS bucket, app_id, first.2 AS source, 0, 0, toInt64(count()), [], 0
        FROM
        (
            SELECT app_id, argMin((received_at, source), (received_at, raw_topic, raw_partition, raw_offset, raw_index)) AS first
            FROM deliveries FINAL
            WHERE (SELECT count() FROM lost) > 0 AND dead = 0 AND event_id IN (SELECT event_id FROM lost_events)
            GROUP BY app_id, event_id
        )
        GROUP BY bucket, app_id, source
        UNION ALL
        SELECT toStartOfMinute(started_at) AS bucket, app_id, 'call-record' AS source, 0, 0, 0, [], count()
        FROM calls_latest FINAL
        WHERE has(sources, 'record') AND NOT hasAny(sources, ['event', 'status', 'channel']) AND end_reason != 'merged'
        GROUP BY bucket, app_id
    )
    GROUP BY bucket, app_id, source
);

CREATE OR REPLACE VIEW delivery_health AS
SELECT bucket, app_id, source, received, duplicates, delay_p50_ms, delay_p95_ms, calls_from_records_only FROM delivery_minutes;

-- Per direction caller -> callee: the misses since the two last spoke, either way.
CREATE OR REPLACE VIEW missed_unreturned AS
WITH
    sides AS
    (
        SELECT app_id, caller, leg.user_id AS callee, started_at, least(caller, callee) AS low, greatest(caller, callee) AS high,
            leg.outcome = 'answered' AS spoke,
            status = 'ended' AND (leg.outcome IN ('no_answer', 'busy') OR (leg.outcome = 'cancelled' AND ring_ms >= 5000)) AS missed
        FROM
        (
            SELECT app_id, caller, started_at, status, ring_ms, arrayJoin(legs) AS leg
            FROM calls_latest FINAL
            WHERE caller != '' AND end_reason != 'merged'
        )
        WHERE leg.role = 'callee'
    )
SELECT
    app_id, misses.caller AS caller, misses.callee AS callee, count() AS missed_count, min(misses.started_at) AS first_missed_at, max(misses.started_at) AS last_missed_at
FROM (SELECT app_id, caller, callee, low, high, started_at FROM sides WHERE missed) AS misses
LEFT JOIN (SELECT app_id, low, high, max(started_at) AS spoke_at FROM sides WHERE spoke GROUP BY app_id, low, high) AS talks USING (app_id, low, high)
WHERE misses.started_at >= coalesce(talks.spoke_at, toDateTime64(0, 3, 'UTC'))
GROUP BY app_id, caller, callee;
