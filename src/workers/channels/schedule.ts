import { type ChannelTimes, happenedAt } from '../../domain/channel.js';
import { reachOf } from '../../domain/channel-sessions.js';
import { MAX_AHEAD_MS } from '../sessions/slot.js';
import type { Entry } from './slot.js';

/** In milliseconds. */
export interface ChannelSettings extends ChannelTimes {
  settle: number;
  retention: number;
}

/** How long a record stays as it was last written. */
export const quietFor = ({ retention, channelGap }: ChannelSettings): number => Math.max(retention, 2 * channelGap);

/** When what stands in a record begins, epoch ms. */
export const beginningOf = ({ content, at }: Entry): number => (content.kind === 'session' ? content.session.from : at);

/** The latest moment that an event could have and still touch what stands in a record, epoch ms. */
export function touchedUntil({ content, at }: Entry, settings: ChannelSettings): number {
  return content.kind === 'session' ? reachOf(content.session, settings) : at;
}

/**
 * Stream time from which a record may leave: it has been quiet for long, and no event that has just happened can touch it, however far ahead the clock of
 * its own was, up to seven days. A name that was folded into a session leaves after it: if that is split, its revisions go on.
 */
export function leavesAt(entry: Entry, settings: ChannelSettings): number {
  const { content, over, name, slot, publication } = entry;
  if (content.kind === 'session' && !(over && publication.final)) return Number.POSITIVE_INFINITY;
  if (content.kind === 'nothing' && slot.events.has(name)) return Number.POSITIVE_INFINITY;
  const { last_change_at } = publication;
  return Math.max(last_change_at + quietFor(settings), Math.min(touchedUntil(entry, settings), last_change_at + MAX_AHEAD_MS));
}

/** Stream time at which a record becomes final. */
export const finalAt = ({ publication }: Entry, { settle }: ChannelSettings): number => publication.last_change_at + settle;

/** Stream time at which a record is published again as it is: not written for longer, it would pin how far back a restore must read. */
export const againAt = ({ publishedAt }: Entry, settings: ChannelSettings): number => publishedAt + quietFor(settings);

/** Stream time at which a record that does not change next has something to do: be over, become final, be published again, or leave. */
export function dueAt(entry: Entry, settings: ChannelSettings): number {
  const { content, over, publication, waits } = entry;
  const again = againAt(entry, settings);
  if (waits) return again;
  if (content.kind === 'session' && !over) return Math.min(again, content.session.overAt);
  if (content.kind === 'session' && !publication.final) return finalAt(entry, settings);
  return Math.min(again, leavesAt(entry, settings));
}

/** The latest moment that the events of a record vouch for, epoch ms. */
export const latestOf = ({ members }: Entry): number => members.reduce((at, e) => Math.max(at, Math.min(happenedAt(e), e.received_at)), 0);
