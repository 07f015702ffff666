import { getOrMake } from '../maps.js';
import { seconds } from '../wire.js';
import type { CallFacts, Presence } from './facts.js';
import { type MediaEntry, mediaEntries } from './media-text.js';
import { insert, lowerBound } from './sorted.js';

/** One stretch of time in which a room was there: the same name may come back. Times are epoch ms. */
export interface Room {
  comm_id: string;
  name: string;
  creator: string;
  create_at: number;
  destroy_at: number;
  stays: Presence[];
  /** Calls that were held in it. */
  calls: string[];
}

/** Rooms and media are kept so long (vendors.md §1.4). */
export const ROOMS_KEPT_MS = 14 * 86_400_000;

interface AppRooms {
  byCommId: Map<string, Room>;
  byCreation: Room[];
  /** Rooms of a name, and the middle part of their CommIds: the name where it is a number, else one that nobody else knows. */
  byName: Map<string, { number: string; rooms: Room[] }>;
  named: number;
  /** Who was there, by call. */
  users: Map<string, readonly string[]>;
}

const FIRST_NUMBER = 500_000_000;
const createdAt = (room: Room): number => room.create_at;

/** The rooms that calls were held in, and what the monitoring APIs tell of them, by app. */
export class Rooms {
  readonly #apps = new Map<string, AppRooms>();
  readonly #capacity: number;

  /** @param capacity rooms kept of each app: the oldest are forgotten first */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The room of a call, and who entered it. A room that somebody is still in is entered, not made again. */
  add(facts: CallFacts): void {
    if (facts.presences.length === 0) return;
    const app = getOrMake(this.#apps, facts.app_id, () => ({
      byCommId: new Map(),
      byCreation: [],
      byName: new Map(),
      named: 0,
      users: new Map(),
    }));
    app.users.set(facts.call_id, [...new Set(facts.presences.map((stay) => stay.user))]);
    const create_at = seconds(facts.start_at) * 1_000;
    const destroy_at = Math.max(...facts.presences.map((stay) => stay.to));
    const { number, rooms } = getOrMake(app.byName, facts.room_id, () => ({ number: numberOf(app, facts.room_id), rooms: [] }));
    const open = rooms.find((room) => room.create_at <= create_at && room.destroy_at >= create_at);
    if (open !== undefined) {
      open.destroy_at = Math.max(open.destroy_at, destroy_at);
      open.stays.push(...facts.presences);
      open.calls.push(facts.call_id);
      return;
    }
    const comm_id = `${facts.app_id}_${number}_${create_at / 1_000}`;
    const room: Room = {
      comm_id,
      name: facts.room_id,
      creator: facts.caller,
      create_at,
      destroy_at,
      stays: [...facts.presences],
      calls: [facts.call_id],
    };
    rooms.push(room);
    app.byCommId.set(comm_id, room);
    insert(app.byCreation, createdAt, room);
    if (app.byCreation.length > this.#capacity) forget(app, app.byCreation.splice(0, Math.ceil(this.#capacity / 10)));
  }

  /** Users who entered the room of a call. */
  usersOf(app_id: string, call_id: string): readonly string[] {
    return this.#apps.get(app_id)?.users.get(call_id) ?? [];
  }

  /** Rooms that were there between two seconds and have been made by `now`, by their creation; of one name or, null, of any. */
  found(app_id: string, from: number, to: number, name: string | null, now: number): Room[] {
    const app = this.#apps.get(app_id);
    if (app === undefined) return [];
    const last = Math.min(to * 1_000, now);
    const rooms =
      name === null ? app.byCreation.slice(0, lowerBound(app.byCreation, createdAt, last + 1)) : (app.byName.get(name)?.rooms ?? []);
    return rooms.filter((room) => room.create_at <= last && room.destroy_at >= from * 1_000);
  }

  /** A user's `Data` between two seconds, up to `now`: the user's own events, then what was seen of the others. */
  data(app_id: string, comm_id: string, user: string, from: number, to: number, now: number): { PeerId: string; Content: MediaEntry[] }[] {
    const room = this.#apps.get(app_id)?.byCommId.get(comm_id);
    const own = (room?.stays ?? []).filter((stay) => stay.user === user);
    if (room === undefined || own.length === 0) return [];
    const asked = (entry: MediaEntry) => entry.Time >= from * 1_000 && entry.Time <= Math.min(to * 1_000 + 999, now);
    const content = own.flatMap((stay) => mediaEntries(room.comm_id, stay)).filter(asked);
    const peers = new Map<string, MediaEntry[]>([[user, content]]);
    for (const stay of own) {
      for (const other of room.stays) {
        // First audio and video of a peer, as soon as both are there.
        const at = Math.max(stay.from, other.from) + 500;
        if (other.user === user || at > Math.min(stay.to, other.to)) continue;
        const seen = { Type: 0, Time: at, EventId: stay.web ? 32776 : 5006, ParamOne: -1, ParamTwo: -1 };
        if (asked(seen)) getOrMake(peers, other.user, () => []).push(seen);
      }
    }
    return [...peers].flatMap(([PeerId, Content]) => (Content.length === 0 ? [] : [{ PeerId, Content }]));
  }
}

const numberOf = (app: AppRooms, name: string): string => (/^[1-9]\d{0,8}$/.test(name) ? name : String(FIRST_NUMBER + app.named++));

function forget(app: AppRooms, old: readonly Room[]): void {
  for (const room of old) {
    app.byCommId.delete(room.comm_id);
    for (const call of room.calls) app.users.delete(call);
    const sameName = app.byName.get(room.name);
    const left = sameName?.rooms.filter((other) => other !== room) ?? [];
    if (sameName !== undefined && left.length > 0) sameName.rooms = left;
    else app.byName.delete(room.name);
  }
}
