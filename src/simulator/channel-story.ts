import type { Random } from './random.js';

/** What one user does in a channel, at a time in epoch ms. */
export interface ChannelEvent {
  at: number;
  user: string;
  session: string;
  tag: 'Join' | 'Leave' | 'Publish' | 'Unpublish' | 'Roleupdate';
  reason: number;
  role: number;
  terminal: number;
}

export interface ChannelStoryOptions {
  start_at: number;
  /** Longest time together, ms. */
  maxTalkMs: number;
  /** Gap that still makes one session of two stretches, ms. */
  channelGap: number;
  /** Names a user of the channel. */
  userName: (rank: number) => string;
}

const USERS = 300;
/** Share of stretches with one user only, and of stretches after which they come back. */
const ALONE = 0.15;
const AGAIN = 0.35;

/**
 * What happens in a channel: two to five users (sometimes one) join, publish, leave, and may come back; then, after a pause that is shorter or longer than the
 * gap that makes one session of it, perhaps another stretch.
 */
export function tellChannel(random: Random, options: ChannelStoryOptions): ChannelEvent[] {
  const events: ChannelEvent[] = [];
  const users = Array.from({ length: random.chance(ALONE) ? 1 : random.int(2, 5) }, () => options.userName(random.int(0, USERS - 1)));
  const terminals = new Map(users.map((user) => [user, random.int(0, 7)]));
  const latest = options.start_at + options.maxTalkMs;
  let from = options.start_at;
  for (let stretch = 0; stretch < 3; stretch++) {
    const length = Math.min(latest - from, Math.max(4_000, random.logNormal(120_000, 1)));
    if (length < 4_000) break;
    for (const user of new Set(users)) stay(random, events, user, terminals.get(user) ?? 0, from, from + length);
    const gap = options.channelGap * random.pick([0.2, 0.6, 0.9, 1.2, 2]);
    from = Math.max(...events.map((e) => e.at)) + gap;
    if (!random.chance(AGAIN) || from > latest) break;
  }
  return events.sort((a, b) => a.at - b.at);
}

/** One user between two moments: there once or, after a while outside, twice, each time under a session of its own. */
function stay(random: Random, events: ChannelEvent[], user: string, terminal: number, from: number, to: number): void {
  const span = to - from;
  const joined = from + random.next() * span * 0.3;
  const left = random.chance(0.5) ? to : to - random.next() * span * 0.3;
  const visits =
    span > 20_000 && random.chance(0.3)
      ? [
          [joined, joined + (left - joined) * 0.4],
          [joined + (left - joined) * 0.6, left],
        ]
      : [[joined, left]];
  for (const [enter = joined, leave = left] of visits) {
    const session = random.token(32);
    const role = random.pick([1, 1, 2]);
    const add = (at: number, tag: ChannelEvent['tag'], reason = 0, as = role) =>
      events.push({ at: Math.floor(at), user, session, tag, reason, role: as, terminal });
    add(enter, 'Join', random.pick([1, 1, 1, 2, 3]));
    if (role === 2 && random.chance(0.3)) add(enter + (leave - enter) * 0.3, 'Roleupdate', 0, 1);
    if (random.chance(0.8)) add(Math.min(leave, enter + 1_000), 'Publish');
    if (random.chance(0.3)) add(leave, 'Unpublish');
    add(leave, 'Leave', random.pick([1, 1, 1, 2, 3, 5]));
  }
}
