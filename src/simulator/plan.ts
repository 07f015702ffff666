import { type ChaosLevel, type Delays, RATES } from './chaos.js';
import { chooseIds, distort, noise, type PlannedCallback, wantsNoise } from './chaos-v1.js';
import { Random } from './random.js';
import { planRecording } from './recording-story.js';
import { type Plot, type Story, tellStory } from './story.js';
import { numericName, tellInV4 } from './story-v4.js';
import { type CallFacts, factsOf } from './vendor/facts.js';
import { type Delivery, eventCallback, statusCallback } from './wire.js';

export interface PlanOptions {
  seed: string;
  /** Part of every call id of the run, so that no run meets the calls of another. */
  run: string;
  apps: readonly string[];
  chaos: ChaosLevel;
  /** Absent: there are calls and their callbacks, and nothing else. */
  features?: Features;
}

/** What apps have beside the callbacks of their calls. */
export interface Features {
  /** When the run began, epoch ms. */
  begin_at: number;
  /** Apps whose calls an API tells of too, so that all callbacks of one may be lost: of calls that began at `lostSince`, epoch ms, or later. */
  recorded: ReadonlySet<string>;
  lostSince: number;
  /** Callback keys of the apps whose group calls are recorded now and then. */
  tiwKeys: ReadonlyMap<string, string>;
  /** Apps that have channels; a tenth of the traffic happens in those. */
  channelApps: readonly { app_id: string; subscribeIds: readonly string[] }[];
  /** Gap that still makes one session of two stretches in a channel, ms: pauses are around it. */
  channelGap: number;
}

/** A call of the plan: what the vendor meant to happen, and the requests it makes. */
export interface PlannedCall {
  plot: Plot;
  group: boolean;
  deliveries: Delivery[];
  /** What the vendor's APIs will know of it; absent: nothing. */
  facts?: CallFacts;
  /** A recording was made of it. */
  recorded?: boolean;
}

/** Calls that the vendor reports in v4 callbacks, and those of them whose users have numbers for ids. */
const V4_SHARE = 0.25;
const NUMERIC_SHARE = 0.3;
/** Calls of one to three hours, and how many of those are lost as a whole: else hardly any call would be both. */
const LONG_SHARE = 0.01;
const LONG_LOST = 0.2;
const HOUR = 3_600_000;
const RECORDED_SHARE = 0.4;

/**
 * Below a run's own numbers of rooms. The vendor of one run does not know the rooms of another: who still asks it about a call of that would be shown somebody else's.
 */
const firstRoom = (run: string): number => new Random(`${run}:rooms`).int(0, 4_999) * 100_000;

export interface CallTiming {
  start_at: number;
  maxTalkMs: number;
  delays: Delays;
}

/** Call number `index` of a run: a pure function of the options, the index and the timing. */
export function planCall(options: PlanOptions, index: number, timing: CallTiming): PlannedCall {
  const random = new Random(`${options.seed}:call:${index}`);
  const ids = chooseIds(random, options.chaos, options.run);
  // Their own dice: which generation a call speaks, and what becomes of its callbacks, changes nothing in the story.
  const v4 = new Random(`${options.seed}:v4:${index}`);
  const fate = new Random(`${options.seed}:fate:${index}`);
  const speaksV4 = v4.chance(V4_SHARE);
  const rename = speaksV4 && v4.chance(NUMERIC_SHARE) ? numericName : ids.user;
  const long = fate.chance(LONG_SHARE);
  const mark = `${options.run}-${index.toString(36)}-${random.token(8)}`;
  const story = tellStory(random, {
    call_id: ids.call_id(mark),
    room_id: ids.room_id(`${firstRoom(options.run) + random.int(1, 99_999)}`),
    start_at: timing.start_at,
    maxTalkMs: timing.maxTalkMs,
    ...(long ? { talkMs: HOUR * (1 + 2 * fate.next()) } : {}),
    rename,
  });
  const app_id = random.pick(options.apps);
  const ip = `203.0.113.${random.int(1, 254)}`;
  const rates = RATES[options.chaos];
  const { features } = options;
  const losable = features?.recorded.has(app_id) === true && timing.start_at >= features.lostSince && story.plot !== 'failed';
  const lost = losable && fate.chance(long && rates.perCallLost > 0 ? LONG_LOST : rates.perCallLost);
  const facts = factsOf(fate, story, { app_id, chaos: options.chaos, lost, maxTalkMs: timing.maxTalkMs });
  const planned: PlannedCall = {
    plot: story.plot,
    group: story.call_type === 'group',
    deliveries: [],
    ...(facts === null ? {} : { facts }),
  };
  if (lost) return planned;
  // v4 says nothing of a call that could not be started.
  const callbacks = speaksV4 && story.plot !== 'failed' ? tellInV4(v4, story, app_id, ip) : tellInV1(random, story, app_id, ip);
  planned.deliveries.push(...distort(random, options.chaos, callbacks, timing.delays));
  if (wantsNoise(random, options.chaos)) planned.deliveries.push(noise(random, story.start_at, app_id, `${mark}-noise`));
  const key = features?.tiwKeys.get(app_id);
  if (
    features === undefined ||
    key === undefined ||
    facts === null ||
    !planned.group ||
    facts.accept_at === null ||
    !fate.chance(RECORDED_SHARE)
  )
    return planned;
  const recording = { task_id: `task-${mark}`, key, begin_at: features.begin_at };
  planned.deliveries.push(...planRecording(fate, facts, recording, rates, timing.delays));
  planned.recorded = true;
  return planned;
}

function tellInV1(random: Random, story: Story, app_id: string, ip: string): PlannedCallback[] {
  const style = random.weighted({ on_end: 75, always: 15, never: 10 });
  const planned: PlannedCallback[] = story.moments.map((moment) => ({
    at: moment.at,
    callback: eventCallback(story, moment, style, app_id, ip),
  }));
  // About four apps in ten have not switched the status callback on.
  if (story.status !== null && random.chance(0.6)) planned.push({ at: story.end_at + 800, callback: statusCallback(story, app_id, ip) });
  return planned;
}

/** A few unreadable bodies and a stranger's app belong to every run, whatever its chaos: there is always something to dead-letter and to refuse. */
export function everyRunsNoise(options: PlanOptions, at: number): Delivery[] {
  const random = new Random(`${options.seed}:noise`);
  return options.apps.flatMap((app_id) => [
    ...[1, 2, 3].map((n) => noise(random, at, app_id, `${options.run}-garbage-${n}`, 'garbage')),
    noise(random, at, app_id, `${options.run}-stranger`, 'wrong_app'),
  ]);
}

/** Relative traffic by hour of the day (UTC): quiet nights, a midday hump, an evening peak. Mean 1. */
const HOURLY = [
  0.3, 0.2, 0.15, 0.15, 0.2, 0.35, 0.6, 0.9, 1.2, 1.3, 1.35, 1.4, 1.35, 1.25, 1.2, 1.2, 1.3, 1.45, 1.65, 1.75, 1.6, 1.25, 0.85, 0.5,
];

/** Rate at a moment relative to the daily mean, linear between the hours. */
export function diurnal(at: number): number {
  const hour = (at / 3_600_000) % 24;
  const from = HOURLY[Math.floor(hour)]!;
  const to = HOURLY[(Math.floor(hour) + 1) % 24]!;
  return from + (to - from) * (hour % 1);
}

/** Start times of `count` calls over [from, to), ascending, following the diurnal curve. */
export function startTimes(seed: string, count: number, from: number, to: number): number[] {
  const random = new Random(`${seed}:starts`);
  const slots = 1440;
  const width = (to - from) / slots;
  const cumulative: number[] = [];
  let sum = 0;
  for (let i = 0; i < slots; i++) {
    sum += diurnal(from + (i + 0.5) * width);
    cumulative.push(sum);
  }
  const starts: number[] = [];
  for (let i = 0; i < count; i++) {
    const target = random.next() * sum;
    let slot = 0;
    let high = slots - 1;
    while (slot < high) {
      const middle = (slot + high) >>> 1;
      if (cumulative[middle]! > target) high = middle;
      else slot = middle + 1;
    }
    starts.push(Math.floor(from + (slot + random.next()) * width));
  }
  return starts.sort((a, b) => a - b);
}
