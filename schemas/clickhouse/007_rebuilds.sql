-- Rebuilds that are wanted, because the database was lost, or under way. As long as one is not done, what is stored may lack what was published before, and
-- nobody may conclude from it that a call is new.
CREATE TABLE IF NOT EXISTS rebuilds
(
    rebuild_id String,
    wanted_at DateTime64(3, 'UTC'),
    done UInt8
)
ENGINE = ReplacingMergeTree(done)
ORDER BY rebuild_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
