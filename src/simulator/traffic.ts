import { type CallTiming, everyRunsNoise, type PlannedCall, type PlanOptions, planCall, startTimes } from './plan.js';
import { isChannel, type PlannedChannel, planChannel } from './plan-channel.js';
import { Random } from './random.js';
import { Timeline, type TrafficSource } from './timeline.js';

/** One number of a run: a call, or what happens in a channel for a while. */
type Piece = PlannedCall | PlannedChannel;
type PlanPiece = (index: number, timing: CallTiming) => Piece;

/** Shape of a run, in real time from `begin_at` (epoch ms). */
export type Shape =
  | {
      kind: 'compressed';
      begin_at: number;
      calls: number;
      /** Calls of these that happen in real time beside the compressed ones. */
      live: number;
    }
  | {
      kind: 'paced';
      begin_at: number;
      /** Calls per second on average. */
      rate: number;
      /** Calls in all, or null: no limit. */
      calls: number | null;
      /** When the traffic is over and the last call has ended, or null: never. */
      forMs: number | null;
      /** Back-dated traffic at the same rate that is sent first, ms. */
      historyMs: number;
      /** Longest talk, ms. */
      longestTalkMs: number;
    };

const HOUR = 3_600_000;
export const LONGEST_TALK_MS = 3 * HOUR;
/** Ringing, invitations and good-byes of a call take no longer than this beside the talk. */
const REST_MS = 100_000;

/**
 * The timelines of a run, most urgent first.
 *
 * Compressed: `calls - live` calls are spread over a past vendor day (an hour for small runs) that ends where the run begins, and are sent in the order of
 * their event times as fast as they are answered. So EventTime is in the past, never in the future, and received_at is real. The live calls have
 * EventTime = the moment of sending, with talks cut short: only they can be ringing, active, reopened or timed out while the workers watch.
 *
 * Paced: every call in real time, with realistic talks; a call under way at the end of the run is cut short so that it ends in time.
 */
export function timelinesOf(
  plan: PlanOptions,
  shape: Shape,
  onCall: (call: PlannedCall) => void = () => {},
  onChannel: (channel: PlannedChannel) => void = () => {},
): Timeline[] {
  const opening = everyRunsNoise(plan, shape.begin_at);
  const noise = new Timeline([{ start_at: shape.begin_at, plan: () => ({ deliveries: opening }) }].values());
  const planPiece: PlanPiece = (index, timing) => {
    if (plan.features === undefined || !isChannel(plan, index)) {
      const call = planCall(plan, index, timing);
      onCall(call);
      return call;
    }
    const channel = planChannel(plan, plan.features, index, timing);
    onChannel(channel);
    return channel;
  };
  return shape.kind === 'compressed'
    ? [noise, new Timeline(live(planPiece, shape)), new Timeline(compressed(planPiece, plan.seed, shape), true)]
    : [noise, new Timeline(paced(planPiece, plan.seed, shape))];
}

/** Vendor time that a compressed run covers: a day for 5,000 calls and more, at least an hour. */
export const spanOf = (calls: number): number => Math.min(24 * HOUR, Math.max(HOUR, calls * 17_280));

function* compressed(plan: PlanPiece, seed: string, shape: Extract<Shape, { kind: 'compressed' }>): TrafficSource {
  const until = shape.begin_at - REST_MS - 2_000;
  const starts = startTimes(seed, shape.calls - shape.live, shape.begin_at - spanOf(shape.calls), until);
  const delays = { reorderMs: HOUR, stragglerMs: null };
  for (const [i, start_at] of starts.entries()) {
    yield {
      start_at,
      plan: () => plan(i, { start_at, maxTalkMs: Math.min(LONGEST_TALK_MS, until - start_at + 2_000), delays }),
    };
  }
}

function* live(plan: PlanPiece, shape: Extract<Shape, { kind: 'compressed' }>): TrafficSource {
  const first = shape.calls - shape.live;
  const spread = Math.min(60_000, Math.max(2_000, shape.live * 30));
  // Nobody waits an hour for a late callback: here late is seconds.
  const delays = { reorderMs: 20_000, stragglerMs: null };
  for (let i = 0; i < shape.live; i++) {
    const start_at = Math.floor(shape.begin_at + (spread * i) / shape.live);
    yield { start_at, plan: () => plan(first + i, { start_at, maxTalkMs: 25_000, delays }) };
  }
}

function* paced(plan: PlanPiece, seed: string, shape: Extract<Shape, { kind: 'paced' }>): TrafficSource {
  const random = new Random(`${seed}:gaps`);
  const length = shape.forMs ?? (shape.calls === null ? Number.POSITIVE_INFINITY : (shape.calls / shape.rate) * 1_000);
  const end = shape.begin_at + length;
  const last = Math.max(end - REST_MS, shape.begin_at + length / 2);
  const delays = { reorderMs: Math.min(HOUR, length / 4), stragglerMs: Number.isFinite(length) ? null : HOUR / 4 };
  let at = shape.begin_at - shape.historyMs;
  for (let i = 0; shape.calls === null || i < shape.calls; i++) {
    // A gentle swell of a quarter of an hour around the asked rate keeps the charts alive.
    const swell = 1 + 0.3 * Math.sin((2 * Math.PI * at) / (HOUR / 4));
    at += random.exponential(1_000 / (shape.rate * swell));
    const start_at = Math.floor(at);
    if (shape.forMs !== null && start_at > last) return;
    const maxTalkMs = Math.min(shape.longestTalkMs, Math.max(5_000, end - REST_MS - start_at));
    yield { start_at, plan: () => plan(i, { start_at, maxTalkMs, delays }) };
  }
}
