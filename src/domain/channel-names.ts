import type { PresenceEvent } from './channel.js';
import type { ChannelSession, ChannelSessions } from './channel-sessions.js';
import { compareStrings } from './order.js';

/** What a name stands for: a session, a Leave that is near none, or nothing any more. */
export type Named = { kind: 'session'; session: ChannelSession } | { kind: 'stray'; event: PresenceEvent } | { kind: 'nothing' };

/** What is known of a name that has been published. */
export interface KnownName {
  kind: Named['kind'];
  /** Of its first publication, epoch ms. */
  first_seen_at: number;
}

/**
 * Gives every session and every Leave that stands alone the name under which it is published: the id of one of its own events. A name never goes to
 * another event, so wherever its event is, there the name is at home:
 *
 * - A session keeps its name. Of two that have become one, the elder does; the other name then stands for nothing.
 * - A session without one takes that of a Leave which stood alone until its Join came, the eldest.
 * - Else it is new. If all of it is, its first event to arrive names it. If not, it is a part of one that was split, and takes its own earliest Join's
 *   id; that may be a name which has stood for nothing, and whose revisions then go on.
 *
 * `known`: by name. `arrivals`: ids of the events that are new since names were last given, in the order in which they came. The result has every name
 * that is known, and the new ones.
 */
export function nameAll(
  { sessions, strays }: ChannelSessions,
  known: ReadonlyMap<string, KnownName>,
  arrivals: readonly string[],
): Map<string, Named> {
  const names = new Map<string, Named>();
  const order = new Map(arrivals.map((id, i) => [id, i]));
  for (const session of sessions) names.set(nameOf(session, known, order), { kind: 'session', session });
  for (const event of strays) names.set(event.id, { kind: 'stray', event });
  for (const name of known.keys()) if (!names.has(name)) names.set(name, { kind: 'nothing' });
  return names;
}

function nameOf({ events, stays }: ChannelSession, known: ReadonlyMap<string, KnownName>, order: ReadonlyMap<string, number>): string {
  let best: { id: string; known: KnownName } | null = null;
  for (const { id } of events) {
    const name = known.get(id);
    if (name === undefined || name.kind === 'nothing') continue;
    if (best === null || isElder(name, id, best.known, best.id)) best = { id, known: name };
  }
  if (best !== null) return best.id;
  if (events.some((e) => !order.has(e.id))) return stays[0]!.join.id;
  return events.reduce((first, e) => (order.get(e.id)! < order.get(first.id)! ? e : first)).id;
}

/** Sessions before Leaves that stood alone; then who was seen first. */
function isElder(a: KnownName, aId: string, b: KnownName, bId: string): boolean {
  if (a.kind !== b.kind) return a.kind === 'session';
  return a.first_seen_at !== b.first_seen_at ? a.first_seen_at < b.first_seen_at : compareStrings(aId, bId) < 0;
}
