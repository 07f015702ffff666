-- Which deliveries are of one input, in eight bytes: whether a delivery is the first one of its input is asked of millions, and reading their identities takes
-- ten times as long.
ALTER TABLE deliveries ADD COLUMN IF NOT EXISTS event_hash UInt64 MATERIALIZED cityHash64(app_id, event_id) COMMENT 'Of the identity';

-- In the background: until a part has it, it is computed from what it is made of.
ALTER TABLE deliveries MATERIALIZE COLUMN event_hash;
