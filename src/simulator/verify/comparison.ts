import type { Clock } from '../../telemetry/clock.js';
import type { Input, TruthCall } from '../truth/call.js';
import type { TruthSession } from '../truth/channel.js';
import type { TruthDeliveries } from '../truth/deliveries.js';
import type { SourceName } from '../truth/read-source.js';
import type { TruthRecording } from '../truth/recording.js';
import { type Differences, shorten } from './differences.js';
import type { Fate } from './fate.js';
import type { Query, Sleep } from './ports.js';

export interface OwnCall {
  app_id: string;
  call_id: string;
  inputs: Input[];
  fate: Fate<TruthCall>;
}

/** A session of a channel that the run has made something of. */
export interface OwnSession {
  app_id: string;
  channel_id: string;
  /** Of all inputs of its channel. */
  arrivals: readonly number[];
  fate: Fate<TruthSession>;
}

export interface OwnRecording {
  app_id: string;
  task_id: string;
  truth: TruthRecording;
}

export interface Comparison {
  query: Query;
  apps: readonly string[];
  sources: readonly SourceName[];
  begin_at: number;
  clock: Clock;
  sleep: Sleep;
  /** sessions.settle, ms. */
  settle: number;
  /** The run's own, with the truth about it: calls and recordings by `callKey`, sessions by {@link sessionKey}. */
  calls: ReadonlyMap<string, OwnCall>;
  sessions: ReadonlyMap<string, OwnSession>;
  recordings: ReadonlyMap<string, OwnRecording>;
  deliveries: TruthDeliveries;
  differences: Differences;
  /** Ids of the `call_events` rows by the identity of their input; filled by `compareEvents`. */
  eventIds: Map<string, string>;
  /** Revision of each row of an own call or channel, for the comparison with the topic; filled by `compareCalls`. */
  revisions: Map<string, number>;
  /** Sessions by the name that their row has given them; filled by `compareCalls`. */
  named: Map<string, OwnSession>;
}

/** Sessions of a channel do not overlap, so their start tells them apart; their names depend on arrivals. */
export const sessionKey = (app_id: string, channel_id: string, started_at: number): string =>
  JSON.stringify([app_id, channel_id, started_at]);

export const nameOf = (c: { app_id: string; call_id: string }): string => `${c.app_id} ${JSON.stringify(shorten(c.call_id))}`;

/** The channel that a session's call id names, `channel:<channel>:<event id>`; null: it is no session's. */
export function channelNamed(call_id: string): string | null {
  const [, channel] = /^channel:(.*):[^:]*$/s.exec(call_id) ?? [];
  return channel ?? null;
}
