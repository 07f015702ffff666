import { h, s } from './dom.js';
import { duration, offset } from './format.js';
import { LANE, type Lane, type Layout, laneOf, MARKS, mark, recordingLane, stretches } from './ladder-lane.js';
import type { CallDetail, CallEvent, Leg } from './types.js';

const TOP = 34;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400].map((seconds) => seconds * 1000);

/** The legs from top to bottom: the caller, then the callees in the order in which they rang. */
export function lanesOf(legs: readonly Leg[]): Leg[] {
  const start = (leg: Leg): number => leg.rang_at ?? leg.joined_at ?? Number.POSITIVE_INFINITY;
  return [...legs].sort((a, b) =>
    a.role === b.role ? start(a) - start(b) || (a.user_id < b.user_id ? -1 : 1) : a.role === 'caller' ? -1 : 1,
  );
}

/** A whole number of seconds without zeros: `5 s`, `1m`, `1m 30s`, `2h`. */
function tick(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds} s`;
  const parts: [number, string][] = [
    [Math.floor(seconds / 3600), 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  return parts.flatMap(([n, unit]) => (n > 0 ? [`${n}${unit}`] : [])).join(' ');
}

/** Lanes are lower where there are many, and those beyond the last stand in the tables alone. */
const COMPACT_FROM = 13;
const MOST_LANES = 100;
const MOST_RECORDINGS = 5;

function drawnLanes({ call, legs, events }: CallDetail, now: number): Lane[] {
  const byUser = new Map<string, CallEvent[]>();
  for (const event of events) {
    if (event.event === 'record' || event.event === 'media') continue;
    const own = byUser.get(event.user_id);
    if (own === undefined) byUser.set(event.user_id, [event]);
    else own.push(event);
  }
  return lanesOf(legs)
    .slice(0, MOST_LANES)
    .map((leg) => {
      const own = byUser.get(leg.user_id) ?? [];
      return { leg, parts: stretches(leg, call, own, now), own };
    });
}

/** Every moment that must fit into the picture. What is recorded may be longer than the call, and is cut off. */
function momentsOf({ call, events }: CallDetail, lanes: readonly Lane[], now: number): number[] {
  return [
    call.started_at,
    call.ended_at ?? now,
    ...lanes.flatMap(({ leg, parts }) => [...parts.flatMap(({ from, to }) => [from, to]), leg.media_joined_at, leg.media_left_at]),
    ...events.filter(({ event }) => event in MARKS || lanes.length === 0).map(({ event_at }) => event_at),
  ].filter((at) => at !== null);
}

/**
 * The call as a ladder: one lane per leg on one time axis, and one per recording below them. Everything in it is also in the tables below it, so to a screen
 * reader it is one picture.
 * @param width in CSS pixels; below 560 the names stand above their lanes
 */
export function ladder(detail: CallDetail, width: number, now: number): SVGSVGElement {
  const lanes = drawnLanes(detail, now);
  const recordings = detail.recordings.slice(0, MOST_RECORDINGS);
  const narrow = width < 560;
  const left = narrow ? 10 : 172;
  const right = width - 26;
  const compact = !narrow && lanes.length >= COMPACT_FROM;
  const times = momentsOf(detail, lanes, now);
  const first = times.reduce((a, b) => Math.min(a, b));
  const length = Math.max(1000, times.reduce((a, b) => Math.max(a, b)) - first);
  const x = (at: number): number => left + ((at - first) / length) * (right - left);
  const at: Layout = { x, left, right, narrow, compact, lane: compact ? LANE.compact : LANE.wide };
  const legsEnd = TOP + Math.max(1, lanes.length) * at.lane;
  const bottom = legsEnd + recordings.length * LANE.wide;
  const left_out = detail.legs.length - lanes.length;
  const height = bottom + (left_out > 0 ? 50 : 28);
  const picture = s('svg', {
    class: 'ladder',
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: 'img',
    'aria-label': `Timeline of the call, ${duration(length)} long, with ${detail.legs.length} participants. The tables below have every time.`,
  });
  const step = STEPS.find((candidate) => (candidate / length) * (right - left) >= (narrow ? 74 : 92)) ?? STEPS.at(-1)!;
  for (let after = 0; after <= length; after += step) {
    const line = x(first + after);
    picture.append(s('line', { class: 'grid', x1: line, x2: line, y1: TOP - 6, y2: bottom }));
    if (line < right - 20 || after === 0)
      picture.append(s('text', { class: 'tick', x: line, y: bottom + 18 }, after === 0 ? '0 s' : `+${tick(after)}`));
  }
  guides(picture, detail, x, bottom);
  lanes.forEach((lane, i) => {
    picture.append(laneOf(lane, detail.call, TOP + i * at.lane, at));
  });
  recordings.forEach((recording, i) => {
    picture.append(recordingLane(recording, { from: first, to: first + length }, legsEnd + i * LANE.wide, at));
  });
  if (left_out > 0) picture.append(s('text', { class: 'role', x: 4, y: bottom + 42 }, `and ${left_out} more in the table below`));
  return picture;
}

/** Start, accept and end of the call; a name that would run into the one before it is left out. */
function guides(picture: SVGSVGElement, { call }: CallDetail, x: (at: number) => number, bottom: number): void {
  let free = Number.NEGATIVE_INFINITY;
  const lines: [string, number | null][] = [
    ['started', call.started_at],
    ['accepted', call.accepted_at],
    ['ended', call.ended_at],
  ];
  for (const [name, at] of lines) {
    if (at === null) continue;
    const line = x(at);
    picture.append(s('line', { class: 'guide', x1: line, x2: line, y1: TOP - 8, y2: bottom }));
    const text = name === 'started' ? name : `${name} ${offset(at - call.started_at)}`;
    const wide = text.length * 6.4;
    const end = name === 'ended';
    const from = end ? line - wide : line;
    if (from < free) continue;
    free = from + wide + 10;
    picture.append(s('text', { class: 'guide-name', x: line, y: TOP - 14, 'text-anchor': end ? 'end' : 'start' }, text));
  }
}

/** What the marks and bars of the ladder mean: those that there are. */
export function ladderKey({ legs, recordings }: Pick<CallDetail, 'legs' | 'recordings'>): HTMLElement {
  const entry = (shape: SVGElement, word: string): HTMLElement =>
    h('span', {}, s('svg', { width: 18, height: 14, viewBox: '0 0 18 14', 'aria-hidden': 'true', class: 'ladder' }, shape), word);
  const bar = (kind: string): SVGElement => s('rect', { class: kind, x: 0, y: 2, width: 18, height: 10, rx: 3 });
  return h(
    'div',
    { class: 'key' },
    entry(bar('ring of-answered'), 'ringing'),
    entry(bar('talk'), 'talking'),
    legs.some(({ media_joined_at }) => media_joined_at !== null) &&
      entry(s('rect', { class: 'media', x: 0, y: 5, width: 18, height: 4, rx: 2 }), 'in the room (media)'),
    recordings.length > 0 && entry(bar('record'), 'recorded'),
    entry(mark('rang', 9, 7, 'rang'), 'rang'),
    entry(mark('joined', 9, 7, 'joined'), 'joined'),
    entry(mark('left', 9, 7, 'left'), 'left'),
    entry(mark('other', 9, 7, 'other event'), 'other event'),
  );
}
