import { Random } from '../random.js';
import type { Presence } from './facts.js';

/** One entry of a DescribeUserEvent answer's Content; Time in milliseconds, -1 for a parameter that says nothing. */
export interface MediaEntry {
  Type: number;
  Time: number;
  EventId: number;
  ParamOne: number;
  ParamTwo: number;
}

/** Share of stays in a room with a drop of the connection, and of those that it took two attempts to begin. */
const DROPS = 0.15;
const SECOND_ATTEMPT = 0.05;

/**
 * The media events of one stay in a room, in order of time, by the tables of vendors.md §2: of an app the SDK's (5003 entered, 5005 connection lost, 5008
 * left, 7001 gone by timeout), of a browser WebRTC's (32788 entered, 32790 and 32792 channels lost, 32789 left, 36864 lost as the backend saw it). The same
 * stay always has the same events.
 */
export function mediaEntries(room: string, { user, web, from, to, cut }: Presence): MediaEntry[] {
  const random = new Random(`media:${room}:${user}:${from}`);
  const entries: MediaEntry[] = [];
  const add = (at: number, EventId: number, ParamOne = -1, Type = 0) =>
    entries.push({ Type, Time: Math.floor(Math.min(Math.max(at, from), to)), EventId, ParamOne, ParamTwo: -1 });
  const drop = random.chance(DROPS) && to - from > 4_000 ? from + random.next() * (to - from - 2_000) : null;
  if (web) {
    add(from, 32791);
    add(from + 40, 32788);
    add(from + 60, 32769);
    if (random.chance(0.5)) add(from + 80, 32768, -1, 2);
    add(from + 300, 32793);
    if (drop !== null) {
      add(drop, random.pick([32790, 32792]));
      add(drop + random.int(300, 1_800), random.pick([32791, 32793]));
    }
    add(to, cut ? 36864 : 32789);
  } else {
    add(from, 5001);
    add(from + 20, 5002, 1);
    if (random.chance(SECOND_ATTEMPT)) add(from + 30, 5003, 0);
    add(from + 60, 5003, 1);
    add(from + 70, 7000, 0);
    add(from + 90, 3001, 0);
    add(from + 150, 5009);
    if (random.chance(0.5)) {
      add(from + 120, 4001, 0, 2);
      add(from + 200, 5004, -1, 2);
    }
    if (drop !== null) {
      add(drop, 5005);
      add(drop + random.int(300, 1_800), 7000, 1);
    }
    if (cut) add(to, 7001, 1);
    else add(to, 5008, 1);
  }
  return entries.sort((a, b) => a.Time - b.Time);
}
