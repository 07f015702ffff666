-- The stored tables. Readers use the views of 002_views.sql; only the sink and the roller write here.
--
-- Every table is idempotent by its key: the same rows inserted again, in any order and any number of times, leave the same contents.
-- The form for a cluster: add ON CLUSTER '<name>' to every statement and write each engine in its Replicated form, for example
--   ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', revision)
-- A statement ends with a semicolon at the end of a line. TTLs are set after the migrations, from the configuration.

-- One row per call, the latest revision wins. Key and partition never change during a call's life (started_at may).
CREATE TABLE IF NOT EXISTS calls_latest
(
    provider LowCardinality(String),
    app_id LowCardinality(String),
    call_id String,
    room_id String,
    call_type LowCardinality(String),
    media_type LowCardinality(String),
    caller String,
    callees Array(String),
    total_users UInt64,
    status LowCardinality(String),
    outcome LowCardinality(String),
    end_reason LowCardinality(String),
    started_at DateTime64(3, 'UTC'),
    accepted_at Nullable(DateTime64(3, 'UTC')),
    ended_at Nullable(DateTime64(3, 'UTC')),
    ring_ms UInt64,
    talk_ms UInt64,
    missed Bool,
    missed_inclusive Bool,
    final Bool,
    sources Array(LowCardinality(String)),
    anomalies Array(LowCardinality(String)),
    first_seen_at DateTime64(3, 'UTC'),
    updated_at DateTime64(3, 'UTC'),
    revision UInt64,
    legs Array(Tuple(
        user_id String,
        role LowCardinality(String),
        outcome LowCardinality(String),
        rang_at Nullable(DateTime64(3, 'UTC')),
        joined_at Nullable(DateTime64(3, 'UTC')),
        left_at Nullable(DateTime64(3, 'UTC')),
        talk_ms UInt64,
        missed Bool,
        missed_inclusive Bool,
        platform LowCardinality(String),
        media_joined_at Nullable(DateTime64(3, 'UTC')),
        media_left_at Nullable(DateTime64(3, 'UTC')),
        media_drops UInt32)),
    state String COMMENT 'The published Call record as framed on the topic: what a worker takes a call back from' CODEC(ZSTD(1)),
    INDEX updated_at_range updated_at TYPE minmax GRANULARITY 1,
    INDEX started_at_range started_at TYPE minmax GRANULARITY 1,
    INDEX accepted_at_range accepted_at TYPE minmax GRANULARITY 1,
    INDEX ended_at_range ended_at TYPE minmax GRANULARITY 1,
    INDEX status_set status TYPE set(4) GRANULARITY 1,
    INDEX call_id_bloom call_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX room_id_bloom room_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX caller_bloom caller TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX callees_bloom callees TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toYYYYMM(first_seen_at)
ORDER BY (app_id, first_seen_at, call_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

-- Every revision of every call; also where a call is found by its id alone.
CREATE TABLE IF NOT EXISTS call_revisions
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(first_seen_at)
ORDER BY (app_id, call_id, revision)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1
EMPTY AS SELECT * EXCEPT (legs, state) FROM calls_latest;

-- One row per distinct input. `version` falls as (received_at, raw_topic, raw_partition, raw_offset, raw_index) rises, so the smallest delivery wins.
-- Deliveries of one input may lie in different partitions: FINAL merges across them, because the partition is no part of the key.
CREATE TABLE IF NOT EXISTS call_event_rows
(
    provider LowCardinality(String),
    app_id LowCardinality(String),
    call_id String,
    room_id String,
    user_id String,
    role LowCardinality(String),
    event LowCardinality(String),
    event_at Nullable(DateTime64(3, 'UTC')),
    received_at DateTime64(3, 'UTC'),
    source LowCardinality(String),
    platform LowCardinality(String),
    call_result LowCardinality(String),
    event_id String,
    raw_topic LowCardinality(String),
    raw_partition UInt32,
    raw_offset UInt64,
    raw_index Int32,
    detail String CODEC(ZSTD(1)),
    version UInt256,
    INDEX received_at_range received_at TYPE minmax GRANULARITY 1,
    INDEX event_at_range event_at TYPE minmax GRANULARITY 1,
    INDEX user_id_bloom user_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toMonday(received_at)
ORDER BY (app_id, call_id, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

-- One row per delivered input: the identity it carried, or why it is dead (which wins when a later stage gave it up). One whose event fits no row stands
-- under the place of the event on callstream.call-events.
CREATE TABLE IF NOT EXISTS deliveries
(
    raw_topic LowCardinality(String),
    raw_partition UInt32,
    raw_offset UInt64,
    raw_index Int32,
    app_id LowCardinality(String),
    source LowCardinality(String),
    received_at DateTime64(3, 'UTC'),
    delay_ms Nullable(Int64) COMMENT 'received_at - event_at; callbacks only',
    event_id String,
    dead_stage LowCardinality(String),
    dead_reason LowCardinality(String),
    dead UInt8,
    INDEX received_at_range received_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(dead)
PARTITION BY toMonday(received_at)
ORDER BY (raw_topic, raw_partition, raw_offset, raw_index)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS dead_letter_rows
(
    stage LowCardinality(String),
    reason LowCardinality(String),
    error String,
    source LowCardinality(String),
    app_id String,
    received_at DateTime64(3, 'UTC'),
    origin_topic LowCardinality(String),
    origin_partition UInt32,
    origin_offset UInt64,
    origin_index Int32,
    key String,
    body String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toMonday(received_at)
ORDER BY (origin_topic, origin_partition, origin_offset, origin_index, stage)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

-- How often each minute was touched. The sum is the version of what the roller derives from it, so it only ever grows.
CREATE TABLE IF NOT EXISTS touched
(
    kind Enum8('metrics' = 1, 'concurrency' = 2),
    app_id LowCardinality(String),
    bucket DateTime('UTC'),
    n SimpleAggregateFunction(sum, UInt64) DEFAULT 1,
    touched_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) DEFAULT now64(3),
    INDEX touched_at_range touched_at TYPE minmax GRANULARITY 1
)
ENGINE = AggregatingMergeTree
ORDER BY (kind, app_id, bucket)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- One row per app and minute of started_at, all of its groups in it: replaced as a whole, so a group that empties vanishes.
-- ring_bins and talk_bins are histograms (bin, count), ascending: bin b <= 256 is the value b; above, bin b covers (256 * 1.015^(b-257), 256 * 1.015^(b-256)].
CREATE TABLE IF NOT EXISTS metrics_minutes
(
    app_id LowCardinality(String),
    bucket DateTime('UTC'),
    n UInt64,
    first_rolled_at DateTime('UTC'),
    rolled_at DateTime('UTC'),
    groups Array(Tuple(
        provider LowCardinality(String),
        call_type LowCardinality(String),
        media_type LowCardinality(String),
        calls UInt64,
        answered UInt64,
        no_answer UInt64,
        rejected UInt64,
        busy UInt64,
        cancelled UInt64,
        failed UInt64,
        unknown UInt64,
        missed UInt64,
        missed_inclusive UInt64,
        ring_ms_sum UInt64,
        talk_ms_sum UInt64,
        ring_bins Tuple(Array(UInt16), Array(UInt64)),
        talk_bins Tuple(Array(UInt16), Array(UInt64))))
)
ENGINE = ReplacingMergeTree(n)
ORDER BY (app_id, bucket)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- One row per app and minute in which a call that is over was accepted or ended: the steps inside the minute (ms from its start, change of the count).
-- net: sum of the steps. peak: highest count inside the minute, above the count before it. area: integral of that difference over the minute, in ms.
CREATE TABLE IF NOT EXISTS concurrency_minutes
(
    app_id LowCardinality(String),
    bucket DateTime('UTC'),
    n UInt64,
    first_rolled_at DateTime('UTC'),
    rolled_at DateTime('UTC'),
    offsets Array(UInt16),
    steps Array(Int64),
    net Int64,
    peak Int64,
    area Int64
)
ENGINE = ReplacingMergeTree(n)
ORDER BY (app_id, bucket)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
