import type { EventName } from '../domain/vocabulary.js';
import { type Random, Zipf } from './random.js';

/** What happens in one simulated call, told by the vendor who knows everything. Times are epoch ms. */
export interface Story {
  /** How the vendor meant it to end; losses on the way may leave less. */
  plot: Plot;
  call_id: string;
  room_id: string;
  media_type: 'audio' | 'video';
  call_type: 'single' | 'group';
  caller: string;
  /** Everybody who is asked to come, the caller first. */
  users: string[];
  start_at: number;
  accept_at: number | null;
  end_at: number;
  moments: Moment[];
  /** Result of the status callback, when the vendor sends one. Groups have normal_end only. */
  status: string | null;
}

/** One user action, which the vendor reports as one callback. */
export interface Moment {
  at: number;
  user: string;
  role: 'caller' | 'callee';
  event: EventName;
  total: number;
  platform: string;
}

export type Plot = 'answered' | 'no_answer' | 'rejected' | 'busy' | 'cancelled' | 'failed' | 'interrupted' | 'lost_end' | 'lost_answer';

/** Shares of the plots; the two lost ones are calls whose end the vendor never reports, which only a timeout closes. */
const PLOTS: Readonly<Record<Plot, number>> = {
  answered: 62,
  no_answer: 12,
  rejected: 7,
  busy: 4,
  cancelled: 6,
  failed: 1.5,
  interrupted: 2.5,
  lost_end: 2,
  lost_answer: 3,
};
const PLATFORMS: Readonly<Record<string, number>> = { iOS: 38, Android: 41, Web: 15, miniProgram: 6 };
const NAMES = [
  'alice',
  'bo',
  'chen',
  'dana',
  'emre',
  'fatou',
  'goran',
  'hana',
  'ines',
  'jun',
  'kofi',
  'lena',
  'mai',
  'noor',
  'omar',
  'priya',
];
const USERS = 4000;
const byPopularity = new Zipf(USERS, 0.9);

/** Name of the user that comes up rank-th most often. */
export const userName = (rank: number): string => `${NAMES[rank % NAMES.length]}-${rank.toString(36)}`;

export interface StoryOptions {
  call_id: string;
  room_id: string;
  start_at: number;
  /** Longest talk, ms: a run in real time cannot wait for a two-hour call. */
  maxTalkMs: number;
  /** The talk that the call is meant to have, ms; absent: the dice tell. */
  talkMs?: number;
  /** Replaces a user's name, for odd ids. */
  rename?: (user: string) => string;
}

/** Invents one call. Ring 2-40 s, talk log-normal around a minute and a half; about one call in five is a group call. */
export function tellStory(random: Random, options: StoryOptions): Story {
  const rename = options.rename ?? ((user: string) => user);
  const plot = random.weighted(PLOTS);
  const group = random.chance(0.2);
  const users = distinctUsers(random, group ? random.int(3, 7) : 2).map(rename);
  const story: Story = {
    plot,
    call_id: options.call_id,
    room_id: options.room_id,
    media_type: random.chance(0.55) ? 'video' : 'audio',
    call_type: group ? 'group' : 'single',
    caller: users[0]!,
    users,
    start_at: options.start_at,
    accept_at: null,
    end_at: options.start_at,
    moments: [],
    status: null,
  };
  const platforms = new Map(users.map((user) => [user, random.weighted(PLATFORMS)]));
  const scene: Scene = {
    random,
    story,
    users,
    total: users.length,
    maxTalkMs: options.maxTalkMs,
    talkMs: options.talkMs ?? null,
    say: (at, user, event) => {
      const role = user === story.caller ? 'caller' : 'callee';
      story.moments.push({ at, user, role, event, total: scene.total, platform: platforms.get(user) ?? 'Unknown' });
      story.end_at = Math.max(story.end_at, at);
    },
  };
  scene.say(story.start_at, story.caller, 'start_call');
  if (group) groupCall(scene, plot);
  else singleCall(scene, plot);
  story.moments.sort((a, b) => a.at - b.at);
  return story;
}

interface Scene {
  random: Random;
  story: Story;
  users: string[];
  total: number;
  maxTalkMs: number;
  talkMs: number | null;
  say(at: number, user: string, event: EventName): void;
}

function distinctUsers(random: Random, count: number): string[] {
  const ranks = new Set<number>();
  while (ranks.size < count) ranks.add(byPopularity.draw(random));
  return [...ranks].map(userName);
}

const ringTime = (random: Random): number => Math.min(40_000, Math.max(2_000, random.logNormal(8_000, 0.7)));
const talkTime = (scene: Scene): number => Math.min(scene.maxTalkMs, scene.talkMs ?? Math.max(1_500, scene.random.logNormal(90_000, 1.2)));
/** Both ends of one action are reported within a second or so of one another. */
const soon = (random: Random): number => random.int(20, 1_200);

function singleCall(scene: Scene, plot: Plot): void {
  const { random, story, say } = scene;
  const [caller, callee] = scene.users as [string, string];
  const start = story.start_at;
  const pair = (at: number, mine: EventName, theirs: EventName) => {
    say(at, callee, mine);
    say(at + soon(random), caller, theirs);
  };
  if (plot === 'failed') {
    say(start + soon(random), caller, 'call_failed');
    return;
  }
  say(start + random.int(150, 1_900), callee, 'receive_call');
  const ringEnd = start + 2_000 + ringTime(random);
  switch (plot) {
    case 'no_answer':
      pair(start + random.int(28_000, 40_000), 'not_answer_call', 'call_missed');
      story.status = 'not_answer';
      return;
    case 'rejected':
      pair(ringEnd, 'reject_call', 'call_rejected');
      story.status = 'reject';
      return;
    case 'busy':
      pair(start + random.int(2_000, 4_000), 'ignore_call', 'call_busy');
      story.status = 'call_busy';
      return;
    case 'cancelled':
      say(ringEnd, caller, 'cancel_call');
      say(ringEnd + soon(random), callee, 'call_canceled');
      story.status = 'cancel';
      return;
    case 'lost_answer':
      return;
    default:
  }
  story.accept_at = ringEnd;
  pair(ringEnd, 'accept_call', 'call_accepted');
  if (plot === 'lost_end') return;
  const end = ringEnd + talkTime(scene);
  const [first, second] = random.chance(0.5) ? [caller, callee] : [callee, caller];
  if (plot === 'interrupted') {
    say(end, first, 'call_interrupted');
    if (random.chance(0.6)) say(end + soon(random), second, 'call_interrupted');
    story.status = 'interrupt';
    return;
  }
  say(end, first, 'call_end');
  say(end + soon(random), second, 'call_end');
  story.status = 'normal_end';
}

function groupCall(scene: Scene, plot: Plot): void {
  const { random, story, say, users } = scene;
  const caller = story.caller;
  const callees = users.slice(1);
  const start = story.start_at;
  if (plot === 'failed') {
    say(start + soon(random), caller, 'call_failed');
    return;
  }
  for (const callee of callees) say(start + random.int(150, 2_500), callee, 'receive_call');
  const cancelAt = start + 3_000 + ringTime(random);
  if (plot === 'cancelled') {
    say(cancelAt, caller, 'cancel_call');
    for (const callee of callees) say(cancelAt + soon(random), callee, 'call_canceled');
    return;
  }
  if (plot === 'lost_answer') return;
  const answered = plot === 'answered' || plot === 'interrupted' || plot === 'lost_end';
  const joined: string[] = [];
  for (const callee of callees) {
    const at = start + 3_000 + ringTime(random);
    const willJoin = answered && (joined.length === 0 || random.chance(0.7));
    if (willJoin) {
      joined.push(callee);
      story.accept_at = Math.min(story.accept_at ?? at, at);
      say(at, callee, 'accept_call');
      say(at + soon(random), caller, 'call_accepted');
    } else if (plot === 'rejected' || random.chance(0.3)) say(at, callee, 'reject_call');
    else if (plot === 'busy' || random.chance(0.15)) say(start + random.int(2_600, 4_000), callee, 'ignore_call');
    else say(start + random.int(30_000, 40_000), callee, 'not_answer_call');
  }
  if (!answered) {
    if (random.chance(0.5))
      say(story.end_at + soon(random), caller, plot === 'rejected' ? 'call_rejected' : plot === 'busy' ? 'call_busy' : 'call_missed');
    return;
  }
  let latest = story.end_at;
  if (random.chance(0.25)) {
    const guest = `guest-${random.token(5)}`;
    users.push(guest);
    const invitedAt = latest + random.int(2_000, 20_000);
    scene.total++;
    say(invitedAt, random.pick([caller, ...joined]), 'invite_user');
    say(invitedAt + random.int(200, 1_500), guest, 'receive_call');
    if (random.chance(0.7)) {
      say(invitedAt + random.int(3_000, 15_000), guest, 'join_in_group_call');
      joined.push(guest);
    } else say(invitedAt + random.int(3_000, 15_000), guest, 'reject_call');
    latest = story.end_at;
  }
  if (plot === 'lost_end') return;
  const end = latest + talkTime(scene);
  const leavers = [caller, ...joined];
  leavers.forEach((user, i) => {
    const early = i < leavers.length - 2 && random.chance(0.4);
    const at = early ? latest + random.next() * (end - latest) : end + random.int(0, 1_500);
    say(at, user, plot === 'interrupted' && random.chance(0.7) ? 'call_interrupted' : 'call_end');
  });
  if (plot === 'answered') story.status = 'normal_end';
}
