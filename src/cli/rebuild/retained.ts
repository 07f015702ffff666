import type { Retention } from '../../clickhouse/index.js';
import type { Admission } from '../../workers/sink/intake.js';

/** What the tables would still keep at a time, epoch ms: topics may hold more than `retention` (durations in ms) says. */
export function retainedAt(now: number, retention: Retention): Admission {
  const kept = (from: number, keep: number): boolean => from + keep > now;
  return {
    call: ({ first_seen_at }) => kept(first_seen_at, retention.calls),
    recording: ({ first_seen_at }) => kept(first_seen_at, retention.calls),
    callEvent: ({ received_at }) => kept(received_at, retention.events),
    deadLetter: ({ received_at }) => kept(received_at, retention.events),
    alert: ({ fired_at }) => kept(fired_at, retention.metrics),
  };
}
