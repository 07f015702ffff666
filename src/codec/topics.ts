/** The Kafka topics of contract.md §4: name, record, key and cleanup. Partition counts are equal for all that are read by tasks, so that partition p of each belongs to task p. */
import type { Alert, AlertSilence, Call, CallEvent, DeadLetter, PollCursor, PollTask, RawEvent, Recording } from './generated.js';

export interface TopicSpec {
  readonly name: string;
  /** Base name of the .avsc file. */
  readonly schema: string;
  readonly cleanup: 'delete' | 'compact,delete' | 'compact';
  /** Milliseconds; null: kept for ever (compacted). */
  readonly retentionMs: number | null;
  readonly minCompactionLagMs?: number;
  /** Raw topics carry arrival times set by the broker: retention by append time, never by a producer's clock. */
  readonly appendTime?: boolean;
  /**
   * Partitions as a multiple of the configured count: one share for each stream worker that writes the topic, for transactions of two producers must
   * not meet in one partition. What is more than 1 may grow: such a topic is no task's input.
   */
  readonly partitionFactor: 1 | 2 | 4;
}

/** Phantom type parameter: the record that a topic carries. */
export interface Topic<T> extends TopicSpec {
  readonly __record?: T;
}

const DAY = 86_400_000;
const raw = (name: string): Topic<RawEvent> => ({
  name: `callstream.raw.${name}`,
  schema: 'raw-event',
  cleanup: 'delete',
  retentionMs: 14 * DAY,
  appendTime: true,
  partitionFactor: 1,
});

export const TOPICS = {
  rawTuicallkit: raw('tuicallkit'),
  rawTiw: raw('tiw'),
  rawCallRecord: raw('call-record'),
  rawUserEvent: raw('user-event'),
  rawAliyunRtc: raw('aliyun-rtc'),
  rawLate: raw('late'),
  callEvents: topic<CallEvent>('call-events', 'call-event', 'delete', 14 * DAY),
  // Shares: sessions, channels.
  calls: topic<Call>('calls', 'call', 'compact,delete', 30 * DAY, { minCompactionLagMs: 7 * DAY, partitionFactor: 2 }),
  recordings: topic<Recording>('recordings', 'recording', 'compact,delete', 30 * DAY, { minCompactionLagMs: 7 * DAY }),
  // Shares: events, sessions, recordings, channels.
  deadLetters: topic<DeadLetter>('dead-letters', 'dead-letter', 'delete', 30 * DAY, { partitionFactor: 4 }),
  tasks: topic<PollTask>('tasks', 'poll-task', 'delete', 14 * DAY),
  pollCursors: topic<PollCursor>('poll-cursors', 'poll-cursor', 'compact', null),
  alerts: topic<Alert>('alerts', 'alert', 'delete', 30 * DAY),
  alertSilences: topic<AlertSilence>('alert-silences', 'alert-silence', 'compact', null),
} as const;

function topic<T>(
  name: string,
  schema: string,
  cleanup: TopicSpec['cleanup'],
  retentionMs: number | null,
  more: Partial<TopicSpec> = {},
): Topic<T> {
  return { name: `callstream.${name}`, schema, cleanup, retentionMs, partitionFactor: 1, ...more };
}

/** Subject of a topic's value schema. */
export const subjectOf = (t: TopicSpec): string => `${t.name}-value`;
