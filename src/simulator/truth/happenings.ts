import type { Input } from './call.js';
import { greatest, least, order, smaller } from './least.js';

/** One distinct event of a call: all its deliveries merged. `at` is never unknown. */
export interface Happening {
  user: string;
  event: string;
  at: number;
  known: boolean;
  role: string;
  start: number | null;
  accept: number | null;
  end: number | null;
  total: number;
  room: string;
  media: string;
  type: string;
  platform: string;
  received: number;
}

/** Same event = equal (user, event, event time); the bodies of one event merge. */
export function happenings(inputs: readonly Input[]): Happening[] {
  const byIdentity = new Map<string, Happening>();
  for (const { reading: r, received_at } of inputs) {
    if (r.kind !== 'event') continue;
    const identity = JSON.stringify([r.user_id, r.event, r.event_at]);
    const one: Happening = {
      user: r.user_id,
      event: r.event,
      at: r.event_at ?? received_at,
      known: r.event_at !== null,
      role: r.role,
      start: r.start_at,
      accept: r.accept_at,
      end: r.end_at,
      total: r.total,
      room: r.room_id,
      media: r.media_type,
      type: r.call_type,
      platform: r.platform,
      received: received_at,
    };
    const other = byIdentity.get(identity);
    if (other === undefined) {
      byIdentity.set(identity, one);
      continue;
    }
    other.received = Math.min(other.received, received_at);
    if (!other.known) other.at = other.received;
    other.role = [other.role, one.role].includes('caller') ? 'caller' : other.role || one.role;
    other.start = least([other.start, one.start]);
    other.accept = least([other.accept, one.accept]);
    other.end = greatest([other.end, one.end]);
    other.total = Math.max(other.total, one.total);
    other.room = smaller(other.room, one.room);
    other.media = smaller(other.media, one.media);
    other.type = smaller(other.type, one.type);
    other.platform = smaller(other.platform, one.platform);
  }
  return [...byIdentity.values()];
}

/** What the latest of the listed events means (ties: the first listed), or ''. */
export function latestOf(events: readonly Happening[], meanings: readonly [string, string][]): string {
  let best = '';
  let at = Number.NEGATIVE_INFINITY;
  for (const [name, meaning] of meanings) {
    for (const e of events) {
      if (e.event === name && e.at > at) {
        best = meaning;
        at = e.at;
      }
    }
  }
  return best;
}

/** The field of the earliest event that has it (ties: smaller user id, then event; one that knows its time goes before one that only arrived then). */
export function firstFilled(events: readonly Happening[], field: 'room' | 'media' | 'type' | 'platform'): string {
  const filled = events
    .filter((e) => e[field] !== '')
    .sort((a, b) => a.at - b.at || order(a.user, b.user) || order(a.event, b.event) || Number(b.known) - Number(a.known));
  return filled[0]?.[field] ?? '';
}
