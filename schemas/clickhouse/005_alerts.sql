-- One row per alert: the record that resolves it takes the place of the one that fired. An alert never fires twice at one moment, so its key is its name.
CREATE TABLE IF NOT EXISTS alert_rows
(
    alert_id String,
    rule LowCardinality(String),
    provider LowCardinality(String),
    app_id LowCardinality(String),
    state LowCardinality(String),
    metric LowCardinality(String),
    value Float64,
    n UInt64,
    threshold Float64,
    window_ms UInt64,
    fired_at DateTime64(3, 'UTC'),
    resolved_at Nullable(DateTime64(3, 'UTC')),
    silenced Bool,
    version UInt8
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fired_at)
ORDER BY (app_id, rule, fired_at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

-- value is that of the last record: when it fired, or when it resolved.
CREATE OR REPLACE VIEW alerts AS
SELECT rule, app_id, state, value, threshold, fired_at, resolved_at, provider, metric, n, window_ms, silenced
FROM alert_rows FINAL;
