-- Whiteboard recordings: one stored table, and the two relations of the contract (section 5) that show it.

-- One row per recording, the latest revision wins. Key and partition never change during a recording's life; a recording is found by its key alone.
CREATE TABLE IF NOT EXISTS recordings_latest
(
    provider LowCardinality(String),
    app_id LowCardinality(String),
    task_id String,
    room_id String,
    group_id String,
    record_user_id String,
    status LowCardinality(String),
    started_at Nullable(DateTime64(3, 'UTC')),
    stopped_at Nullable(DateTime64(3, 'UTC')),
    total_ms UInt64,
    finish_reason LowCardinality(String),
    exceptions UInt64,
    error_code String,
    error_message String,
    pauses UInt64,
    videos Array(Tuple(
        user_id String,
        video_id String,
        type LowCardinality(String),
        format LowCardinality(String),
        url String,
        play_time_ms UInt64,
        duration_ms UInt64,
        size_bytes UInt64,
        width UInt64,
        height UInt64)),
    omitted Array(Tuple(
        video_time_ms UInt64,
        pause_time_ms UInt64,
        resume_time_ms UInt64)),
    revision UInt64,
    first_seen_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    state String COMMENT 'The published Recording as framed on the topic: what a worker takes a recording back from' CODEC(ZSTD(1)),
    INDEX started_at_range started_at TYPE minmax GRANULARITY 1,
    INDEX room_id_bloom room_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(first_seen_at)
ORDER BY (app_id, task_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

CREATE OR REPLACE VIEW recordings AS SELECT * EXCEPT (first_seen_at, updated_at, state) FROM recordings_latest FINAL;

-- A call and a recording of its app and room belong together when they overlap in time: both intervals are half-open, an unknown end is now, and what has
-- no known start overlaps nothing. The rooms that were ever recorded are few: they pick the calls before anything is joined.
CREATE OR REPLACE VIEW call_recordings AS
SELECT
    calls.call_id AS call_id, recs.task_id AS task_id,
    calls.provider AS provider, calls.app_id AS app_id, calls.room_id AS room_id,
    recs.status AS status, recs.started_at AS started_at, recs.stopped_at AS stopped_at, recs.total_ms AS total_ms,
    recs.finish_reason AS finish_reason, recs.videos AS videos,
    calls.started_at AS call_started_at, calls.ended_at AS call_ended_at
FROM
(
    SELECT provider, app_id, call_id, room_id, started_at, ended_at
    FROM calls_latest FINAL
    WHERE room_id != '' AND end_reason != 'merged' AND (app_id, room_id) IN (SELECT app_id, room_id FROM recordings_latest)
) AS calls
INNER JOIN
(
    SELECT provider, app_id, task_id, room_id, status, started_at, stopped_at, total_ms, finish_reason, videos
    FROM recordings_latest FINAL
    WHERE room_id != '' AND isNotNull(started_at)
) AS recs
ON calls.provider = recs.provider AND calls.app_id = recs.app_id AND calls.room_id = recs.room_id
WHERE greatest(calls.started_at, assumeNotNull(recs.started_at))
    < least(ifNull(calls.ended_at, now64(3, 'UTC')), ifNull(recs.stopped_at, now64(3, 'UTC')));
