-- Calls that are known from polled records alone. Their sources do not tell: of a call with a record and a status callback, only the record is used.
ALTER TABLE calls_latest ADD COLUMN IF NOT EXISTS records_only Bool DEFAULT false COMMENT 'No callback of the call has arrived, only records that were polled';

CREATE OR REPLACE VIEW calls AS SELECT * EXCEPT (legs, state, records_only) FROM calls_latest FINAL;

-- What a vendor's log of its pushes says of those that failed.
ALTER TABLE deliveries ADD COLUMN IF NOT EXISTS undelivered UInt8 DEFAULT 0 COMMENT 'The vendor says that its push of this input failed';

-- Deliveries by minute of received_at. Each is dead, the first of its input (folded) or a duplicate. An input's first delivery is the one that
-- call_event_rows keeps; where that one died in the fold, the first that did not.
-- So received = folded + duplicates + dead, in every row. Calls known from records alone stand in the minute of started_at, under the source of the records.
-- undelivered counts the folded inputs that the vendor's own log alone tells of, saying of each time that pushing it to us failed; a push that came after
-- all takes its input out.
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
    calls_from_records_only, undelivered
FROM
(
    SELECT
        bucket, app_id, source,
        sum(delivered) AS received,
        sum(firsts) AS folded,
        sum(identified) - sum(firsts) AS duplicates,
        sum(delivered) - sum(identified) AS dead,
        arraySort(groupArrayArray(delay)) AS delays,
        sum(records_only) AS calls_from_records_only,
        sum(unpushed) AS undelivered
    FROM
    (
        SELECT
            toStartOfMinute(received_at) AS bucket, app_id, source, count() AS delivered, toInt64(countIf(dead = 0)) AS identified,
            toInt64(0) AS firsts, groupArray(delay_ms) AS delay, toUInt64(0) AS records_only,
            toUInt64(0) AS unpushed
        FROM deliveries FINAL
        GROUP BY bucket, app_id, source
        UNION ALL
        SELECT toStartOfMinute(received_at) AS bucket, app_id, source, 0, 0, toInt64(count()), [], 0, 0
        FROM call_event_rows FINAL
        WHERE (raw_topic, raw_partition, raw_offset, raw_index) NOT IN (SELECT * FROM lost)
        GROUP BY bucket, app_id, source
        UNION ALL
        SELECT toStartOfMinute(first.1) AS bucket, app_id, first.2 AS source, 0, 0, toInt64(count()), [], 0, 0
        FROM
        (
            SELECT app_id, argMin((received_at, source), (received_at, raw_topic, raw_partition, raw_offset, raw_index)) AS first
            FROM deliveries FINAL
            WHERE (SELECT count() FROM lost) > 0 AND dead = 0 AND event_id IN (SELECT event_id FROM lost_events)
            GROUP BY app_id, event_id
        )
        GROUP BY bucket, app_id, source
        UNION ALL
        SELECT toStartOfMinute(started_at) AS bucket, app_id, 'call-record' AS source, 0, 0, 0, [], count(), 0
        FROM calls_latest FINAL
        WHERE records_only AND end_reason != 'merged'
        GROUP BY bucket, app_id
        UNION ALL
        SELECT toStartOfMinute(first.1) AS bucket, app_id, first.2 AS source, 0, 0, 0, [], 0, count()
        FROM
        (
            SELECT app_id, argMin((received_at, source), (received_at, raw_topic, raw_partition, raw_offset, raw_index)) AS first
            FROM deliveries FINAL
            WHERE dead = 0 AND event_id IN (SELECT event_id FROM deliveries WHERE undelivered = 1)
            GROUP BY app_id, event_id
            HAVING min(undelivered) = 1
        )
        GROUP BY bucket, app_id, source
    )
    GROUP BY bucket, app_id, source
);

CREATE OR REPLACE VIEW delivery_health AS
SELECT bucket, app_id, source, received, duplicates, delay_p50_ms, delay_p95_ms, calls_from_records_only, undelivered FROM delivery_minutes;
