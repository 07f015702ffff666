import type { ChaosLevel } from '../chaos.js';
import type { Random } from '../random.js';
import type { Moment, Plot, Story } from '../story.js';

/** How a call ended for the vendor, in v1's words. `offline`: a heartbeat ran out. */
export type CallResult = 'normal_end' | 'not_answer' | 'reject' | 'call_busy' | 'cancel' | 'interrupt' | 'offline';

/** One user's time in the room. Times are epoch ms. */
export interface Presence {
  user: string;
  /** A browser: its media events have other ids than an app's. */
  web: boolean;
  from: number;
  to: number;
  /** Left without a word. */
  cut: boolean;
}

/** What the vendor's backend knows of a call that is over, whatever became of the callbacks. Times are epoch ms. */
export interface CallFacts {
  app_id: string;
  call_id: string;
  room_id: string;
  media_type: Story['media_type'];
  call_type: Story['call_type'];
  caller: string;
  /** Everybody who was asked to come, the caller first. */
  users: readonly string[];
  start_at: number;
  accept_at: number | null;
  end_at: number;
  result: CallResult;
  /** Who was in the room, and when: the caller enters it by calling, the others by joining. */
  presences: readonly Presence[];
  /** Every callback was lost. */
  lost: boolean;
  /** The record at first has an end that is so much too early, ms; 0: it is right from the start. */
  misjudged_ms: number;
  /** The record's number of users; now and then 0, as in the vendor's own sample. */
  total: number;
}

/** Calls whose record is put right a while after it was first served. */
const MISJUDGED: Readonly<Record<ChaosLevel, number>> = { none: 0, mild: 0, hard: 0.03 };
/** Ringing that nobody ends is ended by the backend; a participant that is silent for some time is taken for gone. */
const LONGEST_RING_MS = 60_000;

const RESULTS: Readonly<Record<Exclude<Plot, 'interrupted' | 'failed'>, CallResult>> = {
  answered: 'normal_end',
  no_answer: 'not_answer',
  rejected: 'reject',
  busy: 'call_busy',
  cancelled: 'cancel',
  lost_end: 'offline',
  lost_answer: 'not_answer',
};

/**
 * What the vendor will say of a call; null for one that could not be started, which never reached it. A group has only `normal_end`, answered or not
 * (vendors.md §4.1), but for what a heartbeat ended.
 */
export function factsOf(
  random: Random,
  story: Story,
  { app_id, chaos, lost, maxTalkMs }: { app_id: string; chaos: ChaosLevel; lost: boolean; maxTalkMs: number },
): CallFacts | null {
  if (story.plot === 'failed') return null;
  const end_at = endOf(random, story, maxTalkMs);
  return {
    app_id,
    call_id: story.call_id,
    room_id: story.room_id,
    media_type: story.media_type,
    call_type: story.call_type,
    caller: story.caller,
    users: story.users,
    start_at: story.start_at,
    accept_at: story.accept_at,
    end_at,
    result: resultOf(random, story),
    presences: presencesOf(random, story, end_at),
    lost,
    misjudged_ms: random.chance(MISJUDGED[chaos]) ? Math.min(random.int(1, 4) * 1_000, end_at - (story.accept_at ?? story.start_at)) : 0,
    total: random.chance(0.1) ? 0 : story.users.length,
  };
}

function resultOf(random: Random, { plot, call_type }: Story): CallResult {
  if (plot === 'interrupted' || plot === 'failed') return random.pick(['interrupt', 'offline']);
  const byHeartbeat = plot === 'lost_end' || plot === 'lost_answer';
  return call_type === 'group' && !byHeartbeat ? 'normal_end' : RESULTS[plot];
}

function endOf(random: Random, story: Story, maxTalkMs: number): number {
  if (story.plot === 'lost_answer') return story.start_at + LONGEST_RING_MS;
  if (story.plot !== 'lost_end') return Math.floor(story.end_at);
  const talk = Math.min(maxTalkMs, random.logNormal(90_000, 1.2));
  return Math.floor(story.end_at + talk + random.int(20_000, 60_000));
}

const LEAVES = ['call_end', 'call_interrupted'];
const JOINS = ['accept_call', 'join_in_group_call'];

/** Plots in which somebody who says nothing was cut off. */
const SILENT: readonly Plot[] = ['interrupted', 'lost_end', 'lost_answer'];

function presencesOf(random: Random, story: Story, end_at: number): Presence[] {
  const of = (user: string, events: readonly string[]): Moment | undefined =>
    story.moments.find((m) => m.user === user && events.includes(m.event));
  return story.users.flatMap((user): Presence[] => {
    const isCaller = user === story.caller;
    const joined = isCaller ? story.start_at : of(user, JOINS)?.at;
    if (joined === undefined) return [];
    const left = of(user, LEAVES);
    const web = story.moments.find((m) => m.user === user)?.platform === 'Web';
    const from = Math.floor(joined + random.int(80, 400));
    const to = Math.max(from + 500, Math.floor(left?.at ?? end_at));
    return [{ user, web, from, to, cut: left === undefined ? SILENT.includes(story.plot) : left.event === 'call_interrupted' }];
  });
}
