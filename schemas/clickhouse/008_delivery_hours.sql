-- The hour of the event, of all deliveries of one input the same: so whoever asks which of them was the first reads those hours alone, however many others there are.
-- A granule knows the hours that are in it, for inputs of unknown time stand among all others.
-- Of what was stored before, the delay tells; where there is none (what was polled), nothing does: 4294967295.
ALTER TABLE deliveries ADD COLUMN IF NOT EXISTS event_hour UInt32
    DEFAULT multiIf(dead = 1, 0, isNull(delay_ms), 4294967295, toUInt32(intDiv(toUnixTimestamp64Milli(received_at) - assumeNotNull(delay_ms), 3600000)))
    COMMENT 'Hours from 1970 to the event; 0: of unknown time, or dead; 4294967295: not stored';

ALTER TABLE deliveries ADD INDEX IF NOT EXISTS event_hour_set event_hour TYPE set(64) GRANULARITY 1;

-- In the background: until a part has them, the hours are computed and the index leaves nothing out.
ALTER TABLE deliveries MATERIALIZE COLUMN event_hour;
ALTER TABLE deliveries MATERIALIZE INDEX event_hour_set;
